//! Faults of links.

use std::{collections::BTreeSet, time::Duration};

use super::{super::Fault, Act, Undo, nothing};
use crate::{
    hosts::Hosts,
    net::LinkState,
    world::{HostId, TimeNs},
};

type Ways = Vec<(HostId, HostId)>;

/// Between two looks at who leads.
const LOOK: Duration = Duration::from_millis(200);

impl Act {
    pub(super) fn network(self, fault: &Fault) -> Option<Undo> {
        let count = self.hosts.count();
        match fault.clone() {
            Fault::Partition { side } => self.block(between(count, |host| side.contains(&host))),
            Fault::Isolate { host } => {
                let host = host.find(&self.hosts, self.seen.as_ref())?;
                self.block(of(count, host))
            }
            Fault::SplitDomains { side } => {
                let domain = |host| self.hosts.with(host, |machine| machine.domain);
                let ways = between(count, |host| side.contains(&domain(host)));
                self.block(ways)
            }
            Fault::Bridge { bridge, side } => {
                let mut ways = between(count, |host| side.contains(&host));
                ways.retain(|(from, to)| *from != bridge && *to != bridge);
                self.block(ways)
            }
            Fault::OneWay { from, to } => self.block(vec![(from, to)]),
            Fault::LeaderCut { domain } => self.leader_cut(domain),
            Fault::CutBetween { one, other } => {
                let one = one.find(&self.hosts, self.seen.as_ref())?;
                let other = other.find(&self.hosts, self.seen.as_ref())?;
                let domain = |host| self.hosts.domain_of(host).hosts.clone();
                let (some, others) = (domain(one), domain(other));
                let ways = some.iter().flat_map(|a| others.iter().flat_map(|b| [(*a, *b), (*b, *a)]));
                self.block(ways.filter(|(a, b)| a != b).collect())
            }
            Fault::Flap { one, other, every_ms } => Some(self.flap(one, other, every_ms)),
            Fault::Swizzle { clog, free } => (!clog.is_empty()).then(|| self.swizzle(clog, free)),
            Fault::Clog { from, to, bytes_per_s } => Some(self.clog(vec![(from, to)], bytes_per_s)),
            Fault::Spike { host, extra_ms } => Some(self.slower(of(count, host), extra_ms)),
            Fault::SlowPair { one, other, extra_ms } => Some(self.slower(vec![(one, other), (other, one)], extra_ms)),
            Fault::Loss { host, share } => {
                Some(self.change(of(count, host), move |link| link.loss = share, |link| link.loss = 0.0))
            }
            Fault::SplitReads { host, share } => {
                Some(self.change(of(count, host), move |link| link.split = share, |link| link.split = 0.0))
            }
            Fault::Corrupt { from, to, share } => {
                Some(self.change(vec![(from, to)], move |link| link.corrupt = share, |link| link.corrupt = 0.0))
            }
            Fault::Reset { one, other } => (self.hosts.network.reset(one, other) > 0).then(nothing),
            Fault::BlackHole { host } => Some(self.change(
                of(count, host),
                |link| link.swallowed += 1,
                |link| link.swallowed = link.swallowed.saturating_sub(1),
            )),
            _ => None,
        }
    }

    /// `None` when nobody is on one of the sides.
    fn block(self, ways: Ways) -> Option<Undo> {
        if ways.is_empty() {
            return None;
        }
        let hosts = self.hosts;
        block(&hosts, &ways);
        Some(Box::new(move || unblock(&hosts, &ways)))
    }

    fn change(self, ways: Ways, make: impl Fn(&mut LinkState), mend: impl Fn(&mut LinkState) + Send + 'static) -> Undo {
        let hosts = self.hosts;
        for (from, to) in &ways {
            hosts.network.change(*from, *to, |_, link, _| make(link));
        }
        Box::new(move || {
            for (from, to) in ways {
                hosts.network.change(from, to, |_, link, _| mend(link));
            }
        })
    }

    fn clog(self, ways: Ways, bytes_per_s: u64) -> Undo {
        let hosts = self.hosts;
        for (from, to) in &ways {
            hosts.network.change(*from, *to, |_, link, _| link.clogged = bytes_per_s);
        }
        Box::new(move || {
            for (from, to) in ways {
                hosts.network.change(from, to, |now, link, _| link.unclog(now));
            }
        })
    }

