//! A plan with fewer hosts: what is done to those that are gone is left out, or done to those that stay.

use crate::{
    plan::{Plan, PlannedFault},
    world::HostId,
};

/// Other seeds that a smaller universe is tried with: with fewer hosts every draw means something else, so the one that
/// failed is as good as any.
const OTHER_SEEDS: u64 = 2;

/// What becomes of faults of hosts that are gone.
#[derive(Clone, Copy)]
enum Theirs {
    LeftOut,
    Inherited,
}

/// Plans with smaller domains and with fewer of them, the fewest hosts first.
pub(super) fn fewer(plan: &Plan) -> Vec<Plan> {
    let now: Vec<usize> = plan.scenario.domains.iter().map(|domain| domain.nodes).collect();
    let mut wanted: Vec<Vec<usize>> = vec![now.iter().map(|nodes| *nodes.min(&1)).collect()];
    for at in 0..now.len() {
        for nodes in [0, 1, 3] {
            let mut sizes = now.clone();
            sizes[at] = nodes.min(now[at]);
            wanted.push(sizes);
        }
    }
    wanted.retain(|sizes| *sizes != now && sizes.iter().any(|nodes| *nodes > 0));
    wanted.sort_by_key(|sizes| sizes.iter().sum::<usize>());
    wanted.dedup();
    let mut plans: Vec<Plan> = Vec::new();
    for more in 0..=OTHER_SEEDS {
        for sizes in &wanted {
            for theirs in [Theirs::LeftOut, Theirs::Inherited] {
                let smaller = Plan { seed: plan.seed.wrapping_add(more), ..with(plan, sizes, theirs) };
                if !plans.contains(&smaller) {
                    plans.push(smaller);
                }
            }
        }
    }
    plans
}

/// The plan with so many nodes in each of its domains.
fn with(plan: &Plan, sizes: &[usize], theirs: Theirs) -> Plan {
    let mut smaller = plan.clone();
    let scenario = &mut smaller.scenario;
    let mut hosts: Vec<Option<HostId>> = Vec::new();
    let mut domains: Vec<Option<usize>> = Vec::new();
    let mut next: HostId = 0;
    for (spec, nodes) in scenario.domains.iter_mut().zip(sizes.iter().copied()) {
        for old in 0..spec.nodes {
            let place = match theirs {
                _ if nodes == 0 => None,
                _ if old < nodes => Some(old),
                Theirs::Inherited => Some(old % nodes),
                Theirs::LeftOut => None,
            };
            hosts.push(place.map(|place| next + place as HostId));
        }
        let before = domains.iter().flatten().count();
        domains.push((nodes > 0).then_some(before));
        (spec.nodes, next) = (nodes, next + nodes as HostId);
    }
    scenario.domains.retain(|spec| spec.nodes > 0);
    let known = scenario.domains.clone();
    let is_there = |name: &str| known.iter().any(|spec| spec.name == name);
    scenario.links.retain(|link| link.between.iter().all(|name| is_there(name)));
    scenario.gateways.retain(|gateway| gateway.names().into_iter().all(is_there));
    // What it said is among the faults already; its numbers are the old ones.
    scenario.script.clear();
    let of_host = |old: HostId| hosts.get(old as usize).copied().flatten();
    let of_domain = |old: usize| domains.get(old).copied().flatten();
    let moved = |planned: &PlannedFault| {
        let fault = planned.fault.renumbered(&of_host, &of_domain)?;
        Some(PlannedFault { fault, ..planned.clone() })
    };
    smaller.faults = plan.faults.iter().filter_map(moved).collect();
    smaller
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        faults::{Fault, Keep, Who},
        scenario,
    };

    fn plan(faults: &[Fault]) -> Plan {
        let mut plan = Plan::draw(7, &scenario::named("two-domains").expect("it is shipped"));
        let planned = |(number, fault): (usize, &Fault)| PlannedFault {
            number: number as u32,
            at_ms: 9_000,
            for_ms: 500,
            when: None,
            fault: fault.clone(),
        };
        plan.faults = faults.iter().enumerate().map(planned).collect();
        plan
    }

    fn crash(host: HostId) -> Fault {
        Fault::Crash { host: Who::Host(host), keeps: Keep::Nothing }
    }

    fn faults(plan: &Plan) -> Vec<Fault> {
        plan.faults.iter().map(|planned| planned.fault.clone()).collect()
    }

    #[test]
    fn faults_of_hosts_that_are_gone_are_left_out_or_inherited() {
        let plan = plan(&[crash(0), crash(2), crash(4), Fault::OneWay { from: 1, to: 5 }]);
        let left_out = with(&plan, &[1, 3], Theirs::LeftOut);
        assert_eq!(faults(&left_out), [crash(0), crash(2)]);
        let inherited = with(&plan, &[1, 1], Theirs::Inherited);
        assert_eq!(faults(&inherited), [crash(0), crash(0), crash(1), Fault::OneWay { from: 0, to: 1 }]);
        let alone = with(&plan, &[0, 3], Theirs::LeftOut);
        assert_eq!((alone.scenario.domains.len(), faults(&alone)), (1, vec![crash(1)]));
        assert!(alone.scenario.links.is_empty());
    }

    #[test]
    fn every_smaller_plan_is_smaller_and_names_only_hosts_that_are_there() {
        let plan = Plan::draw(3, &scenario::named("two-domains").expect("it is shipped"));
        let plans = fewer(&plan);
        assert!(plans.iter().any(|plan| plan.scenario.hosts() == 2));
        for smaller in plans {
            assert!(smaller.scenario.hosts() < plan.scenario.hosts());
            let hosts = smaller.scenario.hosts() as HostId;
            let inside = |host: HostId| (host < hosts).then_some(host);
            for planned in &smaller.faults {
                let domains = smaller.scenario.domains.len();
                let same = planned.fault.renumbered(&inside, &|domain| (domain < domains).then_some(domain));
                assert_eq!(same.as_ref(), Some(&planned.fault));
            }
        }
    }

    #[test]
    fn a_plan_of_one_host_stays() {
        let mut plan = plan(&[crash(0)]);
        plan.scenario.domains.truncate(1);
        plan.scenario.domains[0].nodes = 1;
        assert!(fewer(&plan).is_empty());
    }
}
