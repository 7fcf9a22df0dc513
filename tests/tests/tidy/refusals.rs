//! Every rule that a node declares refuses something in some test: the codes of its doors and services, and the named
//! refusals of its mesh. A code counts as shown when code of a test holds it as a whole text or as its variant, which is
//! how answers are compared.
//!
//! Not asked for: what speaks of the machine and of no rule (internal, unavailable, unknown), and the command line's words
//! about files on the operator's own machine.

use crate::tokens::{each, inner, is_punct, is_test_file, lex, line_of};
use crate::tree::{Breach, Tree, none};
use proc_macro2::TokenTree;
use std::collections::BTreeSet;

/// Product code whose refusals are rules.
const RULES: &str = "node/src/";
/// Below it: what is said of the node's own machine, its files and keys.
const NO_RULES: [&str; 6] = [
    "node/src/cli/",
    "node/src/bench/",
    "node/src/dev/",
    "node/src/config.rs",
    "node/src/keyring/passphrase.rs",
    "node/src/spiffe/current.rs",
];
/// Kinds of errors that refuse nothing.
const STATES: [&str; 3] = ["Internal", "Unavailable", "Unknown"];
/// Said by a node about its place in its domain: no message alone brings it about.
const PLACES: [&str; 2] = ["not_leader", "not_a_voter"];
/// Named refusals of the mesh, of bridges, cards and keys: a table of names each, and its enum.
const TABLES: [(&str, &str); 9] = [
    ("node/src/mesh/quota.rs", "OverLicence"),
    ("node/src/mesh/shelf.rs", "Offer"),
    ("node/src/mesh/certificate.rs", "Refused"),
    ("node/src/mesh/directory.rs", "CardRefused"),
    ("node/src/bridge/refused.rs", "BridgeRefused"),
    ("node/src/registry/verify.rs", "Wrong"),
    ("node/src/registry/json.rs", "BadJson"),
    ("node/src/keyring/sealed.rs", "Closed"),
    ("node/src/spiffe/judge.rs", "Refused"),
];

/// A code with the line that declares it.
type Code = (String, usize);

/// Codes of `ServiceError::new(Kind::X, "code", ..)`, `bad_input("code", ..)` and `not_found("what", ..)`.
fn service(source: &str) -> Vec<Code> {
    let Ok(tokens) = lex(source) else { return Vec::new() };
    let mut codes = Vec::new();
    each(&tokens, &mut |tokens, at| {
        let (TokenTree::Ident(name), Some(TokenTree::Group(arguments))) = (&tokens[at], tokens.get(at + 1)) else {
            return;
        };
        let arguments = inner(arguments);
        let text = |place: usize| match arguments.get(place) {
            Some(TokenTree::Literal(text)) => {
                text.to_string().strip_prefix('"').map(|text| text.trim_matches('"').to_owned())
            }
            _ => None,
        };
        let code = match name.to_string().as_str() {
            "bad_input" => text(0),
            "not_found" => text(0).map(|what| format!("unknown_{what}")),
            "new" if arguments.first().is_some_and(|first| first.to_string() == "Kind") => {
                let kind = arguments.get(3).map(ToString::to_string).unwrap_or_default();
                text(5).filter(|_| !STATES.contains(&kind.as_str()))
            }
            _ => None,
        };
        codes.extend(code.map(|code| (code, line_of(&tokens[at]))));
    });
    codes
}

/// Names in `Enum::Variant .. => "name"`, each with its variant.
fn table(source: &str, of: &str) -> Vec<(Code, String)> {
    let named = source.lines().enumerate().filter_map(|(at, line)| {
        let (pattern, text) = line.split_once(" => \"")?;
        let variant = pattern.trim().strip_prefix(&format!("{of}::"))?;
        let variant = variant.split(|c: char| !c.is_alphanumeric()).next()?;
        let name = text.split('"').next().unwrap_or_default().to_owned();
        Some(((name, at + 1), format!("{of}::{variant}")))
    });
    named.collect()
}

