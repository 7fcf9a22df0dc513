//! The steps of a domain's keys in its history: whatever its ledger took is accepted, and no other order is.

mod document;
#[path = "../../ledger/tests/support/mod.rs"]
mod support;

use comity_ledger::{Event, EventKind, Ledger, Outcome};
use comity_proto::{
    entry::EntryItem,
    envelope::Signed as _,
    identity::{NodeCertificate, Roles, Roster},
    ids::PublicKey,
    key_step::{KeyChange, KeyStep},
    keys::SecretKey,
    roots::RootKey,
    text::Reason,
};
use comity_verify::{Place, Rule, Verdict, Wrong};
use document::{checkpoint_over, decoded, file, head, judge, root_key, signed_history};
use std::collections::BTreeSet;
use support::{HOUR_MS, World, domain_of, key_of};

use KeyChange::{Activate, Prepare, Retire, Revoke};

const ALL: [KeyChange; 4] = [Prepare, Activate, Retire, Revoke];
/// Words whose keys take part beside the first ones.
const WORDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Whose key takes a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Operator,
    Node,
    Root,
}

const HOLDERS: [Whose; 3] = [Whose::Operator, Whose::Node, Whose::Root];

/// The place of the only node. It is not the root key, whose place names the domain.
fn node() -> SecretKey {
    key_of("node of alpha")
}

fn place(whose: Whose) -> Option<PublicKey> {
    match whose {
        Whose::Operator => None,
        Whose::Node => Some(node().public()),
        Whose::Root => Some(root_key("alpha").public()),
    }
}

fn first(whose: Whose) -> SecretKey {
    match whose {
        Whose::Operator => key_of("operator alpha"),
        Whose::Node => node(),
        Whose::Root => root_key("alpha"),
    }
}

/// The secret half of a key that takes part.
fn secret(key: &PublicKey) -> SecretKey {
    let known = WORDS.map(key_of).into_iter().chain(HOLDERS.map(first));
    known.into_iter().find(|known| known.public() == *key).expect("a key of this test")
}

/// A root key behind those before it.
fn along(keys: &[PublicKey]) -> RootKey {
    let (first, rest) = keys.split_first().expect("a first key");
    rest.iter().fold(RootKey::from(secret(first)), |root, next| {
        let links = root.links_to(&secret(next)).expect("a key that was not used");
        RootKey::along(links, secret(next)).expect("links that hold")
    })
}

fn reason() -> Reason {
    Reason::new("yearly").expect("a reason")
}

/// A domain whose ledger takes real steps.
struct Stage(World);

impl Stage {
    fn new() -> Stage {
        let mut stage = Stage(World::new("alpha"));
        stage.roster();
        stage
    }

    /// The root key that acts.
    fn root(&self) -> RootKey {
        along(&self.0.ledger.domain().expect("a genesis").root.keys)
    }

    /// The next roster, with every key that the node may sign with now.
    fn roster(&mut self) {
        let domain = self.0.ledger.domain().expect("a genesis");
        let (voters, seats) = domain.voter_keys([node().public()]);
        let roster = Roster { domain: domain.id, epoch: domain.roster_epoch + 1, voters, seats };
        let item = EntryItem::Roster(roster.seal(&self.root()));
        assert_eq!(self.0.apply(vec![item]).outcomes, [[Outcome::Applied]]);
    }

    fn serial(&self, whose: Whose) -> u64 {
        let domain = self.0.ledger.domain().expect("a genesis");
        match whose {
            Whose::Operator => domain.operator.serial,
            Whose::Node => domain.node_keys(&node().public()).map_or(0, |record| record.serial),
            Whose::Root => domain.root.serial,
        }
    }

