//! The event stream and webhooks: who hears what, resumption without a gap, deliveries that are signed and come until they
//! are taken.

use comity_node::{
    cli::context::submit,
    signer::{fresh_escrow_id, fresh_id},
};
use comity_proto::{
    command::{Command, Verb},
    escrow::EscrowTerms,
    http_signature,
    ids::{Hash, PublicKey},
    limits::{COMMANDS_PER_BATCH_MAX, CONDITION_BYTES_MAX},
    text::Condition,
};
use comity_tests::{
    PATIENCE,
    agent::Agent,
    cli::{ask as command, try_ask as try_command},
    now_ms,
    pair::text,
    single::Single,
    wait_for,
    wire::{Said, Wire, ask},
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// A custodial agent: id and token.
fn account(node: &Single, name: &str) -> (String, String) {
    let made = command(&node.dir, &["agent", "register", name, "--custodial"]);
    (text(&made, "agent"), text(&made, "token"))
}

fn errand(node: &Single, token: &str, key: &str, verb: &str, arguments: Value) -> Value {
    let body = json!({ "verb": verb, "arguments": arguments });
    let door = node.api().with_token(token);
    door.post_with_key("/api/v1/custody/errands", &body, Some(key)).unwrap_or_else(|error| panic!("{verb}: {error}"))
}

fn get(node: &Single, token: &str, path: &str, more: &[(&str, &str)]) -> Said {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(more);
    ask(node.http, "GET", path, &headers, b"")
}

/// An event as it came: id, name, data.
type Heard = (u64, String, Value);

/// Blocks of a stream that hold an event; comments and bare ids are passed over.
fn blocks(text: &str) -> Vec<Heard> {
    let block = |block: &str| {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let data: Value = serde_json::from_str(&field("data: ")?).expect("JSON");
        Some((field("id: ").and_then(|id| id.parse().ok()).unwrap_or(u64::MAX), field("event: ")?, data))
    };
    text.split("\n\n").filter_map(block).collect()
}

/// What there is behind a leaf, without waiting for more.
fn past(node: &Single, token: &str, after: u64) -> Vec<Heard> {
    let said = get(node, token, "/api/v1/events?follow=false", &[("last-event-id", &after.to_string())]);
    assert_eq!((said.status, said.header("content-type")), (200, "text/event-stream"));
    blocks(&String::from_utf8(said.body).expect("text"))
}

fn names(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(|(_, name, _)| name.as_str()).collect()
}

/// Two agents with money, of whom the first locks an escrow for the second.
fn traded(node: &Single) -> ((String, String), (String, String)) {
    let (alice, bob) = (account(node, "alice"), account(node, "bob"));
    for (_, token) in [&alice, &bob] {
        errand(node, token, "claim", "claim_faucet", json!({}));
    }
    let terms = json!({ "payee": bob.0, "amount": "0.50", "task": "count words", "on_silence": "refund" });
    errand(node, &alice.1, "lock", "create_escrow", terms);
    (alice, bob)
}

#[test]
fn an_agent_follows_what_concerns_it_and_goes_on_where_it_stopped() {
    let node = Single::up();
    let mut wire = Wire::to(node.http);
    let (watcher, watching) = account(&node, "watcher");
    let bearer = format!("Bearer {watching}");
    wire.head("GET", "/api/v1/events", &[("authorization", &bearer)]);
    let head = wire.answer_head().expect("an answer");
    assert_eq!((head.status, head.header("content-type")), (200, "text/event-stream"));
    let (alice, bob) = traded(&node);
    // What concerns others is not heard; what is its own is, at once.
    errand(&node, &watching, "claim", "claim_faucet", json!({}));
    let mut live = Vec::new();
    while live.is_empty() {
        live = blocks(&String::from_utf8(wire.chunk().expect("the stream goes on")).expect("text"));
    }
    assert_eq!(names(&live), ["faucet_claimed"]);
    assert_eq!(live[0].2["data"]["agent"], watcher.as_str());
    assert_eq!(live[0].2["postings"][0]["account"], watcher.as_str(), "{:?}", live[0]);

    let heard = past(&node, &alice.1, 0);
    let own: Vec<&str> = names(&heard).into_iter().filter(|name| !name.starts_with("asset")).collect();
    assert_eq!(own, ["agent_registered", "faucet_claimed", "escrow_locked"], "{heard:?}");
    let (_, _, locked) = heard.last().expect("events");
    assert_eq!(locked["data"]["terms"]["amount"], "500000", "{locked}");
    let postings = locked["postings"].as_array().expect("postings");
    assert_eq!(postings.len(), 1, "only its own: {locked}");
    assert_eq!((&postings[0]["debit"], &postings[0]["credit"]), (&json!("500000"), &json!("0")));
    // The other side of the escrow hears of it too, without a posting of its own.
    let heard_by_bob = past(&node, &bob.1, 0);
    assert_eq!(heard_by_bob.last().expect("events").1, "escrow_locked");
    assert_eq!(heard_by_bob.last().expect("events").2["postings"], json!([]));
    // From the middle: exactly the rest.
    let middle = heard[heard.len() - 2].0;
    assert_eq!(past(&node, &alice.1, middle), heard[heard.len() - 1..]);
    assert_eq!(past(&node, &alice.1, heard.last().expect("events").0), []);
    // The operator hears everything, in the order of the log without a gap; a newcomer only what is the domain's own.
    let all = past(&node, &node.token("api.token"), 0);
    assert!(all.iter().enumerate().all(|(at, (leaf, ..))| *leaf == at as u64 + 1), "{:?}", names(&all));
    let public = past(&node, &node.token("admission.token"), 0);
    assert!(
        public
            .iter()
            .all(|(_, name, _)| ["asset_known", "roster_changed", "policy_announced"].contains(&name.as_str())),
        "{public:?}"
    );
    // Nothing happens for a while: the stream says that it lives, and up to where there was nothing for it.
    let pulse = String::from_utf8(wire.chunk().expect("a sign of life")).expect("text");
    assert!(pulse.starts_with(":\nid: "), "{pulse:?}");
}

#[test]
fn streams_have_their_limits_and_refusals() {
    let node = Single::up();
    let operator = node.token("api.token");
    for (path, id, code) in [
        ("/api/v1/events", "x", "bad_event_id"),
        ("/api/v1/events", "99999999", "no_such_event"),
        ("/api/v1/events?after=99999999", "", "no_such_event"),
    ] {
        let more = [("last-event-id", id)];
        let said = get(&node, &operator, path, if id.is_empty() { &[] } else { &more });
        assert_eq!(said.refusal(), (400, code.to_owned()), "{path} {id}");
    }
    let bearer = format!("Bearer {operator}");
    let open = || {
        let mut wire = Wire::to(node.http);
        wire.head("GET", "/api/v1/events", &[("authorization", &bearer)]);
        let status = wire.answer_head().expect("an answer").status;
        (wire, status)
    };
    let streams: Vec<(Wire, u16)> = (0..8).map(|_| open()).collect();
    assert!(streams.iter().all(|(_, status)| *status == 200));
    let said = get(&node, &operator, "/api/v1/events", &[]);
    assert_eq!(said.refusal(), (429, "too_many_event_streams".to_owned()));
    drop(streams);
    // A reader that went away is missed at the next sign of life.
    wait_for("a free place", PATIENCE, || (open().1 == 200).then_some(()));
}

/// A post that came.
#[derive(Clone, Debug)]
struct Post {
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// Takes posts; refuses as many as `refusing` says.
struct Receiver {
    url: String,
    refusing: Arc<AtomicUsize>,
    posts: Arc<Mutex<Vec<Post>>>,
}

impl Receiver {
    fn open() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let receiver = Receiver { url, refusing: Arc::default(), posts: Arc::default() };
        let (refusing, posts) = (receiver.refusing.clone(), receiver.posts.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let mut lines = (&mut reader).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
                assert_eq!(lines.next().as_deref(), Some("POST /hook HTTP/1.1"));
                let headers = lines.filter_map(|line| {
                    line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
                });
                let headers: BTreeMap<String, String> = headers.collect();
                let mut body = vec![0; headers["content-length"].parse().expect("a length")];
                reader.read_exact(&mut body).expect("a body");
                posts.lock().expect("posts").push(Post { headers, body });
                let refuses =
                    refusing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
                let status = if refuses { "503 Busy" } else { "200 OK" };
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                reader.get_mut().write_all(answer.as_bytes()).expect("an answer");
            }
        });
        receiver
    }

    fn wait(&self, count: usize) -> Vec<Post> {
        wait_for(&format!("{count} posts"), PATIENCE, || {
            let posts = self.posts.lock().expect("posts");
            (posts.len() >= count).then(|| posts.clone())
        })
    }
}

