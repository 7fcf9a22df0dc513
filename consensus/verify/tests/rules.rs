//! A domain that lies with its own key: each rule is broken by one history, at the event where it breaks.

mod document;
#[path = "../../ledger/tests/support/mod.rs"]
mod support;

use bytes::Bytes;
use comity_ledger::{
    AccountKey, AssetIndex, Event, EventKind, Leg, Outcome,
    checkpoint::Checkpoint,
    projection::{Exact, PeerCheckpoint, ProjectedEvent},
    statement::SupplyStatement,
};
use comity_proto::{
    amount::{AssetCode, AssetId},
    entry::EntryItem,
    envelope::Signed as _,
    identity::Roster,
    ids::Hash,
    key_step::KeyChange,
    roots::RootKey,
    text::Reason,
};
use comity_verify::{Place, Rule, Verdict, Wrong, document::VERSION};
use document::{
    checkpoint_over, decoded, equivocation, extension, file, head, honest, judge, judged, root_key, signed_history,
};
use std::io::{self, Read};
use support::{
    World, agent_of, converse, domain_of, key_of, pair,
    projections::{concerning, shown},
    roster_of,
};

const OWN: AssetIndex = AssetIndex(0);
const CAP: u64 = 1_000_000_000_000;

/// Genesis, its asset, two agents with money: events 0 to 5.
fn world() -> World {
    let mut world = World::new("alpha");
    world.rich("alice", 1_000);
    world.rich("bob", 10);
    assert_eq!(world.history.len(), 6);
    world
}

/// The history with one event changed, or one more, signed by the domain over exactly these bytes.
fn lie(edit: impl FnOnce(&mut Vec<Event>)) -> Wrong {
    let mut events = decoded(&world().history);
    edit(&mut events);
    refused(&events.iter().map(Event::to_bytes).collect::<Vec<_>>())
}

fn refused(bytes: &[Vec<u8>]) -> Wrong {
    let file = signed_history("alpha", &checkpoint_over("alpha", bytes), bytes);
    judge(&file, None).map(|_| ()).expect_err("a false history")
}

/// A further event in an entry of its own.
fn more(events: &mut Vec<Event>, kind: EventKind, legs: Vec<Leg>) {
    let last = events.last().expect("a history");
    let (log_index, stamp_ms) = (last.log_index + 1, last.stamp_ms);
    events.push(Event { log_index, n: 0, stamp_ms, kind, legs });
}

fn moves(events: &mut Vec<Event>, legs: Vec<Leg>) {
    more(events, EventKind::FaucetFunded, legs);
}

/// A closing statement of alpha to beta at the end of its history, with an edit.
fn stated(edit: fn(&mut SupplyStatement)) -> EventKind {
    let world = world();
    let mut statement = world.ledger.supply_statement(domain_of("beta")).expect("a domain");
    edit(&mut statement);
    closing(true, statement)
}

fn closing(by_us: bool, statement: SupplyStatement) -> EventKind {
    EventKind::ClosingStated { peer: domain_of("beta"), by_us, statement: Box::new(statement), evidence: None }
}

/// Closing statements that are not what the books come to, and a verdict without two that fit.
fn in_the_statements() -> Vec<(u64, Rule, Wrong)> {
    let one = |kind: EventKind| lie(|events| more(events, kind, vec![]));
    let honest = stated(|_| {});
    let theirs = |reserve| {
        let mut theirs = World::new("beta").ledger.supply_statement(domain_of("alpha")).expect("a domain");
        theirs.assets[0].reserve = Some(reserve);
        closing(false, theirs)
    };
    let drained = || EventKind::TreatyDrained { peer: domain_of("beta") };
    let both = |reserve| {
        lie(|events| {
            more(events, honest.clone(), vec![]);
            more(events, theirs(reserve), vec![]);
            more(events, drained(), vec![]);
            moves(events, vec![Leg::credit(agent("bob"), 1)]);
        })
    };
    vec![
        (6, Rule::Statement, one(stated(|statement| statement.assets[0].reserve = Some(1)))),
        (6, Rule::Statement, one(stated(|statement| statement.assets[0].supply = Some(1)))),
        (6, Rule::Statement, one(stated(|statement| statement.assets.clear()))),
        (6, Rule::Statement, one(stated(|statement| statement.log_size -= 1))),
        (6, Rule::Statement, one(stated(|statement| statement.peer = domain_of("gamma")))),
        (6, Rule::Statement, one(closing(false, world().ledger.supply_statement(domain_of("beta")).expect("one")))),
        (6, Rule::Statement, one(drained())),
        (8, Rule::Statement, both(1)),
        (9, Rule::SumZero, both(0)),
    ]
}

