//! What the compatibility kit of A2A (a2a-tck, branch 1.0-dev) demands, replayed: its requests over JSON-RPC and HTTP+JSON
//! against a node with the feature `conformance`, without a token, by the requirement ids of the kit. The kit itself is run
//! from outside. MCP's suite comes from npm and is run itself (`mcp`). `cargo conformance` runs this.

#[path = "conformance/mcp.rs"]
mod mcp;

use comity_tests::{PATIENCE, single::Single, wait_for};
use serde_json::{Value, json};
use std::{
    cell::Cell,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Binding {
    JsonRpc,
    HttpJson,
}

/// The kit's side.
struct Kit {
    node: Single,
    card: Value,
    binding: Cell<Binding>,
}

type Refusal = (i64, String);

fn http() -> ureq::Agent {
    let timeout = Some(Duration::from_secs(30));
    ureq::Agent::config_builder().http_status_as_error(false).timeout_global(timeout).build().into()
}

/// The path of an operation, and whether it is a GET or DELETE.
fn path(method: &str, params: &Value) -> (&'static str, String) {
    let (id, task) = (params["id"].as_str().unwrap_or_default(), params["taskId"].as_str().unwrap_or_default());
    match method {
        "SendMessage" => ("POST", "message:send".to_owned()),
        "SendStreamingMessage" => ("POST", "message:stream".to_owned()),
        "GetTask" => {
            let history = params["historyLength"].as_u64().map(|length| format!("?historyLength={length}"));
            ("GET", format!("tasks/{id}{}", history.unwrap_or_default()))
        }
        "ListTasks" => {
            let query = params.as_object().expect("parameters").iter();
            let query: Vec<String> =
                query.map(|(name, value)| format!("{name}={}", value.to_string().trim_matches('"'))).collect();
            ("GET", format!("tasks?{}", query.join("&")))
        }
        "CancelTask" => ("POST", format!("tasks/{id}:cancel")),
        "SubscribeToTask" => ("POST", format!("tasks/{id}:subscribe")),
        "CreateTaskPushNotificationConfig" => ("POST", format!("tasks/{task}/pushNotificationConfigs")),
        "ListTaskPushNotificationConfigs" => ("GET", format!("tasks/{task}/pushNotificationConfigs")),
        "GetTaskPushNotificationConfig" => ("GET", format!("tasks/{task}/pushNotificationConfigs/{id}")),
        "DeleteTaskPushNotificationConfig" => ("DELETE", format!("tasks/{task}/pushNotificationConfigs/{id}")),
        other => panic!("{other}"),
    }
}

impl Kit {
    fn open() -> Kit {
        let node = Single::configured("acme", "webhook_hosts = [\"127.0.0.1\"]");
        let card = http().get(format!("http://{}/.well-known/agent-card.json", node.http)).call();
        let card = card.expect("a card").body_mut().read_json().expect("JSON");
        Kit { node, card, binding: Cell::new(Binding::JsonRpc) }
    }

    fn url(&self) -> &str {
        self.card["supportedInterfaces"][0]["url"].as_str().expect("a URL")
    }

    fn request(&self, method: &str, params: &Value) -> ureq::http::Response<ureq::Body> {
        let rpc = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (verb, url, body) = match self.binding.get() {
            // The kit adds a slash.
            Binding::JsonRpc => ("POST", format!("{}/", self.url()), rpc.to_string()),
            Binding::HttpJson => {
                let (verb, path) = path(method, params);
                (verb, format!("{}/{path}", self.url()), params.to_string())
            }
        };
        let sent = match verb {
            "GET" => http().get(url).header("a2a-version", "1.0").call(),
            "DELETE" => http().delete(url).header("a2a-version", "1.0").call(),
            _ => http().post(url).header("a2a-version", "1.0").header("content-type", "application/json").send(body),
        };
        sent.expect("an answer")
    }

    /// A result, or the protocol's code in either binding and the reason.
    fn call(&self, method: &str, params: Value) -> Result<Value, Refusal> {
        let mut response = self.request(method, &params);
        let status = i64::from(response.status().as_u16());
        let body: Value = response.body_mut().read_json().expect("JSON");
        let reason = |detail: &Value| detail["reason"].as_str().unwrap_or_default().to_owned();
        match self.binding.get() {
            Binding::JsonRpc if body["error"].is_null() => Ok(body["result"].clone()),
            Binding::JsonRpc => {
                Err((body["error"]["code"].as_i64().expect("a code"), reason(&body["error"]["data"][0])))
            }
            Binding::HttpJson if status == 200 => Ok(body),
            Binding::HttpJson => Err((status, reason(&body["error"]["details"][0]))),
        }
    }

    fn must(&self, method: &str, params: Value) -> Value {
        self.call(method, params.clone()).unwrap_or_else(|refusal| panic!("{method} {params}: {refusal:?}"))
    }

    /// The same refusal under the code of each binding.
    fn refuses(&self, method: &str, params: Value, rpc: i64, http: i64, reason: &str) {
        let code = if self.binding.get() == Binding::JsonRpc { rpc } else { http };
        assert_eq!(self.call(method, params).expect_err(reason), (code, reason.to_owned()), "{method}");
    }

    fn send(&self, id: &str) -> Value {
        self.must("SendMessage", json!({ "message": message(id) }))["task"].clone()
    }

    fn follow(&self, method: &str, params: &Value) -> Events {
        let response = self.request(method, params);
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        Events {
            lines: BufReader::new(Box::new(response.into_body().into_reader())),
            rpc: self.binding.get() == Binding::JsonRpc,
        }
    }
}

struct Events {
    lines: BufReader<Box<dyn Read + Send>>,
    rpc: bool,
}

impl Iterator for Events {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).expect("a line") == 0 {
                return None;
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let event: Value = serde_json::from_str(data).expect("JSON");
                return Some(if self.rpc { event["result"].clone() } else { event });
            }
        }
    }
}

