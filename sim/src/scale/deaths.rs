//! Lets nodes die one after the other and writes down when who held them for failed.

use std::{collections::BTreeSet, time::Duration};

use comity_node::mesh::MemberState;
use comity_runtime as runtime;
use serde::Serialize;

use super::{
    curves::quantile,
    nodes::{Nodes, Seen},
};
use crate::world::{Chance, HostId, TimeNs};

/// Everybody has heard of everybody before the first one dies.
const GET_TO_KNOW: Duration = Duration::from_secs(20);
/// Time that each death has to become known.
const WINDOW: Duration = Duration::from_secs(30);

/// How deaths became known.
#[derive(Clone, Debug, Serialize)]
pub struct Detection {
    /// How many died, one after the other, without a word.
    pub deaths: usize,
    /// Pairs of a dead node and one that was up all the time.
    pub expected: usize,
    /// Those in which it was held for failed within the window.
    pub seen: usize,
    /// Milliseconds from the death, sorted.
    #[serde(skip)]
    pub times_ms: Vec<f64>,
    /// The first node that held a dead one for failed, over all deaths the latest.
    pub first_ms: f64,
    /// Half of all.
    pub p50_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// The last.
    pub max_ms: f64,
    /// How often a node that ran was held for failed by somebody.
    pub false_failed: usize,
    /// How often a node that ran was suspected by somebody.
    pub false_suspect: usize,
}

/// One death.
struct Death {
    host: HostId,
    at: TimeNs,
    /// Who was up all the time after it.
    up: Vec<HostId>,
}

/// Lets `count` nodes die.
pub(super) async fn watch(nodes: &Nodes, count: usize, chance: &mut Chance) -> Detection {
    runtime::sleep(GET_TO_KNOW).await;
    let begun = nodes.universe.now();
    let mut deaths: Vec<Death> = Vec::new();
    for _ in 0..count {
        // Somewhere between two pings.
        runtime::sleep(Duration::from_millis(chance.below(1_000))).await;
        let Some(host) = chance.pick(&nodes.running()).copied() else { break };
        nodes.power_off(host);
        deaths.push(Death { host, at: nodes.universe.now(), up: nodes.running() });
        runtime::sleep(WINDOW).await;
    }
    let still: BTreeSet<HostId> = nodes.running().into_iter().collect();
    deaths.iter_mut().for_each(|death| death.up.retain(|host| still.contains(host)));
    judge(nodes, &deaths, begun)
}

fn judge(nodes: &Nodes, deaths: &[Death], begun: TimeNs) -> Detection {
    let seen: Vec<Seen> = nodes.seen().into_iter().filter(|seen| seen.at >= begun).collect();
    let (mut times_ms, mut first_ms, mut expected) = (Vec::new(), 0.0_f64, 0);
    for death in deaths {
        let key = nodes.key(death.host);
        let failed = seen.iter().filter(|seen| seen.of == key && seen.state == MemberState::Failed);
        let mut by = BTreeSet::new();
        let known = failed.filter(|seen| death.up.binary_search(&seen.eyes).is_ok() && by.insert(seen.eyes));
        let of_death: Vec<f64> = known.map(|seen| (seen.at - death.at) as f64 / 1e6).collect();
        first_ms = first_ms.max(of_death.iter().copied().fold(f64::INFINITY, f64::min));
        expected += death.up.len();
        times_ms.extend(of_death);
    }
    times_ms.sort_by(f64::total_cmp);
    let ran = |seen: &&Seen| {
        let death = deaths.iter().find(|death| nodes.key(death.host) == seen.of);
        death.is_none_or(|death| seen.at < death.at)
    };
    let wrong = |state| seen.iter().filter(ran).filter(|seen| seen.state == state).count();
    Detection {
        deaths: deaths.len(),
        expected,
        seen: times_ms.len(),
        first_ms,
        p50_ms: quantile(&times_ms, 0.5),
        p99_ms: quantile(&times_ms, 0.99),
        max_ms: quantile(&times_ms, 1.0),
        false_failed: wrong(MemberState::Failed),
        false_suspect: wrong(MemberState::Suspect),
        times_ms,
    }
}
