//! Requests that an agent signs with its own key (RFC 9421) instead of showing a token: nothing that could be stolen on
//! the way is sent, and each request counts once.
//!
//! ```text
//! content-digest: sha-256=:..:                        (RFC 9530; whenever there is a body)
//! signature-input: LABEL=("@method" "@target-uri" "content-digest");created=S;keyid="AGENT";nonce="..";alg="ed25519";tag="comity-request"
//! signature: LABEL=:..:
//! ```
//! One signature, by the agent's current key in the ledger. It counts once at each node, and not at a node that started
//! after it was made, which could not know it. Deliberately absent: keys that a request brings along.

use super::own::{header_text, url, whole};
use crate::{
    node::Node,
    service::{
        books,
        error::{Kind, ServiceError},
        principal::Principal,
    },
};
use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use comity_ledger::Ledger;
use comity_proto::{
    http_signature::{self, Covered},
    ids::AgentId,
};
use comity_runtime as runtime;
use data_encoding::BASE64;
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};

/// What a signature must be for, so that one for another purpose counts for nothing here.
pub(super) const TAG: &str = "comity-request";
/// How far the time of signing may be from this node's clock.
const FRESH_MS: u64 = 60_000;
const NONCE_CHARS: std::ops::RangeInclusive<usize> = 16..=64;
const COVERED_MAX: usize = 16;
const WHOLE_WITHIN: Duration = Duration::from_secs(20);

const INPUT: HeaderName = HeaderName::from_static("signature-input");
const SIGNATURE: HeaderName = HeaderName::from_static("signature");
const DIGEST: HeaderName = HeaderName::from_static("content-digest");

/// Who signed a request: this door found it so.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignedBy(pub(super) Principal);

fn wrong(code: &str, detail: impl Into<String>) -> ServiceError {
    let next =
        "see /api/v1/docs: sign @method, @target-uri and content-digest with the agent's current key, or send a token";
    ServiceError::new(Kind::Unauthenticated, code, detail, next)
}