/// The kit uses an id for many tasks of one run.
fn message(id: &str) -> Value {
    json!({ "messageId": format!("tck-{id}-5e551011"), "role": "ROLE_USER", "parts": [{ "text": "Hello from TCK" }] })
}

fn about(id: &str, task: &Value) -> Value {
    let mut message = message(id);
    message["taskId"] = task["id"].clone();
    json!({ "message": message })
}

fn state(task: &Value) -> &str {
    task["status"]["state"].as_str().expect("a state")
}

const COMPLETED: &str = "TASK_STATE_COMPLETED";
const INPUT: &str = "TASK_STATE_INPUT_REQUIRED";

fn sends(kit: &Kit) {
    assert_eq!(state(&kit.send("complete-task")), COMPLETED);
    assert_ne!(kit.send("complete-task")["id"], kit.send("complete-task")["id"], "one id, many tasks");
    let done = kit.send("complete-task");
    kit.refuses("SendMessage", about("terminal", &done), -32004, 400, "UNSUPPORTED_OPERATION");
    let mut odd = message("send-003");
    odd["parts"] = json!([{ "raw": "dGNr", "mediaType": "application/x-unsupported-tck-type" }]);
    kit.refuses("SendMessage", json!({ "message": odd }), -32005, 400, "CONTENT_TYPE_NOT_SUPPORTED");
    kit.refuses("SendMessage", json!({}), -32602, 400, "INVALID_PARAMS");
    let said = kit.must("SendMessage", json!({ "message": message("message-response") }));
    assert_eq!(said["message"]["parts"][0]["text"], "Direct message response");
    assert_eq!(state(&kit.send("reject-task")), "TASK_STATE_REJECTED");
}

fn waits_or_not(kit: &Kit) {
    assert_eq!(state(&kit.send("delayed-complete")), COMPLETED);
    let now = json!({ "message": message("delayed-complete"), "configuration": { "returnImmediately": true } });
    assert_ne!(state(&kit.must("SendMessage", now)["task"]), COMPLETED);
    let asked = kit.send("input-required");
    assert_eq!(state(&asked), INPUT);
    assert_eq!(state(&kit.must("SendMessage", about("complete-task", &asked))["task"]), COMPLETED);
}

