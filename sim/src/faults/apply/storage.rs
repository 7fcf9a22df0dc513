//! Faults of disks.

use std::{sync::Arc, time::Duration};

use comity_runtime::disk::{
    Disk,
    memory::{CrashPlan, MemoryDisk},
};
use parking_lot::Mutex;

use super::{
    super::{Fault, Keep},
    Act, Undo,
};
use crate::{
    disk::{DiskMood, FalseDisk},
    hosts::Hosts,
    world::HostId,
};

/// How long a fault that may only happen while all others hold everything waits for such a moment.
const MOMENT: Duration = Duration::from_secs(3);
/// How long a node that forgot something is watched: one that ends by itself does so at its leader's next word.
const WATCHED: Duration = Duration::from_secs(6);
/// Between two looks for it.
const LOOK: Duration = Duration::from_millis(20);
/// Between two looks whether a new member has caught up.
const CAUGHT_UP_EVERY: Duration = Duration::from_millis(250);
/// A member that lacks no more entries than this has caught up.
const LAG_MAX: u64 = 100;
const SECTOR: usize = 512;

impl Act {
    pub(super) fn storage(self, fault: &Fault) -> Option<Undo> {
        match fault.clone() {
            Fault::SlowDisk { host, mean_us } => {
                self.mood_of_disk(host, move |mood| mood.slow_us = mean_us, |mood| mood.slow_us = 0)
            }
            Fault::StalledDisk { host } => {
                self.mood_of_disk(host, |mood| mood.is_stalled = true, |mood| mood.is_stalled = false)
            }
            Fault::FailedFlush { host } => {
                self.hosts.node(host)?;
                let disk = self.disk(host);
                disk.below().fail_next_syncs(1);
                Some(Box::new(move || disk.below().fail_next_syncs(0)))
            }
            Fault::FullDisk { host, spare_bytes } => {
                self.hosts.node(host)?;
                let disk = self.disk(host);
                disk.below().set_capacity(Some(used(&disk.below()) + spare_bytes));
                // A log has its place reserved; a snapshot has not.
                let _made_or_not = self.clone().snapshot(host);
                Some(Box::new(move || disk.below().set_capacity(None)))
            }
            Fault::ReadErrors { host, share } => {
                self.hosts.node(host)?;
                self.hosts.kill_process(host);
                let undo = self.clone().mood_of_disk(
                    host,
                    move |mood| mood.read_errors = share,
                    |mood| mood.read_errors = 0.0,
                );
                self.hosts.power_on(host);
                undo
            }
            Fault::LyingDisk { host } => self.lying(host),
            Fault::BitRot { host } | Fault::MisdirectedWrite { host } | Fault::PhantomWrite { host } => {
                self.damage(host, fault)
            }
            Fault::OldBackup { host } => self.old_backup(host),
            Fault::OlderCopy { host, after_ms } => self.older_copy(host, Duration::from_millis(after_ms)),
            Fault::WipedDisk { host } => {
                self.hosts.node(host)?;
                if !self.claim_damage(host) {
                    return None;
                }
                let mut act = self.clone();
                act.cut_power(host, Keep::Nothing);
                Some(Box::new(move || self.replace(host)))
            }
            _ => None,
        }
    }

    fn disk(&self, host: HostId) -> FalseDisk {
        self.hosts.with(host, |machine| machine.disk.clone())
    }

    fn mood_of_disk(
        self,
        host: HostId,
        make: impl FnOnce(&mut DiskMood),
        mend: impl FnOnce(&mut DiskMood) + Send + 'static,
    ) -> Option<Undo> {
        self.exists(host)?;
        let disk = self.disk(host);
        disk.set_mood(make);
        Some(Box::new(move || disk.set_mood(mend)))
    }

    /// Lies until the fault ends, then the power is cut if all others hold what that may lose.
    fn lying(self, host: HostId) -> Option<Undo> {
        self.hosts.node(host)?;
        let disk = self.disk(host);
        disk.set_mood(|mood| mood.is_lying = true);
        Some(Box::new(move || {
            comity_runtime::spawn(async move {
                let forgets = self.moment_to_forget(host).await;
                let is_up = self.hosts.node(host).is_some();
                if forgets && is_up {
                    self.hosts.mark("disk:lies-lost");
                    self.hosts.power_off(host, CrashPlan::lose_all());
                }
                disk.set_mood(|mood| mood.is_lying = false);
                drain(&disk.below());
                if forgets && is_up {
                    self.go_on_or_replace(host).await;
                }
            });
        }))
    }

    /// A copy of the disk is taken now and put in its place when the fault ends, if all others hold what is newer.
    fn old_backup(self, host: HostId) -> Option<Undo> {
        self.hosts.node(host)?;
        let copy = self.disk(host).below().fork();
        drain(&copy);
        Some(Box::new(move || {
            comity_runtime::spawn(async move {
                if self.moment_to_forget(host).await {
                    self.hosts.mark("disk:backup-restored");
                    self.hosts.power_off(host, CrashPlan::lose_all());
                    copy.crash(CrashPlan::lose_all());
                    self.hosts.with(host, |machine| machine.disk.replace(copy));
                    self.go_on_or_replace(host).await;
                }
            });
        }))
    }

    /// A copy of the disk of a domain of one is taken now and put in its place after a while; its operator believes it is
    /// the newest. The newer disk is found when the fault ends.
    fn older_copy(self, host: HostId, after: Duration) -> Option<Undo> {
        self.hosts.node(host)?;
        if self.hosts.domain_of(host).hosts.len() > 1 {
            return None;
        }
        let copy = self.disk(host).below().fork();
        drain(&copy);
        let newest: Arc<Mutex<Option<MemoryDisk>>> = Arc::default();
        let (hosts, kept) = (self.hosts.clone(), newest.clone());
        let doing = async move {
            comity_runtime::sleep(after).await;
            *kept.lock() = Some(exchange(&hosts, host, copy, true));
        };
        Some(Act::meanwhile(doing, move || {
            if let Some(newest) = newest.lock().take() {
                drop(exchange(&self.hosts, host, newest, false));
            }
        }))
    }

