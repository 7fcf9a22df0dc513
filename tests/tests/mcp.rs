//! The MCP door without any courtesy: what is refused, and that nothing changed then.

use comity_proto::{envelope::Signed as _, ids::Hash, task::PaymentRequest};
use comity_tests::{
    PATIENCE,
    agent::Agent,
    cli::ask,
    misread,
    pair::{session, text},
    single::Single,
    wait_for,
};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::time::Duration;

const MODERN: &str = "2026-07-28";

/// What came back.
#[derive(Debug)]
struct Back {
    status: u16,
    challenge: String,
    body: Value,
}

struct Door {
    node: Single,
    url: String,
}

impl Door {
    fn open() -> Door {
        let node = Single::up();
        let url = format!("http://{}/mcp", node.http);
        Door { node, url }
    }

    fn account(&self, name: &str) -> (String, String) {
        let made = ask(&self.node.dir, &["agent", "register", name, "--custodial"]);
        (text(&made, "agent"), text(&made, "token"))
    }

    fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Back {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(70)))
            .build()
            .into();
        let mut request = agent.post(&self.url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send(body).expect("an answer");
        let challenge = response.headers().get("www-authenticate").and_then(|value| value.to_str().ok());
        let challenge = challenge.unwrap_or_default().to_owned();
        let status = response.status().as_u16();
        Back { status, challenge, body: response.body_mut().read_json().unwrap_or(Value::Null) }
    }

    /// One message of a legacy client with this token.
    fn say(&self, token: &str, message: &Value) -> Back {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.post(&headers, message.to_string().as_bytes())
    }

    /// The media type of an answer to a client that accepts this, and the whole of it.
    fn hear(&self, token: &str, accept: &str, message: &Value) -> (String, String) {
        let request = ureq::post(&self.url).header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", "application/json").header("accept", accept);
        let mut response = request.send(message.to_string()).expect("an answer");
        let kind = response.headers()["content-type"].to_str().expect("text").to_owned();
        (kind, response.body_mut().read_to_string().expect("text"))
    }

    fn call(&self, token: &str, tool: &str, arguments: Value) -> Value {
        let params = json!({ "name": tool, "arguments": arguments });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let back = self.say(token, &message);
        assert_eq!(back.status, 200, "{back:?}");
        back.body["result"].clone()
    }

    fn must(&self, token: &str, tool: &str, arguments: Value) -> Value {
        let result = self.call(token, tool, arguments);
        assert_eq!(result["isError"], false, "{result}");
        result["structuredContent"].clone()
    }

    /// The rule that refused; every refusal says what to do next, and to a model in words.
    fn rule(&self, token: &str, tool: &str, arguments: Value) -> String {
        let result = self.call(token, tool, arguments);
        let told = &result["structuredContent"];
        assert_eq!((&result["isError"], &told["changed"]), (&json!(true), &json!("no")), "{result}");
        let words = result["content"][0]["text"].as_str().unwrap_or_default();
        assert!(words.contains("Nothing changed. Next: ") && !text(told, "next").is_empty(), "{words}");
        text(told, "code")
    }
}

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[test]
fn a_request_of_another_page_under_another_name_or_without_a_token_is_refused() {
    let door = Door::open();
    let (_, token) = door.account("alice");
    let (bearer, json) = (format!("Bearer {token}"), ("content-type", "application/json"));
    let own = ("authorization", bearer.as_str());
    let host = door.node.http.to_string();
    let same = format!("http://{host}");
    assert_eq!(door.post(&[own, json], PING.as_bytes()).status, 200);
    assert_eq!(door.post(&[own, json, ("origin", &same)], PING.as_bytes()).status, 200);
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let back = door.post(&[own, json, ("origin", origin)], PING.as_bytes());
        assert_eq!((back.status, text(&back.body, "code").as_str()), (403, "wrong_origin"), "{origin}");
    }
    for name in ["evil.example", "evil.example:7400", "localhost.evil.example"] {
        let back = door.post(&[own, json, ("host", name)], PING.as_bytes());
        assert_eq!((back.status, text(&back.body, "code").as_str()), (403, "wrong_host"), "{name}");
    }
    let unknown = format!("Bearer {}", "f".repeat(64));
    for headers in [vec![json], vec![json, ("authorization", unknown.as_str())]] {
        let back = door.post(&headers, PING.as_bytes());
        assert_eq!((back.status, text(&back.body, "code").as_str()), (401, "bad_token"));
        let metadata = format!("{same}/.well-known/oauth-protected-resource/mcp");
        assert_eq!(back.challenge, format!("Bearer resource_metadata=\"{metadata}\", scope=\"mcp\""));
        let told: Value = ureq::get(&metadata).call().expect("metadata").body_mut().read_json().expect("JSON");
        assert_eq!(
            (text(&told, "resource"), &told["bearer_methods_supported"]),
            (door.url.clone(), &json!(["header"]))
        );
    }
    assert_eq!(door.post(&[own, ("content-type", "text/plain")], PING.as_bytes()).status, 400);
}

