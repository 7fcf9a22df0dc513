//! Who takes part: founding, learners, voters, and what a status line shows.
//!
//! A change may be asked for at any member: it goes through the leader and is done when it is committed. A node joins as a learner, catches up, and is then
//! promoted. A change that was cut off by a lost leader may be asked for again.

use std::collections::BTreeSet;

use comity_runtime as runtime;
use openraft::{
    ChangeMembers, ServerState,
    error::{ClientWriteError, RaftError},
};
use serde::{Deserialize, Serialize};

use crate::{
    frames::{ForwardAnswer, ForwardCall},
    links::LinkError,
    replica::{Inner, Replica},
    types::NodeInfo,
};

/// One change of the members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MembershipChange {
    AddLearner { id: u64, info: NodeInfo },
    Promote { id: u64 },
    Voters(BTreeSet<u64>),
    Remove { id: u64 },
}

/// Why a change of members was not made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum MembershipError {
    /// Ask this leader, if one is known. Nothing changed.
    #[error("not the leader; ask {0:?}; nothing changed")]
    NotLeader(Option<NodeInfo>),
    /// openraft refused, for instance because another change is under way, or no voter would be left. Nothing changed.
    #[error("refused: {0}; nothing changed")]
    Refused(String),
    /// Not committed in time. It may still be; look at the status, then ask again.
    #[error("not committed in time; look at the members, then ask again")]
    Unknown,
    /// This replica has stopped.
    #[error("this node has stopped; ask another one")]
    Stopped,
}

/// What one member knows of the domain's consensus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftStatus {
    /// Own Raft id.
    pub id: u64,
    /// Part that this member plays.
    pub role: Role,
    /// Raft term.
    pub term: u64,
    /// Raft id of the leader it follows, if any.
    pub leader_id: Option<u64>,
    /// That leader.
    pub leader: Option<NodeInfo>,
    /// Index of the last entry in the own log.
    pub last_log: u64,
    /// Index of the last applied entry.
    pub applied: u64,
    /// Index that the newest snapshot covers.
    pub snapshot: Option<u64>,
    /// Index up to which the log is purged.
    pub purged: Option<u64>,
    /// Members that vote.
    pub voters: Vec<Member>,
    /// Members that only follow.
    pub learners: Vec<Member>,
    /// On a leader: ms since a majority last answered. Otherwise unknown.
    pub quorum_ack_age_ms: Option<u64>,
    /// Why this replica stopped, if it has.
    pub failed: Option<String>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Raft id.
    pub id: u64,
    /// Who and where.
    pub info: NodeInfo,
    /// Entries that it lacks of the leader's log. Only a leader knows; `None` is unknown, not zero.
    pub lag: Option<u64>,
}

/// Part that a member plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Proposes and stamps.
    Leader,
    /// Votes.
    Follower,
    /// Votes, and asks to lead.
    Candidate,
    /// Follows without a vote.
    Learner,
    /// Has stopped.
    Stopped,
}

impl Replica {
    /// Adds a node that follows without a vote, and waits until it has nearly caught up. Adding it again with the same
    /// address is harmless.
    pub async fn add_learner(&self, id: u64, info: NodeInfo) -> Result<(), MembershipError> {
        self.change_members(MembershipChange::AddLearner { id, info }).await
    }

    /// Gives a learner a vote.
    pub async fn promote(&self, id: u64) -> Result<(), MembershipError> {
        self.change_members(MembershipChange::Promote { id }).await
    }

    /// Makes exactly these members the voters; former voters are removed. All must be learners or voters already.
    pub async fn change_membership(&self, voters: BTreeSet<u64>) -> Result<(), MembershipError> {
        self.change_members(MembershipChange::Voters(voters)).await
    }

    /// Removes a voter or a learner.
    pub async fn remove(&self, id: u64) -> Result<(), MembershipError> {
        self.change_members(MembershipChange::Remove { id }).await
    }

