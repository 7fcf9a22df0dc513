//! Conservation over all domains, money on its way included.

use comity_ledger::{AccountKey, AccountKind, AssetIndex, EventKind};
use comity_proto::amount::AssetId;

use crate::{
    observe::Story,
    oracles::{Looks, Oracle, View},
};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "supply",
        claim: "over all domains there is exactly as much of an asset as was issued, counting what is on its way",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    let seen = view.seen;
    let is_quiet =
        seen.deals.touched().next().is_none() && (0..seen.stories.len()).all(|at| seen.new_events(at).is_empty());
    // A story with a hole in it cannot be weighed against another one, nor can that of a restored domain before its peers
    // have told it what it lost.
    if is_quiet || seen.fenced().next().is_some() || seen.stories.iter().any(|story| story.gap().is_some()) {
        return Ok(());
    }
    for (domain, issuer) in seen.stories.iter().enumerate() {
        for index in 0.. {
            let Some(asset) = issuer.asset(AssetIndex(index)) else { break };
            if asset.issuer == seen.ids()[domain] {
                weigh(view, domain, issuer, AssetIndex(index), asset)?;
            }
        }
    }
    Ok(())
}

fn weigh(view: &View<'_>, domain: usize, issuer: &Story, index: AssetIndex, asset: AssetId) -> Result<(), String> {
    let name = &view.plan.scenario.domains[domain].name;
    let (mut reserve, mut in_flight) = (0_i128, 0_i128);
    for (account, balance) in issuer.balances().iter().filter(|(account, _)| account.asset == index) {
        match account.kind {
            AccountKind::Peer(_) => reserve += balance,
            AccountKind::InFlight(_) => in_flight += balance,
            _ => {}
        }
    }
    let home = view.seen.ids()[domain];
    let (mut undecided, mut one_sided) = (0_i128, 0_i128);
    for ((origin, _), deal) in view.seen.deals.all() {
        let Some(begun) = deal.begun.first().filter(|begun| begun.what.asset == asset) else { continue };
        let amount = i128::from(begun.what.amount);
        undecided += if *origin == home && deal.decided.is_empty() { amount } else { 0 };
        one_sided += if deal.is_one_sided() { amount } else { 0 };
    }
    // What lies in flight at the issuer and is not its own undecided money is held for yes votes.
    let held = in_flight - undecided;
    let abroad = view.seen.stories.iter().enumerate().filter(|(other, _)| *other != domain);
    let wrapped: i128 =
        abroad.filter_map(|(_, story)| Some(-story.balance(&AccountKey::issuance(story.asset_index(&asset)?)))).sum();
    if reserve + held != wrapped + one_sided {
        return Err(format!(
            "{name}'s {} : {reserve} in reserve and {held} held stand behind {wrapped} abroad and {one_sided} on the way",
            asset.code
        ));
    }
    let issued = issued(issuer, index);
    let exists = -issuer.balance(&AccountKey::issuance(index));
    if issued != exists {
        return Err(format!("{name} issued {issued} of {} and {exists} exist", asset.code));
    }
    Ok(())
}

fn issued(issuer: &Story, index: AssetIndex) -> i128 {
    let of = |kind: &EventKind| match kind {
        EventKind::Issued { asset, amount } if *asset == index => i128::from(*amount),
        EventKind::Burned { asset, amount } if *asset == index => -i128::from(*amount),
        _ => 0,
    };
    issuer.events().iter().map(|event| of(&event.kind)).sum()
}
