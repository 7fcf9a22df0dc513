//! What clients saw of an account can be put into one order.

use std::collections::BTreeMap;

use comity_ledger::Outcome;
use comity_proto::{
    command::Verb,
    ids::{AgentId, RequestId},
};

use super::{
    is_lost,
    wgl::{Did, Found, Operation, search},
};
use crate::{
    hosts::Restore,
    observe::{Asked, Story},
    oracles::{Oracle, View},
    workload::{Answer, Call, ReadAnswer},
    world::TimeNs,
};

/// The claim, and how many accounts it was asked of.
pub(super) struct Linearizable {
    judged: [(&'static str, u64); 2],
}

impl Default for Linearizable {
    fn default() -> Linearizable {
        Linearizable { judged: [("order:found", 0), ("order:too-wide", 0)] }
    }
}

impl Oracle for Linearizable {
    fn name(&self) -> &'static str {
        "linearizable"
    }

    fn claim(&self) -> &'static str {
        "everything that clients were told about an account fits one order of events in real time"
    }

    /// What was seen until the loss fits an order by itself; of it only what the snapshot holds comes before the rest.
    fn restored(&mut self, view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.judge(view, |domain| domain == restore.domain)
    }

    fn audit(&mut self, view: &View<'_>) -> Result<(), String> {
        self.judge(view, |_| true)
    }

    fn judged(&self) -> &[(&'static str, u64)] {
        &self.judged
    }
}

impl Linearizable {
    fn judge(&mut self, view: &View<'_>, of: impl Fn(usize) -> bool) -> Result<(), String> {
        let orders: Vec<BTreeMap<RequestId, u64>> = view.seen.stories.iter().map(order).collect();
        for (agent, domain) in view.history.savers().into_iter().filter(|(_, domain)| of(*domain)) {
            let operations = operations(view, agent, domain, &orders[domain]);
            match search(&operations) {
                Found::Linearizable => self.judged[0].1 += 1,
                Found::TooWide => self.judged[1].1 += 1,
                Found::Impossible => {
                    let name = &view.plan.scenario.domains[domain].name;
                    return Err(format!("no order explains what was seen of {agent} of {name}: {operations:?}"));
                }
            }
        }
        Ok(())
    }
}

/// The order in which the log has what was done: a guess that is nearly always an order that explains the answers.
fn order(story: &Story) -> BTreeMap<RequestId, u64> {
    let mut order = BTreeMap::new();
    for (index, _) in story.entries(0) {
        for item in story.items(index).unwrap_or_default() {
            let Asked::Commands { commands, .. } = &item.asked else { continue };
            for (command, _) in commands.iter().zip(&item.outcomes).filter(|(_, outcome)| outcome.is_success()) {
                let next = order.len() as u64;
                order.entry(command.request_id).or_insert(next);
            }
        }
    }
    order
}

/// Everything that touched or showed the account of a saver. Savers pay only each other, so nothing else does.
fn operations(view: &View<'_>, saver: AgentId, domain: usize, order: &BTreeMap<RequestId, u64>) -> Vec<Operation> {
    // A request that was sent to two nodes is one operation, answered when the first answer came.
    let mut by_request: BTreeMap<RequestId, Operation> = BTreeMap::new();
    view.history.with(|calls| {
        for call in calls.iter().filter(|call| call.operation.domain == domain) {
            let Some(mut operation) = of_call(call, saver, is_lost(view, call)) else { continue };
            operation.guess = order.get(&call.operation.request_id).copied();
            let known = by_request.entry(call.operation.request_id).or_insert(operation);
            known.asked = known.asked.min(operation.asked);
            let first = known.answered.into_iter().chain(operation.answered).min();
            known.did = if known.answered.is_some() { known.did } else { operation.did };
            known.answered = first;
        }
    });
    let mut operations: Vec<Operation> = by_request.into_values().collect();
    view.history.with_reads(|reads| {
        for read in reads.iter().filter(|read| read.domain == domain && read.agent == saver) {
            if let Some((answered, ReadAnswer::Balance { amount, applied: None })) = &read.answered
                && !view.is_lost(domain, (read.asked, *answered), None)
            {
                let did = Did::Saw(*amount);
                operations.push(Operation { asked: read.asked, answered: Some(*answered), did, guess: None });
            }
        }
    });
    operations
}

/// What a call did. One whose entry is lost did nothing so far, and may happen again: somebody may still be asking.
fn of_call(call: &Call, saver: AgentId, is_lost: bool) -> Option<Operation> {
    let (amount, pays) = match &call.operation.verb {
        Verb::Transfer { amount, .. } if call.operation.by == Some(saver) => (*amount, true),
        Verb::Transfer { to, amount, .. } if to.agent == saver => (*amount, false),
        Verb::Issue { to: Some(to), amount, .. } if *to == saver => (*amount, false),
        _ => return None,
    };
    let moved = if pays { Did::Debit(amount) } else { Did::Credit(amount) };
    let told = |at: TimeNs, did| Some(Operation { asked: call.asked, answered: Some(at), did, guess: None });
    match &call.answered {
        Some((_, Answer::Done { .. })) if is_lost => {
            Some(Operation { asked: call.asked, answered: None, did: moved, guess: None })
        }
        Some((at, Answer::Done { outcome, .. })) if outcome.is_success() => told(*at, moved),
        Some((at, Answer::Done { outcome: Outcome::InsufficientFunds, .. })) if pays => told(*at, Did::Refused(amount)),
        Some((_, Answer::Done { .. } | Answer::Refused(_))) => None,
        Some((_, Answer::Unknown(_))) | None => {
            Some(Operation { asked: call.asked, answered: None, did: moved, guess: None })
        }
    }
}
