//! Custodial accounts over REST: opened with the operator's or the admission token, given up with the account's own.

use super::{
    auth::{Caller, bearer},
    body::Body,
    openapi::Routes,
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
        shape,
        view::Minor,
    },
};
use axum::{Json, extract::State, http::HeaderMap};
use comity_proto::ids::{AgentId, EscrowId, PublicKey, RequestId, TransferId};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::routes;

type App = State<Arc<Node>>;
type Answer<T> = Result<Json<T>, ServiceError>;

pub(super) fn all() -> Routes {
    Routes::new().routes(routes!(left, open)).routes(routes!(errand)).routes(routes!(publish)).routes(routes!(claim))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Open {
    nickname: String,
    group: Option<String>,
    referred_by: Option<String>,
    own_code: Option<String>,
    /// The operator's to choose.
    #[schema(value_type = Option<Minor>)]
    per_day: Option<String>,
    /// As before.
    #[schema(value_type = Option<Minor>)]
    total: Option<String>,
}

fn minor(text: Option<&String>) -> Result<Option<u64>, ServiceError> {
    let read = |text: &String| {
        let detail = format!("`{text}` is no number of minor units");
        text.parse().map_err(|_| ServiceError::bad_input("bad_amount", detail))
    };
    text.map(read).transpose()
}

#[derive(Serialize, ToSchema)]
struct Opened {
    #[schema(value_type = shape::AgentIdText)]
    agent: AgentId,
    /// Shown once; the node keeps a digest.
    token: String,
    /// `operator_can_spend`.
    custody: &'static str,
    /// The node that keeps its key.
    #[schema(value_type = shape::KeyText)]
    node: PublicKey,
    /// What that means, in words.
    warning: &'static str,
}

/// Opens an account for an agent that cannot sign: this node keeps its key.
#[utoipa::path(post, path = "/api/v1/custody", request_body = Open,
    params(("Idempotency-Key" = String, Header, description = "The same one on every retry.")),
    responses((status = 200, body = Opened)))]
async fn open(State(node): App, Caller(who): Caller, headers: HeaderMap, Body(body): Body<Open>) -> Answer<Opened> {
    let limits = Limits { per_day: minor(body.per_day.as_ref())?, total: minor(body.total.as_ref())? };
    if limits != Limits::default() {
        who.require_operator()?;
    }
    let asked = Asked::new(idempotency_key(&headers)?, "open", format!("{body:?}").as_bytes())?;
    let Open { nickname, group, referred_by, own_code, .. } = body;
    let opening = Opening { nickname, group, referred_by, own_code, limits };
    let opened = custody::open(&node, &bearer(&headers, who)?, &asked, &opening).await?;
    Ok(Json(Opened {
        agent: opened.agent,
        token: opened.token,
        custody: custody::OPERATOR_CAN_SPEND,
        node: node.key().public(),
        warning: custody::WARNING,
    }))
}

pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<&str, ServiceError> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).ok_or_else(|| {
        ServiceError::bad_input("idempotency_key_missing", "send `Idempotency-Key`: the same one on every retry")
    })?;
    Ok(key.trim_matches('"'))
}

#[derive(Serialize, ToSchema)]
struct Ran {
    /// The ledger's word.
    outcome: &'static str,
    /// 0 when that is not known any more.
    log_index: u64,
    #[schema(value_type = shape::ShortIdText)]
    request_id: RequestId,
    /// The escrow that it made, if it made one.
    #[schema(value_type = Option<shape::ShortIdText>)]
    escrow: Option<EscrowId>,
    /// The transfer, likewise.
    #[schema(value_type = Option<shape::ShortIdText>)]
    transfer: Option<TransferId>,
    /// `operator_can_spend`.
    custody: &'static str,
}

/// Signs a command with the caller's custodial key and sends it on its way; the same key again is the same command.
#[utoipa::path(post, path = "/api/v1/custody/errands", request_body = Errand,
    params(("Idempotency-Key" = String, Header, description = "The same one on every retry.")),
    responses((status = 200, body = Ran)))]
async fn errand(State(node): App, Caller(who): Caller, headers: HeaderMap, Body(body): Body<Errand>) -> Answer<Ran> {
    let ran = errands::run(&node, &bearer(&headers, who)?, idempotency_key(&headers)?, body).await?;
    Ok(Json(Ran {
        outcome: ran.done.outcome.name(),
        log_index: ran.done.log_index,
        request_id: ran.done.request_id,
        escrow: ran.escrow,
        transfer: ran.transfer,
        custody: custody::OPERATOR_CAN_SPEND,
    }))
}

#[derive(Deserialize, ToSchema)]
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

#[derive(Serialize, ToSchema)]
struct CardPublished {
    /// As signed.
    sequence: u64,
    /// `operator_can_spend`.
    custody: &'static str,
}

/// Publishes a card of the caller, signed with its custodial key.
#[utoipa::path(post, path = "/api/v1/custody/card", request_body = Card,
    responses((status = 200, body = CardPublished)))]
async fn publish(
    State(node): App,
    Caller(who): Caller,
    headers: HeaderMap,
    Body(card): Body<Card>,
) -> Answer<CardPublished> {
    let price = card.price.map(|text| domain::amount(&node, &text)).transpose()?;
    let Card { name, description, capabilities, public, .. } = card;
    let words = introductions::check(&Introduction { name, description, capabilities, price, public })?;
    let sequence = introductions::publish(&node, &bearer(&headers, who)?, words).await?;
    Ok(Json(CardPublished { sequence, custody: custody::OPERATOR_CAN_SPEND }))
}

#[derive(Serialize, ToSchema)]
struct Left {
    #[schema(value_type = shape::AgentIdText)]
    agent: AgentId,
    /// Null is without a limit.
    left_today: Option<Minor>,
    /// Likewise.
    left_in_all: Option<Minor>,
    /// `operator_can_spend`.
    custody: &'static str,
    /// What that means, in words.
    warning: &'static str,
}

/// What the caller's custodial account may still spend.
#[utoipa::path(get, path = "/api/v1/custody", responses((status = 200, body = Left)))]
async fn left(State(node): App, Caller(who): Caller, headers: HeaderMap) -> Answer<Left> {
    let caller = bearer(&headers, who)?;
    let (today, total) = custody::left(&node, &caller).await?;
    Ok(Json(Left {
        agent: caller.agent()?,
        left_today: today.map(Minor),
        left_in_all: total.map(Minor),
        custody: custody::OPERATOR_CAN_SPEND,
        warning: custody::WARNING,
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Claim {
    #[schema(value_type = shape::KeyText)]
    new_key: PublicKey,
    /// Hex: by the new key over the rotation.
    proof: String,
}

#[derive(Serialize, ToSchema)]
struct Claimed {
    #[schema(value_type = shape::AgentIdText)]
    agent: AgentId,
    /// `own_key`.
    custody: &'static str,
}

/// Gives the account to a key of the caller's own; the token ends with it.
#[utoipa::path(post, path = "/api/v1/custody/claim", request_body = Claim, responses((status = 200, body = Claimed)))]
async fn claim(State(node): App, Caller(who): Caller, headers: HeaderMap, Body(body): Body<Claim>) -> Answer<Claimed> {
    let proof = HEXLOWER.decode(body.proof.as_bytes()).ok().and_then(|proof| proof.try_into().ok());
    let proof = proof.ok_or_else(|| ServiceError::bad_input("bad_proof", "a proof is 64 bytes in hex"))?;
    let agent = custody::claim(&node, &bearer(&headers, who)?, body.new_key, proof).await?;
    Ok(Json(Claimed { agent, custody: custody::OWN_KEY }))
}
