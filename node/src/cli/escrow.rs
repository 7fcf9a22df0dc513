//! `escrow`.

use super::{
    agent::referral,
    args::{EscrowAct, EscrowCommand, LockArgs},
    context::{Context, DomainView},
    money::{bad_text, done, outcome},
    output::{field, table},
};
use crate::{service::error::ServiceError, signer::fresh_escrow_id, storage::files};
use comity_proto::{
    command::{Party, Verb},
    escrow::{Arbiter, EscrowTerms, Payee, Silence},
    ids::{EscrowId, Hash, PublicKey},
    limits::{BPS_WHOLE, DELIVERY_GRACE_REMOTE_MS, SECOND_MS},
    text::Condition,
};
use serde_json::Value;
use std::path::Path;

const MINUTE_MS: u64 = 60 * SECOND_MS;
/// Longest result or task file that is hashed.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// `escrow …`
pub(super) fn escrow(context: &Context, command: &EscrowCommand) -> Result<(), ServiceError> {
    let domain = context.domain()?;
    let (act, verb) = match command {
        EscrowCommand::Lock(args) => return lock(context, &domain, args),
        EscrowCommand::Show { id } => return show(context, &domain, id),
        EscrowCommand::List { agent } => return list(context, &domain, agent),
        EscrowCommand::Accept(act) => (act, Verb::AcceptEscrow { escrow_id: id(context, act)? }),
        EscrowCommand::Submit { act, result, milestone } => {
            let verb =
                Verb::SubmitEscrow { escrow_id: id(context, act)?, milestone: *milestone, result_hash: hash(result)? };
            (act, verb)
        }
        EscrowCommand::Release { act, milestone, verified } => {
            let verified_hash = verified.as_deref().map(hash).transpose()?;
            (act, Verb::ReleaseEscrow { escrow_id: id(context, act)?, milestone: *milestone, verified_hash })
        }
        EscrowCommand::Dispute { act, evidence } => {
            (act, Verb::DisputeEscrow { escrow_id: id(context, act)?, evidence_hash: hash(evidence)? })
        }
        EscrowCommand::Rule { act, payee_bps } => {
            (act, Verb::RuleEscrow { escrow_id: id(context, act)?, payee_bps: *payee_bps })
        }
        EscrowCommand::Cancel { act, .. } => (act, Verb::CancelEscrow { escrow_id: id(context, act)? }),
    };
    let home = match &act.home {
        Some(name) => domain.resolve(name)?,
        None => domain.domain,
    };
    let signer = context.wallet.signer(&act.agent, domain.domain)?.towards(home);
    done(context, &context.submit(&signer, verb)?);
    Ok(())
}

fn lock(context: &Context, domain: &DomainView, args: &LockArgs) -> Result<(), ServiceError> {
    let signer = context.wallet.signer(&args.from, domain.domain)?;
    let Some(payer) = signer.agent_id() else { return Err(ServiceError::not_found("agent", &args.from)) };
    let escrow_id = match &args.id {
        Some(text) => text.parse().map_err(|_| bad_text("escrow id (32 hex characters)", text))?,
        None => fresh_escrow_id(),
    };
    let party = context.party(domain, &args.to)?;
    let payee = Payee { party, key: key_of(context, domain, party)?, share_bps: BPS_WHOLE };
    let arbiter = match &args.arbiter {
        Some(text) => {
            let party = context.party(domain, text)?;
            Some(Arbiter { party, key: key_of(context, domain, party)? })
        }
        None => None,
    };
    let now_ms = comity_runtime::wall_ms();
    let terms = EscrowTerms {
        payer,
        payees: vec![payee],
        asset: domain.native(),
        amount: domain.amount(&args.amount)?,
        task_hash: hash_of_words_or_file(&args.task)?,
        condition: Condition::new("the result is accepted by the payer").map_err(|_| bad_text("condition", ""))?,
        deliver_by_ms: now_ms.saturating_add(args.deliver_minutes.saturating_mul(MINUTE_MS)),
        delivery_grace_ms: if party.domain == domain.domain { 0 } else { DELIVERY_GRACE_REMOTE_MS },
        review_window_ms: args.review_minutes.saturating_mul(MINUTE_MS),
        on_silence: silence(&args.on_silence)?,
        arbiter,
        ruling_window_ms: args.review_minutes.saturating_mul(MINUTE_MS),
        on_no_ruling: Silence::Refund,
        referred_by: args.referral.as_ref().map(|text| referral(context, domain, text)).transpose()?,
        milestones: args.milestones.iter().map(|text| domain.amount(text)).collect::<Result<_, _>>()?,
    };
    let mut answer = context.submit(&signer, Verb::LockEscrow { escrow_id, terms })?;
    answer["escrow"] = escrow_id.to_string().into();
    context.output.show(&answer, |answer| format!("{} escrow {escrow_id}", outcome(answer)));
    Ok(())
}

