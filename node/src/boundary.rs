//! Authorise: who may ask whom across the boundary. The one place that a task, an escrow or the acceptance of one passes
//! before it crosses, in either direction. The ledger holds the rules; here it is asked.
//!
//! Absent: trust levels, scrubbing, budgets.

use crate::{
    mesh::Quota,
    node::Node,
    service::{books::read, commands::of_outcome, error::ServiceError},
};
use comity_ledger::{Ledger, Outcome};
use comity_proto::{
    command::{Actor, CommandBatch, Verb},
    export::Direction,
    ids::DomainId,
    licence::Licence,
    task::TaskRequest,
};
use std::collections::BTreeMap;

/// Whether a task that another domain's agent brings may reach one of ours.
///
/// # Errors
/// The refusal of the ledger: no treaty in force, or `not_exported`; `no_linearizable_read` while nobody can tell.
pub(crate) async fn inward(node: &Node, task: &TaskRequest) -> Result<(), ServiceError> {
    judged(node, "in", task.from.domain, |ledger| {
        ledger.may_hire(&task.from.domain, Direction::In, &task.to.agent, Some(&task.capability))
    })
    .await
}

/// Whether one of our agents may give a task to another domain's.
///
/// # Errors
/// As [`inward`].
pub(crate) async fn outward(node: &Node, task: &TaskRequest) -> Result<(), ServiceError> {
    judged(node, "out", task.to.domain, |ledger| {
        ledger.may_hire(&task.to.domain, Direction::Out, &task.from.agent, Some(&task.capability))
    })
    .await
}

/// Whether one of our agents may agree to work for an escrow of another domain. What else it says about one passes: what
/// has begun is finished. The treaty is not asked: the escrow's own ledger judges what may be said under it, and only its
/// log may answer for it.
///
/// # Errors
/// `not_exported`; `no_linearizable_read` while nobody can tell.
pub(crate) async fn acceptance(node: &Node, batch: &CommandBatch) -> Result<(), ServiceError> {
    let Actor::Agent(agent) = batch.actor else { return Ok(()) };
    if !batch.commands.iter().any(|command| matches!(command.verb, Verb::AcceptEscrow { .. })) {
        return Ok(());
    }
    judged(node, "in", batch.home, |ledger| {
        let admitted = ledger.exports().admits_some(&batch.home, Direction::In, &agent);
        if admitted { Ok(()) } else { Err(Outcome::NotExported) }
    })
    .await
}

/// How much each peer may ask, by the licences that this domain grants.
pub(crate) fn quotas(ledger: &comity_ledger::Ledger) -> BTreeMap<DomainId, Quota> {
    let quota = |licence: &Licence| Quota {
        agents: licence.agents_max,
        events: licence.events_per_minute,
        expires_at_ms: licence.expires_at_ms,
        status: licence.status,
    };
    ledger.treaties().filter_map(|treaty| Some((treaty.peer, quota(&treaty.granted.as_ref()?.licence)))).collect()
}

/// Only what a majority confirms is refused: a replica that has just started, or lags, may not know the rule yet.
async fn judged(
    node: &Node,
    direction: &'static str,
    peer: DomainId,
    judge: impl Fn(&Ledger) -> Result<(), Outcome>,
) -> Result<(), ServiceError> {
    if peer == node.domain() || node.replica().read_stale(|ledger, _| judge(ledger)).is_ok() {
        return Ok(());
    }
    let Err(outcome) = read(node, judge).await? else { return Ok(()) };
    tracing::warn!(%peer, direction, %outcome, "refused at the boundary");
    node.mesh().count(outcome.name());
    Err(of_outcome(outcome))
}
