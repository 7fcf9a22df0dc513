//! What no file may contain: marks of unfinished work, tests that do not run, paths of one machine, words from outside
//! the product.

use crate::tokens::{attribute, each, inner, is_punct, lex, line_of};
use crate::tree::{Breach, Tree, found_at, none, workspace_root};
use proc_macro2::{TokenStream, TokenTree};
use std::path::Path;

/// Macros that stand where code should be.
const UNFINISHED: [&str; 2] = ["todo", "unimplemented"];
/// Comments that promise code. Split so that this list does not find itself.
const PROMISES: [&str; 2] = [concat!("FIX", "ME"), concat!("XX", "X")];
/// Words that belong to how people work on the product, not to the product.
const FOREIGN: [&str; 7] = [
    concat!("farm-", "bench"),
    concat!("farm-", "studio"),
    concat!("sub", "agent"),
    concat!("before-", "stop"),
    concat!("the ", "session"),
    concat!("this ", "session"),
    concat!("C", "EO"),
];

fn unfinished(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in tree.rust() {
        let Ok(tokens) = lex(text) else { continue };
        each(&tokens, &mut |tokens, at| {
            let Some(TokenTree::Ident(name)) = tokens.get(at) else { return };
            if UNFINISHED.iter().any(|mark| name == mark) && is_punct(tokens.get(at + 1), '!') {
                let rule = format!("{name}! stands where code should be");
                breaches.push(Breach::new(
                    path,
                    line_of(&tokens[at]),
                    rule,
                    "write it, or leave the feature out whole",
                ));
            }
        });
        for (number, line) in text.lines().enumerate() {
            if let Some(mark) = PROMISES.iter().find(|mark| line.contains(*mark)) {
                let rule = format!("{mark} promises code that is not there");
                breaches.push(Breach::new(path, number + 1, rule, "mend it now, or open an issue"));
            }
        }
    }
    breaches
}

fn ignored_tests(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in tree.rust() {
        let Ok(tokens) = lex(text) else { continue };
        each(&tokens, &mut |tokens, at| {
            let Some((name, group)) = attribute(tokens, at) else { return };
            let behind_condition = name == "cfg_attr" && mentions(group.stream(), "ignore");
            if name == "ignore" || behind_condition {
                let line = line_of(&tokens[at]);
                breaches.push(Breach::new(path, line, "an ignored test proves nothing", "make it run, or remove it"));
            }
        });
    }
    breaches
}

fn mentions(stream: TokenStream, word: &str) -> bool {
    stream.into_iter().any(|token| match token {
        TokenTree::Ident(name) => name == word,
        TokenTree::Group(group) => inner(&group).into_iter().any(|token| mentions(token.into(), word)),
        _ => false,
    })
}

/// Home folders of people, and the folder that holds this working tree unless it is a general one.
fn machine_paths(tree: &Tree, parent: &str) -> Vec<Breach> {
    let general = ["", "/", "/tmp", "/home", "/opt", "/srv", "/mnt", "/var/tmp", "/usr/src", "/usr/local/src"];
    let mut marks = vec!["/ro".to_owned() + "ot/", "/Us".to_owned() + "ers/", "C:\\Us".to_owned() + "ers\\"];
    if !general.contains(&parent) {
        marks.push(format!("{parent}/"));
    }
    let mut breaches = Vec::new();
    for (path, text) in &tree.files {
        for (number, line) in text.lines().enumerate() {
            if let Some(mark) = marks.iter().find(|mark| line.contains(mark.as_str())) {
                let rule = format!("{mark} is a path of one machine");
                breaches.push(Breach::new(path, number + 1, rule, "use a relative path or a setting"));
            }
        }
    }
    breaches
}

fn foreign_words(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in &tree.files {
        if path.ends_with(".lock") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = FOREIGN.iter().find(|word| has_word(line, word)) {
                let rule = format!("\"{word}\" does not belong in the product");
                breaches.push(Breach::new(path, number + 1, rule, "say it in the words of the field"));
            }
        }
    }
    breaches
}

/// Whole words, in any case.
fn has_word(line: &str, word: &str) -> bool {
    let (line, word) = (line.to_lowercase(), word.to_lowercase());
    let boundary = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(&word)
        .any(|(at, _)| boundary(line[..at].chars().next_back()) && boundary(line[at + word.len()..].chars().next()))
}

#[test]
fn nothing_is_left_unfinished() {
    none(unfinished(&Tree::workspace()));
}

#[test]
fn no_test_is_ignored() {
    none(ignored_tests(&Tree::workspace()));
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let root = workspace_root();
    let parent = root.canonicalize().ok().as_deref().and_then(Path::parent).map(Path::to_path_buf);
    none(machine_paths(&Tree::workspace(), &parent.unwrap_or_default().to_string_lossy()));
}

#[test]
fn no_file_speaks_of_how_it_was_made() {
    none(foreign_words(&Tree::workspace()));
}

#[test]
fn an_unfinished_mark_is_found_in_code_and_not_in_a_text() {
    let code = format!("fn f() {{\n    {}()\n}}\n", concat!("to", "do!"));
    let text = format!("fn f() -> &'static str {{ \"{}()\" }}", concat!("to", "do!"));
    let comment = format!("// {}: later\nfn f() {{}}", PROMISES[0]);
    let tree = Tree::of(&[("a.rs", &code), ("b.rs", &text), ("c.rs", &comment)]);
    found_at(&unfinished(&tree), &[("a.rs", 2), ("c.rs", 1)]);
}

#[test]
fn an_ignored_test_is_found_also_behind_a_condition() {
    let plain = format!("#[test]\n#[{}]\nfn t() {{}}", "ignore");
    let reason = format!("mod m {{\n#[{} = \"slow\"]\nfn t() {{}} }}", "ignore");
    let behind = format!("#[cfg_attr(miri, {})]\nfn t() {{}}", "ignore");
    let tree = Tree::of(&[("a.rs", &plain), ("b.rs", &reason), ("c.rs", &behind), ("d.rs", "fn ignore() {}")]);
    found_at(&ignored_tests(&tree), &[("a.rs", 2), ("b.rs", 2), ("c.rs", 1)]);
}

#[test]
fn a_machine_path_is_found() {
    let home = format!("cd {}me\n", "/ro".to_owned() + "ot/");
    let tree = Tree::of(&[("README.md", &home), ("a.sh", "ls\ncat /somewhere/here/x\n"), ("b.sh", "cat /etc/hosts")]);
    found_at(&machine_paths(&tree, "/somewhere/here"), &[("README.md", 1), ("a.sh", 2)]);
    found_at(&machine_paths(&tree, "/tmp"), &[("README.md", 1)]);
}

#[test]
fn a_foreign_word_is_found_as_a_whole_word_in_any_case() {
    let found = format!("fine\nsee {}.\n", FOREIGN[5].to_uppercase());
    let fine = format!("{}s and ocean", FOREIGN[5]);
    let tree = Tree::of(&[("a.md", &found), ("b.md", &fine), ("Cargo.lock", &found)]);
    found_at(&foreign_words(&tree), &[("a.md", 2)]);
}
