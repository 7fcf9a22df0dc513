//! Payments in a third domain's money: every order of one, and the rules that only they have.

use super::{
    three::{CAP, ISSUER, Message, PAYEE, PAYER, STOCK, Three, stranger},
    world::{Home, agent, domain, party, transfer_id, usd},
};
use crate::{
    Ledger, Outcome,
    account::AccountKey,
    settlement::{IncomingState, OutgoingState, WaitsFor, across::backing_id, content_of},
};
use alloc::{collections::BTreeSet, format, string::String, vec::Vec};
use comity_proto::{
    command::Party,
    ids::TransferId,
    settlement::{Backing, BackingAnswer, Decision, Prepare, SettlementMessage, Source, Vote},
    treaty::TreatyStanding,
};

const AMOUNT: u64 = 1_000;
/// What the payee's domain takes of it: 50 basis points.
const FEE: u64 = 5;
const ID: TransferId = TransferId([7; 16]);

struct Search {
    seen: BTreeSet<String>,
    ends: BTreeSet<bool>,
    states: usize,
}

impl Search {
    fn visit(&mut self, three: &Three, sent: &[Message]) -> Result<(), String> {
        if !self.seen.insert(three.print(sent)) {
            return Ok(());
        }
        self.states += 1;
        three.check(ID)?;
        let mut healed = three.clone();
        if !healed.heal() {
            let open: Vec<_> = healed.homes.iter().map(|home| home.ledger.in_doubt()).collect();
            return Err(format!("never ends: {open:?}"));
        }
        healed.check(ID)?;
        self.ends.insert(ended(&healed)?);
        for message in sent {
            let mut next = three.clone();
            let answers = next.deliver(message).1;
            self.visit(&next, &add(sent, answers))?;
        }
        for message in (0..3).flat_map(|side| three.owed(side)) {
            self.visit(three, &add(sent, Vec::from([message])))?;
        }
        if three.origin(&ID) == Some(OutgoingState::Undecided) {
            let mut next = three.clone();
            next.pulse(PAYER, 10_000);
            self.visit(&next, sent)?;
        }
        Ok(())
    }
}

fn add(sent: &[Message], more: Vec<Message>) -> Vec<Message> {
    let mut all = sent.to_vec();
    for message in more {
        if !all.contains(&message) {
            all.push(message);
        }
    }
    all
}

/// Whether it was paid; an error if it was paid or moved in part.
fn ended(three: &Three) -> Result<bool, String> {
    let seen = (three.left(), three.reserve(PAYER), three.reserve(PAYEE), three.paid());
    match seen {
        (left, 4_000, AMOUNT, 995) if left == STOCK - AMOUNT - 25 => Ok(true),
        (left, STOCK, 0, 0) if left == STOCK - 25 => Ok(false),
        _ => Err(format!("left, reserve of the payer's and of the payee's domain, paid: {seen:?}")),
    }
}

fn explore(prepare: impl Fn(&mut Three)) -> Result<Search, String> {
    let mut three = Three::new();
    prepare(&mut three);
    assert_eq!(three.pay(ID, AMOUNT), Outcome::Begun);
    let sent = three.owed(PAYER);
    let mut search = Search { seen: BTreeSet::new(), ends: BTreeSet::new(), states: 0 };
    search.visit(&three, &sent)?;
    Ok(search)
}

#[test]
fn every_order_of_a_payment_across_is_all_or_nothing_and_ends() {
    let search = explore(|_| {}).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(search.ends, BTreeSet::from([false, true]), "{} states", search.states);
    assert!(search.states > 200, "{} states", search.states);
}

#[test]
fn every_order_with_one_no_ends_in_nothing() {
    for (side, other) in [(ISSUER, PAYEE), (PAYEE, ISSUER)] {
        let search = explore(|three| three.stand(side, other, TreatyStanding::Suspended));
        let search = search.unwrap_or_else(|fault| panic!("{fault}"));
        assert_eq!(search.ends, BTreeSet::from([false]), "{} states", search.states);
    }
}

/// The two prepares of a payment, delivered; the votes.
fn voted(three: &mut Three) -> (Prepare, Vec<Message>) {
    assert_eq!(three.pay(ID, AMOUNT), Outcome::Begun);
    let prepares = three.owed(PAYER);
    let [(_, _, SettlementMessage::Prepare(prepare)), _] = prepares.as_slice() else { panic!("two prepares") };
    let votes = prepares.iter().flat_map(|message| three.deliver(message).1).collect();
    (prepare.clone(), votes)
}

fn decision(prepare: &Prepare, to: usize, commit: bool) -> Message {
    let vote_evidence = commit.then_some(comity_proto::ids::Hash([1; 32]));
    let Prepare { transfer, decide_by_ms, .. } = *prepare;
    let content = content_of(prepare);
    (PAYER, to, SettlementMessage::Decision(Decision { transfer, content, commit, vote_evidence, decide_by_ms }))
}

