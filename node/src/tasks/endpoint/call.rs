//! One call of an agent's own A2A server, over JSON-RPC or HTTP+JSON. Each waits on a thread of its own.

use crate::webhook;
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Read},
    time::Duration,
};

/// The revision of the protocol that is spoken.
const VERSION: &str = "1.0";
/// Longest line of a stream: an update with a result of full length in base64.
const LINE_BYTES_MAX: u64 = 8 << 20;
/// Longest answer in one piece.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// The errors by which a server says that it does not stream: UnsupportedOperation, and no such method.
const NO_STREAMS: [i64; 2] = [-32004, -32601];
/// The same over HTTP.
const NO_STREAMS_HTTP: [u16; 4] = [404, 405, 415, 501];

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Binding {
    /// JSON-RPC 2.0, every call a POST to the address itself.
    #[serde(rename = "JSONRPC")]
    JsonRpc,
    /// Addresses below the one that is registered.
    #[serde(rename = "HTTP+JSON")]
    HttpJson,
}

impl Binding {
    /// By its name on a card.
    pub fn named(name: &str) -> Option<Binding> {
        [Binding::JsonRpc, Binding::HttpJson].into_iter().find(|binding| binding.name() == name)
    }

    /// As an agent's card writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Binding::JsonRpc => "JSONRPC",
            Binding::HttpJson => "HTTP+JSON",
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// Send a message and tell what happens.
    Stream(Value),
    /// Send a message.
    Send(Value),
    /// How a task stands.
    Get(String),
    /// A task is not wanted any more.
    Cancel(String),
}

/// Why nothing more was told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The server does not stream.
    NoStreams,
    /// It understood and said no.
    Refused(String),
    /// It was not reached, or broke off: asking again may help.
    Broken(String),
}

/// Where a server is.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) url: String,
    pub(super) binding: Binding,
    /// Sent along, if the server asks for one.
    pub(super) token: Option<String>,
    /// Hosts inside this network to which it may point.
    pub(super) allowed: Vec<String>,
}

impl Call {
    /// Asks, and tells everything that is answered until `tell` wants no more.
    pub(super) fn ask(
        &self,
        wish: &Wish,
        within: Duration,
        mut tell: impl FnMut(Value) -> bool,
    ) -> Result<(), Trouble> {
        let broken = |error: ureq::Error| Trouble::Broken(error.to_string());
        let mut response = self.send(wish, within).map_err(broken)?;
        let status = response.status();
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if status.is_success() && kind.starts_with("text/event-stream") {
            let mut lines = BufReader::new(response.body_mut().with_config().limit(u64::MAX).reader());
            while let Some(data) = next_event(&mut lines)? {
                if !tell(self.unwrapped(wish, read(data.as_bytes())?)?) {
                    return Ok(());
                }
            }
            return Ok(());
        }
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().map_err(broken)?;
        if status.is_server_error() || status.as_u16() == 429 {
            return Err(Trouble::Broken(format!("it answered {status}")));
        }
        if !status.is_success() {
            let no_streams = NO_STREAMS_HTTP.contains(&status.as_u16()) && self.binding == Binding::HttpJson;
            return Err(match no_streams && matches!(wish, Wish::Stream(_)) {
                true => Trouble::NoStreams,
                false => self.refusal(wish, &read(&body).unwrap_or_default(), status.as_str()),
            });
        }
        tell(self.unwrapped(wish, read(&body)?)?);
        Ok(())
    }

