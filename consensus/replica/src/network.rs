//! openraft's network over [`Links`]: sends calls, keeps frames small, listens to the members' clocks.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use comity_proto::limits::SNAPSHOT_CHUNK_BYTES;
use comity_runtime as runtime;
use futures::future::{Either, select};
use openraft::entry::EntryPayload;
use openraft::{
    AnyError, OptionalSend, Snapshot,
    error::{Fatal, NetworkError, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable},
    network::{Backoff, RPCOption, RaftNetwork, RaftNetworkFactory},
    raft::{AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse},
};

use crate::{
    clock::PeerClocks,
    frames::{self, FRAME_MAX, RaftAnswer, RaftAnswerBody, RaftCall, SnapshotAnswer, SnapshotCall},
    links::{LinkClass, LinkError, Links},
    types::{EntryBytes, LogId, NodeInfo, RaftEntry, SnapshotFile, TypeConfig, Vote},
};

/// How long a member that did not answer is left alone.
const BACKOFF: Duration = Duration::from_millis(200);
/// How long one snapshot chunk may take; a slow link moves 1 MiB in that time at 1 Mbit/s.
const CHUNK_DEADLINE: Duration = Duration::from_secs(10);
/// How long a receiver may take to check and install a snapshot.
const INSTALL_DEADLINE: Duration = Duration::from_secs(60);
/// How often a receiver is asked whether it is still busy with a snapshot, and how long that answer may take.
const BUSY_EVERY: Duration = Duration::from_secs(2);
/// So often must it say no: its answer may be on the way.
const NOT_BUSY: u32 = 2;
/// Bytes of an entry's log id and lengths in a frame, an upper bound for entries that carry bytes.
const ENTRY_OVERHEAD: usize = 64;

type Rpc<T> = Result<T, RPCError<u64, NodeInfo, RaftError<u64>>>;

/// Makes one [`MemberLink`] per member.
pub(crate) struct LinkFactory {
    pub(crate) links: Arc<dyn Links>,
    pub(crate) clocks: Arc<PeerClocks>,
}

impl RaftNetworkFactory<TypeConfig> for LinkFactory {
    type Network = MemberLink;

    async fn new_client(&mut self, target: u64, node: &NodeInfo) -> MemberLink {
        MemberLink::new(self.links.clone(), self.clocks.clone(), target, node.clone())
    }
}

/// Calls to one member.
pub(crate) struct MemberLink {
    links: Arc<dyn Links>,
    clocks: Arc<PeerClocks>,
    target: u64,
    node: NodeInfo,
}

impl MemberLink {
    pub(crate) fn new(links: Arc<dyn Links>, clocks: Arc<PeerClocks>, target: u64, node: NodeInfo) -> MemberLink {
        MemberLink { links, clocks, target, node }
    }

    /// Whether that voter would follow a candidate whose log ends with `last`.
    pub(crate) async fn would_follow(&self, last: Option<LogId>, deadline: Duration) -> Rpc<bool> {
        match self.call(&RaftCall::WouldFollow(last), deadline).await? {
            RaftAnswerBody::WouldFollow(answer) => Ok(answer),
            other => Err(unexpected(other)),
        }
    }

    async fn call(&self, call: &RaftCall, deadline: Duration) -> Rpc<RaftAnswerBody> {
        let body = frames::encode(call).map_err(network)?;
        let answer = self.links.request(&self.node, LinkClass::Raft, body, deadline).await.map_err(link_error)?;
        let answer: RaftAnswer = frames::decode(&answer).map_err(network)?;
        self.clocks.hear(self.target, answer.clock_ms);
        Ok(answer.body)
    }

    /// Sends the file and has it installed. Errors are the words of whatever failed.
    async fn stream(&self, vote: Vote, snapshot: &Snapshot<TypeConfig>) -> Result<Vote, LinkError> {
        let lost = |words: String| LinkError::Lost(words);
        let file = &snapshot.snapshot.file;
        let bytes = file.len().map_err(|error| lost(error.to_string()))?;
        let mut offset = 0;
        while offset < bytes {
            let size = (bytes - offset).min(SNAPSHOT_CHUNK_BYTES as u64);
            let mut data = vec![0; size as usize];
            file.read_at(offset, &mut data).map_err(|error| lost(error.to_string()))?;
            let snapshot_id = snapshot.meta.snapshot_id.clone();
            let call = SnapshotCall::Chunk { snapshot_id, offset, data: EntryBytes(Bytes::from(data)) };
            match self.snapshot_call(&call, CHUNK_DEADLINE).await? {
                SnapshotAnswer::Received(total) if total == offset + size => offset = total,
                SnapshotAnswer::Received(total) => {
                    return Err(lost(format!("the receiver has {total} bytes, {} were sent", offset + size)));
                }
                SnapshotAnswer::Done(vote) => return Ok(vote),
            }
        }
        let call = SnapshotCall::Finish { vote, meta: snapshot.meta.clone(), bytes };
        let forgotten = self.forgets(&snapshot.meta.snapshot_id);
        match select(pin!(self.snapshot_call(&call, INSTALL_DEADLINE)), pin!(forgotten)).await {
            Either::Left((answer, _)) => match answer? {
                SnapshotAnswer::Done(vote) => Ok(vote),
                SnapshotAnswer::Received(_) => Err(lost("the receiver did not finish".into())),
            },
            Either::Right(((), _)) => Err(lost("the receiver has started again meanwhile".into())),
        }
    }

