//! Who sees an escrow, through each door; and how it looks to readers of linked data.

use comity_tests::{
    cli::ask as command,
    pair::text,
    single::Single,
    wire::{Said, ask},
};
use serde_json::{Value, json};

const LINKED: (&str, &str) = ("accept", "application/ld+json");

/// A custodial agent: id and token.
fn account(node: &Single, name: &str) -> (String, String) {
    let made = command(&node.dir, &["agent", "register", name, "--custodial"]);
    (text(&made, "agent"), text(&made, "token"))
}

fn errand(node: &Single, token: &str, verb: &str, arguments: Value) -> Value {
    let body = json!({ "verb": verb, "arguments": arguments });
    let door = node.api().with_token(token);
    door.post_with_key("/api/v1/custody/errands", &body, Some(verb)).unwrap_or_else(|error| panic!("{verb}: {error}"))
}

fn get(node: &Single, token: &str, path: &str, more: &[(&str, &str)]) -> Said {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(more);
    ask(node.http, "GET", path, &headers, b"")
}

/// `get_escrow_status` of MCP: the JSON of its answer.
fn mcp(node: &Single, token: &str, escrow: &str) -> Value {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "get_escrow_status", "arguments": { "escrow": escrow } } });
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2025-11-25"),
    ];
    let said = ask(node.http, "POST", "/mcp", &headers, call.to_string().as_bytes());
    said.json()["result"]["structuredContent"].clone()
}

struct Traded {
    node: Single,
    payer: (String, String),
    payee: (String, String),
    arbiter: (String, String),
    stranger: (String, String),
    escrow: String,
}

fn traded() -> Traded {
    let node = Single::up();
    let [payer, payee, arbiter, stranger] = ["payer", "payee", "arbiter", "stranger"].map(|name| account(&node, name));
    errand(&node, &payer.1, "claim_faucet", json!({}));
    let terms = json!({ "payee": payee.0, "amount": "0.50", "task": "count words", "on_silence": "refund",
        "arbiter": arbiter.0, "review_minutes": 10 });
    let escrow = text(&errand(&node, &payer.1, "create_escrow", terms), "escrow");
    Traded { node, payer, payee, arbiter, stranger, escrow }
}

#[test]
fn parties_arbiter_and_operator_see_an_escrow_and_to_everybody_else_it_is_unknown() {
    let Traded { node, payer, payee, arbiter, stranger, escrow } = traded();
    let (operator, newcomer) = (node.token("api.token"), node.token("admission.token"));
    let paths = [&escrow[..], &escrow[..12]].map(|id| format!("/api/v1/escrows/{id}"));
    let a2a_se = format!("/a2a-se/v1/exchange/escrows/{escrow}");
    for (who, token) in [("payer", &payer.1), ("payee", &payee.1), ("arbiter", &arbiter.1), ("operator", &operator)] {
        for more in [&[][..], &[LINKED]] {
            assert!(paths.iter().all(|path| get(&node, token, path, more).status == 200), "{who}");
        }
        assert_eq!(mcp(&node, token, &escrow)["escrow"], escrow.as_str(), "{who}");
        let said = get(&node, token, &a2a_se, &[]);
        assert_eq!((said.status, &said.json()["id"]), (200, &json!(escrow)), "{who}: {said:?}");
    }
    for (who, token) in [("a stranger", &stranger.1), ("a newcomer", &newcomer)] {
        for more in [&[][..], &[LINKED]] {
            for path in &paths {
                assert_eq!(get(&node, token, path, more).refusal(), (404, "unknown_escrow".to_owned()), "{who} {path}");
            }
        }
        assert_eq!(mcp(&node, token, &escrow)["code"], "unknown_escrow", "{who}");
        let said = get(&node, token, &a2a_se, &[]);
        assert_eq!((said.status, &said.json()["error"]["code"]), (404, &json!("ESCROW_NOT_FOUND")), "{who}: {said:?}");
    }
    // What others trade is not listed either.
    let list = |token: &str| get(&node, token, &format!("/api/v1/escrows?agent={}", payer.0), &[]);
    for token in [&payer.1, &operator] {
        assert_eq!(list(token).json()["escrows"][0]["escrow"], escrow.as_str());
    }
    for token in [&stranger.1, &payee.1, &newcomer] {
        assert_eq!(list(token).refusal(), (403, "not_this_agent".to_owned()));
    }
}

#[test]
fn an_escrow_is_linked_data_for_those_who_ask_for_it_and_its_money_is_text() {
    let Traded { node, payer, payee, arbiter, escrow, .. } = traded();
    let path = format!("/api/v1/escrows/{escrow}");
    let plain = get(&node, &payer.1, &path, &[("accept", "application/json")]);
    assert_eq!((plain.header("content-type"), plain.header("vary")), ("application/json", "accept"));
    let said = get(&node, &payer.1, &path, &[LINKED]);
    assert_eq!((said.header("content-type"), said.header("vary")), ("application/ld+json", "accept"));
    let linked = said.json();
    let context = format!("http://{}/api/v1/contexts/escrow", node.http);
    assert_eq!((&linked["@context"], &linked["id"]), (&json!(context), &json!(format!("urn:comity:escrow:{escrow}"))));
    assert_eq!(linked["amount"]["minorUnits"], "500000");
    assert_eq!(linked["payer"], format!("urn:comity:agent:{}", payer.0));
    assert_eq!(linked["payees"][0]["agent"], format!("urn:comity:agent:{}", payee.0));
    assert_eq!(linked["arbiter"]["agent"], format!("urn:comity:agent:{}", arbiter.0));
    // Whatever it says, its context explains; without a token, and for nothing when it is known.
    let said = ask(node.http, "GET", "/api/v1/contexts/escrow", &[], b"");
    assert_eq!((said.status, said.header("content-type")), (200, "application/ld+json"));
    let terms = said.json()["@context"].clone();
    let mut open = vec![&linked];
    while let Some(value) = open.pop() {
        if let Some(members) = value.as_object() {
            assert!(
                members.keys().all(|name| name == "@context" || terms[name].is_string() || terms[name].is_object())
            );
        }
        open.extend(value.as_object().into_iter().flat_map(|members| members.values()));
        open.extend(value.as_array().into_iter().flatten());
    }
    let known = ask(node.http, "GET", "/api/v1/contexts/escrow", &[("if-none-match", said.header("etag"))], b"");
    assert_eq!(known.status, 304);
}

#[test]
fn amounts_in_the_event_log_are_text() {
    let Traded { node, .. } = traded();
    let events: Value = node.api().get("/api/v1/ledger/events?last=1000").expect("events");
    let all = events["events"].as_array().expect("a list");
    let of = |name: &str| all.iter().find_map(|event| event["what"].get(name)).unwrap_or_else(|| panic!("{name}"));
    assert_eq!(of("EscrowLocked")["terms"]["amount"], "500000");
    assert!(of("AssetKnown")["supply_cap"].is_string(), "{}", of("AssetKnown"));
    assert!(of("AssetKnown")["scale"].is_u64(), "what is no money stays a number");
}