    /// Here if this member leads, else at the leader.
    async fn change_members(&self, change: MembershipChange) -> Result<(), MembershipError> {
        let leader = match self.inner.change_members(change.clone()).await {
            Err(MembershipError::NotLeader(Some(leader))) => leader,
            answer => return answer,
        };
        match self.ask(&leader, &ForwardCall::Membership(change), self.inner.config.patience).await {
            Ok(ForwardAnswer::Membership(answer)) => answer,
            Err(LinkError::Lost(_)) => Err(MembershipError::Unknown),
            Ok(_) | Err(_) => Err(MembershipError::NotLeader(Some(leader))),
        }
    }

    /// What this member knows now. Asks nobody.
    pub fn status(&self) -> RaftStatus {
        let metrics = self.inner.leadership.metrics.borrow();
        let members = metrics.membership_config.membership();
        let voters: BTreeSet<u64> = members.voter_ids().collect();
        let last_log = metrics.last_log_index.unwrap_or(0);
        let lag = |id: &u64| {
            let known = metrics.replication.as_ref()?.get(id)?;
            Some(last_log.saturating_sub(known.map_or(0, |id| id.index)))
        };
        let member = |(id, info): (&u64, &NodeInfo)| Member { id: *id, info: info.clone(), lag: lag(id) };
        let (voting, learning): (Vec<_>, Vec<_>) = members.nodes().partition(|(id, _)| voters.contains(id));
        RaftStatus {
            id: metrics.id,
            role: role(metrics.state),
            term: metrics.current_term,
            leader_id: metrics.current_leader,
            leader: metrics.current_leader.and_then(|id| members.get_node(&id).cloned()),
            last_log,
            applied: metrics.last_applied.map_or(0, |id| id.index),
            snapshot: metrics.snapshot.map(|id| id.index),
            purged: metrics.purged.map(|id| id.index),
            voters: voting.into_iter().map(member).collect(),
            learners: learning.into_iter().map(member).collect(),
            quorum_ack_age_ms: metrics.millis_since_quorum_ack,
            failed: metrics.running_state.as_ref().err().map(ToString::to_string),
        }
    }
}

impl Inner {
    /// Makes the change if this member leads.
    pub(crate) async fn change_members(&self, change: MembershipChange) -> Result<(), MembershipError> {
        let raft = &self.raft;
        match change {
            MembershipChange::AddLearner { id, info } => self.committed(raft.add_learner(id, info, true)).await,
            MembershipChange::Promote { id } => {
                let ids = ChangeMembers::AddVoterIds(BTreeSet::from([id]));
                self.committed(raft.change_membership(ids, true)).await
            }
            MembershipChange::Voters(voters) => self.committed(raft.change_membership(voters, false)).await,
            MembershipChange::Remove { id } => {
                let votes =
                    self.leadership.metrics.borrow().membership_config.membership().voter_ids().any(|v| v == id);
                let ids = BTreeSet::from([id]);
                let change = if votes { ChangeMembers::RemoveVoters(ids) } else { ChangeMembers::RemoveNodes(ids) };
                self.committed(raft.change_membership(change, false)).await
            }
        }
    }

    async fn committed<T>(
        &self,
        change: impl Future<Output = Result<T, RaftError<u64, ClientWriteError<u64, NodeInfo>>>> + Send,
    ) -> Result<(), MembershipError> {
        match runtime::timeout(self.config.patience, change).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(leader)))) => {
                Err(MembershipError::NotLeader(leader.leader_node))
            }
            Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error)))) => {
                Err(MembershipError::Refused(error.to_string()))
            }
            Ok(Err(RaftError::Fatal(_))) => Err(MembershipError::Stopped),
            Err(runtime::Elapsed) => Err(MembershipError::Unknown),
        }
    }
}

fn role(state: ServerState) -> Role {
    match state {
        ServerState::Leader => Role::Leader,
        ServerState::Follower => Role::Follower,
        ServerState::Candidate => Role::Candidate,
        ServerState::Learner => Role::Learner,
        ServerState::Shutdown => Role::Stopped,
    }
}
