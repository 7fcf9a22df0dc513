//! Routes of a domain under a domain.

use super::{auth::Caller, body::Body, books::domain_id, openapi::Routes, params::Path, peers::minor};
use crate::{
    node::Node,
    service::{
        error::ServiceError,
        subnet::{self, SubnetView, Wish},
        view::{Minor, PeerView},
    },
};
use axum::{Json, extract::State};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(show)).routes(routes!(propose))
}

/// The domains above and below this one.
#[utoipa::path(get, path = "/api/v1/subnet", responses((status = 200, body = SubnetView)))]
async fn show(State(node): App, Caller(who): Caller) -> Answer<SubnetView> {
    who.require_operator()?;
    subnet::show(&node).await.map(Json)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Charter {
    /// `below`: it stands under this domain; `above`: this domain under it; `apart`: neither.
    place: String,
    /// Most that the lower one accepts of any asset of a third domain; absent: as it likes.
    #[schema(value_type = Option<Minor>)]
    cap_max: Option<String>,
    /// It shows and hires out to third domains for nothing but these; none: as it likes.
    #[serde(default)]
    capabilities: Vec<String>,
}

/// Proposes that one of the two domains stands under the other one: the next version of their treaty.
#[utoipa::path(post, path = "/api/v1/subnet/{domain}", request_body = Charter,
    responses((status = 200, body = PeerView)))]
async fn propose(
    State(node): App,
    Caller(who): Caller,
    Path(peer): Path<String>,
    Body(body): Body<Charter>,
) -> Answer<PeerView> {
    who.require_operator()?;
    let wish = match body.place.as_str() {
        "below" => Wish::Below,
        "above" => Wish::Above,
        "apart" => Wish::Apart,
        other => return Err(ServiceError::not_found("place", other)),
    };
    let cap_max = body.cap_max.as_deref().map(minor).transpose()?;
    subnet::propose(&node, domain_id(&peer)?, wish, cap_max, &body.capabilities).await.map(Json)
}
