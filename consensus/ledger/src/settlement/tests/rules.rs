//! The rules of settlement, one test each.

use super::{
    checker::check,
    world::{CAP, FUNDS, Message, World, agent, domain, party, secret, transfer_id, usd},
};
use crate::{
    Ledger, Outcome,
    check::{Checked, CheckedItem},
    settlement::{CheckedBatch, IncomingState, OutgoingState, WaitsFor, content_of, record::FINISHED_KEPT_MS},
};
use alloc::{boxed::Box, vec, vec::Vec};
use bytes::Bytes;
use comity_proto::{
    command::{Party, Verb},
    envelope::{Signed as _, Verified},
    identity::Roster,
    ids::{Hash, TransferId},
    roots::{RootKey, RootKeys},
    settlement::{
        Acknowledge, Decision, Prepare, Query, SettlementBatch, SettlementMessage, SettlementRefusal, Source, Vote,
    },
};

const ID: TransferId = TransferId([7; 16]);

fn prepare(amount: u64) -> Prepare {
    Prepare {
        transfer: ID,
        origin: domain(0),
        source: Source::Agent(agent(0, 0)),
        recipient: party(1, 0),
        asset: usd(0),
        amount,
        decide_by_ms: super::world::START_MS + 10_000,
    }
}

fn said(prepare: &Prepare) -> Message {
    (0, SettlementMessage::Prepare(prepare.clone()))
}

fn decision(prepare: &Prepare, commit: bool) -> Message {
    let vote_evidence = commit.then_some(Hash([1; 32]));
    let Prepare { transfer, decide_by_ms, .. } = *prepare;
    let content = content_of(prepare);
    (0, SettlementMessage::Decision(Decision { transfer, content, commit, vote_evidence, decide_by_ms }))
}

fn refused(answers: &[Message]) -> Option<u16> {
    answers.iter().find_map(|(_, message)| match message {
        SettlementMessage::Vote(Vote { verdict: Err(reason), .. }) => Some(*reason),
        SettlementMessage::Refusal(SettlementRefusal { reason, .. }) => Some(*reason),
        _ => None,
    })
}

/// Delivers and expects one refusal, in the outcome and in the answer.
fn expect_no(world: &mut World, message: &Message, outcome: Outcome) {
    let (outcomes, answers) = world.deliver(message);
    assert_eq!((outcomes, refused(&answers)), (vec![outcome], Some(outcome.code())));
}

fn deliver_batch(world: &mut World, to: usize, batch: CheckedBatch) -> Vec<Outcome> {
    world.homes[to].apply(vec![CheckedItem(Checked::Settlement(Box::new(batch)))]).outcomes.concat()
}

#[test]
fn a_transfer_out_and_back_moves_exactly_the_amount_less_the_receivers_fee() {
    let mut world = World::new();
    assert_eq!(world.pay(0, 0, 0, ID, usd(0), 100_000), Outcome::Begun);
    assert_eq!(world.pay(0, 0, 0, ID, usd(0), 100_000), Outcome::Exists);
    assert_eq!(world.pay(0, 0, 0, ID, usd(0), 100_001), Outcome::ExistsWithDifferentTransfer);
    assert_eq!(
        world.homes[0].ledger.in_doubt()[0].waits_for,
        WaitsFor::Vote { until_ms: world.homes[0].now_ms + 10_000 }
    );
    world.settle_now();
    assert!(world.is_quiet());
    assert_eq!(world.homes[0].balance(agent(0, 0), &usd(0)), FUNDS - 100_000);
    assert_eq!(world.homes[1].balance(agent(1, 0), &usd(0)), 99_500);
    assert_eq!(world.homes[1].treasury(&usd(0)), 500);
    assert_eq!(world.homes[1].issued(&usd(0)), 100_000);
    assert_eq!(world.pay(1, 0, 1, ID, usd(0), 99_500), Outcome::Begun);
    world.settle_now();
    assert_eq!(world.homes[0].balance(agent(0, 1), &usd(0)), FUNDS + 99_003);
    assert_eq!(world.homes[0].treasury(&usd(0)), 497);
    assert_eq!(world.homes[1].issued(&usd(0)), 500, "what came back was burned");
    check(&world).expect("the equation holds");
}