#[test]
fn json_that_two_readers_could_read_differently_is_refused() {
    let door = Door::open();
    let (_, token) = door.account("alice");
    let mut bodies = misread::bodies();
    let fraction = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"amount":0.25}}"#;
    bodies.push((fraction.to_owned(), 400, "bad_number"));
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    for (body, status, code) in bodies {
        let back = door.post(&headers, body.as_bytes());
        let told = &back.body["error"];
        assert_eq!((back.status, &told["code"], &told["data"]["code"]), (status, &json!(-32700), &json!(code)));
    }
    for (message, code) in [(json!([]), -32600), (json!({ "jsonrpc": "2.0", "id": 1, "method": "nothing" }), -32601)] {
        assert_eq!(door.say(&token, &message).body["error"]["code"], code, "{message}");
    }
}

#[test]
fn a_call_needs_a_key_and_a_key_means_one_call() {
    let door = Door::open();
    let ((_, alice), (bob, _)) = (door.account("alice"), door.account("bob"));
    assert_eq!(door.rule(&alice, "claim_faucet", json!({})), "idempotency_key_missing");
    door.must(&alice, "claim_faucet", json!({ "idempotency_key": "claim" }));
    let pay = |amount: Value| json!({ "to": bob, "amount": amount, "idempotency_key": "pay" });
    assert_eq!(door.rule(&alice, "transfer", pay(json!(1))), "bad_arguments");
    assert_eq!(door.rule(&alice, "transfer", pay(json!("0.2500001"))), "bad_amount");
    let from = json!({ "to": bob, "amount": "0.25", "from": bob, "idempotency_key": "pay" });
    assert_eq!(door.rule(&alice, "transfer", from), "bad_arguments", "the payer is no argument");
    let paid = door.must(&alice, "transfer", pay(json!("0.25")));
    assert_eq!(door.must(&alice, "transfer", pay(json!("0.25"))), paid);
    assert_eq!(door.rule(&alice, "transfer", pay(json!("0.26"))), "idempotency_key_reused");
    let balance = &door.must(&alice, "list_escrows", json!({}))["balances"][0]["available"];
    assert_eq!(balance, "0.75");
}

#[test]
fn an_escrow_of_others_is_unknown_to_everybody_else() {
    let door = Door::open();
    let ((_, alice), (bob, _), (_, carol)) = (door.account("alice"), door.account("bob"), door.account("carol"));
    door.must(&alice, "claim_faucet", json!({ "idempotency_key": "claim" }));
    let terms = json!({ "payee": bob, "amount": "0.10", "task": "t", "on_silence": "refund", "idempotency_key": "k" });
    let escrow = text(&door.must(&alice, "create_escrow", terms), "escrow");
    assert_eq!(door.must(&alice, "get_escrow_status", json!({ "escrow": escrow }))["open"], "0.10");
    assert_eq!(door.rule(&carol, "get_escrow_status", json!({ "escrow": escrow })), "unknown_escrow");
    let release = json!({ "escrow": escrow, "idempotency_key": "k" });
    assert_eq!(door.rule(&carol, "release_funds", release), "unknown_escrow");
    let read = json!({ "jsonrpc": "2.0", "id": 1, "method": "resources/read",
        "params": { "uri": format!("comity://escrow/{escrow}") } });
    assert_eq!(door.say(&carol, &read).body["error"]["code"], -32002);
    assert!(door.say(&alice, &read).body["result"]["contents"][0]["text"].as_str().expect("text").contains("locked"));
    let nowhere = json!({ "jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": { "uri": "comity://x" } });
    assert_eq!(door.say(&alice, &nowhere).body["error"]["data"]["code"], "unknown_resource");
    let operator = door.node.token("api.token");
    assert_eq!(door.rule(&operator, "claim_faucet", json!({ "idempotency_key": "k" })), "not_an_agent");
}

