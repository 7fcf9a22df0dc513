//! Closing statements in a history: what a domain stated about itself must be what its own events come to, and a treaty
//! is drained only when both sides' statements are there and say the same.

use crate::{
    replay::{Broken, Replay},
    wrong::Rule,
};
use comity_ledger::{
    AccountKey, EventKind,
    statement::{AssetStatement, SupplyStatement},
};
use comity_proto::{amount::AssetId, ids::DomainId};
use std::collections::BTreeMap;

/// What the two sides stated about each treaty that ends, by peer: this domain's statement and the peer's.
pub(crate) type Stated = BTreeMap<DomainId, [Option<SupplyStatement>; 2]>;

/// Takes what one event says about the end of a treaty.
pub(crate) fn take(replay: &Replay, stated: &mut Stated, kind: &EventKind) -> Result<(), Broken> {
    match kind {
        EventKind::ClosingStated { peer, by_us, statement, .. } => {
            if *by_us {
                own_words(replay, *peer, statement)?;
            } else if statement.domain != *peer || statement.peer != replay.domain() {
                return Err(wrong(peer, "a statement of other domains"));
            }
            let both = stated.entry(*peer).or_default();
            let known = both.get_mut(usize::from(!by_us));
            known.into_iter().for_each(|known| *known = Some((**statement).clone()));
        }
        // The next version of a treaty begins without them, and so does a domain that was restored.
        EventKind::TreatyAgreed { peer, .. } => drop(stated.remove(peer)),
        EventKind::FenceLifted { .. } => stated.clear(),
        EventKind::TreatyDrained { peer } => match stated.get(peer) {
            Some([Some(ours), Some(theirs)]) => same_figures(peer, ours, theirs)?,
            _ => return Err(wrong(peer, "drained before both sides have stated")),
        },
        _ => {}
    }
    Ok(())
}

fn wrong(peer: &DomainId, why: &str) -> Broken {
    (Rule::Statement, format!("{why}, with {peer}"))
}

/// Each figure is that of the books before this event, for every asset of the two, and nothing is under way.
fn own_words(replay: &Replay, peer: DomainId, said: &SupplyStatement) -> Result<(), Broken> {
    if said.domain != replay.domain() || said.peer != peer || said.log_size != replay.taken() {
        return Err(wrong(&peer, "a statement of other domains, or of another moment"));
    }
    let mut expected: Vec<AssetStatement> = Vec::new();
    for (index, record) in replay.assets() {
        let own = record.id.issuer == replay.domain();
        if own || record.id.issuer == peer {
            let issued = replay.balance(&AccountKey::issuance(index));
            let reserve = replay.balance(&AccountKey::peer(peer, index));
            expected.push(AssetStatement {
                asset: record.id,
                supply: own.then_some(issued),
                reserve: own.then_some(reserve),
                held: own.then_some(0),
                wrapped: (!own).then_some(issued),
                committed: Vec::new(),
                promised: Vec::new(),
            });
        }
    }
    expected.sort_by_key(|line| line.asset);
    let differs = |line: &&AssetStatement| !expected.contains(line);
    match said.assets.iter().find(differs) {
        Some(line) => Err(wrong(&peer, &format!("{} is not what the events come to", line.asset))),
        None if said.assets.len() != expected.len() => Err(wrong(&peer, "an asset is left out or named twice")),
        None => Ok(()),
    }
}

/// What is issued by one of the two and lies with the other: reserve here, wrapped units there.
fn figures(issuer: &SupplyStatement, holder: &SupplyStatement) -> [BTreeMap<AssetId, u64>; 2] {
    let of = |lines: &[AssetStatement], figure: fn(&AssetStatement) -> Option<u64>| {
        let lines = lines.iter().filter(|line| line.asset.issuer == issuer.domain);
        let figures = lines.filter_map(|line| Some((line.asset, figure(line)?)));
        figures.filter(|(_, figure)| *figure > 0).collect()
    };
    let reserve = |line: &AssetStatement| line.reserve?.checked_add(line.held?);
    [of(&issuer.assets, reserve), of(&holder.assets, |line| line.wrapped)]
}

fn same_figures(peer: &DomainId, ours: &SupplyStatement, theirs: &SupplyStatement) -> Result<(), Broken> {
    for (issuer, holder) in [(ours, theirs), (theirs, ours)] {
        let [reserve, wrapped] = figures(issuer, holder);
        if reserve != wrapped {
            return Err(wrong(peer, "drained although the two statements differ"));
        }
    }
    Ok(())
}
