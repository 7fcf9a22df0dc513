//! The agent-settlement door without any courtesy: what it refuses, in the protocol's own envelope, and that nothing changed
//! then. Whole lives are the published client's (`cargo clients`).

use comity_tests::{exchange::Exchange, pair::text};
use serde_json::{Value, json};

/// The envelope's status, code and the node's own rule.
fn refused(exchange: &Exchange, token: &str, key: Option<&str>, path: &str, body: Value) -> (u16, String, String) {
    let back = exchange.call(token, key, "POST", path, &body);
    let (status, code, rule) = back.refusal();
    (status, code.to_owned(), rule.to_owned())
}

fn is(found: &(u16, String, String)) -> (u16, &str, &str) {
    (found.0, &found.1, &found.2)
}

fn held(exchange: &Exchange, token: &str) -> (u64, u64) {
    let back = exchange.call(token, None, "GET", "exchange/balance", &Value::Null);
    let number = |name: &str| back.body[name].as_u64().unwrap_or_else(|| panic!("no {name}: {back:?}"));
    (number("available"), number("held_in_escrow"))
}

#[test]
fn a_request_of_another_page_without_a_token_or_wrongly_signed_is_refused() {
    let exchange = Exchange::open();
    let (_, token) = exchange.account("alice");
    let bearer = format!("Bearer {token}");
    let own = ("authorization", bearer.as_str());
    let ask = |path: &str, headers: &[(&str, &str)]| exchange.send("GET", path, headers, b"");
    for path in ["v1/exchange/balance", "api/v1/exchange/balance"] {
        let back = ask(path, &[own, ("x-request-id", "req_mine")]);
        assert_eq!((back.status, back.id.as_str()), (200, "req_mine"), "{back:?}");
    }
    assert!(ask("v1/exchange/balance", &[own]).id.starts_with("req_"), "an id is made where none was sent");
    let well = ask("health", &[]);
    assert_eq!((well.status, &well.body["status"]), (200, &json!("ok")), "{well:?}");
    let unknown = format!("Bearer {}", "f".repeat(64));
    for headers in [&[][..], &[("authorization", unknown.as_str())], &[("authorization", "Basic abc")]] {
        for path in ["v1/exchange/balance", "v1/accounts/directory", "v1/no/such/path", "v1/stats"] {
            assert_eq!(ask(path, headers).refusal(), (401, "INVALID_API_KEY", "bad_token"), "{path}");
        }
    }
    let page = ask("v1/exchange/balance", &[own, ("origin", "https://evil.example")]);
    assert_eq!(page.refusal(), (403, "NOT_AUTHORIZED", "wrong_origin"));
    let name = ask("v1/exchange/balance", &[own, ("host", "evil.example")]);
    assert_eq!(name.refusal(), (403, "NOT_AUTHORIZED", "wrong_host"));
    let now = (comity_tests::now_ms() / 1_000).to_string();
    for (signature, timestamp) in [("00", now.as_str()), ("", ""), (&"0".repeat(64), "1")] {
        let signed = [own, ("x-a2a-signature", signature), ("x-a2a-timestamp", timestamp)];
        let back = ask("v1/exchange/balance", &signed);
        assert_eq!(back.refusal(), (401, "INVALID_API_KEY", "bad_request_signature"));
    }
    let admission = exchange.node.token("admission.token");
    let back = exchange.call(&admission, None, "GET", "exchange/balance", &Value::Null);
    assert_eq!(back.refusal(), (403, "NOT_AUTHORIZED", "not_an_agent"));
}