#[test]
fn the_later_revision_is_held_to_its_headers() {
    let door = Door::open();
    let (_, token) = door.account("alice");
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {},
    });
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": meta } });
    let bearer = format!("Bearer {token}");
    let say = |version: &str, method: &str| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("mcp-protocol-version", version),
            ("mcp-method", method),
        ];
        let back = door.post(&headers, list.to_string().as_bytes());
        (back.status, back.body["error"]["code"].as_i64(), back.body["result"]["resultType"].clone())
    };
    assert_eq!(say(MODERN, "tools/list"), (200, None, json!("complete")));
    assert_eq!(say(MODERN, "tools/call"), (400, Some(-32020), Value::Null));
    assert_eq!(say("2025-11-25", "tools/list"), (400, Some(-32020), Value::Null));
}

#[test]
fn a_task_is_given_once_and_a_repeated_call_waits_on_until_its_result_is_there() {
    let door = Door::open();
    let (_, alice) = door.account("alice");
    door.must(&alice, "claim_faucet", json!({ "idempotency_key": "claim" }));
    let worker = Agent::registered(&door.node.api(), door.node.domain(), "worker");
    let desk = session(&door.node.api(), &worker);
    let terms = json!({ "payee": worker.id, "amount": "0.10", "task": "count me", "on_silence": "refund",
        "idempotency_key": "hire" });
    let escrow = text(&door.must(&alice, "create_escrow", terms), "escrow");
    let task = |wait_seconds: u64| {
        json!({ "to": worker.id, "escrow": escrow, "capability": "text.statistics", "task": "count me",
            "wait_seconds": wait_seconds, "idempotency_key": "task" })
    };
    let sent = door.must(&alice, "send_task", task(0));
    assert_eq!((text(&sent, "state"), &sent["result"]), ("sent".to_owned(), &Value::Null));
    let taken: Value = desk.get("/api/v1/tasks/next?wait_ms=10000").expect("a task");
    let (taken, body) = (text(&taken["task"], "task"), text(&taken["task"], "body"));
    assert_eq!((taken.clone(), body), (text(&sent, "task"), BASE64.encode(b"count me")));
    assert_eq!(door.must(&alice, "send_task", task(0))["task"], taken, "the same call is the same task");
    let again: Value = desk.get("/api/v1/tasks/next?wait_ms=200").expect("an answer");
    assert!(again["task"].is_null(), "it came twice: {again}");

    let tell = |kind: &str, data: Value| {
        let event = json!({ "kind": kind, "data": data });
        desk.post::<Value>(&format!("/api/v1/tasks/{taken}/events"), &event).expect("told");
    };
    tell("accepted", Value::Null);
    assert_eq!(text(&door.must(&alice, "send_task", task(1)), "state"), "accepted");
    let request = PaymentRequest {
        task_id: taken.parse().expect("a task id"),
        escrow_id: escrow.parse().expect("an escrow id"),
        milestone: None,
        payee: worker.party(),
        asset: door.node.asset(),
        amount: 100_000,
        result_hash: Hash::of(b"8 bytes"),
    };
    tell("result", BASE64.encode(b"8 bytes").into());
    tell("finished", BASE64.encode(&request.seal(worker.signer.key())).into());
    let done = door.must(&alice, "send_task", task(20));
    assert_eq!((text(&done, "state"), &done["result"]["text"]), ("finished".to_owned(), &json!("8 bytes")));
    assert_eq!(text(&done, "result_sha256"), Hash::of(b"8 bytes").to_string());
    let other = json!({ "to": worker.id, "escrow": "1", "capability": "text", "task": "t", "idempotency_key": "o" });
    assert_eq!(door.rule(&alice, "send_task", other), "bad_text");
}