fn turns(kit: &Kit) {
    let asked = kit.send("input-required");
    let answered = kit.must("SendMessage", about("infer-ctx", &asked))["task"].clone();
    assert_eq!(answered["contextId"], asked["contextId"]);
    let mut elsewhere = about("mismatch", &kit.send("complete-task"));
    elsewhere["message"]["contextId"] = "tck-wrong-context".into();
    kit.refuses("SendMessage", elsewhere, -32602, 400, "INVALID_PARAMS");
    let task = json!({ "id": answered["id"] });
    assert_eq!(kit.must("GetTask", task.clone())["history"].as_array().map(Vec::len), Some(2));
    for (length, expected) in [(0, None), (1, Some(1)), (10, Some(2))] {
        let shown = kit.must("GetTask", json!({ "id": answered["id"], "historyLength": length }));
        assert_eq!(shown["history"].as_array().map(Vec::len), expected);
    }
    let mut silent = about("complete-task", &kit.send("input-required"));
    silent["configuration"] = json!({ "historyLength": 0 });
    assert!(kit.must("SendMessage", silent)["task"]["history"].is_null());
}

fn gets_and_cancels(kit: &Kit) {
    let (done, asked) = (kit.send("complete-task"), kit.send("input-required"));
    assert_eq!(kit.must("GetTask", json!({ "id": done["id"] }))["id"], done["id"]);
    let canceled = kit.must("CancelTask", json!({ "id": asked["id"] }));
    assert_eq!((&canceled["id"], state(&canceled)), (&asked["id"], "TASK_STATE_CANCELED"));
    kit.refuses("CancelTask", json!({ "id": done["id"] }), -32002, 400, "TASK_NOT_CANCELABLE");
    for method in ["GetTask", "CancelTask", "SubscribeToTask"] {
        kit.refuses(method, json!({ "id": "tck-nonexistent" }), -32001, 404, "TASK_NOT_FOUND");
    }
}

fn lists(kit: &Kit) {
    let context = format!("tck-test-context-{:?}", kit.binding.get());
    for _ in 0..3 {
        let mut said = message("artifact-text");
        said["contextId"] = context.as_str().into();
        kit.must("SendMessage", json!({ "message": said }));
    }
    let page = kit.must("ListTasks", json!({ "contextId": context, "pageSize": 2 }));
    assert_eq!((page["tasks"].as_array().map(Vec::len), &page["totalSize"]), (Some(2), &json!(3)));
    let next = json!({ "contextId": context, "pageSize": 2, "pageToken": page["nextPageToken"] });
    let last = kit.must("ListTasks", next);
    assert_eq!((last["tasks"].as_array().map(Vec::len), &last["nextPageToken"]), (Some(1), &json!("")));
    let tasks = page["tasks"].as_array().into_iter().chain(last["tasks"].as_array()).flatten();
    let times: Vec<&str> = tasks.map(|task| task["status"]["timestamp"].as_str().expect("a time")).collect();
    assert!(times.is_sorted_by(|a, b| a >= b) && times.iter().all(|time| time.ends_with('Z')), "{times:?}");
    assert!(page["tasks"][0]["artifacts"].is_null());
    let whole = kit.must("ListTasks", json!({ "contextId": context, "includeArtifacts": true }));
    assert_eq!(whole["tasks"][0]["artifacts"][0]["parts"][0]["text"], "Generated text content");
}

fn artifacts_have_their_forms(kit: &Kit) {
    for (id, part) in [
        ("artifact-text", json!({ "text": "Generated text content" })),
        (
            "artifact-file-url",
            json!({ "url": "https://example.com/output.txt", "mediaType": "text/plain", "filename": "output.txt" }),
        ),
        ("artifact-file", json!({ "raw": "dGNr", "mediaType": "text/plain", "filename": "output.txt" })),
        ("artifact-data", json!({ "data": { "key": "value", "count": 42 } })),
    ] {
        let task = kit.send(id);
        assert_eq!((state(&task), &task["artifacts"][0]["parts"]), (COMPLETED, &json!([part])), "{id}");
    }
}

