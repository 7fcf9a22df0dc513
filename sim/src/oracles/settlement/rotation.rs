//! Keys change and nobody notices who need not.

use std::collections::BTreeMap;

use comity_ledger::Outcome;
use comity_node::mesh::Standing;
use comity_proto::ids::{DomainId, PublicKey};

use crate::{
    faults::Fault,
    oracles::{Oracle, View},
};

/// What was judged: entries while somebody's key changed, and domains whose keys everybody knows at the end.
pub(super) struct Unnoticed {
    judged: [(&'static str, u64); 2],
}

impl Default for Unnoticed {
    fn default() -> Unnoticed {
        Unnoticed { judged: [("keys:entries-judged", 0), ("keys:seen-by-all", 0)] }
    }
}

impl Oracle for Unnoticed {
    fn name(&self) -> &'static str {
        "keys-change-unnoticed"
    }

    fn claim(&self) -> &'static str {
        "while keys change no word of an honest voter is refused, and in the end every peer knows the newest keys alone"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        if !rotates_honestly(view) {
            return Ok(());
        }
        for apply in &view.seen.fresh.applies {
            if apply.outcomes.contains(&Outcome::NotAVoter) {
                return Err(format!("entry {} of domain {} refuses an honest voter", apply.index, apply.domain));
            }
        }
        self.judged[0].1 += view.seen.fresh.applies.len() as u64;
        named(view)?;
        let certified = view.hosts.nodes().into_iter().map(|(host, node)| (host, node.mesh().neighbours()));
        for (host, neighbours) in certified {
            if let Some(other) = neighbours.iter().find(|other| is_refused(&other.standing)) {
                return Err(format!("host {host} refuses the certificate of {}: {:?}", other.node, other.standing));
            }
        }
        Ok(())
    }

    fn audit(&mut self, view: &View<'_>) -> Result<(), String> {
        self.look(view)?;
        if !rotates_honestly(view) {
            return Ok(());
        }
        for (host, node) in view.hosts.nodes() {
            let (unseen, doubled) = node.replica().read_stale(|ledger, _| {
                let domain = ledger.domain();
                let nodes = domain.into_iter().flat_map(|domain| domain.nodes.values());
                let operator = domain.map(|domain| &domain.operator);
                let mut records = nodes.chain(operator);
                let root = domain.map(|domain| (domain.root.next, domain.root.before(ledger.stamp_ms())));
                let is_doubled = root.is_some_and(|(next, before)| next.is_some() || before.is_some())
                    || records.any(|record| record.next.is_some() || record.before.is_some());
                (ledger.keys_not_seen(), is_doubled)
            });
            if !unseen.iter().all(Vec::is_empty) {
                return Err(format!("host {host} knows peers that have not seen its keys: {unseen:?}"));
            }
            if doubled {
                return Err(format!("host {host} knows a rotation that has not ended"));
            }
            self.judged[1].1 += 1;
        }
        Ok(())
    }

    fn judged(&self) -> &[(&'static str, u64)] {
        &self.judged
    }
}

/// Every node that runs signs with a key that its domain's newest roster names: another domain refuses all others.
fn named(view: &View<'_>) -> Result<(), String> {
    let nodes = view.hosts.nodes();
    let mut newest: BTreeMap<DomainId, (u64, Vec<PublicKey>)> = BTreeMap::new();
    for (_, node) in &nodes {
        let roster = node.replica().read_stale(|ledger, _| {
            ledger.domain().map(|domain| (domain.id, (domain.roster_epoch, domain.voters.clone())))
        });
        if let Some((domain, roster)) = roster {
            let known = newest.entry(domain).or_insert_with(|| roster.clone());
            *known = roster.max(known.clone());
        }
    }
    for (host, node) in &nodes {
        let key = node.key().public();
        if let Some((epoch, voters)) = newest.get(&node.domain()).filter(|(_, voters)| !voters.contains(&key)) {
            return Err(format!("host {host} runs with a key that is none of the {} of roster {epoch}", voters.len()));
        }
    }
    Ok(())
}

fn is_refused(standing: &Standing) -> bool {
    matches!(standing, Standing::Stranger { refused: Some(_), .. })
}

/// Whether keys change, and nobody lies or is taken out of its domain.
fn rotates_honestly(view: &View<'_>) -> bool {
    let mut faults = view.plan.faults.iter().map(|planned| &planned.fault);
    let rotates = |fault: &Fault| {
        matches!(fault, Fault::RotateOperator { .. } | Fault::RotateNode { .. } | Fault::RotateRoot { .. })
    };
    let spoils = |fault: &Fault| {
        matches!(fault, Fault::Adversary { .. } | Fault::Corrupt { .. }) || fault.takes_disk_of().is_some()
    };
    faults.clone().any(rotates) && !faults.any(spoils)
}
