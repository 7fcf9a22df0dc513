//! A node as a settlement exchange: a domain of one, with an account that rules its disputes.

use super::{cli::ask, pair::text, single::Single};
use serde_json::Value;
use std::{fs, time::Duration};

/// What came back.
#[derive(Debug)]
pub struct Back {
    /// HTTP status.
    pub status: u16,
    /// `X-Request-Id`.
    pub id: String,
    /// JSON, or null.
    pub body: Value,
}

impl Back {
    /// Status and code of a refusal in the protocol's envelope.
    ///
    /// # Panics
    /// When it is none, or does not carry the request's id and what to do next.
    pub fn refusal(&self) -> (u16, &str, &str) {
        let error = &self.body["error"];
        let word = |value: &'static str| error[value].as_str().unwrap_or_else(|| panic!("no {value}: {self:?}"));
        assert_eq!(word("request_id"), self.id, "{self:?}");
        assert!(!word("message").is_empty() && !text(&error["details"], "next").is_empty(), "{self:?}");
        let rule = error["details"]["rule"].as_str().unwrap_or_default();
        (self.status, word("code"), rule)
    }
}

/// The exchange.
pub struct Exchange {
    /// Its node.
    pub node: Single,
    /// What a client is given.
    pub base: String,
    /// Token of the account that rules disputes.
    pub arbiter: String,
}

impl Exchange {
    /// A running one.
    ///
    /// # Panics
    /// When its configuration cannot be written.
    pub fn open() -> Exchange {
        let mut node = Single::named("acme");
        let made = ask(&node.dir, &["agent", "register", "arbiter", "--custodial"]);
        let file = node.dir.join("config.toml");
        let config = fs::read_to_string(&file).expect("a configuration");
        let named = format!("exchange_arbiter = \"{}\"\n{config}", text(&made, "agent"));
        node.process = None;
        fs::write(&file, named).expect("a configuration");
        node.start(&[]);
        node.wait_until_founded();
        let base = format!("http://{}/a2a-se", node.http);
        Exchange { node, base, arbiter: text(&made, "token") }
    }

    /// One request, as any program could send it.
    ///
    /// # Panics
    /// Without an answer.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Back {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(70)))
            .build()
            .into();
        let url = format!("{}/{path}", self.base);
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = agent.run(request.body(body.to_vec()).expect("a request")).expect("an answer");
        let id = response.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
        let status = response.status().as_u16();
        Back { status, id, body: response.body_mut().read_json().unwrap_or(Value::Null) }
    }

    /// A JSON call with this token, and a key if there is one.
    pub fn call(&self, token: &str, key: Option<&str>, method: &str, path: &str, body: &Value) -> Back {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, &format!("v1/{path}"), &headers, body.as_bytes())
    }

    /// A new account: its id and its token.
    ///
    /// # Panics
    /// When it is refused.
    pub fn account(&self, name: &str) -> (String, String) {
        let body = serde_json::json!({
            "bot_name": name, "developer_id": "d", "developer_name": "d", "contact_email": "d@example.com",
        });
        let back = self.call(&self.node.token("admission.token"), None, "POST", "accounts/register", &body);
        assert_eq!(back.status, 201, "{back:?}");
        (text(&back.body["account"], "id"), text(&back.body, "api_key"))
    }
}