#[test]
fn a_call_with_a_progress_token_says_what_it_is_at_before_it_answers() {
    let door = Door::open();
    let (_, alice) = door.account("alice");
    door.must(&alice, "claim_faucet", json!({ "idempotency_key": "claim" }));
    let worker = Agent::registered(&door.node.api(), door.node.domain(), "worker");
    let desk = session(&door.node.api(), &worker);
    let terms =
        json!({ "payee": worker.id, "amount": "0.10", "task": "t", "on_silence": "refund", "idempotency_key": "k" });
    let escrow = text(&door.must(&alice, "create_escrow", terms), "escrow");
    let wish = json!({ "to": worker.id, "escrow": escrow, "capability": "text", "task": "t", "wait_seconds": 0,
        "idempotency_key": "task" });
    let task = text(&door.must(&alice, "send_task", wish.clone()), "task");
    desk.get::<Value>("/api/v1/tasks/next?wait_ms=10000").expect("a task");
    for (kind, data) in
        [("accepted", Value::Null), ("progress", BASE64.encode(b"busy").into()), ("failed", "no".into())]
    {
        let event = json!({ "kind": kind, "data": data });
        desk.post::<Value>(&format!("/api/v1/tasks/{task}/events"), &event).expect("told");
    }
    wait_for("the end of the task", PATIENCE, || {
        (text(&door.must(&alice, "send_task", wish.clone()), "state") == "failed").then_some(())
    });

    let params = json!({ "name": "send_task", "arguments": wish, "_meta": { "progressToken": "mine" } });
    let message = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params });
    let (kind, said) = door.hear(&alice, "application/json, text/event-stream", &message);
    assert_eq!(kind, "text/event-stream");
    let messages: Vec<Value> = said
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let (answer, words) = messages.split_last().expect("an answer");
    let steps = words.iter().map(|word| {
        let params = &word["params"];
        assert_eq!((&word["method"], &params["progressToken"]), (&json!("notifications/progress"), &json!("mine")));
        (params["progress"].as_u64().expect("a number"), text(params, "message"))
    });
    let steps: Vec<(u64, String)> = steps.collect();
    let expected = [
        format!("task {task} is on its way"),
        "the worker has accepted".to_owned(),
        "the worker is at it".to_owned(),
        "the task has failed".to_owned(),
    ];
    assert_eq!(steps, (1..).zip(expected).collect::<Vec<_>>());
    assert_eq!((&answer["id"], &answer["result"]["structuredContent"]["state"]), (&json!(7), &json!("failed")));
    let (kind, said) = door.hear(&alice, "application/json", &message);
    assert!(kind == "application/json" && said.contains("\"id\":7"), "a client that reads no stream: {kind} {said}");
}

#[test]
fn prompts_take_known_words_only_and_show_nobody_an_escrow_of_others() {
    let door = Door::open();
    let ((_, alice), (bob, _), (_, carol)) = (door.account("alice"), door.account("bob"), door.account("carol"));
    door.must(&alice, "claim_faucet", json!({ "idempotency_key": "claim" }));
    let terms = json!({ "payee": bob, "amount": "0.10", "task": "t", "on_silence": "refund", "idempotency_key": "k" });
    let escrow = text(&door.must(&alice, "create_escrow", terms), "escrow");
    let ask = |token: &str, method: &str, params: Value| {
        door.say(token, &json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).body
    };
    let settle =
        |token: &str| ask(token, "prompts/get", json!({ "name": "settle_escrow", "arguments": { "escrow": escrow } }));
    assert!(settle(&alice)["result"]["messages"][0]["content"]["resource"]["text"].to_string().contains("locked"));
    let refused = settle(&carol)["error"].clone();
    assert_eq!((&refused["code"], &refused["data"]["code"]), (&json!(-32602), &json!("unknown_escrow")));
    for params in [
        json!({ "name": "nothing" }),
        json!({ "name": "hire_agent", "arguments": { "capability": "text", "task": "t" } }),
        json!({ "name": "settle_escrow", "arguments": { "escrow": 7 } }),
        json!({ "name": "settle_escrow", "arguments": { "escrow": escrow, "payer": bob } }),
    ] {
        assert_eq!(ask(&alice, "prompts/get", params.clone())["error"]["code"], -32602, "{params}");
    }
    let complete = |token: &str, asked: Value, name: &str| {
        let params = json!({ "ref": asked, "argument": { "name": name, "value": &escrow[..2] } });
        ask(token, "completion/complete", params)
    };
    let prompt = json!({ "type": "ref/prompt", "name": "settle_escrow" });
    let known = |body: Value| body["result"]["completion"]["values"].clone();
    assert_eq!(known(complete(&alice, prompt.clone(), "escrow")), json!([escrow]));
    assert_eq!(known(complete(&carol, prompt.clone(), "escrow")), json!([]));
    assert_eq!(known(complete(&alice, prompt, "agent")), json!([]), "it has no such argument");
    let template = json!({ "type": "ref/resource", "uri": "comity://escrow/{escrow}" });
    assert_eq!(known(complete(&alice, template, "escrow")), json!([escrow]));
    let nothing = json!({ "type": "ref/prompt", "name": "nothing" });
    assert_eq!(complete(&alice, nothing, "escrow")["error"]["code"], -32602);
}
