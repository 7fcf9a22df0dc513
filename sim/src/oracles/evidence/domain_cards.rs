//! What a domain says about itself is what its log says.

use std::collections::{BTreeMap, BTreeSet};

use comity_ledger::{AccountKey, AssetIndex, EventKind, merkle::CompactRange};
use comity_node::registry::is_carried_by;
use comity_proto::{
    amount::AssetId,
    card::DomainCard,
    envelope::Verified,
    ids::{DomainId, Hash},
};
use serde_json::Value;

use crate::{
    oracles::{Oracle, Phase, View},
    world::{HostId, TimeNs},
};

/// Time between two looks at all shelves.
const EVERY: TimeNs = 200_000_000;

/// By host and domain, the newest card in one life; and those that were judged.
#[derive(Default)]
pub(super) struct DomainCards {
    next: TimeNs,
    newest: BTreeMap<(HostId, DomainId), (u64, u64)>,
    known: BTreeSet<(DomainId, Hash)>,
    judged: [(&'static str, u64); 2],
}

impl Oracle for DomainCards {
    fn name(&self) -> &'static str {
        "domain-cards-say-what-stands"
    }

    fn claim(&self) -> &'static str {
        "every domain card that a node keeps is signed by a voter, never replaced by an older one, and its figures follow \
         from the events under its checkpoint; in the end all nodes keep the same one of each domain"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        if !view.plan.scenario.domain_cards || (view.now < self.next && view.phase != Phase::Audit) {
            return Ok(());
        }
        self.next = view.now + EVERY;
        for (host, node) in view.hosts.nodes() {
            let boot = view.hosts.with(host, |machine| machine.boots);
            for entry in node.mesh().domain_cards() {
                let (domain, sequence) = (entry.card.get().domain, entry.card.get().sequence);
                let before = self.newest.insert((host, domain), (boot, sequence));
                if before.is_some_and(|(life, newest)| life == boot && newest > sequence) {
                    return Err(format!("host {host} put card {sequence} of {domain} in the place of a newer one"));
                }
                if self.known.insert((domain, Hash::of(&entry.card.get().document))) {
                    judge(view, &entry.card).map_err(|why| format!("host {host} keeps a card of {domain}: {why}"))?;
                    self.judged[0] = ("domain-card:judged", self.judged[0].1 + 1);
                }
            }
        }
        if view.phase == Phase::Audit && view.everything_is_healed() {
            self.converged(view)?;
        }
        Ok(())
    }

    fn judged(&self) -> &[(&'static str, u64)] {
        &self.judged
    }
}

impl DomainCards {
    fn converged(&mut self, view: &View<'_>) -> Result<(), String> {
        let mut first: BTreeMap<DomainId, (HostId, u64)> = BTreeMap::new();
        for (host, node) in view.hosts.nodes() {
            for domain in view.seen.ids() {
                let Some(card) = node.mesh().domain_card(domain) else {
                    return Err(format!("host {host} has no card of {domain}"));
                };
                let sequence = card.card.get().sequence;
                let (other, theirs) = *first.entry(*domain).or_insert((host, sequence));
                if theirs != sequence {
                    return Err(format!("of {domain} host {host} keeps card {sequence}, host {other} card {theirs}"));
                }
                self.judged[1] = ("domain-card:same-everywhere", self.judged[1].1 + 1);
            }
        }
        Ok(())
    }
}

fn judge(view: &View<'_>, card: &Verified<DomainCard>) -> Result<(), String> {
    is_carried_by(card).map_err(|wrong| wrong.to_string())?;
    let at = view.seen.ids().iter().position(|id| *id == card.get().domain).ok_or("nobody is named so")?;
    let story = &view.seen.stories[at];
    let document: Value = serde_json::from_slice(&card.get().document).map_err(|error| error.to_string())?;
    let checkpoint = &document["checkpoint"];
    let Some(size) = checkpoint["events"].as_u64() else { return Ok(()) };
    let events = story.events().get(..size as usize).ok_or("it counts more events than there are")?;
    let mut tree = CompactRange::new();
    let mut balances: BTreeMap<AccountKey, i128> = BTreeMap::new();
    let mut assets: BTreeMap<AssetId, AssetIndex> = BTreeMap::new();
    for event in events {
        drop(tree.append(event.leaf()));
        event.legs.iter().for_each(|leg| *balances.entry(leg.account).or_default() += leg.delta);
        if let EventKind::AssetKnown { index, asset, .. } = event.kind {
            assets.insert(asset, index);
        }
    }
    if checkpoint["root"] != tree.root().to_string() {
        return Err(format!("its root over {size} events is not theirs"));
    }
    for line in document["supply"]["assets"].as_array().into_iter().flatten() {
        let named =
            |asset: &&AssetId| line["issuer"] == asset.issuer.to_string() && line["code"] == asset.code.as_str();
        let asset = assets.keys().find(named).ok_or("its log knows no such asset")?;
        let said = line["supply"].as_str().or(line["wrapped"].as_str()).ok_or("a figure is missing")?;
        let stands = -balances.get(&AccountKey::issuance(assets[asset])).copied().unwrap_or(0);
        if said != stands.to_string() {
            return Err(format!("it says {said} of an asset of which {stands} are issued"));
        }
    }
    Ok(())
}
