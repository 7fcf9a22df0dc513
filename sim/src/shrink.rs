//! Less of a plan that still fails the same way: delta debugging (Zeller and Hildebrandt, TSE 2002), then simpler
//! settings.
//!
//! Faults go first, then hosts (`hosts`), time, load and order.
//!
//! Deliberately absent: running anything. Whether a plan still fails is asked of the caller, many plans at a time.

mod hosts;

use crate::{
    plan::{Plan, PlannedFault},
    world::Policy,
};

/// Says which of the plans fails as the first one did: the place of the first that does.
pub type FirstFailing<'a> = dyn FnMut(&[Plan]) -> Option<usize> + 'a;

/// The smallest plan that was found to fail.
pub fn shrink(plan: &Plan, first_failing: &mut FirstFailing<'_>) -> Plan {
    let mut best = fewer_faults(plan.clone(), first_failing);
    loop {
        let before = best.clone();
        best = simpler(best, first_failing);
        if best == before {
            return best;
        }
        // What is simpler may need fewer faults.
        best = fewer_faults(best, first_failing);
    }
}

/// Takes faults out, halves first, then ever smaller parts, until none can be missed.
fn fewer_faults(mut best: Plan, first_failing: &mut FirstFailing<'_>) -> Plan {
    let mut parts = 2;
    while !best.faults.is_empty() {
        let size = best.faults.len().div_ceil(parts);
        let pieces: Vec<&[PlannedFault]> = best.faults.chunks(size).collect();
        let only = pieces.iter().map(|piece| piece.to_vec());
        // Of two parts, the one without the first is the second.
        let left_out = if pieces.len() == 2 { 0..0 } else { 0..pieces.len() };
        let without = left_out.map(|gone| {
            let kept = pieces.iter().enumerate().filter(|(at, _)| *at != gone);
            kept.flat_map(|(_, piece)| piece.iter().cloned()).collect()
        });
        let lists: Vec<Vec<PlannedFault>> = only.chain(without).collect();
        let plans: Vec<Plan> = lists.into_iter().map(|faults| Plan { faults, ..best.clone() }).collect();
        let smaller: Vec<Plan> = plans.into_iter().filter(|plan| plan.faults.len() < best.faults.len()).collect();
        match first_failing(&smaller) {
            Some(at) => {
                best = smaller[at].clone();
                parts = parts.saturating_sub(1).clamp(2, best.faults.len().max(2));
            }
            None if size == 1 => break,
            None => parts = (parts * 2).min(best.faults.len()),
        }
    }
    best
}

/// Tries every way to make a plan simpler once, the greatest step first.
fn simpler(mut best: Plan, first_failing: &mut FirstFailing<'_>) -> Plan {
    for step in STEPS {
        let candidates: Vec<Plan> = step(&best).into_iter().filter(|plan| *plan != best).collect();
        if let Some(at) = first_failing(&candidates) {
            best = candidates[at].clone();
        }
    }
    best
}

type Step = fn(&Plan) -> Vec<Plan>;

/// Each offers plans that are simpler in one respect, the simplest first.
const STEPS: &[Step] = &[
    hosts::fewer,
    |plan| numbers(plan, |plan| &mut plan.scenario.phases.heal_s, 0),
    |plan| numbers(plan, |plan| &mut plan.scenario.phases.core_s, 0),
    |plan| numbers(plan, |plan| &mut plan.scenario.phases.quiet_s, 0),
    |plan| numbers(plan, |plan| &mut plan.scenario.phases.chaos_s, 0),
    |plan| rates(plan, |plan| &mut plan.scenario.load.cards_per_second),
    |plan| rates(plan, |plan| &mut plan.scenario.load.escrows),
    |plan| rates(plan, |plan| &mut plan.scenario.load.across),
    |plan| rates(plan, |plan| &mut plan.scenario.load.per_second),
    |plan| numbers(plan, |plan| &mut plan.scenario.load.agents, 1),
    simpler_orders,
    |plan| vec![changed(plan, |plan| plan.scenario.links.clear())],
    |plan| vec![changed(plan, |plan| plan.scenario.link.jitter_us = 0)],
    |plan| vec![changed(plan, |plan| plan.scenario.link.bandwidth = 0)],
    shorter_faults,
];

fn changed(plan: &Plan, change: impl FnOnce(&mut Plan)) -> Plan {
    let mut plan = plan.clone();
    change(&mut plan);
    plan
}

/// The orders of tasks that are simpler than the plan's.
fn simpler_orders(plan: &Plan) -> Vec<Plan> {
    let orders = [Policy::Fifo, Policy::Random];
    let simpler = orders.into_iter().take_while(|policy| *policy != plan.policy);
    simpler.map(|policy| Plan { policy, ..plan.clone() }).collect()
}

