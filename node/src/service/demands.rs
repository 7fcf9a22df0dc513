//! Demands for payment, held by code against what this node knows: the payee's current key, the escrow, its result. What
//! does not hold is refused, said in the log with the identity that it claims, and counted; who keeps sending such is told
//! apart there.

use super::{
    books::read,
    error::{Kind, ServiceError},
    principal::Principal,
    records::{self, Record},
    shape,
    view::Minor,
};
use crate::{
    node::Node,
    payment_request::{self, Demand, Wrong},
    registry::json,
};
use comity_proto::{
    amount::AssetCode,
    command::Party,
    ids::{AgentId, DomainId, EscrowId, Hash, PublicKey},
    task::PaymentRequest,
};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use utoipa::ToSchema;

/// Refused ones that are remembered, so that one that is looked at again is not counted again.
const REMEMBERED: usize = 4_096;
/// Identities that are counted apart.
const CLAIMANTS: usize = 256;
/// From so many on the operator is alerted.
const REPEATED: u64 = 3;
/// Who is claimed by what cannot be read.
const NOBODY: &str = "unreadable";

/// Demands that this node has refused since it started.
#[derive(Default)]
pub struct Refused(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    known: BTreeSet<Hash>,
    by: BTreeMap<String, u64>,
    all: u64,
}

/// Refused demands by the identity that they claim.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RefusedView {
    /// In all, since this node started.
    pub all: u64,
    /// The first identities that were claimed.
    pub claimed: Vec<ClaimedView>,
}

/// One claimed identity.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClaimedView {
    /// `AGENT@DOMAIN`, or `unreadable`.
    pub payee: String,
    /// How many.
    pub refused: u64,
}

impl Refused {
    /// How many in all.
    pub fn count(&self) -> u64 {
        self.0.lock().all
    }

    /// By claimed identity.
    pub fn view(&self) -> RefusedView {
        let counts = self.0.lock();
        let claimed = counts.by.iter().map(|(payee, refused)| ClaimedView { payee: payee.clone(), refused: *refused });
        RefusedView { all: counts.all, claimed: claimed.collect() }
    }

    /// Counts one, once; gives how many claimed the same, if it is new.
    fn note(&self, claimed: &str, content: Hash) -> Option<u64> {
        let mut counts = self.0.lock();
        if !counts.known.insert(content) {
            return None;
        }
        if counts.known.len() > REMEMBERED {
            counts.known.pop_first();
        }
        counts.all += 1;
        if counts.by.len() >= CLAIMANTS && !counts.by.contains_key(claimed) {
            return Some(1);
        }
        let count = counts.by.entry(claimed.to_owned()).or_default();
        *count += 1;
        Some(*count)
    }
}

/// Says and counts that a demand was refused.
pub(super) fn refuse(node: &Node, claimed: Option<Party>, content: Hash, why: &str) {
    let claimed = claimed.map_or_else(|| NOBODY.to_owned(), |payee| format!("{}@{}", payee.agent, payee.domain));
    match node.desk().refused_demands().note(&claimed, content) {
        None => {}
        Some(count) if count < REPEATED => tracing::warn!(claimed, why, "a payment request is refused"),
        Some(count) => {
            tracing::error!(claimed, why, count, "payment requests of one identity are refused again and again")
        }
    }
}

/// Whether this is an agent's current key, as far as this node knows it: from the ledger for a local one, from its verified
/// card for a remote one. Of a remote one without a card nothing later than the first key is known, which its id names.
pub(super) fn is_key_of(node: &Node, party: Party, key: &PublicKey) -> bool {
    if party.domain == node.domain() {
        return node
            .replica()
            .read_stale(|ledger, _| ledger.agent(&party.agent).is_some_and(|agent| agent.key == *key));
    }
    match node.mesh().agent_card(&party.agent) {
        Some(entry) => entry.card.get().key == *key,
        None => AgentId::of_key(key) == party.agent,
    }
}

