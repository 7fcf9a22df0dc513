//! Linked data: which form of an escrow a reader wants, and the context that its names come from.

use super::{
    openapi::{Routes, fixed},
    own::url,
    registry::served,
};
use crate::{
    doors::linked,
    node::Node,
    registry::Rendered,
    service::{error::ServiceError, principal::Principal},
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use std::sync::{Arc, OnceLock};
use utoipa_axum::routes;

const LINKED: &str = "application/ld+json";
const PLAIN: &str = "application/json";
/// Where the context is.
const CONTEXT: &str = "/api/v1/contexts/escrow";

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(context))
}

/// The JSON-LD context of escrows.
#[utoipa::path(get, path = "/api/v1/contexts/escrow", security(()),
    params(("If-None-Match" = Option<String>, Header, description = "The `ETag` of what the caller has.")),
    responses((status = 200, body = Object, content_type = "application/ld+json"),
        (status = 304, description = "The caller has it.")))]
async fn context(State(_): State<Arc<Node>>, headers: HeaderMap) -> Response {
    static WHOLE: OnceLock<Rendered> = OnceLock::new();
    let mut response = served(WHOLE.get_or_init(|| fixed(linked::CONTEXT.as_bytes().to_vec())), &headers);
    if let Some(kind) = response.headers_mut().get_mut(header::CONTENT_TYPE) {
        *kind = HeaderValue::from_static(LINKED);
    }
    response
}

/// Whether a reader would rather have linked data than plain JSON.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let wish = |kind: &str| {
        let all = headers.get_all(header::ACCEPT).iter().filter_map(|wishes| wishes.to_str().ok());
        let own = all.flat_map(|wishes| wishes.split(',')).filter_map(|wish| {
            let (named, parameters) = wish.split_once(';').unwrap_or((wish, ""));
            let quality = parameters.split(';').find_map(|one| one.trim().strip_prefix("q="));
            let quality = quality.map_or(Some(1.0), |text| text.trim().parse::<f32>().ok());
            quality.filter(|_| named.trim().eq_ignore_ascii_case(kind))
        });
        own.fold(0.0, f32::max)
    };
    let linked = wish(LINKED);
    linked > 0.0 && linked >= wish(PLAIN)
}

/// One escrow as linked data.
///
/// # Errors
/// `unknown_escrow`.
pub(super) async fn escrow(node: &Node, who: Principal, text: &str, parts: &Parts) -> Result<Response, ServiceError> {
    let document = linked::escrow(node, who, text, &url(node, parts, CONTEXT)).await?;
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(LINKED))];
    Ok((kind, document.to_string()).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linked_data_is_for_those_who_name_it_and_prefer_it() {
        let wanted = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
            is_wanted(&headers)
        };
        for accept in [
            "application/ld+json",
            "text/html, Application/LD+JSON;profile=\"x\"",
            "*/*;q=0.1, application/ld+json;q=0.5",
            "application/json;q=0.5, application/ld+json;q=0.9",
        ] {
            assert!(wanted(accept), "{accept}");
        }
        for accept in
            ["*/*", "application/json", "application/ld+json;q=0", "application/json, application/ld+json;q=0.5", ""]
        {
            assert!(!wanted(accept), "{accept}");
        }
        assert!(!is_wanted(&HeaderMap::new()));
    }
}
