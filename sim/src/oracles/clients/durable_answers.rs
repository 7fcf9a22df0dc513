//! What was acknowledged is kept.

use comity_ledger::Ledger;
use comity_proto::command::Actor;

use super::is_lost;
use crate::{
    oracles::{Looks, Oracle, Phase, View},
    workload::{Answer, Call},
};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "kept-answers",
        claim: "at the end a majority of the domain's ledgers still gives every client the answer that it was given",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    if view.phase != Phase::Audit {
        return Ok(());
    }
    for (domain, spec) in view.hosts.domains().iter().enumerate() {
        let nodes: Vec<_> = spec.hosts.iter().filter_map(|host| view.hosts.node(*host)).collect();
        if nodes.len() <= spec.hosts.len() / 2 {
            continue;
        }
        view.history.with(|calls| {
            for call in calls.iter().filter(|call| call.operation.domain == domain) {
                let Some((_, Answer::Done { log_index, outcome })) = &call.answered else { continue };
                if *log_index == 0 || is_lost(view, call) {
                    continue;
                }
                let kept = |ledger: &Ledger| match ledger.remembered(&actor_of(call), &call.operation.request_id) {
                    Some(known) => known.outcome == *outcome,
                    // Forgotten by its time.
                    None => ledger.stamp_ms() > call.operation.valid_until_ms,
                };
                let keep = nodes.iter().filter(|node| node.replica().read_stale(|ledger, _| kept(ledger))).count();
                if keep <= spec.hosts.len() / 2 {
                    return Err(format!(
                        "request {} of {} was answered {outcome}; {keep} of {} ledgers say so at the end",
                        call.operation.request_id,
                        spec.name,
                        spec.hosts.len()
                    ));
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn actor_of(call: &Call) -> Actor {
    call.operation.by.map_or(Actor::Operator, Actor::Agent)
}
