//! Rust sources as tokens: comments and texts cannot be mistaken for code, and code inside macros counts too.

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};

/// A path such as `tokio::time::sleep`, from an expression or out of a `use` tree, and its line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CodePath {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

/// A function with a body.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) first_line: usize,
    pub(crate) last_line: usize,
}

/// The tokens of a file; `Err` holds line and reason.
pub(crate) fn lex(text: &str) -> Result<Vec<TokenTree>, (usize, String)> {
    let stream: TokenStream = text.parse().map_err(|error: proc_macro2::LexError| {
        let line = error.span().start().line;
        (line, error.to_string())
    })?;
    Ok(stream.into_iter().collect())
}

/// Whether a whole file is test code by its place or name.
pub(crate) fn is_test_file(path: &str) -> bool {
    let in_folder = |folder: &str| path.starts_with(&format!("{folder}/")) || path.contains(&format!("/{folder}/"));
    in_folder("tests") || in_folder("benches") || path.ends_with("_tests.rs") || path.ends_with("/tests.rs")
}

/// The same tokens without items behind `#[cfg(test)]`, at every depth.
pub(crate) fn without_tests(tokens: &[TokenTree]) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_cfg_test(tokens, at) {
            at = item_end(tokens, at + 2);
            continue;
        }
        kept.push(match &tokens[at] {
            TokenTree::Group(group) => TokenTree::Group(rebuilt(group)),
            other => other.clone(),
        });
        at += 1;
    }
    kept
}

fn rebuilt(group: &Group) -> Group {
    let inner: TokenStream = without_tests(&inner(group)).into_iter().collect();
    let mut made = Group::new(group.delimiter(), inner);
    made.set_span(group.span());
    made
}

/// The tokens inside a group.
pub(crate) fn inner(group: &Group) -> Vec<TokenTree> {
    group.stream().into_iter().collect()
}

/// `#` `[cfg(.. test ..)]` at this place, unless it says `not(test)`.
fn is_cfg_test(tokens: &[TokenTree], at: usize) -> bool {
    let Some((name, group)) = attribute(tokens, at) else { return false };
    if name != "cfg" {
        return false;
    }
    let text = group.stream().to_string().replace(' ', "");
    text.contains("test") && !text.contains("not(test")
}

/// Name and brackets of an outer attribute at this place.
pub(crate) fn attribute(tokens: &[TokenTree], at: usize) -> Option<(String, Group)> {
    if !is_punct(tokens.get(at), '#') {
        return None;
    }
    let Some(TokenTree::Group(group)) = tokens.get(at + 1) else { return None };
    if group.delimiter() != Delimiter::Bracket {
        return None;
    }
    match inner(group).first() {
        Some(TokenTree::Ident(name)) => Some((name.to_string(), group.clone())),
        _ => None,
    }
}

/// The place behind the item that starts at `at`: behind its first `;` or `{..}` outside of its attributes.
fn item_end(tokens: &[TokenTree], mut at: usize) -> usize {
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Punct(p) if p.as_char() == ';' => return at + 1,
            TokenTree::Group(g) if g.delimiter() == Delimiter::Brace => return at + 1,
            _ => at += 1,
        }
    }
    at
}

pub(crate) fn is_punct(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == wanted)
}

fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':' && p.spacing() == Spacing::Joint)
        && is_punct(tokens.get(at + 1), ':')
}

pub(crate) fn line_of(token: &TokenTree) -> usize {
    token.span().start().line
}

/// Every path of the code, `use` trees unfolded. A glob ends in `*`.
pub(crate) fn paths(tokens: &[TokenTree]) -> Vec<CodePath> {
    let mut found = Vec::new();
    collect_paths(tokens, &[], &mut found);
    found
}

fn collect_paths(tokens: &[TokenTree], prefix: &[String], found: &mut Vec<CodePath>) {
    let mut at = 0;
    let mut prefix_now: &[String] = prefix;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(_) => {
                at = one_path(tokens, at, prefix_now, found);
                // In a `use` tree the prefix holds for the first path of each element; `as` names follow it.
                prefix_now = &[];
            }
            TokenTree::Group(group) => {
                collect_paths(&inner(group), &[], found);
                at += 1;
            }
            TokenTree::Punct(p) => {
                if p.as_char() == ',' {
                    prefix_now = prefix;
                }
                if p.as_char() == '*' && !prefix_now.is_empty() {
                    found.push(path_of(prefix_now, &["*".to_owned()], line_of(&tokens[at])));
                }
                at += 1;
            }
            TokenTree::Literal(_) => at += 1,
        }
    }
}

