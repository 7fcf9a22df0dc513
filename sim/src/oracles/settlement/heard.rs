//! A word about a treaty is heard.

use std::collections::BTreeMap;

use comity_ledger::EventKind;
use comity_proto::ids::DomainId;

use crate::{
    faults::Fault,
    hosts::Restore,
    oracles::{Oracle, View},
    plan::PlannedFault,
    world::TimeNs,
};

/// From one log to every node of the other domain.
const WITHIN_MS: u64 = 2_000;
/// How long a fault is felt after its end: connections come back, somebody is elected.
const AFTER_MS: u64 = 5_000;

/// Words that not everybody has heard: who says it to whom with its serial, and when it stood in the log.
#[derive(Default)]
pub(super) struct Heard {
    open: BTreeMap<(usize, DomainId), (u64, TimeNs)>,
    judged: [(&'static str, u64); 1],
}

impl Oracle for Heard {
    fn name(&self) -> &'static str {
        "treaty-words-are-heard"
    }

    fn claim(&self) -> &'static str {
        "two seconds after a domain changed a treaty every node of both domains knows, while nothing is broken"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for domain in 0..view.seen.stories.len() {
            for event in view.seen.new_events(domain) {
                if let EventKind::TreatyChanged { peer, by_us: true, serial, .. } = event.kind {
                    let at = view.seen.stories[domain].entry(event.log_index).map_or(view.now, |told| told.at);
                    self.open.insert((domain, peer), (serial, at));
                }
            }
        }
        let is_due = |at: TimeNs| view.now >= at + WITHIN_MS * 1_000_000;
        let due: Vec<_> =
            self.open.iter().filter(|(_, (_, at))| is_due(*at)).map(|(key, said)| (*key, *said)).collect();
        for ((domain, peer), (serial, at)) in due {
            self.open.remove(&(domain, peer));
            if is_calm(view, at / 1_000_000) {
                judge(view, domain, peer, serial)?;
                self.judged[0].0 = "treaty:heard-in-time";
                self.judged[0].1 += 1;
            }
        }
        Ok(())
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.open.retain(|(domain, _), _| *domain != restore.domain);
        Ok(())
    }

    fn judged(&self) -> &[(&'static str, u64)] {
        &self.judged
    }
}

fn judge(view: &View<'_>, domain: usize, peer: DomainId, serial: u64) -> Result<(), String> {
    let own = view.seen.ids()[domain];
    for (host, node) in view.hosts.nodes() {
        let here = node.domain();
        let knows = |other: DomainId, by_us: bool| {
            node.replica().read_stale(|ledger, _| {
                ledger
                    .treaty(&other)
                    .is_some_and(|treaty| serial <= if by_us { treaty.ours.serial } else { treaty.theirs.serial })
            })
        };
        if (here == own && !knows(peer, true)) || (here == peer && !knows(own, false)) {
            return Err(format!("host {host} has not heard word {serial} of {own} about its treaty with {peer}"));
        }
    }
    Ok(())
}

/// Whether nothing but what people do was done to anybody from a while before `at_ms` until now.
fn is_calm(view: &View<'_>, at_ms: u64) -> bool {
    let now_ms = view.now / 1_000_000;
    let by_people = |fault: &Fault| {
        matches!(
            fault,
            Fault::SuspendTreaty { .. }
                | Fault::DrainTreaty { .. }
                | Fault::RevokeTreaty { .. }
                | Fault::SuspendLicence { .. }
                | Fault::WithdrawExports { .. }
                | Fault::RotateOperator { .. }
                | Fault::RotateRoot { .. }
                | Fault::Burst { .. }
                | Fault::HotAccount {}
                | Fault::Idle {}
                | Fault::Silence {}
        )
    };
    // One that waits for a state begins nobody knows when.
    let ends_ms = |planned: &PlannedFault| match planned.when {
        Some(_) => view.plan.scenario.phases.heal_at_ms(),
        None => planned.at_ms.saturating_add(planned.for_ms),
    };
    let is_felt = |planned: &&PlannedFault| {
        !by_people(&planned.fault) && planned.at_ms <= now_ms && ends_ms(planned).saturating_add(AFTER_MS) >= at_ms
    };
    view.plan.faults.iter().find(is_felt).is_none()
}
