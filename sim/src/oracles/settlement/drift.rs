//! Drift is shown where there is some, and nowhere else.

use comity_node::service::drift::list;
use comity_proto::ids::DomainId;

use crate::{
    oracles::{Oracle, View},
    world::TimeNs,
};

/// From a forced mismatch until both sides show it, and from its end until neither does. A comparison every five seconds,
/// and one more after a repair.
const SHOWN_WITHIN: TimeNs = 15_000_000_000;
const SECOND: TimeNs = 1_000_000_000;

/// Nobody who did nothing wrong is said to have drifted.
#[derive(Default)]
pub(super) struct NoFalseDrift {
    next: TimeNs,
    /// When somebody was fenced last.
    fenced: Option<TimeNs>,
    judged: [(&'static str, u64); 1],
}

impl Oracle for NoFalseDrift {
    fn name(&self) -> &'static str {
        "no-false-drift"
    }

    fn claim(&self) -> &'static str {
        "treaty partners whose disks kept what was flushed are never said to disagree about each other"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        // A domain whose disks lost what they had flushed may really have forgotten something.
        if !(0..view.hosts.count()).all(|host| view.keeps_its_disk(host)) {
            return Ok(());
        }
        // So has a restored one, until its peers have told it.
        if view.seen.fenced().next().is_some() {
            self.fenced = Some(view.now);
        }
        if self.fenced.is_some_and(|at| view.now < at + SHOWN_WITHIN) {
            return Ok(());
        }
        let is_second = view.now >= self.next;
        if is_second {
            self.next = view.now + SECOND;
        }
        for (host, node) in view.hosts.nodes() {
            for peer in list(&node) {
                if !peer.drift.is_empty() {
                    return Err(format!("host {host} holds {} for drifted: {:?}", peer.nickname, peer.drift));
                }
                let is_fresh = peer.judged_ms.is_some_and(|ms| ms * 1_000_000 <= SHOWN_WITHIN);
                if is_second && is_fresh {
                    self.judged[0].0 = "drift:seconds-judged";
                    self.judged[0].1 += 1;
                }
            }
        }
        Ok(())
    }

    fn judged(&self) -> &[(&'static str, u64)] {
        &self.judged
    }
}

/// A domain that has forgotten is found out, and pardoned when it remembers.
#[derive(Default)]
pub(super) struct DriftShown {
    judged: [(&'static str, u64); 2],
}

impl Oracle for DriftShown {
    fn name(&self) -> &'static str {
        "drift-is-shown"
    }

    fn claim(&self) -> &'static str {
        "fifteen seconds after a domain came back with an older copy every node of both sides shows it, none begins a \
         transfer to the other meanwhile, and fifteen seconds after the newest copy is back nobody shows it"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for host in 0..view.hosts.count() {
            let (is_older, exchanged) = view.hosts.with(host, |machine| (machine.is_older, machine.exchanged));
            let Some(at) = exchanged.filter(|at| view.now >= at + SHOWN_WITHIN) else { continue };
            let drifted = view.hosts.domain_of(host).id();
            self.judge(view, drifted, is_older)?;
            if is_older {
                quarantined(view, drifted, at + SHOWN_WITHIN)?;
            }
        }
        Ok(())
    }

    fn judged(&self) -> &[(&'static str, u64)] {
        &self.judged
    }
}

impl DriftShown {
    fn judge(&mut self, view: &View<'_>, drifted: DomainId, is_older: bool) -> Result<(), String> {
        let place = usize::from(is_older);
        for (host, node) in view.hosts.nodes() {
            let own = node.domain();
            for peer in list(&node).into_iter().filter(|peer| own == drifted || peer.domain == drifted) {
                if is_older == peer.drift.is_empty() {
                    let how = if is_older { "shows no drift of" } else { "still shows drift of" };
                    return Err(format!("host {host} {how} {}: {:?}, {:?}", peer.nickname, peer.drift, peer.unjudged));
                }
                self.judged[place].0 = ["drift:over", "drift:shown"][place];
                self.judged[place].1 += 1;
            }
        }
        Ok(())
    }
}

/// The others begin nothing with whom they know to have drifted. What the older copy's own log says is not asked: it goes
/// its own way.
fn quarantined(view: &View<'_>, drifted: DomainId, since: TimeNs) -> Result<(), String> {
    for (key, deal) in view.seen.deals.touched() {
        let begun = deal.begun.iter().find(|begun| begun.at >= since && begun.by != drifted);
        if begun.is_some_and(|begun| begun.what.recipient.domain == drifted) {
            return Err(format!("{} began although its payee's domain has drifted", super::named(view, key)));
        }
    }
    Ok(())
}
