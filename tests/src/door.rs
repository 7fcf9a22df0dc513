//! A node's REST door, without any courtesy: any bytes, any header, the answer as it is.

use serde_json::{Value, json};
use std::{io::ErrorKind, time::Duration};

/// Nobody listens: nothing was sent.
const CLOSED: &str = "closed";

/// An answer of a door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status; 0 when there was no answer.
    pub status: u16,
    /// `Content-Type`; without an answer the reason.
    pub kind: String,
    /// The body, if it is JSON.
    pub body: Value,
}

impl Answer {
    /// Whether the door was closed, so that nothing was sent.
    pub fn found_no_door(&self) -> bool {
        self.status == 0 && self.kind == CLOSED
    }

    /// Status and code of a problem document.
    pub fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }
}

/// What is sent.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Where.
    pub url: &'a str,
    /// `Authorization`, whole.
    pub authorization: Option<&'a str>,
    /// `Idempotency-Key`.
    pub key: Option<&'a str>,
    /// `Content-Type`.
    pub kind: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// POSTs it.
    pub fn post(&self) -> Answer {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(70)))
            .build()
            .into();
        let mut request = agent.post(self.url);
        for (name, value) in
            [("authorization", self.authorization), ("idempotency-key", self.key), ("content-type", self.kind)]
        {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let mut response = match request.send(self.body) {
            Ok(response) => response,
            Err(ureq::Error::Io(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                return Answer { status: 0, kind: CLOSED.to_owned(), body: Value::Null };
            }
            Err(error) => return Answer { status: 0, kind: format!("broken: {error}"), body: Value::Null },
        };
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().to_owned();
        Answer {
            status: response.status().as_u16(),
            kind,
            body: response.body_mut().read_json().unwrap_or(Value::Null),
        }
    }
}

/// `{"envelope": …}`.
pub fn envelope(bytes: &[u8]) -> Value {
    json!({ "envelope": base64(bytes) })
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// What [`base64`] wrote.
///
/// # Panics
/// On any other character.
pub fn from_base64(text: &str) -> Vec<u8> {
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0_u32);
    for character in text.trim_end_matches('=').bytes() {
        let six = ALPHABET.iter().position(|known| *known == character).expect("base64");
        held = held << 6 | u32::try_from(six).expect("less than 64");
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 255).expect("one byte"));
        }
    }
    bytes
}

/// The standard alphabet with padding.
pub fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut three = [0_u8; 4];
        three[1..=chunk.len()].copy_from_slice(chunk);
        let group = u32::from_be_bytes(three);
        for place in 0..4 {
            let six = usize::try_from(group >> (18 - 6 * place) & 63).unwrap_or_default();
            text.push(if place <= chunk.len() { char::from(ALPHABET[six]) } else { '=' });
        }
    }
    text
}
