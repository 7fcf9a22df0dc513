//! A transfer whose origin is gone, ended by a word that the origin's root key signed.

use super::{
    three::{ISSUER, PAYEE, PAYER, Three},
    world::{domain, root, transfer_id},
};
use crate::{
    Outcome,
    settlement::{IncomingState, content_of},
};
use comity_proto::{
    command::Verb,
    envelope::Signed as _,
    ids::{Hash, TransferId},
    settlement::{Prepare, SettlementMessage, TransferVerdict},
    text::Reason,
};

const ID: TransferId = TransferId([7; 16]);

/// A payment across that both have voted yes on, and whose origin is never heard again.
fn in_doubt() -> (Three, Prepare) {
    let mut three = Three::new();
    assert_eq!(three.pay(ID, 1_000), Outcome::Begun);
    let prepares = three.owed(PAYER);
    let [(_, _, SettlementMessage::Prepare(prepare)), _] = prepares.as_slice() else { panic!("two prepares") };
    let prepare = prepare.clone();
    prepares.iter().for_each(|message| drop(three.deliver(message)));
    (three, prepare)
}

fn verdict(prepare: &Prepare, to: usize, commit: bool) -> TransferVerdict {
    TransferVerdict {
        origin: domain(PAYER),
        to: domain(to),
        transfer: prepare.transfer,
        content: content_of(prepare),
        commit,
        reason: Reason::new("our log burned").expect("a reason"),
    }
}

fn obey(three: &mut Three, side: usize, verdict: &TransferVerdict) -> Outcome {
    let verdict = verdict.seal(&root(PAYER));
    three.homes[side].operator_does(side, Verb::ResolveTransfer { verdict })
}

#[test]
fn an_abort_by_hand_gives_everything_back() {
    let (mut three, prepare) = in_doubt();
    for side in [ISSUER, PAYEE] {
        assert_eq!(obey(&mut three, side, &verdict(&prepare, side, false)), Outcome::Applied);
        assert_eq!(three.at(side, ID), Some(IncomingState::Finished { commit: false, fee: 0 }));
        assert_eq!(obey(&mut three, side, &verdict(&prepare, side, false)), Outcome::Exists);
        assert_eq!(
            obey(&mut three, side, &verdict(&prepare, side, true)),
            Outcome::WrongState,
            "the first word stands"
        );
    }
    assert_eq!((three.reserve(PAYER), three.reserve(PAYEE), three.paid()), (5_000, 0, 0));
}

#[test]
fn a_commit_by_hand_mints_only_against_the_issuers_word_too() {
    let (mut three, prepare) = in_doubt();
    assert_eq!(obey(&mut three, PAYEE, &verdict(&prepare, PAYEE, true)), Outcome::Applied);
    assert_eq!((three.at(PAYEE, ID), three.paid()), (Some(IncomingState::Unbacked { fee: 5 }), 0));
    assert_eq!(obey(&mut three, PAYEE, &verdict(&prepare, PAYEE, true)), Outcome::Exists);
    assert_eq!(obey(&mut three, ISSUER, &verdict(&prepare, ISSUER, true)), Outcome::Applied);
    assert_eq!(obey(&mut three, ISSUER, &verdict(&prepare, ISSUER, true)), Outcome::Exists);
    let told = three.owed(ISSUER).into_iter().find(|(_, to, _)| *to == PAYEE).expect("a backing");
    assert_eq!(three.deliver(&told).0, Outcome::Applied);
    assert_eq!((three.reserve(PAYER), three.reserve(PAYEE), three.paid()), (4_000, 1_000, 995));
}

#[test]
fn what_a_lost_log_says_later_against_its_operator_is_a_contradiction() {
    let (mut three, prepare) = in_doubt();
    assert_eq!(obey(&mut three, ISSUER, &verdict(&prepare, ISSUER, true)), Outcome::Applied);
    // The log was not lost: its deadline passes, it aborts, and says so.
    three.pulse(PAYER, 60_000);
    let abort = three.owed(PAYER).into_iter().find(|(_, to, _)| *to == ISSUER).expect("a decision");
    assert_eq!(three.deliver(&abort).0, Outcome::Equivocation);
    assert_eq!(three.homes[ISSUER].ledger.may_trade(&domain(PAYER), true), Err(Outcome::TreatySuspended));
}

#[test]
fn only_the_origins_own_word_about_this_very_transfer_ends_it() {
    let (mut three, prepare) = in_doubt();
    let good = verdict(&prepare, PAYEE, false);
    let unknown = TransferVerdict { transfer: transfer_id(99), ..good.clone() };
    let other = TransferVerdict { content: Hash([3; 32]), ..good.clone() };
    let elsewhere = TransferVerdict { to: domain(ISSUER), ..good.clone() };
    assert_eq!(obey(&mut three, PAYEE, &unknown), Outcome::UnknownTransfer);
    assert_eq!(obey(&mut three, PAYEE, &other), Outcome::ExistsWithDifferentContent);
    assert_eq!(obey(&mut three, PAYEE, &elsewhere), Outcome::WrongDomain);
    // A voter of the origin cannot say it, nor anybody else.
    let forged = comity_proto::envelope::seal(TransferVerdict::CONTEXT, good.encode(), &root(ISSUER));
    let outcome = three.homes[PAYEE].operator_does(PAYEE, Verb::ResolveTransfer { verdict: forged });
    assert_eq!(outcome, Outcome::BadSignature);
    let garbage = bytes::Bytes::from_static(b"no envelope");
    let outcome = three.homes[PAYEE].operator_does(PAYEE, Verb::ResolveTransfer { verdict: garbage });
    assert_eq!(outcome, Outcome::Malformed);
    let verb = Verb::ResolveTransfer { verdict: good.seal(&root(PAYER)) };
    assert_eq!(three.homes[PAYEE].agent_does(PAYEE, 0, verb), Outcome::NotAuthorised, "an operator's business");
    assert_eq!(three.at(PAYEE, ID), Some(IncomingState::Voted { fee: 5 }));
}