    fn slower(self, ways: Ways, extra_ms: u64) -> Undo {
        let extra_us = extra_ms * 1_000;
        self.change(
            ways,
            move |link| link.extra_us += extra_us,
            move |link| link.extra_us = link.extra_us.saturating_sub(extra_us),
        )
    }

    /// Whoever leads is cut off, and when another one leads, that one instead.
    fn leader_cut(self, domain: usize) -> Option<Undo> {
        let first = self.hosts.leader_of(domain)?;
        let (hosts, count) = (self.hosts.clone(), self.hosts.count());
        let cut = std::sync::Arc::new(parking_lot::Mutex::new(first));
        block(&hosts, &of(count, first));
        let (moving, follow) = (cut.clone(), hosts.clone());
        let doing = async move {
            loop {
                comity_runtime::sleep(LOOK).await;
                let now = follow.leader_of(domain);
                let old = *moving.lock();
                if let Some(now) = now.filter(|now| *now != old) {
                    unblock(&follow, &of(count, old));
                    block(&follow, &of(count, now));
                    *moving.lock() = now;
                }
            }
        };
        Some(Act::meanwhile(doing, move || unblock(&hosts, &of(count, *cut.lock()))))
    }

    fn flap(mut self, one: HostId, other: HostId, every_ms: u64) -> Undo {
        let ways = vec![(one, other), (other, one)];
        let is_down = std::sync::Arc::new(parking_lot::Mutex::new(false));
        let (hosts, own, down) = (self.hosts.clone(), ways.clone(), is_down.clone());
        let doing = async move {
            loop {
                let was_down = std::mem::replace(&mut *down.lock(), true);
                if !was_down {
                    block(&hosts, &own);
                }
                comity_runtime::sleep(Duration::from_millis(1 + self.chance.tail(every_ms))).await;
                if std::mem::take(&mut *down.lock()) {
                    unblock(&hosts, &own);
                }
                comity_runtime::sleep(Duration::from_millis(1 + self.chance.tail(every_ms))).await;
            }
        };
        let hosts = self.hosts.clone();
        Act::meanwhile(doing, move || {
            if std::mem::take(&mut *is_down.lock()) {
                unblock(&hosts, &ways);
            }
        })
    }

    /// One after the other is cut off during the first half, one after the other is freed during the second.
    fn swizzle(self, clog: Vec<HostId>, free: Vec<HostId>) -> Undo {
        let count = self.hosts.count();
        let now = self.hosts.universe.now();
        let steps = (clog.len() + free.len()).max(1) as TimeNs;
        let step = Duration::from_nanos(self.until.saturating_sub(now) / (steps + 1));
        let cut: std::sync::Arc<parking_lot::Mutex<BTreeSet<HostId>>> = std::sync::Arc::default();
        let (hosts, shared) = (self.hosts.clone(), cut.clone());
        let doing = async move {
            for host in clog {
                if shared.lock().insert(host) {
                    block(&hosts, &of(count, host));
                }
                comity_runtime::sleep(step).await;
            }
            for host in free {
                if shared.lock().remove(&host) {
                    unblock(&hosts, &of(count, host));
                }
                comity_runtime::sleep(step).await;
            }
        };
        let hosts = self.hosts;
        Act::meanwhile(doing, move || {
            for host in std::mem::take(&mut *cut.lock()) {
                unblock(&hosts, &of(count, host));
            }
        })
    }
}

/// All ways between those that are on the side and those that are not.
fn between(count: HostId, is_on_side: impl Fn(HostId) -> bool) -> Ways {
    let sides: Vec<bool> = (0..count).map(is_on_side).collect();
    pairs(count).filter(|(from, to)| sides[*from as usize] != sides[*to as usize]).collect()
}

/// All ways to and from a host.
fn of(count: HostId, host: HostId) -> Ways {
    pairs(count).filter(|(from, to)| *from == host || *to == host).collect()
}

fn pairs(count: HostId) -> impl Iterator<Item = (HostId, HostId)> {
    (0..count).flat_map(move |from| (0..count).filter(move |to| *to != from).map(move |to| (from, to)))
}

fn block(hosts: &Hosts, ways: &[(HostId, HostId)]) {
    for (from, to) in ways {
        hosts.network.change(*from, *to, |_, link, _| link.block());
    }
}

fn unblock(hosts: &Hosts, ways: &[(HostId, HostId)]) {
    for (from, to) in ways {
        hosts.network.change(*from, *to, |now, link, chance| {
            link.unblock(now, chance);
        });
    }
}
