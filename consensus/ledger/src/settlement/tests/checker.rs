//! What must hold between two ledgers in every state, whatever the network did.

use super::world::{Side, World, domain, usd};
use crate::{
    account::AccountKey,
    settlement::{IncomingState, Outgoing, OutgoingState},
    statement::verify_pair,
};
use alloc::{format, string::String};

/// Says the first rule that is broken.
pub(super) fn check(world: &World) -> Result<(), String> {
    for side in 0..2 {
        agreement(world, side)?;
        supply_equation(world, side)?;
        whole_supply_is_where_it_was(world, side)?;
    }
    let [a, b] = [0, 1].map(|side| world.homes[side].ledger.supply_statement(domain(1 - side)).expect("begun"));
    verify_pair(&a, &b).map_err(|discrepancy| format!("statements: {discrepancy:?}"))
}

fn committed(record: &Outgoing) -> Option<bool> {
    match record.state {
        OutgoingState::Undecided => None,
        OutgoingState::Decided { commit, .. } | OutgoingState::Closed { commit, .. } => Some(commit),
    }
}

/// How the participant ended a transfer. What it has forgotten behind its watermark it ended as the origin decided:
/// nothing unfinished is ever behind it.
fn ended(world: &World, origin: Side, record: &Outgoing) -> Option<IncomingState> {
    let theirs = &world.homes[1 - origin].ledger;
    let known = theirs.incoming_transfer(domain(origin), record.prepare.transfer).map(|record| record.state);
    let watermark = theirs.peer_state(&domain(origin)).map_or(0, |state| state.incoming_watermark_ms);
    match committed(record) {
        Some(commit) if known.is_none() && record.prepare.decide_by_ms <= watermark => {
            Some(IncomingState::Finished { commit, fee: 0 })
        }
        _ => known,
    }
}

/// One decision for one transfer, and nobody acts before it or against it.
pub(super) fn agreement(world: &World, origin: Side) -> Result<(), String> {
    let (ours, theirs) = (&world.homes[origin].ledger, &world.homes[1 - origin].ledger);
    for (id, record) in ours.settlement.outgoing.iter() {
        let there = ended(world, origin, record);
        let closed = matches!(record.state, OutgoingState::Closed { .. });
        match (committed(record), there) {
            (
                Some(true),
                Some(IncomingState::Finished { commit: false, .. } | IncomingState::Refused { .. }) | None,
            ) => {
                return Err(format!("money lost: {id} is committed at the origin and {there:?} at the participant"));
            }
            (Some(false) | None, Some(IncomingState::Finished { commit: true, .. })) => {
                return Err(format!("money made: {id} is posted at the participant and not committed at the origin"));
            }
            (Some(_), Some(IncomingState::Voted { .. })) if closed => {
                return Err(format!("{id} is closed and the participant still waits"));
            }
            _ => {}
        }
    }
    for ((from, id), record) in theirs.settlement.incoming.iter() {
        let posted = matches!(record.state, IncomingState::Finished { commit: true, .. });
        let watermark = ours.peer_state(&domain(1 - origin)).map_or(0, |state| state.outgoing_watermark_ms);
        let forgotten = ours.outgoing_transfer(id).is_none() && record.decide_by_ms <= watermark;
        if posted
            && *from == domain(origin)
            && !forgotten
            && ours.outgoing_transfer(id).and_then(committed) != Some(true)
        {
            return Err(format!("money made: {id} is posted and its origin knows no commit"));
        }
    }
    Ok(())
}

/// peer/B + held at the issuer = wrapped at the holder + D, exactly, D from both sets of records.
pub(super) fn supply_equation(world: &World, issuer: Side) -> Result<(), String> {
    let asset = usd(issuer);
    let (home, other) = (&world.homes[issuer], &world.homes[1 - issuer]);
    let index = home.ledger.asset_index(&asset).expect("issued");
    let reserve = home.ledger.balance_of(&AccountKey::peer(domain(1 - issuer), index));
    let statement = home.ledger.supply_statement(domain(1 - issuer)).expect("begun");
    let held = statement.asset(&asset).and_then(|line| line.held).expect("the issuer knows it");
    let mut one_sided = 0;
    for origin in 0..2 {
        let ours = &world.homes[origin].ledger;
        for record in ours.settlement.outgoing.values().filter(|record| record.prepare.asset == asset) {
            let there = ended(world, origin, record);
            let posted = matches!(there, Some(IncomingState::Finished { commit: true, .. }));
            if committed(record) == Some(true) && !posted {
                one_sided += record.prepare.amount;
            }
        }
    }
    let wrapped = other.issued(&asset);
    if reserve + held != wrapped + one_sided {
        return Err(format!("supply: reserve {reserve} + held {held} != wrapped {wrapped} + one-sided {one_sided}"));
    }
    Ok(())
}

/// Nothing of an asset comes or goes: no settlement step issues or burns at the issuer.
fn whole_supply_is_where_it_was(world: &World, issuer: Side) -> Result<(), String> {
    let supply = world.homes[issuer].issued(&usd(issuer));
    if supply != 3 * super::world::FUNDS {
        return Err(format!("the issuer's supply became {supply}"));
    }
    Ok(())
}