    /// The next step of a key, well signed; the ledger says whether it may follow.
    fn step(&mut self, whose: Whose, change: KeyChange, key: &PublicKey, overlap_ms: u64) -> Outcome {
        let (root, id) = (self.root(), self.0.home);
        let next = secret(key);
        let links = || root.links_to(&next).unwrap_or_default();
        let proof = match (whose, change) {
            (Whose::Operator, Prepare) => KeyStep::prove(&id, &next),
            (Whose::Root, Prepare) => links(),
            (Whose::Node, Prepare) => {
                let roles = Roles { voter: true, learner: false, gateway: true };
                let (not_before_ms, not_after_ms) = (1, 2);
                let certificate =
                    NodeCertificate { domain: id, node: *key, roles, not_before_ms, not_after_ms, serial: 7 };
                certificate.seal(&root)
            }
            _ => bytes::Bytes::new(),
        };
        let serial = self.serial(whose) + 1;
        let step =
            KeyStep { domain: id, place: place(whose), serial, change, key: *key, overlap_ms, proof, reason: reason() };
        let sealed = match (whose, change) {
            (Whose::Node, Prepare) => {
                let domain = self.0.ledger.domain().expect("a genesis");
                let acts = domain.node_keys(&node().public()).map_or(node().public(), |record| record.active);
                step.seal(&secret(&acts))
            }
            (Whose::Node, Activate) => step.seal(&next),
            (Whose::Root, Activate) => step.seal(&RootKey::along(links(), next).expect("links that hold, or none")),
            _ => step.seal(&root),
        };
        self.0.apply(vec![EntryItem::Key(sealed)]).outcomes[0][0]
    }

    /// What an auditor says of its history, behind the roster in force.
    fn judged(&self) -> Result<Verdict, Wrong> {
        let domain = self.0.ledger.domain().expect("a genesis");
        let voter = secret(domain.voters.first().expect("a voter"));
        let mut head = head("alpha", self.0.ledger.checkpoint().expect("a genesis").seal(&voter));
        head.chain.roster = domain.roster.clone();
        judge(&file(&head, &self.0.history), None)
    }
}

/// Numbers that look random and are always the same.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

