//! The worked examples of the specification, to the last unit.

mod support;

use comity_ledger::Outcome;
use comity_proto::{
    command::{Party, Verb},
    escrow::{Arbiter, Silence},
    ids::EscrowId,
};
use support::{World, agent_of, converse, domain_of, hash_of, id_of, key_of, pair, terms, usd};

/// second refers first, first refers alice.
fn with_two_levels() -> World {
    let mut world = World::new("alpha");
    assert_eq!(world.register("second", None, Some("SECOND")), Outcome::Created);
    assert_eq!(world.register("first", Some("SECOND"), Some("FIRST")), Outcome::Created);
    assert_eq!(world.register("alice", Some("FIRST"), None), Outcome::Created);
    assert_eq!(world.register("bob", None, None), Outcome::Created);
    world.fund("alice", 200_000_000_000);
    world
}

#[test]
fn release_of_5_with_two_referral_levels() {
    let mut world = with_two_levels();
    let bob = world.party("bob");
    let agreed = terms("alice", &[(bob, 10_000)], 5_000_000, "alpha", world.now_ms);
    assert_eq!(world.lock("alice", "e", agreed), Outcome::Created);
    assert_eq!(world.release("alice", "e", None), Outcome::Applied);
    let got = (world.balance("first"), world.balance("second"), world.treasury(), world.balance("bob"));
    assert_eq!(got, (7_500, 2_500, 40_000, 4_950_000));
}

#[test]
fn the_same_with_the_payee_in_another_domain() {
    let (mut alpha, mut beta) = pair();
    alpha.register("second", None, Some("SECOND"));
    alpha.register("first", Some("SECOND"), Some("FIRST"));
    alpha.register("alice", Some("FIRST"), None);
    alpha.fund("alice", 5_000_000);
    beta.register("bob", None, None);
    let bob = Party { domain: domain_of("beta"), agent: agent_of("bob") };
    let agreed = terms("alice", &[(bob, 10_000)], 5_000_000, "alpha", alpha.now_ms);
    assert_eq!(alpha.lock("alice", "e", agreed), Outcome::Created);
    assert_eq!(alpha.release("alice", "e", None), Outcome::Applied);
    let state = |world: &World| world.ledger.escrow(&EscrowId(id_of("e"))).expect("the escrow").state().name();
    assert_eq!(state(&alpha), "paying");
    converse(&mut alpha, &mut beta);
    assert_eq!(state(&alpha), "released");
    assert_eq!((alpha.balance("first"), alpha.balance("second"), alpha.treasury()), (7_500, 2_500, 40_000));
    assert_eq!(beta.ledger.balance(&agent_of("bob"), &usd("alpha")), 4_925_250);
    let wrapped = beta.ledger.assets().find(|(_, asset)| asset.id == usd("alpha")).expect("known there").0;
    let fee = beta.ledger.balance_of(&comity_ledger::AccountKey::treasury(wrapped));
    assert_eq!(fee, 24_750);
}

#[test]
fn a_monthly_volume_of_100_000_earns_the_referrer_150() {
    let mut world = with_two_levels();
    let bob = world.party("bob");
    for n in 0..20 {
        let agreed = terms("alice", &[(bob, 10_000)], 5_000_000_000, "alpha", world.now_ms);
        assert_eq!(world.lock("alice", &format!("e{n}"), agreed), Outcome::Created);
        assert_eq!(world.release("alice", &format!("e{n}"), None), Outcome::Applied);
    }
    assert_eq!(world.balance("first"), 150_000_000);
}

#[test]
fn a_release_below_100_units_has_no_fee() {
    let mut world = with_two_levels();
    let bob = world.party("bob");
    let agreed = terms("alice", &[(bob, 10_000)], 99, "alpha", world.now_ms);
    assert_eq!(world.lock("alice", "e", agreed), Outcome::Created);
    assert_eq!(world.release("alice", "e", None), Outcome::Applied);
    assert_eq!((world.balance("bob"), world.treasury()), (99, 0));
}

