//! What happens before anything goes wrong: treaties between all domains, agents with money.

use std::time::Duration;

use comity_node::{
    founding::{KnownDomain, fresh_key},
    signer::Signer,
};
use comity_proto::{
    command::{Referral, Verb},
    envelope::Signed as _,
    export::{Audience, ExportRule},
    reject::Reject,
    text::{Nickname, Reason, ReferralCode},
    treaty::TreatyDocument,
};

use super::{agents::SimAgent, history::History};
use crate::{
    hosts::{Domain, Hosts},
    world::HostId,
};

/// What every agent starts with, minor units.
const FUNDS: u64 = 1_000_000_000;
/// What a saver starts with: little, so that it is sometimes too little.
const SAVINGS: u64 = 1_000;
/// How much of another domain's paper is accepted, minor units.
const CAP: u64 = 1_000_000_000_000;
/// Savers in each domain that has agents.
const SAVERS: usize = 2;
/// Between two looks whether the domains are founded.
const FOUNDED_LOOK: Duration = Duration::from_millis(50);
/// Long enough for a first election.
const ATTEMPTS: usize = 200;

/// Sets treaties, which ask for most voters' words above an amount, registers and funds `count` agents in each domain, and
/// savers besides.
///
/// # Errors
/// A name that is none.
pub async fn prepare(
    hosts: &Hosts,
    history: &History,
    count: usize,
    majority_above: Option<u64>,
) -> Result<Vec<SimAgent>, Reject> {
    let mut chance = hosts.universe.chance("setup");
    let domains = hosts.domains();
    founded(hosts).await;
    let mut agents: Vec<SimAgent> = Vec::new();
    for (index, domain) in domains.iter().enumerate() {
        let operator = operator_of(index, domain);
        for peer in domains.iter().filter(|peer| peer.id() != domain.id()) {
            let treaty = treaty(domain, peer, majority_above)?;
            operator.command(hosts, history, &mut chance, treaty, ATTEMPTS).await;
        }
        // Two in three agents say that their cards are public; the others' are shown to domains with a treaty alone.
        let (rule, reason) = (ExportRule::all(Audience::Everyone), Reason::new("a market")?);
        let admit = Verb::ChangeExport { rule, withdrawn: false, reason };
        operator.command(hosts, history, &mut chance, admit, ATTEMPTS).await;
        let savers = if count == 0 { 0 } else { SAVERS };
        for place in 0..count + savers {
            let is_saver = place >= count;
            let signer = Signer::first_key(fresh_key(), domain.id());
            let agent = SimAgent { number: Some(agents.len()), domain: index, signer, is_saver };
            let nickname = Nickname::new(&format!("agent-{}", agents.len()))?;
            // The first agent refers the second, that one the others: fees are shared on two levels.
            let code = |place: usize| ReferralCode::new(&format!("CODE{place}"));
            let referred_by =
                if place > 0 && !is_saver { Some(Referral::Code(code((place - 1).min(1))?)) } else { None };
            let own_code = if place < 2 && !is_saver { Some(code(place)?) } else { None };
            let verb =
                Verb::RegisterAgent { nickname, group: None, referred_by, own_code, admission: None, custodial: false };
            if is_saver && let Some(id) = agent.id() {
                history.add_saver(id, index);
            }
            agent.command(hosts, history, &mut chance, verb, ATTEMPTS).await;
            let amount = if is_saver { SAVINGS } else { FUNDS };
            let issue = Verb::Issue { code: domain.asset().code, to: agent.id(), amount };
            operator.command(hosts, history, &mut chance, issue, ATTEMPTS).await;
            agents.push(agent);
        }
    }
    Ok(agents)
}

/// What the operator of `own` signs with a peer. Of its own paper nobody needs a limit: it comes back at the issuer's own
/// word.
fn treaty(own: &Domain, peer: &Domain, majority_above: Option<u64>) -> Result<Verb, Reject> {
    let verb = known(own).treaty_with(&known(peer), CAP)?;
    let (Some(_), Verb::ApproveTreaty { document, roster, .. }) = (majority_above, &verb) else { return Ok(verb) };
    let mut document = TreatyDocument::open(document)?.into_inner();
    document.parties.iter_mut().flat_map(|part| &mut part.caps).for_each(|cap| cap.majority_above = majority_above);
    let [document, countersigned] = [own, peer].map(|domain| document.seal(&domain.keys.root));
    Ok(Verb::ApproveTreaty { document, countersigned, roster: roster.clone() })
}

/// The operator of a domain as a client.
pub(super) fn operator_of(index: usize, domain: &Domain) -> SimAgent {
    let signer = Signer::operator(domain.keys.operator.clone(), domain.id());
    SimAgent { number: None, domain: index, signer, is_saver: false }
}

fn known(domain: &Domain) -> KnownDomain<'_> {
    let policy = crate::hosts::policy().digest();
    KnownDomain { keys: &domain.keys, nickname: &domain.name, policy, roster: &domain.roster }
}

/// Waits until every domain has its genesis: before that a ledger refuses everything, for good.
async fn founded(hosts: &Hosts) {
    let knows_itself = |host: HostId| {
        hosts.node(host).is_some_and(|node| node.replica().read_stale(|ledger, _| ledger.domain().is_some()))
    };
    while !hosts.domains().iter().all(|domain| domain.hosts.iter().any(|host| knows_itself(*host))) {
        comity_runtime::sleep(FOUNDED_LOOK).await;
    }
}
