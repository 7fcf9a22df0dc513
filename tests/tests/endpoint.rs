//! An agent's own A2A server: its node hands it tasks there and brings back what it says; and an address that may be a
//! trap is refused.

use comity_node::cli::client::Client;
use comity_tests::{
    PATIENCE,
    agent::Agent,
    cli::{ask, try_ask},
    pair::{self, Pair, public_card, session, text},
    single::{Single, free_addresses},
    wait_for,
};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
};

/// How a server behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Streams everything.
    Streams,
    /// Does not stream: it takes a message, and is asked how the task stands.
    Answers,
    /// Breaks its stream off in the middle, and has the result when it is asked.
    Breaks,
    /// Works until it is told to stop.
    Works,
    /// Sends whoever comes to another address.
    Redirects(SocketAddr),
}

/// What a server heard: the line of the request, its token, its body.
type Heard = (String, String, Value);

/// An A2A server of two dozen lines.
struct Server {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Server {
    fn on(address: SocketAddr, manner: Manner) -> Server {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("its address");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = heard.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                // A client that went away is no defect of the server.
                std::thread::spawn(move || drop(serve(stream, manner, &kept)));
            }
        });
        Server { address, heard }
    }

    fn new(manner: Manner) -> Server {
        Server::on("127.0.0.1:0".parse().expect("an address"), manner)
    }

    fn url(&self) -> String {
        format!("http://{}/agent", self.address)
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Methods of JSON-RPC, or lines of requests, in order.
    fn calls(&self) -> Vec<String> {
        let name = |(line, _, body): &Heard| body["method"].as_str().map_or_else(|| line.clone(), str::to_owned);
        self.heard().iter().map(name).collect()
    }
}

fn status(state: &str, words: &str) -> Value {
    let message = json!({ "messageId": format!("m-{words}"), "role": "ROLE_AGENT", "parts": [{ "text": words }] });
    json!({ "state": format!("TASK_STATE_{state}"), "message": message })
}

fn task(state: &str, result: Option<&str>) -> Value {
    let artifacts: Vec<Value> =
        result.iter().map(|words| json!({ "artifactId": "a", "parts": [{ "text": words }] })).collect();
    json!({ "id": "t-1", "contextId": "c", "status": status(state, "ready"), "artifacts": artifacts })
}

fn serve(stream: TcpStream, manner: Manner, kept: &Mutex<Vec<Heard>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut token, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut line)?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        match header.trim().to_ascii_lowercase().split_once(": ") {
            Some(("authorization", said)) => said.clone_into(&mut token),
            Some(("content-length", said)) => length = said.parse().unwrap_or(0),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let line = line.rsplit_once(" HTTP").map_or(line.clone(), |(line, _)| line.to_owned());
    kept.lock().unwrap_or_else(PoisonError::into_inner).push((line.clone(), token, body.clone()));
    answer(stream, manner, &line, &body)
}

