//! The batching proposer of a leader.
//!
//! ```text
//! submit -> [queue] -> judge in parallel -> [ready] -> one entry of many items -> openraft -> replies
//! ```
//! While an entry waits for its flush the next items are judged and gathered, so the slower the disk, the larger the
//! entries. At most [`ENTRIES_IN_FLIGHT`] entries are with openraft. Both queues are bounded: a full one refuses with
//! [`SubmitError::Busy`]. What bytes alone condemn never reaches the log.

use std::{pin::pin, sync::Arc, time::Duration};

use comity_ledger::Outcome;
use comity_proto::{
    entry::{Entry, EntryItem},
    limits::{ENTRY_BYTES_MAX, ENTRY_ITEMS_MAX},
    planted::{Plant, planted},
};
use futures::{
    StreamExt,
    future::{BoxFuture, Either, select},
    stream::FuturesUnordered,
};
use openraft::{
    Raft,
    error::{ClientWriteError, Fatal},
};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::{
    clock::Stamp,
    leader::{Leadership, Metrics},
    state_machine::Machine,
    types::{EntryBytes, Reply, TypeConfig},
};

/// Entries that are with openraft at once: one being flushed, one being filled.
const ENTRIES_IN_FLIGHT: usize = 2;
/// How long an entry of a deposed leader may still be answered before its outcome is called unknown.
const LAST_WORD: Duration = Duration::from_secs(1);
/// Items that may wait to be judged.
const QUEUE_ITEMS: usize = 4 * ENTRY_ITEMS_MAX;
/// Items that are judged in one go: a few milliseconds of all cores.
const JUDGE_ITEMS: usize = 128;
/// Judged items that may wait for an entry.
const READY_ITEMS: usize = 2 * ENTRY_ITEMS_MAX;
/// Bytes of an entry besides its items.
const ENTRY_HEADER_BYTES: usize = 64;

/// The answer to one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmitReply {
    /// Raft log index of the entry that holds the item.
    pub log_index: u64,
    /// Ledger time of the entry, ms since the Unix epoch.
    pub stamp_ms: u64,
    /// Per command of the item.
    pub outcomes: Vec<Outcome>,
}

/// Why an item has no outcome from the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SubmitError {
    /// The bytes alone condemn it; the caller must sign another message. Nothing changed.
    #[error("refused: {}; nothing changed", .0.name())]
    Refused(Outcome),
    /// Too much is waiting on the leader. Nothing changed; send the same again after a moment.
    #[error("busy: the leader's queue is full; nothing changed, retry in a moment")]
    Busy,
    /// Over the limit of an entry. Nothing changed.
    #[error("too large: {bytes} bytes, an item may have {limit}; nothing changed")]
    TooLarge {
        /// Bytes of the item.
        bytes: u64,
        /// Bytes that an item may have.
        limit: u64,
    },
    /// This node is not the leader. Nothing changed.
    #[error("not the leader; nothing changed")]
    NotLeader,
    /// No leader was found in time. Nothing is known to have changed; the same request may be sent again.
    #[error("no leader in time; a majority of this domain may be down; the same request may be sent again")]
    NoLeader,
    /// The leader was lost or silent after it was given the item: it may still take effect. Send the same again; its
    /// request ids make that safe.
    #[error("unknown: no answer in time; the same request may be sent again, it takes effect once")]
    Unknown,
    /// The only node's clock jumped ahead by over 30 days. Nothing changed; the operator must confirm the clock.
    #[error(
        "the clock jumped ahead by {jump_ms} ms; nothing changed; correct it, or confirm it with the operator's command"
    )]
    ClockJump {
        /// How far, ms.
        jump_ms: u64,
    },
    /// This replica has stopped; its node is about to exit. It is unknown whether the item takes effect.
    #[error("this node has stopped; the same request may be sent to another node")]
    Stopped,
}

/// Where the answer to an item goes.
pub(crate) type Answer = oneshot::Sender<Result<SubmitReply, SubmitError>>;

struct Waiting {
    item: EntryItem,
    answer: Answer,
}

/// Hands items to the two loops of the proposer.
#[derive(Clone)]
pub(crate) struct Proposer {
    queue: mpsc::Sender<Waiting>,
}

