//! What a peer that breaks the protocol is told: real batches, honestly signed or not.

mod majority;
mod projected;

use crate::support::{World, agent_of, domain_of, id_of, key_of, pair, roster_of, usd};
use comity_ledger::{Outcome, settlement::content_of};
use comity_proto::{
    amount::AssetId,
    command::Party,
    entry::EntryItem,
    envelope::Signed as _,
    ids::{Hash, TransferId},
    settlement::{Acknowledge, Closing, Decision, Prepare, SettlementBatch, SettlementMessage, Source},
};
use std::collections::BTreeSet;

/// From beta to alpha, signed by whoever this word names.
fn batch(signer: &str, incarnation: u64, message: SettlementMessage) -> EntryItem {
    let (from, to) = (domain_of("beta"), domain_of("alpha"));
    let batch = SettlementBatch { from, to, incarnation, roster: roster_of("beta"), messages: vec![message] };
    EntryItem::Settlement(batch.seal(&key_of(signer)))
}

fn said(world: &mut World, message: SettlementMessage) -> Outcome {
    world.apply(vec![batch("domain beta", 1, message)]).outcomes[0][0]
}

fn acknowledge(word: &str) -> SettlementMessage {
    SettlementMessage::Acknowledge(Acknowledge { transfer: TransferId(id_of(word)), commit: true })
}

/// A payment of beta's to alice.
fn prepare(word: &str, asset: AssetId, decide_by_ms: u64) -> Prepare {
    Prepare {
        transfer: TransferId(id_of(word)),
        origin: domain_of("beta"),
        source: Source::Agent(agent_of("bob")),
        recipient: Party { domain: domain_of("alpha"), agent: agent_of("alice") },
        asset,
        amount: 1_000,
        decide_by_ms,
    }
}

fn decision(prepare: &Prepare, commit: bool) -> SettlementMessage {
    let (transfer, content, decide_by_ms) = (prepare.transfer, content_of(prepare), prepare.decide_by_ms);
    let vote_evidence = commit.then_some(Hash([1; 32]));
    SettlementMessage::Decision(Decision { transfer, content, commit, vote_evidence, decide_by_ms })
}

/// Everything that alpha answers to such a peer.
pub(crate) fn outcomes() -> BTreeSet<Outcome> {
    let (mut alpha, mut beta) = pair();
    alpha.rich("alice", 10_000);
    beta.register("bob", None, None);
    let by_ms = alpha.now_ms + 5_000;

    let stranger = alpha.apply(vec![batch("stranger", 1, acknowledge("t"))]);
    assert_eq!(stranger.outcomes, [[Outcome::NotAVoter]]);
    assert_eq!(said(&mut alpha, acknowledge("never begun")), Outcome::UnknownTransfer);
    let bob = Party { domain: domain_of("beta"), agent: agent_of("bob") };
    assert_eq!(alpha.transfer("alice", bob, 1_000), Outcome::Begun);
    let begun = *alpha.ledger.outgoing().next().expect("begun").0;
    let early = SettlementMessage::Acknowledge(Acknowledge { transfer: begun, commit: true });
    assert_eq!(said(&mut alpha, early), Outcome::TooEarly);

    let ask = |asset, word, by_ms| SettlementMessage::Prepare(prepare(word, asset, by_ms));
    assert_eq!(said(&mut alpha, ask(usd("beta"), "late", 0)), Outcome::TooOld);
    assert_eq!(said(&mut alpha, ask(usd("alpha"), "back", by_ms)), Outcome::ReserveInsufficient);
    assert_eq!(said(&mut alpha, ask(usd("gamma"), "across", by_ms)), Outcome::NoTreatyPath);

    let twice = prepare("twice", usd("beta"), by_ms);
    assert_eq!(said(&mut alpha, SettlementMessage::Prepare(twice.clone())), Outcome::Applied);
    assert_eq!(said(&mut alpha, decision(&twice, true)), Outcome::Applied);
    assert_eq!(said(&mut alpha, decision(&twice, false)), Outcome::Equivocation);

    let restored = alpha.apply(vec![batch("domain beta", 2, acknowledge("t"))]);
    assert_eq!(restored.outcomes, [[Outcome::UnknownTransfer]]);
    assert_eq!(said(&mut alpha, acknowledge("t")), Outcome::OldIncarnation);
    alpha.given.insert(false_closing());
    alpha.given.extend(majority::outcomes());
    alpha.given.extend(projected::outcomes());
    alpha.given
}

/// Alpha drains; beta states a reserve of which alpha holds nothing.
fn false_closing() -> Outcome {
    let (mut alpha, beta) = pair();
    alpha.drain(beta.home);
    let mut statement = beta.ledger.supply_statement(alpha.home).expect("a domain");
    statement.assets[0].reserve = Some(1);
    let treaty = alpha.ledger.treaty(&beta.home).and_then(|treaty| treaty.before()).expect("agreed").0;
    let outcome =
        said(&mut alpha, SettlementMessage::Closing(Closing { treaty, statement: statement.to_bytes().into() }));
    assert_eq!(outcome, Outcome::StatementDiffers);
    outcome
}
