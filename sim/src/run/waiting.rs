//! Who waits for what, for a universe that does not come to its end.

use std::fmt::Write;

use crate::{hosts::Hosts, workload::History};

/// Calls shown one by one; a stuck universe has many alike.
const CALLS_SHOWN: usize = 5;

/// Every host with its part, and the oldest calls without an answer.
pub(super) fn who_waits(hosts: &Hosts, history: &History) -> String {
    let now = hosts.universe.now();
    let mut text = String::new();
    for host in 0..hosts.count() {
        let tasks = hosts.universe.tasks_of(host);
        let Some(node) = hosts.node(host) else {
            let _ = writeln!(text, "host {host}: no node runs, {tasks} tasks");
            continue;
        };
        let status = comity_node::service::domain::status(&node);
        let applied = node.replica().read_stale(|_, at| at.log_index);
        let _ = writeln!(
            text,
            "host {host}: {} in term {}, applied entry {applied}, {} transfers in doubt, {tasks} tasks",
            status.role, status.term, status.in_doubt
        );
    }
    history.with(|calls| {
        let mut open: Vec<_> = calls.iter().filter(|call| call.answered.is_none()).collect();
        open.sort_by_key(|call| call.asked);
        let _ = write!(text, "{} of {} calls wait for an answer", open.len(), calls.len());
        for call in open.iter().take(CALLS_SHOWN) {
            let words = format!("{:?}", call.operation.verb);
            let verb = words.split([' ', '{', '(']).next().unwrap_or_default();
            let since_ms = (now - call.asked) / 1_000_000;
            let _ = write!(text, "\n  {verb} in domain {}, for {since_ms} ms", call.operation.domain);
        }
    });
    text
}
