//! `mcp`: the Model Context Protocol on standard input and output, for desktop clients; every message goes to a node's
//! `/mcp` with the agent's token, and each message that the node sends back is one line.

use super::context::Context;
use crate::{
    service::error::{Kind, ServiceError},
    storage::files,
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read as _, Write as _},
    path::Path,
};

/// Longest message.
const LINE_BYTES_MAX: u64 = crate::http::BODY_BYTES_MAX as u64;
/// Longest stream of one call: an answer of any length, and what is said before it.
const STREAM_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One client, one node.
struct Bridge {
    agent: ureq::Agent,
    url: String,
    bearer: String,
    /// Agreed in `initialize`; later revisions say theirs in each message.
    version: Option<String>,
}

/// `mcp`
pub(super) fn mcp(context: &Context, token_file: Option<&Path>) -> Result<(), ServiceError> {
    let token = match token_file {
        None => context.client.token().to_owned(),
        Some(path) => {
            let bytes =
                files::read_secret(path).map_err(|error| ServiceError::bad_input("bad_file", error.to_string()))?;
            let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            let text = text.ok_or_else(|| ServiceError::not_found("token", path.display()))?;
            text.trim().to_owned()
        }
    };
    let url = format!("{}/mcp", context.client.base());
    let mut bridge =
        Bridge { agent: context.client.carrier().clone(), url, bearer: format!("Bearer {token}"), version: None };
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    loop {
        if next_line(&mut input, &mut line).map_err(|error| broken(&error))? == 0 {
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        if let Some(answer) = bridge.carry(line.trim_ascii()) {
            tell(&answer).map_err(|error| broken(&error))?;
        }
    }
}

fn tell(message: &Value) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{message}").and_then(|()| output.flush())
}

fn broken(error: &std::io::Error) -> ServiceError {
    ServiceError::new(Kind::Internal, "stdio", error.to_string(), "start it again")
}

/// The next line, of bounded length; 0 at the end of the input.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    line.clear();
    let read = input.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', line)?;
    let fits = read as u64 <= LINE_BYTES_MAX;
    if fits { Ok(read) } else { Err(std::io::Error::other("a message is longer than the node takes")) }
}

impl Bridge {
    /// Sends one message; what comes back, if it was a request.
    fn carry(&mut self, line: &[u8]) -> Option<Value> {
        let message: Value = match serde_json::from_slice(line) {
            Ok(message) => message,
            Err(error) => return Some(failed(&Value::Null, -32700, &error.to_string())),
        };
        let (id, method) = (message["id"].clone(), message["method"].as_str().unwrap_or_default());
        let answer = self.post(&message, method, line);
        if id.is_null() {
            return None;
        }
        let answer = answer.unwrap_or_else(|detail| failed(&id, -32603, &detail));
        if method == "initialize" {
            self.version = answer["result"]["protocolVersion"].as_str().map(str::to_owned);
        }
        Some(answer)
    }

    fn post(&self, message: &Value, method: &str, line: &[u8]) -> Result<Value, String> {
        let params = &message["params"];
        let said = params["_meta"]["io.modelcontextprotocol/protocolVersion"].as_str();
        let mut request = self
            .agent
            .post(&self.url)
            .header("authorization", &self.bearer)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream");
        if let Some(version) = said.or(self.version.as_deref()).filter(|_| method != "initialize") {
            request = request.header("mcp-protocol-version", version);
        }
        if said.is_some() {
            request = request.header("mcp-method", method);
            if let Some(name) = params["name"].as_str().or(params["uri"].as_str()) {
                request = request.header("mcp-name", name);
            }
        }
        let sent = request.send(line);
        let mut response = sent.map_err(|error| format!("no answer from {}: {error}", self.url))?;
        if response.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream") {
            return streamed(response.body_mut().as_reader());
        }
        let text = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
        read(&text).ok_or_else(|| format!("{}: {text}", response.status()))
    }
}

/// Passes on what a call says while it runs; gives its answer.
fn streamed(stream: impl std::io::Read) -> Result<Value, String> {
    for line in BufReader::new(stream.take(STREAM_BYTES_MAX)).lines() {
        let line = line.map_err(|error| format!("the answer broke off: {error}"))?;
        let Some(message) = line.strip_prefix("data: ").and_then(read) else { continue };
        if message.get("method").is_none() {
            return Ok(message);
        }
        tell(&message).map_err(|error| error.to_string())?;
    }
    Err("the answer broke off".to_owned())
}

/// A message of the protocol.
fn read(text: &str) -> Option<Value> {
    let answer: Value = serde_json::from_str(text).ok()?;
    answer.get("jsonrpc").is_some().then_some(answer)
}

fn failed(id: &Value, code: i32, detail: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": detail } })
}
