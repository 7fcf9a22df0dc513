//! Escrows, transfers between domains: reads.

use super::{
    books::{name_of, read},
    error::{Kind, ServiceError},
    feed,
    principal::Principal,
    view::{EscrowView, Minor, TransferView},
};
use crate::node::Node;
use comity_ledger::{
    AccountKey, Ledger, Outcome,
    escrow::{Escrow, PartState},
    settlement::{Incoming, IncomingState, Outgoing, OutgoingState},
};
use comity_proto::{
    amount::AssetId,
    ids::{AgentId, DomainId, EscrowId, TransferId, by_prefix},
};

/// Longest list in one answer.
pub const LIST_MAX: usize = 1_000;

/// One escrow by id or unique prefix, for its parties, its arbiter and the operator: to anybody else it is unknown.
///
/// # Errors
/// `unknown_escrow`.
pub async fn escrow(node: &Node, who: Principal, text: &str) -> Result<EscrowView, ServiceError> {
    read(node, |ledger| {
        let shown = ledger.escrows().filter(|(_, escrow)| concerns(escrow, who));
        let id = find(text, "escrow", || shown.map(|(id, _)| *id))?;
        let escrow = ledger.escrow(&id).filter(|escrow| concerns(escrow, who));
        let escrow = escrow.ok_or_else(|| ServiceError::not_found("escrow", text))?;
        Ok(view_of_escrow(ledger, id, escrow))
    })
    .await?
}

/// Whether somebody may see an escrow.
pub(super) fn concerns(escrow: &Escrow, who: Principal) -> bool {
    match who {
        Principal::Operator => true,
        Principal::Agent(agent) => {
            let rules = escrow.terms.arbiter.is_some_and(|arbiter| arbiter.party.agent == agent);
            rules || is_side(escrow, agent)
        }
        Principal::Newcomer => false,
    }
}

/// Payer or payee.
pub(super) fn is_side(escrow: &Escrow, agent: AgentId) -> bool {
    escrow.terms.payer == agent || escrow.terms.payees.iter().any(|payee| payee.party.agent == agent)
}

/// Escrows in which an agent is payer or payee, at most [`LIST_MAX`].
///
/// # Errors
/// No majority.
pub async fn escrows(node: &Node, agent: AgentId) -> Result<Vec<EscrowView>, ServiceError> {
    read(node, |ledger| {
        let mine = ledger.escrows().filter(|(_, escrow)| is_side(escrow, agent)).take(LIST_MAX);
        mine.map(|(id, escrow)| view_of_escrow(ledger, *id, escrow)).collect()
    })
    .await
}

fn view_of_escrow(ledger: &Ledger, id: EscrowId, escrow: &Escrow) -> EscrowView {
    let payee = |party: &comity_proto::command::Party| format!("{}@{}", party.agent, name_of(ledger, &party.domain));
    EscrowView {
        escrow: id,
        state: escrow.state().name().to_owned(),
        payer: escrow.terms.payer,
        payees: escrow.terms.payees.iter().map(|listed| payee(&listed.party)).collect(),
        code: escrow.terms.asset.code,
        amount: Minor(escrow.terms.amount),
        open: Minor(ledger.balance_of(&AccountKey::escrow(id, escrow.asset))),
        paid: Minor(escrow.paid),
        fee: Minor(escrow.fee_taken),
        task_hash: escrow.terms.task_hash,
        submitted: escrow.parts.iter().map(|part| submitted(&part.state)).collect(),
        deadline: escrow.deadline().map(|worked| worked.saturating_add(ledger.stalled_ms())),
    }
}

fn submitted(state: &PartState) -> Option<comity_proto::ids::Hash> {
    match state {
        PartState::Submitted { result_hash, .. } => Some(*result_hash),
        PartState::Open | PartState::Settled => None,
    }
}

fn find<T: std::str::FromStr + std::fmt::Display, I: Iterator<Item = T>>(
    text: &str,
    what: &str,
    known: impl FnOnce() -> I,
) -> Result<T, ServiceError> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    by_prefix(text, known()).map_err(|error| {
        ServiceError::new(Kind::NotFound, format!("unknown_{what}"), format!("{text}: {error}"), "give the full id")
    })
}

/// One transfer between domains, by id or unique prefix, for whose money it is and the operator: to anybody else it is
/// unknown.
///
/// # Errors
/// `unknown_transfer`.
pub async fn transfer(node: &Node, who: Principal, text: &str) -> Result<TransferView, ServiceError> {
    read(node, |ledger| {
        let all = list(ledger, who, false);
        let id: TransferId = find(text, "transfer", || all.iter().map(|view| view.transfer))?;
        all.into_iter().find(|view| view.transfer == id).ok_or_else(|| ServiceError::not_found("transfer", text))
    })
    .await?
}