    /// Returns once the member says that it is not installing this snapshot. A member that loses its power in the middle
    /// leaves a connection behind on which its answer is awaited in vain, while others to it work.
    async fn forgets(&self, snapshot_id: &str) {
        let mut not_busy = 0;
        while not_busy < NOT_BUSY {
            runtime::sleep(BUSY_EVERY).await;
            match self.call(&RaftCall::Installs(snapshot_id.to_owned()), BUSY_EVERY).await {
                Ok(RaftAnswerBody::Installs(false)) => not_busy += 1,
                Ok(_) => not_busy = 0,
                // Nobody knows.
                Err(_) => {}
            }
        }
    }

    async fn snapshot_call(&self, call: &SnapshotCall, deadline: Duration) -> Result<SnapshotAnswer, LinkError> {
        let body = frames::encode(call).map_err(LinkError::Refused)?;
        let answer = self.links.request(&self.node, LinkClass::Snapshot, body, deadline).await?;
        frames::decode(&answer).map_err(LinkError::Refused)
    }
}

impl RaftNetwork<TypeConfig> for MemberLink {
    async fn append_entries(
        &mut self,
        mut rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Rpc<AppendEntriesResponse<u64>> {
        let cut_at = cut_to_frame(&mut rpc.entries);
        match self.call(&RaftCall::Append(rpc), option.hard_ttl()).await? {
            RaftAnswerBody::Append(AppendEntriesResponse::Success) => Ok(match cut_at {
                Some(last) => AppendEntriesResponse::PartialSuccess(Some(last)),
                None => AppendEntriesResponse::Success,
            }),
            RaftAnswerBody::Append(other) => Ok(other),
            other => Err(unexpected(other)),
        }
    }

    async fn vote(&mut self, rpc: VoteRequest<u64>, option: RPCOption) -> Rpc<VoteResponse<u64>> {
        match self.call(&RaftCall::Vote(rpc), option.hard_ttl()).await? {
            RaftAnswerBody::Vote(answer) => Ok(answer),
            other => Err(unexpected(other)),
        }
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<TypeConfig>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<u64>, StreamingError<TypeConfig, Fatal<u64>>> {
        let sent = match select(pin!(cancel), pin!(self.stream(vote, &snapshot))).await {
            Either::Left((closed, _)) => return Err(StreamingError::Closed(closed)),
            Either::Right((sent, _)) => sent,
        };
        match sent {
            Ok(vote) => Ok(SnapshotResponse::new(vote)),
            Err(error) => {
                // openraft starts over at once: without a pause a dead member would keep a core busy.
                runtime::sleep(BACKOFF).await;
                Err(StreamingError::Unreachable(Unreachable::new(&error)))
            }
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(std::iter::repeat(BACKOFF))
    }
}

/// Keeps the first entries that fit into a frame. `Some` with the last one kept when any was cut off.
fn cut_to_frame(entries: &mut Vec<RaftEntry>) -> Option<LogId> {
    let mut bytes = ENTRY_OVERHEAD * 4;
    let fits = entries.iter().take_while(|entry| {
        bytes += ENTRY_OVERHEAD + payload_bytes(entry);
        bytes <= FRAME_MAX
    });
    let kept = fits.count().max(1);
    if kept >= entries.len() {
        return None;
    }
    entries.truncate(kept);
    entries.last().map(|entry| entry.log_id)
}

fn payload_bytes(entry: &RaftEntry) -> usize {
    match &entry.payload {
        EntryPayload::Blank => 0,
        EntryPayload::Normal(data) => data.0.len(),
        // Keys and addresses of at most a dozen members.
        EntryPayload::Membership(_) => 64 * 1024,
    }
}

/// Of an answer to another question, or of a member that stopped.
fn unexpected(answer: RaftAnswerBody) -> RPCError<u64, NodeInfo, RaftError<u64>> {
    match answer {
        RaftAnswerBody::Stopped(words) => unreachable(words),
        RaftAnswerBody::Append(_)
        | RaftAnswerBody::Vote(_)
        | RaftAnswerBody::WouldFollow(_)
        | RaftAnswerBody::Installs(_) => network("the answer is to another question".into()),
    }
}

fn network(words: String) -> RPCError<u64, NodeInfo, RaftError<u64>> {
    RPCError::Network(NetworkError::from(AnyError::error(words)))
}

fn unreachable(words: String) -> RPCError<u64, NodeInfo, RaftError<u64>> {
    RPCError::Unreachable(Unreachable::from(AnyError::error(words)))
}

/// Every failed link earns a pause: an immediate retry meets the same network.
fn link_error(error: LinkError) -> RPCError<u64, NodeInfo, RaftError<u64>> {
    RPCError::Unreachable(Unreachable::new(&error))
}

/// The file of a snapshot that is being received.
pub(crate) struct Receiving {
    pub(crate) snapshot_id: String,
    pub(crate) file: SnapshotFile,
    pub(crate) bytes: u64,
}