#[test]
fn json_that_two_readers_could_read_differently_is_refused() {
    let exchange = Exchange::open();
    let (_, token) = exchange.account("alice");
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let large = format!("\"{}\"", "x".repeat((2 << 20) + 1024));
    let deep = format!("{}{}", "[".repeat(3_000), "]".repeat(3_000));
    let doubled = r#"{"provider_id":"x","amount":1,"amount":2}"#;
    for (body, status, code, rule) in [
        (deep.as_str(), 400, "INVALID_REQUEST", "too_deep"),
        (doubled, 400, "INVALID_REQUEST", "duplicate_key"),
        (r#"{"provider_id":"x","amount":9007199254740992}"#, 400, "INVALID_AMOUNT", "bad_number"),
        (r#"{"provider_id":"x","amount":1.5}"#, 400, "INVALID_AMOUNT", "bad_number"),
        ("{", 400, "INVALID_REQUEST", "not_json"),
        ("", 400, "INVALID_REQUEST", "bad_body"),
        ("[]", 400, "INVALID_REQUEST", "bad_body"),
        (r#"{"provider_id":"x"}"#, 400, "INVALID_REQUEST", "bad_body"),
        (r#"{"provider_id":"x","amount":-1}"#, 400, "INVALID_REQUEST", "bad_body"),
        (r#"{"provider_id":"x","amount":"1"}"#, 400, "INVALID_REQUEST", "bad_body"),
        (r#"{"provider_id":"x","amount":1,"payer":"y"}"#, 400, "INVALID_REQUEST", "bad_body"),
        (large.as_str(), 413, "INVALID_REQUEST", "body_too_large"),
    ] {
        let back = exchange.send("POST", "v1/exchange/escrow", &headers, body.as_bytes());
        assert_eq!(back.refusal(), (status, code, rule), "{}", body.chars().take(80).collect::<String>());
    }
    let plain = [headers[0], ("content-type", "text/plain")];
    let back = exchange.send("POST", "v1/exchange/escrow", &plain, b"{}");
    assert_eq!(back.refusal(), (400, "INVALID_REQUEST", "not_json"));
    assert_eq!(held(&exchange, &token), (1_000_000, 0), "nothing changed");
}

#[test]
fn paths_and_parameters_that_are_none_are_refused() {
    let exchange = Exchange::open();
    let (alice, token) = exchange.account("alice");
    let get = |path: &str| exchange.call(&token, None, "GET", path, &Value::Null);
    for path in ["", "exchange", "exchange/escrow", "accounts/a/b", "exchange/escrows/a/b"] {
        assert_eq!(get(path).refusal(), (404, "NOT_FOUND", "unknown_path"), "{path}");
    }
    let unversioned = format!("Bearer {token}");
    let back = exchange.send("GET", "v2/exchange/balance", &[("authorization", unversioned.as_str())], b"");
    assert_eq!(back.refusal(), (404, "NOT_FOUND", "unknown_path"));
    for query in ["limit=0", "limit=201", "limit=x", "offset=-1", "colour=red", "task=1"] {
        let back = get(&format!("exchange/escrows?{query}"));
        assert_eq!(back.refusal(), (400, "INVALID_REQUEST", "bad_parameter"), "{query}");
    }
    for escrow in ["", "xyz", &"0".repeat(32), &"0".repeat(31)] {
        let back = get(&format!("exchange/escrows/{escrow}"));
        let wanted = if escrow.is_empty() { 200 } else { 404 };
        assert_eq!(back.status, wanted, "{escrow}: {back:?}");
    }
    let known = get(&format!("accounts/{alice}"));
    assert_eq!((known.status, text(&known.body, "bot_name")), (200, "alice".to_owned()), "{known:?}");
    assert_eq!(get("accounts/nobody-at-all").refusal(), (404, "ACCOUNT_NOT_FOUND", "unknown_agent"));
    assert_eq!(get("accounts/directory?skill=A").refusal(), (400, "INVALID_REQUEST", "bad_capability"));
    for (method, path) in [("POST", "exchange/deposit"), ("PUT", "accounts/webhook"), ("GET", "reputation/x")] {
        let back = exchange.call(&token, None, method, path, &json!({}));
        assert_eq!(back.refusal(), (501, "NOT_SUPPORTED", "not_supported"), "{path}");
    }
}

#[test]
fn a_wish_that_cannot_be_granted_costs_nothing() {
    let exchange = Exchange::open();
    let ((alice, token), (bob, _)) = (exchange.account("alice"), exchange.account("bob"));
    let create = |more: Value| {
        let mut body = json!({ "provider_id": bob, "amount": 10 });
        for (name, value) in more.as_object().expect("fields") {
            body[name] = value.clone();
        }
        refused(&exchange, &token, None, "exchange/escrow", body)
    };
    let max = 9_007_199_254_740_991_u64;
    for (more, status, code, rule) in [
        (json!({ "amount": 0 }), 400, "INVALID_AMOUNT", "amount_zero"),
        (json!({ "amount": 1_000_000 }), 400, "INSUFFICIENT_BALANCE", "insufficient_funds"),
        (json!({ "amount": max }), 403, "SPENDING_LIMIT", "spending_limit"),
        (json!({ "provider_id": alice }), 400, "SELF_ESCROW", "self_dealing"),
        (json!({ "provider_id": "nobody" }), 404, "ACCOUNT_NOT_FOUND", "unknown_agent"),
        (json!({ "provider_id": format!("{bob}@nowhere") }), 404, "UNKNOWN_DOMAIN", "unknown_domain"),
        (json!({ "ttl_minutes": 0 }), 400, "DEADLINE_IN_PAST", "deadline_in_past"),
        (json!({ "ttl_minutes": u32::MAX }), 400, "LIMIT_EXCEEDED_TERMS", "limit_exceeded_terms"),
        (json!({ "task_id": "x".repeat(2_000) }), 400, "INVALID_REQUEST", "bad_text"),
        (json!({ "depends_on": ["x"] }), 400, "NOT_SUPPORTED", "not_supported"),
        (json!({ "required_attestation_level": "signed" }), 400, "NOT_SUPPORTED", "not_supported"),
        (json!({ "vi_credential_chain": {} }), 400, "NOT_SUPPORTED", "not_supported"),
    ] {
        let found = create(more.clone());
        assert_eq!(is(&found), (status, code, rule), "{more}");
    }
    let body = json!({ "provider_id": bob, "amount": 10 });
    for key in ["two words", "", &"k".repeat(129)] {
        let found = refused(&exchange, &token, Some(key), "exchange/escrow", body.clone());
        assert_eq!(is(&found), (400, "INVALID_REQUEST", "bad_idempotency_key"), "{key}");
    }
    assert_eq!(held(&exchange, &token), (1_000_000, 0), "nothing changed");
}

#[test]
fn registration_takes_a_token_and_tells_the_account_s_own_once() {
    let exchange = Exchange::open();
    let admission = exchange.node.token("admission.token");
    let body = |name: &str| json!({ "bot_name": name, "developer_id": "d", "developer_name": "d", "contact_email": "d@example.com" });
    let register = |token: &str, key, body: Value| refused(&exchange, token, key, "accounts/register", body);
    let made = exchange.call(&admission, Some("once"), "POST", "accounts/register", &body("Some Bot"));
    assert_eq!((made.status, &made.body["account"]["bot_name"]), (201, &json!("some-bot")), "{made:?}");
    assert_eq!(made.body["starter_tokens"], 1_000_000, "the faucet's grant");
    let again = register(&admission, Some("once"), body("Some Bot"));
    assert_eq!(is(&again), (409, "ACCOUNT_OPENED_BEFORE", "account_opened_before"));
    let other = register(&admission, Some("once"), body("Other Bot"));
    assert_eq!(is(&other), (409, "IDEMPOTENCY_CONFLICT", "idempotency_key_reused"));
    let own = register(&text(&made.body, "api_key"), None, body("Third Bot"));
    assert_eq!(is(&own), (409, "ACCOUNT_OPENED_BEFORE", "account_opened_before"));
    assert_eq!(is(&register(&admission, None, body("\u{e9}"))), (400, "INVALID_REQUEST", "bad_text"));
    let mut skilled = body("Skilled");
    skilled["skills"] = json!(["No Capability!"]);
    assert_eq!(is(&register(&admission, None, skilled)), (400, "INVALID_REQUEST", "bad_text"));
    let mut invited = body("Invited");
    invited["invite_code"] = json!("x");
    assert_eq!(is(&register(&admission, None, invited)), (400, "INVALID_REQUEST", "bad_body"));
}

#[test]
fn an_escrow_is_its_parties_and_disputes_are_its_arbiter_s() {
    let exchange = Exchange::open();
    let ((_, alice), (bob, bobs), (_, carol)) =
        (exchange.account("alice"), exchange.account("bob"), exchange.account("carol"));
    let made = exchange.call(&alice, None, "POST", "exchange/escrow", &json!({ "provider_id": bob, "amount": 10 }));
    assert_eq!(made.status, 201, "{made:?}");
    let escrow = text(&made.body, "escrow_id");
    let of = json!({ "escrow_id": escrow });
    let say = |token: &str, path: &str, body: &Value| refused(&exchange, token, None, path, body.clone());
    let deliver = format!("exchange/escrow/{escrow}/deliver");
    for path in ["exchange/release", "exchange/refund"] {
        assert_eq!(is(&say(&carol, path, &of)), (404, "ESCROW_NOT_FOUND", "unknown_escrow"), "{path}");
    }
    assert_eq!(is(&say(&carol, &deliver, &json!({ "content": "x" }))).0, 404);
    let shown = exchange.call(&carol, None, "GET", &format!("exchange/escrows/{escrow}"), &Value::Null);
    assert_eq!(shown.refusal(), (404, "ESCROW_NOT_FOUND", "unknown_escrow"));
    assert_eq!(is(&say(&bobs, "exchange/release", &of)), (403, "NOT_AUTHORIZED", "not_authorised"));
    assert_eq!(is(&say(&alice, "exchange/refund", &of)), (403, "NOT_AUTHORIZED", "not_authorised"));
    assert_eq!(is(&say(&alice, &deliver, &json!({ "content": "x" }))), (403, "NOT_AUTHORIZED", "not_authorised"));
    let provenance = json!({ "content": "x", "provenance": { "source_type": "web" } });
    assert_eq!(is(&say(&bobs, &deliver, &provenance)), (400, "NOT_SUPPORTED", "not_supported"));
    let reasoned = json!({ "escrow_id": escrow, "reason": "good" });
    assert_eq!(is(&say(&alice, "exchange/release", &reasoned)), (400, "INVALID_REQUEST", "bad_body"));

    let delivered = exchange.call(&bobs, None, "POST", &deliver, &json!({ "content": "x" }));
    assert_eq!(delivered.status, 200, "{delivered:?}");
    let ruling = |more: Value| {
        let mut body = json!({ "escrow_id": escrow, "resolution": "refund" });
        body.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        body
    };
    let early = say(&exchange.arbiter, "exchange/resolve", &ruling(json!({})));
    assert_eq!(is(&early), (400, "ESCROW_NOT_DISPUTED", "wrong_state"));
    let stake = |stake: u64| json!({ "escrow_id": escrow, "reason": "bad", "stake_amount": stake });
    let disputed = exchange.call(&alice, None, "POST", "exchange/dispute", &stake(100_000));
    assert_eq!(disputed.status, 200, "{disputed:?}");
    for (body, code, rule) in [
        (ruling(json!({ "resolution": "split" })), "INVALID_RESOLUTION", "bad_resolution"),
        (ruling(json!({ "stake_ruling": "forfeit" })), "INVALID_RESOLUTION", "stake_follows"),
        (ruling(json!({ "strategy": "coin" })), "NOT_SUPPORTED", "not_supported"),
    ] {
        assert_eq!(is(&say(&exchange.arbiter, "exchange/resolve", &body)), (400, code, rule), "{body}");
    }
    for party in [&alice, &bobs] {
        let own = say(party, "exchange/resolve", &ruling(json!({})));
        assert_eq!(is(&own), (403, "NOT_AUTHORIZED", "not_authorised"));
    }
    let operator = say(&exchange.node.token("api.token"), "exchange/resolve", &ruling(json!({})));
    assert_eq!(is(&operator), (403, "NOT_AUTHORIZED", "not_an_agent"));
    let ruled = exchange.call(
        &exchange.arbiter,
        None,
        "POST",
        "exchange/resolve",
        &ruling(json!({ "stake_ruling": "return" })),
    );
    assert_eq!((ruled.status, &ruled.body["amount_returned"]), (200, &json!(10)), "{ruled:?}");
    assert_eq!(is(&say(&alice, "exchange/release", &of)), (400, "ESCROW_ALREADY_RESOLVED", "wrong_state"));
    assert_eq!(held(&exchange, &alice), (1_000_000, 0));
}