    /// Starts a node whose disk has forgotten something. Its leader may take it at its old word; a node that then ends
    /// for good is replaced, as the runbook has it.
    async fn go_on_or_replace(self, host: HostId) {
        let boots = self.hosts.with(host, |machine| machine.boots);
        self.hosts.power_on(host);
        comity_runtime::sleep(WATCHED).await;
        let ended = self.hosts.with(host, |machine| machine.boots > boots + 1);
        if !ended {
            return;
        }
        // One at a time in a domain: another one's replacement comes first.
        while !self.claim_damage(host) {
            comity_runtime::sleep(LOOK).await;
        }
        self.hosts.give_up(host);
        self.hosts.kill_process(host);
        self.replace(host);
    }

    async fn moment_to_forget(&self, host: HostId) -> bool {
        let begun = comity_runtime::now();
        while begun.elapsed() < MOMENT {
            if self.may_forget(host) {
                return true;
            }
            comity_runtime::sleep(LOOK).await;
        }
        false
    }

    /// Damages a file behind the program's back and lets the node read it again; replaced if it does not start.
    fn damage(mut self, host: HostId, fault: &Fault) -> Option<Undo> {
        self.hosts.node(host)?;
        if !self.claim_damage(host) {
            return None;
        }
        let disk = self.disk(host);
        if !self.spoil(&disk.below(), fault) {
            self.release_damage(host);
            return None;
        }
        self.hosts.kill_process(host);
        self.hosts.power_on(host);
        Some(Box::new(move || {
            if self.hosts.node(host).is_none() {
                self.hosts.give_up(host);
                self.hosts.kill_process(host);
                self.replace(host);
            } else {
                self.release_damage(host);
            }
        }))
    }

    /// Breaks one file; false when there is none that is worth it.
    fn spoil(&mut self, disk: &MemoryDisk, fault: &Fault) -> bool {
        let names = disk.list().unwrap_or_default();
        let worth: Vec<String> =
            names.into_iter().filter(|name| name.ends_with(".wal") || name.ends_with(".snap")).collect();
        let Some(name) = self.chance.pick(&worth).cloned() else { return false };
        let content = disk.content(&name).unwrap_or_default();
        let written = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        // Damage of the very last flush looks like a torn tail to any log: only what is surely older is touched.
        let old = written / 2;
        if old < 2 * SECTOR {
            return false;
        }
        let sectors = (old / SECTOR) as u64;
        let target = self.chance.below(sectors);
        let offset = target * SECTOR as u64;
        match fault {
            Fault::BitRot { .. } => {
                disk.flip_bit(&name, self.chance.below(old as u64), self.chance.below(8) as u8);
            }
            Fault::MisdirectedWrite { .. } => {
                let source = ((target + 1 + self.chance.below(sectors - 1)) % sectors) as usize * SECTOR;
                disk.plant(&name, offset, &content[source..source + SECTOR]);
            }
            _ => disk.plant(&name, offset, &[0; SECTOR]),
        }
        true
    }

    /// Takes the damaged machine out and lets it join again; the damage is over when it has caught up.
    pub(super) fn replace(self, host: HostId) {
        comity_runtime::spawn(async move {
            if self.hosts.replace(host).await {
                self.caught_up(host).await;
            }
        });
    }

    /// The damage of a machine that joins again is over when it has caught up.
    pub(super) async fn caught_up(&self, host: HostId) {
        while !self.has_caught_up(host) {
            comity_runtime::sleep(CAUGHT_UP_EVERY).await;
        }
        self.hosts.mark("operator:caught-up");
        self.release_damage(host);
    }

    fn has_caught_up(&self, host: HostId) -> bool {
        let domain = self.hosts.with(host, |machine| machine.domain);
        let id = self.hosts.with(host, |machine| machine.raft_id());
        let Some(leader) = self.hosts.leader_of(domain).and_then(|leader| self.hosts.node(leader)) else {
            return false;
        };
        let status = leader.replica().status();
        status.voters.iter().any(|member| member.id == id && member.lag.is_some_and(|lag| lag <= LAG_MAX))
    }
}

/// Puts another disk into a machine and starts its node on it; answers what was on the disk that was in it.
fn exchange(hosts: &Hosts, host: HostId, disk: MemoryDisk, is_older: bool) -> MemoryDisk {
    let before = hosts.with(host, |machine| machine.disk.below().fork());
    drain(&before);
    hosts.power_off(host, CrashPlan::lose_all());
    disk.crash(CrashPlan::lose_all());
    let now = hosts.universe.now();
    hosts.with(host, |machine| {
        machine.disk.replace(disk);
        machine.is_older = is_older;
        machine.exchanged = Some(now);
    });
    hosts.mark(if is_older { "disk:older-copy" } else { "disk:newest-again" });
    hosts.power_on(host);
    before
}

/// Everything that was written becomes durable.
fn drain(disk: &MemoryDisk) {
    for name in disk.list().unwrap_or_default() {
        if let Ok(file) = disk.open(&name) {
            // A poisoned file keeps what it has; its node ends anyway.
            let _poisoned = file.sync();
        }
    }
    let _denied = disk.sync_dir();
}

fn used(disk: &MemoryDisk) -> u64 {
    let names = disk.list().unwrap_or_default();
    names.iter().filter_map(|name| disk.open(name).ok()?.len().ok()).sum()
}
