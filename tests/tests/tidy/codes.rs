//! Every refusal and every outcome is shown to happen: some test asserts it, or it is the answer in a script or a golden
//! file, which are played. A mere mention counts for nothing. That a ledger really gave each outcome is a test of the
//! ledger itself (`consensus/ledger/tests/scripts.rs`).

use crate::tokens::{attribute, each, inner, is_punct, is_test_file, lex, line_of};
use crate::tree::{Breach, Tree, none};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

const OUTCOMES: &str = "consensus/ledger/src/outcome.rs";
const REJECTS: &str = "proto/src/reject.rs";

/// A variant with its name for machines, where one is written beside it.
#[derive(Debug, PartialEq, Eq)]
struct Code {
    variant: String,
    name: Option<String>,
    line: usize,
}

/// `Variant = 7, "name", ..` entries of the table `outcomes! { .. }`.
fn outcomes(source: &str) -> Vec<Code> {
    let Ok(tokens) = lex(source) else { return Vec::new() };
    let mut codes = Vec::new();
    each(&tokens, &mut |tokens, at| {
        let (Some(TokenTree::Ident(variant)), Some(TokenTree::Literal(text))) = (tokens.get(at), tokens.get(at + 4))
        else {
            return;
        };
        let text = text.to_string();
        if is_punct(tokens.get(at + 1), '=') && is_punct(tokens.get(at + 3), ',') && text.starts_with('"') {
            let name = Some(text.trim_matches('"').to_owned());
            codes.push(Code { variant: variant.to_string(), name, line: line_of(&tokens[at]) });
        }
    });
    codes
}

/// Variants of `enum Reject { .. }`, with the text of `Reject::Variant .. => "name"`.
fn rejects(source: &str) -> Vec<Code> {
    let Ok(tokens) = lex(source) else { return Vec::new() };
    let mut codes = Vec::new();
    each(&tokens, &mut |tokens, at| {
        let word = |offset: usize| tokens.get(at + offset).map(ToString::to_string).unwrap_or_default();
        if let (true, Some(TokenTree::Group(body))) = (word(0) == "enum" && word(1) == "Reject", tokens.get(at + 2)) {
            codes.extend(variants(&inner(body)));
        }
    });
    for code in &mut codes {
        code.name = source.lines().find_map(|line| {
            let (pattern, text) = line.split_once(" => \"")?;
            let variant = pattern.trim().strip_prefix("Reject::")?.split(' ').next()?;
            (variant == code.variant).then(|| text.split('"').next().unwrap_or_default().to_owned())
        });
    }
    codes
}

fn variants(body: &[TokenTree]) -> Vec<Code> {
    let mut found = Vec::new();
    let mut fresh = true;
    for (at, token) in body.iter().enumerate() {
        let in_attribute = at > 0 && attribute(body, at - 1).is_some();
        match token {
            TokenTree::Ident(variant) if fresh => {
                found.push(Code { variant: variant.to_string(), name: None, line: line_of(token) });
                fresh = false;
            }
            TokenTree::Punct(p) if p.as_char() == ',' => fresh = true,
            TokenTree::Group(g) if g.delimiter() == Delimiter::Bracket && in_attribute => {}
            _ => {}
        }
    }
    found
}

/// Everything that shows behaviour: what tests assert, the answers of scripts, what golden files are refused as.
fn evidence(tree: &Tree) -> String {
    let mut all = String::new();
    for (path, text) in &tree.files {
        if path.starts_with("tests/tests/tidy") {
            continue;
        }
        if path.contains("/scripts/") {
            text.lines().filter(|line| line.starts_with("-> ")).for_each(|line| add(&mut all, line));
        } else if path.contains("/vectors/") && path.contains("/refused/") {
            text.lines().take(1).for_each(|line| add(&mut all, line));
        } else if path.ends_with(".rs") && is_test_file(path) {
            lex(text).into_iter().for_each(|tokens| asserted(&tokens, &mut all));
        } else if path.ends_with(".rs") && text.contains("cfg(test)") {
            lex(text).into_iter().for_each(|tokens| asserted(&test_items(&tokens), &mut all));
        }
    }
    all
}

fn add(all: &mut String, text: &str) {
    all.push_str(text);
    all.push('\n');
}

/// What stands inside `assert..!(..)` and in calls of helpers named `expect_..`.
fn asserted(tokens: &[TokenTree], all: &mut String) {
    each(tokens, &mut |tokens, at| {
        let TokenTree::Ident(name) = &tokens[at] else { return };
        let name = name.to_string();
        let arguments = match () {
            () if name.starts_with("assert") && is_punct(tokens.get(at + 1), '!') => tokens.get(at + 2),
            () if name.starts_with("expect_") => tokens.get(at + 1),
            () => None,
        };
        if let Some(TokenTree::Group(arguments)) = arguments {
            add(all, &arguments.stream().to_string());
        }
    });
}

