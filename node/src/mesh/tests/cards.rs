use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use comity_proto::card::{DomainCard, Owner};
use comity_proto::envelope::Signed as _;
use comity_proto::gossip::{CardDigest, Repair};
use comity_proto::identity::KeyAttestation;
use comity_proto::ids::Hash;
use comity_runtime as runtime;
use futures::FutureExt;

use super::support::*;
use crate::mesh::driver::Command;
use crate::mesh::topics::Topic;
use crate::mesh::{CardRefused, Class, Completeness, MeshHandle, Path, PublishError, Relation, VerifiedBy};

/// A line of three: `a - b - c`, so that news from `a` reaches `c` only through `b`.
async fn line() -> (super::support::Domain, [MeshHandle; 3]) {
    let alpha = domain(1);
    let beta = domain(2);
    let of_alpha = trust(&[(&alpha, Relation::Own), (&beta, Relation::Peer)]);
    let of_beta = trust(&[(&beta, Relation::Own), (&alpha, Relation::Peer)]);
    // No addresses are told, so nobody dials past the line.
    let quiet = |mut config: crate::mesh::MeshConfig| {
        config.advertise = vec!["/ip4/127.0.0.1/tcp/1".parse().expect("an address where nobody listens")];
        config.repair_every = (Duration::from_secs(3600), Duration::from_secs(3600));
        config
    };
    let a = start(quiet(config(&key(11), alpha.identity(&key(11)), of_alpha))).await;
    let b = start_at(quiet(config(&key(21), beta.identity(&key(21)), of_beta.clone())), &a.listening()).await;
    let c = start_at(quiet(config(&key(22), beta.identity(&key(22)), of_beta)), &b.listening()).await;
    see_each_other(&a, &b).await;
    see_each_other(&b, &c).await;
    for mesh in [&a, &b, &c] {
        until("first repair round done", SOON, || mesh.completeness() == Completeness::Synced).await;
    }
    (alpha, [a, b, c])
}

#[test]
fn a_published_card_reaches_all_nodes_by_gossip_alone() {
    run(async {
        let (alpha, [a, b, c]) = line().await;
        let agent = key(51);
        // Gossip needs a heartbeat of its own to build its mesh; before that flood publishing carries the card.
        let first = card_of(&agent, alpha.id, 1).seal(&agent);
        assert_eq!(a.publish_card(first), Ok(()));
        let reached =
            until("everywhere", SOON, || [&b, &c].iter().all(|mesh| sequence_at(mesh, &agent) == Some(1))).await;
        println!("card everywhere (line of three, first publish): {reached:?}");
        let mut worst = Duration::ZERO;
        for sequence in 2..=20 {
            assert_eq!(a.publish_card(card_of(&agent, alpha.id, sequence).seal(&agent)), Ok(()));
            let newest = || [&b, &c].iter().all(|mesh| sequence_at(mesh, &agent) == Some(sequence));
            worst = worst.max(until("everywhere", SOON, newest).await);
        }
        println!("card everywhere (line of three, worst of 19 updates): {worst:?}");
        let at_b = b.agent_card(&id_of(&agent)).expect("there");
        assert_eq!((at_b.path, at_b.verified_by), (Path::FirstHand(a.node()), VerifiedBy::OwnFirstKey));
        let at_c = c.agent_card(&id_of(&agent)).expect("there");
        assert_eq!(at_c.path, Path::Relayed(b.node()));
        assert!(at_c.home_known);
        let found = c.search("text");
        assert_eq!((found.hits.len(), found.completeness), (1, Completeness::Synced));
        let found = c.search("text.translation");
        assert_eq!((found.hits.len(), found.completeness), (0, Completeness::Synced), "not found");
    });
}

#[test]
fn a_card_that_another_node_brought_is_first_hand_once_its_home_tells_of_it() {
    run(async {
        let (alpha, [a, b, c]) = line().await;
        let agent = key(52);
        assert_eq!(a.publish_card(card_of(&agent, alpha.id, 1).seal(&agent)), Ok(()));
        until("a card through a neighbour", SOON, || sequence_at(&c, &agent) == Some(1)).await;
        let path = || c.agent_card(&id_of(&agent)).map(|entry| entry.path);
        assert_eq!(path(), Some(Path::Relayed(b.node())));
        c.dial(a.listening().remove(0)).await;
        until("first hand", SOON, || path() == Some(Path::FirstHand(a.node()))).await;
    });
}

