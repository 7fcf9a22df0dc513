//! Makes replicas of certified nodes: learners at once, voters when their number is odd.
//!
//! Runs on the node that holds the root key, because each change of voters needs a roster that only it can sign. Nothing
//! here is remembered: what is still to do follows from the membership, the roster in the ledger and the nodes admitted.

use crate::{founding::DomainKeys, node::Node};
use bytes::Bytes;
use comity_proto::{entry::EntryItem, envelope::Signed as _, identity::Roster};
use comity_replica::{MembershipError, RaftStatus};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

const LOOK: Duration = Duration::from_millis(500);
/// A learner that lacks no more entries than this has caught up.
const LAG_MAX: u64 = 100;
/// Numbers of voters that tolerate one more failure than one fewer would.
const SIZES: [usize; 3] = [1, 3, 5];

/// Runs for the life of the node; idle without the root key.
pub(crate) async fn tend(node: Arc<Node>) {
    if node.home().domain_keys.is_none() {
        return;
    }
    loop {
        comity_runtime::sleep(LOOK).await;
        if let Err(error) = step(&node).await {
            tracing::debug!(%error, "the membership was not changed; it is tried again");
        }
    }
}

async fn step(node: &Node) -> Result<(), MembershipError> {
    let status = node.replica().status();
    if status.leader_id.is_none() {
        return Ok(());
    }
    admit_learners(node, &status).await?;
    promote(node, &status).await?;
    keep_roster(node, &status).await;
    Ok(())
}

async fn admit_learners(node: &Node, status: &RaftStatus) -> Result<(), MembershipError> {
    let known: BTreeSet<u64> = status.voters.iter().chain(&status.learners).map(|member| member.id).collect();
    for (id, info) in node.join().admitted.all() {
        if known.contains(&id) {
            node.join().admitted.is_replica(id).await;
        } else {
            node.replica().add_learner(id, info).await?;
        }
    }
    Ok(())
}

/// All caught-up learners that make the number of voters one of [`SIZES`].
async fn promote(node: &Node, status: &RaftStatus) -> Result<(), MembershipError> {
    // Only the leader knows the lag; a learner was admitted when it had nearly caught up.
    let ready = |lag: Option<u64>| lag.is_none_or(|lag| lag <= LAG_MAX);
    let ready: Vec<u64> = status.learners.iter().filter(|member| ready(member.lag)).map(|member| member.id).collect();
    let now = status.voters.len();
    let Some(size) = SIZES.into_iter().rev().find(|size| *size > now && *size <= now + ready.len()) else {
        return Ok(());
    };
    let voters = status.voters.iter().map(|member| member.id).chain(ready.into_iter().take(size - now));
    node.replica().change_membership(voters.collect()).await
}

/// Whether this root key signed the roster, or one that follows it.
fn is_by(keys: &DomainKeys, roster: &Bytes) -> bool {
    Roster::open(roster).is_ok_and(|roster| roster.signer().number() >= keys.root.signer().number())
}

/// The ledger's roster follows the voters, their keys and the root key: the next epoch is signed when they differ.
async fn keep_roster(node: &Node, status: &RaftStatus) {
    let Some(keys) = &node.home().domain_keys else { return };
    let places = || status.voters.iter().map(|member| member.info.key);
    let listed = node.replica().read_stale(|ledger, _| {
        let domain = ledger.domain()?;
        let listed = (domain.voters.clone(), domain.seats.clone());
        Some((domain.roster_epoch, listed, domain.voter_keys(places()), domain.roster.clone()))
    });
    let Some((epoch, listed, now, roster)) = listed else { return };
    if now.0.is_empty() || (now == listed && is_by(keys, &roster)) {
        return;
    }
    let roster = keys.roster_of(epoch.saturating_add(1), now);
    if let Err(error) = node.replica().submit(EntryItem::Roster(roster)).await {
        tracing::debug!(%error, "the roster was not applied; it is tried again");
    }
}