fn backing(prepare: &Prepare, from: usize) -> Message {
    let Prepare { transfer, origin, amount, decide_by_ms, .. } = *prepare;
    let backing = Backing { origin, transfer, content: content_of(prepare), amount, decide_by_ms };
    (from, PAYEE, SettlementMessage::Backing(backing))
}

#[test]
fn one_yes_does_not_commit_and_the_second_does() {
    let mut three = Three::new();
    let (_, votes) = voted(&mut three);
    assert_eq!(three.deliver(&votes[0]), (Outcome::Applied, Vec::new()));
    assert_eq!(three.origin(&ID), Some(OutgoingState::Undecided));
    assert_eq!(three.deliver(&votes[0]), (Outcome::Exists, Vec::new()));
    let waits: Vec<_> = three.homes[PAYER].ledger.in_doubt().iter().map(|open| open.peer).collect();
    assert_eq!(waits.len(), 1, "only one vote is still awaited: {waits:?}");
    let (outcome, decisions) = three.deliver(&votes[1]);
    assert_eq!((outcome, decisions.len()), (Outcome::Applied, 2), "both are told");
    assert!(matches!(three.origin(&ID), Some(OutgoingState::Decided { commit: true, fee: FEE, .. })));
}

#[test]
fn money_is_minted_only_against_the_issuers_word_and_the_origins() {
    let mut three = Three::new();
    let (prepare, votes) = voted(&mut three);
    votes.iter().for_each(|vote| drop(three.deliver(vote)));
    assert_eq!(three.deliver(&decision(&prepare, PAYEE, true)), (Outcome::Applied, Vec::new()));
    assert_eq!((three.at(PAYEE, ID), three.paid()), (Some(IncomingState::Unbacked { fee: FEE }), 0));
    let doubt = three.homes[PAYEE].ledger.in_doubt();
    assert_eq!((doubt[0].peer, doubt[0].waits_for), (domain(ISSUER), WaitsFor::Backing));
    let (_, said) = three.deliver(&decision(&prepare, ISSUER, true));
    assert_eq!(three.at(ISSUER, ID), Some(IncomingState::Backing));
    assert_eq!(three.reserve(PAYEE), AMOUNT);
    let doubt = three.homes[ISSUER].ledger.in_doubt();
    assert_eq!((doubt[0].peer, doubt[0].waits_for), (domain(PAYEE), WaitsFor::Minting));
    let told = said.iter().find(|(_, to, _)| *to == PAYEE).expect("the payee's domain is told");
    assert_eq!(*told, backing(&prepare, ISSUER));
    let (outcome, answers) = three.deliver(told);
    assert_eq!((outcome, three.paid(), answers.len()), (Outcome::Applied, AMOUNT - FEE, 2));
    answers.iter().for_each(|answer| drop(three.deliver(answer)));
    assert_eq!(three.at(ISSUER, ID), Some(IncomingState::Finished { commit: true, fee: 0 }));
    assert_eq!(three.deliver(told), (Outcome::Exists, Vec::from([answers[1].clone()])), "heard again, answered again");
}

#[test]
fn backing_that_overtakes_the_decision_is_kept_until_it_comes() {
    let mut three = Three::new();
    let (prepare, _) = voted(&mut three);
    assert_eq!(three.deliver(&backing(&prepare, ISSUER)), (Outcome::Applied, Vec::new()));
    assert_eq!(three.deliver(&backing(&prepare, ISSUER)), (Outcome::Exists, Vec::new()));
    assert_eq!(three.paid(), 0);
    let (_, answers) = three.deliver(&decision(&prepare, PAYEE, true));
    assert_eq!((three.paid(), answers.len()), (AMOUNT - FEE, 2), "to the origin and to the issuer");
}

#[test]
fn an_origin_that_lies_strands_its_own_unit_and_nothing_else() {
    let mut three = Three::new();
    let (prepare, _) = voted(&mut three);
    three.deliver(&decision(&prepare, PAYEE, false));
    let (_, said) = three.deliver(&decision(&prepare, ISSUER, true));
    let told = said.iter().find(|(_, to, _)| *to == PAYEE).expect("the payee's domain is told").clone();
    let (outcome, answers) = three.deliver(&told);
    assert_eq!(outcome, Outcome::WrongState);
    let refused = SettlementMessage::BackingAnswer(BackingAnswer {
        origin: domain(PAYER),
        transfer: ID,
        refusal: Some(Outcome::WrongState.code()),
    });
    assert_eq!(answers, [(PAYEE, ISSUER, refused)]);
    assert_eq!(three.deliver(&answers[0]).0, Outcome::Applied);
    assert_eq!((three.paid(), three.reserve(PAYEE), three.reserve(PAYER)), (0, AMOUNT, STOCK - AMOUNT));
    let doubt = three.homes[ISSUER].ledger.in_doubt();
    assert_eq!(doubt[0].refusal, Some(Outcome::WrongState.code()), "stays open, for people to see");
    // Whoever it contradicts itself to keeps the proof and trades with it no more.
    assert_eq!(three.deliver(&decision(&prepare, PAYEE, true)).0, Outcome::Equivocation);
    assert_eq!(three.deliver(&decision(&prepare, ISSUER, false)).0, Outcome::Equivocation);
    assert_eq!(three.homes[ISSUER].ledger.may_trade(&domain(PAYER), true), Err(Outcome::TreatySuspended));
}