#[test]
fn a_card_that_does_not_hold_is_refused_by_name_and_changes_nothing() {
    run(async {
        let alpha = domain(1);
        let a = start(config(&key(11), alpha.identity(&key(11)), trust(&[(&alpha, Relation::Own)]))).await;
        let (agent, other) = (key(51), key(52));
        let card = |sequence| card_of(&agent, alpha.id, sequence);
        assert_eq!(a.publish_card(card(5).seal(&agent)), Ok(()));
        let mut expired = card_of(&other, alpha.id, 1);
        expired.issued_at_ms = runtime::wall_ms() - 2 * HOUR_MS;
        expired.expires_at_ms = runtime::wall_ms() - 1;
        let mut flipped = card(6).seal(&agent).to_vec();
        *flipped.last_mut().expect("not empty") ^= 1;
        let mut claims_another = card(7);
        claims_another.agent = id_of(&other);
        let mut trailing = card(8).seal(&agent).to_vec();
        trailing.extend_from_slice(&[0x7a, 0]);
        let cases: [(&str, Bytes); 6] = [
            ("card_older", card(4).seal(&agent)),
            ("card_for_another_key", card(6).seal(&other)),
            ("card_for_another_key", claims_another.seal(&agent)),
            ("card_expired", expired.seal(&other)),
            ("card_bad_signature", flipped.into()),
            ("card_malformed", trailing.into()),
        ];
        for (name, envelope) in cases {
            let refused = a.publish_card(envelope).expect_err(name);
            assert!(refused.to_string().starts_with(name), "{name}: {refused}");
            assert!(count(&a, name) > 0, "{name} is counted");
        }
        let huge = Bytes::from(vec![0; 20 * 1024]);
        assert!(matches!(a.publish_card(huge), Err(PublishError::TooLarge { .. })));
        assert_eq!(sequence_at(&a, &agent), Some(5));
        assert_eq!(a.agent_cards().len(), 1);
    });
}

#[test]
fn a_rotated_key_needs_the_word_of_a_voter_of_the_home_domain() {
    run(async {
        let alpha = domain(1);
        let (voter, outsider) = (key(11), key(12));
        let a = start(config(&voter, alpha.identity(&voter), trust(&[(&alpha, Relation::Own)]))).await;
        let (first, now) = (key(51), key(52));
        let rotated = |attester: &comity_proto::keys::SecretKey, valid_until_ms| {
            let attestation =
                KeyAttestation { domain: alpha.id, agent: id_of(&first), key: now.public(), valid_until_ms };
            let mut card = card_of(&now, alpha.id, 1);
            card.agent = id_of(&first);
            card.attestation = attestation.seal(attester);
            card.seal(&now)
        };
        let later = runtime::wall_ms() + HOUR_MS;
        let refused = Err(PublishError::Refused(CardRefused::NotAttested));
        assert_eq!(a.publish_card(rotated(&outsider, later)), refused);
        assert_eq!(a.publish_card(rotated(&voter, runtime::wall_ms() - 1)), refused);
        assert_eq!(a.publish_card(rotated(&voter, later)), Ok(()));
        let entry = a.agent_card(&id_of(&first)).expect("there");
        assert_eq!(entry.verified_by, VerifiedBy::HomeAttestation);
    });
}

#[test]
fn a_card_whose_domain_cannot_vouch_for_it_is_refused_by_name() {
    run(async {
        let (alpha, beta, gamma) = (domain(1), domain(2), domain(3));
        let voter = key(11);
        let mut ours = trust(&[(&alpha, Relation::Own), (&beta, Relation::Peer)]);
        ours.domains.get_mut(&beta.id).expect("a peer").root = comity_proto::roots::RootKeys::first(key(9).public());
        let a = start(config(&voter, alpha.identity(&voter), ours)).await;
        // An agent's second key, attested by a domain whose voters nobody here has heard of.
        let (first, now) = (key(51), key(52));
        let valid_until_ms = runtime::wall_ms() + HOUR_MS;
        let attestation = KeyAttestation { domain: gamma.id, agent: id_of(&first), key: now.public(), valid_until_ms };
        let mut card = card_of(&now, gamma.id, 1);
        card.agent = id_of(&first);
        card.attestation = attestation.seal(&gamma.root);
        let refused = Err(PublishError::Refused(CardRefused::HomeUnknown));
        assert_eq!(a.publish_card(card.seal(&now)), refused);
        let of = |domain: &Domain, document: &'static str| DomainCard {
            domain: domain.id,
            key: domain.root.public(),
            roster: domain.roster(1, &[&voter]),
            document: Bytes::from_static(document.as_bytes()),
            sequence: 1,
            issued_at_ms: runtime::wall_ms(),
            expires_at_ms: valid_until_ms,
            retired: document.is_empty(),
        };
        let refused = Err(PublishError::Refused(CardRefused::BadDocument("not_a_card")));
        assert_eq!(a.publish_domain_card(of(&alpha, "{}").seal(&voter)), refused);
        let refused = Err(PublishError::Refused(CardRefused::NotPinnedKey));
        assert_eq!(a.publish_domain_card(of(&beta, "").seal(&voter)), refused);
        for name in ["card_home_unknown", "card_bad_document", "card_not_pinned_key"] {
            assert_eq!(count(&a, name), 1, "{name} is counted");
        }
        assert!(a.agent_cards().is_empty());
    });
}

