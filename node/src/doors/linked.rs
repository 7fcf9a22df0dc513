//! Escrows as linked data (JSON-LD 1.1), with a context that this node serves: nothing is fetched from anywhere else.
//!
//! Money is a decimal string of minor units, typed as an integer, and never a number: processors make doubles of those.
//! What an escrow does not have is left out. Deliberately absent: signatures over it; the ledger's are in the audit export.

use super::a2a::time;
use crate::{
    node::Node,
    service::{
        error::ServiceError,
        principal::Principal,
        records::{self, Record},
        trades,
    },
};
use comity_proto::{
    command::Party,
    escrow::{EscrowTerms, Silence},
    ids::AgentId,
};
use serde_json::{Value, json};

/// What the names in an escrow mean.
pub const CONTEXT: &str = include_str!("linked_context.json");

/// One escrow, under a context at this address, for those who may see it.
///
/// # Errors
/// `unknown_escrow`.
pub async fn escrow(node: &Node, who: Principal, text: &str, context: &str) -> Result<Value, ServiceError> {
    let id = trades::escrow(node, who, text).await?.escrow;
    let record = records::record(node, who, &id.to_string()).await?;
    Ok(document(&record, context))
}

fn document(record: &Record, context: &str) -> Value {
    let terms = &*record.terms;
    let money = |minor: u64| {
        json!({
            "type": "Money", "currency": terms.asset.code, "issuer": domain(&terms.asset.issuer),
            "minorUnits": minor.to_string(),
        })
    };
    let mut escrow = json!({
        "@context": context, "id": format!("urn:comity:escrow:{}", record.escrow), "type": "Escrow",
        "state": record.state.name(), "payer": agent(&terms.payer), "payees": payees(terms),
        "amount": money(terms.amount), "open": money(record.open), "paid": money(record.paid),
        "fee": money(record.fee), "taskSha256": terms.task_hash, "condition": terms.condition,
        "onSilence": silence(terms.on_silence), "lockedAt": time::text(record.locked_ms),
    });
    if let Some(arbiter) = terms.arbiter {
        escrow["arbiter"] = party(&arbiter.party);
        escrow["onNoRuling"] = silence(terms.on_no_ruling).into();
    }
    if let Some((hash, at_ms)) = record.delivered {
        escrow["delivery"] = json!({ "type": "Delivery", "resultSha256": hash, "deliveredAt": time::text(at_ms) });
    }
    for (name, at_ms) in [("decidedAt", record.deadline_ms), ("endedAt", record.ended_ms)] {
        if let Some(at_ms) = at_ms {
            escrow[name] = time::text(at_ms).into();
        }
    }
    escrow
}

fn payees(terms: &EscrowTerms) -> Vec<Value> {
    let payee = |payee: &comity_proto::escrow::Payee| {
        let mut shown = party(&payee.party);
        shown["shareBps"] = payee.share_bps.into();
        shown
    };
    terms.payees.iter().map(payee).collect()
}

fn party(party: &Party) -> Value {
    json!({ "type": "Party", "agent": agent(&party.agent), "domain": domain(&party.domain) })
}

fn agent(agent: &AgentId) -> String {
    format!("urn:comity:agent:{agent}")
}

fn domain(domain: &comity_proto::ids::DomainId) -> String {
    format!("urn:comity:domain:{domain}")
}

fn silence(silence: Silence) -> String {
    match silence {
        Silence::Release => "release".to_owned(),
        Silence::Refund => "refund".to_owned(),
        Silence::Split { payee_bps } => payee_bps.to_string(),
    }
}
