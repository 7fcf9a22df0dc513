//! Cards: agents publish new editions, and somebody sends old ones again.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use comity_node::service::cards;
use comity_proto::{
    card::{AcceptedTerms, AgentCard, Price},
    envelope::Signed as _,
    ids::{DomainId, Hash},
    limits::HOUR_MS,
    reject::Reject,
    text::{Capability, Description, Nickname},
};

use super::{agents::SimAgent, traffic::Town};
use crate::{scenario::Load, world::TimeNs};

/// Agents of each domain that publish cards.
const WRITERS: usize = 2;
/// How long one node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Publishes at the load's rate until `until`.
pub(super) async fn run(town: Town, load: Load, until: TimeNs) {
    let mut chance = town.hosts.universe.chance("cards");
    let rate = load.cards_per_second * town.hosts.domains().len() as f64;
    if rate <= 0.0 {
        return;
    }
    let writers: Vec<SimAgent> = (0..town.hosts.domains().len())
        .flat_map(|domain| town.agents.iter().filter(move |agent| agent.domain == domain).take(WRITERS).cloned())
        .collect();
    let pause_us = (1_000_000.0 / rate) as u64;
    let mut editions: BTreeMap<Option<usize>, Vec<Bytes>> = BTreeMap::new();
    while town.hosts.universe.now() < until {
        comity_runtime::sleep(Duration::from_micros(1 + chance.tail(pause_us))).await;
        // Few of them, so that there are old editions to send again.
        let Some(agent) = chance.pick(&writers).cloned() else { return };
        let known = editions.entry(agent.number).or_default();
        let older = chance.ratio(0.25).then(|| chance.pick(known).cloned()).flatten();
        let envelope = match older {
            Some(older) => older,
            None => {
                let Ok(card) = card(&town, &agent, known.len() as u64 + 1) else { return };
                let envelope = card.seal(agent.signer.key());
                town.history.publish(Hash::of(&envelope), card);
                known.push(envelope.clone());
                envelope
            }
        };
        let hosts = &town.hosts;
        let up: Vec<_> = hosts.domains()[agent.domain].hosts.iter().filter_map(|host| hosts.node(*host)).collect();
        if let Some(node) = chance.pick(&up).cloned() {
            let own = node.domain();
            let is_abroad = |domain: Option<DomainId>| domain.is_some_and(|domain| domain != own);
            if !node.mesh().neighbours().iter().any(|other| is_abroad(other.standing.domain())) {
                hosts.mark("card:nobody-abroad");
            }
            comity_runtime::spawn(async move {
                // Whether it was taken shows in the directories.
                let _taken = comity_runtime::timeout(PATIENCE, cards::publish(&node, envelope)).await;
            });
        }
    }
}

fn card(town: &Town, agent: &SimAgent, sequence: u64) -> Result<AgentCard, Reject> {
    let party = town.party(agent).ok_or(Reject::WrongSigner)?;
    let now_ms = comity_runtime::wall_ms();
    Ok(AgentCard {
        agent: party.agent,
        home: party.domain,
        key: agent.signer.key().public(),
        name: Nickname::new("worker")?,
        description: Description::new(&format!("edition {sequence}"))?,
        capabilities: vec![Capability::new("text.count")?],
        price: Some(Price { asset: town.asset(agent.domain), amount: sequence }),
        accepts: AcceptedTerms::default(),
        sequence,
        issued_at_ms: now_ms,
        expires_at_ms: now_ms + HOUR_MS,
        retired: false,
        public: agent.number.is_some_and(|number| number % 3 > 0),
        custodial: false,
        attestation: Bytes::new(),
    })
}
