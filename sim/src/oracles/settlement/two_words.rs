//! Whoever signs two decisions is caught by them.

use std::collections::BTreeMap;

use comity_ledger::{EventKind, Outcome};
use comity_proto::{
    envelope::Signed as _,
    ids::{DomainId, Hash, TransferId},
    settlement::{SettlementBatch, SettlementMessage},
};

use super::{each_decision, named};
use crate::{
    hosts::Restore,
    oracles::{Oracle, Phase, View},
};

/// What each domain has of each peer's proof: the transfer, and the digests of the two batches.
#[derive(Default)]
pub(super) struct TwoWords {
    proofs: BTreeMap<(usize, DomainId), (TransferId, Hash, Hash)>,
    judged: [(&'static str, u64); 1],
}

impl Oracle for TwoWords {
    fn name(&self) -> &'static str {
        "two-decisions-are-proof"
    }

    fn claim(&self) -> &'static str {
        "a domain that is told both commit and abort of one transfer, both signed, keeps both as proof, says so, and where \
         nodes are witnesses all know it in the end; nobody else is accused"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for domain in 0..view.seen.stories.len() {
            for event in view.seen.new_events(domain) {
                if let EventKind::PeerEquivocated { peer, transfer, first, second } = event.kind {
                    self.proofs.insert((domain, peer), (transfer, first, second));
                }
            }
            self.heard(view, domain)?;
        }
        if view.phase == Phase::Audit {
            for ((domain, peer), proof) in &self.proofs {
                proves(view, *domain, peer, proof)?;
            }
        }
        self.told(view)
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.proofs.retain(|(domain, _), _| *domain != restore.domain);
        Ok(())
    }

    fn judged(&self) -> &[(&'static str, u64)] {
        &self.judged
    }
}

impl TwoWords {
    /// What operators are shown: no proof against anybody who was not caught; in the end the same one everywhere.
    fn told(&self, view: &View<'_>) -> Result<(), String> {
        let accused = view.history.accused();
        let was_caught = |domain: &DomainId| self.proofs.keys().any(|(_, liar)| liar == domain);
        if let Some((host, domain)) = accused.iter().find(|(_, domain)| !was_caught(domain)) {
            return Err(format!("host {host} accuses {domain}, whom nobody caught"));
        }
        let is_end = view.phase == Phase::Audit && view.everything_is_healed() && view.plan.scenario.witnesses;
        for (_, liar) in self.proofs.keys().filter(|_| is_end) {
            let deaf = view.hosts.nodes().into_iter().find(|(host, _)| !accused.contains(&(*host, *liar)));
            if let Some((host, _)) = deaf {
                return Err(format!("host {host} was never told that {liar} signed two decisions"));
            }
        }
        Ok(())
    }

    /// Decisions that stand in new entries against the end that was posted.
    fn heard(&mut self, view: &View<'_>, domain: usize) -> Result<(), String> {
        let own = view.seen.ids()[domain];
        each_decision(view, domain, |batch, decision, outcome| {
            let from = batch.get().from;
            let deal = view.seen.deals.all().find(|(key, _)| **key == (from, decision.transfer));
            let posted = deal.and_then(|(_, deal)| deal.finished.iter().find(|step| step.by == own));
            let contradicts = posted.is_some_and(|step| step.what.0 != decision.commit);
            // Who is no voter of the origin has said nothing.
            if !contradicts || !matches!(outcome, Outcome::Applied | Outcome::Exists | Outcome::Equivocation) {
                return Ok(());
            }
            if *outcome != Outcome::Equivocation || !self.proofs.contains_key(&(domain, from)) {
                let told = named(view, &(from, decision.transfer));
                return Err(format!("{told} was decided in two ways, and domain {domain} made nothing of it"));
            }
            self.judged[0].0 = "equivocation:proved";
            self.judged[0].1 += 1;
            Ok(())
        })
    }
}

/// Both batches are kept, carry valid signatures of the peer's voters, and contradict each other.
fn proves(
    view: &View<'_>,
    domain: usize,
    peer: &DomainId,
    (transfer, first, second): &(TransferId, Hash, Hash),
) -> Result<(), String> {
    let hosts = view.hosts.domains()[domain].hosts.clone();
    for node in hosts.iter().filter_map(|host| view.hosts.node(*host)) {
        let word = |digest: &Hash| {
            let kept = node.replica().events().evidence(digest).ok().flatten()?;
            let batch = SettlementBatch::open(&kept).ok().filter(|batch| batch.get().from == *peer)?;
            batch.get().messages.iter().find_map(|message| match message {
                SettlementMessage::Decision(decision) if decision.transfer == *transfer => Some(decision.commit),
                _ => None,
            })
        };
        if word(first).zip(word(second)).is_none_or(|(one, other)| one == other) {
            return Err(format!(
                "domain {domain} says that {peer} signed two decisions, and its evidence does not show it"
            ));
        }
    }
    Ok(())
}
