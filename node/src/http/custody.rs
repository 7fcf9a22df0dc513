//! Custodial accounts over REST: opened with the operator's or the admission token, given up with the account's own.

use super::{
    auth::{Caller, bearer},
    body::Body,
};
use crate::{
    custody::Limits,
    node::Node,
    service::{
        custody::{self, Asked, Opening},
        domain,
        errands::{self, Errand},
        error::ServiceError,
        introductions::{self, Introduction},
    },
};
use axum::{
    Json, Router,
    extract::State,
    http::HeaderMap,
    routing::{get, post},
};
use comity_proto::ids::PublicKey;
use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

type App = State<Arc<Node>>;
type Answer = Result<Json<Value>, ServiceError>;

pub(super) fn all() -> Router<Arc<Node>> {
    Router::new()
        .route("/api/v1/custody", get(left).post(open))
        .route("/api/v1/custody/errands", post(errand))
        .route("/api/v1/custody/card", post(publish))
        .route("/api/v1/custody/claim", post(claim))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    nickname: String,
    group: Option<String>,
    referred_by: Option<String>,
    own_code: Option<String>,
    /// Minor units; the operator's to choose.
    per_day: Option<String>,
    total: Option<String>,
}

fn minor(text: Option<&String>) -> Result<Option<u64>, ServiceError> {
    let read = |text: &String| {
        let detail = format!("`{text}` is no number of minor units");
        text.parse().map_err(|_| ServiceError::bad_input("bad_amount", detail))
    };
    text.map(read).transpose()
}

async fn open(State(node): App, Caller(who): Caller, headers: HeaderMap, Body(body): Body<Open>) -> Answer {
    let limits = Limits { per_day: minor(body.per_day.as_ref())?, total: minor(body.total.as_ref())? };
    if limits != Limits::default() {
        who.require_operator()?;
    }
    let asked = Asked::new(idempotency_key(&headers)?, "open", format!("{body:?}").as_bytes())?;
    let Open { nickname, group, referred_by, own_code, .. } = body;
    let opening = Opening { nickname, group, referred_by, own_code, limits };
    let opened = custody::open(&node, &bearer(&headers, who)?, &asked, &opening).await?;
    Ok(Json(json!({
        "agent": opened.agent, "token": opened.token, "custody": custody::OPERATOR_CAN_SPEND,
        "node": node.key().public(), "warning": custody::WARNING,
    })))
}

fn idempotency_key(headers: &HeaderMap) -> Result<&str, ServiceError> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).ok_or_else(|| {
        ServiceError::bad_input("idempotency_key_missing", "send `Idempotency-Key`: the same one on every retry")
    })?;
    Ok(key.trim_matches('"'))
}

async fn errand(State(node): App, Caller(who): Caller, headers: HeaderMap, Body(body): Body<Errand>) -> Answer {
    let ran = errands::run(&node, &bearer(&headers, who)?, idempotency_key(&headers)?, body).await?;
    Ok(Json(json!({
        "outcome": ran.done.outcome.name(), "log_index": ran.done.log_index, "request_id": ran.done.request_id,
        "escrow": ran.escrow, "transfer": ran.transfer, "custody": custody::OPERATOR_CAN_SPEND,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Card {
    name: String,
    #[serde(default)]
    description: String,
    capabilities: Vec<String>,
    /// Such as 5.00.
    price: Option<String>,
    #[serde(default)]
    public: bool,
}

async fn publish(State(node): App, Caller(who): Caller, headers: HeaderMap, Body(card): Body<Card>) -> Answer {
    let price = card.price.map(|text| domain::amount(&node, &text)).transpose()?;
    let Card { name, description, capabilities, public, .. } = card;
    let words = introductions::check(&Introduction { name, description, capabilities, price, public })?;
    let sequence = introductions::publish(&node, &bearer(&headers, who)?, words).await?;
    Ok(Json(json!({ "sequence": sequence, "custody": custody::OPERATOR_CAN_SPEND })))
}

async fn left(State(node): App, Caller(who): Caller, headers: HeaderMap) -> Answer {
    let caller = bearer(&headers, who)?;
    let (today, total) = custody::left(&node, &caller).await?;
    let show = |minor: Option<u64>| minor.map(|minor| minor.to_string());
    Ok(Json(json!({
        "agent": caller.agent()?, "left_today": show(today), "left_in_all": show(total),
        "custody": custody::OPERATOR_CAN_SPEND, "warning": custody::WARNING,
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    new_key: PublicKey,
    /// Hex: by the new key over the rotation.
    proof: String,
}

async fn claim(State(node): App, Caller(who): Caller, headers: HeaderMap, Body(body): Body<Claim>) -> Answer {
    let proof = HEXLOWER.decode(body.proof.as_bytes()).ok().and_then(|proof| proof.try_into().ok());
    let proof = proof.ok_or_else(|| ServiceError::bad_input("bad_proof", "a proof is 64 bytes in hex"))?;
    let agent = custody::claim(&node, &bearer(&headers, who)?, body.new_key, proof).await?;
    Ok(Json(json!({ "agent": agent, "custody": custody::OWN_KEY })))
}
