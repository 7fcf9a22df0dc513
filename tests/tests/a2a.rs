//! The A2A door without any courtesy: what is refused, in the protocol's own form, and that nothing changed then.

use comity_tests::{
    PATIENCE,
    agent::Agent,
    cli::ask,
    federation::Federation,
    misread,
    pair::{give, publish, session, text},
    single::Single,
    wait_for,
};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What came back.
#[derive(Debug)]
struct Back {
    status: u16,
    kind: String,
    body: Value,
}

struct Door {
    node: Single,
    base: String,
}

fn http() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(70)))
        .build()
        .into()
}

fn back(sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Back {
    let mut response = sent.expect("an answer");
    let kind =
        response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    Back { status: response.status().as_u16(), kind, body: response.body_mut().read_json().unwrap_or(Value::Null) }
}

impl Door {
    fn open() -> Door {
        Door::with_hooks_on("127.0.0.1:9")
    }

    fn with_hooks_on(host: &str) -> Door {
        let node = Single::configured("acme", &format!("webhook_hosts = [\"{host}\"]"));
        let base = format!("http://{}/a2a", node.http);
        Door { node, base }
    }

    /// A custodial account: its agent and its token.
    fn account(&self, name: &str) -> (String, String) {
        let made = ask(&self.node.dir, &["agent", "register", name, "--custodial"]);
        (text(&made, "agent"), text(&made, "token"))
    }

    /// One that others may hire, with a card that is not public.
    fn worker(&self) -> (String, String) {
        let (agent, token) = self.account("worker");
        let card = json!({ "name": "worker", "capabilities": ["text.count"] });
        let _: Value = self.node.api().with_token(&token).post("/api/v1/custody/card", &card).expect("a card");
        (agent, token)
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Back {
        let mut request = http().post(format!("{}/{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        back(request.send(body))
    }

    fn get(&self, path: &str, token: &str) -> Back {
        let request = http().get(format!("{}/{path}", self.base)).header("a2a-version", "1.0");
        back(request.header("authorization", format!("Bearer {token}")).call())
    }

    /// One call of JSON-RPC.
    fn call(&self, token: &str, agent: &str, method: &str, params: Value) -> Value {
        let bearer = format!("Bearer {token}");
        let headers =
            [("authorization", bearer.as_str()), ("content-type", "application/json"), ("a2a-version", "1.0")];
        let call = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
        let back = self.post(agent, &headers, call.to_string().as_bytes());
        assert_eq!((back.status, &back.body["id"]), (200, &json!(7)), "{back:?}");
        back.body
    }

    fn must(&self, token: &str, agent: &str, method: &str, params: Value) -> Value {
        let answer = self.call(token, agent, method, params);
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].clone()
    }

    /// The code of JSON-RPC, and the node's own name of the rule.
    fn refused(&self, token: &str, agent: &str, method: &str, params: Value) -> (i64, String) {
        let error = self.call(token, agent, method, params)["error"].clone();
        let info = &error["data"][0];
        assert_eq!(info["@type"], "type.googleapis.com/google.rpc.ErrorInfo", "{error}");
        assert!(!text(info, "reason").is_empty() && info["domain"] == "a2a-protocol.org", "{error}");
        let rule = info["metadata"]["code"].as_str().or(info["reason"].as_str()).unwrap_or_default();
        (error["code"].as_i64().expect("a code"), rule.to_owned())
    }
}

fn message(id: &str, words: &str) -> Value {
    json!({ "messageId": id, "role": "ROLE_USER", "parts": [{ "text": words }] })
}

/// Sent without waiting for the end.
fn sent(id: &str) -> Value {
    json!({ "message": message(id, "count me"), "configuration": { "returnImmediately": true } })
}

/// Code of HTTP and status of gRPC.
fn status(back: &Back) -> (u16, &str) {
    (back.status, back.body["error"]["status"].as_str().unwrap_or_default())
}

#[test]
fn a_request_without_a_version_a_token_or_the_right_name_is_refused() {
    let door = Door::open();
    let ((agent, _), (_, token)) = (door.worker(), door.account("alice"));
    let (bearer, json) = (format!("Bearer {token}"), ("content-type", "application/json"));
    let (own, version) = (("authorization", bearer.as_str()), ("a2a-version", "1.0"));
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "ListTasks" }).to_string();
    for path in [agent.clone(), format!("{agent}/")] {
        assert_eq!(door.post(&path, &[own, json, version], list.as_bytes()).body["result"]["totalSize"], 0);
    }
    let named = door.post(&format!("{agent}?A2A-Version=1.0"), &[own, json], list.as_bytes());
    assert_eq!(named.body["result"]["totalSize"], 0, "{named:?}");
    for headers in [vec![own, json], vec![own, json, ("a2a-version", "0.3")], vec![own, json, ("a2a-version", "2.0")]] {
        let back = door.post(&agent, &headers, list.as_bytes());
        assert_eq!((back.status, &back.body["error"]["code"]), (200, &json!(-32009)), "{headers:?}");
    }
    let back = door.post(&format!("{agent}/message:send"), &[own, json], sent("v").to_string().as_bytes());
    assert_eq!(status(&back), (400, "FAILED_PRECONDITION"));
    assert_eq!(back.body["error"]["details"][0]["reason"], "VERSION_NOT_SUPPORTED");
    let unknown = format!("Bearer {}", "f".repeat(64));
    for headers in [vec![json, version], vec![json, version, ("authorization", unknown.as_str())]] {
        assert_eq!(status(&door.post(&agent, &headers, list.as_bytes())), (401, "UNAUTHENTICATED"));
    }
    for (header, value) in [("host", "evil.example"), ("origin", "https://evil.example")] {
        let back = door.post(&agent, &[own, json, version, (header, value)], list.as_bytes());
        assert_eq!(status(&back), (403, "PERMISSION_DENIED"), "{header}");
    }
    assert_eq!(door.post(&agent, &[own, version, ("content-type", "text/plain")], list.as_bytes()).status, 415);
    let plain = [own, version, ("content-type", "text/plain")];
    let back = door.post(&format!("{agent}/message:send"), &plain, sent("v").to_string().as_bytes());
    assert_eq!(back.body["error"]["details"][0]["reason"], "CONTENT_TYPE_NOT_SUPPORTED");
    let operator = door.node.token("api.token");
    assert_eq!(door.refused(&operator, &agent, "ListTasks", json!({})), (-32600, "not_an_agent".to_owned()));
}

#[test]
fn json_that_two_readers_could_read_differently_is_refused() {
    let door = Door::open();
    let (_, token) = door.account("alice");
    let mut bodies = misread::bodies();
    let fraction = r#"{"jsonrpc":"2.0","id":1,"params":{"amount":9007199254740993.0}}"#;
    bodies.push((fraction.to_owned(), 400, "bad_number"));
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json"), ("a2a-version", "1.0")];
    for (body, http, code) in bodies {
        let back = door.post("node", &headers, body.as_bytes());
        let told = &back.body["error"];
        let rule = &told["data"][0]["metadata"]["code"];
        assert_eq!((back.status, &told["code"], rule), (http, &json!(-32700), &json!(code)));
        let back = door.post("node/message:send", &headers, body.as_bytes());
        assert_eq!((back.status, &back.body["error"]["details"][0]["metadata"]["code"]), (http, &json!(code)));
    }
    for (body, code) in [("[]", -32600), (r#"{"jsonrpc":"2.0","method":"ListTasks"}"#, -32600)] {
        assert_eq!(door.post("node", &headers, body.as_bytes()).body["error"]["code"], code, "{body}");
    }
}

#[test]
fn what_is_no_operation_no_agent_or_no_message_has_its_own_refusal() {
    let door = Door::open();
    let ((agent, _), (alice, token)) = (door.worker(), door.account("alice"));
    let refused = |agent: &str, method: &str, params: Value| door.refused(&token, agent, method, params);
    assert_eq!(refused(&agent, "message/send", json!({})).0, -32601, "0.3 is not spoken");
    assert_eq!(door.get(&format!("{agent}/nothing"), &token).status, 404);
    assert_eq!(refused("nobody", "ListTasks", json!({})), (-32602, "unknown_card".to_owned()));
    assert_eq!(refused(&alice, "SendMessage", sent("m")), (-32602, "unknown_card".to_owned()), "it has no card");
    for params in [json!({}), json!({ "message": {} }), json!({ "message": message("", "x") })] {
        assert_eq!(refused(&agent, "SendMessage", params).0, -32602);
    }
    let long = json!({ "message": message(&"m".repeat(129), "x") });
    assert_eq!(refused(&agent, "SendMessage", long), (-32602, "bad_idempotency_key".to_owned()));
    let mut huge = message("huge", &"x".repeat((1 << 20) + 1));
    assert_eq!(refused(&agent, "SendMessage", json!({ "message": huge })), (-32602, "task_too_large".to_owned()));
    huge = message("wide", "x");
    huge["metadata"] = json!({ "k": "x".repeat(64 << 10) });
    assert_eq!(refused(&agent, "SendMessage", json!({ "message": huge })), (-32602, "message_too_large".to_owned()));
    for payment in
        [json!({ "escrow": "e" }), json!({ "escrow": 7 }), json!({ "capability": "?" }), json!({ "envelope": "?" })]
    {
        let mut paid = message("paid", "x");
        paid["metadata"] = json!({ "urn:comity:a2a:payment:1": payment });
        assert_eq!(refused(&agent, "SendMessage", json!({ "message": paid })).0, -32602, "{payment}");
    }
    for id in ["nothing", &"0".repeat(32)] {
        assert_eq!(refused(&agent, "GetTask", json!({ "id": id })).0, -32001, "{id}");
        assert_eq!(status(&door.get(&format!("{agent}/tasks/{id}"), &token)), (404, "NOT_FOUND"), "{id}");
    }
    assert_eq!(refused(&agent, "GetTask", json!({})).0, -32602);
    let found = door.must(&token, "node", "SendMessage", json!({ "message": message("find", "text.count") }));
    assert_eq!(found["message"]["parts"][1]["data"]["agents"][0]["agent"], agent.as_str(), "{found}");
    assert_eq!(refused("node", "SendMessage", json!({ "message": message("find", "?") })).1, "bad_capability");
}

#[test]
fn a_task_of_others_is_unknown_to_everybody_else_and_one_message_is_one_task() {
    let door = Door::open();
    let ((agent, worker), (_, alice), (_, carol)) = (door.worker(), door.account("alice"), door.account("carol"));
    let task = door.must(&alice, &agent, "SendMessage", sent("one"))["task"].clone();
    assert_eq!(
        (text(&task["status"], "state").as_str(), &task["history"][0]["messageId"]),
        ("TASK_STATE_SUBMITTED", &json!("one"))
    );
    let again = door.must(&alice, &agent, "SendMessage", sent("one"))["task"].clone();
    assert_eq!((&again["id"], &again["contextId"]), (&task["id"], &task["contextId"]));
    let other = json!({ "message": message("one", "something else") });
    assert_eq!(door.refused(&alice, &agent, "SendMessage", other), (-32602, "idempotency_key_reused".to_owned()));
    let (known, id) = (json!({ "id": task["id"] }), text(&task, "id"));
    let config = json!({ "taskId": id, "url": "http://127.0.0.1:9/" });
    for (method, params) in [
        ("GetTask", known.clone()),
        ("CancelTask", known.clone()),
        ("SubscribeToTask", known.clone()),
        ("CreateTaskPushNotificationConfig", config.clone()),
        ("ListTaskPushNotificationConfigs", json!({ "taskId": id })),
    ] {
        for (who, what) in [(&carol, "another caller"), (&worker, "the worker")] {
            assert_eq!(door.refused(who, &agent, method, params.clone()).0, -32001, "{method} by {what}");
        }
    }
    assert_eq!(door.must(&carol, &agent, "ListTasks", json!({}))["totalSize"], 0);
    assert_eq!(door.must(&alice, &agent, "ListTasks", json!({}))["totalSize"], 1);
    assert_eq!(door.must(&alice, "node", "GetTask", known.clone())["id"], task["id"]);
    let mut more = message("two", "and then?");
    more["taskId"] = task["id"].clone();
    assert_eq!(door.refused(&alice, &agent, "SendMessage", json!({ "message": more })).0, -32004);
    more["contextId"] = "elsewhere".into();
    assert_eq!(door.refused(&alice, &agent, "SendMessage", json!({ "message": more })).0, -32602);
    let canceled = door.must(&alice, &agent, "CancelTask", known.clone());
    assert_eq!(text(&canceled["status"], "state"), "TASK_STATE_CANCELED");
    assert_eq!(door.refused(&alice, &agent, "CancelTask", known.clone()), (-32002, "task_ended".to_owned()));
    assert_eq!(door.refused(&alice, &agent, "SubscribeToTask", known).0, -32004);
    // It is no work for the worker either, by whichever door.
    let next: Value = door.node.api().with_token(&worker).get("/api/v1/tasks/next?wait_ms=200").expect("an answer");
    assert!(next["task"].is_null(), "{next}");
}

#[test]
fn a_webhook_that_points_inside_and_one_too_many_are_refused() {
    let door = Door::open();
    let ((agent, _), (_, token)) = (door.worker(), door.account("alice"));
    let id = text(&door.must(&token, &agent, "SendMessage", sent("one"))["task"], "id");
    let create = |url: &str, name: &str| {
        let config = json!({ "taskId": id, "url": url, "id": name });
        door.call(&token, &agent, "CreateTaskPushNotificationConfig", config)
    };
    for url in ["http://127.0.0.1:10/", "http://localhost/", "http://[::1]/", "http://10.0.0.1/", "ftp://1.1.1.1/", ""]
    {
        let error = &create(url, "inside")["error"];
        assert_eq!(error["code"], -32602, "{url}");
        let rule = error["data"][0]["metadata"]["code"].as_str();
        assert!(url.is_empty() || rule == Some("webhook_refused"), "{url}: {error}");
    }
    let inside = json!({ "message": message("two", "x"), "configuration": {
        "taskPushNotificationConfig": { "url": "http://169.254.169.254/" } } });
    assert_eq!(door.refused(&token, &agent, "SendMessage", inside), (-32602, "webhook_refused".to_owned()));
    assert_eq!(door.must(&token, &agent, "ListTasks", json!({}))["totalSize"], 1, "nothing was sent");
    for number in 0..8 {
        assert!(create("http://127.0.0.1:9/", &number.to_string())["error"].is_null());
    }
    assert!(create("http://127.0.0.1:9/again", "0")["error"].is_null(), "one in place of another");
    let ninth = create("http://127.0.0.1:9/", "8");
    assert_eq!(ninth["error"]["data"][0]["metadata"]["code"], "too_many_webhooks");
    // The same message again is the same task, and the same wish.
    let wished = json!({ "message": message("three", "x"), "configuration": {
        "returnImmediately": true, "taskPushNotificationConfig": { "url": "http://127.0.0.1:9/" } } });
    let send = || text(&door.must(&token, &agent, "SendMessage", wished.clone())["task"], "id");
    let three = send();
    assert!((0..9).all(|_| send() == three));
    let kept = door.must(&token, &agent, "ListTaskPushNotificationConfigs", json!({ "taskId": three }));
    assert_eq!(kept["configs"].as_array().map(Vec::len), Some(1), "{kept}");
}

/// Where nothing is ever taken, and how often that was said.
fn deaf_receiver() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (address, asked) = (listener.local_addr().expect("bound"), Arc::new(AtomicUsize::new(0)));
    let count = asked.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            count.fetch_add(1, Ordering::SeqCst);
            let _head = stream.read(&mut [0; 4096]);
            let _told = stream.write_all(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    (address, asked)
}

#[test]
fn a_receiver_that_takes_nothing_is_given_up_and_hears_no_later_event() {
    let (receiver, asked) = deaf_receiver();
    let door = Door::with_hooks_on("127.0.0.1");
    let ((agent, worker), (_, token)) = (door.worker(), door.account("alice"));
    let id = text(&door.must(&token, &agent, "SendMessage", sent("one"))["task"], "id");
    let config = json!({ "taskId": id, "url": format!("http://{receiver}/") });
    door.must(&token, &agent, "CreateTaskPushNotificationConfig", config);
    let works = door.node.api().with_token(&worker);
    let tell = |kind: &str, data: Value| {
        let event = json!({ "kind": kind, "data": data });
        works.post::<Value>(&format!("/api/v1/tasks/{id}/events"), &event).expect("told");
    };
    works.get::<Value>("/api/v1/tasks/next?wait_ms=20000").expect("work");
    tell("accepted", Value::Null);
    let kept = || door.must(&token, &agent, "ListTaskPushNotificationConfigs", json!({ "taskId": id }));
    wait_for("the receiver to be given up", PATIENCE, || kept()["configs"].as_array()?.is_empty().then_some(()));
    let before = asked.load(Ordering::SeqCst);
    assert!(before > 1, "it was asked again before that");
    tell("failed", "it cannot be done".into());
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(asked.load(Ordering::SeqCst), before, "an event came after one that was lost");
}

#[test]
fn more_streams_than_a_node_keeps_open_are_refused() {
    let door = Door::open();
    let ((agent, _), (_, token)) = (door.worker(), door.account("alice"));
    let id = text(&door.must(&token, &agent, "SendMessage", sent("one"))["task"], "id");
    let request = format!(
        "GET /a2a/{agent}/tasks/{id}:subscribe HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\na2a-version: 1.0\r\n\r\n",
        door.node.http
    );
    let open = || {
        let mut stream = TcpStream::connect(door.node.http).expect("a connection");
        stream.write_all(request.as_bytes()).expect("a request");
        let mut first = [0; 12];
        stream.read_exact(&mut first).expect("an answer");
        (String::from_utf8_lossy(&first).into_owned(), stream)
    };
    let streams: Vec<_> = (0..256).map(|_| open()).collect();
    assert!(streams.iter().all(|(first, _)| first == "HTTP/1.1 200"), "all of them stay open");
    assert_eq!(open().0, "HTTP/1.1 429");
    let refusal = door.refused(&token, &agent, "SubscribeToTask", json!({ "id": id }));
    assert_eq!(refusal, (-32603, "too_many_streams".to_owned()));
    drop(streams);
    wait_for("places of streams that are gone", PATIENCE, || (open().0 == "HTTP/1.1 200").then_some(()));
}

#[test]
fn a_card_that_is_not_public_is_shown_to_whoever_has_a_token() {
    let door = Door::open();
    let ((agent, _), (_, token)) = (door.worker(), door.account("alice"));
    let path = |name: &str| format!("{name}/.well-known/agent-card.json");
    let card = door.get(&path(&agent), &token);
    assert_eq!((card.status, card.kind.as_str()), (200, "application/json"));
    assert_eq!(card.body["supportedInterfaces"][0]["url"], format!("{}/{agent}", door.base));
    let bare = |name: &str| back(http().get(format!("{}/{}", door.base, path(name))).call());
    assert_eq!((bare(&agent).status, bare("nobody").status), (401, 401), "one looks like the other");
    // Public by its agent's word alone: the domain admits nobody yet.
    let (shown, its_token) = door.account("shown");
    let public = json!({ "name": "shown", "capabilities": ["text.count"], "public": true });
    let _: Value = door.node.api().with_token(&its_token).post("/api/v1/custody/card", &public).expect("a card");
    assert_eq!(bare(&shown).status, 401);
    ask(&door.node.dir, &["export", "add", "everyone", "--reason", "all may see"]);
    wait_for("the card for everybody", PATIENCE, || (bare(&shown).status == 200).then_some(()));
    assert_eq!(bare("node").body["name"], "acme (Comity)");
    assert_eq!(status(&door.get(&path("nobody"), &token)), (404, "NOT_FOUND"));
}

#[test]
fn any_node_of_the_domain_answers_for_a_task_and_goes_on_without_the_first_one() {
    let mut federation = Federation::trading();
    let [alpha, beta] = &federation.domains;
    let payer = Agent::registered(alpha.api(), alpha.id(), "payer");
    let worker = Agent::registered(beta.api(), beta.id(), "worker");
    publish(beta.api(), &worker, "text.count", 1);
    let doors: Vec<_> = alpha.nodes.iter().map(|node| session(&node.api, &payer)).collect();
    let works = session(beta.api(), &worker);
    let task = give(&doors[0], &payer, &worker, "text.count").expect("a task");
    let shown = |door: &comity_node::cli::client::Client| -> Option<String> {
        let request = http().get(format!("{}/a2a/node/tasks/{task}", door.base())).header("a2a-version", "1.0");
        let back = back(request.header("authorization", format!("Bearer {}", door.token())).call());
        back.body["status"]["state"].as_str().map(str::to_owned)
    };
    let next: Value = works.get("/api/v1/tasks/next?wait_ms=20000").expect("work");
    assert_eq!(next["task"]["task"], task.to_string());
    let tell = |kind: &str, data: Value| -> Value {
        let body = json!({ "kind": kind, "data": data });
        works.post(&format!("/api/v1/tasks/{task}/events"), &body).expect("told")
    };
    tell("accepted", Value::Null);
    for door in &doors {
        wait_for("the task at every node", PATIENCE, || (shown(door)? == "TASK_STATE_WORKING").then_some(()));
    }
    federation.domains[0].nodes[0].kill();
    tell("failed", "it cannot be done".into());
    for door in &doors[1..] {
        wait_for("its end at the others", PATIENCE, || (shown(door)? == "TASK_STATE_FAILED").then_some(()));
    }
}
