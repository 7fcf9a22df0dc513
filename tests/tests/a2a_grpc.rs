//! The A2A door over gRPC, frame by frame: messages are written and read by hand here, so that the node's own reading of the
//! schema is not its judge.

use bytes::Bytes;
use comity_tests::{cli::ask, pair::text, single::Single};
use data_encoding::BASE64_NOPAD;
use h2::{RecvStream, client::SendRequest};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use ureq::http::{HeaderMap, Request};

/// A field with bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length > 0x7f {
        out.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(bytes);
    out
}

/// A field with a small number.
fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

fn varint(bytes: &[u8], at: &mut usize) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// What is in the first field of that number; a number is its own bytes.
fn inside(bytes: &[u8], wanted: u64) -> Option<Vec<u8>> {
    let mut at = 0;
    while at < bytes.len() {
        let tag = varint(bytes, &mut at);
        let value = match tag & 7 {
            0 => varint(bytes, &mut at).to_le_bytes().to_vec(),
            2 => {
                let length = varint(bytes, &mut at) as usize;
                at += length;
                bytes[at - length..at].to_vec()
            }
            kind => panic!("wire type {kind}"),
        };
        if tag >> 3 == wanted {
            return Some(value);
        }
    }
    None
}

/// Text down a path of fields.
fn at(bytes: &[u8], path: &[u64]) -> String {
    let found = path.iter().try_fold(bytes.to_vec(), |bytes, wanted| inside(&bytes, *wanted));
    String::from_utf8(found.unwrap_or_default()).expect("text")
}

/// State of a task.
fn state(task: &[u8]) -> u8 {
    let status = inside(task, 3).expect("a status");
    inside(&status, 1).expect("a state")[0]
}

const SUBMITTED: u8 = 1;
const CANCELED: u8 = 5;

/// A message of the user, once.
fn send(agent: &str, id: &str, words: &str) -> Vec<u8> {
    let part = field(1, words.as_bytes());
    let message = [field(1, id.as_bytes()), number(4, 1), field(5, &part)].concat();
    [field(1, agent.as_bytes()), field(2, &message), field(3, &number(4, 1))].concat()
}

/// Of an agent, about one thing.
fn about(agent: &str, id: &str) -> Vec<u8> {
    [field(1, agent.as_bytes()), field(2, id.as_bytes())].concat()
}

/// One call under way.
struct Call {
    http: u16,
    headers: HeaderMap,
    body: RecvStream,
    buffered: Vec<u8>,
}

impl Call {
    /// The next message; none at the end.
    async fn message(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(head) = self.buffered.get(..5) {
                let length = u32::from_be_bytes(head[1..5].try_into().expect("four bytes")) as usize;
                assert_eq!(head[0], 0, "nothing is compressed");
                if self.buffered.len() >= 5 + length {
                    let rest = self.buffered.split_off(5 + length);
                    return Some(std::mem::replace(&mut self.buffered, rest).split_off(5));
                }
            }
            let chunk = self.body.data().await?.expect("a frame");
            self.body.flow_control().release_capacity(chunk.len()).expect("capacity");
            self.buffered.extend(chunk);
        }
    }

    /// Status and reason, with which every call ends.
    async fn ended(mut self) -> (String, String) {
        while self.message().await.is_some() {}
        let trailers = self.body.trailers().await.expect("trailers").unwrap_or(self.headers);
        let text = |name: &str| trailers.get(name).map(|value| value.to_str().expect("text").to_owned());
        let details = text("grpc-status-details-bin").unwrap_or_default();
        let details = BASE64_NOPAD.decode(details.trim_end_matches('=').as_bytes()).expect("base64");
        (text("grpc-status").expect("a status"), at(&details, &[3, 2, 1]))
    }
}

struct Door {
    node: Single,
    runtime: Runtime,
    client: SendRequest<Bytes>,
    agent: String,
    token: String,
}