/// Alpha's history holds what beta's log said about it; the first such event is changed.
fn in_the_projections() -> Vec<(String, Wrong)> {
    let (alpha, beta) = projected();
    let honest = decoded(&alpha.history);
    let judged = judge(&signed_history("alpha", &checkpoint_over("alpha", &alpha.history), &alpha.history), None);
    let Ok(Verdict::History(report)) = judged else { panic!("{judged:?}") };
    let ours = concerning(&beta, alpha.home).len() as u64;
    let told = report.projected.iter().map(|told| (told.peer, told.events)).collect::<Vec<_>>();
    assert_eq!(told, [(beta.home, ours)]);
    let held = honest.iter().position(|event| matches!(event.kind, EventKind::PeerCheckpointHeld(_))).expect("one");
    let lie = |edit: &dyn Fn(&mut PeerCheckpoint, &mut ProjectedEvent)| {
        let mut events = honest.clone();
        let [one, next, ..] = &mut events[held..] else { panic!("a tree, then an event") };
        let EventKind::PeerCheckpointHeld(tree) = &mut one.kind else { panic!("a tree") };
        let EventKind::EventProjected(event) = &mut next.kind else { panic!("an event") };
        edit(tree, event);
        refused(&events.iter().map(Event::to_bytes).collect::<Vec<_>>())
    };
    let other = beta.history.len() as u64 - 1;
    let others = shown(&beta, &[other], 0, beta.history.len() as u64).excerpt.events.remove(0);
    let table: Vec<(&str, Wrong)> = vec![
        ("proof_too_long", lie(&|_, event| event.path.push(Hash([0; 32])))),
        ("proof_too_short", lie(&|_, event| event.path.truncate(1))),
        ("root_differs", lie(&|_, event| event.path[0].0[0] ^= 1)),
        ("outside_tree", lie(&|_, event| event.index = 1 << 40)),
        ("unknown_checkpoint", lie(&|_, event| event.size += 1)),
        ("unknown_checkpoint", lie(&|_, event| event.peer = domain_of("gamma"))),
        (
            "not_ours",
            lie(&|_, event| {
                (event.index, event.event, event.path) = (other, Exact(others.event.clone()), others.path.clone());
            }),
        ),
        ("proof_too_long", lie(&|tree, _| tree.extends.push(Hash([0; 32])))),
        ("other_domain", lie(&|tree, _| tree.size += 1)),
        ("other_domain", lie(&|tree, _| tree.root.0[0] ^= 1)),
        ("head: checkpoint_signature", lie(&|tree, _| tree.checkpoint = Exact(flipped(&tree.checkpoint)))),
        ("roster", lie(&|tree, _| tree.roster = Exact(flipped(&tree.roster)))),
    ];
    table.into_iter().map(|(reason, wrong)| (reason.to_owned(), wrong)).collect()
}

fn flipped(Exact(bytes): &Exact) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[20] ^= 1;
    bytes.into()
}

/// Alpha paid beta, and holds all that beta's log says about it.
fn projected() -> (World, World) {
    let (mut alpha, mut beta) = pair();
    alpha.rich("alice", 1_000_000);
    beta.rich("bob", 10);
    let bob = beta.party("bob");
    assert_eq!(alpha.transfer("alice", bob, 1_000), Outcome::Begun);
    converse(&mut alpha, &mut beta);
    beta.rich("carol", 10);
    let all = concerning(&beta, alpha.home);
    let shown = shown(&beta, &all, 0, beta.history.len() as u64);
    assert_eq!(alpha.apply(vec![EntryItem::Projection(shown.encode())]).outcomes, [[Outcome::Applied]]);
    (alpha, beta)
}

#[test]
fn what_is_not_proved_of_another_log_is_named() {
    for (reason, wrong) in in_the_projections() {
        assert_eq!(wrong.rule, Rule::Projection, "{wrong}");
        assert!(wrong.detail.starts_with(&reason), "{reason}: {wrong}");
    }
}

