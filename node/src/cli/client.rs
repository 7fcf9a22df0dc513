//! Speaks to a node's REST API; the only way by which commands reach a running node.

use crate::service::error::{Changed, Kind, ServiceError};
use rustls::pki_types::CertificateDer;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// A node's API with a token.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: String,
}

impl Client {
    /// `base` such as `http://127.0.0.1:7400`.
    pub fn new(base: impl Into<String>, token: impl Into<String>) -> Client {
        Client::with(base.into(), token.into(), None)
    }

    /// `base` such as `https://node.acme.example:7443`; the door must prove itself under one of these
    /// authorities of its domain and no other.
    pub fn secure(base: impl Into<String>, token: impl Into<String>, authorities: &[CertificateDer<'_>]) -> Client {
        let roots: Vec<_> = authorities.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let roots = RootCerts::new_with_certs(&roots);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider);
        Client::with(base.into(), token.into(), Some(tls.build()))
    }

    fn with(base: String, token: String, tls: Option<TlsConfig>) -> Client {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(70)))
            .timeout_connect(Some(Duration::from_secs(2)));
        let config = match tls {
            Some(tls) => config.tls_config(tls).build(),
            None => config.build(),
        };
        Client { agent: config.into(), base: base.trim_end_matches('/').to_owned(), token }
    }

    /// The same node with another token.
    pub fn with_token(&self, token: impl Into<String>) -> Client {
        Client { token: token.into(), ..self.clone() }
    }

    /// What carries its requests, with the authority that the door must prove itself under.
    pub(super) fn carrier(&self) -> &ureq::Agent {
        &self.agent
    }

    /// What it shows at the door.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where it speaks to.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GET, decoded.
    ///
    /// # Errors
    /// What the node refused, `bad_text`, or `node_unreachable`.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ServiceError> {
        let request = self.agent.get(format!("{}{path}", self.base)).header("authorization", self.bearer());
        decode(self.sent(request.call())?)
    }

    /// POST of JSON, decoded.
    ///
    /// # Errors
    /// What the node refused, or `node_unreachable`.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, ServiceError> {
        self.post_with_key(path, body, None)
    }

    /// POST with an `Idempotency-Key`.
    ///
    /// # Errors
    /// What the node refused, or `node_unreachable`.
    pub fn post_with_key<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
        key: Option<&str>,
    ) -> Result<T, ServiceError> {
        let mut request = self.agent.post(format!("{}{path}", self.base)).header("authorization", self.bearer());
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        decode(self.sent(request.send_json(body))?)
    }

    /// POST without a body, for which the answer has none either.
    ///
    /// # Errors
    /// What the node refused, or `node_unreachable`.
    pub fn post_for_nothing(&self, path: &str) -> Result<(), ServiceError> {
        let request = self.agent.post(format!("{}{path}", self.base)).header("authorization", self.bearer());
        let mut response = self.sent(request.send_empty())?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        Err(refusal(status.as_u16(), &response.body_mut().read_json().unwrap_or_default()))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn sent(
        &self,
        sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<ureq::http::Response<ureq::Body>, ServiceError> {
        sent.map_err(|error| {
            // An argument that cannot stand in an address: nothing was sent.
            if matches!(error, ureq::Error::Http(_) | ureq::Error::BadUri(_)) {
                return ServiceError::bad_input(
                    "bad_text",
                    format!("an argument has characters that are not allowed: {error}"),
                );
            }
            let mut refusal = ServiceError::new(
                Kind::Unavailable,
                "node_unreachable",
                format!("no answer from {}: {error}", self.base),
                "start the node with `comity up`, or name another one with --api",
            );
            refusal.changed = Changed::Unknown;
            refusal
        })
    }
}

fn decode<T: DeserializeOwned>(mut response: ureq::http::Response<ureq::Body>) -> Result<T, ServiceError> {
    let status = response.status();
    let body: Value = response.body_mut().read_json().map_err(|error| {
        ServiceError::new(Kind::Internal, "not_json", format!("{status}: {error}"), "is this a Comity node?")
    })?;
    if !status.is_success() {
        return Err(refusal(status.as_u16(), &body));
    }
    serde_json::from_value(body).map_err(|error| {
        ServiceError::new(Kind::Internal, "unexpected_answer", error.to_string(), "update this client")
    })
}

fn refusal(status: u16, body: &Value) -> ServiceError {
    let text = |field: &str| body.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let kind = match status {
        400 => Kind::BadInput,
        401 => Kind::Unauthenticated,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        409 => Kind::Conflict,
        413 => Kind::TooLarge,
        422 => Kind::Refused,
        429 => Kind::Busy,
        503 => Kind::Unavailable,
        504 => Kind::Unknown,
        _ => Kind::Internal,
    };
    let mut error = ServiceError::new(kind, text("code"), text("detail"), text("next"));
    if text("changed") == "unknown" {
        error.changed = Changed::Unknown;
    }
    error
}
