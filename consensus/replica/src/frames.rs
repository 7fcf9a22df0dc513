//! What members say to each other: plain values in postcard, one per link request or answer.
//!
//! The links are authenticated and belong to one domain, so nothing here is signed. Sizes are checked before decoding;
//! postcard allocates no more than the bytes it was given.

use bytes::Bytes;
use comity_proto::{ids::Hash, limits::FRAME_BYTES_MAX};
use openraft::{
    SnapshotMeta,
    raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    membership::{MembershipChange, MembershipError},
    propose::SubmitError,
    types::{EntryBytes, LogId, NodeInfo, Reply, TypeConfig, Vote},
};

/// Room for the frame's own header: the mesh adds kind and request id.
const HEADER_BYTES: usize = 1024;

/// Largest frame that is sent or taken.
pub(crate) const FRAME_MAX: usize = FRAME_BYTES_MAX - HEADER_BYTES;

/// Class `Raft`, asked.
#[derive(Serialize, Deserialize)]
pub(crate) enum RaftCall {
    /// Entries or a heartbeat.
    Append(AppendEntriesRequest<TypeConfig>),
    /// A candidate asks for a vote.
    Vote(VoteRequest<u64>),
    /// Whoever thinks of an election asks who would follow a leader whose log ends here.
    WouldFollow(Option<LogId>),
    /// Whoever waits for a snapshot to be installed asks whether it still is: a member that started again knows nothing of
    /// it, and what it was asked then is never answered.
    Installs(String),
}

/// Class `Raft`, answered. Carries the answering host's wall clock for the stamp's median.
#[derive(Serialize, Deserialize)]
pub(crate) struct RaftAnswer {
    /// Wall clock of the host that answers, ms since the Unix epoch.
    pub(crate) clock_ms: u64,
    /// What openraft said.
    pub(crate) body: RaftAnswerBody,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum RaftAnswerBody {
    Append(AppendEntriesResponse<u64>),
    Vote(VoteResponse<u64>),
    /// Whether this voter hears no leader and its log goes no further.
    WouldFollow(bool),
    /// Whether it is busy with that snapshot.
    Installs(bool),
    /// The member's openraft has stopped; its words.
    Stopped(String),
}

/// Class `Snapshot`, asked. Chunks of one snapshot come in order from one sender.
#[derive(Serialize, Deserialize)]
pub(crate) enum SnapshotCall {
    /// Bytes at `offset`; offset 0 begins anew.
    Chunk { snapshot_id: String, offset: u64, data: EntryBytes },
    /// All was sent: check it and install it.
    Finish { vote: Vote, meta: SnapshotMeta<u64, NodeInfo>, bytes: u64 },
}

/// Class `Snapshot`, answered.
#[derive(Serialize, Deserialize)]
pub(crate) enum SnapshotAnswer {
    /// The receiver has this many bytes.
    Received(u64),
    /// Installed, or refused by the receiver's higher vote.
    Done(Vote),
}

/// Class `Forward`, asked.
#[derive(Serialize, Deserialize)]
pub(crate) enum ForwardCall {
    /// Propose this encoded `EntryItem`.
    Submit(EntryBytes),
    /// Confirm leadership and tell the index up to which a linearizable read must have been applied.
    ReadIndex,
    /// Events from a leaf on, for a member that was given a snapshot.
    Leaves { from: u64 },
    /// Signed bytes by digest.
    Evidence(Hash),
    /// Change the members.
    Membership(MembershipChange),
}

/// Class `Forward`, answered.
#[derive(Serialize, Deserialize)]
pub(crate) enum ForwardAnswer {
    /// Outcomes of this item alone.
    Submitted(Result<Reply, SubmitError>),
    ReadIndex(Option<u64>),
    /// Not the leader (any more). Nothing changed.
    NotLeader,
    /// Leaf numbers and canonical bytes of events.
    Leaves(Vec<(u64, EntryBytes)>),
    Evidence(Option<EntryBytes>),
    Membership(Result<(), MembershipError>),
}

/// Encodes a message. Too large is a bug of the sender's own caps, told in words.
pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Bytes, String> {
    let bytes = postcard::to_allocvec(message).map_err(|error| error.to_string())?;
    if bytes.len() > FRAME_MAX {
        return Err(format!("a frame of {} bytes is over the limit of {FRAME_MAX}", bytes.len()));
    }
    Ok(Bytes::from(bytes))
}

/// Decodes a message; trailing bytes are refused.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    if bytes.len() > FRAME_MAX {
        return Err(format!("a frame of {} bytes is over the limit of {FRAME_MAX}", bytes.len()));
    }
    match postcard::take_from_bytes(bytes) {
        Ok((message, [])) => Ok(message),
        Ok((_, rest)) => Err(format!("{} bytes follow the message", rest.len())),
        Err(error) => Err(error.to_string()),
    }
}