fn agent(name: &str) -> AccountKey {
    AccountKey::agent(agent_of(name), OWN)
}

/// Breaches of the books, each at the event with this index.
fn in_the_books() -> Vec<(u64, Rule, Wrong)> {
    let alice_to_bob = |amount| vec![Leg::debit(agent("alice"), amount), Leg::credit(agent("bob"), amount)];
    let euro = AssetIndex(7);
    let code = AssetCode::new("EUR").expect("a code");
    let known = |index, issuer| EventKind::AssetKnown {
        index: AssetIndex(index),
        asset: AssetId { issuer: domain_of(issuer), code },
        scale: None,
        supply_cap: None,
    };
    let issued = |amount| EventKind::Issued { asset: OWN, amount };
    let issue = |amount| vec![Leg::debit(AccountKey::issuance(OWN), amount), Leg::credit(agent("bob"), amount)];
    vec![
        (3, Rule::Order, lie(|events| events[3].n += 1)),
        (3, Rule::Order, lie(|events| events[3].log_index -= 1)),
        (4, Rule::Time, lie(|events| events[4].stamp_ms -= 1)),
        (1, Rule::Time, lie(|events| events[1].stamp_ms += 1)),
        (0, Rule::Order, lie(|events| drop(events.remove(0)))),
        (6, Rule::Genesis, lie(|events| more(events, events[0].kind.clone(), vec![]))),
        (0, Rule::Genesis, lie(|events| events[0].kind = EventKind::FaucetFunded)),
        (6, Rule::Asset, lie(|events| more(events, known(2, "beta"), vec![]))),
        (6, Rule::Asset, lie(|events| more(events, known(1, "alpha"), vec![]))),
        (6, Rule::Asset, lie(|events| moves(events, vec![Leg::debit(AccountKey::treasury(euro), 0)]))),
        (6, Rule::SumZero, lie(|events| moves(events, vec![Leg::credit(agent("bob"), 1)]))),
        (6, Rule::NegativeBalance, lie(|events| moves(events, alice_to_bob(1_001)))),
        (
            6,
            Rule::UnknownAgent,
            lie(|events| {
                moves(events, vec![Leg::debit(agent("alice"), 1), Leg::credit(agent("nobody"), 1)]);
            }),
        ),
        (6, Rule::Supply, lie(|events| moves(events, issue(5)))),
        (6, Rule::Supply, lie(|events| more(events, issued(6), issue(5)))),
        (6, Rule::SupplyCap, lie(|events| more(events, issued(CAP), issue(CAP)))),
        (
            6,
            Rule::Overflow,
            lie(|events| {
                let account = agent("bob");
                moves(events, vec![Leg { account, delta: i128::MAX }, Leg { account, delta: i128::MAX }]);
            }),
        ),
        (
            7,
            Rule::RosterEpoch,
            lie(|events| {
                more(events, EventKind::RosterChanged { epoch: 3 }, vec![]);
                more(events, EventKind::RosterChanged { epoch: 3 }, vec![]);
            }),
        ),
    ]
}

#[test]
fn what_cannot_be_in_honest_books_is_named_at_its_event() {
    for (event, rule, wrong) in in_the_books().into_iter().chain(in_the_statements()) {
        assert_eq!((wrong.place, wrong.rule), (Place::Event(event), rule), "{wrong}");
    }
}

/// Breaches of single bytes.
fn in_the_bytes() -> Vec<(Place, Rule, Wrong)> {
    let mut history = world().history;
    history[2] = vec![0xff; 9];
    let malformed = refused(&history);
    let mut history = world().history;
    history[2].push(0);
    let not_canonical = refused(&history);
    let whole = honest(&world());
    let head_bytes = file(&head("alpha", checkpoint_over("alpha", &[]).seal(&root_key("alpha"))), &[]).len();
    let damaged = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[at] = value;
        judge(&bytes, None).map(|_| ()).expect_err("a damaged file")
    };
    let mut version = whole.clone();
    version[14..16].copy_from_slice(&(VERSION + 1).to_be_bytes());
    let cut = judge(&whole[..whole.len() - 1], None).map(|_| ()).expect_err("a cut file");
    let longer = judge(&[whole.as_slice(), &[0]].concat(), None).map(|_| ()).expect_err("a longer file");
    vec![
        (Place::Event(2), Rule::Malformed, malformed),
        (Place::Event(2), Rule::NotCanonical, not_canonical),
        (Place::Head, Rule::NotADocument, damaged(0, b'x')),
        (Place::Head, Rule::UnknownVersion, judge(&version, None).map(|_| ()).expect_err("another version")),
        (Place::Head, Rule::DomainKey, damaged(16, !whole[16])),
        (Place::Event(0), Rule::TooLarge, damaged(head_bytes, 0xff)),
        (Place::Event(0), Rule::Mark, damaged(head_bytes + 5, !whole[head_bytes + 5])),
        (Place::Event(5), Rule::Truncated, cut),
        (Place::End, Rule::TrailingBytes, longer),
        (Place::Head, Rule::Unreadable, comity_verify::verify(Broken, None).map(|_| ()).expect_err("a broken disk")),
    ]
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("the disk failed"))
    }
}

