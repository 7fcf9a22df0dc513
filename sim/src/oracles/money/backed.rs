//! Between each issuer and each holder: paper abroad has reserve behind it there.

use std::collections::BTreeMap;

use comity_ledger::AccountKey;
use comity_proto::{amount::AssetId, ids::DomainId};

use crate::{
    observe::Story,
    oracles::{Looks, Oracle, View},
};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "backed",
        claim: "no domain has more of another's money than that one holds in reserve for it, at any moment",
        look,
    })
}

/// By holder and asset: reserve that a yes of the issuer set aside, for paper that is still abroad.
type Held = BTreeMap<(DomainId, AssetId), i128>;

fn look(view: &View<'_>) -> Result<(), String> {
    let seen = view.seen;
    let is_quiet = (0..seen.stories.len()).all(|at| seen.new_events(at).is_empty());
    // A story with a hole in it cannot be weighed against another one, nor can that of a restored domain before its peers
    // have told it what it lost.
    if is_quiet || seen.fenced().next().is_some() || seen.stories.iter().any(|story| story.gap().is_some()) {
        return Ok(());
    }
    let held = held(view);
    for (at, holder) in seen.stories.iter().enumerate() {
        for (issuer, asset, wrapped) in wrapped(view, at, holder) {
            let reserve = seen.stories[issuer]
                .asset_index(&asset)
                .map_or(0, |index| seen.stories[issuer].balance(&AccountKey::peer(seen.ids()[at], index)));
            let held = held.get(&(seen.ids()[at], asset)).copied().unwrap_or(0);
            if wrapped > reserve + held {
                let name = |at: usize| view.plan.scenario.domains[at].name.as_str();
                return Err(format!(
                    "{} has {wrapped} of {}'s {}, which holds {reserve} for it and has set {held} aside",
                    name(at),
                    name(issuer),
                    asset.code
                ));
            }
        }
    }
    Ok(())
}

/// What a domain has of the money of each other one.
fn wrapped(view: &View<'_>, holder: usize, story: &Story) -> Vec<(usize, AssetId, i128)> {
    let ids = view.seen.ids();
    let issuers = (0..ids.len()).filter(|issuer| *issuer != holder);
    let held = issuers.filter_map(|issuer| {
        let asset = view.hosts.domains().get(issuer)?.asset();
        Some((issuer, asset, -story.balance(&AccountKey::issuance(story.asset_index(&asset)?))))
    });
    held.collect()
}

fn held(view: &View<'_>) -> Held {
    let mut held = Held::new();
    for (key, deal) in view.seen.deals.all() {
        let (origin, _) = key;
        // A yes outlives the log in which the payment was begun.
        let lost = view.seen.lost.get(key).and_then(|lost| lost.begun.first());
        let Some(begun) = deal.begun.first().or(lost) else { continue };
        let issuer = begun.what.asset.issuer;
        let promised = deal.voted.iter().any(|step| step.by == issuer && step.what.is_ok());
        if promised && deal.finished.iter().all(|step| step.by != issuer) {
            *held.entry((*origin, begun.what.asset)).or_default() += i128::from(begun.what.amount);
        }
    }
    held
}
