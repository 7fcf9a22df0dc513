//! Nodes that were certified and are no replicas yet. Kept on the disk: their invitations are used up, so whoever forgets
//! them leaves them waiting for ever.

use comity_replica::NodeInfo;
use comity_runtime::{
    self as runtime,
    disk::{Disk, DiskError, DiskErrorKind},
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

const FILE: &str = "admitted";
const PART: &str = "admitted.part";

/// By Raft id.
pub(super) struct AdmittedNodes {
    nodes: Mutex<BTreeMap<u64, NodeInfo>>,
    disk: Arc<dyn Disk>,
}

impl AdmittedNodes {
    /// Those that the disk knows.
    pub(super) fn on(disk: Arc<dyn Disk>) -> Result<AdmittedNodes, DiskError> {
        let nodes = match disk.open(FILE) {
            Err(DiskError { kind: DiskErrorKind::NotFound, .. }) => BTreeMap::new(),
            Err(error) => return Err(error),
            Ok(file) => {
                let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
                file.read_at(0, &mut bytes)?;
                postcard::from_bytes(&bytes).unwrap_or_else(|error| {
                    tracing::warn!(%error, "the list of admitted nodes is damaged; invite anew who is not in `comity raft list`");
                    BTreeMap::new()
                })
            }
        };
        Ok(AdmittedNodes { nodes: Mutex::new(nodes), disk })
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeMap<u64, NodeInfo> {
        self.nodes.lock().clone()
    }

    /// Remembers one; durable when this returns without an error, else forgotten.
    pub(super) async fn add(&self, id: u64, info: NodeInfo) -> Result<(), DiskError> {
        self.nodes.lock().insert(id, info);
        let kept = self.keep().await;
        if kept.is_err() {
            self.nodes.lock().remove(&id);
        }
        kept
    }

    /// Forgets one that is a replica now. Found again after a power cut it is forgotten again.
    pub(super) async fn is_replica(&self, id: u64) {
        self.nodes.lock().remove(&id);
        if let Err(error) = self.keep().await {
            tracing::debug!(%error, "the list of admitted nodes still names a replica");
        }
    }

    async fn keep(&self) -> Result<(), DiskError> {
        // Plain values into memory: cannot fail.
        let bytes = postcard::to_allocvec(&*self.nodes.lock()).unwrap_or_default();
        let disk = self.disk.clone();
        let written = runtime::run_blocking(move || write(&*disk, &bytes)).await;
        written.unwrap_or_else(|_| Err(DiskError::new(FILE, "write", DiskErrorKind::Io, "the work was not done")))
    }
}

fn write(disk: &dyn Disk, bytes: &[u8]) -> Result<(), DiskError> {
    match disk.remove(PART) {
        Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(PART)?;
    file.write_at(0, bytes)?;
    file.sync()?;
    disk.rename(PART, FILE)?;
    disk.sync_dir()
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_runtime::disk::memory::{CrashPlan, MemoryDisk};

    #[test]
    fn an_admitted_node_is_known_after_a_power_cut_until_it_is_a_replica() {
        crate::runtime::tests_world().block_on(async {
            let memory = MemoryDisk::new();
            let disk: Arc<dyn Disk> = Arc::new(memory.clone());
            let key = crate::founding::fresh_key().public();
            let info = NodeInfo { key, addresses: vec!["/ip4/127.0.0.1/tcp/7401".to_owned()] };
            let nodes = AdmittedNodes::on(disk.clone()).expect("an empty disk");
            nodes.add(7, info.clone()).await.expect("there is room");
            memory.crash(CrashPlan::lose_all());
            let nodes = AdmittedNodes::on(disk.clone()).expect("it reads");
            assert_eq!(nodes.all(), BTreeMap::from([(7, info.clone())]));
            nodes.is_replica(7).await;
            assert!(AdmittedNodes::on(disk.clone()).expect("it reads").all().is_empty());
            memory.set_capacity(Some(0));
            assert!(nodes.add(8, info).await.is_err());
            assert!(nodes.all().is_empty(), "what is not durable is not promised");
        });
    }
}
