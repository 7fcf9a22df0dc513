//! Verdicts about transfers over REST: the operator's token opens, root keys sign.

use super::{auth::Caller, body::Body, openapi::Routes, params::Path};
use crate::{
    node::Node,
    service::{
        error::ServiceError,
        verdicts::{self, VerdictView, Wish},
    },
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(resolve)).routes(routes!(verdict))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Say {
    /// The domain that waits.
    to: String,
    /// Digest of the transfer's prepare, as that domain shows it.
    content: String,
    /// Commit, or abort.
    commit: bool,
    /// For people of both sides.
    reason: String,
}

fn id<T: std::str::FromStr>(text: &str, code: &'static str) -> Result<T, ServiceError> {
    text.parse().map_err(|_| ServiceError::bad_input(code, format!("`{text}` is none")))
}

/// Signs how a transfer of this domain ended, for a domain that waits for it.
#[utoipa::path(post, path = "/api/v1/transfers/{transfer}/verdict", request_body = Say,
    responses((status = 200, body = VerdictView)))]
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

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Take {
    /// As the other operator handed it over.
    verdict: String,
}

#[derive(Serialize, ToSchema)]
struct Resolved {
    results: Vec<Outcome>,
    log_index: u64,
}

#[derive(Serialize, ToSchema)]
struct Outcome {
    /// The ledger's word.
    outcome: &'static str,
}

/// Ends a transfer that waits, by the signed verdict of the domain that began it.
#[utoipa::path(post, path = "/api/v1/transfers/resolve", request_body = Take,
    responses((status = 200, body = Resolved)))]
async fn resolve(State(node): App, Caller(who): Caller, Body(body): Body<Take>) -> Answer<Resolved> {
    who.require_operator()?;
    let done = verdicts::take(&node, &body.verdict).await?;
    let results = done.results.iter().map(|(_, outcome)| Outcome { outcome: outcome.name() }).collect();
    Ok(Json(Resolved { results, log_index: done.log_index }))
}
