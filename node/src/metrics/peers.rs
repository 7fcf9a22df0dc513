//! Each domain with a treaty: what lies between us, how words to it go, what both believe, and what it is let.

use super::{page::Page, table::Name};
use crate::{
    drift::{PeerDrift, Quarantine},
    mesh::OverLicence,
    node::Node,
    service::peers::is_untold,
    storage::audit::{Kept, Shelf},
};
use comity_ledger::{
    Ledger,
    treaty::{Treaty, TreatyState},
};
use comity_proto::{amount::AssetId, drift::DriftPart, ids::DomainId, licence::Licence};
use comity_runtime as runtime;
use std::collections::BTreeMap;

/// Paper of the peer in one asset: held, promised, at most.
struct Exposure {
    asset: AssetId,
    held: u64,
    pending: u128,
    cap: u64,
}

/// What the ledger knows of one peer, read in one look.
struct Seen {
    peer: DomainId,
    name: String,
    state: &'static str,
    is_untold: bool,
    exposures: Vec<Exposure>,
    reserves: Vec<(AssetId, u64)>,
    licence: Option<Licence>,
    has_two_ends: bool,
    projected: u64,
    in_doubt: u64,
    oldest_ms: u64,
}

fn seen(ledger: &Ledger, treaty: &Treaty) -> Seen {
    let peer = treaty.peer;
    let exposure = |asset: AssetId, cap| Exposure {
        asset,
        held: ledger.supply_of(&asset),
        pending: ledger.pending_of(&asset),
        cap,
    };
    let own = ledger.assets().filter(|(_, asset)| ledger.is_home(&asset.id.issuer));
    Seen {
        peer,
        name: treaty.nickname.to_string(),
        state: ledger.treaty_state(&peer).map_or("none", TreatyState::name),
        is_untold: is_untold(treaty),
        exposures: treaty.caps().iter().map(|cap| exposure(cap.asset, cap.cap)).collect(),
        reserves: own.map(|(index, asset)| (asset.id, ledger.reserve_for(&peer, index))).collect(),
        licence: treaty.granted.as_ref().map(|granted| granted.licence.clone()),
        has_two_ends: ledger.equivocation(&peer).is_some(),
        projected: ledger.peer_state(&peer).map_or(0, |state| state.projected.count),
        in_doubt: 0,
        oldest_ms: 0,
    }
}

fn all_seen(ledger: &Ledger) -> BTreeMap<DomainId, Seen> {
    let mut all: BTreeMap<_, _> = ledger.treaties().map(|treaty| (treaty.peer, seen(ledger, treaty))).collect();
    ledger.each_in_doubt(|transfer| {
        if let Some(seen) = all.get_mut(&transfer.peer) {
            seen.in_doubt += 1;
            seen.oldest_ms = seen.oldest_ms.max(transfer.age_ms);
        }
    });
    all
}

pub(super) async fn gather(node: &Node, page: &mut Page) {
    let all = node.replica().read_stale(|ledger, _| all_seen(ledger));
    for seen in all.values() {
        books(seen, page);
        licence(node, seen, page);
    }
    words(node, &all, page);
    root_forks(node, &all, page);
    drift(node, page);
    witness(node, &all, page).await;
}

fn books(seen: &Seen, page: &mut Page) {
    let peer = &seen.peer;
    page.whole(Name::Peer, &[peer, &seen.name], 1);
    page.flag(Name::PeerTreaty, &[peer, &seen.state], true);
    page.flag(Name::PeerUntold, &[peer], seen.is_untold);
    page.whole(Name::InDoubt, &[peer], seen.in_doubt);
    page.seconds(Name::InDoubtAge, &[peer], seen.oldest_ms);
    for exposure in &seen.exposures {
        let labels = [peer as &dyn std::fmt::Display, &exposure.asset];
        page.whole(Name::PeerExposure, &labels, exposure.held);
        page.whole(Name::PeerExposurePending, &labels, u64::try_from(exposure.pending).unwrap_or(u64::MAX));
        page.whole(Name::PeerExposureCap, &labels, exposure.cap);
    }
    for (asset, reserve) in &seen.reserves {
        page.whole(Name::PeerReserve, &[peer, asset], *reserve);
    }
    page.whole(Name::PeerProjected, &[peer], seen.projected);
}

fn licence(node: &Node, seen: &Seen, page: &mut Page) {
    let Some(licence) = &seen.licence else { return };
    let (peer, used) = (&seen.peer, node.mesh().used(&seen.peer));
    page.flag(Name::LicenceStatus, &[peer, &licence.status.name()], true);
    page.seconds(Name::LicenceExpiry, &[peer], licence.expires_at_ms);
    page.whole(Name::LicenceEventsMax, &[peer], licence.events_per_minute.into());
    page.whole(Name::LicenceEventsUsed, &[peer], used.events.into());
    page.whole(Name::LicenceAgentsMax, &[peer], licence.agents_max.into());
    page.whole(Name::LicenceAdmitted, &[peer], used.admitted);
    for (reason, count) in OverLicence::ALL.iter().zip(used.refused_for) {
        page.whole(Name::LicenceRefused, &[peer, &reason.name()], count);
    }
}

