//! The domain's card for everybody, where other software looks for it, and the operator's verbs about it.
//!
//! The well-known routes ask for no token and read nothing but bytes at hand: an unchanged poll is a 304.

use super::{auth::Caller, body::Body, books::domain_id, openapi::Routes, params::Path};
use crate::{
    node::Node,
    registry::{Rendered, not_made_yet},
    service::{
        error::ServiceError,
        registry::{self, Edit, RegistryCardView},
    },
};
use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

type App = State<Arc<Node>>;

/// A client may show what it has for so long without asking.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=60");

/// Where other software looks.
pub(super) fn well_known() -> Router<Arc<Node>> {
    Router::new()
        .route("/.well-known/registry-card.json", get(card))
        .route("/.well-known/registry-jwks.json", get(keys))
}

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(card_of)).routes(routes!(edit))
}

async fn card(State(node): App, headers: HeaderMap) -> Response {
    match node.shown().card() {
        Some(card) => served(&card, &headers),
        None => not_made_yet().into_response(),
    }
}

async fn keys(State(node): App, headers: HeaderMap) -> Response {
    served(&node.shown().keys(&node), &headers)
}

/// Bytes at hand, or 304 to whoever has them.
pub(super) fn served(rendered: &Rendered, headers: &HeaderMap) -> Response {
    let mut response = match knows(headers, &rendered.etag) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => {
            let json = HeaderValue::from_static("application/json");
            ([(header::CONTENT_TYPE, json)], rendered.bytes.clone()).into_response()
        }
    };
    let own = response.headers_mut();
    own.insert(header::CACHE_CONTROL, CACHE);
    if let Ok(tag) = HeaderValue::from_str(&rendered.etag) {
        own.insert(header::ETAG, tag);
    }
    response
}

/// Whether a client has this edition already.
pub(super) fn knows(headers: &HeaderMap, etag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).iter().any(|tags| has(tags, etag))
}

/// The weak comparison of RFC 9110: a `W/` on either side does not count.
fn has(tags: &HeaderValue, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let wanted = opaque(etag);
    tags.to_str().is_ok_and(|tags| tags.split(',').any(|tag| tag.trim() == "*" || opaque(tag) == wanted))
}

/// The newest card of a domain, its own included.
#[utoipa::path(get, path = "/api/v1/domains/{domain}/card", responses((status = 200, body = RegistryCardView)))]
async fn card_of(
    State(node): App,
    _: Caller,
    Path(text): Path<String>,
) -> Result<Json<RegistryCardView>, ServiceError> {
    registry::card_of(&node, domain_id(&text)?).map(Json)
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct Words {
    contact: Option<String>,
    latitude: Option<String>,
    longitude: Option<String>,
    external_auditor_endpoint: Option<String>,
    endpoints: Option<Vec<String>>,
    /// Peers that the card names from now on.
    show: Vec<String>,
    /// Peers that it names no longer.
    hide: Vec<String>,
}

/// Changes the operator's words in the domain's card; what is absent stays.
#[utoipa::path(post, path = "/api/v1/domain/card", request_body = Words, responses((status = 200, body = Object)))]
async fn edit(State(node): App, Caller(who): Caller, Body(words): Body<Words>) -> Result<Response, ServiceError> {
    who.require_operator()?;
    let ids = |texts: &[String]| texts.iter().map(|text| domain_id(text)).collect::<Result<Vec<_>, _>>();
    let edit = Edit {
        show: ids(&words.show)?,
        hide: ids(&words.hide)?,
        contact: words.contact,
        latitude: words.latitude,
        longitude: words.longitude,
        external_auditor_endpoint: words.external_auditor_endpoint,
        endpoints: words.endpoints,
    };
    let card = registry::edit(&node, edit).await?;
    Ok(([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], card).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_compare_weakly_and_in_lists() {
        let has = |tags: &str| has(&HeaderValue::from_str(tags).unwrap(), "W/\"abc\"");
        for tags in ["W/\"abc\"", "\"abc\"", "\"x\", W/\"abc\"", "*"] {
            assert!(has(tags), "{tags}");
        }
        for tags in ["\"ab\"", "abc", "", "W/\"abcd\", \"x\""] {
            assert!(!has(tags), "{tags}");
        }
    }
}
