//! The hired agent: publishes a card, takes tasks, does the work, asks for payment.

use super::{
    agents::{AgentConfig, Me, is_nodes_fault, tell},
    processes::pause,
    work::TextReport,
};
use crate::{
    cli::output::field,
    service::error::{Kind, ServiceError},
};
use comity_proto::{
    amount::{AssetCode, AssetId},
    card::{AcceptedTerms, AgentCard, Price},
    command::{Party, Verb},
    envelope::Signed as _,
    ids::{EscrowId, Hash, TaskId},
    limits::DAY_MS,
    task::PaymentRequest,
    text::{Capability, Description, Nickname},
};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::{process::ExitCode, time::Duration};

/// Runs until it is killed.
///
/// # Errors
/// What its node refused at the start.
pub fn run(config: &AgentConfig) -> Result<ExitCode, ServiceError> {
    let mut me = Me::arrive(config)?;
    tell("arrived", json!({ "agent": me.agent, "node": me.api.base() }));
    publish(&me, config)?;
    loop {
        match me.api.get::<Value>("/api/v1/tasks/next?wait_ms=10000") {
            Ok(answer) if answer["task"].is_null() => {}
            Ok(answer) => {
                if let Err(error) = work(&mut me, config, &answer["task"]) {
                    tell("work_failed", json!({ "code": error.code, "detail": error.detail }));
                }
            }
            Err(error) if is_nodes_fault(error.kind) => {
                pause(Duration::from_millis(200));
                // The next look shows whether it helped.
                let _moved = me.open_session();
            }
            Err(error) => return Err(error),
        }
    }
}

fn bad(what: &str) -> ServiceError {
    ServiceError::bad_input("bad_agent_config", what)
}

fn publish(me: &Me, config: &AgentConfig) -> Result<(), ServiceError> {
    let now_ms = comity_runtime::wall_ms();
    let card = AgentCard {
        agent: me.agent,
        home: me.domain.domain,
        key: me.signer.key().public(),
        name: Nickname::new(&config.nickname).map_err(|_| bad("nickname"))?,
        description: Description::new("counts lines, words and bytes of a text, with a digest")
            .map_err(|_| bad("description"))?,
        capabilities: vec![Capability::new(&config.capability).map_err(|_| bad("capability"))?],
        price: Some(Price { asset: me.domain.native(), amount: config.price }),
        accepts: AcceptedTerms::default(),
        sequence: now_ms,
        issued_at_ms: now_ms,
        expires_at_ms: now_ms + DAY_MS,
        retired: false,
        public: false,
        custodial: false,
        attestation: bytes::Bytes::new(),
    };
    let envelope = BASE64.encode(&card.seal(me.signer.key()));
    let _: Value = me.api.post("/api/v1/cards", &json!({ "envelope": envelope }))?;
    tell("published", json!({ "sequence": now_ms }));
    Ok(())
}

fn parse<T: std::str::FromStr>(task: &Value, name: &str) -> Result<T, ServiceError> {
    field(task, name).parse().map_err(|_| ServiceError::new(Kind::Internal, "unexpected_answer", name, "update"))
}

fn work(me: &mut Me, config: &AgentConfig, task: &Value) -> Result<(), ServiceError> {
    let task_id: TaskId = parse(task, "task")?;
    let escrow_id: EscrowId = parse(task, "escrow")?;
    let from: Party = serde_json::from_value(task["from"].clone())
        .map_err(|error| ServiceError::new(Kind::Internal, "unexpected_answer", error.to_string(), "update"))?;
    let body = BASE64.decode(field(task, "body").as_bytes()).map_err(|_| bad("body"))?;
    event(me, task_id, "accepted", None)?;
    tell("accepted", json!({ "task": task_id, "escrow": escrow_id, "bytes": body.len() }));
    if config.mode == "dies" {
        // As if the machine had lost its power.
        std::process::exit(9);
    }
    let mut result = TextReport::of(&body).to_bytes();
    let result_hash = Hash::of(&result);
    if config.mode == "wrong-hash" {
        result.push(b' ');
    }
    event(me, task_id, "result", Some(BASE64.encode(&result)))?;
    // The escrow lives in the payer's home: only when its log has the submission does the submission count.
    let signer = me.signer.towards(from.domain);
    let submitted = me.submit(&signer, Verb::SubmitEscrow { escrow_id, milestone: None, result_hash })?;
    tell("submitted", json!({ "log_index": submitted["log_index"], "result_hash": result_hash }));
    let request = PaymentRequest {
        task_id,
        escrow_id,
        milestone: None,
        payee: Party { domain: me.domain.domain, agent: me.agent },
        asset: asset_of_payer(from, &me.domain.asset),
        amount: config.price,
        result_hash,
    };
    event(me, task_id, "finished", Some(BASE64.encode(&request.seal(me.signer.key()))))?;
    tell("asked_for_payment", json!({ "task": task_id }));
    Ok(())
}

/// The payer pays in its own domain's asset of the same code.
fn asset_of_payer(from: Party, code: &AssetCode) -> AssetId {
    AssetId { issuer: from.domain, code: *code }
}

fn event(me: &mut Me, task: TaskId, kind: &str, data: Option<String>) -> Result<(), ServiceError> {
    let _: Value = me.api.post(&format!("/api/v1/tasks/{task}/events"), &json!({ "kind": kind, "data": data }))?;
    Ok(())
}
