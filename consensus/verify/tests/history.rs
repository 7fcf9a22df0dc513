//! A whole history: an honest one holds and tells the ledger's own figures; a byte that changed is named where it is.

mod document;
#[path = "../../ledger/tests/support/mod.rs"]
mod support;

use comity_ledger::{AccountKey, AssetIndex, Event, EventKind, Outcome};
use comity_proto::ids::{EscrowId, Hash};
use comity_verify::{Place, Report, Rule, Verdict, document::Kind};
use document::{checkpoint_over, file, head, honest, judge, judged, root_key};
use support::{World, agent_of, converse, domain_of, id_of, pair, terms};

use comity_proto::{command::Verb, envelope::Signed as _};

/// Two domains that paid each other both ways, one escrow paid, one still open.
fn lived() -> (World, World) {
    let (mut alpha, mut beta) = pair();
    alpha.rich("alice", 50_000);
    alpha.rich("bob", 1_000);
    beta.rich("carol", 9_000);
    assert_eq!(alpha.transfer("alice", alpha.party("bob"), 5_000), Outcome::Created);
    for escrow in ["paid", "open"] {
        let terms = terms("alice", &[(alpha.party("bob"), 10_000)], 7_000, "alpha", alpha.now_ms);
        assert_eq!(alpha.lock("alice", escrow, terms), Outcome::Created);
    }
    let (escrow_id, result_hash) = (EscrowId(id_of("paid")), Hash::of(b"result"));
    assert!(alpha.agent("bob", Verb::SubmitEscrow { escrow_id, milestone: None, result_hash }).changed_state());
    assert!(alpha.release("alice", "paid", None).changed_state());
    assert_eq!(alpha.transfer("alice", beta.party("carol"), 3_000), Outcome::Begun);
    assert_eq!(beta.transfer("carol", alpha.party("alice"), 2_000), Outcome::Begun);
    converse(&mut alpha, &mut beta);
    (alpha, beta)
}

fn held(bytes: &[u8]) -> Report {
    match judge(bytes, None) {
        Ok(Verdict::History(report)) => report,
        other => panic!("an honest history is refused: {other:?}"),
    }
}

#[test]
fn an_honest_history_holds_and_its_figures_are_those_of_the_ledger() {
    let (alpha, beta) = lived();
    for (world, peer) in [(&alpha, &beta), (&beta, &alpha)] {
        let report = held(&honest(world));
        assert_eq!(report.checkpoint, world.ledger.checkpoint().expect("a genesis"));
        assert_eq!(report.signer, root_key(&world.name).public());
        assert_eq!(report.assets.len(), 2, "its own asset and the other one's");
        for (index, figures) in (0..).map(AssetIndex).zip(&report.assets) {
            assert_eq!(figures.supply, world.ledger.balance_of(&AccountKey::issuance(index)));
            let reserve = world.ledger.balance_of(&AccountKey::peer(peer.home, index));
            let told: u64 = figures.reserves.iter().map(|(_, amount)| amount).sum();
            assert_eq!(told, reserve);
            let all = figures.agents + figures.locked + figures.in_flight + figures.house + told;
            assert_eq!(all, figures.supply, "every unit is somewhere");
        }
        assert_eq!(report.accounts, world.ledger.accounts().count());
    }
    let wrapped = held(&honest(&beta)).assets[1].supply;
    assert_eq!(
        held(&honest(&alpha)).assets[0].reserves,
        [(domain_of("beta"), wrapped)],
        "reserve equals wrapped units"
    );
    assert_eq!(held(&honest(&alpha)).assets[0].locked, 7_000, "one escrow is still open");
    assert_ne!(agent_of("alice"), agent_of("bob"));
}

#[test]
fn a_history_in_which_a_treaty_was_drained_holds_on_both_sides() {
    let (mut alpha, mut beta) = lived();
    alpha.drain(beta.home);
    converse(&mut alpha, &mut beta);
    for world in [&alpha, &beta] {
        held(&honest(world));
        let said = |bytes: &&Vec<u8>| {
            let kind = Event::from_bytes(bytes).expect("an event").kind;
            matches!(kind, EventKind::ClosingStated { .. } | EventKind::TreatyDrained { .. })
        };
        assert_eq!(world.history.iter().filter(said).count(), 3, "two statements and the verdict");
    }
}

