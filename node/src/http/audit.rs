//! Routes of the event log as others check it, and of what this node checked of theirs.

use super::{
    auth::Caller,
    body::Body,
    books::domain_id,
    openapi::Routes,
    params::{Path, Query},
};
use crate::{
    node::Node,
    service::{
        audit::{self, SignedCheckpoint},
        error::ServiceError,
        projected::{self, ProjectedView},
        shape, witness,
    },
};
use axum::{Json, extract::State};
use comity_proto::ids::{DomainId, Hash, PublicKey};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

/// Events of a peer in one answer.
const LAST_MAX: usize = 500;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new()
        .routes(routes!(checkpoint))
        .routes(routes!(extension))
        .routes(routes!(leaves))
        .routes(routes!(list))
        .routes(routes!(tell))
        .routes(routes!(documents))
        .routes(routes!(events))
        .routes(routes!(event))
}

/// The head of the event log, with everything that is needed to judge it alone.
#[derive(Serialize, ToSchema)]
struct Checkpoint {
    #[schema(value_type = shape::DomainIdText)]
    domain: DomainId,
    #[schema(value_type = shape::KeyText)]
    domain_key: PublicKey,
    /// Names the voter who signed: an envelope of the root key.
    #[schema(value_type = shape::Base64Text)]
    roster: String,
    /// Signed by this node.
    #[schema(value_type = shape::Base64Text)]
    checkpoint: String,
    events: u64,
    #[schema(value_type = shape::HashText)]
    root: Hash,
}

impl From<&SignedCheckpoint> for Checkpoint {
    fn from(signed: &SignedCheckpoint) -> Checkpoint {
        Checkpoint {
            domain: signed.domain,
            domain_key: signed.domain_key,
            roster: BASE64.encode(&signed.roster),
            checkpoint: BASE64.encode(&signed.checkpoint),
            events: signed.plain.size,
            root: signed.plain.root,
        }
    }
}

/// Signs the event log as it stands. It says nothing but a size and a hash: anybody with a token may keep one.
#[utoipa::path(get, path = "/api/v1/ledger/checkpoint", responses((status = 200, body = Checkpoint)))]
async fn checkpoint(State(node): App, _: Caller) -> Answer<Checkpoint> {
    Ok(Json(Checkpoint::from(&audit::checkpoint(&node).await?)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Older {
    /// Events in the checkpoint that was kept, at least one.
    older: u64,
}

#[derive(Serialize, ToSchema)]
struct Extension {
    #[serde(flatten)]
    newer: Checkpoint,
    /// Over the older size, signed now.
    #[schema(value_type = shape::Base64Text)]
    older: String,
    /// The consistency proof of RFC 9162.
    #[schema(value_type = Vec<shape::HashText>)]
    proof: Vec<Hash>,
}

/// Signs the event log as it stands and as it stood, and proves that it was only added to in between.
#[utoipa::path(get, path = "/api/v1/ledger/extension", params(Older), responses((status = 200, body = Extension)))]
async fn extension(State(node): App, _: Caller, Query(query): Query<Older>) -> Answer<Extension> {
    let extension = audit::extension(&node, query.older).await?;
    let newer = Checkpoint::from(&extension.newer);
    Ok(Json(Extension { newer, older: BASE64.encode(&extension.older), proof: extension.proof }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Range {
    from: u64,
    /// The first that is not wanted.
    below: u64,
}

#[derive(Serialize, ToSchema)]
struct Leaves {
    from: u64,
    /// Exact bytes, as many as fit one answer.
    #[schema(value_type = Vec<shape::Base64Text>)]
    events: Vec<String>,
}

/// The exact bytes of events. The whole history of everybody: the operator's to hand out.
#[utoipa::path(get, path = "/api/v1/ledger/leaves", params(Range), responses((status = 200, body = Leaves)))]
async fn leaves(State(node): App, Caller(who): Caller, Query(range): Query<Range>) -> Answer<Leaves> {
    who.require_operator()?;
    let events = audit::leaves(&node, range.from, range.below).await?;
    let events = events.iter().map(|event| BASE64.encode(event)).collect();
    Ok(Json(Leaves { from: range.from, events }))
}

#[derive(Serialize, ToSchema)]
struct Witnessed {
    peers: Vec<witness::PeerView>,
}

/// What this node checked of the histories of others.
#[utoipa::path(get, path = "/api/v1/audit", responses((status = 200, body = Witnessed)))]
async fn list(State(node): App, Caller(who): Caller) -> Answer<Witnessed> {
    who.require_operator()?;
    Ok(Json(Witnessed { peers: witness::list(&node).await? }))
}

/// Each in base64; null while there is none.
#[derive(Serialize, ToSchema)]
struct Documents {
    checkpoint: Option<String>,
    cosignature: Option<String>,
    accusation: Option<String>,
}

/// What this node keeps of a domain's history.
#[utoipa::path(get, path = "/api/v1/audit/{domain}", responses((status = 200, body = Documents)))]
async fn documents(State(node): App, Caller(who): Caller, Path(text): Path<String>) -> Answer<Documents> {
    who.require_operator()?;
    let kept = witness::documents(&node, domain_id(&text)?).await?;
    let [checkpoint, cosignature, accusation] = kept.map(|bytes| bytes.map(|bytes| BASE64.encode(&bytes)));
    Ok(Json(Documents { checkpoint, cosignature, accusation }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Last {
    /// How many, at most 500.
    #[serde(default = "some")]
    last: usize,
}

const fn some() -> usize {
    20
}

#[derive(Serialize, ToSchema)]
struct Projected {
    events: Vec<ProjectedView>,
}

/// What a peer's log says about this domain, newest first: each stands in our log with its proof.
#[utoipa::path(get, path = "/api/v1/audit/{domain}/events", params(Last), responses((status = 200, body = Projected)))]
async fn events(
    State(node): App,
    Caller(who): Caller,
    Path(text): Path<String>,
    Query(query): Query<Last>,
) -> Answer<Projected> {
    who.require_operator()?;
    let events = projected::list(&node, domain_id(&text)?, query.last.min(LAST_MAX)).await?;
    Ok(Json(Projected { events }))
}

/// One of them as a document that anybody judges alone.
#[utoipa::path(get, path = "/api/v1/audit/{domain}/events/{index}", responses((status = 200, body = Document)))]
async fn event(State(node): App, Caller(who): Caller, Path((text, index)): Path<(String, u64)>) -> Answer<Document> {
    who.require_operator()?;
    let document = projected::document(&node, domain_id(&text)?, index).await?;
    Ok(Json(Document { document: BASE64.encode(&document) }))
}

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Document {
    #[schema(value_type = shape::Base64Text)]
    document: String,
}

#[derive(Serialize, ToSchema)]
struct Contradicts {
    /// Whether it proves, with what is kept, that its domain signed two histories.
    contradicts: bool,
}

/// Shows this node a document about a history; a proof of two histories is kept and told to everybody.
#[utoipa::path(post, path = "/api/v1/audit/tell", request_body = Document,
    responses((status = 200, body = Contradicts)))]
async fn tell(State(node): App, Caller(who): Caller, Body(body): Body<Document>) -> Answer<Contradicts> {
    who.require_operator()?;
    let document = BASE64
        .decode(body.document.as_bytes())
        .map_err(|_| ServiceError::bad_input("not_base64", "`document` is not base64"))?;
    Ok(Json(Contradicts { contradicts: witness::tell(&node, document.into()).await? }))
}