/// A demand that holds.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DemandView {
    /// What is to be released.
    #[schema(value_type = shape::ShortIdText)]
    pub escrow: EscrowId,
    /// Which part; null is all of it.
    pub milestone: Option<u16>,
    /// Who is to be paid.
    #[schema(value_type = shape::AgentIdText)]
    pub payee: AgentId,
    /// Where it is at home.
    #[schema(value_type = shape::DomainIdText)]
    pub payee_domain: DomainId,
    /// Minor units, before fees: what a release pays now.
    pub amount: Minor,
    /// Asset code.
    #[schema(value_type = shape::AssetCodeText)]
    pub code: AssetCode,
    /// SHA-256 of the result that is to be paid: what a release says it has verified.
    #[schema(value_type = shape::HashText)]
    pub result_sha256: Hash,
    /// Whether the payee has submitted that result to the escrow.
    pub submitted: bool,
}

/// Holds a demand against the escrow that it names, for those who may see that escrow.
///
/// # Errors
/// `payment_request_refused`, with what does not hold; `unknown_escrow`.
pub async fn check(node: &Node, who: Principal, document: Value) -> Result<DemandView, ServiceError> {
    let content = Hash::of(&json::canonical(&document));
    let refused = |wrong: Wrong| {
        refuse(node, wrong.claimed, content, &wrong.why);
        let next = "pay nothing for it; ask the payee for another one, or dispute the escrow";
        ServiceError::new(Kind::Refused, "payment_request_refused", wrong.why, next)
    };
    let demand = payment_request::of_document(document).map_err(refused)?;
    let said = demand.get();
    let record = records::record(node, who, &said.escrow_id.to_string()).await?;
    let current = is_current(node, &demand, &record).await?;
    let checked = against(&record, said, current);
    checked.map_err(|why| refused(Wrong { claimed: Some(said.payee), why: why.to_owned() }))?;
    Ok(DemandView {
        escrow: said.escrow_id,
        milestone: said.milestone,
        payee: said.payee.agent,
        payee_domain: said.payee.domain,
        amount: Minor(said.amount),
        code: said.asset.code,
        result_sha256: said.result_hash,
        submitted: record.delivered.is_some_and(|(hash, _)| hash == said.result_hash),
    })
}

/// Whether the key that signed is the payee's: of a remote one also the key that stands in the escrow's terms.
async fn is_current(node: &Node, demand: &Demand, record: &Record) -> Result<bool, ServiceError> {
    let (payee, key) = (demand.get().payee, demand.key());
    if payee.domain == node.domain() {
        return read(node, |ledger| ledger.agent(&payee.agent).is_some_and(|agent| agent.key == *key)).await;
    }
    let in_terms = record.terms.payees.iter().any(|listed| listed.party == payee && listed.key == *key);
    Ok(in_terms || is_key_of(node, payee, key))
}

fn against(record: &Record, said: &PaymentRequest, is_current_key: bool) -> Result<(), &'static str> {
    let terms = &record.terms;
    let due = match said.milestone {
        None if terms.milestones.is_empty() => Some(record.open),
        None => None,
        Some(milestone) => terms.milestones.get(usize::from(milestone)).copied(),
    };
    let claims = [
        (terms.payees.iter().any(|listed| listed.party == said.payee), "it names another payee than the escrow"),
        (is_current_key, "it is not signed by the payee's current key"),
        (said.asset == terms.asset, "it asks for another asset than the escrow holds"),
        (record.ended_ms.is_none(), "its escrow has ended"),
        (due == Some(said.amount), "it asks for another amount than a release would pay"),
        (
            said.milestone.is_some() || record.delivered.is_none_or(|(hash, _)| hash == said.result_hash),
            "it is for another result than the one that was submitted",
        ),
    ];
    claims.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, why)| Err(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refused_demand_counts_once_under_the_identity_that_it_claims() {
        let refused = Refused::default();
        let note = |claimed: &str, byte: u8| refused.note(claimed, Hash([byte; 32]));
        assert_eq!((note("a", 1), note("a", 1), note("a", 2), note("b", 3)), (Some(1), None, Some(2), Some(1)));
        let view = refused.view();
        assert_eq!((refused.count(), view.all, view.claimed.len()), (3, 3, 2));
        assert_eq!((view.claimed[0].payee.as_str(), view.claimed[0].refused), ("a", 2));
    }
}
