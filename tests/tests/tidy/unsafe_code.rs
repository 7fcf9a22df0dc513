//! `unsafe` stands in one file: where the simulator defines symbols of libc.

use crate::tokens::{each, lex, line_of};
use crate::tree::{Breach, Tree, found_at, none};
use proc_macro2::TokenTree;

/// The only file that may say `unsafe`.
const HOME: &str = "sim/src/symbols.rs";

fn unsafe_elsewhere(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| *path != HOME) {
        let Ok(tokens) = lex(text) else { continue };
        each(&tokens, &mut |tokens, at| {
            if matches!(tokens.get(at), Some(TokenTree::Ident(word)) if word == "unsafe") {
                let rule = format!("unsafe outside of {HOME}");
                breaches.push(Breach::new(
                    path,
                    line_of(&tokens[at]),
                    rule,
                    "do it safely; `rustix` often has the call",
                ));
            }
        });
    }
    breaches
}

/// Libraries say it to the compiler too, which sees through macros.
fn libraries_that_allow_it(tree: &Tree) -> Vec<Breach> {
    let libraries = tree.rust().filter(|(path, _)| path.ends_with("/src/lib.rs"));
    libraries
        .filter(|(_, text)| !text.contains("#![forbid(unsafe_code)]"))
        .map(|(path, _)| {
            Breach::new(path, 1, "a library forbids unsafe code", "put #![forbid(unsafe_code)] at its top")
        })
        .collect()
}

#[test]
fn only_the_symbols_of_libc_are_unsafe() {
    none(unsafe_elsewhere(&Tree::workspace()));
}

#[test]
fn every_library_forbids_unsafe_code() {
    none(libraries_that_allow_it(&Tree::workspace()));
}

#[test]
fn unsafe_code_is_found_but_not_the_word_in_a_text_or_a_lint() {
    let block = "fn f() {\n    unsafe { g() }\n}";
    let tree = Tree::of(&[
        ("sim/src/symbols.rs", block),
        ("sim/src/cli/run.rs", block),
        ("node/src/a.rs", "// unsafe\n#![forbid(unsafe_code)]\nconst A: &str = \"unsafe\";"),
        ("a/tests/b.rs", "macro_rules! m { () => { unsafe fn x() {} } }"),
    ]);
    found_at(&unsafe_elsewhere(&tree), &[("a/tests/b.rs", 1), ("sim/src/cli/run.rs", 2)]);
}

#[test]
fn a_library_that_allows_unsafe_code_is_found() {
    let tree = Tree::of(&[("a/src/lib.rs", "//! Head.\n"), ("b/src/lib.rs", "#![forbid(unsafe_code)]\n")]);
    found_at(&libraries_that_allow_it(&tree), &[("a/src/lib.rs", 1)]);
}
