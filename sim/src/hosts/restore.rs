//! What an operator does when all disks of a domain are gone: a snapshot that was saved elsewhere takes their place.
//!
//! As the runbook has it: the founding machine, which holds the root key, starts alone on what `comity snapshot restore`
//! writes; the others join again with empty directories.

use std::{path::Path, sync::Arc, time::Duration};

use comity_ledger::Outcome;
use comity_node::{
    node::Node,
    service::{error::ServiceError, restore},
};
use comity_runtime::disk::memory::{CrashPlan, MemoryDisk};
use futures::channel::oneshot;

use super::Hosts;
use crate::world::TimeNs;

/// Between two looks of an operator at the fence.
const LOOK: Duration = Duration::from_millis(500);
/// Whoever still differs when a peer has told everything so often is settled with: what it tells does not change any more.
const PASSES: u32 = 4;
/// What an operator writes down.
const WHY: &str = "the peer has shown it";
/// What the snapshot is called in errors; no such file is read.
const NAME: &str = "snapshot";

/// The history of a domain ended, and another one goes on from a snapshot of it.
#[derive(Clone, Copy, Debug)]
pub struct Restore {
    /// Index of the domain.
    pub domain: usize,
    /// When its disks were lost, universe time.
    pub lost_at: TimeNs,
    /// The last entry in the snapshot.
    pub index: u64,
    /// How many events there are up to it.
    pub events: u64,
}

impl Hosts {
    /// The founding node of a domain saves a snapshot to a disk elsewhere; `None` while it is away.
    pub async fn save_snapshot(&self, domain: usize) -> Option<MemoryDisk> {
        let founder = self.domains().get(domain)?.hosts[0];
        let node = self.node(founder)?;
        let disk = MemoryDisk::new();
        let onto = Arc::new(disk.clone());
        let (done, saved) = oneshot::channel();
        self.universe.spawn_on(founder, async move {
            let _nobody_waits = done.send(node.replica().save_to(onto).await.is_ok());
        });
        matches!(saved.await, Ok(true)).then_some(disk)
    }

    /// All machines of a domain lose their power and their disks at once. Their operator has them in hand from now on.
    pub fn lose_domain(&self, domain: usize) -> TimeNs {
        let hosts = self.domains().get(domain).map(|known| known.hosts.clone()).unwrap_or_default();
        for host in hosts {
            self.power_off(host, CrashPlan::lose_all());
            self.with(host, |machine| machine.is_in_repair = true);
        }
        self.mark("disk:domain-lost");
        self.universe.now()
    }

    /// Puts a snapshot onto the new disk of the domain's founding machine, which stays off.
    ///
    /// # Errors
    /// Those of the node's own restore.
    pub fn restore_domain(&self, domain: usize, lost_at: TimeNs, snapshot: &MemoryDisk) -> Result<(), ServiceError> {
        let founder = self.domains()[domain].hosts[0];
        let home = self.with(founder, |machine| machine.seed.home(founder, &machine.key, machine.place));
        let disk = MemoryDisk::new();
        let restored = {
            let _operator = comity_runtime::enter(self.universe.world(founder));
            let now_ms = comity_runtime::wall_ms();
            restore::restore_onto(&home, (Path::new(NAME), snapshot), now_ms, || Ok(disk.clone()))?
        };
        self.with(founder, |machine| {
            machine.disk.replace(disk);
            machine.seed.roster = restored.roster;
            // The only voter there is begins with the key that it has now.
            machine.place = machine.key.public();
        });
        let restore::SnapshotView { log_index: index, events, .. } = restored.view;
        self.state.lock().restores.push(Restore { domain, lost_at, index, events });
        self.mark("operator:restored");
        Ok(())
    }

    /// The restores so far, in their order.
    pub fn restores(&self) -> Vec<Restore> {
        self.state.lock().restores.clone()
    }

    /// The operator of a restored domain looks at what the peers still differ in until the fence is gone, and takes upon
    /// the treasury what no evidence settles.
    pub async fn await_end_of_fence(&self, domain: usize) {
        loop {
            let hosts = self.clone();
            if self.operate(domain, |node| async move { hosts.sees_no_fence(&node).await }).await {
                return self.mark("operator:fence-ended");
            }
            comity_runtime::sleep(LOOK).await;
        }
    }

    async fn sees_no_fence(&self, node: &Node) -> bool {
        let Ok((is_fenced, peers)) = restore::reconciliation(node).await else { return false };
        for peer in peers.iter().filter(|peer| !peer.agreed && peer.passes >= PASSES) {
            match restore::settle(node, peer.peer, WHY).await {
                Ok(Outcome::Applied) => self.mark("operator:books-settled"),
                answer => tracing::debug!(?answer, peer = peer.name, "not settled yet"),
            }
        }
        !is_fenced
    }
}