#[test]
fn ten_milestones_of_99_have_a_fee_of_9_in_all() {
    let mut world = World::new("alpha");
    world.rich("alice", 990);
    world.register("bob", None, None);
    let bob = world.party("bob");
    let mut agreed = terms("alice", &[(bob, 10_000)], 990, "alpha", world.now_ms);
    agreed.milestones = vec![99; 10];
    assert_eq!(world.lock("alice", "e", agreed), Outcome::Created);
    for n in 0..10 {
        assert_eq!(world.release("alice", "e", Some(n)), Outcome::Applied);
    }
    assert_eq!((world.balance("bob"), world.treasury()), (981, 9));
}

#[test]
fn a_split_ruling_floors_the_payee_and_gives_the_payer_the_rest() {
    let mut world = World::new("alpha");
    world.rich("alice", 1_000_001);
    world.register("bob", None, None);
    world.register("judge", None, None);
    let (bob, judge) = (world.party("bob"), world.party("judge"));
    let mut agreed = terms("alice", &[(bob, 10_000)], 1_000_001, "alpha", world.now_ms);
    agreed.arbiter = Some(Arbiter { party: judge, key: key_of("judge").public() });
    assert_eq!(world.lock("alice", "e", agreed), Outcome::Created);
    let escrow_id = EscrowId(id_of("e"));
    let result_hash = hash_of("result");
    assert_eq!(world.agent("bob", Verb::SubmitEscrow { escrow_id, milestone: None, result_hash }), Outcome::Applied);
    let evidence_hash = hash_of("evidence");
    assert_eq!(world.agent("alice", Verb::DisputeEscrow { escrow_id, evidence_hash }), Outcome::Applied);
    assert_eq!(world.agent("judge", Verb::RuleEscrow { escrow_id, payee_bps: 3_333 }), Outcome::Applied);
    assert_eq!((world.balance("bob"), world.treasury(), world.balance("alice")), (333_300 - 3_333, 3_333, 666_701));
}

#[test]
fn of_64_locks_from_63_and_a_half_the_last_is_refused() {
    let mut world = World::new("alpha");
    world.rich("alice", 63_500_000);
    world.register("bob", None, None);
    let bob = world.party("bob");
    let mut outcomes = vec![];
    for n in 0..64 {
        let agreed = terms("alice", &[(bob, 10_000)], 1_000_000, "alpha", world.now_ms);
        outcomes.push(world.lock("alice", &format!("e{n}"), agreed));
    }
    assert!(outcomes[..63].iter().all(|outcome| *outcome == Outcome::Created));
    assert_eq!(outcomes[63], Outcome::InsufficientFunds);
    assert_eq!(world.balance("alice"), 500_000);
}

#[test]
fn among_several_payees_the_last_listed_gets_the_rest() {
    let mut world = World::new("alpha");
    world.rich("alice", 100);
    for name in ["bob", "carol", "dave"] {
        world.register(name, None, None);
    }
    let payees = [(world.party("bob"), 3_333), (world.party("carol"), 3_333), (world.party("dave"), 3_334)];
    let agreed = terms("alice", &payees, 100, "alpha", world.now_ms);
    assert_eq!(world.lock("alice", "e", agreed), Outcome::Created);
    assert_eq!(world.release("alice", "e", None), Outcome::Applied);
    let got = (world.balance("bob"), world.balance("carol"), world.balance("dave"), world.treasury());
    assert_eq!(got, (32, 32, 35, 1));
}

#[test]
fn silence_can_split() {
    let mut world = World::new("alpha");
    world.rich("alice", 1_000);
    world.register("bob", None, None);
    let bob = world.party("bob");
    let mut agreed = terms("alice", &[(bob, 10_000)], 1_000, "alpha", world.now_ms);
    agreed.on_silence = Silence::Split { payee_bps: 5_000 };
    assert_eq!(world.lock("alice", "e", agreed), Outcome::Created);
    let verb = Verb::SubmitEscrow { escrow_id: EscrowId(id_of("e")), milestone: None, result_hash: hash_of("r") };
    assert_eq!(world.agent("bob", verb), Outcome::Applied);
    world.advance(support::HOUR_MS);
    assert_eq!((world.balance("alice"), world.balance("bob"), world.treasury()), (500, 495, 5));
}