fn answer(mut stream: TcpStream, manner: Manner, line: &str, body: &Value) -> std::io::Result<()> {
    let rpc = body["jsonrpc"] == "2.0";
    let wrap = |said: Value| if rpc { json!({ "jsonrpc": "2.0", "id": body["id"], "result": said }) } else { said };
    let whole = |stream: &mut TcpStream, said: &Value| {
        let said = said.to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
        write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{said}", said.len())
    };
    let asks = |method: &str, path: &str| body["method"] == method || (!rpc && line.contains(path));
    if let Manner::Redirects(to) = manner {
        return write!(stream, "HTTP/1.1 307 no\r\nlocation: http://{to}/\r\ncontent-length: 0\r\n\r\n");
    }
    if asks("CancelTask", ":cancel") {
        return whole(&mut stream, &wrap(task("CANCELED", None)));
    }
    if asks("GetTask", "GET ") {
        return whole(&mut stream, &wrap(task("COMPLETED", Some("four"))));
    }
    if manner == Manner::Answers {
        if asks("SendStreamingMessage", "message:stream") {
            let error = json!({ "code": -32004, "message": "no streams" });
            return whole(&mut stream, &json!({ "jsonrpc": "2.0", "id": body["id"], "error": error }));
        }
        return whole(&mut stream, &wrap(json!({ "task": task("SUBMITTED", None) })));
    }
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n: hello\r\n\r\n")?;
    let mut tell = |said: Value| write!(stream, "data: {}\r\n\r\n", wrap(said));
    tell(json!({ "task": task("SUBMITTED", None) }))?;
    tell(json!({ "statusUpdate": { "taskId": "t-1", "contextId": "c", "status": status("WORKING", "counting") } }))?;
    match manner {
        Manner::Breaks => return Ok(()),
        Manner::Works => loop {
            // Until nobody listens.
            std::thread::sleep(std::time::Duration::from_millis(50));
            write!(stream, ": still there\r\n\r\n")?;
        },
        _ => {}
    }
    for (words, append) in [("fo", false), ("ur", true)] {
        let artifact = json!({ "artifactId": "a", "parts": [{ "text": words }] });
        tell(
            json!({ "artifactUpdate": { "taskId": "t-1", "contextId": "c", "artifact": artifact, "append": append } }),
        )?;
    }
    tell(json!({ "statusUpdate": { "taskId": "t-1", "contextId": "c", "status": status("COMPLETED", "ready") } }))
}

/// What became of a task, as its giver hears it: kinds, and the joined result.
fn followed(door: &Client, task: impl std::fmt::Display) -> (Vec<String>, String) {
    wait_for("the end of a task", PATIENCE, || {
        let seen: Value = door.get(&format!("/api/v1/tasks/{task}/events?after=0&wait_ms=1000")).ok()?;
        let events = seen["events"].as_array()?;
        let data =
            |event: &Value| BASE64.decode(event["data"].as_str().unwrap_or_default().as_bytes()).unwrap_or_default();
        let result = events.iter().filter(|event| event["kind"] == "result").flat_map(data).collect();
        let kinds = events.iter().map(|event| text(event, "kind")).collect();
        (seen["ended"] == true).then(|| (kinds, String::from_utf8(result).expect("text")))
    })
}

/// An agent with a card, and one that gives it work, at one node.
fn two(node: &Single) -> (Agent, Agent, Client) {
    let api = node.api();
    let (worker, giver) =
        (Agent::registered(&api, node.domain(), "worker"), Agent::registered(&api, node.domain(), "giver"));
    pair::publish_card(&api, &worker, &public_card(&worker, "text.count"));
    let door = session(&api, &giver);
    (worker, giver, door)
}

const ALL: [&str; 4] = ["accepted", "progress", "result", "finished"];

#[test]
fn a_task_of_another_domain_reaches_the_agents_own_server_and_what_it_says_comes_back() {
    let globex = Single::configured("globex", "endpoint_hosts = [\"127.0.0.1\"]");
    let pair = Pair::of(Single::named("acme"), globex, "all");
    let (acme, globex) = (pair.acme.api(), pair.globex.api());
    let giver = Agent::registered(&acme, pair.acme.domain(), "giver");
    let worker = Agent::registered(&globex, pair.globex.domain(), "worker");
    let server = Server::new(Manner::Streams);
    let set = json!({ "url": server.url(), "token": "open-sesame" });
    let set: Value = session(&globex, &worker).post("/api/v1/endpoints", &set).expect("a server");
    assert_eq!((&set["binding"], &set["by_operator"]), (&json!("JSONRPC"), &json!(false)), "{set}");
    let door = session(&acme, &giver);
    let id = pair::give(&door, &giver, &worker, "text.count").expect("a task");
    let (kinds, result) = followed(&door, id);
    assert_eq!((kinds, result.as_str()), (ALL.map(str::to_owned).to_vec(), "four"));
    let heard = server.heard();
    let [(_, token, call)] = &heard[..] else { panic!("one call: {heard:?}") };
    assert_eq!((token.as_str(), &call["method"]), ("bearer open-sesame", &json!("SendStreamingMessage")));
    let message = &call["params"]["message"];
    assert_eq!((&message["messageId"], &message["parts"]), (&json!(id), &json!([{ "text": "count me" }])));
    let told = &message["metadata"]["urn:comity:a2a:payment:1"];
    assert_eq!((&told["from"]["agent"], &told["capability"]), (&json!(giver.id), &json!("text.count")), "{told}");
    // Whoever has no server is still asked by nobody: it asks itself.
    ask(&pair.globex.dir, &["endpoint", "remove", &worker.id.to_string(), "--reason", "it is mended"]);
    let id = pair::give(&door, &giver, &worker, "text.count").expect("a task");
    let next: Value = wait_for("the task in the queue", PATIENCE, || {
        let next: Value = session(&globex, &worker).get("/api/v1/tasks/next?wait_ms=500").ok()?;
        (!next["task"].is_null()).then(|| next["task"].clone())
    });
    assert_eq!((&next["task"], server.heard().len()), (&json!(id), 1));
}

