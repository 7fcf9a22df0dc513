//! Faults of membership and of what people do.

use std::time::Duration;

use super::{super::Fault, Act, Undo, nothing};
use crate::{workload::Mood, world::HostId};

/// Longest that a leader of a churning domain stands still: longer than any election takes.
const CHURN_PAUSE_MS: u64 = 4_000;
/// Between two looks whether a removed voter is gone.
const LOOK: Duration = Duration::from_millis(500);

impl Act {
    /// As planned maintenance: stopped, removed, joined again under another name.
    pub(super) fn replace_voter(self, host: HostId) -> Option<Undo> {
        self.hosts.node(host)?;
        if !self.claim_damage(host) {
            return None;
        }
        comity_runtime::spawn(async move {
            self.hosts.stop(host).await;
            self.replace(host);
        });
        Some(nothing())
    }

    /// Removed while it runs and is not told; what it still does must not hurt. Joins again when the fault ends.
    pub(super) fn remove_voter(self, host: HostId) -> Option<Undo> {
        self.hosts.node(host)?;
        if !self.claim_damage(host) {
            return None;
        }
        let (hosts, id) = (self.hosts.clone(), self.hosts.with(host, |machine| machine.raft_id()));
        let domain = hosts.with(host, |machine| machine.domain);
        let doing = async move {
            loop {
                if let Some(node) = hosts.leader_of(domain).and_then(|leader| hosts.node(leader)) {
                    let status = node.replica().status();
                    if status.voters.iter().all(|member| member.id != id) {
                        return;
                    }
                    // Asked again until the status tells that it is done.
                    let _told_by_the_status = node.replica().remove(id).await;
                }
                comity_runtime::sleep(LOOK).await;
            }
        };
        Some(Act::meanwhile(doing, move || {
            self.hosts.give_up(host);
            self.hosts.kill_process(host);
            self.replace(host);
        }))
    }

    /// Goes on until it is done, whatever happens meanwhile.
    pub(super) fn rotate_operator(self, domain: usize) -> Option<Undo> {
        self.hosts.domains().get(domain)?;
        comity_runtime::spawn(async move { self.hosts.rotate_operator(domain).await });
        Some(nothing())
    }

    /// The same for a domain's root key.
    pub(super) fn rotate_root(self, domain: usize) -> Option<Undo> {
        self.hosts.domains().get(domain)?;
        comity_runtime::spawn(async move { self.hosts.rotate_root(domain).await });
        Some(nothing())
    }

    /// The same for the key of a node.
    pub(super) fn rotate_node(self, host: HostId) -> Option<Undo> {
        self.exists(host)?;
        comity_runtime::spawn(async move { self.hosts.rotate_node(host).await });
        Some(nothing())
    }

    pub(super) fn snapshot(self, host: HostId) -> Option<Undo> {
        let node = self.hosts.node(host)?;
        self.hosts.universe.spawn_on(host, async move {
            // A stopped replica makes none.
            let _stopped = node.replica().snapshot_now().await;
        });
        Some(nothing())
    }

    /// Leader after leader stands still until it leads no more.
    pub(super) fn churn(mut self, domain: usize, every_ms: u64) -> Option<Undo> {
        self.hosts.domains().get(domain)?;
        let hosts = self.hosts.clone();
        let doing = async move {
            loop {
                if let Some(leader) = self.hosts.leader_of(domain) {
                    let now = self.hosts.universe.now();
                    let for_ms = 500 + self.chance.below(CHURN_PAUSE_MS);
                    self.hosts.universe.pause(leader, now + for_ms * 1_000_000);
                }
                comity_runtime::sleep(Duration::from_millis(500 + self.chance.tail(every_ms))).await;
            }
        };
        Some(Act::meanwhile(doing, move || {
            for host in hosts.domains().get(domain).map(|known| known.hosts.clone()).unwrap_or_default() {
                hosts.universe.pause(host, 0);
            }
        }))
    }

    pub(super) fn mood(self, fault: &Fault) -> Undo {
        let fault = fault.clone();
        let change = move |mood: &mut Mood, is_on: bool| match &fault {
            Fault::Burst { factor } => mood.rate = if is_on { f64::from((*factor).max(1)) } else { 1.0 },
            Fault::HotAccount {} => mood.is_hot = is_on,
            Fault::Idle {} => mood.is_idle = is_on,
            _ => mood.is_silent = is_on,
        };
        self.hosts.set_mood(|mood| change(mood, true));
        Box::new(move || self.hosts.set_mood(|mood| change(mood, false)))
    }
}
