use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use comity_proto::envelope::Signed as _;
use comity_proto::identity::Roster;
use comity_proto::keys::SecretKey;
use comity_proto::roots::{RootKey, RootKeys};
use comity_runtime as runtime;
use futures::FutureExt;

use super::support::*;
use crate::mesh::certificate::judge;
use crate::mesh::limits::CLOCK_SKEW_MS;
use crate::mesh::roster::Rosters;
use crate::mesh::{Class, Identity, Refused, Relation, RpcError, Standing, Trust, TrustedDomain};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_hello_tells_own_domain_from_peers_known_domains_and_strangers() {
    run(async {
        let (alpha, beta, gamma) = (domain(1), domain(2), domain(3));
        let all = [(&alpha, Relation::Own), (&beta, Relation::Peer), (&gamma, Relation::Known)];
        let a1 = start(config(&key(11), alpha.identity(&key(11)), trust(&all))).await;
        let at = a1.listening();
        let a2 = start_at(config(&key(12), alpha.identity(&key(12)), trust(&all)), &at).await;
        let of_beta = trust(&[(&beta, Relation::Own), (&alpha, Relation::Peer)]);
        let b1 = start_at(config(&key(21), beta.identity(&key(21)), of_beta), &at).await;
        let of_gamma = trust(&[(&gamma, Relation::Own)]);
        let c1 = start_at(config(&key(31), gamma.identity(&key(31)), of_gamma), &at).await;
        let s1 = start_at(config(&key(41), stranger(), trust(&[])), &at).await;
        for (mesh, expected) in [(&a2, "own"), (&b1, "peer"), (&c1, "known"), (&s1, "stranger")] {
            until(expected, SOON, || standing(&a1, mesh) == expected).await;
            until("told so", SOON, || taken_for(mesh, &a1).as_deref() == Some(expected)).await;
        }
        assert_eq!(standing(&b1, &a1), "peer");
        assert_eq!(standing(&c1, &a1), "stranger", "gamma has not pinned alpha");
        assert!(a1.roster(&beta.id).is_some(), "the hello brought beta's roster");
    });
}

#[test]
fn a_stranger_cannot_open_a_raft_stream_and_a_peer_can_only_settle() {
    run(async {
        let (alpha, beta) = (domain(1), domain(2));
        let reached = Arc::new(AtomicUsize::new(0));
        let a = start(config(
            &key(11),
            alpha.identity(&key(11)),
            trust(&[(&alpha, Relation::Own), (&beta, Relation::Peer)]),
        ))
        .await;
        for class in Class::ALL {
            let reached = reached.clone();
            a.serve(
                class,
                Arc::new(move |_, body| {
                    // Repair and Members run by themselves and are open to all.
                    let alone = matches!(class, Class::Repair | Class::Members);
                    reached.fetch_add(usize::from(!alone), Ordering::Relaxed);
                    async { Ok(body) }.boxed()
                }),
            );
        }
        // Both callers lie to themselves: to them alpha is their own domain, so nothing on their side stops them.
        let lie = trust(&[(&alpha, Relation::Own), (&beta, Relation::Own)]);
        let s = start_at(config(&key(41), stranger(), lie.clone()), &a.listening()).await;
        let b = start_at(config(&key(21), beta.identity(&key(21)), lie), &a.listening()).await;
        see_each_other(&a, &s).await;
        see_each_other(&a, &b).await;
        let ask = async |mesh: &crate::mesh::MeshHandle, class| {
            mesh.request(a.node(), class, Bytes::from_static(b"x"), SOON).await
        };
        for class in [Class::Raft, Class::Forward, Class::Snapshot] {
            assert!(matches!(ask(&s, class).await, Err(RpcError::NotPermitted(_))), "stranger, {class}");
            assert!(matches!(ask(&b, class).await, Err(RpcError::NotPermitted(_))), "peer, {class}");
        }
        for class in [Class::Settlement, Class::Tasks] {
            assert!(matches!(ask(&s, class).await, Err(RpcError::NotPermitted(_))), "stranger, {class}");
        }
        assert_eq!(reached.load(Ordering::Relaxed), 0, "no handler saw a refused request");
        assert_eq!(ask(&b, Class::Settlement).await, Ok(Bytes::from_static(b"x")));
        assert_eq!(ask(&s, Class::Repair).await, Ok(Bytes::from_static(b"x")), "cards are public");
        assert!(s.open_task_stream(a.node()).await.is_ok_and(|_| true), "the stream opens, but nobody serves it");
        assert!(count(&a, "stream_not_permitted") >= 8);
        // And the other way round: alpha sends no consensus bytes to either.
        let sent = a.request(s.node(), Class::Raft, Bytes::new(), SECOND).await;
        assert!(matches!(sent, Err(RpcError::NotPermitted(_))), "{sent:?}");
    });
}