fn streams(kit: &Kit) {
    for (id, words) in [
        ("stream-001", "Stream hello from TCK"),
        ("stream-003", "Stream task lifecycle"),
        ("stream-ordering-001", "Ordered output"),
        ("stream-artifact-text", "Streamed text content"),
    ] {
        let events: Vec<Value> = kit.follow("SendStreamingMessage", &json!({ "message": message(id) })).collect();
        assert!(events[0]["task"].is_object(), "{id}: {events:?}");
        let told = events.to_vec().iter().map(ToString::to_string).collect::<String>();
        assert!(told.contains(words), "{id}: {told}");
        let last = events.last().expect("an event");
        let end = if last["task"].is_object() { &last["task"] } else { &last["statusUpdate"] };
        assert_eq!(state(end), COMPLETED, "{id}");
    }
    let only: Vec<Value> = kit.follow("SendStreamingMessage", &json!({ "message": message("stream-002") })).collect();
    assert!(only.len() == 1 && only[0]["message"].is_object(), "{only:?}");
    let pieces = kit.follow("SendStreamingMessage", &json!({ "message": message("stream-artifact-chunked") }));
    let pieces: Vec<Value> = pieces.filter(|event| event["artifactUpdate"].is_object()).collect();
    assert!(pieces.len() < 2 || pieces[1]["artifactUpdate"]["append"] == true, "{pieces:?}");
}

fn all_streams_hear_the_same(kit: &Kit) {
    let asked = kit.send("input-required");
    let task = json!({ "id": asked["id"] });
    let mut streams = [0, 1].map(|_| kit.follow("SubscribeToTask", &task));
    let mut closed = kit.follow("SubscribeToTask", &task);
    let first = streams.each_mut().map(|stream| stream.next().expect("the task"));
    assert_eq!((closed.next(), &first[0], state(&first[0]["task"])), (Some(first[1].clone()), &first[1], INPUT));
    drop(closed);
    thread::sleep(Duration::from_millis(50));
    kit.must("SendMessage", about("complete-task", &asked));
    let [one, other] = streams.map(|stream| stream.collect::<Vec<Value>>());
    assert_eq!(one, other);
    assert_eq!(state(&one.last().expect("its end")["statusUpdate"]), COMPLETED);
    kit.refuses("SubscribeToTask", task, -32004, 400, "UNSUPPORTED_OPERATION");
}

fn push_configs_live_until_they_are_deleted(kit: &Kit) {
    for task in [kit.send("complete-task"), kit.send("input-required")] {
        let config = json!({ "taskId": task["id"], "id": "tck-push", "url": "http://127.0.0.1:9/tck-push-webhook" });
        assert_eq!(kit.must("CreateTaskPushNotificationConfig", config.clone())["id"], "tck-push");
        let known = json!({ "taskId": task["id"], "id": "tck-push" });
        assert_eq!(kit.must("GetTaskPushNotificationConfig", known.clone())["url"], config["url"]);
        let list = kit.must("ListTaskPushNotificationConfigs", json!({ "taskId": task["id"] }));
        assert_eq!(list["configs"][0]["id"], "tck-push");
        for _ in 0..2 {
            kit.must("DeleteTaskPushNotificationConfig", known.clone());
        }
        kit.refuses("GetTaskPushNotificationConfig", known, -32001, 404, "TASK_NOT_FOUND");
    }
}

fn push_is_delivered_with_credentials(kit: &Kit) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/webhook", listener.local_addr().expect("an address"));
    let (told, heard) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let (mut head, mut length) = (String::new(), 0);
            while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
            for line in head.to_lowercase().lines() {
                length = line.strip_prefix("content-length: ").map_or(length, |text| text.parse().expect("a length"));
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).expect("a body");
            reader
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .expect("told");
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            if told.send((head.to_lowercase(), body)).is_err() {
                return;
            }
        }
    });
    let authentication = json!({ "scheme": "Bearer", "credentials": "tck-test-token" });
    let config = json!({ "id": "tck-push", "url": url, "authentication": authentication });
    let sent =
        json!({ "message": message("input-required"), "configuration": { "taskPushNotificationConfig": config } });
    let asked = kit.must("SendMessage", sent)["task"].clone();
    kit.must("SendMessage", about("complete-task", &asked));
    let begun = Instant::now();
    loop {
        let (head, body) =
            heard.recv_timeout(Duration::from_secs(15).saturating_sub(begun.elapsed())).expect("a notification");
        assert!(head.contains("authorization: bearer tck-test-token"), "{head}");
        let kinds = ["task", "message", "statusUpdate", "artifactUpdate"];
        assert_eq!(kinds.iter().filter(|kind| body[**kind].is_object()).count(), 1, "one payload: {body}");
        if body["statusUpdate"]["status"]["state"] == COMPLETED {
            return;
        }
    }
}