/// The current key of a party: from the ledger for a local one, from its verified card for a remote one.
fn key_of(context: &Context, domain: &DomainView, party: Party) -> Result<PublicKey, ServiceError> {
    let path = if party.domain == domain.domain { "agents" } else { "cards" };
    let found: Value = context.client.get(&format!("/api/v1/{path}/{}", party.agent))?;
    field(&found, "key").parse().map_err(|_| ServiceError::not_found("key of agent", party.agent))
}

fn show(context: &Context, domain: &DomainView, id: &str) -> Result<(), ServiceError> {
    let answer: Value = context.client.get(&format!("/api/v1/escrows/{id}"))?;
    context.output.show(&answer, |answer| rows(domain, std::slice::from_ref(answer)));
    Ok(())
}

fn list(context: &Context, domain: &DomainView, agent: &str) -> Result<(), ServiceError> {
    let agent = context.agent(agent)?;
    let answer: Value = context.client.get(&format!("/api/v1/escrows?agent={agent}"))?;
    let escrows = answer["escrows"].as_array().cloned().unwrap_or_default();
    context.output.show(&answer, |_| rows(domain, &escrows));
    Ok(())
}

fn rows(domain: &DomainView, escrows: &[Value]) -> String {
    let rows = escrows.iter().map(|escrow| {
        let amount = |name| domain.show(&field(escrow, name));
        let text = |name| field(escrow, name);
        let payees = escrow["payees"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>();
        vec![text("escrow"), text("state"), amount("amount"), amount("open"), text("deadline"), payees.join(" ")]
    });
    table(&["ESCROW", "STATE", "AMOUNT", "OPEN", "DEADLINE", "PAYEES"], rows)
}

fn id(context: &Context, act: &EscrowAct) -> Result<EscrowId, ServiceError> {
    if let Ok(id) = act.id.parse() {
        return Ok(id);
    }
    let found: Value = context.client.get(&format!("/api/v1/escrows/{}", act.id))?;
    field(&found, "escrow").parse().map_err(|_| ServiceError::not_found("escrow", &act.id))
}

fn silence(text: &str) -> Result<Silence, ServiceError> {
    text.parse().map_err(|_| bad_text("silence rule: release, refund, or basis points up to 10000", text))
}

/// SHA-256 given in hex, or of a file.
fn hash(text: &str) -> Result<Hash, ServiceError> {
    match text.parse() {
        Ok(hash) => Ok(hash),
        Err(_) => file_hash(text)?.ok_or_else(|| bad_text("file or SHA-256 in hex", text)),
    }
}

fn hash_of_words_or_file(text: &str) -> Result<Hash, ServiceError> {
    Ok(file_hash(text)?.unwrap_or_else(|| Hash::of(text.as_bytes())))
}

fn file_hash(path: &str) -> Result<Option<Hash>, ServiceError> {
    let bytes = files::read_up_to(Path::new(path), FILE_BYTES_MAX)
        .map_err(|error| ServiceError::bad_input("bad_file", error.to_string()))?;
    Ok(bytes.map(|bytes| Hash::of(&bytes)))
}