#[test]
fn words_about_backing_are_believed_only_of_those_who_may_say_them() {
    let mut three = Three::new();
    let (prepare, _) = voted(&mut three);
    let answer = |from, refusal| {
        let said = BackingAnswer { origin: domain(PAYER), transfer: ID, refusal };
        (from, ISSUER, SettlementMessage::BackingAnswer(said))
    };
    assert_eq!(three.deliver(&backing(&prepare, PAYER)).0, Outcome::NotAuthorised);
    let less = (
        ISSUER,
        PAYEE,
        match backing(&prepare, ISSUER).2 {
            SettlementMessage::Backing(backing) => {
                SettlementMessage::Backing(Backing { amount: AMOUNT - 1, ..backing })
            }
            other => other,
        },
    );
    assert_eq!(three.deliver(&less).0, Outcome::ExistsWithDifferentContent);
    let unknown = Prepare { transfer: transfer_id(3), ..prepare.clone() };
    assert_eq!(three.deliver(&backing(&unknown, ISSUER)).0, Outcome::UnknownTransfer);
    let old = Prepare { decide_by_ms: 0, ..unknown };
    assert_eq!(three.deliver(&backing(&old, ISSUER)).0, Outcome::TooOld);
    assert_eq!(three.deliver(&answer(PAYEE, None)).0, Outcome::WrongState, "nothing has moved yet");
    three.deliver(&decision(&prepare, ISSUER, true));
    assert_eq!(three.deliver(&answer(PAYER, None)).0, Outcome::NotAuthorised);
    assert_eq!(three.at(ISSUER, ID), Some(IncomingState::Backing));
    // Who has forgotten the transfer has posted it.
    assert_eq!(three.deliver(&answer(PAYEE, Some(Outcome::TooOld.code()))).0, Outcome::Applied);
    assert_eq!(three.at(ISSUER, ID), Some(IncomingState::Finished { commit: true, fee: 0 }));
    assert_eq!(three.deliver(&answer(PAYEE, None)).0, Outcome::Exists);
    assert_ne!(three.homes[PAYEE].voter, stranger());
}

fn verdict_of(three: &mut Three, to: usize, prepare: &Prepare) -> Result<u64, Outcome> {
    let (outcome, answers) = three.deliver(&(PAYER, to, SettlementMessage::Prepare(prepare.clone())));
    match answers.as_slice() {
        [(_, _, SettlementMessage::Vote(Vote { verdict: Ok(fee), .. }))] => Ok(*fee),
        _ => Err(outcome),
    }
}

fn prepare_of(three: &Three, n: u64, amount: u64) -> Prepare {
    Prepare {
        transfer: transfer_id(n),
        origin: domain(PAYER),
        source: Source::Agent(agent(PAYER, 0)),
        recipient: party(PAYEE, 0),
        asset: usd(ISSUER),
        amount,
        decide_by_ms: three.homes[PAYER].now_ms + 10_000,
    }
}

#[test]
fn each_two_of_the_three_need_a_treaty() {
    let mut three = Three::without_treaties();
    three.sign(ISSUER, PAYER);
    three.stock();
    assert_eq!(three.pay(ID, AMOUNT), Outcome::NoTreatyPath, "the payee's domain is a stranger");
    three.sign(PAYER, PAYEE);
    assert_eq!(three.pay(ID, AMOUNT), Outcome::Begun);
    let prepare = prepare_of(&three, 2, AMOUNT);
    assert_eq!(verdict_of(&mut three, ISSUER, &prepare), Err(Outcome::NoTreatyPath));
    assert_eq!(verdict_of(&mut three, PAYEE, &prepare), Err(Outcome::NoTreatyPath));
    assert!(three.heal());
    assert_eq!(three.left(), STOCK - 25, "all of it is back");
}

#[test]
fn the_issuer_holds_reserve_for_its_yes_and_takes_no_fee() {
    let mut three = Three::new();
    let prepare = prepare_of(&three, 2, AMOUNT);
    assert_eq!(verdict_of(&mut three, ISSUER, &prepare), Ok(0));
    assert_eq!(three.reserve(PAYER), STOCK - AMOUNT);
    let more = prepare_of(&three, 3, STOCK - AMOUNT + 1);
    assert_eq!(verdict_of(&mut three, ISSUER, &more), Err(Outcome::ReserveInsufficient));
    three.deliver(&decision(&prepare, ISSUER, false));
    assert_eq!(three.reserve(PAYER), STOCK);
}