fn versions_and_unknown_fields(kit: &Kit) {
    let (url, rpc) = (kit.url(), kit.binding.get() == Binding::JsonRpc);
    let target = if rpc { format!("{url}/") } else { format!("{url}/message:send") };
    let mut params = json!({ "message": message("dm-serial-005"), "tckExtraParam": 42 });
    params["message"]["tckUnknownField"] = "should-be-ignored".into();
    let body =
        if rpc { json!({ "jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params }) } else { params };
    let with = |version: &str| -> Value {
        let sent = http().post(&target).header("content-type", "application/json").header("a2a-version", version);
        let sent = sent.header("a2a-extensions", "https://example.com/ext/v1").send(body.to_string());
        sent.expect("an answer").body_mut().read_json().expect("JSON")
    };
    assert!(with("1.0")["error"].is_null() && with("1.0.7")["error"].is_null());
    for version in ["", "0.3", "99.0"] {
        let error = with(version)["error"].clone();
        let reason = if rpc { &error["data"][0]["reason"] } else { &error["details"][0]["reason"] };
        assert_eq!(reason, "VERSION_NOT_SUPPORTED", "{version}");
    }
}

/// Requirements by the ids of the kit, and what shows them.
type Row = (&'static str, fn(&Kit));

const TABLE: &[Row] = &[
    ("CORE-SEND-001 -002 -003, CORE-ERR-001 -002", sends),
    ("CORE-EXECUTION-MODE-001 -002", waits_or_not),
    ("CORE-MULTI-001 to -006, CORE-HIST-001 to -004", turns),
    ("CORE-GET-001 -002, CORE-CANCEL-001 to -003", gets_and_cancels),
    ("CORE-LIST-001 to -005, DM-SERIAL-003", lists),
    ("DM-ART-001, DM-PART-001", artifacts_have_their_forms),
    ("CORE-STREAM-001 to -003, JSONRPC-SSE-001, HTTP_JSON-SSE-001, STREAM-ORDER-001", streams),
    ("STREAM-SUB-001 to -003, STREAM-ORDER-002 to -004", all_streams_hear_the_same),
    (
        "PUSH-CREATE-001 -002, PUSH-GET-001 -002, PUSH-LIST-001, PUSH-DEL-001 -002",
        push_configs_live_until_they_are_deleted,
    ),
    ("PUSH-DELIVER-001 to -003", push_is_delivered_with_credentials),
    ("VER-SERVER-001 to -003, DM-SERIAL-005, JSONRPC-SVC-002, HTTP_JSON-SVC-002", versions_and_unknown_fields),
];

#[test]
fn the_requests_of_the_compatibility_kit_are_answered_as_it_demands() {
    let kit = Kit::open();
    for binding in [Binding::JsonRpc, Binding::HttpJson] {
        kit.binding.set(binding);
        for (ids, holds) in TABLE {
            println!("{binding:?}: {ids}");
            holds(&kit);
        }
    }
    let bindings = kit.card["supportedInterfaces"].as_array().expect("interfaces").iter();
    let bindings: Vec<&str> = bindings.filter_map(|interface| interface["protocolBinding"].as_str()).collect();
    assert_eq!(bindings, ["JSONRPC", "HTTP+JSON", "GRPC"]);
    // Everything else of the node still asks for a token.
    wait_for("a refusal", PATIENCE, || {
        let status = http().get(format!("http://{}/api/v1/status", kit.node.http)).call().ok()?.status();
        (status.as_u16() == 401).then_some(())
    });
}