#[test]
fn what_is_no_document_of_ours_is_named() {
    for (place, rule, wrong) in in_the_bytes() {
        assert_eq!((wrong.place, wrong.rule), (place, rule), "{wrong}");
    }
}

/// Breaches of who signed what.
fn in_the_signatures() -> Vec<(Place, Rule, Wrong)> {
    let world = world();
    let honest = world.ledger.checkpoint().expect("a genesis");
    let with = |checkpoint: Checkpoint, key: &str| {
        let bytes = file(&head("alpha", checkpoint.seal(&key_of(key))), &world.history);
        judge(&bytes, None).map(|_| ()).expect_err("a false signature")
    };
    let mut foreign_roster = head("alpha", honest.seal(&root_key("alpha")));
    foreign_roster.chain.roster = roster_of("beta");
    let foreign_roster = judge(&file(&foreign_roster, &world.history), None).map(|_| ()).expect_err("a false roster");
    let mut flipped = honest.seal(&root_key("alpha")).to_vec();
    flipped[20] ^= 1;
    let flipped = judge(&file(&head("alpha", Bytes::from(flipped)), &world.history), None);
    let alpha = "domain alpha";
    let behind = with(Checkpoint { log_index: 1, ..honest }, alpha);
    let other_root = with(Checkpoint { root: comity_proto::ids::Hash([1; 32]), ..honest }, alpha);
    let of_beta = with(Checkpoint { domain: domain_of("beta"), ..honest }, alpha);
    vec![
        (Place::Head, Rule::Roster, foreign_roster),
        (Place::Head, Rule::CheckpointSignature, flipped.map(|_| ()).expect_err("a flipped bit")),
        (Place::Head, Rule::CheckpointSigner, with(honest, "a stranger")),
        (Place::Head, Rule::CheckpointSigner, of_beta),
        (Place::End, Rule::CheckpointBehind, behind),
        (Place::End, Rule::Root, other_root),
        (Place::End, Rule::RosterEpoch, old_roster()),
    ]
}

/// The history ends with roster 3, the file still brings roster 1.
fn old_roster() -> Wrong {
    lie(|events| more(events, EventKind::RosterChanged { epoch: 3 }, vec![]))
}

#[test]
fn what_nobody_or_somebody_else_signed_is_named() {
    for (place, rule, wrong) in in_the_signatures() {
        assert_eq!((wrong.place, wrong.rule), (place, rule), "{wrong}");
    }
    let root = root_key("alpha");
    let next =
        Roster { domain: domain_of("alpha"), epoch: 2, voters: vec![key_of("second voter").public()], seats: vec![] };
    let mut changed = head("alpha", checkpoint_over("alpha", &[]).seal(&root));
    changed.chain.roster = next.seal(&root);
    let wrong = changed.judge().expect_err("a voter of the last roster only");
    assert_eq!(wrong.rule, Rule::CheckpointSigner);
}

