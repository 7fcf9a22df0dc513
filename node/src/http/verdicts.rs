//! Verdicts about transfers over REST: the operator's token opens, root keys sign.

use super::{auth::Caller, body::Body};
use crate::{
    node::Node,
    service::{
        error::ServiceError,
        verdicts::{self, VerdictView, Wish},
    },
};
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::post,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new()
        .route("/api/v1/transfers/resolve", post(resolve))
        .route("/api/v1/transfers/{transfer}/verdict", post(verdict))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Say {
    to: String,
    content: String,
    commit: bool,
    reason: String,
}

fn id<T: std::str::FromStr>(text: &str, code: &'static str) -> Result<T, ServiceError> {
    text.parse().map_err(|_| ServiceError::bad_input(code, format!("`{text}` is none")))
}

async fn verdict(
    State(node): App,
    Caller(who): Caller,
    Path(transfer): Path<String>,
    Body(body): Body<Say>,
) -> Answer<VerdictView> {
    who.require_operator()?;
    let wish = Wish {
        transfer: id(&transfer, "bad_transfer_id")?,
        to: id(&body.to, "bad_domain_id")?,
        content: id(&body.content, "bad_hash")?,
        commit: body.commit,
        reason: body.reason,
    };
    verdicts::say(&node, &wish).await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Take {
    verdict: String,
}

async fn resolve(State(node): App, Caller(who): Caller, Body(body): Body<Take>) -> Answer<Value> {
    who.require_operator()?;
    let done = verdicts::take(&node, &body.verdict).await?;
    let results: Vec<Value> = done.results.iter().map(|(_, outcome)| json!({ "outcome": outcome.name() })).collect();
    Ok(Json(json!({ "results": results, "log_index": done.log_index })))
}
