//! A whole domain is lost and comes back from a snapshot.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{Act, Undo};

/// Until an operator has decided that nothing of the disks is left.
const DECIDES: Duration = Duration::from_secs(1);
/// Between the restore and the start.
const STARTS: Duration = Duration::from_millis(500);
/// Before a snapshot that could not be made is tried again.
const AGAIN: Duration = Duration::from_millis(200);

impl Act {
    /// A snapshot is saved now. After a while all disks are lost, and the domain goes on from the snapshot. A fault that
    /// ends before the loss does nothing; once the disks are gone the operator goes on until all members are back.
    pub(super) fn restore_domain(self, domain: usize, after: Duration) -> Option<Undo> {
        let members = self.hosts.domains().get(domain)?.hosts.clone();
        self.hosts.node(*members.first()?)?;
        {
            // Whoever is damaged besides would be lost with the only copy that there is.
            let mut damaged = self.damaged.lock();
            if members.iter().any(|host| damaged.contains(host)) {
                return None;
            }
            damaged.extend(members);
        }
        let over = Arc::new(AtomicBool::new(false));
        let ended = over.clone();
        comity_runtime::spawn(async move { self.lose_and_restore(domain, after, &ended).await });
        Some(Box::new(move || over.store(true, Ordering::Relaxed)))
    }

    async fn lose_and_restore(self, domain: usize, after: Duration, over: &AtomicBool) {
        let hosts = &self.hosts;
        let members = hosts.domains()[domain].hosts.clone();
        let mut saved = hosts.save_snapshot(domain).await;
        while saved.is_none() && !over.load(Ordering::Relaxed) {
            comity_runtime::sleep(AGAIN).await;
            saved = hosts.save_snapshot(domain).await;
        }
        comity_runtime::sleep(after).await;
        let Some(snapshot) = saved.filter(|_| !over.load(Ordering::Relaxed)) else {
            members.iter().for_each(|host| self.release_damage(*host));
            return;
        };
        let lost_at = hosts.lose_domain(domain);
        comity_runtime::sleep(DECIDES).await;
        if let Err(error) = hosts.restore_domain(domain, lost_at, &snapshot) {
            tracing::warn!(domain, error.detail, "the snapshot cannot be restored");
            hosts.mark("operator:restore-refused");
            return;
        }
        comity_runtime::sleep(STARTS).await;
        let [founder, others @ ..] = members.as_slice() else { return };
        hosts.with(*founder, |machine| machine.is_in_repair = false);
        hosts.power_on(*founder);
        self.release_damage(*founder);
        let looking = hosts.clone();
        comity_runtime::spawn(async move { looking.await_end_of_fence(domain).await });
        // One alone is no voter: two would bear no more failures than one.
        for other in others {
            hosts.replace(*other).await;
        }
        for other in others {
            self.caught_up(*other).await;
        }
    }
}
