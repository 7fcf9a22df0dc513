//! What is claimed at the end, computed from the replicas' own digests and statements and from nothing else.

use super::{processes::pause, setup::Domain};
use crate::cli::output::field;
use comity_ledger::statement::{SupplyStatement, verify_pair};
use serde_json::Value;
use std::time::Duration;

/// How long replicas have to agree and transfers to end.
const SETTLE_WITHIN: Duration = Duration::from_secs(60);

/// What all six replicas say.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    /// Replicas of each domain agree byte for byte, every invariant holds on each, and every pair of statements of the
    /// two domains fulfils the supply equation.
    pub(super) conserved: bool,
    /// Unfinished transfers, the most that any replica knows.
    pub(super) in_doubt: u64,
    /// What does not hold; empty when everything does.
    pub(super) objections: Vec<String>,
    /// One statement of each domain about the other, as its first replica gave it.
    pub(super) statements: Vec<Value>,
}

/// Asks until everything agrees and nothing is in doubt, or the time is over.
pub(super) fn reach(domains: &[Domain; 2]) -> Verdict {
    let begun = comity_runtime::now();
    loop {
        let verdict = look(domains);
        if verdict.conserved && verdict.in_doubt == 0 || begun.elapsed() > SETTLE_WITHIN {
            return verdict;
        }
        pause(Duration::from_millis(100));
    }
}

fn look(domains: &[Domain; 2]) -> Verdict {
    let mut verdict = Verdict::default();
    for domain in domains {
        agreement(domain, &mut verdict);
    }
    let [alpha, beta] = domains;
    let of_alpha = statements(alpha, beta, &mut verdict);
    let of_beta = statements(beta, alpha, &mut verdict);
    for a in &of_alpha {
        for b in &of_beta {
            if let Err(discrepancy) = verify_pair(a, b) {
                verdict.objections.push(format!("supply equation: {discrepancy:?}"));
            }
        }
    }
    verdict.conserved = verdict.objections.is_empty();
    verdict
}

/// Same index, same digest, no violated invariant, on all replicas.
fn agreement(domain: &Domain, verdict: &mut Verdict) {
    let mut seen = Vec::new();
    for node in &domain.nodes {
        match node.api.get::<Value>("/api/v1/ledger/digest") {
            Ok(digest) => {
                if !digest["violation"].is_null() {
                    verdict.objections.push(format!("{}: {}", node.plan.name, field(&digest, "violation")));
                }
                verdict.in_doubt = verdict.in_doubt.max(digest["in_doubt"].as_u64().unwrap_or(u64::MAX));
                seen.push((field(&digest, "applied_index"), field(&digest, "digest")));
            }
            Err(error) => verdict.objections.push(format!("{}: {error}", node.plan.name)),
        }
    }
    seen.dedup();
    if seen.len() != 1 {
        verdict.objections.push(format!("replicas of {} differ: {seen:?}", domain.plan.name));
    }
}

fn statements(of: &Domain, about: &Domain, verdict: &mut Verdict) -> Vec<SupplyStatement> {
    let path = format!("/api/v1/ledger/statement/{}", about.plan.id());
    let mut statements = Vec::new();
    for (index, node) in of.nodes.iter().enumerate() {
        let document = match node.api.get::<Value>(&path) {
            Ok(document) => document,
            Err(error) => {
                verdict.objections.push(format!("{}: {error}", node.plan.name));
                continue;
            }
        };
        match serde_json::from_value(document.clone()) {
            Ok(statement) => statements.push(statement),
            Err(error) => verdict.objections.push(format!("{}: {error}", node.plan.name)),
        }
        if index == 0 {
            verdict.statements.push(document);
        }
    }
    statements
}