impl Door {
    fn open() -> Door {
        let node = Single::named("acme");
        let account = |name: &str| ask(&node.dir, &["agent", "register", name, "--custodial"]);
        let (worker, payer) = (account("worker"), account("payer"));
        let card = json!({ "name": "worker", "capabilities": ["text.count"] });
        let api = node.api().with_token(text(&worker, "token"));
        let _: Value = api.post("/api/v1/custody/card", &card).expect("a card");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let address = node.http;
        let client = runtime.block_on(async move {
            let stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
            let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2 without an upgrade");
            tokio::spawn(connection);
            client
        });
        Door { runtime, client, agent: text(&worker, "agent"), token: text(&payer, "token"), node }
    }

    /// Begins a call; `changed` takes the place of headers, or takes them away.
    fn begin(&self, host: &str, method: &str, framed: Vec<u8>, changed: &[(&str, &str)]) -> Call {
        let bearer = format!("Bearer {}", self.token);
        let usual = [
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("a2a-version", "1.0"),
            ("authorization", bearer.as_str()),
        ];
        let mut request = Request::post(format!("http://{host}/lf.a2a.v1.A2AService/{method}"));
        for (name, value) in usual {
            let value = changed.iter().find(|(other, _)| *other == name).map_or(value, |(_, value)| *value);
            if !value.is_empty() {
                request = request.header(name, value);
            }
        }
        let request = request.body(()).expect("a request");
        self.runtime.block_on(async {
            let mut client = self.client.clone().ready().await.expect("a place");
            let (response, mut body) = client.send_request(request, false).expect("sent");
            body.send_data(framed.into(), true).expect("sent");
            let response = response.await.expect("an answer");
            let (parts, body) = response.into_parts();
            Call { http: parts.status.as_u16(), headers: parts.headers, body, buffered: Vec::new() }
        })
    }

    fn call(&self, method: &str, message: &[u8]) -> Call {
        self.begin(&self.node.http.to_string(), method, framed(message), &[])
    }

    /// The only message of an answer.
    fn must(&self, method: &str, message: &[u8]) -> Vec<u8> {
        let mut call = self.call(method, message);
        let answer = self.runtime.block_on(call.message()).expect("an answer");
        assert_eq!(self.runtime.block_on(call.ended()).0, "0", "{method}");
        answer
    }