/// How words to each peer go, and whether it is heard.
fn words(node: &Node, all: &BTreeMap<DomainId, Seen>, page: &mut Page) {
    // Only the leader speaks: what another one remembers of its lanes is of an earlier term.
    let lanes = if *node.replica().leads().borrow() { node.traffic().lanes() } else { BTreeMap::new() };
    let load = node.mesh().load();
    let silenced: BTreeMap<_, _> = node.not_heard().into_iter().collect();
    let now = runtime::now();
    let mut nodes = BTreeMap::<DomainId, usize>::new();
    for domain in node.mesh().neighbours().iter().filter_map(|neighbour| neighbour.standing.domain()) {
        *nodes.entry(domain).or_default() += 1;
    }
    for peer in all.keys() {
        let lane = lanes.get(peer);
        page.count(Name::PeerNodes, &[peer], nodes.get(peer).copied().unwrap_or(0));
        page.count(Name::PeerBatches, &[peer], lane.map_or(0, |lane| lane.batches));
        page.flag(Name::PeerBreaker, &[peer], lane.is_some_and(|lane| lane.is_open));
        if let Some(taken) = lane.and_then(|lane| lane.taken) {
            page.seconds(Name::PeerGoodAge, &[peer], now.since(taken).as_millis() as u64);
        }
        page.count(Name::PeerRequests, &[peer], load.get(peer).copied().unwrap_or(0));
        page.seconds(Name::PeerSilenced, &[peer], silenced.get(peer).map_or(0, |left| left.as_millis() as u64));
        page.count(Name::PeerCards, &[peer], node.mesh().agent_cards_of(peer));
    }
}

/// Of our own domain and of every other one whose root keys are known.
fn root_forks(node: &Node, all: &BTreeMap<DomainId, Seen>, page: &mut Page) {
    let forks = node.mesh().root_forks();
    let mut times: BTreeMap<DomainId, u64> = all.keys().map(|peer| (*peer, 0)).chain([(node.domain(), 0)]).collect();
    times.extend(forks.into_iter().map(|(domain, fork)| (domain, fork.times)));
    for (domain, times) in times {
        page.whole(Name::RootForks, &[&domain], times);
    }
}

const fn part_name(part: DriftPart) -> &'static str {
    match part {
        DriftPart::Treaty => "treaty",
        DriftPart::Standing => "standing",
        DriftPart::Policy => "policy",
        DriftPart::Supply => "supply",
        DriftPart::Cards => "cards",
    }
}

fn drift(node: &Node, page: &mut Page) {
    for PeerDrift { domain, drift, judged_ms, quarantine, .. } in node.drifts().list(node) {
        for part in DriftPart::ALL {
            page.flag(Name::PeerDrift, &[&domain, &part_name(part)], drift.contains_key(&part));
        }
        page.flag(Name::PeerQuarantined, &[&domain], quarantine == Quarantine::InForce);
        if let Some(judged_ms) = judged_ms {
            page.seconds(Name::PeerComparedAge, &[&domain], judged_ms);
        }
    }
}

/// What is kept of each peer's history, and against it. A store that cannot be read leaves no samples.
async fn witness(node: &Node, all: &BTreeMap<DomainId, Seen>, page: &mut Page) {
    // The first look makes the store: a domain without partners has nothing to keep.
    let accused = if all.is_empty() { Some(BTreeMap::new()) } else { shelf(node, Shelf::Accused).await };
    let Some(accused) = accused else { return };
    let decided = if all.is_empty() { BTreeMap::new() } else { shelf(node, Shelf::Decided).await.unwrap_or_default() };
    let is_in = |proofs: &BTreeMap<DomainId, Kept>| proofs.contains_key(&node.domain());
    page.flag(Name::OwnAccused, &[], is_in(&accused) || is_in(&decided));
    for (peer, seen) in all {
        page.flag(Name::PeerEquivocated, &[peer, &"history"], accused.contains_key(peer));
        page.flag(Name::PeerEquivocated, &[peer, &"transfer"], seen.has_two_ends);
    }
    if all.is_empty() {
        return;
    }
    let now_ms = runtime::wall_ms();
    for (shelf_of, name) in [(Shelf::Seen, Name::PeerCheckpointAge), (Shelf::Cosigned, Name::PeerCosignedAge)] {
        let kept = shelf(node, shelf_of).await.unwrap_or_default();
        for (peer, kept) in kept.iter().filter(|(peer, _)| all.contains_key(*peer)) {
            page.seconds(name, &[peer], now_ms.saturating_sub(kept.heard_ms));
        }
    }
}

async fn shelf(node: &Node, shelf: Shelf) -> Option<BTreeMap<DomainId, Kept>> {
    node.memory().all(shelf).await.ok().map(|all| all.into_iter().collect())
}
