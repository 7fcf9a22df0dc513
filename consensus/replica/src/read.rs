//! Linearizable reads: the answer shows every write that was acknowledged before the read began.
//!
//! A leader confirms by one round of heartbeats that it still leads; reads that arrive meanwhile share the next round.
//! A follower asks the leader for the index that its own state must have reached.

use std::time::Duration;

use comity_ledger::Ledger;
use comity_proto::planted::{Plant, planted};
use comity_runtime as runtime;
use openraft::{Raft, error::RaftError};
use tokio::sync::{mpsc, oneshot};

use crate::{
    frames::{ForwardAnswer, ForwardCall},
    replica::Replica,
    submit::Leader,
    types::TypeConfig,
};

/// Reads that may wait for one round.
const QUEUE: usize = 4096;
/// One attempt; a read has no effect and may be asked again freely.
const ATTEMPT: Duration = Duration::from_secs(1);
/// Pause before a leader is looked for again.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// Why there is no linearizable answer. A read changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No leader confirmed the state in time: a majority may be down. A stale read may be asked for instead.
    #[error("no leader confirmed the state in time; ask for a stale read, or retry")]
    NoLeader,
    /// Too many reads wait.
    #[error("busy: too many reads wait; retry in a moment")]
    Busy,
    /// This replica has stopped.
    #[error("this node has stopped; ask another one")]
    Stopped,
}

type Confirmed = Result<Option<u64>, ReadError>;

/// Shares one confirmation of leadership among the reads that wait for it.
#[derive(Clone)]
pub(crate) struct ReadBarrier {
    queue: mpsc::Sender<oneshot::Sender<Confirmed>>,
}

impl ReadBarrier {
    pub(crate) fn start(raft: Raft<TypeConfig>) -> ReadBarrier {
        let (queue, mut asked) = mpsc::channel::<oneshot::Sender<Confirmed>>(QUEUE);
        runtime::spawn(async move {
            let mut group = Vec::new();
            // A round begins after its reads have arrived, so it confirms the state at or after their arrival.
            while asked.recv_many(&mut group, QUEUE).await > 0 {
                let confirmed = match raft.get_read_log_id().await {
                    Ok((read, _)) => Ok(read.map(|id| id.index)),
                    Err(RaftError::APIError(_)) => Err(ReadError::NoLeader),
                    Err(RaftError::Fatal(_)) => Err(ReadError::Stopped),
                };
                for waiting in group.drain(..) {
                    let _ = waiting.send(confirmed);
                }
            }
        });
        ReadBarrier { queue }
    }

    /// The index up to which a linearizable read must have been applied, if this member leads.
    pub(crate) async fn confirm(&self) -> Confirmed {
        let (tell, told) = oneshot::channel();
        self.queue.try_send(tell).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => ReadError::Busy,
            mpsc::error::TrySendError::Closed(_) => ReadError::Stopped,
        })?;
        told.await.unwrap_or(Err(ReadError::Stopped))
    }
}

impl Replica {
    /// Reads a state that shows every write acknowledged before this call.
    pub async fn read<T>(&self, read: impl FnOnce(&Ledger) -> T) -> Result<T, ReadError> {
        if planted(Plant::StaleRead) {
            return Ok(read(&self.inner.machine.state.read().ledger));
        }
        let deadline = runtime::now() + self.inner.config.patience;
        loop {
            let left = deadline.since(runtime::now());
            let confirmed = match self.read_index(left.min(ATTEMPT)).await {
                Ok(index) => runtime::timeout(left, self.applied_at_least(index)).await.is_ok(),
                Err(ReadError::NoLeader) if self.has_stopped() => return Err(ReadError::Stopped),
                Err(ReadError::NoLeader) => false,
                Err(error) => return Err(error),
            };
            if confirmed {
                return Ok(read(&self.inner.machine.state.read().ledger));
            }
            if runtime::now() + RETRY_PAUSE >= deadline {
                return Err(ReadError::NoLeader);
            }
            runtime::sleep(RETRY_PAUSE).await;
        }
    }

    async fn read_index(&self, patience: Duration) -> Result<u64, ReadError> {
        let confirmed = match self.leader() {
            Leader::Unknown => Err(ReadError::NoLeader),
            Leader::Own => {
                runtime::timeout(patience, self.inner.barrier.confirm()).await.unwrap_or(Err(ReadError::NoLeader))
            }
            Leader::Other(leader) => match self.ask(&leader, &ForwardCall::ReadIndex, patience).await {
                Ok(ForwardAnswer::ReadIndex(index)) => Ok(index),
                Ok(_) | Err(_) => Err(ReadError::NoLeader),
            },
        };
        Ok(confirmed?.unwrap_or(0))
    }

    /// Waits until this member has applied the entry at `index`.
    pub async fn applied_at_least(&self, index: u64) {
        let mut applied = self.inner.machine.applied.subscribe();
        // The sender lives as long as this handle.
        let _ = applied.wait_for(|applied| *applied >= index).await;
    }
}