/// The keys that sign for the domain, from where other software looks for them.
fn published(node: &Single) -> Vec<(String, PublicKey)> {
    let set = wait_for("the key set", PATIENCE, || {
        let said = ask(node.http, "GET", "/.well-known/registry-jwks.json", &[], b"");
        (said.status == 200).then(|| said.json())
    });
    let key = |jwk: &Value| {
        let x = BASE64URL_NOPAD.decode(text(jwk, "x").as_bytes()).expect("base64url");
        (text(jwk, "kid"), PublicKey(x.as_slice().try_into().expect("32 bytes")))
    };
    set["keys"].as_array().expect("keys").iter().map(key).collect()
}

/// Checks a post as its receiver would: digest, key, signature over what was sent to this address.
fn check(post: &Post, url: &str, keys: &[(String, PublicKey)]) {
    let header = |name: &str| post.headers.get(name).unwrap_or_else(|| panic!("no {name}")).as_str();
    let digest = format!("sha-256=:{}:", BASE64.encode(&Hash::of(&post.body).0));
    assert_eq!(header("content-digest"), digest);
    let parameters = header("signature-input").strip_prefix("comity=").expect("its label");
    assert!(parameters.ends_with(";alg=\"ed25519\";tag=\"comity-webhook\""), "{parameters}");
    let (_, key) = keys.iter().find(|(kid, _)| parameters.contains(&format!("keyid=\"{kid}\""))).expect("a known key");
    let covered = [
        ("@method", "POST"),
        ("@target-uri", url),
        ("content-type", header("content-type")),
        ("content-digest", header("content-digest")),
        ("comity-delivery", header("comity-delivery")),
    ];
    let signature = header("signature").strip_prefix("comity=:").and_then(|text| text.strip_suffix(':'));
    let signature = BASE64.decode(signature.expect("bytes").as_bytes()).expect("base64").try_into().expect("64 bytes");
    assert_eq!(http_signature::check(key, &covered, parameters, &signature), Ok(()));
}

