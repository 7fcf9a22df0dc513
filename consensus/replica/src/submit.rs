//! Submitting from any member: the leader proposes, a follower asks the leader.

use std::time::Duration;

use comity_proto::entry::EntryItem;
use comity_runtime::{self as runtime, Instant};

use crate::{
    frames::{self, ForwardAnswer, ForwardCall},
    links::{LinkClass, LinkError},
    propose::{SubmitError, SubmitReply},
    replica::Replica,
    types::{EntryBytes, NodeInfo},
};

/// Pause before a leader is looked for again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// One attempt at one leader; a silent one is asked again, or its successor.
const ATTEMPT: Duration = Duration::from_secs(3);

/// Who leads, seen from here.
pub(crate) enum Leader {
    Own,
    Other(NodeInfo),
    Unknown,
}

impl Replica {
    /// Brings an item into the log and waits until it is applied.
    ///
    /// A reply means: on stable storage of a majority, and applied. Attempts go on over elections until the configured
    /// patience ends; repeating is safe because request ids, transfer ids and escrow ids are chosen by the caller.
    pub async fn submit(&self, item: EntryItem) -> Result<SubmitReply, SubmitError> {
        let deadline = runtime::now() + self.inner.config.patience;
        let mut told = SubmitError::NoLeader;
        loop {
            match self.submit_once(&item, deadline).await {
                // Nobody here will ever know.
                Err(SubmitError::Unknown | SubmitError::NotLeader | SubmitError::NoLeader) if self.has_stopped() => {
                    return Err(SubmitError::Stopped);
                }
                // Once it is unknown whether an attempt takes effect, only an answer makes it known.
                Err(SubmitError::Unknown) => told = SubmitError::Unknown,
                Err(SubmitError::NotLeader | SubmitError::NoLeader) => {}
                Err(_) if told == SubmitError::Unknown && runtime::now() < deadline => {}
                answer => return answer,
            }
            if runtime::now() + RETRY_PAUSE >= deadline {
                return Err(told);
            }
            runtime::sleep(RETRY_PAUSE).await;
        }
    }

    async fn submit_once(&self, item: &EntryItem, deadline: Instant) -> Result<SubmitReply, SubmitError> {
        let patience = deadline.since(runtime::now()).min(ATTEMPT);
        match self.leader() {
            Leader::Unknown => Err(SubmitError::NoLeader),
            Leader::Own => {
                let proposed = runtime::timeout(patience, self.inner.proposer.propose(item.clone())).await;
                proposed.unwrap_or(Err(SubmitError::Unknown))
            }
            Leader::Other(leader) => self.forward(&leader, item, patience).await,
        }
    }

    async fn forward(&self, to: &NodeInfo, item: &EntryItem, patience: Duration) -> Result<SubmitReply, SubmitError> {
        let call = ForwardCall::Submit(EntryBytes(item.encode()));
        match self.ask(to, &call, patience).await {
            // The others go on without that leader, and know whether it was the last thing that it did.
            Ok(ForwardAnswer::Submitted(Err(SubmitError::Stopped))) => Err(SubmitError::Unknown),
            Ok(ForwardAnswer::Submitted(answer)) => answer.map(|reply| SubmitReply {
                log_index: reply.log_index,
                stamp_ms: reply.stamp_ms,
                outcomes: reply.outcomes.into_iter().flatten().collect(),
            }),
            Ok(_) | Err(LinkError::Unreachable(_) | LinkError::Refused(_)) => Err(SubmitError::NotLeader),
            Err(LinkError::Lost(_)) => Err(SubmitError::Unknown),
        }
    }

    /// Asks a member something of class `Forward`.
    pub(crate) async fn ask(
        &self,
        member: &NodeInfo,
        call: &ForwardCall,
        patience: Duration,
    ) -> Result<ForwardAnswer, LinkError> {
        let body = frames::encode(call).map_err(LinkError::Refused)?;
        let answer = self.inner.links.request(member, LinkClass::Forward, body, patience).await?;
        frames::decode(&answer).map_err(LinkError::Lost)
    }

    pub(crate) fn leader(&self) -> Leader {
        let metrics = self.inner.leadership.metrics.borrow();
        match metrics.current_leader {
            None => Leader::Unknown,
            Some(leader) if leader == self.inner.config.id => Leader::Own,
            Some(leader) => match metrics.membership_config.membership().get_node(&leader) {
                Some(node) => Leader::Other(node.clone()),
                None => Leader::Unknown,
            },
        }
    }
}
