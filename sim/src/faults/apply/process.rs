//! Faults of processes and machines.

use std::time::Duration;

use comity_runtime::disk::memory::{CrashPlan, Tear};

use super::{
    super::{Fault, Keep},
    Act, Undo,
};
use crate::world::HostId;

/// Pause between two nodes of a rolling restart: the first must have come back.
const ROLL_EVERY: Duration = Duration::from_secs(4);
/// How long one node of a rolling restart stays down.
const ROLL_DOWN: Duration = Duration::from_millis(500);
/// How long a power cut waits for a flush to hit, and the first part of a flush that it may hit, microseconds.
const FLUSH_WAIT: Duration = Duration::from_millis(1_500);
const FLUSH_US: u64 = 300;
/// A machine's own start, before its processes begin.
const MACHINE_START: Duration = Duration::from_millis(300);

impl Act {
    pub(super) fn process(self, fault: &Fault) -> Option<Undo> {
        match *fault {
            Fault::Crash { host, keeps } => {
                let host = self.find(host)?;
                self.crash(host, keeps)
            }
            Fault::Outage { host } => self.crash(host, Keep::Nothing),
            Fault::LeaderCrash { domain, keeps } => {
                let host = self.hosts.leader_of(domain)?;
                self.crash(host, keeps)
            }
            Fault::SiteOutage { domain, keeps } => self.site_outage(domain, keeps),
            Fault::Kill { host } => {
                let host = self.find(host)?;
                self.kill(host)
            }
            Fault::StartCrash { host, after_ms } => self.start_crash(host, after_ms),
            Fault::Pause { host } => {
                let host = self.find(host)?;
                self.pause(host)
            }
            Fault::SlowCore { host, poll_us } => self.slow_core(host, poll_us),
            Fault::Restart { host } => self.restart(host),
            Fault::RollingRestart { domain } => self.rolling_restart(domain),
            _ => None,
        }
    }

    /// Cuts the power of a host; its disk keeps what `keeps` says.
    pub(super) fn cut_power(&mut self, host: HostId, keeps: Keep) {
        // What a lying disk promised may be lost only while everybody else has it.
        let lies = self.hosts.with(host, |machine| machine.disk.mood().is_lying);
        let keeps = if lies && !self.may_forget(host) { Keep::Everything } else { keeps };
        let chance = &mut self.chance;
        let mut keep_sector = |share: f64| chance.ratio(share);
        match keeps {
            Keep::Nothing => self.hosts.power_off(host, CrashPlan::lose_all()),
            Keep::Everything => {
                self.hosts.power_off(host, CrashPlan { writes: Tear::Kept, directory_changes: usize::MAX });
            }
            Keep::Prefix { bytes, names } => {
                self.hosts.power_off(host, CrashPlan { writes: Tear::Bytes(bytes), directory_changes: names });
            }
            Keep::Sectors { share, names } => {
                let mut keep = |_position: usize| keep_sector(share);
                self.hosts.power_off(host, CrashPlan { writes: Tear::Sectors(&mut keep), directory_changes: names });
            }
        }
    }

    /// At once after a state was seen; else, so that there is something to lose, in the middle of the next flush.
    pub(super) fn crash(mut self, host: HostId, keeps: Keep) -> Option<Undo> {
        self.hosts.node(host)?;
        let mend = self.clone().power_on_again(vec![host]);
        if self.seen.is_some() {
            self.cut_power(host, keeps);
            return Some(mend);
        }
        let flush = self.hosts.with(host, |machine| machine.disk.next_flush());
        let doing = async move {
            let _flush_or_time = comity_runtime::timeout(FLUSH_WAIT, flush).await;
            comity_runtime::sleep(Duration::from_micros(self.chance.below(FLUSH_US))).await;
            if self.hosts.node(host).is_some() {
                let pending = self.hosts.with(host, |machine| machine.disk.below().pending_changes());
                self.hosts.mark(if pending > 0 { "crash:in-a-flush" } else { "crash:between-flushes" });
                self.cut_power(host, keeps);
            }
        };
        Some(Act::meanwhile(doing, mend))
    }