#[test]
fn the_payees_domain_counts_all_of_the_issuers_paper_whoever_pays() {
    let mut three = Three::new();
    let prepare = prepare_of(&three, 2, CAP - 10);
    assert_eq!(verdict_of(&mut three, PAYEE, &prepare), Ok((CAP - 10) / 200));
    // Straight from the issuer, on top of what is promised to another origin.
    let straight = Prepare { transfer: transfer_id(3), origin: domain(ISSUER), ..prepare_of(&three, 3, 11) };
    let (outcome, _) = three.deliver(&(ISSUER, PAYEE, SettlementMessage::Prepare(straight)));
    assert_eq!(outcome, Outcome::ExposureExceeded);
}

#[test]
fn paper_goes_across_while_the_treaty_with_its_issuer_drains() {
    let mut three = Three::new();
    three.stand(PAYER, ISSUER, TreatyStanding::Draining);
    three.stand(ISSUER, PAYER, TreatyStanding::Draining);
    three.settle_now();
    assert_eq!(three.pay(ID, AMOUNT), Outcome::Begun, "it lessens what the payer's domain holds");
    three.settle_now();
    assert_eq!(three.paid(), AMOUNT - FEE);
}

#[test]
fn an_unknown_participant_votes_on_nothing() {
    let mut three = Three::new();
    let recipient = Party { domain: domain(ISSUER), agent: agent(ISSUER, 0) };
    let back = Prepare { recipient, ..prepare_of(&three, 2, AMOUNT) };
    assert_eq!(verdict_of(&mut three, PAYEE, &back), Err(Outcome::WrongDomain));
}

/// The origin forgets a payment only once both participants are past it: a question of the slower one would find an
/// unknown transfer, and be answered with an abort of what is posted.
#[test]
fn a_payment_is_remembered_until_it_lies_behind_the_watermarks_of_both() {
    let mut three = Three::new();
    assert_eq!(three.pay(ID, AMOUNT), Outcome::Begun);
    three.settle_now();
    assert!(matches!(three.origin(&ID), Some(OutgoingState::Closed { commit: true, .. })));
    // Something to the payee's domain stays undecided: its watermark stands still.
    let open = Prepare { decide_by_ms: u64::MAX / 2, ..prepare_of(&three, 5, 1) };
    let mut slow = three.clone();
    keep_open(&mut slow.homes[PAYER], &open);
    for _ in 0..4 {
        slow.pulse(PAYER, 24 * 3_600_000);
        three.pulse(PAYER, 24 * 3_600_000);
    }
    assert_eq!(three.origin(&ID), None, "behind both");
    let payer = &slow.homes[PAYER].ledger;
    assert!(payer.peer_state(&domain(ISSUER)).expect("a peer").outgoing_watermark_ms > open_at(&slow));
    assert!(slow.origin(&ID).is_some(), "behind one of them only");
    let copy = Ledger::from_chunks(payer.snapshot_chunks()).expect("reads back");
    assert!(copy == *payer, "a snapshot is the same ledger, half forgotten records too");
}

fn open_at(three: &Three) -> u64 {
    let record = three.homes[PAYER].ledger.outgoing_transfer(&ID).expect("remembered");
    record.prepare.decide_by_ms
}

fn keep_open(home: &mut Home, prepare: &Prepare) {
    let mut record = home.ledger.outgoing_transfer(&ID).expect("remembered").clone();
    let asset = usd(PAYER);
    record.prepare = Prepare { asset, decide_by_ms: record.prepare.decide_by_ms, ..prepare.clone() };
    record.content = content_of(&record.prepare);
    record.across = None;
    record.asset = None;
    let (commit, fee, vote_evidence, decided_ms) = (false, 0, None, home.now_ms);
    record.state = OutgoingState::Decided { commit, fee, vote_evidence, decided_ms };
    home.ledger.settlement.add_outgoing(record);
}

#[test]
fn two_origins_may_use_one_id_and_the_issuer_tells_them_apart() {
    assert_ne!(backing_id(&domain(PAYER), &ID), backing_id(&domain(PAYEE), &ID));
    let mut three = Three::new();
    assert_eq!(three.pay(ID, AMOUNT), Outcome::Begun);
    three.settle_now();
    let index = three.homes[PAYEE].ledger.asset_index(&usd(ISSUER)).expect("known");
    let treasury = three.homes[PAYEE].ledger.balance_of(&AccountKey::treasury(index));
    assert_eq!((three.paid(), treasury), (AMOUNT - FEE, FEE));
}
