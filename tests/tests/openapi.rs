//! The description of the native API: whole, true to the routes, cheap to poll, and a page that needs nothing from
//! anywhere else.

use comity_tests::{single::Single, wire::ask};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, fs, path::Path};

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// Every text in the sources of the door that is the address of a route.
fn routes_in_sources() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node/src/http");
    let mut found = BTreeSet::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).expect("a source");
                let texts = text.split("\"/api/v1/").skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(texts.filter(|rest| !rest.is_empty()).map(|rest| format!("/api/v1/{rest}")));
                // The one route of it that stands where every scraper looks.
                found.extend(text.contains("path = \"/metrics\"").then(|| "/metrics".to_owned()));
            }
        }
    }
    found
}

fn described(node: &Single) -> Value {
    let said = ask(node.http, "GET", "/api/v1/openapi.json", &[], b"");
    assert_eq!((said.status, said.header("content-type")), (200, "application/json"));
    said.json()
}

/// Path, method, operation.
fn operations(document: &Value) -> Vec<(&String, &String, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let all = paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path, method, operation))
    });
    all.filter(|(_, method, _)| METHODS.contains(&method.as_str())).collect()
}

/// The address with something in place of each name in braces.
fn concrete(path: &str) -> String {
    let piece = |piece: &str| if piece.starts_with('{') { "x".to_owned() } else { piece.to_owned() };
    path.split('/').map(piece).collect::<Vec<_>>().join("/")
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    let node = Single::up();
    let document = described(&node);
    assert_eq!(document["openapi"], "3.1.0");
    let paths: BTreeSet<String> = document["paths"].as_object().expect("paths").keys().cloned().collect();
    assert_eq!(paths, routes_in_sources());
    for (path, method, _) in operations(&document) {
        let method = method.to_uppercase();
        // Nobody without a token: who is known is asked before anything else, so nothing happens.
        let said = ask(node.http, &method, &concrete(path), &[], b"");
        assert!(said.status != 405 && said.refusal().1 != "unknown_route", "{method} {path}: {said:?}");
    }
    for (path, item) in document["paths"].as_object().expect("paths") {
        let known: Vec<String> = item.as_object().expect("methods").keys().map(|name| name.to_uppercase()).collect();
        for method in METHODS.map(str::to_uppercase) {
            if known.contains(&method) {
                continue;
            }
            let said = ask(node.http, &method, &concrete(path), &[], b"");
            assert_eq!(said.refusal(), (405, "method_not_allowed".to_owned()), "{method} {path}");
            let allowed = said.header("allow");
            assert!(known.iter().all(|name| allowed.contains(name.as_str())), "{method} {path}: {allowed}");
        }
    }
}

#[test]
fn each_operation_says_who_may_what_comes_and_how_it_is_refused() {
    let node = Single::up();
    let document = described(&node);
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let name = format!("{method} {path}");
        assert!(ids.insert(operation["operationId"].to_string()), "{name}: the id stands twice");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{name}: no summary");
        let empty = Map::new();
        let responses = operation["responses"].as_object().unwrap_or(&empty);
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name}: no answer");
        assert!(responses.contains_key("500"), "{name}: no refusal");
        for (status, response) in responses {
            let response = match response["$ref"].as_str() {
                Some(reference) => document.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference}")),
                None => response,
            };
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{name} {status}");
            let is_problem = response["content"]["application/problem+json"].is_object();
            assert_eq!(is_problem, status.as_str() >= "400", "{name} {status}");
        }
        let security = operation.get("security").unwrap_or(&document["security"]);
        let is_open = security.as_array().expect("security").iter().any(|one| *one == serde_json::json!({}));
        assert_eq!(responses.contains_key("401"), !is_open || method == "post", "{name}");
        for place in path.split(['{', '}']).skip(1).step_by(2) {
            let known = operation["parameters"].as_array().into_iter().flatten().find(|one| one["name"] == place);
            let about = known.map(|one| one["description"].as_str().unwrap_or_default()).unwrap_or_default();
            assert!(!about.is_empty(), "{name}: {place}");
        }
    }
    // Whatever is referred to is there.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
}

#[test]
fn types_with_one_name_would_hide_each_other() {
    let mut names = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../node/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            let mut lines = text.lines();
            while let Some(line) = lines.next() {
                if !(line.starts_with("#[derive(") && line.contains("ToSchema")) {
                    continue;
                }
                let mut name = String::new();
                for line in lines.by_ref() {
                    if let Some(other) = line.strip_prefix("#[schema(as = ") {
                        name = other.trim_end_matches(")]").to_owned();
                    } else if let Some((_, rest)) = line.split_once("struct ").or_else(|| line.split_once("enum ")) {
                        let own = rest.split([' ', '(', ';', '<']).next().unwrap_or_default();
                        name = if name.is_empty() { own.to_owned() } else { name };
                        break;
                    }
                }
                assert!(names.insert(name.clone()), "{}: a second `{name}`", path.display());
            }
        }
    }
    assert!(names.len() > 100, "{names:?}");
}

#[test]
fn an_unchanged_description_is_a_304_and_the_page_lets_nothing_else_in() {
    let node = Single::up();
    let first = ask(node.http, "GET", "/api/v1/openapi.json", &[], b"");
    let tag = first.header("etag");
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 20, "{tag}");
    for (known, status) in [(tag, 304), ("\"other\", *", 304), ("\"other\"", 200)] {
        let again = ask(node.http, "GET", "/api/v1/openapi.json", &[("if-none-match", known)], b"");
        assert_eq!((again.status, again.header("etag")), (status, tag), "{known}");
        assert_eq!(again.body.is_empty(), status == 304);
    }
    let page = ask(node.http, "GET", "/api/v1/docs", &[], b"");
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    let text = String::from_utf8(page.body).expect("text");
    for outside in ["http://", "https://", "//cdn", "@import", "src="] {
        assert!(!text.contains(outside), "{outside}");
    }
    for needed in ["<html lang=\"en\">", "<label for=\"search\">", "<noscript>", "<main", "<title>"] {
        assert!(text.contains(needed), "{needed}");
    }
}
