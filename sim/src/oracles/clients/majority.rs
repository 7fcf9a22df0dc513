//! An answer means: on the disks of a majority.

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
                held || !view.keeps_its_disk(**host)
            };
            let count = hosts.iter().filter(holds).count();
            if count > hosts.len() / 2 {
                return Ok(());
            }
            let (request, all) = (call.operation.request_id, hosts.len());
            Err(format!("request {request} was answered with entry {log_index}, which stands in {count} of {all} logs"))
        })
    }
}
