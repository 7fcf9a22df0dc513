//! What this member answers to the others.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use comity_proto::{
    entry::{Entry, EntryItem},
    ids::PublicKey,
    limits::SNAPSHOT_CHUNK_BYTES,
};
use comity_runtime::{self as runtime, disk::Disk};
use openraft::{EntryPayload, Raft, Snapshot, raft::AppendEntriesRequest};
use tokio::sync::Mutex;

use crate::{
    fill::FILL_ROWS,
    frames::{self, ForwardAnswer, ForwardCall, RaftAnswer, RaftAnswerBody, RaftCall, SnapshotAnswer, SnapshotCall},
    links::{LinkClass, LinkHandler},
    network::Receiving,
    propose::SubmitError,
    replica::{Inner, Replica},
    snapshot,
    state_machine::Machine,
    types::{EntryBytes, Reply, TypeConfig},
};

/// A snapshot of over this many bytes is refused: it is no ledger of ours.
const SNAPSHOT_BYTES_MAX: u64 = 64 << 30;

/// Registers the handlers of all classes. They hold no handle, so the replica can end.
pub(crate) fn register(replica: &Replica, disk: Arc<dyn Disk>) {
    let inner = Arc::downgrade(&replica.inner);
    let links = &replica.inner.links;
    let receiver = Arc::new(SnapshotReceiver { disk, receiving: Mutex::new(None), installing: Arc::default() });
    let installing = receiver.installing.clone();
    links.serve(
        LinkClass::Raft,
        handler(inner.clone(), move |inner, _, bytes| {
            let installing = installing.clone();
            async move { raft_call(&inner, &installing, &bytes).await }
        }),
    );
    links.serve(
        LinkClass::Forward,
        handler(inner.clone(), |inner, _, bytes| async move { forward_call(&inner, &bytes).await }),
    );
    links.serve(
        LinkClass::Snapshot,
        handler(inner, move |inner, from, bytes| {
            let receiver = receiver.clone();
            async move { receiver.call(&inner.raft, from, &bytes).await }
        }),
    );
}

fn handler<F, A>(inner: Weak<Inner>, answer: F) -> LinkHandler
where
    F: Fn(Arc<Inner>, PublicKey, Bytes) -> A + Send + Sync + 'static,
    A: Future<Output = Result<Bytes, String>> + Send + 'static,
{
    Arc::new(move |from, bytes| match inner.upgrade() {
        Some(inner) => Box::pin(answer(inner, from, bytes)),
        None => Box::pin(async { Err("this replica has stopped".into()) }),
    })
}

async fn raft_call(inner: &Inner, installing: &Installing, bytes: &[u8]) -> Result<Bytes, String> {
    let body = match frames::decode(bytes)? {
        RaftCall::Append(request) => {
            judge_early(&inner.machine, &request);
            match inner.raft.append_entries(request).await {
                Ok(answer) => RaftAnswerBody::Append(answer),
                Err(error) => RaftAnswerBody::Stopped(error.to_string()),
            }
        }
        RaftCall::Vote(request) => match inner.raft.vote(request).await {
            Ok(answer) => RaftAnswerBody::Vote(answer),
            Err(error) => RaftAnswerBody::Stopped(error.to_string()),
        },
        RaftCall::WouldFollow(last) => match inner.would_follow(last).await {
            Ok(answer) => RaftAnswerBody::WouldFollow(answer),
            Err(error) => RaftAnswerBody::Stopped(error.to_string()),
        },
        RaftCall::Installs(snapshot_id) => {
            RaftAnswerBody::Installs(installing.lock().as_ref().is_some_and(|busy| *busy == snapshot_id))
        }
    };
    frames::encode(&RaftAnswer { clock_ms: runtime::wall_ms(), body })
}

/// A follower judges signatures while the entries are flushed and committed: when it applies them the verdicts are there.
fn judge_early(machine: &Arc<Machine>, request: &AppendEntriesRequest<TypeConfig>) {
    for entry in &request.entries {
        let EntryPayload::Normal(bytes) = &entry.payload else { continue };
        let Ok(decoded) = Entry::decode(&bytes.0) else { continue };
        let machine = machine.clone();
        runtime::spawn(async move { machine.verdicts.judge(decoded.items.into()).await });
    }
}

