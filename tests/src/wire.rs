//! HTTP by hand over a socket: any bytes may be sent, and an answer is read as it stands, headers and all.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, ErrorKind, Read, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// An answer.
#[derive(Clone, Debug)]
pub struct Said {
    /// HTTP status.
    pub status: u16,
    /// By names in small letters.
    pub headers: BTreeMap<String, String>,
    /// As sent.
    pub body: Vec<u8>,
}

impl Said {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The body, if it is JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Status and code of a problem document.
    pub fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// A connection.
pub struct Wire {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
}

impl Wire {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens.
    pub fn to(host: SocketAddr) -> Wire {
        let stream = TcpStream::connect(host).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(90))).expect("a timeout");
        Wire { stream: BufReader::new(stream), host }
    }

    /// Sends bytes; false when the other side has closed.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.get_mut().write_all(bytes).is_ok()
    }

    /// Sends the head of a request. Without a `host` among the headers it has the right one.
    pub fn head(&mut self, method: &str, path: &str, headers: &[(&str, &str)]) -> bool {
        let mut text = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text.push_str(&format!("host: {}\r\n", self.host));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        self.send(format!("{text}\r\n").as_bytes())
    }

    /// Reads status and headers; `None` when the other side closes without a word.
    ///
    /// # Panics
    /// On what is no HTTP.
    pub fn answer_head(&mut self) -> Option<Said> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{status}"));
        let mut headers = BTreeMap::new();
        while let Some(line) = self.line().filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        Some(Said { status, headers, body: Vec::new() })
    }

    /// Reads a whole answer.
    pub fn answer(&mut self) -> Option<Said> {
        let mut said = self.answer_head()?;
        if said.header("transfer-encoding") == "chunked" {
            while let Some(chunk) = self.chunk() {
                said.body.extend(chunk);
            }
        } else {
            let length = said.header("content-length").parse().unwrap_or(0);
            self.stream.by_ref().take(length).read_to_end(&mut said.body).ok()?;
        }
        Some(said)
    }

    /// The next piece of a streamed body; `None` at its end.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let length = usize::from_str_radix(self.line()?.split(';').next()?.trim(), 16).ok()?;
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes).ok()?;
        bytes.truncate(length);
        (length > 0).then_some(bytes)
    }

    /// Waits until the other side has closed, without another word.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    }
}

/// One request over a connection of its own.
///
/// # Panics
/// Without an answer.
pub fn ask(host: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Said {
    let length = body.len().to_string();
    let mut headers = headers.to_vec();
    headers.extend([("connection", "close"), ("content-length", &length)]);
    let mut wire = Wire::to(host);
    wire.head(method, path, &headers);
    wire.send(body);
    wire.answer().unwrap_or_else(|| panic!("no answer to {method} {path}"))
}
