//! What a tool answers: one sentence for a model to read, and the same as JSON for programs.

use crate::service::{
    custody::{OPERATOR_CAN_SPEND, WARNING},
    domain::DomainView,
    errands::Ran,
    error::{Changed, ServiceError},
    view::{EscrowView, Minor},
};
use comity_proto::amount::format_amount;
use serde_json::{Value, json};

/// A sentence and its JSON.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) data: Value,
}

impl Answer {
    /// As the protocol carries it.
    pub(super) fn result(self) -> Value {
        result(&self.text, self.data, false)
    }
}

fn result(text: &str, data: Value, is_error: bool) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "structuredContent": data, "isError": is_error })
}

/// A refusal, as a model can act on it.
pub(super) fn refusal(error: &ServiceError) -> Value {
    let (changed, words) = match error.changed {
        Changed::No => ("no", "Nothing changed."),
        Changed::Unknown => ("unknown", "It may or may not have happened."),
    };
    let text = format!("Refused by the rule {}: {}. {words} Next: {}.", error.code, error.detail, error.next);
    let data = json!({
        "refused": true, "code": error.code, "detail": error.detail, "changed": changed, "next": error.next,
    });
    result(&text, data, true)
}

/// What came of an errand.
pub(super) fn ran(verb: &str, ran: &Ran) -> Answer {
    let outcome = ran.done.outcome.name();
    let made = match (ran.escrow, ran.transfer) {
        (Some(escrow), _) => format!(" escrow {escrow}"),
        (None, Some(transfer)) => format!(" transfer {transfer}"),
        (None, None) => String::new(),
    };
    let text = format!("{verb}: {outcome}{made}. {WARNING}.");
    let data = json!({
        "outcome": outcome, "log_index": ran.done.log_index, "request_id": ran.done.request_id,
        "escrow": ran.escrow, "transfer": ran.transfer, "custody": OPERATOR_CAN_SPEND, "warning": WARNING,
    });
    Answer { text, data }
}

/// An escrow with amounts as people write them.
pub(super) fn escrow(domain: &DomainView, view: &EscrowView) -> Value {
    let show = |minor: Minor| format_amount(minor.0, domain.scale);
    json!({
        "escrow": view.escrow, "state": view.state, "payer": view.payer, "payees": view.payees,
        "asset": format!("{}@{}", view.code, domain.nickname), "amount": show(view.amount), "open": show(view.open),
        "paid": show(view.paid), "fee": show(view.fee), "task_sha256": view.task_hash,
        "result_sha256": view.submitted.first().copied().flatten(), "deadline_ms": view.deadline,
    })
}

/// One line about an escrow.
pub(super) fn escrow_line(view: &Value) -> String {
    let text = |name: &str| view[name].as_str().unwrap_or_default().to_owned();
    format!(
        "escrow {} is {}: {} of {} {} open",
        text("escrow"),
        text("state"),
        text("open"),
        text("amount"),
        text("asset")
    )
}
