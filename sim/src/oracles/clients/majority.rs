//! An answer means: on the disks of a majority.

use std::sync::Arc;

use comity_node::node::Node;

use super::Judged;
use crate::{
    oracles::{Oracle, View},
    workload::Answer,
};

/// Calls that are judged already.
#[derive(Default)]
pub(super) struct Majority {
    judged: Judged,
}

impl Oracle for Majority {
    fn name(&self) -> &'static str {
        "answered-by-majority"
    }

    fn claim(&self) -> &'static str {
        "when a client hears that something is done, its entry stands in the logs of a majority of the domain"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        let domains = view.hosts.domains();
        self.judged.each(view, |call, answer| {
            let Answer::Done { log_index, .. } = answer else { return Ok(()) };
            if *log_index == 0 {
                return Ok(());
            }
            let hosts = &domains[call.operation.domain].hosts;
            let holds = |host: &&u32| {
                let log = view.seen.logs.get(host);
                let held = log.is_some_and(|log| log.lines.contains_key(log_index) || log.sight.purged >= *log_index);
                // A leader answers before it tells how its log stands: then the log itself is asked.
                let stands = |node: Arc<Node>| node.replica().onlooker().line(*log_index).is_some();
                held || view.hosts.node(**host).is_some_and(stands) || !view.keeps_its_disk(**host)
            };
            let (count, all) = (hosts.iter().filter(holds).count(), members(view, call.operation.domain));
            if count > all / 2 {
                return Ok(());
            }
            let request = call.operation.request_id;
            Err(format!("request {request} was answered with entry {log_index}, which stands in {count} of {all} logs"))
        })
    }
}

/// How many members a domain has: a restored one begins as one, which the others join.
fn members(view: &View<'_>, domain: usize) -> usize {
    let all = view.hosts.domains()[domain].hosts.len();
    if view.seen.restores.iter().all(|restore| restore.domain != domain) {
        return all;
    }
    let leader = view.hosts.leader_of(domain).and_then(|host| view.hosts.node(host));
    leader.map_or(all, |node| node.replica().status().voters.len())
}