#[test]
fn exposure_counts_wrapped_and_promised_units() {
    let mut world = World::new();
    let first = prepare(CAP - 10);
    assert_eq!(world.deliver(&said(&first)).0, [Outcome::Applied]);
    let second = Prepare { transfer: transfer_id(2), ..prepare(11) };
    expect_no(&mut world, &said(&second), Outcome::ExposureExceeded);
    let third = Prepare { transfer: transfer_id(3), ..prepare(10) };
    assert_eq!(world.deliver(&said(&third)).0, [Outcome::Applied]);
    world.deliver(&decision(&third, true));
    world.deliver(&decision(&first, false));
    let fourth = Prepare { transfer: transfer_id(4), ..prepare(CAP - 9) };
    expect_no(&mut world, &said(&fourth), Outcome::ExposureExceeded);
    let huge = Prepare { transfer: transfer_id(5), ..prepare(u64::MAX) };
    expect_no(&mut world, &said(&huge), Outcome::ExposureExceeded);
}

#[test]
fn an_issuer_without_enough_reserve_votes_no() {
    let mut world = World::new();
    assert!(world.pay(0, 0, 0, transfer_id(1), usd(0), 1_000).is_success());
    world.settle_now();
    let back = |amount, id| {
        let recipient = party(0, 0);
        let source = Source::Agent(agent(1, 0));
        let back = Prepare { transfer: id, origin: domain(1), source, recipient, ..prepare(amount) };
        (1, SettlementMessage::Prepare(back))
    };
    expect_no(&mut world, &back(1_001, transfer_id(2)), Outcome::ReserveInsufficient);
    assert_eq!(world.deliver(&back(1_000, transfer_id(3))).0, [Outcome::Applied]);
    expect_no(&mut world, &back(1, transfer_id(4)), Outcome::ReserveInsufficient);
}

#[test]
fn a_vote_is_no_for_a_stranger_a_retired_agent_a_wrong_domain_and_an_asset_of_neither() {
    let mut world = World::new();
    let nobody = Prepare { recipient: Party { domain: domain(1), agent: agent(0, 0) }, ..prepare(5) };
    expect_no(&mut world, &said(&nobody), Outcome::UnknownAgent);
    assert_eq!(world.homes[1].agent_does(1, 2, Verb::RetireAgent), Outcome::Applied);
    let retired = Prepare { transfer: transfer_id(2), recipient: party(1, 2), ..prepare(5) };
    expect_no(&mut world, &said(&retired), Outcome::AgentRetired);
    let elsewhere = Prepare { transfer: transfer_id(3), recipient: party(0, 1), ..prepare(5) };
    expect_no(&mut world, &said(&elsewhere), Outcome::WrongDomain);
    let asset = comity_proto::amount::AssetId { issuer: comity_proto::ids::DomainId([3; 32]), ..usd(0) };
    let across = Prepare { transfer: transfer_id(4), asset, ..prepare(5) };
    expect_no(&mut world, &said(&across), Outcome::NoTreatyPath);
    let nothing = Prepare { transfer: transfer_id(5), ..prepare(0) };
    expect_no(&mut world, &said(&nothing), Outcome::AmountZero);
    world.set_treaty(1, false);
    let late = Prepare { transfer: transfer_id(6), ..prepare(5) };
    expect_no(&mut world, &said(&late), Outcome::TreatySuspended);
}