fn event(post: &Post) -> Value {
    serde_json::from_slice::<Value>(&post.body).expect("JSON")["event"].take()
}

#[test]
fn a_webhook_gets_each_event_signed_and_in_order_until_it_takes_it_also_after_a_restart() {
    let mut node = Single::configured("acme", "webhook_hosts = [\"127.0.0.1\"]");
    let receiver = Receiver::open();
    let (agent, token) = account(&node, "alice");
    let door = node.api().with_token(token.clone());
    receiver.refusing.store(2, Ordering::SeqCst);
    let wish = json!({ "url": receiver.url, "types": ["faucet_claimed", "escrow_locked", "transferred"] });
    let made: Value = door.post("/api/v1/webhooks", &wish).expect("a webhook");
    assert_eq!(made["given_up"], false, "{made}");
    errand(&node, &token, "claim", "claim_faucet", json!({}));
    // Twice refused, then taken: the same bytes, the same delivery.
    let posts = receiver.wait(3);
    let keys = published(&node);
    posts.iter().for_each(|post| check(post, &receiver.url, &keys));
    assert!(posts.iter().all(|post| post.body == posts[0].body));
    let delivery = &posts[0].headers["comity-delivery"];
    assert!(posts.iter().all(|post| post.headers["comity-delivery"] == *delivery), "{posts:?}");
    assert_eq!(
        (event(&posts[0])["type"].as_str(), event(&posts[0])["data"]["agent"].as_str()),
        (Some("faucet_claimed"), Some(agent.as_str()))
    );
    let leaf = event(&posts[0])["leaf"].as_u64().expect("a leaf");
    assert_eq!(*delivery, format!("{}/{}/{leaf}", node.domain(), text(&made, "id")));
    let list = || -> Value { node.api().with_token(token.clone()).get("/api/v1/webhooks").expect("a list") };
    wait_for("the cursor", PATIENCE, || (list()["webhooks"][0]["seen"] == leaf).then_some(()));
    assert_eq!(list()["webhooks"][0]["failures"], 0);
    // Another one's webhook is nobody's business.
    let others: Value = node.api().get("/api/v1/webhooks").expect("a list");
    assert_eq!(others["webhooks"], json!([]));

    drop(node.process.take());
    node.start(&[]);
    node.wait_until_founded();
    let (bob, _) = account(&node, "bob");
    errand(&node, &token, "pay", "transfer", json!({ "to": bob, "amount": "0.10" }));
    let posts = receiver.wait(4);
    check(&posts[3], &receiver.url, &keys);
    assert_eq!(event(&posts[3])["type"], "transferred", "nothing between was lost, nothing else was posted");
    assert_eq!(event(&posts[3])["postings"][0]["debit"], "100000");

    let path = format!("/api/v1/webhooks/{}", text(&made, "id"));
    let remove = |token: &str| ask(node.http, "DELETE", &path, &[("authorization", &format!("Bearer {token}"))], b"");
    assert_eq!(remove(&node.token("api.token")).refusal(), (404, "unknown_webhook".to_owned()));
    assert_eq!(remove(&token).status, 204);
    errand(&node, &token, "again", "transfer", json!({ "to": bob, "amount": "0.10" }));
    assert_eq!(remove(&token).refusal(), (404, "unknown_webhook".to_owned()));
    assert_eq!(receiver.posts.lock().expect("posts").len(), 4, "what is removed gets nothing more");
}