/// Judges a request that brings a signature and no token; others pass as they are.
pub(super) async fn judged(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_native = request.uri().path().starts_with("/api/v1/");
    if !is_native || headers.contains_key(header::AUTHORIZATION) || !headers.contains_key(INPUT) {
        return next.run(request).await;
    }
    match judge(&node, request).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

async fn judge(node: &Node, request: Request) -> Result<Request, ServiceError> {
    let (mut parts, body) = request.into_parts();
    let said = Said::read(&parts.headers)?;
    // Who nobody knows has no body read.
    said.check(node, &parts).await?;
    node.tokens().once(
        said.agent,
        said.nonce.clone(),
        runtime::wall_ms(),
        said.created_ms.saturating_add(2 * FRESH_MS),
    )?;
    let read = runtime::timeout(WHOLE_WITHIN, whole(body)).await;
    let slow = |_| ServiceError::bad_input("body_too_slow", format!("it did not end in {WHOLE_WITHIN:?}"));
    let body = read.map_err(slow)?.map_err(|(_, code, detail)| {
        ServiceError::new(Kind::TooLarge, code, detail, "send less, or refer to it by hash")
    })?;
    if !body.is_empty() {
        let digest = format!("sha-256=:{}:", BASE64.encode(&Sha256::digest(&body)));
        if header_text(&parts.headers, &DIGEST) != Some(&digest) || !said.covers(DIGEST.as_str()) {
            return Err(wrong("bad_content_digest", "the body has no signed `Content-Digest` with its SHA-256"));
        }
    }
    parts.extensions.insert(SignedBy(Principal::Agent(said.agent)));
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// A signature as it was sent.
struct Said {
    /// What is covered.
    names: Vec<String>,
    /// The list and its parameters, as signed.
    parameters: String,
    created_ms: u64,
    agent: AgentId,
    nonce: String,
    signature: [u8; 64],
}

impl Said {
    fn read(headers: &HeaderMap) -> Result<Said, ServiceError> {
        let malformed = |what: &str| wrong("bad_request_signature", format!("{what} is missing or malformed"));
        let input = header_text(headers, &INPUT).ok_or_else(|| malformed("Signature-Input"))?;
        let (label, parameters) = input.split_once('=').ok_or_else(|| malformed("Signature-Input"))?;
        let (names, fields) = list(parameters).ok_or_else(|| malformed("the list of what is covered"))?;
        let field = |name: &str| {
            let found = fields.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            found.ok_or_else(|| malformed(name))
        };
        let created: u64 = field("created")?.parse().map_err(|_| malformed("created"))?;
        let agent = quoted(field("keyid")?).and_then(|id| id.parse().ok()).ok_or_else(|| malformed("keyid"))?;
        let nonce = quoted(field("nonce")?).filter(|nonce| NONCE_CHARS.contains(&nonce.len()));
        let nonce = nonce.ok_or_else(|| malformed("nonce"))?.to_owned();
        if quoted(field("tag")?) != Some(TAG) || quoted(field("alg")?) != Some("ed25519") {
            return Err(malformed("alg or tag"));
        }
        let bytes = header_text(headers, &SIGNATURE).and_then(|text| text.strip_prefix(label)?.strip_prefix("=:"));
        let bytes = bytes.and_then(|text| BASE64.decode(text.strip_suffix(':')?.as_bytes()).ok());
        let signature = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| malformed("Signature"))?;
        let created_ms = created.saturating_mul(1_000);
        Ok(Said { names, parameters: parameters.to_owned(), created_ms, agent, nonce, signature })
    }

    fn covers(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }

    async fn check(&self, node: &Node, parts: &Parts) -> Result<(), ServiceError> {
        let is_fresh = runtime::wall_ms().abs_diff(self.created_ms) <= FRESH_MS;
        if !is_fresh || !node.tokens().remembers(self.created_ms) {
            let detail = "it was signed over a minute ago, before this node started, or by a clock that differs";
            return Err(wrong("request_signature_stale", detail));
        }
        if !self.covers("@method") || !self.covers("@target-uri") {
            return Err(wrong("bad_request_signature", "@method and @target-uri must be covered"));
        }
        let target = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let target = url(node, parts, target);
        let mut covered: Vec<Covered<'_>> = Vec::new();
        for name in &self.names {
            let value = match name.as_str() {
                "@method" => Some(parts.method.as_str()),
                "@target-uri" => Some(target.as_str()),
                name if name.starts_with('@') => None,
                name => only(&parts.headers, name),
            };
            let value = value.ok_or_else(|| wrong("bad_request_signature", format!("`{name}` cannot be covered")))?;
            covered.push((name, value));
        }
        let agent = self.agent;
        let known = |ledger: &Ledger| ledger.agent(&agent).filter(|agent| !agent.retired).map(|agent| agent.key);
        let key = books::read(node, known).await?;
        let checked = key.map(|key| http_signature::check(&key, &covered, &self.parameters, &self.signature));
        match checked {
            Some(Ok(())) => Ok(()),
            _ => Err(wrong("bad_request_signature", "it is not by the agent's current key over this request")),
        }
    }
}

/// A header that stands there once: of two of a name one would not be covered.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    let first = all.next()?.to_str().ok()?;
    all.next().is_none().then_some(first)
}

type Field<'a> = (&'a str, &'a str);

/// `("a" "b");name=value;..`: what is listed, and the parameters.
fn list(text: &str) -> Option<(Vec<String>, Vec<Field<'_>>)> {
    let (inside, rest) = text.strip_prefix('(')?.split_once(')')?;
    let names: Option<Vec<String>> =
        inside.split_ascii_whitespace().map(|name| quoted(name).map(str::to_owned)).collect();
    let names = names.filter(|names| names.len() <= COVERED_MAX)?;
    let fields: Option<Vec<Field<'_>>> = rest.split(';').skip(1).map(|field| field.split_once('=')).collect();
    Some((names, fields.filter(|fields| fields.len() <= COVERED_MAX)?))
}

fn quoted(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    (!inside.contains(['"', '\\'])).then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_they_are_written_and_nothing_else() {
        let (names, fields) = list("(\"@method\" \"content-digest\");created=5;keyid=\"a\"").unwrap();
        assert_eq!(names, ["@method", "content-digest"]);
        assert_eq!(fields, [("created", "5"), ("keyid", "\"a\"")]);
        assert_eq!(list("();created=5").unwrap().0, [""; 0]);
        for text in ["", "(", "\"a\"", "(a)", "(\"a\"b\")", "(\"a\");created", &format!("({})", "\"a\" ".repeat(17))] {
            assert!(list(text).is_none(), "{text}");
        }
    }
}
