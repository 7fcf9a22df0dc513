//! Shares that an escrow owes to agents of another domain.

use super::{
    checker::check,
    random::terms,
    world::{FUNDS, World, agent, domain, transfer_id, usd},
};
use crate::{
    Outcome,
    settlement::{Owed, OwedMessage, PayoutKey, batches, payout_transfer},
};
use alloc::vec::Vec;
use comity_proto::{
    command::Verb,
    ids::{EscrowId, Hash},
    limits::SETTLEMENT_BATCH_MAX,
};

const ESCROW: EscrowId = EscrowId([5; 16]);
const KEY: PayoutKey = PayoutKey { escrow: ESCROW, milestone: 0, payee: 0 };
const AMOUNT: u64 = 5_000_000;

fn released() -> World {
    let mut world = World::new();
    let terms = terms(&world, 0, 0, 0, AMOUNT);
    let home = &mut world.homes[0];
    assert_eq!(home.agent_does(0, 0, Verb::LockEscrow { escrow_id: ESCROW, terms }), Outcome::Created);
    world
}

fn release(world: &mut World) {
    let verb = Verb::ReleaseEscrow { escrow_id: ESCROW, milestone: None, verified_hash: None };
    assert!(world.homes[0].agent_does(0, 0, verb).is_success());
}

#[test]
fn a_release_to_another_domain_pays_both_fees_and_no_more() {
    let mut world = released();
    release(&mut world);
    world.settle_now();
    assert!(world.is_quiet());
    // 1 % here, then half a percent of the rest there.
    assert_eq!(world.homes[0].treasury(&usd(0)), 50_000);
    assert_eq!(world.homes[1].treasury(&usd(0)), 24_750);
    assert_eq!(world.homes[1].balance(agent(1, 0), &usd(0)), 4_925_250);
    assert_eq!(world.homes[0].balance(agent(0, 0), &usd(0)), FUNDS - AMOUNT);
    check(&world).expect("the equation holds");
}

#[test]
fn an_aborted_payout_stays_owed_by_the_escrow_and_is_tried_again_under_another_id() {
    let mut world = released();
    world.set_treaty(1, false);
    release(&mut world);
    assert!(world.homes[0].ledger.outgoing_transfer(&payout_transfer(&KEY, 0, 1)).is_some());
    world.settle_now();
    let payout = world.homes[0].ledger.payout(&KEY).expect("still owed").clone();
    assert_eq!((payout.attempt, payout.amount), (1, 4_950_000));
    assert_eq!(world.homes[0].balance(agent(0, 0), &usd(0)), FUNDS - AMOUNT, "never back to the payer");
    world.set_treaty(1, true);
    world.pulse(0, 999);
    assert!(world.homes[0].ledger.outgoing_transfer(&payout_transfer(&KEY, 1, 1)).is_none(), "not before its pause");
    world.pulse(0, 1);
    world.settle_now();
    assert!(world.is_quiet());
    assert_eq!(world.homes[1].balance(agent(1, 0), &usd(0)), 4_925_250);
}

#[test]
fn a_payout_that_cannot_begin_waits_for_the_treaty() {
    let mut world = released();
    world.set_treaty(0, false);
    release(&mut world);
    assert!(world.homes[0].ledger.in_doubt().is_empty());
    let waiting = world.homes[0].ledger.payout(&KEY).expect("owed").clone();
    assert_eq!((waiting.attempt, waiting.retry_at_ms), (0, Some(world.homes[0].now_ms + 1_000)));
    world.set_treaty(0, true);
    world.pulse(0, 1_000);
    world.settle_now();
    assert!(world.is_quiet());
    assert_eq!(world.homes[1].balance(agent(1, 0), &usd(0)), 4_925_250);
}

#[test]
fn an_agent_that_takes_the_payouts_id_only_costs_it_an_attempt() {
    let mut world = released();
    assert!(world.pay(0, 1, 1, payout_transfer(&KEY, 0, 1), usd(0), 7).is_success());
    release(&mut world);
    assert_eq!(world.homes[0].ledger.payout(&KEY).expect("owed").attempt, 1);
    world.settle_now();
    world.pulse(0, 1_000);
    world.settle_now();
    assert!(world.is_quiet());
    assert_eq!(world.homes[1].balance(agent(1, 0), &usd(0)), 4_925_250);
}

#[test]
fn messages_are_batched_per_peer_and_queries_go_apart() {
    let query = |n| OwedMessage::Query { transfer: transfer_id(n), evidence: Hash([0; 32]) };
    let refusal = |n| {
        let transfer = transfer_id(n);
        OwedMessage::Refusal(comity_proto::settlement::SettlementRefusal { transfer, reason: 50 })
    };
    let mut owed: Vec<Owed> = Vec::new();
    for n in 0..200 {
        for peer in [domain(0), domain(1)] {
            owed.push(Owed { peer, message: refusal(n) });
        }
        owed.push(Owed { peer: domain(1), message: refusal(n) });
    }
    owed.extend((0..8).map(|n| Owed { peer: domain(1), message: query(n) }));
    let sizes = |peer| {
        let all = batches(owed.clone()).into_iter().filter(move |(to, _)| *to == peer);
        all.map(|(_, messages)| messages.len()).collect::<Vec<_>>()
    };
    assert_eq!(sizes(domain(0)), [SETTLEMENT_BATCH_MAX, 200 - SETTLEMENT_BATCH_MAX]);
    assert_eq!(sizes(domain(1)), [SETTLEMENT_BATCH_MAX, 200 - SETTLEMENT_BATCH_MAX, 7, 1]);
}
