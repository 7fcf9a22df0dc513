//! What operators do about treaties, licences and exports, while money is on its way and cards spread.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use comity_node::service::peers::Change;
use comity_proto::licence::LicenceStatus;

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
        let ends: Vec<Undo> = sides
            .into_iter()
            .take(if both { 2 } else { 1 })
            .map(|(domain, peer)| {
                let hosts = self.hosts.clone();
                for_a_while(move |begins| {
                    let hosts = hosts.clone();
                    let (change, mark) = match begins {
                        true => (Change::Suspend, "operator:suspended"),
                        false => (Change::Resume, "operator:resumed"),
                    };
                    async move { done(hosts.change_treaty(domain, peer, change).await, &hosts, mark) }
                })
            })
            .collect();
        Some(Box::new(move || ends.into_iter().for_each(|end| end())))
    }

    /// One side takes part no more, for good.
    pub(super) fn end_treaty(self, domain: usize, peer: usize, change: Change) -> Option<Undo> {
        let [side, _] = self.sides(domain, peer)?;
        comity_runtime::spawn(until_done(self.hosts.clone(), side, change));
        Some(nothing())
    }

    /// One side grants nothing until the fault ends.
    pub(super) fn suspend_licence(self, domain: usize, peer: usize) -> Option<Undo> {
        self.sides(domain, peer)?;
        let hosts = self.hosts;
        Some(for_a_while(move |begins| {
            let hosts = hosts.clone();
            let (status, mark) = match begins {
                true => (LicenceStatus::Suspended, "operator:licence-suspended"),
                false => (LicenceStatus::Active, "operator:licence-active"),
            };
            async move { done(hosts.change_licence(domain, peer, status).await, &hosts, mark) }
        }))
    }

    /// Nobody is admitted to anything until the fault ends.
    pub(super) fn withdraw_exports(self, domain: usize) -> Option<Undo> {
        self.hosts.domains().get(domain)?;
        let hosts = self.hosts;
        Some(for_a_while(move |begins| {
            let hosts = hosts.clone();
            let mark = if begins { "operator:withdrawn" } else { "operator:admitted" };
            async move { done(hosts.change_exports(domain, begins).await, &hosts, mark) }
        }))
    }

    fn sides(&self, domain: usize, peer: usize) -> Option<[(usize, usize); 2]> {
        let known = self.hosts.domains().len();
        (domain != peer && domain < known && peer < known).then_some([(domain, peer), (peer, domain)])
    }
}

/// Does something now, and its opposite when the fault has ended and not before the first was answered. What is not
/// answered is done again.
fn for_a_while<W>(doing: impl Fn(bool) -> W + Send + 'static) -> Undo
where
    W: Future<Output = bool> + Send + 'static,
{
    let over = Arc::new(AtomicBool::new(false));
    let ended = over.clone();
    comity_runtime::spawn(async move {
        while !doing(true).await {
            comity_runtime::sleep(AGAIN).await;
        }
        while !ended.load(Ordering::Relaxed) {
            comity_runtime::sleep(LOOK).await;
        }
        while !doing(false).await {
            comity_runtime::sleep(AGAIN).await;
        }
    });
    Box::new(move || over.store(true, Ordering::Relaxed))
}

/// Notes what was answered.
fn done(answered: bool, hosts: &Hosts, mark: &str) -> bool {
    if answered {
        hosts.mark(mark);
    }
    answered
}

async fn until_done(hosts: Hosts, (domain, peer): (usize, usize), change: Change) {
    while !hosts.change_treaty(domain, peer, change).await {
        comity_runtime::sleep(AGAIN).await;
    }
    hosts.mark(if change == Change::Drain { "operator:drained" } else { "operator:revoked" });
}