#[test]
fn a_bad_certificate_is_refused_by_name_and_counted() {
    run(async {
        let (alpha, beta) = (domain(1), domain(2));
        let node = key(12);
        let good = alpha.certificate(&node);
        let now_ms = runtime::wall_ms();
        let mut expired = good.clone();
        expired.not_after_ms = now_ms - 1;
        let mut early = good.clone();
        early.not_before_ms = now_ms + HOUR_MS / 2;
        let mut flipped = good.seal(&alpha.root).to_vec();
        *flipped.last_mut().expect("not empty") ^= 1;
        let cases: [(Bytes, Refused); 7] = [
            (good.seal(&node), Refused::SelfMade),
            (good.seal(&beta.root), Refused::ForeignSigner),
            (alpha.certificate(&key(13)).seal(&alpha.root), Refused::OtherNode),
            (expired.seal(&alpha.root), Refused::Expired),
            (early.seal(&alpha.root), Refused::NotYetValid),
            (flipped.into(), Refused::Unreadable),
            (Bytes::from_static(b"hello"), Refused::Unreadable),
        ];
        let ours = trust(&[(&alpha, Relation::Own), (&beta, Relation::Peer)]);
        let a = start(config(&key(11), alpha.identity(&key(11)), ours.clone())).await;
        for (certificate, expected) in cases {
            let before = count(&a, expected.name());
            let identity = Identity { domain: Some(alpha.id), certificate, roster: Bytes::new() };
            let x = start_at(config(&node, identity, ours.clone()), &a.listening()).await;
            until(expected.name(), SOON, || taken_for(&x, &a).as_deref() == Some(expected.name())).await;
            assert_eq!(standing(&a, &x), "stranger");
            assert!(count(&a, expected.name()) > before, "{} is counted", expected.name());
            x.shutdown().await;
            until("gone", SOON, || standing(&a, &x) == "absent").await;
        }
        let mut revoked = ours.clone();
        revoked.revoked.insert((alpha.id, 1));
        let judged = judge(&good.seal(&alpha.root), &node.public(), &revoked, now_ms);
        assert!(matches!(judged.standing, Standing::Stranger { refused: Some(Refused::Revoked), .. }));
        assert!(judge(&good.seal(&alpha.root), &node.public(), &ours, now_ms).standing.is_own());
    });
}

