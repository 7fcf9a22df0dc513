//! The agent that hires: finds, locks, sends the task, verifies the result by code, releases.

use super::{
    agents::{AgentConfig, Me, tell},
    processes::pause,
};
use crate::{
    cli::output::field,
    service::error::{Kind, ServiceError},
    signer::{fresh_escrow_id, fresh_id},
    storage::files,
};
use bytes::Bytes;
use comity_proto::{
    command::{Party, Verb},
    envelope::Signed as _,
    escrow::{EscrowTerms, Payee, Silence},
    ids::{AgentId, EscrowId, Hash, PublicKey, TaskId},
    limits::{BPS_WHOLE, SECOND_MS, TASK_BYTES_MAX},
    task::{PaymentRequest, TaskRequest},
    text::{Capability, Condition},
};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::{process::ExitCode, time::Duration};

/// How long it looks for a worker.
const SEARCH: Duration = Duration::from_secs(60);

/// A worker that was found.
struct Hired {
    party: Party,
    key: PublicKey,
    price: u64,
}

/// Hires once and ends.
///
/// # Errors
/// What its node refused.
pub fn run(config: &AgentConfig) -> Result<ExitCode, ServiceError> {
    let mut me = Me::arrive(config)?;
    let signer = me.signer.clone();
    tell("arrived", json!({ "agent": me.agent, "node": me.api.base() }));
    me.submit(&signer, Verb::ClaimFaucet)?;
    tell("funded", json!({}));
    let hired = find(&me, config)?;
    let input = input(config)?;
    let task_id = TaskId(fresh_id().0);
    let escrow_id = lock(&mut me, config, &hired, &input)?;
    let request = TaskRequest {
        task_id,
        from: Party { domain: me.domain.domain, agent: me.agent },
        to: hired.party,
        escrow_id,
        capability: Capability::new(&config.capability).map_err(|_| bad("capability"))?,
        body: input,
        deadline_ms: comity_runtime::wall_ms() + config.deliver_seconds * SECOND_MS,
    };
    let envelope = BASE64.encode(&request.seal(signer.key()));
    let _: Value = me.api.post("/api/v1/tasks", &json!({ "envelope": envelope }))?;
    tell("task_sent", json!({ "task": task_id, "bytes": request.body.len() }));
    match answer(&me, task_id, config)? {
        Some((result, demand)) => settle(&mut me, &hired, escrow_id, task_id, &result, &demand),
        None => {
            tell("no_result", json!({ "escrow": escrow_id }));
            wait_for_end(&me, escrow_id)
        }
    }
}

fn bad(what: &str) -> ServiceError {
    ServiceError::bad_input("bad_agent_config", what)
}

fn input(config: &AgentConfig) -> Result<Bytes, ServiceError> {
    let path = config.input.as_deref().ok_or_else(|| bad("no input"))?;
    let bytes = files::read_up_to(path, TASK_BYTES_MAX as u64)
        .map_err(|error| ServiceError::bad_input("bad_input_file", error.to_string()))?;
    let bytes = bytes.ok_or_else(|| bad(&format!("{} is not there", path.display())))?;
    Ok(Bytes::from(bytes))
}

fn find(me: &Me, config: &AgentConfig) -> Result<Hired, ServiceError> {
    let path = format!("/api/v1/discover?capability={}", config.capability);
    let begun = comity_runtime::now();
    loop {
        let answer: Value = me.api.get(&path)?;
        let known = |card: &&Value| card["home_known"] == true && card["stale"] == false;
        if let Some(card) = answer["agents"].as_array().into_iter().flatten().find(known) {
            let hired = Hired {
                party: Party { domain: parse(card, "home")?, agent: parse(card, "agent")? },
                key: parse(card, "key")?,
                price: parse(card, "price")?,
            };
            let facts = json!({
                "name": card["name"], "home": card["home_name"], "price": card["price"], "age_ms": card["age_ms"],
                "path": card["path"], "verified_by": card["verified_by"],
            });
            tell("found", facts);
            return Ok(hired);
        }
        if begun.elapsed() > SEARCH {
            let status = field(&answer, "status");
            return Err(ServiceError::not_found("worker", format!("with {} ({status})", config.capability)));
        }
        pause(Duration::from_millis(20));
    }
}

fn parse<T: std::str::FromStr>(value: &Value, name: &str) -> Result<T, ServiceError> {
    let text = field(value, name);
    text.parse()
        .map_err(|_| ServiceError::new(Kind::Internal, "unexpected_answer", format!("{name}: {text}"), "update"))
}

