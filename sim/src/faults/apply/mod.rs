//! Doing a fault to a universe, and taking it back.

mod clock;
mod members;
mod network;
mod process;
mod restore;
mod storage;
#[cfg(test)]
mod tests;
mod treaties;

use std::{future::Future, sync::Arc, time::Duration};

use comity_node::service::peers::Change;
use comity_runtime::JoinHandle;
use parking_lot::Mutex;

use super::{Fault, Seen, Who, atlas::Damaged};
use crate::{
    adversary,
    hosts::Hosts,
    world::{Chance, HostId, TimeNs},
};

/// Takes a fault back.
pub(super) type Undo = Box<dyn FnOnce() + Send>;

/// What doing a fault works with. Clones work with the same.
#[derive(Clone)]
pub(super) struct Act {
    pub(super) hosts: Hosts,
    /// When it is meant to end, universe time.
    pub(super) until: TimeNs,
    /// Chance of this fault alone.
    pub(super) chance: Chance,
    /// What it waited for.
    pub(super) seen: Option<Seen>,
    pub(super) damaged: Arc<Mutex<Damaged>>,
}

impl Act {
    /// Does `fault`. `None` when it could not happen now, such as a crash of a host that is down. Must be called on the
    /// observer's host.
    pub(super) fn apply(self, fault: &Fault) -> Option<Undo> {
        use Fault as F;
        match fault.clone() {
            F::Partition { .. }
            | F::Isolate { .. }
            | F::SplitDomains { .. }
            | F::Bridge { .. }
            | F::OneWay { .. }
            | F::LeaderCut { .. }
            | F::CutBetween { .. }
            | F::Flap { .. }
            | F::Swizzle { .. }
            | F::Clog { .. }
            | F::Spike { .. }
            | F::SlowPair { .. }
            | F::Loss { .. }
            | F::SplitReads { .. }
            | F::Corrupt { .. }
            | F::Reset { .. }
            | F::BlackHole { .. } => self.network(fault),
            F::Crash { .. }
            | F::Outage { .. }
            | F::LeaderCrash { .. }
            | F::SiteOutage { .. }
            | F::Kill { .. }
            | F::StartCrash { .. }
            | F::Pause { .. }
            | F::SlowCore { .. }
            | F::Restart { .. }
            | F::RollingRestart { .. } => self.process(fault),
            F::SlowDisk { .. }
            | F::StalledDisk { .. }
            | F::FailedFlush { .. }
            | F::FullDisk { .. }
            | F::ReadErrors { .. }
            | F::LyingDisk { .. }
            | F::BitRot { .. }
            | F::MisdirectedWrite { .. }
            | F::PhantomWrite { .. }
            | F::OldBackup { .. }
            | F::WipedDisk { .. }
            | F::OlderCopy { .. } => self.storage(fault),
            F::RestoreDomain { domain, after_ms } => self.restore_domain(domain, Duration::from_millis(after_ms)),
            F::Drift { .. }
            | F::WallStep { .. }
            | F::WallJump { .. }
            | F::WallFreeze { .. }
            | F::ClockLost { .. }
            | F::StartSkew { .. }
            | F::LateTimers { .. }
            | F::Starve { .. } => self.clock(fault),
            F::Adversary { play, domain } => adversary::begin(&self.hosts, play, domain, self.chance),
            F::ReplaceVoter { host } => self.replace_voter(host),
            F::RemoveVoter { host } => self.remove_voter(host),
            F::Snapshot { host } => {
                let host = self.find(host)?;
                self.snapshot(host)
            }
            F::Churn { domain, every_ms } => self.churn(domain, every_ms),
            F::SuspendTreaty { domain, peer, both } => self.suspend_treaty(domain, peer, both),
            F::DrainTreaty { domain, peer } => self.end_treaty(domain, peer, Change::Drain),
            F::RevokeTreaty { domain, peer } => self.end_treaty(domain, peer, Change::Revoke),
            F::SuspendLicence { domain, peer } => self.suspend_licence(domain, peer),
            F::WithdrawExports { domain } => self.withdraw_exports(domain),
            F::RotateOperator { domain } => self.rotate_operator(domain),
            F::RotateRoot { domain } => self.rotate_root(domain),
            F::RotateNode { host } => self.rotate_node(host),
            F::Burst { .. } | F::HotAccount {} | F::Idle {} | F::Silence {} => Some(self.mood(fault)),
        }
    }

    fn find(&self, who: Who) -> Option<HostId> {
        who.find(&self.hosts, self.seen.as_ref())
    }

    fn exists(&self, host: HostId) -> Option<HostId> {
        (host < self.hosts.count()).then_some(host)
    }

    /// Does something that takes time, until it is taken back; `after` mends what it left.
    fn meanwhile(doing: impl Future<Output = ()> + Send + 'static, after: impl FnOnce() + Send + 'static) -> Undo {
        let task: JoinHandle<()> = comity_runtime::spawn(doing);
        Box::new(move || {
            task.abort();
            after();
        })
    }
}

/// Nothing to take back.
fn nothing() -> Undo {
    Box::new(|| {})
}