/// Every text that stands alone in code of tests, and every `Enum::Variant`.
fn shown(tree: &Tree) -> BTreeSet<String> {
    let mut shown = BTreeSet::new();
    for (path, text) in tree.files.iter().filter(|(path, _)| path.ends_with(".rs")) {
        if path.starts_with("tests/tests/tidy") {
            continue;
        }
        let tests = match text.find("#[cfg(test)]") {
            _ if is_test_file(path) => text.as_str(),
            Some(from) => &text[from..],
            None => continue,
        };
        let Ok(tokens) = lex(tests) else { continue };
        each(&tokens, &mut |tokens, at| match (&tokens[at], tokens.get(at + 3)) {
            (TokenTree::Literal(text), _) => drop(shown.insert(text.to_string().trim_matches('"').to_owned())),
            (TokenTree::Ident(of), Some(TokenTree::Ident(variant))) if is_punct(tokens.get(at + 1), ':') => {
                shown.insert(format!("{of}::{variant}"));
            }
            _ => {}
        });
    }
    shown
}

fn unshown(file: &str, codes: Vec<Code>, shown: &BTreeSet<String>) -> Vec<Breach> {
    let missing = codes.into_iter().filter(|(code, _)| !shown.contains(code) && !PLACES.contains(&code.as_str()));
    let breach = |(code, line): Code| {
        Breach::new(file, line, format!("no test shows {code} refuse anything"), "provoke it in a test, or remove it")
    };
    missing.map(breach).collect()
}

fn is_rule(path: &str) -> bool {
    path.starts_with(RULES)
        && path.ends_with(".rs")
        && !is_test_file(path)
        && !NO_RULES.iter().any(|no| path.starts_with(no))
}

#[test]
fn every_refusal_of_the_services_is_provoked_by_a_test() {
    let tree = Tree::workspace();
    let shown = shown(&tree);
    let declared: Vec<(&String, Vec<Code>)> =
        tree.files.iter().filter(|(path, _)| is_rule(path)).map(|(path, text)| (path, service(text))).collect();
    assert!(declared.iter().map(|(_, codes)| codes.len()).sum::<usize>() > 60, "the codes were not understood");
    none(declared.into_iter().flat_map(|(path, codes)| unshown(path, codes, &shown)).collect());
}

#[test]
fn every_named_refusal_is_provoked_by_a_test() {
    let tree = Tree::workspace();
    let shown = shown(&tree);
    let mut breaches = Vec::new();
    for (file, of) in TABLES {
        let codes = table(&tree.files[file], of);
        assert!(codes.len() >= 3, "the names of {of} were not understood");
        let by_name = codes.into_iter().filter(|(_, variant)| !shown.contains(variant)).map(|(code, _)| code).collect();
        breaches.extend(unshown(file, by_name, &shown));
    }
    none(breaches);
}

#[test]
fn a_refusal_that_no_test_provokes_is_found() {
    let source = "fn f() { ServiceError::new(Kind::Busy, \"full\", d, n); ServiceError::new(Kind::Internal, \"broken\", d, n);\n\
                  bad_input(\"bent\", d); ServiceError::not_found(\"cat\", id); Vec::new(); }";
    let codes: Vec<String> = service(source).into_iter().map(|(code, _)| code).collect();
    assert_eq!(codes, ["full", "bent", "unknown_cat"]);
    let names = table("match self {\n            Offer::Late => \"late\",\n            Other::X => \"x\",", "Offer");
    assert_eq!(names, [(("late".to_owned(), 2), "Offer::Late".to_owned())]);
    let tree = Tree::of(&[
        ("tests/tests/a.rs", "fn t() { assert_eq!(code, \"bent\"); /* \"full\" */ }"),
        (
            "node/src/a.rs",
            "fn f() { g(\"unknown_cat\") }\n#[cfg(test)]\nmod tests { fn t() { h(\"late\", Offer::Held) } }",
        ),
    ]);
    let shown = shown(&tree);
    let missing: Vec<String> = unshown("a", service(source), &shown).into_iter().map(|breach| breach.rule).collect();
    assert_eq!(missing.len(), 2, "{missing:?}");
    assert!(
        missing[0].contains("full")
            && missing[1].contains("unknown_cat")
            && shown.contains("late")
            && shown.contains("Offer::Held")
    );
}