    fn power_on_again(self, down: Vec<HostId>) -> Undo {
        Box::new(move || {
            for host in down {
                if self.hosts.node(host).is_none() {
                    self.hosts.power_on(host);
                }
            }
        })
    }

    pub(super) fn site_outage(mut self, domain: usize, keeps: Keep) -> Option<Undo> {
        let site = self.hosts.domains().get(domain)?.hosts.clone();
        let down: Vec<HostId> = site.into_iter().filter(|host| self.hosts.node(*host).is_some()).collect();
        for host in &down {
            self.cut_power(*host, keeps);
        }
        (!down.is_empty()).then(|| self.power_on_again(down))
    }

    /// The process dies; its supervisor starts it when the fault ends.
    pub(super) fn kill(self, host: HostId) -> Option<Undo> {
        self.hosts.node(host)?;
        self.hosts.give_up(host);
        self.hosts.kill_process(host);
        Some(self.power_on_again(vec![host]))
    }

    /// Power cuts at a drawn moment of every start until the fault ends.
    pub(super) fn start_crash(mut self, host: HostId, after_ms: u64) -> Option<Undo> {
        self.hosts.node(host)?;
        self.cut_power(host, Keep::Nothing);
        let mut act = self.clone();
        let doing = async move {
            loop {
                comity_runtime::sleep(MACHINE_START).await;
                act.hosts.power_on(host);
                comity_runtime::sleep(Duration::from_micros(1 + act.chance.below(after_ms * 1_000))).await;
                let share = act.chance.below(101) as f64 / 100.0;
                act.cut_power(host, Keep::Sectors { share, names: usize::MAX });
            }
        };
        let mend = self.power_on_again(vec![host]);
        Some(Act::meanwhile(doing, mend))
    }

    pub(super) fn pause(self, host: HostId) -> Option<Undo> {
        self.hosts.node(host)?;
        self.hosts.universe.pause(host, self.until);
        Some(Box::new(move || self.hosts.universe.pause(host, 0)))
    }

    pub(super) fn slow_core(self, host: HostId, poll_us: u64) -> Option<Undo> {
        self.exists(host)?;
        self.hosts.universe.set_poll_cost(host, poll_us * 1_000);
        Some(Box::new(move || self.hosts.universe.set_poll_cost(host, 0)))
    }

    /// Asks the node to stop; started again when the fault ends.
    pub(super) fn restart(self, host: HostId) -> Option<Undo> {
        self.hosts.node(host)?;
        let hosts = self.hosts.clone();
        let doing = async move { hosts.stop(host).await };
        let hosts = self.hosts;
        Some(Act::meanwhile(doing, move || {
            // A node that has not stopped yet is killed, as a supervisor does whose patience ended.
            hosts.kill_process(host);
            hosts.power_on(host);
        }))
    }

    /// One node after the other is stopped and started, until the fault ends.
    pub(super) fn rolling_restart(self, domain: usize) -> Option<Undo> {
        let site = self.hosts.domains().get(domain)?.hosts.clone();
        let hosts = self.hosts.clone();
        let members = site.clone();
        let doing = async move {
            for host in members {
                if hosts.node(host).is_some() {
                    hosts.stop(host).await;
                    comity_runtime::sleep(ROLL_DOWN).await;
                    hosts.power_on(host);
                    comity_runtime::sleep(ROLL_EVERY).await;
                }
            }
        };
        let hosts = self.hosts;
        Some(Act::meanwhile(doing, move || {
            for host in site {
                if hosts.with(host, |machine| !machine.is_wanted) {
                    hosts.kill_process(host);
                    hosts.power_on(host);
                }
            }
        }))
    }
}
