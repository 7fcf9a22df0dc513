//! What other domains read. Who they are is proved by their SVID over HTTPS, or by the bearer token of their licence; a
//! token of this node proves nothing here.

use super::{
    auth::Caller,
    books::domain_id,
    openapi::Routes,
    params::{Path, Query},
    tls::Presented,
};
use crate::{
    node::Node,
    service::{
        error::{Kind, ServiceError},
        federation::{self, CARDS_MAX, Partner, SharedCards},
        licences::BEARER,
    },
};
use axum::{
    Json, Router,
    extract::{ConnectInfo, FromRequestParts, State},
    http::{HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;
use utoipa_axum::routes;

type App = State<Arc<Node>>;

/// Where other software looks.
pub(super) fn well_known() -> Router<Arc<Node>> {
    Router::new().route("/.well-known/spiffe-bundle", get(own_bundle))
}

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(bundle)).routes(routes!(whoami)).routes(routes!(cards))
}

/// The domain behind a request. Judged anew each time: what is revoked or suspended ends open connections too.
struct From(Partner);

impl FromRequestParts<Arc<Node>> for From {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, Self::Rejection> {
        if parts.uri.to_string().contains(BEARER) {
            let next = "issue another licence: whoever keeps addresses has the token now; send it as a header";
            let detail = "a bearer token stands in the address";
            return Err(ServiceError::new(Kind::BadInput, "licence_in_url", detail, next));
        }
        if let Some(header) = parts.headers.get(header::AUTHORIZATION) {
            let token = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
            let partner = federation::by_licence(node, token)?;
            federation::admit(node, &partner)?;
            return Ok(From(partner));
        }
        let presented = parts.extensions.get::<ConnectInfo<Presented>>().map(|info| info.0.chain());
        let chain = presented.filter(|chain| !chain.is_empty()).ok_or_else(|| {
            let next = "connect over HTTPS with an SVID (comity keyring svid), or send the bearer token of a licence";
            let detail = "this is for other domains, and neither a client certificate nor a token was presented";
            ServiceError::new(Kind::Unauthenticated, "svid_missing", detail, next)
        })?;
        let partner = federation::by_svid(node, chain)?;
        federation::admit(node, &partner)?;
        Ok(From(partner))
    }
}

fn json(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response()
}

/// Public: an authority is no secret.
async fn own_bundle(State(node): App) -> Result<Response, ServiceError> {
    federation::own_bundle(&node).map(json)
}

/// The SPIFFE bundle of a domain with a treaty.
#[utoipa::path(get, path = "/api/v1/bundles/{domain}", responses((status = 200, body = Object)))]
async fn bundle(State(node): App, _: Caller, Path(text): Path<String>) -> Result<Response, ServiceError> {
    federation::bundle_of(&node, domain_id(&text)?).await.map(json)
}

/// As whom this node knows the domain that asks.
#[utoipa::path(get, path = "/api/v1/federation/whoami", security(("svid" = []), ("licence" = [])),
    responses((status = 200, body = Partner)))]
async fn whoami(From(partner): From) -> Json<Partner> {
    Json(partner)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Since {
    /// What the last answer gave as `next`; absent is from the beginning.
    #[serde(default)]
    since: String,
    /// At most 200.
    limit: Option<usize>,
}

/// Cards of this domain's agents that the domain that asks may see, oldest first.
#[utoipa::path(get, path = "/api/v1/federation/agent-cards", params(Since), security(("svid" = []), ("licence" = [])),
    responses((status = 200, body = SharedCards)))]
async fn cards(
    State(node): App,
    From(partner): From,
    Query(asked): Query<Since>,
) -> Result<Json<SharedCards>, ServiceError> {
    federation::cards(&node, &partner.domain, &asked.since, asked.limit.unwrap_or(CARDS_MAX)).map(Json)
}