    fn send(&self, wish: &Wish, within: Duration) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let (url, body) = self.words(wish);
        let agent = webhook::carrier(&self.allowed, within);
        let streams = matches!(wish, Wish::Stream(_));
        let accept = if streams { "text/event-stream, application/json" } else { "application/json" };
        let mut headers = vec![("a2a-version", VERSION.to_owned()), ("accept", accept.to_owned())];
        headers.extend(self.token.iter().map(|token| ("authorization", format!("Bearer {token}"))));
        match body {
            None => headers.iter().fold(agent.get(url), |request, (name, value)| request.header(*name, value)).call(),
            Some(body) => {
                let request = agent.post(url).header("content-type", "application/json");
                let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
                request.send(body.to_string())
            }
        }
    }

    /// Address and body of a call; without a body it is a GET.
    fn words(&self, wish: &Wish) -> (String, Option<Value>) {
        if self.binding == Binding::JsonRpc {
            let (method, params) = match wish {
                Wish::Stream(params) => ("SendStreamingMessage", params.clone()),
                Wish::Send(params) => ("SendMessage", params.clone()),
                Wish::Get(task) => ("GetTask", json!({ "id": task })),
                Wish::Cancel(task) => ("CancelTask", json!({ "id": task })),
            };
            let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
            return (self.url.clone(), Some(call));
        }
        let base = self.url.trim_end_matches('/');
        match wish {
            Wish::Stream(params) => (format!("{base}/message:stream"), Some(params.clone())),
            Wish::Send(params) => (format!("{base}/message:send"), Some(params.clone())),
            Wish::Get(task) => (format!("{base}/tasks/{task}"), None),
            Wish::Cancel(task) => (format!("{base}/tasks/{task}:cancel"), Some(json!({}))),
        }
    }

    /// What both bindings say in the same words: an object with one of `task`, `message`, `statusUpdate`,
    /// `artifactUpdate`.
    fn unwrapped(&self, wish: &Wish, answer: Value) -> Result<Value, Trouble> {
        let said = match self.binding {
            Binding::HttpJson => answer,
            Binding::JsonRpc if answer["error"].is_null() => answer["result"].clone(),
            Binding::JsonRpc => return Err(self.refusal(wish, &answer, "200")),
        };
        match wish {
            Wish::Get(_) | Wish::Cancel(_) => Ok(json!({ "task": said })),
            Wish::Stream(_) | Wish::Send(_) => Ok(said),
        }
    }

    fn refusal(&self, wish: &Wish, answer: &Value, status: &str) -> Trouble {
        let error = &answer["error"];
        let code = error["code"].as_i64().unwrap_or_default();
        let unsupported = error["details"][0]["reason"] == "UNSUPPORTED_OPERATION"
            || (self.binding == Binding::JsonRpc && NO_STREAMS.contains(&code));
        if unsupported && matches!(wish, Wish::Stream(_)) {
            return Trouble::NoStreams;
        }
        let words = error["message"].as_str().unwrap_or("it says no more");
        let number = if code == 0 { status.to_owned() } else { code.to_string() };
        Trouble::Refused(format!("it refused ({number}): {words}"))
    }
}

fn read(bytes: &[u8]) -> Result<Value, Trouble> {
    serde_json::from_slice(bytes).map_err(|error| Trouble::Refused(format!("its answer is no JSON: {error}")))
}

/// The data of the next event of a stream; `None` at its end.
fn next_event(lines: &mut BufReader<impl Read>) -> Result<Option<String>, Trouble> {
    let mut data = String::new();
    loop {
        let mut line = Vec::new();
        let broken = |error: std::io::Error| Trouble::Broken(error.to_string());
        let read = lines.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(broken)?;
        if read == 0 {
            return Ok(None);
        }
        if read as u64 == LINE_BYTES_MAX || data.len() as u64 > LINE_BYTES_MAX {
            return Err(Trouble::Refused("an update is longer than a result may be".to_owned()));
        }
        let line = String::from_utf8(line).map_err(|_| Trouble::Refused("its stream is no text".to_owned()))?;
        let line = line.trim_end_matches(['\n', '\r']);
        match line.strip_prefix("data:") {
            Some(more) => data.push_str(more.strip_prefix(' ').unwrap_or(more)),
            None if line.is_empty() && !data.is_empty() => return Ok(Some(data)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_a_stream_are_read_whatever_stands_between_them() {
        let text = ": ping\r\n\r\nid: 1\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nevent: x\ndata:2\n\ndata: 3";
        let mut lines = BufReader::new(text.as_bytes());
        assert_eq!(next_event(&mut lines), Ok(Some("{\"a\":1}".to_owned())));
        assert_eq!(next_event(&mut lines), Ok(Some("2".to_owned())));
        assert_eq!(next_event(&mut lines), Ok(None), "one that broke off is none");
    }

    #[test]
    fn a_refusal_is_final_and_a_server_that_does_not_stream_is_asked_without() {
        let call = |binding| Call { url: String::new(), binding, token: None, allowed: Vec::new() };
        let (stream, send) = (Wish::Stream(Value::Null), Wish::Send(Value::Null));
        let error = |code: i64| json!({ "error": { "code": code, "message": "no" } });
        let rpc = call(Binding::JsonRpc);
        assert_eq!(rpc.unwrapped(&stream, error(-32004)), Err(Trouble::NoStreams));
        let refused = Err(Trouble::Refused("it refused (-32004): no".to_owned()));
        assert_eq!(rpc.unwrapped(&send, error(-32004)), refused);
        assert_eq!(rpc.unwrapped(&send, json!({ "result": { "message": {} } })), Ok(json!({ "message": {} })));
        let http = call(Binding::HttpJson);
        let got = http.unwrapped(&Wish::Get(String::new()), json!({ "id": "t" }));
        assert_eq!(got, Ok(json!({ "task": { "id": "t" } })));
        let told = json!({ "error": { "message": "no", "details": [{ "reason": "UNSUPPORTED_OPERATION" }] } });
        assert_eq!(http.refusal(&stream, &told, "400"), Trouble::NoStreams);
    }
}
