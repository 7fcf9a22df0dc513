//! Every refusal and every outcome is shown to happen: its name stands in some test, script or golden file.

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

/// Everything that shows behaviour: test files, `#[cfg(test)]` items, scripts and golden data.
fn evidence(tree: &Tree) -> String {
    let mut all = String::new();
    for (path, text) in &tree.files {
        let golden = path.contains("/vectors/")
            || path.contains("/testdata/")
            || path.contains("/golden/")
            || path.contains("/scripts/");
        if path.starts_with("tests/tests/tidy") {
            continue;
        }
        if golden || is_test_file(path) {
            all.push_str(text);
            all.push('\n');
        } else if path.ends_with(".rs") && text.contains("cfg(test)") {
            all.push_str(&test_items(text));
            all.push('\n');
        }
    }
    all
}

fn test_items(source: &str) -> String {
    let Ok(tokens) = lex(source) else { return String::new() };
    let mut found = String::new();
    for at in 0..tokens.len() {
        let behind_test =
            attribute(&tokens, at).is_some_and(|(name, g)| name == "cfg" && g.to_string().contains("test"));
        if !behind_test {
            continue;
        }
        let body = tokens[at..].iter().find_map(|token| match token {
            TokenTree::Group(g) if g.delimiter() == Delimiter::Brace => Some(g.stream()),
            _ => None,
        });
        found.push_str(&body.unwrap_or_else(TokenStream::new).to_string());
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
            let rule = format!("no test, script or golden file shows {}", code.variant);
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
        ("tests/tests/escrow.rs", "assert_eq!(o, Outcome::Created);"),
        (
            "consensus/ledger/src/a.rs",
            "fn f() { Outcome::Hidden; }\n#[cfg(test)]\nmod tests { fn t() { Outcome::Inline; } }",
        ),
        ("consensus/ledger/tests/testdata/lock.txt", "lock 1 -> by_name_only\nlock -> almost_seen_here"),
    ]);
    let code = |variant: &str, name: &str| Code { variant: variant.into(), name: Some(name.into()), line: 1 };
    let codes = [
        code("Created", "a"),
        code("Hidden", "b"),
        code("Inline", "c"),
        code("Named", "by_name_only"),
        code("Part", "almost_seen"),
    ];
    let breaches = unseen(OUTCOMES, &codes, &evidence(&tree));
    let names: Vec<&str> = breaches.iter().filter_map(|b| b.rule.rsplit(' ').next()).collect();
    assert_eq!(names, ["Hidden", "Part"]);
}
