//! The load: agents that pay, hire, read and err for as long as it lasts.

use std::{sync::Arc, time::Duration};

use comity_proto::{
    amount::AssetId,
    command::{Party, Verb},
    ids::TransferId,
    text::Memo,
};

use super::{agents::SimAgent, cards, errors, escrows, history::History, reads};
use crate::{
    hosts::Hosts,
    scenario::Load,
    world::{Chance, TimeNs},
};

/// Attempts of one command: about half a minute of trouble.
pub(super) const ATTEMPTS: usize = 12;
/// Largest payment, minor units.
const PAYMENT_MAX: u64 = 1_000_000;
/// Largest payment of a saver.
const SAVING_MAX: u64 = 400;
/// Between two payments that show whether a domain still serves, once the load has stopped.
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// Before the end no more probes begin: each is to be answered.
const PROBE_MARGIN: TimeNs = 4_000_000_000;

/// Everybody and everything that a client needs.
#[derive(Clone)]
pub(super) struct Town {
    pub(super) hosts: Hosts,
    pub(super) history: History,
    pub(super) agents: Arc<[SimAgent]>,
}

impl Town {
    /// Agents that deal with everybody, of one domain or (`false`) of the others.
    pub(super) fn others(&self, than: &SimAgent, same_domain: bool) -> Vec<&SimAgent> {
        let fits = |other: &&SimAgent| {
            other.number != than.number
                && other.is_saver == than.is_saver
                && (other.domain == than.domain) == same_domain
        };
        self.agents.iter().filter(fits).collect()
    }

    pub(super) fn party(&self, agent: &SimAgent) -> Option<Party> {
        Some(Party { domain: self.hosts.domains()[agent.domain].id(), agent: agent.id()? })
    }

    pub(super) fn asset(&self, domain: usize) -> AssetId {
        self.hosts.domains()[domain].asset()
    }

    /// Asks the agent's own ledger.
    pub(super) async fn ask(&self, agent: &SimAgent, chance: &mut Chance, verb: Verb) -> super::Answer {
        agent.command(&self.hosts, &self.history, chance, verb, ATTEMPTS).await
    }
}

/// Agents of every domain do what the load says until `until`, then only probes until `end`. Each operation runs by
/// itself, so slow answers do not slow the load down.
pub async fn traffic(
    hosts: Hosts,
    history: History,
    agents: Vec<SimAgent>,
    load: Load,
    (until, end): (TimeNs, TimeNs),
) {
    let town = Town { hosts, history, agents: agents.into() };
    comity_runtime::spawn(probes(town.clone(), until, end.saturating_sub(PROBE_MARGIN)));
    comity_runtime::spawn(reads::run(town.clone(), load, until));
    comity_runtime::spawn(cards::run(town.clone(), load, until));
    comity_runtime::spawn(errors::run(town.clone(), load, until));
    comity_runtime::spawn(snapshots(town.clone(), until));
    let mut chance = town.hosts.universe.chance("traffic");
    let rate = load.per_second * town.hosts.domains().len() as f64;
    if rate <= 0.0 || town.agents.len() < 2 {
        return;
    }
    let pause_us = (1_000_000.0 / rate) as u64;
    let mut number = 0_u64;
    while town.hosts.universe.now() < until {
        let mood = town.hosts.mood();
        comity_runtime::sleep(Duration::from_micros(1 + chance.tail((pause_us as f64 / mood.rate) as u64))).await;
        if mood.is_idle {
            continue;
        }
        number += 1;
        let Some(from) = chance.pick(&town.agents).cloned() else { return };
        let across = chance.ratio(load.across) && !from.is_saver;
        let hires = chance.ratio(load.escrows) && !from.is_saver;
        let third = load.third;
        let mut own = town.hosts.universe.chance(&format!("operation {number}"));
        let town = town.clone();
        comity_runtime::spawn(async move {
            match hires {
                true => escrows::live(town, from, across, &mut own).await,
                false => pay(&town, &from, across, third, &mut own).await,
            }
        });
    }
}

/// One payment: in the own money, in the receiver's (wrapped money that goes home), or in a third domain's.
async fn pay(town: &Town, from: &SimAgent, across: bool, third: f64, chance: &mut Chance) {
    let others = town.others(from, !across);
    let drawn = chance.pick(&others).copied();
    let is_hot = town.hosts.mood().is_hot;
    let Some(to) = others.first().copied().filter(|_| is_hot).or(drawn) else { return };
    let Some(party) = town.party(to) else { return };
    let goes_home = across && chance.ratio(0.3);
    let mut issuer = if goes_home { to.domain } else { from.domain };
    if across && third > 0.0 && chance.ratio(third) {
        let all = 0..town.hosts.domains().len();
        let thirds: Vec<usize> = all.filter(|domain| *domain != from.domain && *domain != to.domain).collect();
        issuer = chance.pick(&thirds).copied().unwrap_or(issuer);
    }
    let most = if from.is_saver { SAVING_MAX } else { PAYMENT_MAX };
    let mut id = [0; 16];
    chance.fill(&mut id);
    let verb = transfer(TransferId(id), party, town.asset(issuer), 1 + chance.below(most));
    town.ask(from, chance, verb.clone()).await;
    if across && chance.ratio(0.1) {
        // The same transfer under another request id, when it is decided: the transfer's own id must make it one.
        comity_runtime::sleep(Duration::from_millis(1 + chance.tail(3_000))).await;
        town.ask(from, chance, verb).await;
    }
}

pub(super) fn transfer(transfer_id: TransferId, to: Party, asset: AssetId, amount: u64) -> Verb {
    // A word of printable ASCII.
    let memo = Memo::new("pay").expect("a short memo");
    Verb::Transfer { transfer_id, to, asset, amount, memo }
}

/// A small payment in every domain now and then: whoever is healed must serve it.
async fn probes(town: Town, from: TimeNs, until: TimeNs) {
    let mut chance = town.hosts.universe.chance("probes");
    let wait = from.saturating_sub(town.hosts.universe.now());
    comity_runtime::sleep(Duration::from_nanos(wait)).await;
    while town.hosts.universe.now() < until {
        for domain in 0..town.hosts.domains().len() {
            let savers: Vec<&SimAgent> =
                town.agents.iter().filter(|agent| agent.is_saver && agent.domain == domain).collect();
            let [first, second, ..] = savers.as_slice() else { continue };
            let Some(party) = town.party(second) else { continue };
            let mut id = [0; 16];
            chance.fill(&mut id);
            let verb = transfer(TransferId(id), party, town.asset(domain), 1);
            let (town, from, mut own) = (town.clone(), (*first).clone(), Chance::stream(chance.any(), "probe"));
            comity_runtime::spawn(async move {
                town.ask(&from, &mut own, verb).await;
            });
        }
        comity_runtime::sleep(PROBE_EVERY).await;
    }
}

/// Operators make snapshots: what restarts later starts from one.
async fn snapshots(town: Town, until: TimeNs) {
    let mut chance = town.hosts.universe.chance("snapshots");
    while town.hosts.universe.now() < until {
        comity_runtime::sleep(Duration::from_millis(1 + chance.tail(6_000))).await;
        let nodes = town.hosts.nodes();
        if let Some((_, node)) = chance.pick(&nodes) {
            // A node that is just being cut off makes none.
            let _made = node.replica().snapshot_now().await;
        }
    }
}