impl Proposer {
    /// Starts the loops.
    pub(crate) fn start(raft: Raft<TypeConfig>, machine: Arc<Machine>, leadership: Arc<Leadership>) -> Proposer {
        let (queue, asked) = mpsc::channel(QUEUE_ITEMS);
        let (ready, judged) = mpsc::channel(READY_ITEMS);
        comity_runtime::spawn(judge_loop(machine.clone(), asked, ready));
        comity_runtime::spawn(
            ProposeLoop { raft, leadership, machine, in_flight: FuturesUnordered::new() }.run(judged),
        );
        Proposer { queue }
    }

    /// Proposes one item and waits for what the log made of it.
    pub(crate) async fn propose(&self, item: EntryItem) -> Result<SubmitReply, SubmitError> {
        let (bytes, limit) = (item.entry_bytes(), ENTRY_BYTES_MAX - ENTRY_HEADER_BYTES);
        if bytes > limit {
            return Err(SubmitError::TooLarge { bytes: bytes as u64, limit: limit as u64 });
        }
        let (answer, told) = oneshot::channel();
        self.queue.try_send(Waiting { item, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SubmitError::Busy,
            mpsc::error::TrySendError::Closed(_) => SubmitError::Stopped,
        })?;
        told.await.unwrap_or(Err(SubmitError::Stopped))
    }
}