#[test]
fn a_certificate_by_a_root_key_that_counts_no_more_or_follows_beside_another_is_refused_by_name() {
    run(async {
        let (alpha, node, now_ms) = (domain(1), key(12), runtime::wall_ms());
        let following = |next: &SecretKey| {
            let first = RootKey::from(alpha.root.clone());
            RootKey::along(first.links_to(next).expect("links"), next.clone()).expect("they hold")
        };
        let (second, fork) = (following(&key(31)), following(&key(32)));
        let certificate = alpha.certificate(&node);
        let knowing = |root: RootKeys| {
            let mut ours = Trust::default();
            ours.domains.insert(alpha.id, TrustedDomain { root, relation: Relation::Own });
            ours
        };
        let judged = |certificate: Bytes, root: &RootKeys| {
            judge(&certificate, &node.public(), &knowing(root.clone()), now_ms).standing
        };
        let refused = |standing: Standing| match standing {
            Standing::Stranger { refused, .. } => refused,
            _ => None,
        };
        let pinned = RootKeys::first(alpha.root.public());
        assert!(judged(certificate.seal(&alpha.root), &pinned).is_own());
        assert!(judged(certificate.seal(&second), &pinned).is_own(), "it carries the links to its key");
        let moved_on = RootKeys::of(second.signer());
        assert!(judged(certificate.seal(&second), &moved_on).is_own());
        assert_eq!(refused(judged(certificate.seal(&alpha.root), &moved_on)), Some(Refused::RootRetired));
        assert_eq!(refused(judged(certificate.seal(&fork), &moved_on)), Some(Refused::RootForked));
        assert!(Refused::RootForked.is_forgery() && !Refused::RootRetired.is_forgery());
        let overlapping = RootKeys { before_until_ms: Some(u64::MAX), ..moved_on };
        assert!(judged(certificate.seal(&alpha.root), &overlapping).is_own(), "while the one before counts");
        // Rosters too: a stolen key makes no voter, whatever epoch it names.
        let mut rosters = Rosters::default();
        let by_thief = Roster { domain: alpha.id, epoch: 9, voters: vec![node.public()], seats: vec![] };
        let ours = knowing(RootKeys::of(second.signer()));
        assert_eq!(rosters.offer(&by_thief.seal(&alpha.root), &ours), None);
        assert_eq!(rosters.offer(&by_thief.seal(&fork), &ours), None);
        assert_eq!(rosters.offer(&by_thief.seal(&second), &ours), Some((alpha.id, 9)));
    });
}

#[test]
fn what_a_wrong_clock_refused_is_judged_again_when_the_clock_is_right() {
    run(async {
        let alpha = domain(1);
        let node = key(12);
        let certificate = alpha.certificate(&node);
        let ours = trust(&[(&alpha, Relation::Own)]);
        let judged_at = |at_ms| judge(&certificate.seal(&alpha.root), &node.public(), &ours, at_ms);
        let begins_ms = certificate.not_before_ms.saturating_sub(CLOCK_SKEW_MS);
        let behind = judged_at(begins_ms - 1);
        assert!(matches!(behind.standing, Standing::Stranger { refused: Some(Refused::NotYetValid), .. }));
        assert!(!behind.is_over(begins_ms - 1) && behind.is_over(begins_ms));
        let ends_ms = certificate.not_after_ms;
        let ahead = judged_at(ends_ms);
        assert!(matches!(ahead.standing, Standing::Stranger { refused: Some(Refused::Expired), .. }));
        assert!(!ahead.is_over(ends_ms) && ahead.is_over(ends_ms - 1));
        let right = judged_at(begins_ms);
        assert!(right.standing.is_own() && !right.is_over(ends_ms - 1) && right.is_over(ends_ms));
    });
}

#[test]
fn a_standing_ends_with_its_certificate_and_with_our_trust() {
    run(async {
        let (alpha, beta) = (domain(1), domain(2));
        let ours = trust(&[(&alpha, Relation::Own), (&beta, Relation::Peer)]);
        let a = start(config(&key(11), alpha.identity(&key(11)), ours.clone())).await;
        let b = start_at(config(&key(21), beta.identity(&key(21)), ours.clone()), &a.listening()).await;
        until("a peer at first", SOON, || standing(&a, &b) == "peer").await;
        let mut short = beta.certificate(&key(21));
        short.not_after_ms = runtime::wall_ms() + 1_000;
        let certificate = short.seal(&beta.root);
        b.set_identity(Identity { domain: Some(beta.id), certificate, roster: Bytes::new() }).await;
        until("expired while connected", SOON, || standing(&a, &b) == "stranger").await;
        assert!(count(&a, "certificate_expired") >= 1);
        b.set_identity(beta.identity(&key(21))).await;
        until("renewed while connected", SOON, || standing(&a, &b) == "peer").await;
        a.set_trust(trust(&[(&alpha, Relation::Own)]));
        assert_eq!(standing(&a, &b), "stranger", "the treaty is gone");
        let settled = a.settle(beta.id, Bytes::new(), SECOND).await;
        assert!(matches!(settled, Err(RpcError::Unreachable(_))), "{settled:?}");
    });
}