async fn forward_call(inner: &Inner, bytes: &[u8]) -> Result<Bytes, String> {
    let answer = match frames::decode(bytes)? {
        ForwardCall::Submit(item) => submit(inner, &item).await,
        ForwardCall::ReadIndex => match inner.barrier.confirm().await {
            Ok(index) => ForwardAnswer::ReadIndex(index),
            Err(_) => ForwardAnswer::NotLeader,
        },
        ForwardCall::Leaves { from } => {
            let rows = inner.machine.store.leaves(from, FILL_ROWS).map_err(|error| error.to_string())?;
            ForwardAnswer::Leaves(rows.into_iter().map(|row| (row.leaf, EntryBytes(row.bytes))).collect())
        }
        ForwardCall::Membership(change) => ForwardAnswer::Membership(inner.change_members(change).await),
        ForwardCall::Evidence(digest) => {
            let found = inner.machine.store.evidence(&digest).map_err(|error| error.to_string())?;
            ForwardAnswer::Evidence(found.map(EntryBytes))
        }
    };
    frames::encode(&answer)
}

async fn submit(inner: &Inner, item: &EntryBytes) -> ForwardAnswer {
    if !inner.leadership.leads() {
        return ForwardAnswer::NotLeader;
    }
    let Ok(item) = EntryItem::decode(&item.0) else {
        return ForwardAnswer::Submitted(Err(SubmitError::Refused(comity_ledger::Outcome::Malformed)));
    };
    let proposed = inner.proposer.propose(item).await;
    ForwardAnswer::Submitted(proposed.map(|reply| Reply {
        log_index: reply.log_index,
        stamp_ms: reply.stamp_ms,
        outcomes: vec![reply.outcomes],
    }))
}

/// Gathers the chunks of one snapshot at a time. A new sender, or offset 0, begins anew.
struct SnapshotReceiver {
    disk: Arc<dyn Disk>,
    receiving: Mutex<Option<(PublicKey, Receiving)>>,
    installing: Arc<Installing>,
}

/// The snapshot that is being checked and installed.
type Installing = parking_lot::Mutex<Option<String>>;

/// Holds the name of a snapshot for as long as it is being installed.
struct Busy<'a>(&'a Installing);

impl<'a> Busy<'a> {
    fn with(installing: &'a Installing, snapshot_id: &str) -> Busy<'a> {
        *installing.lock() = Some(snapshot_id.to_owned());
        Busy(installing)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

impl SnapshotReceiver {
    async fn call(&self, raft: &Raft<TypeConfig>, from: PublicKey, bytes: &[u8]) -> Result<Bytes, String> {
        let answer = match frames::decode(bytes)? {
            SnapshotCall::Chunk { snapshot_id, offset, data } => self.chunk(from, snapshot_id, offset, data).await?,
            SnapshotCall::Finish { vote, meta, bytes } => {
                let taken = self.receiving.lock().await.take();
                let Some((sender, received)) = taken else { return Err("no snapshot was begun".into()) };
                if sender != from || received.snapshot_id != meta.snapshot_id || received.bytes != bytes {
                    return Err(format!("{} of {bytes} bytes were received", received.bytes));
                }
                let _busy = Busy::with(&self.installing, &received.snapshot_id);
                // Damage on the way is told to the sender; handed to openraft it would stop this member.
                let file = received.file.clone();
                let checked = runtime::run_blocking(move || snapshot::load(&file).map(drop)).await;
                checked.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
                let snapshot = Snapshot { meta, snapshot: Box::new(received.file) };
                let installed = raft.install_full_snapshot(vote, snapshot).await.map_err(|error| error.to_string())?;
                SnapshotAnswer::Done(installed.vote)
            }
        };
        frames::encode(&answer)
    }

    async fn chunk(
        &self,
        from: PublicKey,
        snapshot_id: String,
        offset: u64,
        data: EntryBytes,
    ) -> Result<SnapshotAnswer, String> {
        if data.0.len() > SNAPSHOT_CHUNK_BYTES || offset > SNAPSHOT_BYTES_MAX {
            return Err("a chunk over the limit".into());
        }
        let mut receiving = self.receiving.lock().await;
        if offset == 0 {
            let file = snapshot::temporary(&*self.disk, "incoming").map_err(|error| error.to_string())?;
            *receiving = Some((from, Receiving { snapshot_id: snapshot_id.clone(), file, bytes: 0 }));
        }
        match &mut *receiving {
            Some((sender, known)) if *sender == from && known.snapshot_id == snapshot_id && known.bytes == offset => {
                known.file.file.write_at(offset, &data.0).map_err(|error| error.to_string())?;
                known.bytes += data.0.len() as u64;
                Ok(SnapshotAnswer::Received(known.bytes))
            }
            Some((_, known)) => Ok(SnapshotAnswer::Received(known.bytes)),
            None => Err("no snapshot was begun".into()),
        }
    }
}