    fn refused(&self, method: &str, message: &[u8]) -> (String, String) {
        self.runtime.block_on(self.call(method, message).ended())
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

fn refusal(code: &str, reason: &str) -> (String, String) {
    (code.to_owned(), reason.to_owned())
}

#[test]
fn a_task_is_sent_followed_listed_and_canceled() {
    let door = Door::open();
    let sent = door.must("SendMessage", &send(&door.agent, "one", "count me"));
    let (task, id) = (inside(&sent, 1).expect("a task"), at(&sent, &[1, 1]));
    assert_eq!((state(&task), id.len()), (SUBMITTED, 32));
    assert_eq!(at(&task, &[5, 5, 1]), "count me", "its history begins with the message");
    assert_eq!(at(&door.must("SendMessage", &send(&door.agent, "one", "count me")), &[1, 1]), id, "once");
    assert_eq!(at(&door.must("GetTask", &about(&door.agent, &id)), &[1]), id);
    assert_eq!(at(&door.must("ListTasks", &field(1, door.agent.as_bytes())), &[1, 1]), id);
    assert_eq!(at(&door.must("GetExtendedAgentCard", &field(1, door.agent.as_bytes())), &[1]), "worker");
    // Another binding tells the same task.
    let url = format!("http://{}/a2a/{}/tasks/{id}", door.node.http, door.agent);
    let request = ureq::get(url).header("authorization", format!("Bearer {}", door.token)).header("a2a-version", "1.0");
    let told: Value = request.call().expect("an answer").body_mut().read_json().expect("JSON");
    assert_eq!(told["status"]["state"], "TASK_STATE_SUBMITTED");

    let mut stream = door.call("SubscribeToTask", &about(&door.agent, &id));
    let first = door.runtime.block_on(stream.message()).expect("the task as it is");
    assert_eq!(at(&first, &[1, 1]), id);
    let canceled = door.must("CancelTask", &about(&door.agent, &id));
    assert_eq!(state(&canceled), CANCELED);
    let last = door.runtime.block_on(stream.message()).expect("its end");
    assert_eq!(state(&inside(&last, 3).expect("a status update")), CANCELED);
    assert_eq!(door.runtime.block_on(stream.ended()).0, "0", "and the stream's");
    assert_eq!(door.refused("SubscribeToTask", &about(&door.agent, &id)), refusal("9", "UNSUPPORTED_OPERATION"));
    assert_eq!(door.refused("CancelTask", &about(&door.agent, &id)), refusal("9", "TASK_NOT_CANCELABLE"));
    // Without a tenant the node itself is meant: it finds agents.
    let found = door.must("SendMessage", &send("", "find", "text.count"));
    assert!(at(&found, &[2, 5, 1]).contains(&door.agent), "a message names the agent");
}

#[test]
fn what_is_refused_has_a_status_and_the_protocols_own_reason() {
    let door = Door::open();
    let own = door.node.http.to_string();
    let list = || framed(&field(1, door.agent.as_bytes()));
    let ended = |call: Call| door.runtime.block_on(call.ended());
    let unknown = format!("Bearer {}", "f".repeat(64));
    for (host, changed, expected) in [
        (own.as_str(), [("authorization", "")], refusal("16", "BAD_TOKEN")),
        (&own, [("authorization", &unknown)], refusal("16", "BAD_TOKEN")),
        (&own, [("a2a-version", "")], refusal("9", "VERSION_NOT_SUPPORTED")),
        (&own, [("a2a-version", "0.3")], refusal("9", "VERSION_NOT_SUPPORTED")),
        ("evil.example", [("te", "trailers")], refusal("7", "WRONG_HOST")),
    ] {
        assert_eq!(ended(door.begin(host, "ListTasks", list(), &changed)), expected, "{host} {changed:?}");
    }
    assert_eq!(door.begin(&own, "ListTasks", list(), &[("content-type", "application/json")]).http, 415);
    assert_eq!(door.refused("sendMessage", &[]).0, "12", "no such method");
    let nothing = "0".repeat(32);
    for (method, message, expected) in [
        ("GetTask", about(&door.agent, &nothing), refusal("5", "TASK_NOT_FOUND")),
        ("GetTask", field(1, door.agent.as_bytes()), refusal("3", "INVALID_PARAMS")),
        ("SendMessage", send("nobody", "m", "x"), refusal("5", "UNKNOWN_CARD")),
        ("SendMessage", field(1, door.agent.as_bytes()), refusal("3", "INVALID_PARAMS")),
        ("SendMessage", vec![0xff; 9], refusal("3", "INVALID_REQUEST")),
        ("ListTasks", [field(1, door.agent.as_bytes()), number(4, 0)].concat(), refusal("3", "INVALID_PARAMS")),
    ] {
        assert_eq!(door.refused(method, &message), expected, "{method}");
    }
    let long = send(&door.agent, "long", &"x".repeat((2 << 20) + 1));
    assert_eq!(door.refused("SendMessage", &long).0, "11", "longer than any body");
    let compressed = [&[1], &list()[1..]].concat();
    assert_eq!(ended(door.begin(&own, "ListTasks", compressed, &[])).0, "13", "no compression was agreed on");
    let cut = list()[..7].to_vec();
    assert_ne!(ended(door.begin(&own, "ListTasks", cut, &[])).0, "0", "half a message");
    assert_eq!(at(&door.must("ListTasks", &field(1, door.agent.as_bytes())), &[1, 1]), "", "nothing was made by any");
}
