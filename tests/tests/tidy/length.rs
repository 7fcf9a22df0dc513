//! Sizes a reader can hold: files and functions.

use crate::tokens::{functions, lex};
use crate::tree::{Breach, Tree, found_at, none};

/// Lines of a file of code.
const MAX_FILE_LINES: usize = 500;
/// Lines of a function, from `fn` to its closing brace.
const MAX_FUNCTION_LINES: usize = 70;
/// Followed by a reason, it excuses one file (in its `//!` head) or one function (in a `//` line).
const ESCAPE: &str = "tidy: long because ";

const CODE: [&str; 5] = [".rs", ".proto", ".py", ".sql", ".sh"];

fn long_files(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in &tree.files {
        let code = CODE.iter().any(|end| path.ends_with(end)) || path == ".ci/run";
        let lines = text.lines().count();
        if !code || lines <= MAX_FILE_LINES || text.lines().any(|line| excuses_file(path, line)) {
            continue;
        }
        breaches.push(Breach::new(
            path,
            lines,
            format!("{lines} lines, a file has at most {MAX_FILE_LINES}"),
            "split it by idea, or say `//! tidy: long because <reason>` in its head",
        ));
    }
    breaches
}

fn excuses_file(path: &str, line: &str) -> bool {
    let comment = if path.ends_with(".rs") { line.trim_start().strip_prefix("//!") } else { Some(line) };
    comment.is_some_and(has_reason)
}

/// The escape with at least a few words behind it.
fn has_reason(line: &str) -> bool {
    line.split_once(ESCAPE).is_some_and(|(_, reason)| reason.trim().len() >= 10)
}

fn long_functions(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (path, text) in tree.rust() {
        // A file that is no Rust is reported by `every_source_is_rust`.
        let Ok(tokens) = lex(text) else { continue };
        let lines: Vec<&str> = text.lines().collect();
        for function in functions(&tokens) {
            let length = function.last_line - function.first_line + 1;
            if length <= MAX_FUNCTION_LINES || function_excused(&lines, function.first_line, function.last_line) {
                continue;
            }
            breaches.push(Breach::new(
                path,
                function.first_line,
                format!("fn {} has {length} lines, a function has at most {MAX_FUNCTION_LINES}", function.name),
                "split it by step, or say `// tidy: long because <reason>` inside or right above it",
            ));
        }
    }
    breaches
}

fn function_excused(lines: &[&str], first: usize, last: usize) -> bool {
    let plain = |line: &str| {
        let line = line.trim_start();
        line.starts_with("//") && !line.starts_with("//!") && has_reason(line)
    };
    let above = lines[..first - 1].iter().rev().take_while(|line| {
        let line = line.trim_start();
        line.starts_with("//") || line.starts_with("#[")
    });
    lines[first - 1..last].iter().any(|line| plain(line)) || above.into_iter().any(|line| plain(line))
}

fn unreadable(tree: &Tree) -> Vec<Breach> {
    tree.rust()
        .filter_map(|(path, text)| {
            let (line, reason) = lex(text).err()?;
            Some(Breach::new(path, line, format!("not Rust: {reason}"), "mend the syntax; no other rule could read it"))
        })
        .collect()
}

#[test]
fn every_source_is_rust() {
    none(unreadable(&Tree::workspace()));
}

#[test]
fn every_file_has_at_most_500_lines_or_a_reason() {
    none(long_files(&Tree::workspace()));
}

#[test]
fn every_function_has_at_most_70_lines_or_a_reason() {
    none(long_functions(&Tree::workspace()));
}

#[test]
fn a_file_of_501_lines_is_found_unless_its_head_gives_a_reason() {
    let long = "// line\n".repeat(501);
    let excused = format!("//! tidy: long because the table is one idea\n{long}");
    let no_reason = format!("//! tidy: long because \n{long}");
    let in_function = format!("// tidy: long because the function is long\n{long}");
    let fits = "// line\n".repeat(500);
    let tree = Tree::of(&[
        ("a/long.rs", &long),
        ("a/excused.rs", &excused),
        ("a/no_reason.rs", &no_reason),
        ("a/other.rs", &in_function),
        ("a/fits.rs", &fits),
        ("data.json", &long),
        ("x.proto", &long),
    ]);
    found_at(&long_files(&tree), &[("a/long.rs", 501), ("a/no_reason.rs", 502), ("a/other.rs", 502), ("x.proto", 501)]);
}

#[test]
fn a_function_of_71_lines_is_found_unless_it_gives_a_reason() {
    let body = |lines: usize| format!("{{\n{}}}\n", "    step();\n".repeat(lines - 2));
    let long = format!("struct S;\nfn long() {}", body(71));
    let fits = format!("fn fits() {}", body(70));
    let above = format!("/// Does.\n// tidy: long because it is one table\n#[inline]\nfn above() {}", body(90));
    let inside = format!("fn inside() {}", body(90).replacen("{\n", "{\n// tidy: long because it is one table\n", 1));
    let in_macro = format!("proptest! {{ fn made() {} }}", body(71));
    let tree = Tree::of(&[
        ("a.rs", &long),
        ("b.rs", &fits),
        ("c.rs", &above),
        ("d.rs", &inside),
        ("e.rs", &in_macro),
        ("f.rs", &format!("{above}{long}")),
    ]);
    found_at(&long_functions(&tree), &[("a.rs", 2), ("e.rs", 1), ("f.rs", 95)]);
}

#[test]
fn a_source_with_an_open_brace_is_found() {
    let tree = Tree::of(&[("a.rs", "fn f() {\n"), ("b.rs", "fn f() {}\n")]);
    assert_eq!(unreadable(&tree).len(), 1);
}
