//! Nobody sees what was not exported.

use std::collections::{BTreeMap, BTreeSet};

use comity_ledger::Ledger;
use comity_node::node::Node;
use comity_proto::{
    card::AgentCard,
    export::Exports,
    ids::{DomainId, Hash},
    treaty::TreatyStanding,
};

use crate::{
    oracles::{Oracle, View},
    world::HostId,
};

/// What a node's ledger says of exports, at one look.
#[derive(Clone, PartialEq)]
struct Rules {
    exports: Exports,
    /// With whom a treaty was agreed that nobody has left.
    peers: BTreeSet<DomainId>,
}

/// Who might have been shown what. Whoever was shown a card once may keep it and say it again.
#[derive(Default)]
pub(super) struct Exposure {
    /// Rules of each node at the last look: a card may have gone out by them since.
    rules: BTreeMap<HostId, Rules>,
    /// Cards taken from the history.
    known: usize,
    /// Cards that somebody abroad might not be shown yet.
    kept: BTreeMap<Hash, (AgentCard, BTreeSet<DomainId>)>,
    /// Directories whose cards were judged, by host and card.
    seen: BTreeSet<(HostId, Hash)>,
    judged: [(&'static str, u64); 2],
}

impl Oracle for Exposure {
    fn name(&self) -> &'static str {
        "shown-as-exported"
    }

    fn claim(&self) -> &'static str {
        "no directory of a domain holds a card of another one that its home has never exported to it since it was signed"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for (digest, card) in view.history.cards_from(self.known) {
            self.known += 1;
            let abroad = view.seen.ids().iter().copied().filter(|domain| *domain != card.home).collect();
            self.kept.insert(digest, (card, abroad));
        }
        self.let_out(view);
        for (host, node) in view.hosts.nodes() {
            self.judge(host, &node)?;
        }
        Ok(())
    }

    fn judged(&self) -> &[(&'static str, u64)] {
        &self.judged
    }
}

impl Exposure {
    /// Cards that some node of their home may show by its rules, now or since the last look.
    fn let_out(&mut self, view: &View<'_>) {
        let nodes = view.hosts.nodes();
        let now: BTreeMap<HostId, Rules> =
            nodes.iter().map(|(host, node)| (*host, node.replica().read_stale(|ledger, _| rules(ledger)))).collect();
        let before = std::mem::replace(&mut self.rules, now.clone());
        for (host, rules) in before.iter().chain(&now) {
            let home = view.hosts.domain_of(*host).id();
            for (card, hidden) in self.kept.values_mut().filter(|(card, _)| card.home == home) {
                hidden.retain(|peer| !shows(rules, card, peer));
            }
        }
        self.kept.retain(|_, (_, hidden)| !hidden.is_empty());
    }

    fn judge(&mut self, host: HostId, node: &Node) -> Result<(), String> {
        let own = node.domain();
        let foreign = node.mesh().of_agent_cards(|entry| {
            let card = entry.card.get();
            (card.home != own).then(|| (card.agent, card.public, Hash::of(entry.card.envelope_bytes())))
        });
        for (agent, is_public, digest) in foreign.into_iter().flatten() {
            if !self.seen.insert((host, digest)) {
                continue;
            }
            if self.kept.get(&digest).is_some_and(|(_, hidden)| hidden.contains(&own)) {
                return Err(format!("host {host} was shown a card of {agent}, to which no rule of its home admits it"));
            }
            let place = usize::from(is_public);
            self.judged[place].0 = ["exposure:for-peers", "exposure:for-everybody"][place];
            self.judged[place].1 += 1;
        }
        Ok(())
    }
}

fn rules(ledger: &Ledger) -> Rules {
    let stands =
        ledger.treaties().filter(|treaty| treaty.agreed.is_some() && treaty.standing() != TreatyStanding::Revoked);
    Rules { exports: ledger.exports_in_force(), peers: stands.map(|treaty| treaty.peer).collect() }
}

/// As the export rules mean it: a public card that everybody may see goes by whoever has it, any other from its home to
/// a peer.
fn shows(rules: &Rules, card: &AgentCard, peer: &DomainId) -> bool {
    rules.exports.publishes(card) || rules.peers.contains(peer) && rules.exports.shows(peer, card)
}
