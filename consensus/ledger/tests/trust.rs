//! Who can make a ledger do what: not a leader, not an operator, not a stranger.

mod support;

use bytes::Bytes;
use comity_ledger::{Ledger, Outcome, check};
use comity_proto::{
    command::{Actor, Command, CommandBatch, Verb},
    entry::EntryItem,
    envelope::{Context, Signed as _, seal},
    ids::{RequestId, TransferId},
    settlement::{Acknowledge, SettlementBatch, SettlementMessage},
    text::Memo,
};
use support::{HOUR_MS, World, agent_of, id_of, key_of, usd};

fn theft(world: &World) -> Verb {
    Verb::Transfer {
        transfer_id: TransferId(id_of("theft")),
        to: world.party("mallory"),
        asset: usd("alpha"),
        amount: 1,
        memo: Memo::new("").expect("empty"),
    }
}

fn rich_alice() -> World {
    let mut world = World::new("alpha");
    world.rich("alice", 100);
    world.register("mallory", None, None);
    world
}

fn outcome(world: &mut World, item: EntryItem) -> Outcome {
    let before = world.ledger.digest();
    let answer = world.apply(vec![item]).outcomes[0][0];
    assert_eq!(world.balance("alice"), 100, "{answer}");
    assert_ne!(before, world.ledger.digest(), "the entry itself is counted");
    answer
}

#[test]
fn the_operator_cannot_spend_an_agents_money() {
    let mut world = rich_alice();
    let (operator, alice) = (world.operator.clone(), Actor::Agent(agent_of("alice")));
    let request = RequestId([1; 16]);
    let in_her_name = world.signed(&operator, alice, request, HOUR_MS, theft(&world));
    assert_eq!(outcome(&mut world, in_her_name), Outcome::BadSignature);
    let in_its_own = world.signed(&operator, Actor::Operator, request, HOUR_MS, theft(&world));
    assert_eq!(outcome(&mut world, in_its_own), Outcome::NotAuthorised);
    let root = key_of("domain alpha");
    let with_the_root_key = world.signed(&root, alice, request, HOUR_MS, theft(&world));
    assert_eq!(outcome(&mut world, with_the_root_key), Outcome::BadSignature);
    assert_eq!(world.operator(Verb::Burn { code: usd("alpha").code, amount: 1 }), Outcome::InsufficientFunds);
    assert_eq!(world.balance("alice"), 100);
}

#[test]
fn an_invented_command_is_a_bad_signature_on_every_replica() {
    let mut world = rich_alice();
    let commands = vec![Command { request_id: RequestId([1; 16]), verb: theft(&world) }];
    let valid_until_ms = world.now_ms + HOUR_MS;
    let batch = CommandBatch { home: world.home, actor: Actor::Agent(agent_of("alice")), valid_until_ms, commands };
    // A bad leader has no key of hers: it signs with its own, or takes a signature from elsewhere.
    let payload = batch.encode();
    let honest = batch.seal(&key_of("alice"));
    let mut torn = honest.to_vec();
    let last = torn.len() - 1;
    torn[last] ^= 1;
    let other_context = seal(Context::Receipt, payload, &key_of("alice"));
    for envelope in [batch.seal(&key_of("leader")), Bytes::from(torn), other_context] {
        let item = EntryItem::Commands(envelope);
        let mut replica: Ledger = world.ledger.freeze();
        let (index, now) = (world.log_index + 1, world.now_ms);
        let there = replica.apply(index, now, vec![check(&item)]).outcomes;
        assert_eq!(there, [[Outcome::BadSignature]]);
        assert_eq!(outcome(&mut world, item), Outcome::BadSignature);
        assert_eq!(replica.digest(), world.ledger.digest(), "replicas agree about the fraud");
    }
}

#[test]
fn an_old_key_is_worthless_after_a_rotation() {
    let mut world = rich_alice();
    let next = key_of("next");
    let proof = comity_proto::keys::prove_rotation(&agent_of("alice"), &next);
    assert_eq!(world.agent("alice", Verb::RotateKey { new_key: next.public(), proof }), Outcome::Applied);
    let alice = Actor::Agent(agent_of("alice"));
    let old = world.signed(&key_of("alice"), alice, RequestId([1; 16]), HOUR_MS, theft(&world));
    assert_eq!(outcome(&mut world, old), Outcome::BadSignature);
    let new = world.signed(&next, alice, RequestId([1; 16]), HOUR_MS, theft(&world));
    assert_eq!(world.apply(vec![new]).outcomes, [[Outcome::Created]]);
    assert_eq!(world.balance("alice"), 99);
}

