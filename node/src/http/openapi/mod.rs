//! The native API described in OpenAPI 3.1, and a page to browse it.
//!
//! Each route carries its own description and is registered by it (`utoipa-axum`), so neither can stand without the other.
//! What is alike everywhere is written once, here: who may ask, how refusals look, what a name in an address means.
//! Deliberately absent: the doors for protocols of others, which those protocols describe.

mod finish;

use crate::{node::Node, registry::Rendered};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};
use utoipa_axum::{router::OpenApiRouter, routes};

/// Routes with their descriptions.
pub(super) type Routes = OpenApiRouter<Arc<Node>>;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(document)).routes(routes!(docs))
}

/// The description, the same for as long as this program runs.
fn rendered() -> &'static Rendered {
    static RENDERED: OnceLock<Rendered> = OnceLock::new();
    RENDERED.get_or_init(|| {
        let document = finish::finished(super::routes::native().into_openapi());
        // A description in memory always has a JSON form; an empty one would fail every test of it.
        fixed(serde_json::to_vec(&document).unwrap_or_default())
    })
}

/// What this program always says, with the tag of these bytes.
pub(super) fn fixed(bytes: Vec<u8>) -> Rendered {
    let etag = format!("\"{}\"", BASE64URL_NOPAD.encode(&Sha256::digest(&bytes)));
    Rendered { etag, bytes: bytes.into() }
}

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", security(()),
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of what the caller has.")),
    responses((status = 200, body = Object), (status = 304, description = "The caller has it.")))]
async fn document(State(_): State<Arc<Node>>, headers: HeaderMap) -> Response {
    super::registry::served(rendered(), &headers)
}

/// A page to browse this description, with nothing from anywhere else.
#[utoipa::path(get, path = "/api/v1/docs", security(()),
    responses((status = 200, body = String, content_type = "text/html")))]
async fn docs(State(_): State<Arc<Node>>) -> Response {
    static PAGE_WHOLE: OnceLock<(String, String)> = OnceLock::new();
    let (page, policy) = PAGE_WHOLE.get_or_init(|| {
        let page = PAGE.replace("{{STYLE}}", STYLE).replace("{{SCRIPT}}", SCRIPT);
        let hash = |text: &str| format!("'sha256-{}'", BASE64.encode(&Sha256::digest(text.as_bytes())));
        let (script, style) = (hash(SCRIPT), hash(STYLE));
        let policy = format!(
            "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"
        );
        (page, policy)
    });
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let policy = HeaderValue::from_str(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, page.as_str()).into_response()
}
