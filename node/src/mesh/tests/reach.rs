//! How far cards go: to whom the rules admit, and no further, whatever somebody on the way does.

use std::time::Duration;

use bytes::Bytes;
use comity_proto::card::{AgentCard, Owner};
use comity_proto::envelope::Signed as _;
use comity_proto::export::{Audience, ExportRule, Exports};
use comity_proto::gossip::Repair;
use comity_proto::keys::SecretKey;

use super::support::*;
use crate::mesh::driver::Command;
use crate::mesh::topics::Topic;
use crate::mesh::{Class, MeshHandle, Relation, Standing};

const SECOND: Duration = Duration::from_secs(1);

/// Three domains, each knows both others as peers, all connected. Rounds of repair come only when somebody has news.
async fn triangle() -> ([Domain; 3], [MeshHandle; 3]) {
    let domains = [domain(1), domain(2), domain(3)];
    let mut meshes: Vec<MeshHandle> = Vec::new();
    for (at, own) in domains.iter().enumerate() {
        let relations = [0, 1, 2].map(|other| if other == at { Relation::Own } else { Relation::Peer });
        let pinned: Vec<(&Domain, Relation)> = domains.iter().zip(relations).collect();
        let node = key(11 + at as u8);
        let mut config = config(&node, own.identity(&node), trust(&pinned));
        config.repair_every = (Duration::from_secs(3600), Duration::from_secs(3600));
        config.exports = Exports::default();
        let others: Vec<_> = meshes.iter().flat_map(MeshHandle::listening).collect();
        meshes.push(start_at(config, &others).await);
    }
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        see_each_other(&meshes[one], &meshes[other]).await;
    }
    let Ok(meshes) = meshes.try_into() else { panic!("three") };
    (domains, meshes)
}

fn hidden(agent: &SecretKey, home: &Domain, sequence: u64) -> AgentCard {
    AgentCard { public: false, ..card_of(agent, home.id, sequence) }
}

fn admitting(rules: &[ExportRule]) -> Exports {
    rules.iter().cloned().collect()
}