/// Judges what waits, in parallel, and passes on what may be proposed.
async fn judge_loop(machine: Arc<Machine>, mut asked: mpsc::Receiver<Waiting>, ready: mpsc::Sender<Waiting>) {
    let mut group = Vec::with_capacity(JUDGE_ITEMS);
    while asked.recv_many(&mut group, JUDGE_ITEMS).await > 0 {
        let items: Arc<[EntryItem]> = group.iter().map(|waiting: &Waiting| waiting.item.clone()).collect();
        let refusals = machine.verdicts.judge(items).await;
        for (waiting, refusal) in group.drain(..).zip(refusals) {
            match refusal {
                // A caller that went away needs no answer, here and below.
                Some(outcome) => drop(waiting.answer.send(Err(SubmitError::Refused(outcome)))),
                None => {
                    if ready.send(waiting).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

struct ProposeLoop {
    raft: Raft<TypeConfig>,
    leadership: Arc<Leadership>,
    machine: Arc<Machine>,
    in_flight: FuturesUnordered<BoxFuture<'static, ()>>,
}

impl ProposeLoop {
    async fn run(mut self, mut judged: mpsc::Receiver<Waiting>) {
        let mut carried: Option<Waiting> = None;
        let mut group = Vec::with_capacity(ENTRY_ITEMS_MAX);
        loop {
            while self.in_flight.len() >= ENTRIES_IN_FLIGHT {
                self.in_flight.next().await;
            }
            if carried.is_none() {
                tokio::select! {
                    biased;
                    Some(()) = self.in_flight.next(), if !self.in_flight.is_empty() => continue,
                    first = judged.recv() => match first {
                        Some(first) => carried = Some(first),
                        None => return,
                    },
                }
            }
            group.extend(carried.take());
            carried = fill(&mut group, &mut judged);
            self.propose(std::mem::take(&mut group)).await;
        }
    }

    /// Stamps a group and hands it to openraft.
    async fn propose(&mut self, group: Vec<Waiting>) {
        let previous_ms = self.machine.state.read().applied.stamp_ms;
        let stamp_ms = match self.leadership.stamp(previous_ms) {
            Stamp::Moves(stamp_ms) | Stamp::StandsStill(stamp_ms) => stamp_ms,
            Stamp::Jumped(jump_ms) => return refuse(group, &SubmitError::ClockJump { jump_ms }),
        };
        let (items, answers): (Vec<EntryItem>, Vec<Answer>) =
            group.into_iter().map(|waiting| (waiting.item, waiting.answer)).unzip();
        let data = EntryBytes(Entry { stamp_ms, items }.encode());
        let overtaken = overtaken(self.leadership.metrics.clone());
        match self.raft.client_write_ff(data).await {
            Ok(_) if planted(Plant::AckEarly) => {
                let log_index = self.leadership.metrics.borrow().last_log_index.unwrap_or(0) + 1;
                let outcomes = answers.iter().map(|_| vec![Outcome::Applied]).collect();
                deliver(answers, Reply { log_index, stamp_ms, outcomes });
            }
            Ok(written) => self.in_flight.push(Box::pin(async move {
                let written = match select(written, pin!(overtaken)).await {
                    Either::Left((written, _)) => written.ok(),
                    Either::Right(((), _)) => None,
                };
                match written {
                    Some(Ok(written)) => deliver(answers, written.data),
                    Some(Err(ClientWriteError::ForwardToLeader(_))) => tell(answers, &SubmitError::NotLeader),
                    Some(Err(ClientWriteError::ChangeMembershipError(_))) | None => {
                        tell(answers, &SubmitError::Unknown)
                    }
                }
            })),
            Err(Fatal::Stopped | Fatal::Panicked | Fatal::StorageError(_)) => tell(answers, &SubmitError::Stopped),
        }
    }
}

/// Ends some time after another vote has overtaken the present one.
///
/// openraft answers an entry of a leader that was deposed when its place in the log is applied or taken by another, but
/// keeps silent for ever when a snapshot covers it. A place among the entries in flight must not be held for ever.
fn overtaken(mut metrics: Metrics) -> impl Future<Output = ()> {
    let vote = metrics.borrow_and_update().vote;
    async move {
        // The metrics end with their replica: then nobody answers either.
        let _ = metrics.wait_for(|now| now.vote > vote).await;
        comity_runtime::sleep(LAST_WORD).await;
    }
}

/// Adds what is ready and fits. Gives back the first item that does not fit.
fn fill(group: &mut Vec<Waiting>, judged: &mut mpsc::Receiver<Waiting>) -> Option<Waiting> {
    let mut bytes = ENTRY_HEADER_BYTES + group.iter().map(|waiting| waiting.item.entry_bytes()).sum::<usize>();
    while group.len() < ENTRY_ITEMS_MAX {
        let next = judged.try_recv().ok()?;
        bytes += next.item.entry_bytes();
        if bytes > ENTRY_BYTES_MAX {
            return Some(next);
        }
        group.push(next);
    }
    None
}

fn deliver(answers: Vec<Answer>, reply: Reply) {
    let Reply { log_index, stamp_ms, mut outcomes } = reply;
    if planted(Plant::CrossedAnswers) {
        outcomes.reverse();
    }
    let mut outcomes = outcomes.into_iter();
    for answer in answers {
        let outcomes = outcomes.next().unwrap_or_default();
        let _ = answer.send(Ok(SubmitReply { log_index, stamp_ms, outcomes }));
    }
}

fn tell(answers: Vec<Answer>, error: &SubmitError) {
    for answer in answers {
        let _ = answer.send(Err(error.clone()));
    }
}

fn refuse(group: Vec<Waiting>, error: &SubmitError) {
    tell(group.into_iter().map(|waiting| waiting.answer).collect(), error);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Vote;

    #[tokio::test]
    async fn an_entry_without_an_answer_is_given_up_once_another_vote_has_overtaken_its_leader() {
        crate::tests::install_world();
        let mut led = openraft::RaftMetrics::new_initial(1);
        led.vote = Vote::new_committed(3, 1);
        let (tell, metrics) = tokio::sync::watch::channel(led.clone());
        let mut overtaken = pin!(overtaken(metrics));
        let soon = Duration::from_millis(50);
        led.last_applied = Some(openraft::LogId::new(openraft::CommittedLeaderId::new(3, 1), 9));
        tell.send_replace(led.clone());
        assert!(tokio::time::timeout(soon, &mut overtaken).await.is_err(), "it still leads");
        led.vote = Vote::new(4, 2);
        tell.send_replace(led);
        assert!(tokio::time::timeout(soon, &mut overtaken).await.is_err(), "the answer may be on its way");
        assert!(tokio::time::timeout(10 * LAST_WORD, overtaken).await.is_ok(), "its place is free again");
    }
}