#[test]
fn a_server_that_does_not_stream_or_breaks_off_is_asked_how_it_stands() {
    let node = Single::configured("acme", "endpoint_hosts = [\"127.0.0.1\"]");
    let (worker, giver, door) = two(&node);
    for (manner, binding, calls) in [
        (Manner::Answers, "JSONRPC", ["SendStreamingMessage", "SendMessage", "GetTask"].to_vec()),
        (Manner::Breaks, "JSONRPC", ["SendStreamingMessage", "GetTask"].to_vec()),
        (Manner::Streams, "HTTP+JSON", ["POST /agent/message:stream"].to_vec()),
        (Manner::Breaks, "HTTP+JSON", ["POST /agent/message:stream", "GET /agent/tasks/t-1"].to_vec()),
    ] {
        let server = Server::new(manner);
        let set = json!({ "agent": worker.id, "url": server.url(), "binding": binding });
        let _: Value = node.api().post("/api/v1/endpoints", &set).expect("a server");
        let id = pair::give(&door, &giver, &worker, "text.count").expect("a task");
        let (kinds, result) = followed(&door, id);
        assert_eq!((kinds.last().map(String::as_str), result.as_str()), (Some("finished"), "four"), "{kinds:?}");
        assert_eq!(server.calls(), calls);
    }
}

#[test]
fn a_server_that_is_away_gets_its_task_later_also_from_a_node_that_starts_again() {
    let mut node = Single::named("acme");
    let (worker, giver, _) = two(&node);
    let place = free_addresses(1)[0];
    let url = format!("http://{place}/agent");
    // The operator's own word is enough for this address.
    ask(&node.dir, &["endpoint", "set", &worker.id.to_string(), &url]);
    node.process.as_mut().expect("it runs").kill();
    node.start(&[]);
    node.wait_until_founded();
    let door = session(&node.api(), &giver);
    let id = pair::give(&door, &giver, &worker, "text.count").expect("a task");
    wait_for("word of the trouble", PATIENCE, || {
        let listed = ask(&node.dir, &["endpoint", "list"]);
        listed["endpoints"][0]["trouble"].is_string().then_some(())
    });
    let _server = Server::on(place, Manner::Streams);
    assert_eq!(followed(&door, id), (ALL.map(str::to_owned).to_vec(), "four".to_owned()));
    let listed = ask(&node.dir, &["endpoint", "list"]);
    assert_eq!(listed["endpoints"][0]["trouble"], Value::Null, "{listed}");
}

#[test]
fn a_task_that_its_giver_cancels_is_taken_back_from_the_server() {
    let node = Single::configured("acme", "endpoint_hosts = [\"127.0.0.1\"]");
    let (worker, giver, door) = two(&node);
    let server = Server::new(Manner::Works);
    let set = json!({ "agent": worker.id, "url": server.url() });
    let _: Value = node.api().post("/api/v1/endpoints", &set).expect("a server");
    let id = pair::give(&door, &giver, &worker, "text.count").expect("a task");
    wait_for("words of progress", PATIENCE, || {
        let seen: Value = door.get(&format!("/api/v1/tasks/{id}/events?after=0")).ok()?;
        seen["events"].as_array()?.iter().any(|event| event["kind"] == "progress").then_some(())
    });
    let _: Value = door.post(&format!("/api/v1/tasks/{id}/cancel"), &json!({})).expect("cancelled");
    wait_for("its cancelling at the server", PATIENCE, || {
        server.calls().iter().any(|call| call == "CancelTask").then_some(())
    });
}