#[test]
fn webhooks_point_outside_and_are_few() {
    let node = Single::configured("acme", "webhook_hosts = [\"127.0.0.1:9\"]");
    let add = |token: &str, wish: Value| node.api().with_token(token).post::<Value>("/api/v1/webhooks", &wish);
    let operator = node.token("api.token");
    for url in ["http://127.0.0.1:10/", "http://169.254.169.254/latest", "file:///etc/passwd", "http://[::1]:9/", ""] {
        assert_eq!(add(&operator, json!({ "url": url })).expect_err(url).code, "webhook_refused", "{url}");
    }
    let url = "http://127.0.0.1:9/";
    let newcomer = add(&node.token("admission.token"), json!({ "url": url }));
    assert_eq!(newcomer.expect_err("a newcomer").code, "not_for_newcomers");
    let behind = add(&operator, json!({ "url": url, "after": 99_999_999 }));
    assert_eq!(behind.expect_err("behind the end").code, "no_such_event");
    let odd = add(&operator, json!({ "url": url, "types": ["x".repeat(65)] }));
    assert_eq!(odd.expect_err("a long name").code, "bad_event_types");
    for _ in 0..8 {
        add(&operator, json!({ "url": url })).expect("a webhook");
    }
    assert_eq!(add(&operator, json!({ "url": url })).expect_err("the ninth").code, "too_many_webhooks");
    // Nobody listens there: it is shown, and tried again.
    wait_for("a failure that is shown", PATIENCE, || {
        let list: Value = node.api().get("/api/v1/webhooks").expect("a list");
        let all = list["webhooks"].as_array().expect("webhooks").clone();
        (all.len() == 8 && all.iter().all(|hook| hook["given_up"] == false)).then_some(())
    });
}

/// Bytes that a connection may hold for a reader that takes nothing, where the system tells.
fn held_by_a_connection() -> usize {
    let most = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok()?;
        text.split_ascii_whitespace().last()?.parse().ok()
    };
    most("tcp_wmem").unwrap_or(4 << 20)
}