#[test]
fn whoever_was_voted_for_is_credited_though_retired_since_and_the_treaty_ended() {
    let mut world = World::new();
    assert!(world.pay(0, 0, 2, ID, usd(0), 1_000).is_success());
    let begun = world.owed(0);
    world.deliver(&begun[0]);
    assert_eq!(world.homes[1].agent_does(1, 2, Verb::RetireAgent), Outcome::Applied);
    world.set_treaty(1, false);
    world.set_treaty(0, false);
    world.settle_now();
    assert!(world.is_quiet());
    assert_eq!(world.homes[1].balance(agent(1, 2), &usd(0)), 995);
}

#[test]
fn the_fee_is_the_one_fixed_at_the_vote() {
    let mut world = World::new();
    assert!(world.pay(0, 0, 0, ID, usd(0), 1_000).is_success());
    let begun = world.owed(0);
    world.deliver(&begun[0]);
    for (_, policy) in &mut world.homes[1].ledger.head.policies {
        policy.transfer_fee_bps = 1_000;
    }
    world.settle_now();
    assert_eq!(world.homes[1].balance(agent(1, 0), &usd(0)), 995);
}

#[test]
fn the_deadline_aborts_only_at_the_origin_and_only_before_the_decision() {
    let mut world = World::new();
    assert!(world.pay(0, 0, 0, ID, usd(0), 1_000).is_success());
    let begun = world.owed(0);
    let (_, votes) = world.deliver(&begun[0]);
    world.pulse(1, 1_000_000_000);
    assert!(matches!(
        world.homes[1].ledger.incoming_transfer(domain(0), ID).expect("known").state,
        IncomingState::Voted { .. }
    ));
    world.pulse(0, 9_999);
    assert_eq!(world.homes[0].ledger.in_doubt().len(), 1);
    // The vote arrives in the very entry whose stamp reaches the deadline: the deadline comes first.
    world.homes[0].now_ms += 1;
    let (outcomes, _) = world.deliver(&votes[0]);
    assert_eq!(outcomes, [Outcome::Exists]);
    assert_eq!(world.homes[0].balance(agent(0, 0), &usd(0)), FUNDS);
    world.settle_now();
    assert!(world.is_quiet());

    assert!(world.pay(0, 0, 0, transfer_id(2), usd(0), 1_000).is_success());
    world.settle_now();
    world.pulse(0, 1_000_000_000);
    assert_eq!(world.homes[0].balance(agent(0, 0), &usd(0)), FUNDS - 1_000, "a commit never times out");
}

#[test]
fn a_repeated_prepare_owes_the_same_vote_and_other_content_is_refused_by_name() {
    let mut world = World::new();
    let (_, first) = world.deliver(&said(&prepare(5)));
    let (outcomes, again) = world.deliver(&said(&prepare(5)));
    assert_eq!((outcomes, again), (vec![Outcome::Exists], first));
    expect_no(&mut world, &said(&prepare(6)), Outcome::ExistsWithDifferentContent);
    let (outcomes, _) = world.deliver(&decision(&prepare(6), true));
    assert_eq!(outcomes, [Outcome::ExistsWithDifferentContent]);
    assert_eq!(world.homes[1].balance(agent(1, 0), &usd(0)), 0);
}

#[test]
fn a_commit_without_our_yes_moves_nothing() {
    let mut world = World::new();
    expect_no(&mut world, &decision(&prepare(5), true), Outcome::UnknownTransfer);
    assert!(world.homes[1].ledger.incoming_transfer(domain(0), ID).is_none());
    expect_no(&mut world, &said(&prepare(CAP + 1)), Outcome::ExposureExceeded);
    assert_eq!(world.deliver(&decision(&prepare(CAP + 1), true)).0, [Outcome::WrongState]);
    let (from, message) = decision(&prepare(5), true);
    let SettlementMessage::Decision(bare) = message else { panic!("a decision") };
    let bare = SettlementMessage::Decision(Decision { vote_evidence: None, ..bare });
    assert_eq!(world.deliver(&(from, bare)).0, [Outcome::Malformed]);
    assert_eq!(world.homes[1].issued(&usd(0)), 0);
}

