//! Whether a result may be paid: by code alone, and before any money moves.

use super::{
    schema,
    state::{Attempt, Wanted},
};
use crate::{
    node::Node,
    payment_request,
    registry::json,
    service::{domain, work},
    tasks::desk::{View, result_of},
};
use bytes::Bytes;
use comity_proto::{
    amount::AssetId,
    ids::{AgentId, Hash},
    task::TaskEventKind,
};
use serde_json::json;

/// Objects and lists inside each other in a result.
const DEPTH_MAX: usize = 64;

/// What came of looking.
pub(super) enum Verdict {
    /// It holds; what is paid for.
    Good(Bytes),
    /// It does not, and why.
    Bad(String),
    /// Somebody claims payment in a name that is not theirs.
    Forged {
        /// In whose name.
        claimed: AgentId,
        /// What is wrong.
        why: String,
    },
}

/// Looks at a task that has ended with a result. The escrow's word on it is asked for separately: a worker that signs no
/// demand still signs what it hands in there.
pub(super) fn look(node: &Node, wanted: &Wanted, attempt: &Attempt, view: &View) -> Verdict {
    let result = result_of(&view.events);
    if let Some(verdict) = claim(node, attempt, view) {
        return verdict;
    }
    match wanted.schema.as_ref().map(|schema| meets(schema, &result)) {
        Some(Err(why)) => Verdict::Bad(why),
        _ => Verdict::Good(result),
    }
}

/// What is wrong with the demand for payment; nothing, if there is none.
fn claim(node: &Node, attempt: &Attempt, view: &View) -> Option<Verdict> {
    let why = match work::demand(node, view) {
        Ok(None) => return None,
        Ok(Some(demand)) => {
            let said = demand.get();
            let own = domain::domain(node).ok()?;
            let asset = AssetId { issuer: own.domain, code: own.asset };
            let same = said.amount == attempt.candidate.price && said.asset == asset && said.milestone.is_none();
            return (!same).then(|| Verdict::Bad("it asks for another payment than was agreed".to_owned()));
        }
        Err(why) => why,
    };
    let said = view.events.last().and_then(|event| match &event.kind {
        TaskEventKind::Finished(bytes) => payment_request::open(bytes).ok(),
        _ => None,
    });
    let hired = attempt.candidate.party;
    match said {
        None => Some(Verdict::Forged { claimed: hired.agent, why }),
        Some(said) if *said.key() != attempt.candidate.key || said.get().payee != hired => {
            Some(Verdict::Forged { claimed: said.get().payee.agent, why })
        }
        Some(_) => Some(Verdict::Bad(why)),
    }
}

fn meets(schema: &serde_json::Value, result: &Bytes) -> Result<(), String> {
    let value = json::parse_with_fractions(result, DEPTH_MAX).map_err(|bad| format!("the result is no JSON: {bad}"))?;
    schema::judge(schema, &value)
}

/// What is held against a worker, in bytes whose hash goes into the dispute.
pub(super) fn evidence(delegation: &str, attempt: &Attempt, why: &str, view: Option<&View>, in_ledger: Hash) -> String {
    let result = view.map(|view| Hash::of(&result_of(&view.events)));
    let demand = view.and_then(|view| match &view.events.last()?.kind {
        TaskEventKind::Finished(envelope) if !envelope.is_empty() => Some(Hash::of(envelope)),
        _ => None,
    });
    let told = json!({
        "delegation": delegation, "escrow": attempt.escrow, "task": attempt.task, "worker": attempt.candidate.party,
        "why": why, "resultSha256": result, "submittedSha256": in_ledger, "demandSha256": demand,
    });
    String::from_utf8(json::canonical(&told)).unwrap_or_default()
}
