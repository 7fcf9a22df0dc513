//! What operators do about treaties, while money is on its way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use comity_node::service::peers::Change;

use super::{Act, Undo, nothing};
use crate::hosts::Hosts;

/// Before an operator whose node was away tries again.
const AGAIN: Duration = Duration::from_millis(500);
/// How soon an operator sees that it may resume.
const LOOK: Duration = Duration::from_millis(100);

impl Act {
    /// One side suspends, or both at once; each resumes when the fault ends, and never before its first word is answered:
    /// an operator who says two things at once cannot know which of them stands.
    pub(super) fn suspend_treaty(self, domain: usize, peer: usize, both: bool) -> Option<Undo> {
        let sides = self.sides(domain, peer)?;
        let over = Arc::new(AtomicBool::new(false));
        for side in sides.into_iter().take(if both { 2 } else { 1 }) {
            let (hosts, over) = (self.hosts.clone(), over.clone());
            comity_runtime::spawn(async move {
                until_done(hosts.clone(), side, Change::Suspend).await;
                while !over.load(Ordering::Relaxed) {
                    comity_runtime::sleep(LOOK).await;
                }
                until_done(hosts, side, Change::Resume).await;
            });
        }
        Some(Box::new(move || over.store(true, Ordering::Relaxed)))
    }

    /// One side takes part no more, for good.
    pub(super) fn drain_treaty(self, domain: usize, peer: usize) -> Option<Undo> {
        let [side, _] = self.sides(domain, peer)?;
        comity_runtime::spawn(until_done(self.hosts.clone(), side, Change::Drain));
        Some(nothing())
    }

    fn sides(&self, domain: usize, peer: usize) -> Option<[(usize, usize); 2]> {
        let known = self.hosts.domains().len();
        (domain != peer && domain < known && peer < known).then_some([(domain, peer), (peer, domain)])
    }
}

async fn until_done(hosts: Hosts, (domain, peer): (usize, usize), change: Change) {
    while !hosts.change_treaty(domain, peer, change).await {
        comity_runtime::sleep(AGAIN).await;
    }
    hosts.mark(match change {
        Change::Resume => "operator:resumed",
        Change::Drain => "operator:drained",
        _ => "operator:suspended",
    });
}