/// Locks escrows with long conditions until the log has grown by so many bytes.
fn grow(node: &Single, bytes: usize) {
    let payer = Agent::funded(&node.api(), node.domain(), "payer");
    let payee = Agent::registered(&node.api(), node.domain(), "payee");
    let terms = EscrowTerms {
        condition: Condition::new(&"x".repeat(CONDITION_BYTES_MAX)).expect("a condition"),
        ..payer.terms(&payee, node.asset(), 10)
    };
    let lock = |_| Command {
        request_id: fresh_id(),
        verb: Verb::LockEscrow { escrow_id: fresh_escrow_id(), terms: terms.clone() },
    };
    for _ in 0..bytes / (COMMANDS_PER_BATCH_MAX * CONDITION_BYTES_MAX) + 1 {
        let batch = payer.signer.sign_all((0..COMMANDS_PER_BATCH_MAX).map(lock).collect(), now_ms());
        let said = submit(&node.api(), &batch).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(said["results"].as_array().map(Vec::len), Some(COMMANDS_PER_BATCH_MAX), "{said}");
    }
}

#[test]
fn a_reader_that_takes_nothing_is_told_where_to_go_on_and_misses_nothing() {
    let node = Single::up();
    grow(&node, 3 * held_by_a_connection());
    let operator = node.token("api.token");
    let mut wire = Wire::to(node.http);
    wire.head("GET", "/api/v1/events?after=0", &[("authorization", &format!("Bearer {operator}"))]);
    assert_eq!(wire.answer_head().expect("an answer").status, 200);
    // Longer than the node waits for a reader.
    std::thread::sleep(Duration::from_secs(33));
    let mut text = String::new();
    while let Some(piece) = wire.chunk() {
        text.push_str(&String::from_utf8(piece).expect("text"));
    }
    let mut heard = blocks(&text);
    let (_, name, last) = heard.pop().expect("a last word");
    assert_eq!((name.as_str(), &last["code"]), ("behind", &json!("reader_too_slow")), "{last}");
    let resume = last["resume_after"].as_u64().expect("a leaf");
    assert_eq!(heard.last().map(|(leaf, ..)| *leaf), Some(resume));
    // The rest, without a gap and without a repetition.
    let rest = past(&node, &operator, resume);
    let all: Vec<u64> = heard.iter().chain(&rest).map(|(leaf, ..)| *leaf).collect();
    assert!(
        !rest.is_empty() && all.iter().enumerate().all(|(at, leaf)| *leaf == at as u64 + 1),
        "{} events",
        all.len()
    );
    assert_eq!(all.last().map(|leaf| leaf + 1), last["events"].as_u64());
}

/// Sends whoever comes to itself again, and counts them.
fn circle() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (address, came) = (listener.local_addr().expect("an address"), Arc::new(AtomicUsize::new(0)));
    let count = came.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            let _head = stream.read(&mut [0; 8_192]);
            let to = "HTTP/1.1 307 Again\r\nlocation: /again\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _told = stream.write_all(to.as_bytes());
        }
    });
    (address, came)
}

#[test]
fn an_address_that_redirects_for_ever_is_left_at_once() {
    let node = Single::configured("acme", "webhook_hosts = [\"127.0.0.1\"]");
    let (address, came) = circle();
    let _: Value =
        node.api().post("/api/v1/webhooks", &json!({ "url": format!("http://{address}/") })).expect("a hook");
    account(&node, "alice");
    let failures = wait_for("two failures", PATIENCE, || {
        let list: Value = node.api().get("/api/v1/webhooks").expect("a list");
        let hook = &list["webhooks"][0];
        assert!(hook["refusal"].is_null() || text(hook, "refusal").contains("307"), "{hook}");
        hook["failures"].as_u64().filter(|failures| *failures >= 2)
    });
    // One request for each attempt; another one may be under way.
    let requests = came.load(Ordering::SeqCst) as u64;
    assert!((failures..=failures + 2).contains(&requests), "{requests} requests for {failures} attempts");

    // A person who is sent in a circle is told so, too.
    let (address, came) = circle();
    let said = try_command(&node.dir, &["--api", &format!("http://{address}"), "card", "get", "cm1"]);
    assert_eq!((said.code, said.refusal()), (1, "node_unreachable"), "{}", said.text);
    assert!((1..=32).contains(&came.load(Ordering::SeqCst)), "{}", came.load(Ordering::SeqCst));
}