#[test]
fn an_abort_that_overtakes_its_prepare_is_remembered() {
    let mut world = World::new();
    assert_eq!(world.deliver(&decision(&prepare(5), false)).0, [Outcome::Applied]);
    let (outcomes, answers) = world.deliver(&said(&prepare(5)));
    assert_eq!(outcomes, [Outcome::Exists]);
    assert_eq!(answers, [(1, SettlementMessage::Acknowledge(Acknowledge { transfer: ID, commit: false }))]);
}

#[test]
fn two_different_decisions_leave_the_first_standing_and_suspend_the_peer() {
    let mut world = World::new();
    world.deliver(&said(&prepare(1_000)));
    world.deliver(&decision(&prepare(1_000), true));
    assert_eq!(world.deliver(&decision(&prepare(1_000), false)).0, [Outcome::Equivocation]);
    assert_eq!(world.homes[1].balance(agent(1, 0), &usd(0)), 995);
    let proof = world.homes[1].ledger.peer_state(&domain(0)).and_then(|state| state.equivocation).expect("kept");
    assert_eq!(proof.transfer, ID);
    assert_eq!(proof.first, world.batch(&decision(&prepare(1_000), true)).digest());
    assert_eq!(proof.second, world.batch(&decision(&prepare(1_000), false)).digest());
    let next = Prepare { transfer: transfer_id(2), ..prepare(5) };
    expect_no(&mut world, &said(&next), Outcome::TreatySuspended);
    assert_eq!(world.pay(1, 0, 0, transfer_id(3), usd(0), 5), Outcome::TreatySuspended);
}

#[test]
fn only_a_voter_of_the_highest_roster_seen_counts() {
    let mut world = World::new();
    let batch = |epoch, voters: Vec<_>, key, incarnation, message: &Message| {
        let batch = SettlementBatch {
            from: domain(0),
            to: domain(1),
            incarnation,
            roster: Bytes::new(),
            messages: vec![message.1.clone()],
        };
        CheckedBatch::unsigned(batch, Roster { domain: domain(0), epoch, voters, seats: vec![] }, key, &[])
    };
    let (old, new, stranger) = (world.homes[0].voter, secret(50).public(), secret(51).public());
    let message = said(&prepare(5));
    let outsider = batch(1, vec![old], stranger, 1, &message);
    assert_eq!(deliver_batch(&mut world, 1, outsider), [Outcome::NotAVoter]);
    let raised = batch(2, vec![new], new, 1, &message);
    assert_eq!(deliver_batch(&mut world, 1, raised), [Outcome::Applied]);
    let removed = batch(1, vec![old], old, 1, &decision(&prepare(5), false));
    assert_eq!(deliver_batch(&mut world, 1, removed), [Outcome::NotAVoter]);
    // An older roster may travel along, as long as the signer still votes.
    let stale = batch(1, vec![old], new, 3, &message);
    assert_eq!(deliver_batch(&mut world, 1, stale), [Outcome::Exists]);
    let fallen = batch(2, vec![new], new, 2, &message);
    assert_eq!(deliver_batch(&mut world, 1, fallen), [Outcome::OldIncarnation]);
    // What is signed apart from a batch is judged by the same roster.
    let speaks = |incarnation, epoch, voter: comity_proto::ids::PublicKey| {
        let roster = Roster { domain: domain(0), epoch, voters: vec![voter], seats: vec![] };
        let signed = Roster::open(&roster.seal(&world.homes[0].root)).expect("a roster");
        world.homes[1].ledger.speaks_for(incarnation, &signed, &voter)
    };
    assert!(speaks(3, 2, new) && speaks(3, 3, stranger), "a higher roster than the one seen counts");
    assert!(!speaks(3, 1, old) && !speaks(3, 2, stranger), "a lower or the same one does not change who votes");
    assert!(!speaks(2, 2, new), "of an older incarnation");
}

