//! What must hold between the ledgers of two domains at every moment, whatever the network did. Only looks.
//!
//! Reads whole ledgers: right for small states and for now and then; [`super::watch`] follows every single entry.

use comity_ledger::{
    AccountKey, Ledger, invariants,
    settlement::{IncomingState, Outgoing, OutgoingState},
    statement::verify_pair,
};
use comity_proto::{amount::AssetId, ids::DomainId};

/// The final word of an origin about one of its transfers, if it has one.
pub fn decision(record: &Outgoing) -> Option<bool> {
    match record.state {
        OutgoingState::Undecided => None,
        OutgoingState::Decided { commit, .. } | OutgoingState::Closed { commit, .. } => Some(commit),
    }
}

/// Says the first claim that is broken between two domains.
///
/// # Errors
/// The claim and what was seen against it.
pub fn check(a: &Ledger, b: &Ledger) -> Result<(), String> {
    for ledger in [a, b] {
        invariants::check_all(ledger).map_err(|broken| format!("books: {broken}"))?;
    }
    let [of_a, of_b] = [id_of(a)?, id_of(b)?];
    agreement(a, of_a, b, of_b)?;
    agreement(b, of_b, a, of_a)?;
    backing(a, b, of_b)?;
    backing(b, a, of_a)?;
    let statements = a.supply_statement(of_b).zip(b.supply_statement(of_a)).ok_or("a domain has no statement")?;
    verify_pair(&statements.0, &statements.1).map_err(|wrong| format!("statements: {wrong:?}"))
}

fn id_of(ledger: &Ledger) -> Result<DomainId, String> {
    ledger.domain().map(|domain| domain.id).ok_or_else(|| "a ledger without a domain".to_owned())
}

/// One decision for one transfer, and nobody acts before it or against it.
fn agreement(
    origin: &Ledger,
    of_origin: DomainId,
    participant: &Ledger,
    of_participant: DomainId,
) -> Result<(), String> {
    let forgotten_there = participant.peer_state(&of_origin).map_or(0, |peer| peer.incoming_watermark_ms);
    let asked = |record: &Outgoing| record.prepare.participants().any(|participant| participant == of_participant);
    for (id, record) in origin.outgoing().filter(|(_, record)| asked(record)) {
        let there = participant.incoming_transfer(of_origin, *id).map(|record| record.state);
        let closed = matches!(record.state, OutgoingState::Closed { .. });
        let forgotten = there.is_none() && closed && record.prepare.decide_by_ms <= forgotten_there;
        match (decision(record), there) {
            _ if forgotten => {}
            (
                Some(true),
                Some(IncomingState::Finished { commit: false, .. } | IncomingState::Refused { .. }) | None,
            ) => return Err(format!("atomicity: {id} is committed at its origin and {there:?} at the participant")),
            (Some(false) | None, Some(IncomingState::Finished { commit: true, .. } | IncomingState::Backing)) => {
                return Err(format!("atomicity: {id} is posted at the participant and not committed at its origin"));
            }
            (Some(_), Some(IncomingState::Voted { .. } | IncomingState::Unbacked { .. })) if closed => {
                return Err(format!("doubt: {id} is closed at its origin and the participant still waits"));
            }
            _ => {}
        }
    }
    let forgotten_here = origin.peer_state(&of_participant).map_or(0, |peer| peer.outgoing_watermark_ms);
    for ((from, id), record) in participant.incoming().filter(|((from, _), _)| *from == of_origin) {
        let posted = matches!(record.state, IncomingState::Finished { commit: true, .. } | IncomingState::Backing);
        let committed = origin.outgoing_transfer(id).and_then(decision) == Some(true);
        if posted && !committed && record.decide_by_ms > forgotten_here {
            let known = origin.outgoing_transfer(id).map(|record| record.state);
            return Err(format!(
                "atomicity: {id} of {from} is posted, to be decided by {}; its origin has {known:?} and forgets up to {forgotten_here}",
                record.decide_by_ms
            ));
        }
    }
    Ok(())
}

/// Reserve and held reserve at the issuer are the wrapped units at the holder and what is committed on one side only.
fn backing(issuer: &Ledger, holder: &Ledger, of_holder: DomainId) -> Result<(), String> {
    let own: Vec<AssetId> =
        issuer.assets().map(|(_, asset)| asset.id).filter(|id| issuer.is_home(&id.issuer)).collect();
    for asset in own {
        let Some(index) = index_of(issuer, &asset) else { continue };
        let reserve = issuer.balance_of(&AccountKey::peer(of_holder, index));
        let statement = issuer.supply_statement(of_holder).ok_or("no statement")?;
        let held = statement.asset(&asset).and_then(|line| line.held).unwrap_or(0);
        let one_sided = committed_on_one_side(issuer, holder, &asset)
            + committed_on_one_side(holder, issuer, &asset)
            + backed_on_one_side(issuer, holder, of_holder, &asset);
        let wrapped = holder.supply_of(&asset);
        if u128::from(reserve) + u128::from(held) != u128::from(wrapped) + one_sided {
            return Err(format!(
                "conservation: reserve {reserve} + held {held} is not wrapped {wrapped} + one-sided {one_sided}"
            ));
        }
    }
    Ok(())
}

fn index_of(ledger: &Ledger, asset: &AssetId) -> Option<comity_ledger::AssetIndex> {
    ledger.assets().find(|(_, known)| known.id == *asset).map(|(index, _)| index)
}

fn committed_on_one_side(origin: &Ledger, participant: &Ledger, asset: &AssetId) -> u128 {
    let (Ok(of_origin), Ok(of_participant)) = (id_of(origin), id_of(participant)) else { return 0 };
    let open = origin.outgoing().filter(|(_, record)| {
        record.prepare.asset == *asset
            && record.prepare.participants().any(|participant| participant == of_participant)
            && matches!(
                record.state,
                OutgoingState::Decided { commit: true, .. } | OutgoingState::Closed { commit: true, .. }
            )
    });
    open.map(|(id, record)| match participant.incoming_transfer(of_origin, *id).map(|record| record.state) {
        Some(IncomingState::Finished { commit: true, .. } | IncomingState::Backing) => 0,
        None if matches!(record.state, OutgoingState::Closed { .. }) => 0,
        _ => u128::from(record.prepare.amount),
    })
    .sum()
}

/// Of third domains' payments: reserve that stands behind the holder, which has not minted yet.
fn backed_on_one_side(issuer: &Ledger, holder: &Ledger, of_holder: DomainId, asset: &AssetId) -> u128 {
    let moved = issuer.incoming().filter_map(|(key, record)| {
        let prepare = record.prepare.as_ref().filter(|_| record.state == IncomingState::Backing)?;
        let counts = prepare.asset == *asset && prepare.recipient.domain == of_holder;
        counts.then_some((key, prepare.amount))
    });
    moved
        .map(|((origin, id), amount)| match holder.incoming_transfer(*origin, *id).map(|record| record.state) {
            Some(IncomingState::Finished { commit: true, .. }) => 0,
            _ => u128::from(amount),
        })
        .sum()
}
