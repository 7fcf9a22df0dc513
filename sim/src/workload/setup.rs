//! What happens before anything goes wrong: treaties between all domains, agents with money.

use comity_node::{founding::fresh_key, signer::Signer};
use comity_proto::{
    command::Verb,
    reject::Reject,
    text::Nickname,
    treaty::{ExposureCap, Treaty},
};

use super::{agents::SimAgent, history::History};
use crate::hosts::{Domain, Hosts};

/// What every agent starts with, minor units.
const FUNDS: u64 = 1_000_000_000;
/// How much of another domain's paper is accepted, minor units.
const CAP: u64 = 1_000_000_000_000;
/// Long enough for a first election.
const ATTEMPTS: usize = 200;

/// Sets treaties, registers and funds `count` agents in each domain.
///
/// # Errors
/// A name that is none.
pub async fn prepare(hosts: &Hosts, history: &History, count: usize) -> Result<Vec<SimAgent>, Reject> {
    let mut chance = hosts.universe.chance("setup");
    let domains = hosts.domains();
    let mut agents = Vec::new();
    for (index, domain) in domains.iter().enumerate() {
        let operator = operator_of(index, domain);
        for peer in domains.iter().filter(|peer| peer.id() != domain.id()) {
            let treaty = treaty_with(peer, domain)?;
            operator.command(hosts, history, &mut chance, Verb::SetTreaty { treaty }, ATTEMPTS).await;
        }
        for _ in 0..count {
            let signer = Signer::first_key(fresh_key(), domain.id());
            let agent = SimAgent { number: Some(agents.len()), domain: index, signer };
            let nickname = Nickname::new(&format!("agent-{}", agents.len()))?;
            let verb =
                Verb::RegisterAgent { nickname, group: None, referred_by: None, own_code: None, admission: None };
            agent.command(hosts, history, &mut chance, verb, ATTEMPTS).await;
            let issue = Verb::Issue { code: domain.asset().code, to: agent.signer.agent_id(), amount: FUNDS };
            operator.command(hosts, history, &mut chance, issue, ATTEMPTS).await;
            agents.push(agent);
        }
    }
    Ok(agents)
}

/// The operator of a domain as a client.
pub(super) fn operator_of(index: usize, domain: &Domain) -> SimAgent {
    let signer = Signer::operator(domain.keys.operator.clone(), domain.id());
    SimAgent { number: None, domain: index, signer }
}

fn treaty_with(peer: &Domain, own: &Domain) -> Result<Treaty, Reject> {
    Ok(Treaty {
        peer: peer.id(),
        peer_key: peer.keys.root.public(),
        nickname: Nickname::new(&peer.name)?,
        active: true,
        caps: vec![ExposureCap { asset: own.asset(), cap: CAP }, ExposureCap { asset: peer.asset(), cap: CAP }],
        roster: peer.roster.clone(),
    })
}