/// A number as `least`, a half and three quarters of what it is.
fn numbers<N>(plan: &Plan, of: impl Fn(&mut Plan) -> &mut N, least: u64) -> Vec<Plan>
where
    N: Copy + TryFrom<u64> + TryInto<u64>,
{
    let mut copy = plan.clone();
    let now: u64 = (*of(&mut copy)).try_into().unwrap_or(least);
    let mut smaller = vec![least, now / 2, now - now / 4, now.saturating_sub(1)];
    smaller.retain(|number| (least..now).contains(number));
    smaller.dedup();
    let set = |number: u64| N::try_from(number).ok().map(|number| changed(plan, |plan| *of(plan) = number));
    smaller.into_iter().filter_map(set).collect()
}

/// A rate as nothing and as a half of what it is.
fn rates(plan: &Plan, of: impl Fn(&mut Plan) -> &mut f64) -> Vec<Plan> {
    let mut copy = plan.clone();
    let now = *of(&mut copy);
    // A rate can be halved for ever.
    let smaller = if now > 0.25 { vec![0.0, now / 2.0] } else { vec![0.0] };
    smaller.into_iter().map(|rate| changed(plan, |plan| *of(plan) = rate)).collect()
}

/// Every fault half as long, then each of them alone.
fn shorter_faults(plan: &Plan) -> Vec<Plan> {
    let halve = |fault: &mut PlannedFault| {
        if fault.for_ms > 200 {
            fault.for_ms /= 2;
        }
    };
    let all = changed(plan, |plan| plan.faults.iter_mut().for_each(halve));
    let each = (0..plan.faults.len()).map(|at| changed(plan, |plan| halve(&mut plan.faults[at])));
    std::iter::once(all).chain(each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    fn plan_with_faults(count: u32) -> Plan {
        let mut plan = Plan::draw(7, &scenario::named("two-domains").expect("it is shipped"));
        let fault = crate::faults::Fault::OneWay { from: 0, to: 1 };
        let planned = plan.faults.first().cloned();
        plan.faults = (1..=count)
            .filter_map(|number| {
                let mut one = planned.clone()?;
                (one.number, one.fault) = (number, fault.clone());
                Some(one)
            })
            .collect();
        assert_eq!(plan.faults.len(), count as usize, "the seed draws at least one fault");
        plan
    }

    fn numbers_of(plan: &Plan) -> Vec<u32> {
        plan.faults.iter().map(|fault| fault.number).collect()
    }

    #[test]
    fn two_faults_that_fail_only_together_are_found_among_forty() {
        let needs = |plan: &Plan| [7, 31].iter().all(|number| numbers_of(plan).contains(number));
        let mut asked = 0;
        let found = fewer_faults(plan_with_faults(40), &mut |plans| {
            asked += plans.len();
            plans.iter().position(needs)
        });
        assert_eq!(numbers_of(&found), [7, 31]);
        assert!(asked < 200, "{asked} runs for 40 faults");
    }

    #[test]
    fn faults_that_do_not_matter_all_go() {
        let found = fewer_faults(plan_with_faults(9), &mut |plans| (!plans.is_empty()).then_some(0));
        assert!(found.faults.is_empty());
    }

    #[test]
    fn a_plan_that_needs_everything_stays_as_it_is() {
        let plan = plan_with_faults(5);
        assert_eq!(shrink(&plan, &mut |_| None), plan);
    }

    #[test]
    fn settings_shrink_to_the_least_that_fails() {
        let needs = |plan: &Plan| plan.scenario.phases.chaos_s >= 11 && plan.scenario.load.agents >= 2;
        let found = shrink(&plan_with_faults(3), &mut |plans| plans.iter().position(needs));
        assert!(found.faults.is_empty());
        assert_eq!((found.scenario.phases.chaos_s, found.scenario.load.agents), (11, 2));
        assert_eq!((found.scenario.phases.heal_s, found.scenario.load.per_second), (0, 0.0));
        assert_eq!(found.policy, Policy::Fifo);
    }

    #[test]
    fn hosts_that_do_not_matter_go_and_one_that_does_stays() {
        let needs = |plan: &Plan| plan.scenario.domains.iter().any(|domain| domain.nodes == 3);
        let found = shrink(&plan_with_faults(3), &mut |plans| plans.iter().position(needs));
        assert_eq!(found.scenario.domains.iter().map(|domain| domain.nodes).collect::<Vec<_>>(), [3]);
    }
}
