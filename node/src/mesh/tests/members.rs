use std::time::Duration;

use comity_proto::envelope::Signed as _;
use comity_proto::gossip::Suspicion;
use comity_proto::ids::PublicKey;

use super::support::*;
use crate::mesh::driver::Command;
use crate::mesh::topics::Topic;
use crate::mesh::{Member, MemberState, MeshConfig, MeshHandle, Relation};

/// Short periods; who is suspected without cause on a busy machine refutes it, so only ends are waited for.
fn quick(seed: u8) -> MeshConfig {
    let alpha = domain(1);
    let mut config = config(&key(seed), alpha.identity(&key(seed)), trust(&[(&alpha, Relation::Own)]));
    config.heartbeat_every = Duration::from_millis(500);
    config.member_ping_every = Duration::from_millis(200);
    config.repair_every = (Duration::from_millis(300), Duration::from_millis(600));
    config
}

fn member(eyes: &MeshHandle, of: PublicKey) -> Option<Member> {
    eyes.members().into_iter().find(|member| member.node == of)
}

fn state(eyes: &MeshHandle, of: PublicKey) -> Option<MemberState> {
    member(eyes, of).map(|member| member.state)
}

async fn all_see(eyes: &[&MeshHandle], of: PublicKey, wanted: MemberState) {
    until(wanted.name(), SOON, || eyes.iter().all(|eyes| state(eyes, of) == Some(wanted))).await;
}

#[test]
fn who_leaves_has_left_and_who_is_silent_has_failed_in_the_eyes_of_all() {
    run(async {
        let a = start(quick(11)).await;
        let b = start_at(quick(12), &a.listening()).await;
        let c = start_at(quick(13), &a.listening()).await;
        let d = start_at(quick(14), &a.listening()).await;
        let everybody = [&a, &b, &c, &d];
        for of in everybody {
            all_see(&everybody, of.node(), MemberState::Alive).await;
        }
        let (leaver, silent) = (c.node(), d.node());
        c.leave().await;
        all_see(&[&a, &b], leaver, MemberState::Left).await;
        // Its tasks end with it and its connections break without a word.
        drop(d);
        all_see(&[&a, &b], silent, MemberState::Failed).await;
        let seen = member(&a, silent).expect("a failed member is shown");
        assert!(!seen.suspected_by.is_empty(), "somebody said so: {seen:?}");
        assert_eq!(state(&b, leaver), Some(MemberState::Left), "a leave is remembered as one");
        assert_eq!(state(&a, b.node()), Some(MemberState::Alive));
    });
}

#[test]
fn who_comes_back_at_another_address_is_the_same_member() {
    run(async {
        let a = start(quick(11)).await;
        let b = start_at(quick(12), &a.listening()).await;
        let c = start_at(quick(13), &a.listening()).await;
        let node = c.node();
        all_see(&[&a, &b], node, MemberState::Alive).await;
        let before = member(&a, node).expect("a member");
        drop(c);
        all_see(&[&a, &b], node, MemberState::Failed).await;
        let c = start_at(quick(13), &b.listening()).await;
        all_see(&[&a, &b, &c], node, MemberState::Alive).await;
        until("the new address", SOON, || member(&a, node).is_some_and(|now| now.addresses != before.addresses)).await;
        assert_eq!(a.members().len(), 3, "no new member");
        assert!(member(&a, node).expect("a member").sequence > before.sequence);
    });
}

#[test]
fn a_false_suspicion_is_refuted_by_the_one_it_is_about() {
    run(async {
        let a = start(quick(11)).await;
        let b = start_at(quick(12), &a.listening()).await;
        let liar = start_at(quick(13), &a.listening()).await;
        let victim = b.node();
        all_see(&[&a, &liar], victim, MemberState::Alive).await;
        let sequence = member(&liar, victim).expect("a member").sequence;
        let refuted = count(&b, "member_refuted");
        let lie = Suspicion { suspect: victim, sequence: sequence + 60_000, by: liar.node() }.seal(&key(13));
        let said = Command::Publish(Topic::Members, lie);
        liar.shared().commands.send(said).await.expect("it runs");
        until("refuted", SOON, || count(&b, "member_refuted") > refuted).await;
        until("believed", SOON, || member(&a, victim).is_some_and(|seen| seen.sequence > sequence + 60_000)).await;
        all_see(&[&a, &liar], victim, MemberState::Alive).await;
        assert_eq!(member(&a, victim).expect("a member").suspected_by, []);
    });
}

#[test]
fn a_suspicion_in_the_name_of_another_is_refused() {
    run(async {
        let a = start(quick(11)).await;
        let b = start_at(quick(12), &a.listening()).await;
        let liar = start_at(quick(13), &a.listening()).await;
        all_see(&[&a, &liar], b.node(), MemberState::Alive).await;
        let sequence = member(&liar, b.node()).expect("a member").sequence + 60_000;
        let forged = Suspicion { suspect: b.node(), sequence, by: a.node() }.seal(&key(13));
        liar.shared().commands.send(Command::Publish(Topic::Members, forged)).await.expect("it runs");
        until("refused", SOON, || count(&a, "member_word_malformed") + count(&b, "member_word_malformed") > 0).await;
        assert!(member(&a, b.node()).expect("a member").sequence < sequence, "nothing to refute");
    });
}

#[test]
fn a_newcomer_learns_of_members_that_it_never_heard() {
    run(async {
        let mut rare = quick(11);
        rare.heartbeat_every = Duration::from_secs(3_600);
        let a = start(rare).await;
        let mut rare = quick(12);
        rare.heartbeat_every = Duration::from_secs(3_600);
        let b = start_at(rare, &a.listening()).await;
        all_see(&[&a], b.node(), MemberState::Alive).await;
        let gone = start_at(quick(13), &a.listening()).await;
        let leaver = gone.node();
        all_see(&[&a, &b], leaver, MemberState::Alive).await;
        gone.leave().await;
        all_see(&[&a, &b], leaver, MemberState::Left).await;
        let late = start_at(quick(14), &b.listening()).await;
        all_see(&[&late], a.node(), MemberState::Alive).await;
        all_see(&[&late], leaver, MemberState::Left).await;
    });
}