#[test]
fn a_batch_answers_each_command_and_a_retry_gets_the_same_answers() {
    let mut world = rich_alice();
    let pay = |n: u8, amount| Command {
        request_id: RequestId([n; 16]),
        verb: Verb::Transfer {
            transfer_id: TransferId([n; 16]),
            to: world.party("mallory"),
            asset: usd("alpha"),
            amount,
            memo: Memo::new("").expect("empty"),
        },
    };
    let commands = vec![pay(1, 60), pay(2, 60), pay(3, 0), pay(4, 40)];
    let valid_until_ms = world.now_ms + HOUR_MS;
    let batch = CommandBatch { home: world.home, actor: Actor::Agent(agent_of("alice")), valid_until_ms, commands };
    let item = EntryItem::Commands(batch.seal(&key_of("alice")));
    let want = [Outcome::Created, Outcome::InsufficientFunds, Outcome::AmountZero, Outcome::Created];
    assert_eq!(world.apply(vec![item.clone()]).outcomes, [want]);
    // Money that comes later does not wake the refused command up.
    world.fund("alice", 1_000);
    for _ in 0..32 {
        assert_eq!(world.apply(vec![item.clone(), item.clone()]).outcomes, [want, want]);
    }
    assert_eq!((world.balance("alice"), world.balance("mallory")), (1_000, 100));
    // A longer validity is the same request; a forgotten one is expired, whatever it says.
    let longer = CommandBatch { valid_until_ms: valid_until_ms + 1, ..batch };
    let item_longer = EntryItem::Commands(longer.seal(&key_of("alice")));
    assert_eq!(world.apply(vec![item_longer]).outcomes, [want]);
    world.now_ms = valid_until_ms + 1;
    assert_eq!(world.apply(vec![item]).outcomes, [[Outcome::Expired; 4]]);
    for _ in 0..200 {
        world.pulse();
    }
    let left = world.ledger.remembered(&Actor::Agent(agent_of("alice")), &RequestId([1; 16]));
    assert_eq!(left, None);
}

#[test]
fn any_bytes_are_an_outcome_and_never_a_panic() {
    let mut world = rich_alice();
    let honest =
        world.signed(&key_of("alice"), Actor::Agent(agent_of("alice")), RequestId([1; 16]), HOUR_MS, theft(&world));
    let bytes = honest.envelope().expect("an envelope").to_vec();
    for at in 0..bytes.len() {
        let mut torn = bytes.clone();
        torn[at] = torn[at].wrapping_add(1);
        for bytes in [Bytes::from(torn), Bytes::copy_from_slice(&bytes[..at])] {
            for item in [
                EntryItem::Commands(bytes.clone()),
                EntryItem::Genesis(bytes.clone()),
                EntryItem::Settlement(bytes.clone()),
                EntryItem::Roster(bytes),
            ] {
                let refused = check(&item).refused();
                assert!(matches!(refused, Some(Outcome::BadSignature | Outcome::Malformed)), "byte {at}: {refused:?}");
            }
        }
    }
    assert_eq!(world.apply(vec![]).outcomes.len(), 0);
}

#[test]
fn an_acknowledgement_of_something_undecided_is_too_early() {
    let (mut alpha, mut beta) = support::pair();
    alpha.rich("alice", 100);
    beta.register("bob", None, None);
    let bob = comity_proto::command::Party { domain: beta.home, agent: agent_of("bob") };
    assert_eq!(alpha.transfer("alice", bob, 60), Outcome::Begun);
    let transfer = alpha.ledger.in_doubt()[0].transfer;
    let acknowledge = SettlementMessage::Acknowledge(Acknowledge { transfer, commit: true });
    let roster = support::roster_of("beta");
    let batch =
        SettlementBatch { from: beta.home, to: alpha.home, incarnation: 1, roster, messages: vec![acknowledge] };
    let item = EntryItem::Settlement(batch.seal(&key_of("domain beta")));
    assert_eq!(alpha.apply(vec![item]).outcomes, [[Outcome::TooEarly]]);
    assert_eq!(alpha.ledger.in_doubt().len(), 1);
}