#[test]
fn a_higher_roster_by_a_root_key_that_counts_no_more_makes_nobody_a_voter() {
    let mut world = World::new();
    let (first, voter) = (world.homes[0].root.clone(), secret(50).public());
    let second = RootKey::from(first.clone());
    let second = RootKey::along(second.links_to(&secret(60)).expect("links"), secret(60)).expect("they hold");
    let fork = RootKey::from(first.clone());
    let fork = RootKey::along(fork.links_to(&secret(61)).expect("links"), secret(61)).expect("they hold");
    let ledger = &mut world.homes[1].ledger;
    let treaty = ledger.head.treaties.get_mut(&domain(0)).expect("a treaty");
    treaty.root = RootKeys::of(second.signer());
    let roster = |epoch| Roster { domain: domain(0), epoch, voters: vec![voter], seats: vec![] };
    let by = |roster: &Roster, root: &RootKey| Roster::open(&roster.seal(root)).expect("a roster");
    let adopted =
        |ledger: &mut Ledger, signed: &Verified<Roster>| ledger.adopt_roster(signed.get(), Some(signed.signer()));
    let known = ledger.peer_state(&domain(0)).map_or(0, |peer| peer.roster_epoch);
    let late = by(&roster(known), &RootKey::from(first.clone()));
    assert_eq!(adopted(ledger, &late), Ok(()), "what is known already changes nothing, whoever signed it");
    let stolen = by(&roster(known + 9), &RootKey::from(first));
    assert_eq!(adopted(ledger, &stolen), Err(Outcome::RootKeyRetired));
    assert!(!ledger.speaks_for(9, &stolen, &voter));
    let forked = by(&roster(known + 9), &fork);
    assert_eq!(adopted(ledger, &forked), Err(Outcome::RootKeyForked));
    assert!(!ledger.speaks_for(9, &forked, &voter));
    let honest = by(&roster(known + 1), &second);
    assert!(ledger.speaks_for(9, &honest, &voter));
    assert_eq!(adopted(ledger, &honest), Ok(()));
}

#[test]
fn a_domain_without_a_treaty_and_a_batch_for_another_are_refused() {
    let mut world = World::new();
    world.homes[1].ledger.head.treaties.clear();
    assert_eq!(world.deliver(&said(&prepare(5))).0, [Outcome::PeerNotTrusted]);
    let mut world = World::new();
    let batch = world.batch(&said(&prepare(5)));
    assert_eq!(deliver_batch(&mut world, 0, batch), [Outcome::WrongDomain]);
}

#[test]
fn a_query_needs_our_own_signed_prepare_and_writes_a_tombstone_for_an_unknown_one() {
    let mut world = World::new();
    let bare = (1, SettlementMessage::Query(Query { transfer: ID, prepare: Bytes::copy_from_slice(&[0; 32]) }));
    expect_no(&mut world, &bare, Outcome::UnknownTransfer);
    assert!(world.homes[0].ledger.outgoing_transfer(&ID).is_none(), "nothing is written");
    // Side 0 said this once and lost its log since.
    world.deliver(&said(&prepare(1_000)));
    let query = world.owed(1).into_iter().find(|(_, message)| matches!(message, SettlementMessage::Query(_)));
    let (outcomes, answers) = world.deliver(&query.clone().expect("a yes vote owes a query"));
    assert_eq!(outcomes, [Outcome::Applied]);
    assert!(matches!(answers[0].1, SettlementMessage::Decision(Decision { commit: false, .. })));
    assert_eq!(world.pay(0, 0, 0, ID, usd(0), 1_000), Outcome::ExistsWithDifferentTransfer, "buried for good");
    world.settle_now();
    assert!(world.is_quiet());
    check(&world).expect("nothing moved");
}