#[test]
fn a_forged_card_on_the_topic_is_not_kept_and_not_forwarded() {
    run(async {
        let (alpha, [a, b, c]) = line().await;
        let (agent, other) = (key(51), key(52));
        let forged = card_of(&agent, alpha.id, 1).seal(&other);
        // Past our own checks, as a hostile node would.
        assert!(a.shared().commands.send(Command::Publish(Topic::Cards, forged)).await.is_ok());
        until("refused at b", SOON, || count(&b, "card_for_another_key") == 1).await;
        let good = card_of(&agent, alpha.id, 2).seal(&agent);
        assert_eq!(a.publish_card(good), Ok(()));
        until("the good one everywhere", SOON, || sequence_at(&c, &agent) == Some(2)).await;
        assert_eq!(count(&c, "card_for_another_key"), 0, "b did not forward the forged one");
    });
}

#[test]
fn repair_brings_a_late_joiner_what_gossip_will_not_repeat() {
    run(async {
        let alpha = domain(1);
        let ours = trust(&[(&alpha, Relation::Own)]);
        let store = Arc::new(MemoryStore::default());
        let with_store = |seed: u8| {
            let mut config = config(&key(seed), alpha.identity(&key(seed)), ours.clone());
            config.store = Some(Arc::new(store.clone()));
            config
        };
        let a = start(with_store(11)).await;
        let agents: Vec<_> = (100..150).map(key).collect();
        for agent in &agents {
            assert_eq!(a.publish_card(card_of(agent, alpha.id, 1).seal(agent)), Ok(()));
        }
        a.shutdown().await;
        // After the restart the cards come from the store; nothing announces them again.
        let a = start(with_store(11)).await;
        assert_eq!(a.agent_cards().len(), agents.len(), "a restart keeps cards");
        let mut late = config(&key(12), alpha.identity(&key(12)), ours.clone());
        late.bootstrap = a.listening();
        let b = start(late).await;
        until("all cards", SOON, || b.agent_cards().len() == agents.len()).await;
        assert_eq!(count(&b, "repair_cards"), agents.len() as u64);
        until("synced", SOON, || b.completeness() == Completeness::Synced).await;
        let entry = b.agent_card(&id_of(&agents[0])).expect("there");
        assert_eq!(entry.path, Path::FirstHand(a.node()));
    });
}

#[test]
fn a_search_without_hits_tells_not_found_from_not_yet_heard() {
    run(async {
        let alpha = domain(1);
        let ours = trust(&[(&alpha, Relation::Own)]);
        let alone = start(config(&key(11), alpha.identity(&key(11)), ours.clone())).await;
        let nobody: crate::mesh::Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().expect("an address where nobody listens");
        let cut_off = start_at(config(&key(12), alpha.identity(&key(12)), ours), &[nobody]).await;
        for (mesh, expected) in [(&alone, Completeness::Synced), (&cut_off, Completeness::NotYetSynced)] {
            let found = mesh.search("text");
            assert_eq!((found.hits.len(), found.completeness), (0, expected));
        }
    });
}

#[test]
fn a_neighbour_that_lies_in_repair_costs_a_count_and_nothing_else() {
    run(async {
        let alpha = domain(1);
        let ours = trust(&[(&alpha, Relation::Own)]);
        let liar = start(config(&key(11), alpha.identity(&key(11)), ours.clone())).await;
        let (agent, other) = (key(51), key(52));
        let owner = Owner::Agent(id_of(&agent));
        let forged = card_of(&agent, alpha.id, 9).seal(&other);
        liar.serve(
            Class::Repair,
            Arc::new(move |_, question| {
                let answer = match Repair::decode(&question).expect("b asks well") {
                    Repair::Ask { .. } => Repair::Digests {
                        items: vec![CardDigest { owner, sequence: 9, digest: Hash([0; 32]) }],
                        complete: true,
                    },
                    _ => Repair::Cards { cards: vec![forged.clone(), Bytes::from_static(b"no card")] },
                };
                async move { Ok(answer.encode()) }.boxed()
            }),
        );
        let b = start_at(config(&key(12), alpha.identity(&key(12)), ours), &liar.listening()).await;
        until("asked", SOON, || b.completeness() == Completeness::Synced).await;
        assert_eq!(count(&b, "card_for_another_key"), 1);
        assert!(b.agent_cards().is_empty());
    });
}
