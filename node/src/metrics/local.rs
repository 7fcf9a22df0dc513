//! What is this node's own: its certificate, its neighbours, its doors and desks.

use super::{
    door::{CLASSES, Taken},
    page::Page,
    table::Name,
};
use crate::{http::CONNECTIONS, mesh::MemberState, node::Node, tasks::desk::Side};
use comity_proto::{envelope::Signed as _, identity::NodeCertificate};
use std::collections::BTreeMap;

pub(super) fn gather(node: &Node, page: &mut Page) {
    let config = &node.home().config;
    page.whole(Name::Node, &[&node.domain(), &config.domain, &node.key().public(), &env!("CARGO_PKG_VERSION")], 1);
    page.seconds(Name::StartTime, &[], node.metrics().started_ms);
    if let Ok(certificate) = NodeCertificate::open(&node.certificate()) {
        page.seconds(Name::CertificateExpiry, &[], certificate.get().not_after_ms);
    }
    if let Some(ends_ms) = node.svids().ends_ms() {
        page.seconds(Name::SvidExpiry, &[], ends_ms);
    }
    mesh(node, page);
    bridge(node, page);
    doors(node, page);
    desks(node, page);
}

fn mesh(node: &Node, page: &mut Page) {
    let mesh = node.mesh();
    let mut standings = BTreeMap::from(["unjudged", "stranger", "known", "peer", "own"].map(|name| (name, 0)));
    for neighbour in mesh.neighbours() {
        *standings.entry(neighbour.standing.name()).or_default() += 1;
    }
    for (standing, count) in standings {
        page.count(Name::MeshNeighbours, &[&standing], count);
    }
    let states = [MemberState::Alive, MemberState::Suspect, MemberState::Left, MemberState::Failed];
    let held: Vec<MemberState> = mesh.members().into_iter().map(|member| member.state).collect();
    for state in states {
        page.count(Name::MeshMembers, &[&state.name()], held.iter().filter(|held| **held == state).count());
    }
    page.count(Name::MeshCards, &[&"agents"], mesh.agent_card_count());
    page.count(Name::MeshCards, &[&"domains"], mesh.domain_card_count());
    for of in mesh.gossip() {
        let topic = of.topic.name().rsplit('/').next().unwrap_or_default();
        page.whole(Name::MeshReceived, &[&topic], of.received);
        for (verdict, count) in of.verdicts {
            page.whole(Name::MeshGossip, &[&topic, &verdict], count);
        }
    }
    for (event, count) in mesh.counters() {
        page.whole(Name::MeshEvents, &[&event], count);
    }
}

fn bridge(node: &Node, page: &mut Page) {
    let sum = node.bridge().gateway.list(node).iter().fold((0, 0, 0), |(frames, bytes, refused), pair| {
        (frames + pair.frames, bytes + pair.bytes, refused + pair.refused)
    });
    page.whole(Name::BridgeFrames, &[], sum.0);
    page.whole(Name::BridgePassed, &[], sum.1);
    page.whole(Name::BridgeRefused, &[], sum.2);
}

fn doors(node: &Node, page: &mut Page) {
    let metrics = node.metrics();
    for (route, method, answers) in metrics.requests.all() {
        for (class, count) in CLASSES.into_iter().zip(answers.count).filter(|(_, count)| *count > 0) {
            page.whole(Name::HttpRequests, &[&method, &route, &class], count);
        }
        page.spread(Name::HttpDuration, &[&method, &route], answers.took);
    }
    let mut places = |door: &str, taken: &Taken| {
        page.count(Name::HttpPlaces, &[&door], taken.count());
        page.count(Name::HttpPlacesMax, &[&door], CONNECTIONS);
    };
    places("http", &metrics.http);
    if node.home().config.https.is_some() {
        places("https", &metrics.https);
    }
}

fn desks(node: &Node, page: &mut Page) {
    for (side, name) in [(Side::Given, "given"), (Side::Taken, "taken")] {
        let (open, ended) = node.desk().counts(side);
        page.count(Name::Tasks, &[&name, &"open"], open);
        page.count(Name::Tasks, &[&name, &"ended"], ended);
    }
    let (open, ended) = node.delegations().counts();
    page.count(Name::Delegations, &[&"open"], open);
    page.count(Name::Delegations, &[&"ended"], ended);
    page.whole(Name::DemandsRefused, &[], node.desk().refused_demands().count());
    let hooks = node.outlets().health();
    for (state, count) in [("well", hooks.well), ("failing", hooks.failing), ("given-up", hooks.given_up)] {
        page.count(Name::Webhooks, &[&state], count);
    }
    let failing_ms = hooks.failing_since_ms.map_or(0, |since_ms| comity_runtime::wall_ms().saturating_sub(since_ms));
    page.seconds(Name::WebhookFailingAge, &[], failing_ms);
}