/// Reads the path that starts at an identifier; returns the place behind it.
fn one_path(tokens: &[TokenTree], mut at: usize, prefix: &[String], found: &mut Vec<CodePath>) -> usize {
    let line = line_of(&tokens[at]);
    let mut segments = vec![tokens[at].to_string()];
    at += 1;
    while is_path_separator(tokens, at) {
        match tokens.get(at + 2) {
            Some(TokenTree::Ident(name)) => {
                segments.push(name.to_string());
                at += 3;
            }
            Some(TokenTree::Punct(p)) if p.as_char() == '*' => {
                segments.push("*".to_owned());
                at += 3;
                break;
            }
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let whole: Vec<String> = prefix.iter().cloned().chain(segments.iter().cloned()).collect();
                collect_paths(&inner(group), &whole, found);
                return at + 3;
            }
            _ => break,
        }
    }
    found.push(path_of(prefix, &segments, line));
    at
}

fn path_of(prefix: &[String], segments: &[String], line: usize) -> CodePath {
    let mut all: Vec<String> = prefix.iter().chain(segments).cloned().collect();
    if all.len() > 1 && all.last().is_some_and(|last| last == "self") {
        all.pop();
    }
    CodePath { segments: all, line }
}

/// Every function with a body, also methods, nested ones and those inside macros.
pub(crate) fn functions(tokens: &[TokenTree]) -> Vec<Function> {
    let mut found = Vec::new();
    collect_functions(tokens, &mut found);
    found
}

fn collect_functions(tokens: &[TokenTree], found: &mut Vec<Function>) {
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => collect_functions(&inner(group), found),
            TokenTree::Ident(word) if word == "fn" => {
                if let (Some(TokenTree::Ident(name)), Some(body)) = (tokens.get(at + 1), body_of(&tokens[at..])) {
                    let last_line = body.span_close().end().line;
                    found.push(Function { name: name.to_string(), first_line: line_of(token), last_line });
                }
            }
            _ => {}
        }
    }
}

fn body_of(tokens: &[TokenTree]) -> Option<&Group> {
    for token in tokens {
        match token {
            TokenTree::Punct(p) if p.as_char() == ';' => return None,
            TokenTree::Group(g) if g.delimiter() == Delimiter::Brace => return Some(g),
            _ => {}
        }
    }
    None
}

/// Calls `visit` with every slice position, at every depth.
pub(crate) fn each(tokens: &[TokenTree], visit: &mut impl FnMut(&[TokenTree], usize)) {
    for at in 0..tokens.len() {
        visit(tokens, at);
        if let TokenTree::Group(group) = &tokens[at] {
            each(&inner(group), visit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_texts(code: &str) -> Vec<String> {
        let tokens = lex(code).expect("the example is Rust");
        paths(&tokens).iter().filter(|p| p.segments.len() > 1).map(|p| p.segments.join("::")).collect()
    }

    #[test]
    fn use_trees_unfold_and_expressions_count() {
        assert_eq!(
            path_texts("use tokio::{sync::mpsc, time::{self, sleep as nap}}; fn f() { std::fs::read(\"std::net\"); }"),
            ["tokio::sync::mpsc", "tokio::time", "tokio::time::sleep", "std::fs::read"]
        );
        assert_eq!(path_texts("use tokio::{fs::*, *}; // tokio::spawn"), ["tokio::fs::*", "tokio::*"]);
        assert_eq!(path_texts("m! { x, libp2p::Swarm }"), ["libp2p::Swarm"]);
    }

    #[test]
    fn test_items_are_left_out_at_every_depth() {
        let tokens = lex("mod a { #[cfg(test)] #[allow(x)] mod t { use std::fs::read; } fn g() { q::r(); } }").unwrap();
        let kept: Vec<String> = paths(&without_tests(&tokens)).iter().map(|p| p.segments.join("::")).collect();
        assert!(kept.contains(&"q::r".to_owned()) && !kept.iter().any(|p| p.starts_with("std")), "{kept:?}");
        let kept = without_tests(&lex("#[cfg(not(test))] use a::b;").unwrap());
        assert_eq!(kept.len(), lex("#[cfg(not(test))] use a::b;").unwrap().len());
    }

    #[test]
    fn functions_know_their_lines() {
        let code = "trait T { fn none(); }\nimpl T for X {\n  fn one() {\n    let a = \"}\";\n  }\n}\n";
        let tokens = lex(code).unwrap();
        let found = functions(&tokens);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].name.as_str(), found[0].first_line, found[0].last_line), ("one", 3, 5));
    }
}
