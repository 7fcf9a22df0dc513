//! What a client that is broken or hostile puts on the wire: each kind is refused by name, and the node serves on.

use super::books;
use comity_node::http::BODY_BYTES_MAX;
use comity_tests::{
    single::Single,
    wire::{Said, Wire, ask},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

const JSON: (&str, &str) = ("content-type", "application/json");

fn post(node: &Single, path: &str, token: &str, body: &[u8]) -> Said {
    ask(node.http, "POST", path, &[JSON, ("authorization", &format!("Bearer {token}"))], body)
}

#[test]
fn json_that_two_readers_could_read_apart_is_refused_before_anybody_looks_for_meaning() {
    let node = Single::up();
    let (token, before) = (node.token("api.token"), books(&node));
    let deep = format!("{}1{}", "[".repeat(3_000), "]".repeat(3_000));
    let deep_objects = format!("{}1{}", "{\"hours\":".repeat(3_000), "}".repeat(3_000));
    let table = [
        (deep.as_str(), "too_deep"),
        (&deep_objects, "too_deep"),
        ("{\"hours\":1,\"hours\":2}", "duplicate_key"),
        ("{\"hours\":9007199254740993}", "bad_number"),
        ("{\"hours\":1e400}", "bad_json"),
        ("{\"hours\":1.5}", "bad_number"),
        ("{\"hours\":-1}", "bad_json"),
        ("{\"hours\":1}x", "bad_json"),
        ("{\"hours\":\"\u{fffd}", "bad_json"),
        ("[]", "bad_json"),
        ("", "bad_json"),
    ];
    for (body, code) in table {
        let said = post(&node, "/api/v1/join-tokens", &token, body.as_bytes());
        assert_eq!(said.refusal(), (400, code.to_owned()), "{}", &body[..body.len().min(40)]);
        assert_eq!((said.header("content-type"), &said.json()["changed"]), ("application/problem+json", &"no".into()));
    }
    let not_text = post(&node, "/api/v1/join-tokens", &token, b"{\"hours\":\"\xff\"}");
    assert_eq!(not_text.refusal(), (400, "bad_json".to_owned()));
    assert_eq!(books(&node), before);
}

#[test]
fn what_is_wrong_in_an_address_is_refused_as_a_problem_too() {
    let node = Single::up();
    let token = format!("Bearer {}", node.token("api.token"));
    for (path, code) in [
        ("/api/v1/agents/%ff", "bad_path"),
        ("/api/v1/ledger/events?last=x", "bad_query"),
        ("/api/v1/ledger/leaves", "bad_query"),
        ("/api/v1/escrows?agent=cm1x", "bad_agent_id"),
    ] {
        let said = ask(node.http, "GET", path, &[("authorization", &token)], b"");
        assert_eq!(said.refusal(), (400, code.to_owned()), "{path}");
        assert_eq!(said.header("content-type"), "application/problem+json", "{path}");
    }
}

#[test]
fn a_body_that_never_ends_is_not_read_for_ever() {
    let node = Single::up();
    let token = format!("Bearer {}", node.token("api.token"));
    let headers = [JSON, ("authorization", &token), ("transfer-encoding", "chunked")];
    // Fast: refused at the limit of its length.
    let mut fast = Wire::to(node.http);
    fast.head("POST", "/api/v1/join-tokens", &headers);
    let piece = [b"4000\r\n".as_slice(), &[b' '; 0x4000], b"\r\n"].concat();
    let sent = (0..4 * BODY_BYTES_MAX / 0x4000).take_while(|_| fast.send(&piece)).count();
    let said = fast.answer();
    assert!(sent >= BODY_BYTES_MAX / 0x4000, "{sent}");
    // A door that closes while bytes are under way may lose its own last words.
    assert!(said.is_none_or(|said| said.refusal() == (413, "body_too_large".to_owned())));
    // Slow: refused after a while, though it never sends too much.
    let mut slow = Wire::to(node.http);
    slow.head("POST", "/api/v1/join-tokens", &headers);
    let began = Instant::now();
    slow.send(b"1\r\n{\r\n");
    let said = slow.answer().expect("an answer");
    assert_eq!(said.refusal(), (400, "body_too_slow".to_owned()));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[test]
fn ten_thousand_silent_connections_keep_nobody_out() {
    let node = Single::up();
    let token = format!("Bearer {}", node.token("api.token"));
    let headers = [("authorization", token.as_str())];
    // More than there are places, fewer than a process may commonly have open.
    let window = 700;
    let mut silent: VecDeque<Wire> = VecDeque::new();
    for count in 0..10_000 {
        let mut wire = Wire::to(node.http);
        // Some have asked once and could ask again; others never say a word.
        if count < window {
            let began = Instant::now();
            wire.head("GET", "/api/v1/id", &headers);
            assert_eq!(wire.answer().map(|said| said.status), Some(200), "the {count}th");
            // Sooner than silence alone lets anybody go.
            assert!(began.elapsed() < Duration::from_secs(60), "the {count}th: {:?}", began.elapsed());
        }
        silent.push_back(wire);
        if silent.len() > window {
            assert!(silent.pop_front().is_some_and(|mut first| first.is_closed()), "{count}: the first made no room");
        }
        if count % 1_000 == 999 {
            assert_eq!(ask(node.http, "GET", "/api/v1/id", &headers, b"").status, 200, "after {count}");
        }
    }
    // Nobody needs their places now, and they lose them all the same.
    assert!(silent.iter_mut().all(Wire::is_closed));
}

#[test]
fn a_page_of_others_gets_nowhere_and_a_token_in_an_address_is_none() {
    let node = Single::up();
    let (host, token) = (node.http.to_string(), node.token("api.token"));
    let bearer = format!("Bearer {token}");
    let own = format!("http://{host}");
    let table = [
        ("no page", host.as_str(), None, Ok(())),
        ("another name, and no page", "node.example:7400", None, Ok(())),
        ("its own page", &host, Some(own.as_str()), Ok(())),
        ("a page of others", &host, Some("https://evil.example"), Err("wrong_origin")),
        ("a page of nowhere", &host, Some("null"), Err("wrong_origin")),
        ("a page under a borrowed name", "evil.example", Some("http://evil.example"), Err("wrong_host")),
    ];
    for (what, host, origin, expected) in table {
        let mut headers = vec![("host", host), ("authorization", &bearer)];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let said = ask(node.http, "GET", "/api/v1/status", &headers, b"");
        match expected {
            Ok(()) => assert_eq!(said.status, 200, "{what}"),
            Err(code) => assert_eq!(said.refusal(), (403, code.to_owned()), "{what}"),
        }
    }
    for name in ["token", "access_token", "authorization"] {
        let said = ask(node.http, "GET", &format!("/api/v1/status?{name}={token}"), &[], b"");
        assert_eq!(said.refusal(), (401, "bad_token".to_owned()), "{name}");
        assert!(!String::from_utf8_lossy(&said.body).contains(&token), "{name}: the token is told again");
    }
    let process = node.process.as_ref().expect("it runs");
    assert!(!process.said().contains(&token), "the token stands in what the node says");
}