/// What `to` gives to `from` when asked straight for a card.
async fn asked(from: &MeshHandle, to: &MeshHandle, agent: &SecretKey) -> usize {
    let question = Repair::Want { owners: vec![Owner::Agent(id_of(agent))] }.encode();
    let answer = from.request(to.node(), Class::Repair, question, 5 * SECOND).await.expect("an answer");
    match Repair::decode(&answer) {
        Ok(Repair::Cards { cards }) => cards.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_card_goes_to_the_peers_that_a_rule_admits_and_no_further_whatever_a_peer_does() {
    run(async {
        let ([alpha, beta, _], [a, b, g]) = triangle().await;
        let agent = key(51);
        let envelope = hidden(&agent, &alpha, 1).seal(&agent);
        assert_eq!(a.publish_card(envelope.clone()), Ok(()));
        assert_eq!((asked(&b, &a, &agent).await, asked(&g, &a, &agent).await), (0, 0), "nobody without a rule");

        a.set_exports(admitting(&[ExportRule::all(Audience::Peer(beta.id))]));
        until("the peer is told of what it may see now", SOON, || sequence_at(&b, &agent) == Some(1)).await;
        let (to_b, to_g) = (Standing::Peer { domain: beta.id }, Standing::Stranger { claims: None, refused: None });
        assert_eq!((a.shown_to(&to_b).len(), a.shown_to(&to_g).len()), (1, 0), "the preview is the filter");
        assert_eq!(asked(&g, &a, &agent).await, 0, "its home does not show it to the third");
        assert_eq!(asked(&g, &b, &agent).await, 0, "nor does the peer, which has it");
        assert_eq!(asked(&b, &a, &agent).await, 1);

        // A peer that leaks it: neither by gossip nor straight is it taken, so nobody carries it on.
        let told = Command::Publish(Topic::Cards, envelope.clone());
        b.shared().commands.send(told).await.map_err(|_| ()).expect("the driver runs");
        until("gossip was refused", SOON, || count(&g, "card_not_shown") == 1).await;
        let leak = Repair::Cards { cards: vec![envelope] }.encode();
        b.request(g.node(), Class::Repair, leak, 5 * SECOND).await.expect("an answer");
        assert_eq!((count(&g, "card_not_shown"), sequence_at(&g, &agent)), (2, None));

        // New editions are pushed; nobody waits for a round of repair.
        assert_eq!(a.publish_card(hidden(&agent, &alpha, 2).seal(&agent)), Ok(()));
        until("the next edition", SOON, || sequence_at(&b, &agent) == Some(2)).await;

        // What was shown cannot be unshown; what comes after is not shown any more.
        a.set_exports(Exports::default());
        assert_eq!(a.publish_card(hidden(&agent, &alpha, 3).seal(&agent)), Ok(()));
        assert_eq!((asked(&b, &a, &agent).await, sequence_at(&b, &agent)), (0, Some(2)));
    });
}

#[test]
fn a_public_card_goes_to_everybody_only_once_a_rule_says_so_and_then_through_anybody() {
    run(async {
        let ([alpha, ..], [a, b, g]) = triangle().await;
        let (agent, shy) = (key(51), key(52));
        let public = card_of(&agent, alpha.id, 1).seal(&agent);
        assert_eq!(a.publish_card(public), Ok(()));
        assert_eq!(a.publish_card(hidden(&shy, &alpha, 1).seal(&shy)), Ok(()));
        assert_eq!((asked(&b, &a, &agent).await, asked(&g, &a, &agent).await), (0, 0), "its own word is not enough");
        a.set_exports(admitting(&[ExportRule { agent: Some(id_of(&agent)), ..ExportRule::all(Audience::Everyone) }]));
        for mesh in [&b, &g] {
            until("everybody sees it", SOON, || sequence_at(mesh, &agent) == Some(1)).await;
        }
        assert_eq!(asked(&g, &b, &agent).await, 1, "whoever holds it passes it on");
        assert_eq!(asked(&b, &a, &shy).await, 0);
        assert_eq!(a.publish_card(card_of(&agent, alpha.id, 2).seal(&agent)), Ok(()));
        for mesh in [&b, &g] {
            until("gossip carries the next one", SOON, || sequence_at(mesh, &agent) == Some(2)).await;
        }
    });
}

#[test]
fn a_card_of_which_our_own_node_hears_reaches_all_of_ours() {
    run(async {
        let (alpha, beta) = (domain(1), domain(2));
        let pins = |own: &Domain, other: &Domain| trust(&[(own, Relation::Own), (other, Relation::Peer)]);
        let quiet = |mut config: crate::mesh::MeshConfig, exports: Exports| {
            config.advertise = vec!["/ip4/127.0.0.1/tcp/1".parse().expect("an address where nobody listens")];
            config.repair_every = (Duration::from_secs(3600), Duration::from_secs(3600));
            config.exports = exports;
            config
        };
        let to_beta = admitting(&[ExportRule::all(Audience::Peer(beta.id))]);
        let a = start(quiet(config(&key(11), alpha.identity(&key(11)), pins(&alpha, &beta)), to_beta)).await;
        let of_beta = |node: u8| config(&key(node), beta.identity(&key(node)), pins(&beta, &alpha));
        let b = start_at(quiet(of_beta(21), Exports::default()), &a.listening()).await;
        let c = start_at(quiet(of_beta(22), Exports::default()), &b.listening()).await;
        see_each_other(&a, &b).await;
        see_each_other(&b, &c).await;
        let agent = key(51);
        assert_eq!(a.publish_card(hidden(&agent, &alpha, 1).seal(&agent)), Ok(()));
        until("behind our own node", SOON, || sequence_at(&c, &agent) == Some(1)).await;
        assert!(c.neighbours().iter().all(|view| view.node != a.node()), "it came through our own");
    });
}

#[test]
fn a_home_that_forgot_a_card_is_told_by_whoever_was_shown_it() {
    run(async {
        let (alpha, beta) = (domain(1), domain(2));
        let pins = |own: &Domain, other: &Domain| trust(&[(own, Relation::Own), (other, Relation::Peer)]);
        let of_alpha = |node: u8| {
            let mut config = config(&key(node), alpha.identity(&key(node)), pins(&alpha, &beta));
            config.exports = admitting(&[ExportRule::all(Audience::Peer(beta.id))]);
            config
        };
        let b = start(config(&key(21), beta.identity(&key(21)), pins(&beta, &alpha))).await;
        let a = start_at(of_alpha(11), &b.listening()).await;
        see_each_other(&a, &b).await;
        let agent = key(51);
        assert_eq!(a.publish_card(hidden(&agent, &alpha, 1).seal(&agent)), Ok(()));
        until("the peer is shown it", SOON, || sequence_at(&b, &agent) == Some(1)).await;
        a.shutdown().await;
        let forgetful = start_at(of_alpha(12), &b.listening()).await;
        until("the home has it again", SOON, || sequence_at(&forgetful, &agent) == Some(1)).await;
    });
}

#[test]
fn an_empty_push_is_answered_and_changes_nothing() {
    run(async {
        let (_, [a, b, _]) = triangle().await;
        let empty = Repair::Cards { cards: Vec::new() }.encode();
        let answer = a.request(b.node(), Class::Repair, empty.clone(), 5 * SECOND).await;
        assert_eq!(answer.expect("an answer"), empty);
        let garbage = Repair::Cards { cards: vec![Bytes::from_static(b"no card")] }.encode();
        a.request(b.node(), Class::Repair, garbage, 5 * SECOND).await.expect("an answer");
        assert_eq!((count(&b, "card_malformed"), b.agent_card_count()), (1, 0));
    });
}
