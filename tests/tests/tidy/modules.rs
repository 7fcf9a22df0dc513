//! No file lies around unread: every Rust source is reached by `mod` declarations from a target of some package.

use crate::tokens::{attribute, inner, is_punct, lex, line_of};
use crate::tree::{Breach, Tree, found_at, metadata, none, workspace_root};
use proc_macro2::{Delimiter, TokenTree};
use std::{collections::BTreeSet, path::Path};

/// Paths of all targets (libraries, binaries, tests, benches, build scripts) from the workspace's root.
fn target_files() -> Vec<String> {
    let root = workspace_root();
    let mut files = Vec::new();
    for package in metadata()["packages"].as_array().into_iter().flatten() {
        for target in package["targets"].as_array().into_iter().flatten() {
            let path = Path::new(target["src_path"].as_str().unwrap_or_default());
            let root = root.canonicalize().unwrap_or_else(|_| root.clone());
            if let Ok(inside) = path.strip_prefix(&root) {
                files.push(inside.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    assert!(files.len() >= 6, "cargo knows too few targets: {files:?}");
    files
}

fn undeclared(tree: &Tree, roots: &[String]) -> Vec<Breach> {
    let mut reached: BTreeSet<String> = BTreeSet::new();
    for root in roots {
        reach(tree, root, true, &mut reached);
    }
    tree.rust()
        .filter(|(path, _)| !reached.contains(*path))
        .map(|(path, _)| {
            Breach::new(path, 0, "no `mod` declares this file, so nobody compiles it", "declare it or delete it")
        })
        .collect()
}

fn reach(tree: &Tree, file: &str, is_root: bool, reached: &mut BTreeSet<String>) {
    if !reached.insert(file.to_owned()) {
        return;
    }
    let Some(Ok(tokens)) = tree.files.get(file).map(|text| lex(text)) else { return };
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    let owns_folder = is_root || name == "mod.rs";
    let inside = if owns_folder { folder.to_owned() } else { joined(folder, name.trim_end_matches(".rs")) };
    declared(tree, &tokens, folder, &inside, reached);
}

/// Follows `mod name;`, `#[path = ".."] mod name;`, inline modules and `include!("..")`.
///
/// `beside` is the folder of the file itself, `inside` the folder of its modules.
fn declared(tree: &Tree, tokens: &[TokenTree], beside: &str, inside: &str, reached: &mut BTreeSet<String>) {
    let mut path_attribute: Option<String> = None;
    for at in 0..tokens.len() {
        if let Some((name, group)) = attribute(tokens, at) {
            if name == "path" {
                path_attribute = literal(&inner(&group));
            }
            continue;
        }
        match &tokens[at] {
            TokenTree::Ident(word) if word == "mod" => {
                let name = tokens.get(at + 1).map(ToString::to_string).unwrap_or_default();
                let path = path_attribute.take();
                match tokens.get(at + 2) {
                    Some(TokenTree::Group(body)) if body.delimiter() == Delimiter::Brace => {
                        let deeper = joined(inside, &name);
                        declared(tree, &inner(body), &deeper, &deeper, reached);
                    }
                    token if is_punct(token, ';') => follow(tree, beside, inside, &name, path, reached),
                    _ => {}
                }
            }
            TokenTree::Ident(word) if word == "include" && is_punct(tokens.get(at + 1), '!') => {
                if let Some(TokenTree::Group(argument)) = tokens.get(at + 2)
                    && let Some(path) = literal(&inner(argument))
                {
                    reach(tree, &joined(beside, &path), true, reached);
                }
            }
            _ => {}
        }
    }
}

fn follow(tree: &Tree, beside: &str, inside: &str, name: &str, path: Option<String>, reached: &mut BTreeSet<String>) {
    if let Some(path) = path {
        // A file named by `#[path]` looks for its own modules beside itself.
        return reach(tree, &joined(beside, &path), true, reached);
    }
    let flat = joined(inside, &format!("{name}.rs"));
    let nested = joined(inside, &format!("{name}/mod.rs"));
    let file = if tree.files.contains_key(&flat) { flat } else { nested };
    reach(tree, &file, false, reached);
}

/// The first text in these tokens, without its quotes.
fn literal(tokens: &[TokenTree]) -> Option<String> {
    tokens.iter().find_map(|token| match token {
        TokenTree::Literal(text) => text.to_string().strip_prefix('"')?.strip_suffix('"').map(str::to_owned),
        _ => None,
    })
}

/// Joins two paths and resolves `..`.
fn joined(folder: &str, name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// `extern crate std` in a core crate and a missing `no_std` both let the world in.
fn cores_with_std(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in tree.rust() {
        if !(path.starts_with("proto/src/") || path.starts_with("consensus/ledger/src/")) {
            continue;
        }
        let Ok(tokens) = lex(text) else { continue };
        let kept = crate::tokens::without_tests(&tokens);
        crate::tokens::each(&kept, &mut |tokens, at| {
            let word = |offset: usize| tokens.get(at + offset).map(ToString::to_string).unwrap_or_default();
            if word(0) == "extern" && word(1) == "crate" && word(2) == "std" {
                let line = line_of(&tokens[at]);
                breaches.push(Breach::new(path, line, "extern crate std defeats no_std", "use core and alloc"));
            }
        });
        let head = text.replace(' ', "");
        if path.ends_with("/lib.rs") && !head.contains("#![no_std]") && !head.contains("#![cfg_attr(not(test),no_std)]")
        {
            breaches.push(Breach::new(path, 1, "a core crate is no_std", "put #![no_std] at the top"));
        }
    }
    breaches
}

#[test]
fn every_source_file_is_declared_as_a_module() {
    none(undeclared(&Tree::workspace(), &target_files()));
}

#[test]
fn the_core_is_no_std() {
    none(cores_with_std(&Tree::workspace()));
}

#[test]
fn a_file_that_nobody_declares_is_found() {
    let tree = Tree::of(&[
        ("a/src/lib.rs", "pub mod one;\nmod two { mod deep; }\n#[cfg(test)]\n#[path = \"odd_tests.rs\"]\nmod tests;"),
        ("a/src/one.rs", "mod leaf;"),
        ("a/src/one/leaf.rs", ""),
        ("a/src/two/deep.rs", ""),
        ("a/src/odd_tests.rs", "mod beside;"),
        ("a/src/beside.rs", ""),
        ("a/src/leaf.rs", ""),
        ("a/src/lost.rs", "// mod lost;"),
    ]);
    found_at(&undeclared(&tree, &["a/src/lib.rs".into()]), &[("a/src/leaf.rs", 0), ("a/src/lost.rs", 0)]);
}

#[test]
fn a_core_that_lets_std_in_is_found() {
    let tree = Tree::of(&[
        ("proto/src/lib.rs", "#![no_std]\n#[cfg(test)]\nextern crate std;"),
        ("proto/src/a.rs", "mod m {\n    extern crate std;\n}"),
        ("consensus/ledger/src/lib.rs", "//! Head.\nextern crate alloc;"),
        ("node/src/lib.rs", "extern crate std;"),
    ]);
    found_at(&cores_with_std(&tree), &[("consensus/ledger/src/lib.rs", 1), ("proto/src/a.rs", 2)]);
}
