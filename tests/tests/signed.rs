//! Requests that an agent signs with its own key instead of showing a token: what is signed counts, once, for a minute.

use comity_proto::{http_signature, ids::Hash, keys::SecretKey};
use comity_tests::{
    agent::Agent,
    now_ms,
    single::Single,
    wire::{Said, Wire, ask},
};
use data_encoding::BASE64;
use std::sync::atomic::{AtomicU64, Ordering};

/// A request, and what is said about its signature.
#[derive(Clone)]
struct Signed<'a> {
    method: &'a str,
    path: &'a str,
    body: &'a [u8],
    covered: &'a [&'a str],
    key: &'a SecretKey,
    keyid: String,
    created_s: u64,
    nonce: String,
    tag: &'a str,
}

static NONCE: AtomicU64 = AtomicU64::new(0);

impl<'a> Signed<'a> {
    fn get(path: &'a str, agent: &'a Agent) -> Signed<'a> {
        Signed {
            method: "GET",
            path,
            body: b"",
            covered: &["@method", "@target-uri"],
            key: agent.signer.key(),
            keyid: agent.id.to_string(),
            // Behind the second in which the node started.
            created_s: now_ms() / 1_000 + 1,
            nonce: format!("nonce-{:016}", NONCE.fetch_add(1, Ordering::Relaxed)),
            tag: "comity-request",
        }
    }

    /// What is said about the body, and the signature.
    fn headers(&self, node: &Single) -> Vec<(&'static str, String)> {
        let url = format!("http://{}{}", node.http, self.path);
        let digest = format!("sha-256=:{}:", BASE64.encode(&Hash::of(self.body).0));
        let value = |name: &str| match name {
            "@method" => self.method.to_owned(),
            "@target-uri" => url.clone(),
            _ => digest.clone(),
        };
        let values: Vec<(&str, String)> = self.covered.iter().map(|name| (*name, value(name))).collect();
        let covered: Vec<http_signature::Covered<'_>> =
            values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let names: Vec<String> = self.covered.iter().map(|name| format!("\"{name}\"")).collect();
        let parameters = format!(
            "({});created={};keyid=\"{}\";nonce=\"{}\";alg=\"ed25519\";tag=\"{}\"",
            names.join(" "),
            self.created_s,
            self.keyid,
            self.nonce,
            self.tag
        );
        let signature = http_signature::sign(self.key, &covered, &parameters).expect("one line each");
        let signature = format!("sig1=:{}:", BASE64.encode(&signature));
        let mut headers = vec![("signature-input", format!("sig1={parameters}")), ("signature", signature)];
        if !self.body.is_empty() {
            headers.extend([("content-digest", digest), ("content-type", "application/json".to_owned())]);
        }
        headers
    }

    /// Signs as said, and sends; `sent` is the body that goes on the way.
    fn send(&self, node: &Single, sent: &[u8]) -> Said {
        let headers = self.headers(node);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        ask(node.http, self.method, self.path, &headers, sent)
    }
}

#[test]
fn an_agent_s_signature_opens_what_its_token_would_and_each_request_counts_once() {
    let node = Single::up();
    let agent = Agent::registered(&node.api(), node.domain(), "alice");
    let stranger = Agent::fresh(node.domain());
    let path = format!("/api/v1/accounts/{}", agent.id);
    let good = Signed::get(&path, &agent);
    let said = good.send(&node, b"");
    assert_eq!((said.status, said.json()["agent"].as_str()), (200, Some(agent.id.to_string().as_str())), "{said:?}");
    let own = |changed: &dyn Fn(&mut Signed<'_>)| {
        let mut signed = Signed::get(&path, &agent);
        changed(&mut signed);
        signed.send(&node, b"").refusal()
    };
    let refused = |code: &str| (401, code.to_owned());
    assert_eq!(good.send(&node, b"").refusal(), refused("nonce_repeated"));
    assert_eq!(own(&|it| it.created_s -= 120), refused("request_signature_stale"));
    assert_eq!(own(&|it| it.created_s += 120), refused("request_signature_stale"));
    assert_eq!(own(&|it| it.covered = &["@method"]), refused("bad_request_signature"));
    assert_eq!(own(&|it| it.keyid = stranger.id.to_string()), refused("bad_request_signature"));
    assert_eq!(own(&|it| it.tag = "comity-webhook"), refused("bad_request_signature"));
    assert_eq!(own(&|it| it.nonce = "short".to_owned()), refused("bad_request_signature"));
    assert_eq!(own(&|it| it.covered = &["@method", "@target-uri", "x-absent"]), refused("bad_request_signature"));
    let other_key = Signed { key: stranger.signer.key(), ..Signed::get(&path, &agent) };
    assert_eq!(other_key.send(&node, b"").refusal(), refused("bad_request_signature"));
    // It is this agent's and no one else's.
    let of_others = Signed::get("/api/v1/accounts", &agent).send(&node, b"");
    assert_eq!(of_others.refusal(), (403, "operator_only".to_owned()));
}

#[test]
fn a_body_is_signed_by_its_digest_or_refused() {
    let node = Single::configured("acme", "webhook_hosts = [\"127.0.0.1:9\"]");
    let agent = Agent::registered(&node.api(), node.domain(), "alice");
    let body = b"{\"url\":\"http://127.0.0.1:9/\"}";
    let post = |covered: &'static [&'static str]| Signed {
        method: "POST",
        body,
        covered,
        ..Signed::get("/api/v1/webhooks", &agent)
    };
    let all: &[&str] = &["@method", "@target-uri", "content-digest"];
    let said = post(all).send(&node, body);
    assert_eq!(said.status, 200, "{said:?}");
    let other = post(all).send(&node, b"{\"url\":\"http://127.0.0.1:9/x\"}");
    assert_eq!(other.refusal(), (401, "bad_content_digest".to_owned()));
    let uncovered = post(&["@method", "@target-uri"]).send(&node, body);
    assert_eq!(uncovered.refusal(), (401, "bad_content_digest".to_owned()));
}

#[test]
fn a_header_that_stands_twice_is_not_covered_and_a_body_that_never_ends_is_not_waited_for() {
    let node = Single::up();
    let agent = Agent::registered(&node.api(), node.domain(), "alice");
    let covered: &[&str] = &["@method", "@target-uri", "content-digest"];
    let post = Signed { method: "POST", body: b"{}", covered, ..Signed::get("/api/v1/webhooks", &agent) };
    let mut headers = post.headers(&node);
    let digest = headers[2].clone();
    headers.push(digest);
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let twice = ask(node.http, post.method, post.path, &headers, post.body);
    assert_eq!(twice.refusal(), (401, "bad_request_signature".to_owned()));

    let headers = Signed { nonce: "another nonce 1234".to_owned(), ..post.clone() }.headers(&node);
    let mut headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    headers.push(("transfer-encoding", "chunked"));
    let mut wire = Wire::to(node.http);
    wire.head(post.method, post.path, &headers);
    wire.send(b"1\r\n{\r\n");
    assert_eq!(wire.answer().expect("an answer").refusal(), (400, "body_too_slow".to_owned()));
}