/// Transfers between domains that this replica knows, unfinished ones first, at most [`LIST_MAX`].
pub fn transfers(node: &Node, in_doubt: bool) -> Vec<TransferView> {
    let mut views = node.replica().read_stale(|ledger, _| list(ledger, Principal::Operator, in_doubt));
    views.sort_by_key(|view| (view.finished, view.transfer));
    views.truncate(LIST_MAX);
    views
}

fn list(ledger: &Ledger, who: Principal, in_doubt: bool) -> Vec<TransferView> {
    let sees = |agents: &[AgentId]| match who {
        Principal::Operator => true,
        Principal::Agent(agent) => agents.contains(&agent),
        Principal::Newcomer => false,
    };
    let outgoing = ledger.outgoing().filter(|(_, record)| sees(&feed::payers(ledger, &record.prepare.source)));
    let outgoing = outgoing.map(|(id, record)| view_of_outgoing(ledger, *id, record));
    let paid = |record: &Incoming| record.prepare.as_ref().is_some_and(|asked| sees(&[asked.recipient.agent]));
    let incoming = ledger.incoming().filter(|(_, record)| paid(record));
    let incoming = incoming.filter_map(|(key, record)| view_of_incoming(ledger, key.0, key.1, record));
    outgoing.flatten().chain(incoming).filter(|view| !in_doubt || !view.finished).collect()
}

fn reason(code: Option<u16>) -> Option<String> {
    code.and_then(Outcome::from_code).map(|outcome| outcome.name().to_owned())
}

fn view_of_outgoing(ledger: &Ledger, transfer: TransferId, record: &Outgoing) -> Option<TransferView> {
    // A tombstone moves nothing and is nobody's transfer.
    record.asset?;
    let peer = record.prepare.recipient.domain;
    let (state, finished, waits_for, fee, why) = match record.state {
        OutgoingState::Undecided => ("begun", false, Some(of_whom(ledger, record, "vote")), None, None),
        OutgoingState::Decided { commit, fee, .. } => {
            (decided(commit), false, Some(of_whom(ledger, record, "acknowledgement")), Some(Minor(fee)), None)
        }
        OutgoingState::Closed { commit, fee, reason: why, .. } => {
            (decided(commit), true, None, Some(Minor(fee)), reason(why))
        }
    };
    let AssetId { issuer, code } = record.prepare.asset;
    Some(TransferView {
        transfer,
        side: "origin",
        peer,
        peer_name: name_of(ledger, &peer),
        code,
        issuer,
        amount: Minor(record.prepare.amount),
        state,
        finished,
        waits_for,
        content: record.content,
        age_ms: ledger.stamp_ms().saturating_sub(record.begun_ms),
        fee,
        reason: why.or_else(|| reason(record.refusal)),
    })
}

/// Whose word an origin waits for; with two participants they are named.
fn of_whom(ledger: &Ledger, record: &Outgoing, what: &str) -> String {
    if record.across.is_none() {
        return format!("the participant's {what}");
    }
    let undecided = record.state == OutgoingState::Undecided;
    let silent =
        record.unanswered().filter(|peer| !undecided || record.said(peer).is_some_and(|said| said.yes.is_none()));
    let names: Vec<String> = silent.map(|peer| name_of(ledger, &peer)).collect();
    format!("the {what} of {}", names.join(" and "))
}

const fn decided(commit: bool) -> &'static str {
    if commit { "committed" } else { "aborted" }
}

fn view_of_incoming(ledger: &Ledger, peer: DomainId, transfer: TransferId, record: &Incoming) -> Option<TransferView> {
    let prepare = record.prepare.as_ref()?;
    let (state, waits_for, fee, why) = match record.state {
        IncomingState::Voted { fee } => ("voted", Some("the origin's decision"), Some(Minor(fee)), None),
        IncomingState::Unbacked { fee } => {
            ("unbacked", Some("the issuer's word that reserve stands behind it"), Some(Minor(fee)), None)
        }
        IncomingState::Backing => {
            ("backing", Some("the word of the recipient's domain that it has minted"), None, None)
        }
        IncomingState::Refused { reason: why } => ("refused", None, None, reason(Some(why))),
        IncomingState::Finished { commit, fee } => (decided(commit), None, Some(Minor(fee)), None),
    };
    Some(TransferView {
        transfer,
        side: "participant",
        peer,
        peer_name: name_of(ledger, &peer),
        code: prepare.asset.code,
        issuer: prepare.asset.issuer,
        amount: Minor(prepare.amount),
        state,
        finished: waits_for.is_none(),
        waits_for: waits_for.map(str::to_owned),
        content: record.content,
        age_ms: ledger.stamp_ms().saturating_sub(record.heard_ms),
        fee,
        reason: why.or_else(|| reason(record.refusal)),
    })
}
