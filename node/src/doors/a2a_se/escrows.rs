//! The life of an escrow: create, deliver, release, refund, dispute, resolve, and looking at it.

use super::{
    Call, Reply,
    read::page,
    view::{self, Labels, account, percent, whole},
    wrong::Wrong,
};
use crate::{
    doors::a2a::time,
    node::Node,
    service::{
        custody::Bearer,
        domain,
        errands::{self, CreateEscrow, Deliver, Dispute, Errand, Ran, Refund, Release, Rule},
        principal::Principal,
        records::{self, Record},
    },
};
use comity_proto::{amount::format_amount, ids::AgentId, limits::BPS_WHOLE};
use serde::Deserialize;
use serde_json::{Value, json};

/// Minutes to deliver, unless told otherwise: the protocol's.
const TTL_MINUTES: u32 = 30;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Create {
    provider_id: String,
    amount: u64,
    task_id: Option<String>,
    task_type: Option<String>,
    ttl_minutes: Option<u32>,
    group_id: Option<String>,
    #[serde(default)]
    deliverables: Value,
    #[serde(default)]
    depends_on: Value,
    #[serde(default)]
    required_attestation_level: Value,
    #[serde(default)]
    vi_credential_chain: Value,
}

/// A field that a client may send, but only empty.
fn empty(field: &str, value: &Value, why: &str) -> Result<(), Wrong> {
    let none = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
    if none { Ok(()) } else { Err(Wrong::no_field(field, why)) }
}

/// Locks; the amount is what the provider gets of a release, the fee comes on top.
pub(super) async fn create(node: &Node, caller: &Bearer, call: &Call) -> Result<Reply, Wrong> {
    let wanted: Create = call.read()?;
    empty("depends_on", &wanted.depends_on, "each escrow stands alone")?;
    empty("required_attestation_level", &wanted.required_attestation_level, "deliveries are not judged here")?;
    empty("vi_credential_chain", &wanted.vi_credential_chain, "no credentials are kept with an escrow")?;
    let (payer, own) = (caller.agent()?, domain::domain(node)?);
    let labels =
        Labels { task_id: wanted.task_id.clone(), task_type: wanted.task_type, group_id: wanted.group_id.clone() };
    let task = json!({ "labels": labels, "deliverables": wanted.deliverables }).to_string();
    let errand = Errand::CreateEscrow(CreateEscrow {
        payee: wanted.provider_id.clone(),
        amount: format_amount(wanted.amount, own.scale),
        task,
        on_silence: "refund".to_owned(),
        deliver_minutes: Some(wanted.ttl_minutes.unwrap_or(TTL_MINUTES)),
        review_minutes: None,
        arbiter: arbiter(node, payer, &wanted.provider_id),
        condition: labels.condition(),
        fee_on_top: true,
    });
    let ran = errands::run_asked(node, caller, &call.asked()?, &errand).await?;
    created(own.domain, &ran, wanted.amount, &labels)
}

/// Who rules disputes here, unless it is a party itself.
fn arbiter(node: &Node, payer: AgentId, provider: &str) -> Option<String> {
    let named = node.home().config.exchange_arbiter.filter(|arbiter| *arbiter != payer)?.to_string();
    (named != provider).then_some(named)
}

/// Told from what was signed: the same for every retry, whatever has become of the escrow since.
fn created(home: comity_proto::ids::DomainId, ran: &Ran, amount: u64, labels: &Labels) -> Result<Reply, Wrong> {
    let (Some(terms), Some(escrow)) = (ran.terms(), ran.escrow) else {
        return Err(Wrong::invalid("not_an_escrow", "what was signed under this key is no escrow"));
    };
    let fee = terms.amount.saturating_sub(amount);
    let expires_ms = terms.deliver_by_ms.saturating_add(terms.delivery_grace_ms);
    let provider = terms.payees.first().map(|payee| account(home, &payee.party));
    Ok(Reply::created(json!({
        "escrow_id": escrow, "requester_id": terms.payer, "provider_id": provider,
        "amount": whole(amount)?, "fee_amount": whole(fee)?, "effective_fee_percent": percent(fee, amount),
        "total_held": whole(terms.amount)?, "status": "held", "expires_at": time::text(expires_ms),
        "group_id": labels.group_id,
    })))
}

/// The escrow that is meant, and its home if that is another domain: ID or ID@DOMAIN.
fn place(text: &str) -> (String, Option<String>) {
    match text.rsplit_once('@') {
        Some((escrow, home)) => (escrow.to_owned(), Some(home.to_owned())),
        None => (text.to_owned(), None),
    }
}

