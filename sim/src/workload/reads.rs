//! Reads: balances, linearizable and stale, and searches for agents.

use std::time::Duration;

use comity_node::service::{books, cards};

use super::{
    history::{Read, ReadAnswer},
    traffic::Town,
};
use crate::{scenario::Load, world::TimeNs};

/// How long one node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Reads for each operation that writes.
const PER_WRITE: f64 = 0.75;

/// Reads at the load's rate until `until`, each by itself.
pub(super) async fn run(town: Town, load: Load, until: TimeNs) {
    let mut chance = town.hosts.universe.chance("reads");
    let rate = load.per_second * PER_WRITE * town.hosts.domains().len() as f64;
    if rate <= 0.0 {
        return;
    }
    let pause_us = (1_000_000.0 / rate) as u64;
    while town.hosts.universe.now() < until {
        comity_runtime::sleep(Duration::from_micros(1 + chance.tail(pause_us))).await;
        let only_savers = chance.ratio(0.6);
        let readable: Vec<_> = town.agents.iter().filter(|agent| agent.is_saver || !only_savers).collect();
        let Some(agent) = chance.pick(&readable).copied() else { return };
        let (Some(id), domain) = (agent.id(), agent.domain) else { continue };
        let up: Vec<_> = town.hosts.domains()[domain]
            .hosts
            .iter()
            .filter_map(|host| Some((*host, town.hosts.node(*host)?)))
            .collect();
        let Some((host, node)) = chance.pick(&up).cloned() else { continue };
        let (asked, asset) = (town.hosts.universe.now(), town.asset(domain));
        let read = Read { domain, host, agent: id, asset, asked, answered: None };
        match chance.below(10) {
            0 => drop(cards::discover(&node, "text", None)),
            1..4 => {
                let number = town.history.begin_read(read);
                let (amount, applied) =
                    node.replica().read_stale(|ledger, at| (ledger.balance(&id, &asset), Some(at.log_index)));
                town.history.end_read(number, asked, ReadAnswer::Balance { amount, applied });
            }
            _ => {
                let number = town.history.begin_read(read);
                let town = town.clone();
                comity_runtime::spawn(async move {
                    let answer = match comity_runtime::timeout(PATIENCE, books::account(&node, id)).await {
                        Ok(Ok(account)) => {
                            let own = |line: &&comity_node::service::view::BalanceView| {
                                line.issuer == asset.issuer && line.code == asset.code
                            };
                            let amount = account.balances.iter().find(own).map_or(0, |line| line.available.0);
                            ReadAnswer::Balance { amount, applied: None }
                        }
                        Ok(Err(error)) => ReadAnswer::Nothing(error.code),
                        Err(_) => ReadAnswer::Nothing("no answer in time".to_owned()),
                    };
                    town.history.end_read(number, town.hosts.universe.now(), answer);
                });
            }
        }
    }
}
