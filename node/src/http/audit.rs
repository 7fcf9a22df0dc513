//! Routes of the event log as others check it, and of what this node checked of theirs.

use super::{auth::Caller, body::Body};
use crate::{
    node::Node,
    service::{
        audit::{self, SignedCheckpoint},
        error::ServiceError,
        witness,
    },
};
use axum::{
    Json, Router,
    extract::{Path, Query, State},
    routing::{get, post},
};
use comity_proto::ids::DomainId;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type App = State<Arc<Node>>;
type Answer = Result<Json<Value>, ServiceError>;

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new()
        .route("/api/v1/ledger/checkpoint", get(checkpoint))
        .route("/api/v1/ledger/extension", get(extension))
        .route("/api/v1/ledger/leaves", get(leaves))
        .route("/api/v1/audit", get(list))
        .route("/api/v1/audit/tell", post(tell))
        .route("/api/v1/audit/{domain}", get(documents))
}

/// Says nothing but a size and a hash: anybody with a token may keep one.
async fn checkpoint(State(node): App, _: Caller) -> Answer {
    Ok(Json(view(&audit::checkpoint(&node).await?)))
}

fn view(signed: &SignedCheckpoint) -> Value {
    json!({
        "domain": signed.domain, "domain_key": signed.domain_key, "roster": BASE64.encode(&signed.roster),
        "checkpoint": BASE64.encode(&signed.checkpoint), "events": signed.plain.size, "root": signed.plain.root,
    })
}

#[derive(Deserialize)]
struct Older {
    older: u64,
}

async fn extension(State(node): App, _: Caller, Query(query): Query<Older>) -> Answer {
    let extension = audit::extension(&node, query.older).await?;
    let mut document = view(&extension.newer);
    document["older"] = BASE64.encode(&extension.older).into();
    document["proof"] = json!(extension.proof);
    Ok(Json(document))
}

#[derive(Deserialize)]
struct Range {
    from: u64,
    below: u64,
}

/// The whole history of everybody: the operator's to hand out.
async fn leaves(State(node): App, Caller(who): Caller, Query(range): Query<Range>) -> Answer {
    who.require_operator()?;
    let events = audit::leaves(&node, range.from, range.below).await?;
    let events: Vec<String> = events.iter().map(|event| BASE64.encode(event)).collect();
    Ok(Json(json!({ "from": range.from, "events": events })))
}

async fn list(State(node): App, Caller(who): Caller) -> Answer {
    who.require_operator()?;
    Ok(Json(json!({ "peers": witness::list(&node).await? })))
}

async fn documents(State(node): App, Caller(who): Caller, Path(text): Path<String>) -> Answer {
    who.require_operator()?;
    let domain: DomainId =
        text.parse().map_err(|error| ServiceError::bad_input("bad_domain_id", format!("`{text}`: {error}")))?;
    let kept = witness::documents(&node, domain).await?;
    let [checkpoint, cosignature, accusation] = kept.map(|bytes| bytes.map(|bytes| BASE64.encode(&bytes)));
    Ok(Json(json!({ "checkpoint": checkpoint, "cosignature": cosignature, "accusation": accusation })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    document: String,
}

async fn tell(State(node): App, Caller(who): Caller, Body(body): Body<Document>) -> Answer {
    who.require_operator()?;
    let document = BASE64
        .decode(body.document.as_bytes())
        .map_err(|_| ServiceError::bad_input("not_base64", "`document` is not base64"))?;
    Ok(Json(json!({ "contradicts": witness::tell(&node, document.into()).await? })))
}