#[test]
fn behind_the_watermark_everything_is_too_old_and_nothing_unfinished_is_there() {
    let mut world = World::new();
    assert!(world.pay(0, 0, 0, transfer_id(1), usd(0), 1_000).is_success());
    let first = world.owed(0);
    world.settle_now();
    // Another one stays open at both sides while time goes on.
    assert!(world.pay(0, 0, 0, transfer_id(2), usd(0), 1_000).is_success());
    let second = world.owed(0);
    world.deliver(&second[0]);
    for home in &mut world.homes {
        home.now_ms += 2 * FINISHED_KEPT_MS;
    }
    assert!(world.pay(0, 0, 0, transfer_id(3), usd(0), 1_000).is_success());
    let third = world.owed(0);
    world.deliver(third.last().expect("begun"));
    let (a, b) = (&world.homes[0].ledger, &world.homes[1].ledger);
    assert!(b.incoming_transfer(domain(0), transfer_id(2)).is_some(), "an unfinished record is never forgotten");
    assert!(a.outgoing_transfer(&transfer_id(2)).is_some());
    world.settle_now();
    world.deliver(&(0, SettlementMessage::Acknowledge(Acknowledge { transfer: ID, commit: true })));
    world.deliver(&(1, SettlementMessage::Acknowledge(Acknowledge { transfer: ID, commit: true })));
    let b = &world.homes[1].ledger;
    assert!(b.incoming_transfer(domain(0), transfer_id(1)).is_none(), "finished long ago and forgotten");
    assert!(world.homes[0].ledger.outgoing_transfer(&transfer_id(1)).is_none());
    expect_no(&mut world, &first[0], Outcome::TooOld);
    let SettlementMessage::Prepare(old) = &first[0].1 else { panic!("a prepare") };
    let digest = world.batch(&first[0]).digest();
    world.homes[1].evidence.insert(digest, vec![old.clone()]);
    let query = Query { transfer: old.transfer, prepare: Bytes::copy_from_slice(&digest.0) };
    expect_no(&mut world, &(1, SettlementMessage::Query(query)), Outcome::TooOld);
    assert_eq!(world.homes[1].balance(agent(1, 0), &usd(0)), 1_990, "the second was aborted at its deadline");
}

#[test]
fn forgetting_keeps_pace_with_full_batches_and_goes_on_when_the_peer_is_silent() {
    let mut world = World::new();
    for n in 0..60 {
        assert!(world.pay(0, 0, 0, transfer_id(n), usd(0), 10).is_success());
    }
    world.settle_now();
    let records = |world: &World| {
        let [a, b] = [0, 1].map(|side| &world.homes[side].ledger.settlement);
        (a.outgoing.len(), b.incoming.len())
    };
    assert_eq!(records(&world), (60, 60));
    world.homes[0].now_ms += 2 * FINISHED_KEPT_MS;
    // One batch of thirty: the participant forgets the sixty in the same entry.
    for n in 100..130 {
        assert!(world.pay(0, 0, 0, transfer_id(n), usd(0), 10).is_success());
    }
    let messages: Vec<_> = world.owed(0).into_iter().map(|(_, message)| message).collect();
    assert_eq!(messages.len(), 30);
    let batch = SettlementBatch { from: domain(0), to: domain(1), incarnation: 1, roster: Bytes::new(), messages };
    let home = &world.homes[0];
    let batch = CheckedBatch::unsigned(batch, home.roster.clone(), home.voter, &[]);
    assert_eq!(deliver_batch(&mut world, 1, batch), vec![Outcome::Applied; 30]);
    assert_eq!(records(&world), (90, 30), "only what is recent is left");
    // The origin heard nothing since, and forgets by its own clock.
    world.pulse(0, 1);
    assert_eq!(records(&world), (30, 30));
    world.settle_now();
    check(&world).expect("the equation holds");
}