/// Runs an errand about an escrow. A refusal of its state is called by the protocol's name once the escrow has ended.
async fn about(
    node: &Node,
    caller: &Bearer,
    call: &Call,
    escrow: &str,
    errand: Errand,
) -> Result<Option<Record>, Wrong> {
    let ran = errands::run_asked(node, caller, &call.asked()?, &errand).await.map_err(Wrong::from);
    // What has ended is forgotten after two days, and an escrow elsewhere is not known here.
    let record = records::record(node, Principal::Agent(caller.agent()?), escrow).await.ok();
    match (ran, record) {
        (Ok(_), record) => Ok(record),
        (Err(wrong), Some(Record { ended_ms: Some(_), .. })) => {
            Err(wrong.named("wrong_state", "ESCROW_ALREADY_RESOLVED"))
        }
        (Err(wrong), _) => Err(wrong),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delivery {
    content: String,
    #[serde(default)]
    provenance: Value,
}

pub(super) async fn deliver(node: &Node, caller: &Bearer, call: &Call, escrow: &str) -> Result<Reply, Wrong> {
    let wanted: Delivery = call.read()?;
    empty("provenance", &wanted.provenance, "deliveries are not judged here")?;
    let (id, home) = place(escrow);
    let errand =
        Errand::Deliver(Deliver { escrow: id.clone(), result: Some(wanted.content), result_sha256: None, home });
    let record = about(node, caller, call, &id, errand).await?;
    let delivered = record.as_ref().and_then(|record| record.delivered);
    Ok(Reply::ok(json!({
        "escrow_id": id, "status": record.as_ref().map_or("held", view::status),
        "delivered_at": delivered.map(|(_, at)| time::text(at)), "delivered_sha256": delivered.map(|(hash, _)| hash),
    })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfEscrow {
    escrow_id: String,
    /// Of a refund; for whoever reads the request.
    reason: Option<String>,
}

pub(super) async fn release(node: &Node, caller: &Bearer, call: &Call) -> Result<Reply, Wrong> {
    let OfEscrow { escrow_id, reason } = call.read()?;
    if reason.is_some() {
        return Err(Wrong::invalid("bad_body", "a release has no reason"));
    }
    let errand = Errand::ReleaseFunds(Release { escrow: escrow_id.clone(), verified_sha256: None });
    let record = about(node, caller, call, &escrow_id, errand).await?;
    paid(node, &escrow_id, record.as_ref(), json!({})).map(Reply::ok)
}

pub(super) async fn refund(node: &Node, caller: &Bearer, call: &Call) -> Result<Reply, Wrong> {
    let OfEscrow { escrow_id, .. } = call.read()?;
    let (id, home) = place(&escrow_id);
    let errand = Errand::RefundEscrow(Refund { escrow: id.clone(), home });
    let record = about(node, caller, call, &id, errand).await?;
    returned(&id, record.as_ref(), json!({})).map(Reply::ok)
}

/// What a provider got, with `more`; without a record only that it was done.
fn paid(node: &Node, id: &str, record: Option<&Record>, mut more: Value) -> Result<Value, Wrong> {
    more["escrow_id"] = id.into();
    more["status"] = "released".into();
    if let Some(record) = record {
        more["amount_paid"] = whole(record.paid.saturating_sub(record.fee))?;
        more["fee_collected"] = whole(record.fee)?;
        more["provider_id"] = record.payee().map(|payee| account(node.domain(), &payee)).into();
        more["ledger_state"] = record.state.name().into();
    }
    Ok(more)
}

fn returned(id: &str, record: Option<&Record>, mut more: Value) -> Result<Value, Wrong> {
    more["escrow_id"] = id.into();
    more["status"] = "refunded".into();
    if let Some(record) = record {
        more["amount_returned"] = whole(record.terms.amount.saturating_sub(record.paid))?;
        more["requester_id"] = record.terms.payer.to_string().into();
        more["ledger_state"] = record.state.name().into();
    }
    Ok(more)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Disputed {
    escrow_id: String,
    reason: String,
    stake_amount: u64,
}

/// The stake is the domain's bond, fixed at the lock: whoever offers less has not agreed to it.
pub(super) async fn dispute(node: &Node, caller: &Bearer, call: &Call) -> Result<Reply, Wrong> {
    let wanted: Disputed = call.read()?;
    let (id, home) = place(&wanted.escrow_id);
    let bond = match home {
        Some(_) => 0,
        None => records::record(node, Principal::Agent(caller.agent()?), &id).await?.bond,
    };
    covers(wanted.stake_amount, bond)?;
    let errand = Errand::DisputeEscrow(Dispute { escrow: id.clone(), evidence: wanted.reason.clone(), home });
    let record = about(node, caller, call, &id, errand).await?;
    let until = record.as_ref().and_then(|record| record.deadline_ms).map(time::text);
    Ok(Reply::ok(json!({
        "escrow_id": id, "status": "disputed", "reason": wanted.reason, "stake_amount": whole(bond)?,
        "evidence_window_closes_at": until,
    })))
}

fn covers(stake: u64, bond: u64) -> Result<(), Wrong> {
    if stake >= bond {
        return Ok(());
    }
    let message = format!("the stake of a dispute about this escrow is {bond}, not {stake}");
    Err(Wrong::of_form("INVALID_AMOUNT", "stake_below_bond", message, "offer at least that stake"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolved {
    escrow_id: String,
    resolution: String,
    stake_ruling: Option<String>,
    #[serde(default)]
    strategy: Value,
    #[serde(default)]
    provenance_result: Value,
    #[serde(default)]
    mediator_context: Value,
}

/// The arbiter's word. Where the stake goes follows from it: back if its owner is right.
pub(super) async fn resolve(node: &Node, caller: &Bearer, call: &Call) -> Result<Reply, Wrong> {
    let wanted: Resolved = call.read()?;
    for (field, value) in [
        ("strategy", &wanted.strategy),
        ("provenance_result", &wanted.provenance_result),
        ("mediator_context", &wanted.mediator_context),
    ] {
        empty(field, value, "only the ruling is kept")?;
    }
    let release = match wanted.resolution.as_str() {
        "release" => true,
        "refund" => false,
        other => {
            let message = format!("a resolution is release or refund, not `{other}`");
            return Err(Wrong::of_form("INVALID_RESOLUTION", "bad_resolution", message, "send one of the two"));
        }
    };
    let (id, home) = place(&wanted.escrow_id);
    if let (Some(ruling), None) = (&wanted.stake_ruling, &home) {
        let record = records::record(node, Principal::Agent(caller.agent()?), &id).await?;
        let back = record.dispute.is_some_and(|dispute| dispute.by_payer != release);
        let ruled = if back { "return" } else { "forfeit" };
        if record.dispute.is_some() && ruling != ruled {
            let message = format!("with that resolution the stake is ruled `{ruled}`, not `{ruling}`");
            return Err(Wrong::of_form("INVALID_RESOLUTION", "stake_follows", message, "leave stake_ruling out"));
        }
    }
    let payee_bps = if release { BPS_WHOLE } else { 0 };
    let errand = Errand::RuleDispute(Rule { escrow: id.clone(), payee_bps, home });
    let record = about(node, caller, call, &id, errand).await;
    let record = record.map_err(|wrong| wrong.named("wrong_state", "ESCROW_NOT_DISPUTED"))?;
    let more = json!({ "resolution": wanted.resolution });
    let body = if release { paid(node, &id, record.as_ref(), more) } else { returned(&id, record.as_ref(), more) };
    body.map(Reply::ok)
}

pub(super) async fn shown(node: &Node, caller: &Bearer, escrow: &str) -> Result<Reply, Wrong> {
    let record = records::record(node, caller.who, escrow).await?;
    view::detail(node.domain(), &record).map(Reply::ok)
}

pub(super) async fn list(node: &Node, caller: &Bearer, call: &Call) -> Result<Reply, Wrong> {
    let [task, group, status, limit, offset] = call.parameters(["task_id", "group_id", "status", "limit", "offset"])?;
    let (take, skip) = page(limit, offset)?;
    let mut records = records::records(node, caller.agent()?).await?;
    records.retain(|record| view::fits(record, task, group, status));
    let page = records.iter().skip(skip).take(take).map(|record| view::detail(node.domain(), record));
    let escrows: Vec<Value> = page.collect::<Result<_, _>>()?;
    Ok(Reply::ok(json!({ "escrows": escrows, "total": records.len() })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_bound_to_a_stake_above_what_it_offered() {
        assert!(covers(5, 5).is_ok() && covers(6, 5).is_ok());
        assert_eq!(covers(4, 5).unwrap_err().body("r")["error"]["details"]["rule"], "stake_below_bond");
    }

    #[test]
    fn an_escrow_elsewhere_is_named_with_its_home() {
        assert_eq!(place("00ff"), ("00ff".to_owned(), None));
        assert_eq!(place("00ff@globex"), ("00ff".to_owned(), Some("globex".to_owned())));
    }
}
