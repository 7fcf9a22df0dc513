//! Which faults a seed draws.

use super::{Fault, KINDS};
use crate::{
    plan::PlannedFault,
    scenario::Scenario,
    world::{Chance, HostId},
};

/// Draws the faults of a universe: first which kinds are on, then what happens when.
pub fn draw(seed: u64, scenario: &Scenario) -> Vec<PlannedFault> {
    let chaos = &scenario.chaos;
    let mut chance = Chance::stream(seed, "faults");
    let allowed = KINDS.iter().filter(|kind| chaos.kinds.is_empty() || chaos.kinds.iter().any(|own| own == *kind));
    let on: Vec<&str> = allowed.copied().filter(|_| chance.ratio(chaos.share)).collect();
    let hosts = scenario.domains.iter().map(|domain| domain.nodes).sum::<usize>() as HostId;
    let from = scenario.phases.warm_s * 1_000;
    let to = from + scenario.phases.chaos_s * 1_000;
    let mut at_ms = from;
    let mut faults = Vec::new();
    while chaos.every_ms > 0 && !on.is_empty() {
        at_ms += 1 + chance.tail(chaos.every_ms);
        if at_ms >= to {
            break;
        }
        let Some(kind) = chance.pick(&on).copied() else { break };
        let for_ms = 200 + chance.tail((6_000.0 * chaos.strength) as u64);
        faults.push(PlannedFault {
            number: faults.len() as u32 + 1,
            at_ms,
            for_ms,
            fault: one(kind, hosts, &mut chance),
        });
    }
    faults
}

fn one(kind: &str, hosts: HostId, chance: &mut Chance) -> Fault {
    let host = chance.below(u64::from(hosts)) as HostId;
    let other = (host + 1 + chance.below(u64::from(hosts.max(2) - 1)) as HostId) % hosts.max(1);
    match kind {
        "one-way" => Fault::OneWay { from: host, to: other },
        "crash" => Fault::Crash { host },
        "pause" => Fault::Pause { host },
        "drift" => Fault::Drift { host, ppm: chance.below(2_000) as i64 - 1_000 },
        _ => Fault::Partition { side: (0..hosts).filter(|_| chance.ratio(0.5)).collect() },
    }
}