/// A history of alpha with these steps of its root key, whose roster these root keys lead to.
fn rotated(steps: &[(KeyChange, &str)], along: &[&str]) -> Result<String, Rule> {
    let key = |word: &str| if word == "first" { root_key("alpha") } else { key_of(word) };
    let mut events = decoded(&world().history);
    for (serial, (change, word)) in (1..).zip(steps) {
        let place = Some(Box::new(root_key("alpha").public()));
        let (domain, key, reason) = (domain_of("alpha"), key(word).public(), Reason::new("yearly").expect("a reason"));
        more(&mut events, EventKind::KeyChanged { domain, place, serial, change: *change, key, reason }, vec![]);
    }
    let mut root = RootKey::from(root_key("alpha"));
    for word in along {
        let links = root.links_to(&key(word)).expect("a key that was not used");
        root = RootKey::along(links, key(word)).expect("links that hold");
    }
    let bytes: Vec<_> = events.iter().map(Event::to_bytes).collect();
    let mut head = head("alpha", checkpoint_over("alpha", &bytes).seal(&root_key("alpha")));
    let voters = vec![root_key("alpha").public()];
    head.chain.roster = Roster { domain: domain_of("alpha"), epoch: 1, voters, seats: vec![] }.seal(&root);
    judge(&file(&head, &bytes), None).map(|verdict| verdict.to_string()).map_err(|wrong| wrong.rule)
}

#[test]
fn the_roster_is_by_the_root_key_that_the_history_says_acts() {
    use KeyChange::{Activate, Prepare, Retire, Revoke};
    let activated = [(Prepare, "second"), (Activate, "second")];
    let report = rotated(&activated, &["second"]).expect("the key that acts");
    assert!(report.contains("roster by root key 2, which the first one leads to"), "{report}");
    assert!(rotated(&[], &[]).expect("the first key").contains("roster by the root key\n"));
    assert!(rotated(&activated, &[]).is_ok(), "the one before counts for a while");
    assert_eq!(rotated(&activated, &["fork"]), Err(Rule::RootKey));
    for ends in [Retire, Revoke] {
        let over = [activated[0], activated[1], (ends, "first")];
        assert_eq!(rotated(&over, &[]), Err(Rule::RootKey));
        assert!(rotated(&over, &["second"]).is_ok());
        let next = [over.as_slice(), &[(Prepare, "third"), (Activate, "third")]].concat();
        assert!(rotated(&next, &["second"]).is_ok() && rotated(&next, &["second", "third"]).is_ok());
        assert_eq!(rotated(&next, &[]), Err(Rule::RootKey));
    }
}

fn against_older() -> Vec<Rule> {
    let world = world();
    let mut other = world.history.clone();
    other[1][0] ^= 1;
    let longer = [other.clone(), vec![b"more".to_vec()]].concat();
    let older = [
        judged("alpha", &checkpoint_over("alpha", &other)),
        judged("alpha", &checkpoint_over("alpha", &other[..3])),
        judged("alpha", &checkpoint_over("alpha", &longer)),
        judged("beta", &checkpoint_over("beta", &other)),
    ];
    older.iter().map(|older| judge(&honest(&world), Some(older)).map(|_| ()).expect_err("a lie").rule).collect()
}

fn in_short_documents() -> Vec<Rule> {
    let history = world().history;
    let honest = extension("alpha", &history, 3, |_| {});
    let kept = judged("alpha", &checkpoint_over("alpha", &history[..4]));
    let face = head("alpha", checkpoint_over("alpha", &history).seal(&root_key("alpha")));
    let refusals = [
        judge(&extension("alpha", &history, 3, |proof| proof.truncate(1)), None),
        judge(&honest, Some(&kept)),
        judge(&equivocation(&face, &face), None),
    ];
    refusals.into_iter().map(|refused| refused.map(|_| ()).expect_err("a false document").rule).collect()
}

#[test]
fn every_rule_is_broken_by_some_document() {
    let mut broken = against_older();
    assert_eq!(in_short_documents(), [Rule::Proof, Rule::OtherSize, Rule::NoContradiction]);
    broken.extend(in_short_documents());
    broken.extend(rotated(&[(KeyChange::Activate, "second")], &[]).err());
    broken.extend(rotated(&[(KeyChange::Prepare, "second"), (KeyChange::Activate, "second")], &["fork"]).err());
    broken.extend(in_the_books().iter().map(|(_, rule, _)| *rule));
    broken.extend(in_the_statements().iter().map(|(_, rule, _)| *rule));
    broken.extend(in_the_projections().iter().map(|(_, wrong)| wrong.rule));
    broken.extend(in_the_bytes().iter().map(|(_, rule, _)| *rule));
    broken.extend(in_the_signatures().iter().map(|(_, rule, _)| *rule));
    let missing: Vec<&str> = Rule::ALL.iter().filter(|rule| !broken.contains(rule)).map(|rule| rule.name()).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}