#[test]
fn whatever_steps_a_ledger_takes_in_whatever_order_its_history_holds() {
    let (mut taken, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..40 {
        let (mut stage, mut chance) = (Stage::new(), Chance(seed));
        for _ in 0..40 {
            // Whoever takes back most of what was begun sees little of it.
            let change = [Prepare, Prepare, Prepare, Activate, Activate, Activate, Retire, Revoke][chance.below(8)];
            let whose = HOLDERS[chance.below(3)];
            // Each has keys of its own: which holder has a key already is no matter of order.
            let own = [key_of(WORDS[whose as usize]), key_of(WORDS[whose as usize + 3]), first(whose)];
            let overlap_ms = [0, HOUR_MS][chance.below(2)];
            match stage.step(whose, change, &own[chance.below(3)].public(), overlap_ms) {
                Outcome::Applied => taken.insert((whose, change.name())),
                outcome => refused.insert((whose, outcome.name())),
            };
            // Rarely longer than an overlap.
            stage.0.now_ms += if chance.below(40) == 0 { 2 * HOUR_MS } else { [0, 20_000][chance.below(2)] };
            stage.roster();
        }
        stage.judged().unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
    for whose in HOLDERS {
        for change in ALL {
            assert!(taken.contains(&(whose, change.name())), "never taken: {} of {whose:?}", change.name());
        }
        for name in ["key_not_prepared", "key_active", "unknown_key", "key_used", "key_not_retired"] {
            assert!(refused.contains(&(whose, name)), "never refused: {name} of {whose:?}");
        }
    }
}

/// A step as it is told: of whom, what, which key by its word, and how long after the one before.
type Told<'a> = (Whose, KeyChange, &'a str, u64);

/// The events of these steps behind an honest beginning, each counted as the next one of its holder.
fn told(steps: &[Told<'_>]) -> Vec<Event> {
    let mut events = decoded(&World::new("alpha").history);
    for (at, (whose, change, word, after_ms)) in steps.iter().enumerate() {
        let serial = 1 + steps[..at].iter().filter(|(before, ..)| before == whose).count() as u64;
        let key = if *word == "first" { first(*whose) } else { key_of(word) }.public();
        let (place, reason) = (place(*whose).map(Box::new), reason());
        let kind = EventKind::KeyChanged { domain: domain_of("alpha"), place, serial, change: *change, key, reason };
        let last = events.last().expect("a genesis");
        let (log_index, stamp_ms) = (last.log_index + 1, last.stamp_ms + after_ms);
        events.push(Event { log_index, n: 0, stamp_ms, kind, legs: vec![] });
    }
    events
}

fn judged(events: &[Event]) -> Result<(), Wrong> {
    let bytes: Vec<_> = events.iter().map(Event::to_bytes).collect();
    judge(&signed_history("alpha", &checkpoint_over("alpha", &bytes), &bytes), None).map(|_| ())
}

/// The last of these events breaks the order, for this reason.
fn refused(events: &[Event], reason: &str) {
    let wrong = judged(events).expect_err("steps out of order");
    assert_eq!((wrong.place, wrong.rule), (Place::Event(events.len() as u64 - 1), Rule::KeyStep), "{wrong}");
    assert!(wrong.detail.starts_with(reason), "{wrong}, not {reason}");
}

type Short<'a> = (KeyChange, &'a str);
/// Steps that may be, one that may not follow them, and why.
type Case<'a> = (&'a [Short<'a>], Short<'a>, &'a str);

#[test]
fn steps_that_no_ledger_takes_are_refused_where_they_stand() {
    let begun = [(Prepare, "a"), (Activate, "a")];
    let over = [begun[0], begun[1], (Retire, "first")];
    let cases: [Case<'_>; 13] = [
        (&[], (Activate, "a"), "key_not_prepared"),
        (&[], (Retire, "a"), "unknown_key"),
        (&[], (Revoke, "a"), "unknown_key"),
        (&begun[..1], (Activate, "b"), "key_not_prepared"),
        (&begun[..1], (Retire, "a"), "unknown_key"),
        (&begun, (Activate, "a"), "key_not_prepared"),
        (&begun, (Retire, "a"), "key_active"),
        (&begun, (Revoke, "a"), "key_active"),
        (&begun, (Retire, "b"), "unknown_key"),
        (&begun, (Prepare, "a"), "key_used"),
        (&over, (Retire, "first"), "unknown_key"),
        (&over, (Revoke, "first"), "unknown_key"),
        (&[begun[0], (Revoke, "a")], (Prepare, "a"), "key_used"),
    ];
    for (whose, (before, last, reason)) in HOLDERS.iter().flat_map(|whose| cases.map(|case| (*whose, case))) {
        // Nobody has said what the operator's first key is: one that is retired before another was must be it.
        let unnamed = whose == Whose::Operator && before == begun.as_slice() && last == (Retire, "b");
        let steps: Vec<_> = before.iter().chain([&last]).map(|(change, word)| (whose, *change, *word, 1_000)).collect();
        if unnamed {
            judged(&told(&steps)).expect("the first key");
        } else {
            refused(&told(&steps), reason);
        }
    }
}

#[test]
fn how_long_the_key_before_counts_is_taken_as_well_as_it_can_be() {
    let twice = |whose, after_ms| {
        let steps = [(Prepare, "a", 1), (Activate, "a", 1), (Prepare, "b", 0), (Activate, "b", after_ms)];
        told(&steps.map(|(change, word, after_ms)| (whose, change, word, after_ms)))
    };
    // In that very moment it counts, later the overlap may be over; that of a node has no end but its retirement.
    refused(&twice(Whose::Operator, 0), "key_not_retired");
    judged(&twice(Whose::Operator, 1)).expect("an overlap that is over");
    refused(&twice(Whose::Node, 31 * 24 * HOUR_MS), "key_not_retired");
    // A root key's successor waits with its preparation.
    let root = |after_ms| {
        let steps = [(Prepare, "a", 1), (Activate, "a", 1), (Prepare, "b", after_ms)];
        told(&steps.map(|(change, word, after_ms)| (Whose::Root, change, word, after_ms)))
    };
    refused(&root(0), "key_not_retired");
    judged(&root(1)).expect("an overlap that is over");
    let forked = [(Prepare, "a"), (Prepare, "b")].map(|(change, word)| (Whose::Root, change, word, 1));
    refused(&told(&forked), "root_key_forked");
    let late = [(Prepare, "a", 1), (Activate, "a", 1), (Retire, "first", 31 * 24 * HOUR_MS)];
    refused(&told(&late.map(|(change, word, after_ms)| (Whose::Root, change, word, after_ms))), "unknown_key");
}

#[test]
fn steps_are_counted_one_by_one_and_those_of_a_peer_only_upwards() {
    let renumbered = |whose, serials: &[u64], of: &str| {
        let steps: Vec<Told<'_>> = serials.iter().zip(["a", "b"]).map(|(_, word)| (whose, Prepare, word, 1)).collect();
        let mut events = told(&steps);
        let first = events.len() - serials.len();
        for (event, number) in events[first..].iter_mut().zip(serials) {
            let EventKind::KeyChanged { domain, place, serial, .. } = &mut event.kind else { panic!("a step") };
            (*domain, *serial) = (domain_of(of), *number);
            if of == "beta" && whose == Whose::Root {
                *place = Some(Box::new(root_key("beta").public()));
            }
        }
        events
    };
    refused(&renumbered(Whose::Operator, &[2], "alpha"), "key_serial");
    refused(&renumbered(Whose::Operator, &[1, 1], "alpha"), "key_serial");
    refused(&renumbered(Whose::Node, &[1, 3], "alpha"), "key_serial");
    refused(&renumbered(Whose::Root, &[1, 1], "alpha"), "key_serial");
    for whose in [Whose::Operator, Whose::Root] {
        judged(&renumbered(whose, &[3, 7], "beta")).expect("steps between were missed");
        refused(&renumbered(whose, &[3, 3], "beta"), "key_serial");
    }
    refused(&renumbered(Whose::Node, &[1], "beta"), "unknown_key");
}

#[test]
fn a_domain_restored_from_before_its_root_key_goes_on_with_it() {
    let mut stage = Stage::new();
    let (backup, events) = (stage.0.ledger.snapshot_chunks().collect::<Vec<_>>(), stage.0.history.len());
    let [a, b] = ["a", "b"].map(|word| key_of(word).public());
    for change in [Prepare, Activate] {
        assert_eq!(stage.step(Whose::Root, change, &a, 0), Outcome::Applied);
    }
    // All logs are lost, and what was in them.
    let domain = stage.0.ledger.domain().expect("a genesis");
    let roster = Roster { domain: domain.id, epoch: 900, voters: vec![node().public()], seats: vec![] };
    let roster = Roster::open(&roster.seal(&stage.root())).expect("its own roster");
    let older = Ledger::from_chunks(backup).expect("a snapshot");
    stage.0.ledger = older.restored(2, &roster).expect("a higher incarnation");
    stage.0.history.truncate(events);
    stage.judged().expect("no event tells of the roster that it was restored with");
    for change in [Prepare, Activate] {
        stage.0.now_ms += 1_000;
        assert_eq!(stage.step(Whose::Root, change, &b, HOUR_MS), Outcome::Applied);
    }
    stage.roster();
    assert_eq!(stage.step(Whose::Root, Retire, &a, 0), Outcome::Applied);
    let told = stage.judged().expect("the keys between are not told").to_string();
    assert!(told.contains("roster by root key 3"), "{told}");
}
