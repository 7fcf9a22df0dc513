//! Who could do it: the directory's fresh cards, the cheapest first, among equals the one whose card came last; and if
//! there is none, whoever was found last time.

use super::state::{Candidate, Delegation};
use crate::{
    node::Node,
    service::{
        cards::{self, CardView},
        domain,
        error::ServiceError,
    },
};
use comity_proto::{
    command::Party,
    ids::{AgentId, DomainId},
};
use std::collections::BTreeSet;

/// What the directory has now: everybody whose fresh card says a price in this domain's asset. Empty is a failure.
pub(super) fn found(node: &Node, capability: &str) -> Result<Vec<Candidate>, ServiceError> {
    let own = domain::domain(node)?;
    let of = |card: &CardView| {
        let priced = card.price.filter(|_| card.price_code == Some(own.asset))?;
        let party = Party { domain: card.home, agent: card.agent };
        let candidate =
            Candidate { party, key: card.key, name: card.name.clone(), price: priced.0, age_ms: card.age_ms };
        (!card.stale).then_some(candidate)
    };
    Ok(cards::discover(node, capability, None)?.agents.iter().filter_map(of).collect())
}

/// Those of a list that may be hired, in order, and how many may not be: over the price, denied, of a domain without a
/// treaty, or the owner itself.
pub(super) fn ranked(
    node: &Node,
    delegation: &Delegation,
    denied: &BTreeSet<AgentId>,
    mut all: Vec<Candidate>,
) -> (Vec<Candidate>, usize) {
    let before = all.len();
    let trades = |home: &DomainId| {
        *home == node.domain() || node.replica().read_stale(|ledger, _| ledger.may_trade(home, false).is_ok())
    };
    all.retain(|one| {
        let agent = one.party.agent;
        one.price > 0
            && one.price <= delegation.wanted.most
            && agent != delegation.owner
            && !denied.contains(&agent)
            && trades(&one.party.domain)
    });
    all.sort_by_key(|one| (one.price, one.age_ms, one.party.agent));
    let passed = before - all.len();
    (all, passed)
}
