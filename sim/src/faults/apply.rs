//! Doing a fault to a universe, and taking it back.

use comity_runtime::disk::memory::CrashPlan;

use super::Fault;
use crate::{
    hosts::Hosts,
    world::{HostId, TimeNs},
};

/// Takes a fault back.
pub(super) type Undo = Box<dyn FnOnce() + Send>;

/// Does `fault`, which is meant to last until `until` (universe time). `None` when it could not happen now, such as a
/// crash of a host that is down.
pub fn apply(hosts: &Hosts, fault: &Fault, until: TimeNs) -> Option<Box<dyn FnOnce() + Send>> {
    let hosts = hosts.clone();
    match fault {
        Fault::Partition { side } => {
            let across: Vec<(HostId, HostId)> =
                pairs(hosts.count()).filter(|(from, to)| side.contains(from) != side.contains(to)).collect();
            Some(block(hosts, across))
        }
        Fault::OneWay { from, to } => Some(block(hosts, vec![(*from, *to)])),
        Fault::Crash { host } => {
            let host = *host;
            hosts.node(host)?;
            hosts.power_off(host, CrashPlan::lose_all());
            Some(Box::new(move || hosts.power_on(host)))
        }
        Fault::Pause { host } => {
            let host = *host;
            hosts.universe.pause(host, until);
            Some(Box::new(move || hosts.universe.pause(host, 0)))
        }
        Fault::Drift { host, ppm } => {
            let (host, ppm) = (*host, *ppm);
            hosts.universe.set_clock(host, |now, clock| clock.drift(now, ppm));
            Some(Box::new(move || hosts.universe.set_clock(host, |now, clock| clock.drift(now, 0))))
        }
    }
}

fn pairs(count: HostId) -> impl Iterator<Item = (HostId, HostId)> {
    (0..count).flat_map(move |from| (0..count).filter(move |to| *to != from).map(move |to| (from, to)))
}

fn block(hosts: Hosts, ways: Vec<(HostId, HostId)>) -> Undo {
    for (from, to) in &ways {
        hosts.network.change(*from, *to, |_, link, _| link.block());
    }
    Box::new(move || {
        for (from, to) in ways {
            hosts.network.change(from, to, |now, link, chance| {
                link.unblock(now, chance);
            });
        }
    })
}