#[test]
fn a_flipped_bit_anywhere_is_named_with_the_event_that_it_is_in() {
    let (alpha, _) = lived();
    let checkpoint = alpha.ledger.checkpoint().expect("a genesis");
    let head_bytes = file(&head("alpha", checkpoint.seal(&root_key("alpha"))), &[]).len();
    let whole = honest(&alpha);
    let mut places = vec![Place::Head; head_bytes];
    for (index, event) in (0..).zip(&alpha.history) {
        places.extend(vec![Place::Event(index); 4 + event.len() + 4]);
    }
    assert_eq!(places.len(), whole.len());
    for (at, place) in places.iter().enumerate() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        let wrong = judge(&damaged, None).expect_err("a flipped bit");
        assert_eq!(wrong.place, *place, "byte {at}: {wrong}");
    }
}

#[test]
fn a_file_that_is_cut_or_goes_on_is_refused() {
    let (alpha, _) = lived();
    let whole = honest(&alpha);
    for length in 0..whole.len() {
        let wrong = judge(&whole[..length], None).expect_err("a part of a file");
        assert_eq!(wrong.rule, Rule::Truncated, "cut at {length}");
    }
    let longer = [whole.as_slice(), &[0]].concat();
    let wrong = judge(&longer, None).expect_err("one byte more");
    assert_eq!((wrong.place, wrong.rule), (Place::End, Rule::TrailingBytes));
}

#[test]
fn an_older_checkpoint_of_the_same_history_is_extended_and_any_other_is_refused() {
    let (alpha, beta) = lived();
    let whole = honest(&alpha);
    for size in 0..=alpha.history.len() {
        let older = judged("alpha", &checkpoint_over("alpha", &alpha.history[..size]));
        match judge(&whole, Some(&older)) {
            Ok(Verdict::History(report)) => assert_eq!(report.against, Some(size as u64)),
            other => panic!("size {size}: {other:?}"),
        }
    }
    let refused = |older| judge(&whole, Some(&older)).map(|_| ()).expect_err("another history");
    let mut rewritten = alpha.history[..6].to_vec();
    rewritten[2][0] ^= 1;
    let wrong = refused(judged("alpha", &checkpoint_over("alpha", &rewritten)));
    assert_eq!((wrong.place, wrong.rule), (Place::Event(5), Rule::Rewritten), "found at the older one's last event");

    let mut whole_but_one = alpha.history.clone();
    whole_but_one[2][0] ^= 1;
    let wrong = refused(judged("alpha", &checkpoint_over("alpha", &whole_but_one)));
    assert_eq!((wrong.place, wrong.rule), (Place::Head, Rule::SameSizeOtherRoot));

    whole_but_one.push(b"one more".to_vec());
    assert_eq!(refused(judged("alpha", &checkpoint_over("alpha", &whole_but_one))).rule, Rule::Shrunk);
    assert_eq!(refused(judged("beta", &checkpoint_over("beta", &beta.history))).rule, Rule::OtherDomain);
}

#[test]
fn a_checkpoint_alone_is_judged_and_says_what_it_does_not_prove() {
    let (alpha, _) = lived();
    let checkpoint = alpha.ledger.checkpoint().expect("a genesis");
    let mut head = head("alpha", checkpoint.seal(&root_key("alpha")));
    head.kind = Kind::Checkpoint;
    let bytes = file(&head, &[]);
    let older = judged("alpha", &checkpoint_over("alpha", &alpha.history[..4]));
    let verdict = judge(&bytes, Some(&older)).expect("an honest checkpoint");
    assert!(verdict.to_string().contains("the rest needs a proof"), "{verdict}");
    let wrong = judge(&[bytes.as_slice(), &[0]].concat(), None).expect_err("one byte more");
    assert_eq!(wrong.rule, Rule::TrailingBytes);
}