/// The acknowledgement was lost, and the participant has forgotten since what it acknowledged.
#[test]
fn a_commit_whose_acknowledgement_was_lost_ends_though_the_participant_has_forgotten_it() {
    let mut world = World::new();
    assert!(world.pay(0, 0, 0, ID, usd(0), 1_000).is_success());
    let begun = world.owed(0);
    let (_, votes) = world.deliver(&begun[0]);
    let (_, decisions) = world.deliver(&votes[0]);
    let (_, lost) = world.deliver(&decisions[0]);
    assert!(matches!(lost[0].1, SettlementMessage::Acknowledge(_)));
    world.homes[0].now_ms += 2 * FINISHED_KEPT_MS;
    assert!(world.pay(0, 0, 0, transfer_id(2), usd(0), 1_000).is_success());
    let next = world.owed(0).pop().expect("begun");
    world.deliver(&next);
    assert!(world.homes[1].ledger.incoming_transfer(domain(0), ID).is_none(), "forgotten");
    check(&world).expect("and counted once");
    expect_no(&mut world, &decisions[0], Outcome::TooOld);
    world.settle_now();
    assert!(world.is_quiet());
    let state = world.homes[0].ledger.outgoing_transfer(&ID).map(|record| record.state);
    assert!(matches!(state, Some(OutgoingState::Closed { commit: true, .. })), "{state:?}");
    assert_eq!(world.homes[1].balance(agent(1, 0), &usd(0)), 2 * 995);
    check(&world).expect("the equation holds");
}

#[test]
fn a_no_closes_at_once_and_the_money_is_back() {
    let mut world = World::new();
    world.set_treaty(1, false);
    assert!(world.pay(0, 0, 0, ID, usd(0), 1_000).is_success());
    world.settle_now();
    assert!(world.is_quiet());
    let state = world.homes[0].ledger.outgoing_transfer(&ID).expect("kept").state;
    let reason = Some(Outcome::TreatySuspended.code());
    assert!(matches!(state, OutgoingState::Closed { commit: false, reason: r, .. } if r == reason), "{state:?}");
    assert_eq!(world.homes[0].balance(agent(0, 0), &usd(0)), FUNDS);
}

#[test]
fn a_batch_is_opened_only_with_a_roster_of_its_sender_and_a_query_only_with_words_of_its_origin() {
    let (root, node) = (secret(1), secret(11));
    let roster = Roster { domain: domain(0), epoch: 1, voters: vec![node.public()], seats: vec![] };
    let batch = |roster: Bytes, message| SettlementBatch {
        from: domain(0),
        to: domain(1),
        incarnation: 1,
        roster,
        messages: vec![message],
    };
    let message = SettlementMessage::Prepare(prepare(5));
    let good = batch(roster.seal(&root), message.clone()).seal(&node);
    let opened = CheckedBatch::open(&good).expect("a good batch");
    assert_eq!((opened.key(), opened.digest()), (&node.public(), Hash::of(&good)));
    assert!(CheckedBatch::open(&batch(roster.seal(&node), message.clone()).seal(&node)).is_err(), "self-made roster");
    let other = Roster { domain: domain(1), ..roster.clone() };
    assert!(CheckedBatch::open(&batch(other.seal(&secret(2)), message.clone()).seal(&node)).is_err(), "another's");

    let ask = |prepare: Bytes| {
        let peer = Roster { domain: domain(1), epoch: 1, voters: vec![secret(12).public()], seats: vec![] };
        let query = SettlementMessage::Query(Query { transfer: ID, prepare });
        let batch = SettlementBatch { from: domain(1), to: domain(0), ..batch(peer.seal(&secret(2)), query) };
        CheckedBatch::open(&batch.seal(&secret(12))).expect("the batch itself is good")
    };
    assert_eq!(ask(good).queried(&ID), Some(&prepare(5)));
    let stranger = batch(roster.seal(&root), message).seal(&secret(99));
    assert_eq!(ask(stranger).queried(&ID), None, "not signed by a voter of the origin");
}
