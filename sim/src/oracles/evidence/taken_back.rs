//! A stolen key is worth nothing once its owner has said so.

use std::collections::BTreeMap;

use comity_node::registry::taken_back;

use crate::{
    hosts::Stolen,
    oracles::{Oracle, Phase, View},
    world::{HostId, TimeNs},
};

/// From a card on a node's shelf until its holder is judged again: the mesh is told of what the ledger trusts four times a
/// second.
const HEEDED_WITHIN: TimeNs = 1_000_000_000;

/// Since when each host, in which life, has had the word about each key.
#[derive(Default)]
pub(super) struct TakenBack {
    heard: BTreeMap<(HostId, usize), (u64, TimeNs)>,
    judged: [(&'static str, u64); 2],
}

impl Oracle for TakenBack {
    fn name(&self) -> &'static str {
        "taken-back-is-strange"
    }

    fn claim(&self) -> &'static str {
        "whoever shows a certificate that its domain has taken back is a stranger to every node which has heard so, and in \
         the end all have"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for (number, stolen) in view.hosts.stolen().iter().enumerate() {
            for (host, node) in view.hosts.nodes() {
                let domain = view.seen.ids()[stolen.domain];
                let card = node.mesh().domain_card(&domain);
                let has_heard = card.is_some_and(|entry| taken_back(entry.card.get()).contains(&stolen.serial));
                if has_heard {
                    self.heeded(view, host, number, stolen)?;
                } else if view.phase == Phase::Audit && view.everything_is_healed() && was_told(view) {
                    return Err(format!("host {host} was never told that certificate {} is taken back", stolen.serial));
                }
            }
        }
        Ok(())
    }

    fn judged(&self) -> &[(&'static str, u64)] {
        &self.judged
    }
}

impl TakenBack {
    fn heeded(&mut self, view: &View<'_>, host: HostId, number: usize, stolen: &Stolen) -> Result<(), String> {
        let boot = view.hosts.with(host, |machine| machine.boots);
        let known = self.heard.entry((host, number)).or_insert((boot, view.now));
        if known.0 != boot {
            *known = (boot, view.now);
        }
        if view.now < known.1 + HEEDED_WITHIN {
            return Ok(());
        }
        if view.phase == Phase::Audit {
            self.judged[1] = ("taken-back:heard-by-all", self.judged[1].1 + 1);
        }
        let neighbours = view.hosts.node(host).map(|node| node.mesh().neighbours()).unwrap_or_default();
        let Some(thief) = neighbours.iter().find(|other| other.node == stolen.key) else { return Ok(()) };
        if thief.standing.is_known() {
            return Err(format!("host {host} takes a stolen key for {:?}", thief.standing));
        }
        self.judged[0] = ("taken-back:strangers", self.judged[0].1 + 1);
        Ok(())
    }
}

/// Whether an operator could say it at all.
fn was_told(view: &View<'_>) -> bool {
    view.hosts.marks().contains_key("operator:certificate-taken-back")
}