/// The bodies of items behind `#[cfg(test)]`.
fn test_items(tokens: &[TokenTree]) -> Vec<TokenTree> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let behind_test =
            attribute(tokens, at).is_some_and(|(name, g)| name == "cfg" && g.to_string().contains("test"));
        if !behind_test {
            continue;
        }
        let body = tokens[at..].iter().find_map(|token| match token {
            TokenTree::Group(g) if g.delimiter() == Delimiter::Brace => Some(g.stream()),
            _ => None,
        });
        found.extend(body.unwrap_or_else(TokenStream::new));
    }
    found
}

fn unseen(file: &str, codes: &[Code], evidence: &str) -> Vec<Breach> {
    let seen = |word: &str| {
        let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        evidence.match_indices(word).any(|(at, _)| {
            !inside(evidence[..at].chars().next_back()) && !inside(evidence[at + word.len()..].chars().next())
        })
    };
    codes
        .iter()
        .filter(|code| !seen(&code.variant) && !code.name.as_deref().is_some_and(seen))
        .map(|code| {
            let rule = format!("no test asserts and no script or golden file answers {}", code.variant);
            Breach::new(file, code.line, rule, "show it happen in a test, or remove it")
        })
        .collect()
}

#[test]
fn every_outcome_of_the_ledger_is_shown_by_a_test() {
    let tree = Tree::workspace();
    let codes = outcomes(&tree.files[OUTCOMES]);
    assert!(codes.len() > 30, "the table of outcomes was not understood: {codes:?}");
    none(unseen(OUTCOMES, &codes, &evidence(&tree)));
}

#[test]
fn every_reject_of_the_wire_is_shown_by_a_test() {
    let tree = Tree::workspace();
    let codes = rejects(&tree.files[REJECTS]);
    assert!(codes.len() > 8, "the list of rejects was not understood: {codes:?}");
    none(unseen(REJECTS, &codes, &evidence(&tree)));
}

#[test]
fn codes_are_read_with_their_names() {
    let table = "outcomes! {\n /// Doc.\n Created = 1, \"created\", retry false, Nobody;\n UnknownAgent = 2, \"unknown_agent\", x;\n}";
    let read = outcomes(table);
    assert_eq!(read.len(), 2);
    assert_eq!(
        (read[1].variant.as_str(), read[1].name.as_deref(), read[1].line),
        ("UnknownAgent", Some("unknown_agent"), 4)
    );
    let source = "pub enum Reject {\n /// Doc.\n TooLarge { limit: u8, max: u8 },\n Malformed,\n}\nfn c() { match s {\n\
                  Reject::TooLarge { .. } => \"too_large\",\n Reject::Malformed => \"malformed\",\n} }";
    let read = rejects(source);
    assert_eq!(read.len(), 2, "{read:?}");
    assert_eq!((read[0].variant.as_str(), read[0].name.as_deref(), read[0].line), ("TooLarge", Some("too_large"), 3));
}

#[test]
fn a_code_that_no_test_shows_is_found() {
    let tree = Tree::of(&[
        ("tests/tests/escrow.rs", "fn t() { assert_eq!(o, Outcome::Created); let _ = Outcome::Mentioned; }"),
        ("tests/tests/more.rs", "fn t() { expect_no(world, Outcome::Expected); }"),
        (
            "consensus/ledger/src/a.rs",
            "fn f() { assert!(Outcome::Hidden); }\n#[cfg(test)]\nmod tests { fn t() { assert_eq!(o, Outcome::Inline); } }",
        ),
        ("consensus/ledger/scripts/lock.txt", "# remarked\nlock\n-> by_name_only\nlock\n-> almost_seen_here"),
        ("proto/vectors/a/refused/b.hex", "# golden\n00"),
        ("proto/vectors/a/valid/b.hex", "# valid\n00"),
    ]);
    let code = |variant: &str, name: &str| Code { variant: variant.into(), name: Some(name.into()), line: 1 };
    let codes = [
        code("Created", "a"),
        code("Mentioned", "b"),
        code("Expected", "c"),
        code("Hidden", "d"),
        code("Inline", "e"),
        code("Remarked", "remarked"),
        code("Named", "by_name_only"),
        code("Part", "almost_seen"),
        code("Golden", "golden"),
        code("Valid", "valid"),
    ];
    let breaches = unseen(OUTCOMES, &codes, &evidence(&tree));
    let names: Vec<&str> = breaches.iter().filter_map(|b| b.rule.rsplit(' ').next()).collect();
    assert_eq!(names, ["Mentioned", "Hidden", "Remarked", "Part", "Valid"]);
}
