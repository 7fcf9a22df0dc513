//! When this member asks to lead: after a silence of the leader, and only if most voters would follow it.
//!
//! openraft 0.9 has no pre-vote (Ongaro, "Consensus: Bridging Theory and Practice", 9.6): a member that was cut off, or
//! whose log is shorter than the others', would raise the term again and again and so depose a leader that everybody else
//! hears. So its election timer is off. Here a member asks first and raises the term only when the answers are a majority:
//! a voter that hears a leader says no, and so does one whose log goes further. Votes themselves stay openraft's.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use comity_runtime as runtime;
use futures::{StreamExt, stream::FuturesUnordered};
use openraft::{Instant as _, RaftState, ServerState, error::Fatal};

use crate::{
    config::ReplicaConfig,
    network::MemberLink,
    raft_runtime::RaftInstant,
    replica::{Inner, Replica},
    types::{LogId, NodeInfo},
};

/// What consensus looks like to this member when it thinks about an election.
struct Standing {
    leads: bool,
    votes: bool,
    /// How long ago its vote was given or confirmed: by entries, a heartbeat, or a candidate. `None` since the start.
    silence: Option<Duration>,
    /// Whether that vote is for a leader, not for somebody who wants to be one.
    has_leader: bool,
    /// The voters; two sets while they change.
    quorums: Vec<BTreeSet<u64>>,
    voters: Vec<(u64, NodeInfo)>,
}

impl Standing {
    fn of(own: u64, state: &RaftState<u64, NodeInfo, RaftInstant>) -> Standing {
        let members = state.membership_state.effective();
        let quorums = members.get_joint_config().iter().map(|config| config.iter().copied().collect()).collect();
        let voters: BTreeSet<u64> = members.voter_ids().collect();
        Standing {
            leads: state.server_state == ServerState::Leader,
            votes: voters.contains(&own),
            silence: state.vote_last_modified().map(|at| RaftInstant::now() - at),
            has_leader: state.vote_ref().is_committed(),
            quorums,
            voters: members
                .nodes()
                .filter(|(id, _)| voters.contains(id))
                .map(|(id, node)| (*id, node.clone()))
                .collect(),
        }
    }

    /// The shortest silence after which somebody else may lead. Who campaigns has half of it.
    fn lease(&self, config: &ReplicaConfig) -> Duration {
        if self.has_leader { config.election_min } else { config.election_min / 2 }
    }

    fn is_silent_for(&self, patience: Duration) -> bool {
        self.silence.is_none_or(|silence| silence >= patience)
    }

    fn is_quorum(&self, yes: &BTreeSet<u64>) -> bool {
        self.quorums.iter().all(|voters| voters.intersection(yes).count() > voters.len() / 2)
    }
}

/// Starts to watch for silence. It ends with the replica's last handle, or with openraft.
pub(crate) fn start(replica: &Replica) {
    let soon = between(Duration::ZERO, replica.inner.config.election_min / 2);
    let replica = Arc::downgrade(&replica.inner);
    runtime::spawn(async move {
        // After a start nobody was heard yet. To ask soon is harmless: who hears a leader says so.
        let mut pause = soon;
        loop {
            runtime::sleep(pause).await;
            let Some(inner) = replica.upgrade() else { return };
            match look(&inner).await {
                Ok(next) => pause = next,
                Err(_stopped) => return,
            }
        }
    });
}

/// Campaigns if it is time to, and tells when to look again.
async fn look(inner: &Inner) -> Result<Duration, Fatal<u64>> {
    let (config, standing) = (&inner.config, inner.standing().await?);
    if standing.leads || !standing.votes {
        return Ok(config.election_min);
    }
    // Drawn at each look, so that members that lost one leader do not campaign at one moment.
    let lease = standing.lease(config);
    let patience = between(lease, lease + (config.election_max - config.election_min));
    if let Some(silence) = standing.silence.filter(|silence| *silence < lease) {
        return Ok(patience - silence);
    }
    if inner.most_would_follow(&standing).await {
        tracing::info!(silence = ?standing.silence, "most voters hear no leader either: asks for their votes");
        inner.raft.trigger().elect().await?;
        return Ok(between(config.election_min / 2, config.election_min));
    }
    Ok(between(config.heartbeat, config.heartbeat * 2))
}

impl Inner {
    async fn standing(&self) -> Result<Standing, Fatal<u64>> {
        let own = self.config.id;
        self.raft.with_raft_state(move |state| Standing::of(own, state)).await
    }

    fn last_log(&self) -> Option<LogId> {
        self.raft.data_metrics().borrow().last_log
    }

    /// Asks all voters at once; true as soon as enough said yes.
    async fn most_would_follow(&self, standing: &Standing) -> bool {
        let (own, last, deadline) = (self.config.id, self.last_log(), self.config.election_min / 2);
        let mut yes = BTreeSet::from([own]);
        let others = standing.voters.iter().filter(|(id, _)| *id != own);
        let mut asked: FuturesUnordered<_> = others
            .map(|(id, node)| async move {
                let link = MemberLink::new(self.links.clone(), self.leadership.clocks.clone(), *id, node.clone());
                (*id, link.would_follow(last, deadline).await)
            })
            .collect();
        while !standing.is_quorum(&yes) {
            match asked.next().await {
                Some((id, Ok(true))) => yes.insert(id),
                Some(_) => continue,
                None => return false,
            };
        }
        true
    }

    /// Whether this voter would follow a candidate whose log ends with `last`.
    pub(crate) async fn would_follow(&self, last: Option<LogId>) -> Result<bool, Fatal<u64>> {
        let standing = self.standing().await?;
        let lease = standing.lease(&self.config);
        if standing.leads {
            let acked = self.raft.data_metrics().borrow().millis_since_quorum_ack;
            if acked.is_none_or(|ago_ms| Duration::from_millis(ago_ms) < lease) {
                return Ok(false);
            }
        } else if !standing.is_silent_for(lease) {
            return Ok(false);
        }
        Ok(last >= self.last_log())
    }
}

/// A duration from `least` to below `most`.
fn between(least: Duration, most: Duration) -> Duration {
    let mut drawn = [0; 8];
    runtime::entropy(&mut drawn);
    let width = u64::try_from(most.saturating_sub(least).as_nanos()).unwrap_or(u64::MAX);
    least + Duration::from_nanos(u64::from_le_bytes(drawn) % width.max(1))
}