#[test]
fn an_address_inside_the_network_is_refused_unless_the_operator_says_so_and_a_redirect_leads_nowhere() {
    let node = Single::configured("acme", "endpoint_hosts = [\"127.0.0.1:9\", \"127.0.0.2\"]");
    let (worker, giver, door) = two(&node);
    let api = node.api();
    let own = session(&api, &worker);
    let set = |door: &Client, url: &str| door.post::<Value>("/api/v1/endpoints", &json!({ "url": url })).map(drop);
    for url in [
        "http://127.0.0.1:10/",
        "http://localhost:9/",
        "http://[::1]:9/",
        "http://10.0.0.1/",
        "http://192.168.1.1/",
        "http://169.254.169.254/latest",
        "http://2130706433:10/",
        "http://user:secret@127.0.0.1:9/",
        "file:///etc/passwd",
        "ftp://1.1.1.1/",
        "nothing",
    ] {
        assert_eq!(set(&own, url).expect_err(url).code, "endpoint_refused", "{url}");
    }
    assert_eq!(api.get::<Value>("/api/v1/endpoints").expect("a list")["endpoints"], json!([]), "nothing was kept");
    for url in ["http://127.0.0.1:9/", "http://127.0.0.2:77/x"] {
        set(&own, url).unwrap_or_else(|error| panic!("{url}: {error}"));
    }
    // Only one's own, and only somebody who is at home here.
    let others = json!({ "agent": giver.id, "url": "http://127.0.0.1:9/" });
    assert_eq!(own.post::<Value>("/api/v1/endpoints", &others).expect_err("another's").code, "not_this_agent");
    assert_eq!(set(&api, "http://127.0.0.1:9/").expect_err("nobody named").code, "agent_missing");
    let stranger = json!({ "agent": Agent::fresh(node.domain()).id, "url": "http://127.0.0.1:9/" });
    assert_eq!(api.post::<Value>("/api/v1/endpoints", &stranger).expect_err("a stranger").code, "unknown_agent");
    for (name, value, code) in
        [("binding", json!("GRPC"), "bad_binding"), ("token", json!("two words"), "bad_endpoint_token")]
    {
        let mut wish = json!({ "url": "http://127.0.0.1:9/" });
        wish[name] = value;
        assert_eq!(own.post::<Value>("/api/v1/endpoints", &wish).expect_err(name).code, code);
    }
    let removed = ["endpoint", "remove", &giver.id.to_string(), "--reason", "a test"];
    assert_eq!(try_ask(&node.dir, &removed).refusal(), "unknown_endpoint");
    // What the operator named is that address alone: whoever it sends us to is not asked.
    let inside = Server::new(Manner::Streams);
    let server = Server::new(Manner::Redirects(inside.address));
    ask(&node.dir, &["endpoint", "set", &worker.id.to_string(), &server.url()]);
    let id = pair::give(&door, &giver, &worker, "text.count").expect("a task");
    assert_eq!(followed(&door, id).0, ["failed"]);
    assert_eq!((server.heard().len(), inside.heard()), (1, Vec::new()));
    assert_eq!(set(&own, &inside.url()).expect_err("not the operator").code, "endpoint_refused");
}

#[test]
fn a_node_keeps_so_many_servers_and_no_more() {
    let node = Single::configured("acme", "endpoint_hosts = [\"127.0.0.1\"]");
    let api = node.api();
    let set = |number: u16| {
        let agent = Agent::registered(&api, node.domain(), "worker");
        let wish = json!({ "agent": agent.id, "url": format!("http://127.0.0.1:{}/", 9_000 + number) });
        api.post::<Value>("/api/v1/endpoints", &wish)
    };
    for number in 0..256 {
        set(number).unwrap_or_else(|error| panic!("{number}: {error}"));
    }
    assert_eq!(set(256).expect_err("one too many").code, "too_many_endpoints");
}
