//! A member that was given a snapshot fetches the events that it skipped.
//!
//! Rows are fetched in order from any other member. They are not trusted: the ledger's checkpoint fixes the root over all
//! of them, and a row that does not hash to it shows in every proof; a member that holds bad rows is mended by a new one.

use std::{sync::Arc, time::Duration};

use comity_proto::ids::Hash;
use comity_runtime as runtime;

use bytes::Bytes;

use crate::{
    frames::{ForwardAnswer, ForwardCall},
    replica::Replica,
    store::{StoreError, StoredEvent},
    types::NodeInfo,
};

/// Rows in one answer: an event is at most a few kilobytes.
pub(crate) const FILL_ROWS: usize = 256;
/// How often a member looks for a gap of its own.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// One question.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts the filling of a replica. It ends with the replica's last handle.
pub(crate) fn start(replica: &Replica) {
    let replica = Arc::downgrade(&replica.inner);
    runtime::spawn(async move {
        loop {
            let Some(inner) = replica.upgrade() else { return };
            let replica_now = Replica { inner };
            while matches!(replica_now.fill_some().await, Ok(true)) {}
            drop(replica_now);
            runtime::sleep(LOOK_EVERY).await;
        }
    });
}

impl Replica {
    /// Fetches the next rows of the gap. False when there is none, or nobody answered.
    async fn fill_some(&self) -> Result<bool, StoreError> {
        let store = &self.inner.machine.store;
        let Some((from, to)) = store.gap()? else { return Ok(false) };
        for member in self.others() {
            let Ok(ForwardAnswer::Leaves(rows)) = self.ask(&member, &ForwardCall::Leaves { from }, PATIENCE).await
            else {
                continue;
            };
            let in_order = |(want, (leaf, _)): &(u64, (u64, _))| want == leaf && *leaf < to;
            let rows: Vec<StoredEvent> = (from..)
                .zip(rows)
                .take_while(in_order)
                .map(|(leaf, (_, bytes))| StoredEvent { leaf, bytes: bytes.0 })
                .collect();
            if !rows.is_empty() {
                store.fill(rows).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn others(&self) -> Vec<NodeInfo> {
        let metrics = self.inner.leadership.metrics.borrow();
        let members = metrics.membership_config.membership();
        members.nodes().filter(|(id, _)| **id != self.inner.config.id).map(|(_, node)| node.clone()).collect()
    }

    /// Signed bytes that crossed the boundary, from this member or, where it skipped them, from another.
    pub async fn evidence(&self, digest: &Hash) -> Result<Option<Bytes>, StoreError> {
        if let Some(found) = self.inner.machine.store.evidence(digest)? {
            return Ok(Some(found));
        }
        for member in self.others() {
            let asked = self.ask(&member, &ForwardCall::Evidence(*digest), PATIENCE).await;
            if let Ok(ForwardAnswer::Evidence(Some(bytes))) = asked
                && Hash::of(&bytes.0) == *digest
            {
                return Ok(Some(bytes.0));
            }
        }
        Ok(None)
    }
}