fn lock(me: &mut Me, config: &AgentConfig, hired: &Hired, input: &Bytes) -> Result<EscrowId, ServiceError> {
    let escrow_id = fresh_escrow_id();
    let now_ms = comity_runtime::wall_ms();
    let terms = EscrowTerms {
        payer: me.agent,
        payees: vec![Payee { party: hired.party, key: hired.key, share_bps: BPS_WHOLE }],
        asset: me.domain.native(),
        amount: hired.price,
        task_hash: Hash::of(input),
        condition: Condition::new("the report's digest equals the file's digest").map_err(|_| bad("condition"))?,
        deliver_by_ms: now_ms + config.deliver_seconds * SECOND_MS,
        delivery_grace_ms: 0,
        review_window_ms: 3_600 * SECOND_MS,
        on_silence: Silence::Refund,
        arbiter: None,
        ruling_window_ms: 2 * SECOND_MS,
        on_no_ruling: Silence::Refund,
        referred_by: None,
        milestones: Vec::new(),
    };
    let signer = me.signer.clone();
    let answer = me.submit(&signer, Verb::LockEscrow { escrow_id, terms })?;
    let facts = json!({ "escrow": escrow_id, "amount": hired.price.to_string(), "log_index": answer["log_index"] });
    tell("locked", facts);
    Ok(escrow_id)
}

/// The joined result and the signed demand; `None` when the task failed.
fn answer(me: &Me, task: TaskId, config: &AgentConfig) -> Result<Option<(Bytes, Bytes)>, ServiceError> {
    let (mut result, mut after) = (Vec::new(), 0_u64);
    let begun = comity_runtime::now();
    while begun.elapsed() < Duration::from_secs(config.deliver_seconds + 2) {
        let path = format!("/api/v1/tasks/{task}/events?after={after}&wait_ms=1000");
        let seen: Value = me.api.get(&path)?;
        for event in seen["events"].as_array().into_iter().flatten() {
            after += 1;
            let data = BASE64.decode(field(event, "data").as_bytes()).unwrap_or_default();
            match event["kind"].as_str().unwrap_or_default() {
                "accepted" => tell("task_accepted", json!({})),
                "result" => result.extend_from_slice(&data),
                "finished" => return Ok(Some((Bytes::from(result), Bytes::from(data)))),
                "failed" => return Ok(None),
                _ => {}
            }
        }
    }
    Ok(None)
}

/// Pays only if every word of the demand is true; else the escrow's own rules decide.
fn settle(
    me: &mut Me,
    hired: &Hired,
    escrow_id: EscrowId,
    task_id: TaskId,
    result: &Bytes,
    demand: &Bytes,
) -> Result<ExitCode, ServiceError> {
    if let Err(why) = verify(hired, escrow_id, task_id, result, demand) {
        tell("rejected", json!({ "why": why, "result_hash": Hash::of(result) }));
        let evidence_hash = Hash::of(demand);
        let signer = me.signer.clone();
        me.submit(&signer, Verb::DisputeEscrow { escrow_id, evidence_hash })?;
        tell("disputed", json!({ "evidence": evidence_hash }));
        return Ok(ExitCode::SUCCESS);
    }
    let verified_hash = Some(Hash::of(result));
    tell("verified", json!({ "result_hash": verified_hash, "report": String::from_utf8_lossy(result) }));
    let signer = me.signer.clone();
    let answer = me.submit(&signer, Verb::ReleaseEscrow { escrow_id, milestone: None, verified_hash })?;
    tell("released", json!({ "escrow": escrow_id, "log_index": answer["log_index"] }));
    Ok(ExitCode::SUCCESS)
}

fn verify(hired: &Hired, escrow_id: EscrowId, task_id: TaskId, result: &Bytes, demand: &Bytes) -> Result<(), String> {
    let demand = PaymentRequest::open(demand).map_err(|reject| reject.to_string())?;
    let said = demand.get();
    let claims = [
        (*demand.key() == hired.key, "it is not signed by the hired agent"),
        (said.task_id == task_id && said.escrow_id == escrow_id, "it is for another task or escrow"),
        (said.payee == hired.party, "it names another payee"),
        (said.amount == hired.price, "it asks for another amount"),
        (said.result_hash == Hash::of(result), "the result is not the one that was signed for"),
    ];
    match claims.iter().find(|(holds, _)| !holds) {
        None => Ok(()),
        Some((_, why)) => Err((*why).to_owned()),
    }
}

/// Watches until the escrow's deadline has returned the money.
fn wait_for_end(me: &Me, escrow: EscrowId) -> Result<ExitCode, ServiceError> {
    for _ in 0..300 {
        let view: Value = me.api.get(&format!("/api/v1/escrows/{escrow}"))?;
        if field(&view, "state") == "refunded" {
            let account: Value = me.api.get(&format!("/api/v1/accounts/{}", agent_of(me)))?;
            tell("refunded", json!({ "escrow": escrow, "account": account }));
            return Ok(ExitCode::SUCCESS);
        }
        pause(Duration::from_millis(100));
    }
    Err(ServiceError::new(
        Kind::Unavailable,
        "not_refunded",
        "the escrow was not refunded in time",
        "comity escrow show",
    ))
}

fn agent_of(me: &Me) -> AgentId {
    me.agent
}
