//! What is signed for an attempt: its escrow's terms and its task. Both follow from what the delegation remembers, so that
//! they are the same bytes whenever they are made.

use super::state::{Attempt, Delegation};
use crate::{
    node::Node,
    service::{domain, error::ServiceError},
};
use comity_proto::{
    amount::AssetId,
    command::Party,
    escrow::{EscrowTerms, Payee, Silence},
    ids::Hash,
    limits::{BPS_WHOLE, RULING_WINDOW_MIN_MS, SECOND_MS},
    task::TaskRequest,
    text::{Capability, Condition},
};

/// A worker that hands in at the last moment has so long to bring it into the escrow's ledger.
const GRACE_MS: u64 = 2 * SECOND_MS;
/// One at home elsewhere, so long.
const GRACE_REMOTE_MS: u64 = 10 * SECOND_MS;

fn grace_ms(node: &Node, attempt: &Attempt) -> u64 {
    if attempt.candidate.party.domain == node.domain() { GRACE_MS } else { GRACE_REMOTE_MS }
}

/// The escrow that pays one candidate.
pub(super) fn terms(node: &Node, delegation: &Delegation, attempt: &Attempt) -> Result<EscrowTerms, ServiceError> {
    let (own, wanted, candidate) = (domain::domain(node)?, &delegation.wanted, &attempt.candidate);
    let condition = "the result meets what was asked for, checked by code";
    let review_window_ms = u64::from(wanted.review_minutes).saturating_mul(60 * SECOND_MS);
    Ok(EscrowTerms {
        payer: delegation.owner,
        payees: vec![Payee { party: candidate.party, key: candidate.key, share_bps: BPS_WHOLE }],
        asset: AssetId { issuer: own.domain, code: own.asset },
        amount: candidate.price,
        task_hash: Hash::of(&delegation.body()),
        condition: Condition::new(condition).map_err(|_| ServiceError::bad_input("bad_text", condition))?,
        deliver_by_ms: deadline_ms(delegation, attempt),
        delivery_grace_ms: grace_ms(node, attempt),
        review_window_ms,
        on_silence: wanted.on_silence,
        arbiter: wanted.arbiter,
        // Nobody could rule: the money need not wait.
        ruling_window_ms: if wanted.arbiter.is_some() { review_window_ms } else { RULING_WINDOW_MIN_MS },
        on_no_ruling: Silence::Refund,
        referred_by: None,
        milestones: Vec::new(),
    })
}

fn deadline_ms(delegation: &Delegation, attempt: &Attempt) -> u64 {
    attempt.begun_ms.saturating_add(u64::from(delegation.wanted.timeout_s).saturating_mul(SECOND_MS))
}

/// Its work.
pub(super) fn task(node: &Node, delegation: &Delegation, attempt: &Attempt) -> Result<TaskRequest, ServiceError> {
    let capability = &delegation.wanted.capability;
    Ok(TaskRequest {
        task_id: attempt.task,
        from: Party { domain: node.domain(), agent: delegation.owner },
        to: attempt.candidate.party,
        escrow_id: attempt.escrow,
        capability: Capability::new(capability).map_err(|_| ServiceError::bad_input("bad_capability", capability))?,
        body: delegation.body().into(),
        deadline_ms: deadline_ms(delegation, attempt),
    })
}
