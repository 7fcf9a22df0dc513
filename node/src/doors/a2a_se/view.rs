//! Escrows in the protocol's words. What the ledger does not keep is null, never made up.

use super::wrong::Wrong;
use crate::{doors::a2a::time, registry::json::NUMBER_MAX, service::records::Record};
use comity_ledger::escrow::EscrowState;
use comity_proto::{command::Party, escrow::EscrowTerms, ids::DomainId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// In front of an escrow's labels, on a line of its own in the condition of its terms.
const LABELS: &str = "a2a-se ";
/// In words, above them.
const CONDITION: &str = "the result is accepted by the payer";

/// What a client calls an escrow; it stands in the signed terms, so every node knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Labels {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) task_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) task_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group_id: Option<String>,
}

impl Labels {
    /// The condition that carries them.
    pub(super) fn condition(&self) -> Option<String> {
        let text = serde_json::to_string(self).unwrap_or_default();
        (*self != Labels::default()).then(|| format!("{CONDITION}\n{LABELS}{text}"))
    }

    fn of(terms: &EscrowTerms) -> Labels {
        let line = terms.condition.lines().find_map(|line| line.strip_prefix(LABELS));
        line.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

/// A number of this door.
///
/// # Errors
/// Beyond what every reader of JSON holds exactly.
pub(super) fn whole(minor: u64) -> Result<Value, Wrong> {
    if minor <= NUMBER_MAX {
        return Ok(minor.into());
    }
    let message = format!("an amount of {minor} minor units is over 2^53-1");
    let next = "read it through /api/v1, where amounts are strings";
    Err(Wrong::of_form("INVALID_AMOUNT", "amount_over_2_53", message, next))
}

/// An account as this door names it: an agent at home here by its id, another one as AGENT@DOMAIN.
pub(super) fn account(home: DomainId, party: &Party) -> String {
    if party.domain == home { party.agent.to_string() } else { format!("{}@{}", party.agent, party.domain) }
}

/// The protocol's word for a state.
pub(super) fn status(record: &Record) -> &'static str {
    match record.state {
        EscrowState::Locked | EscrowState::Accepted | EscrowState::Submitted => "held",
        EscrowState::Disputed => "disputed",
        EscrowState::Paying | EscrowState::Released => "released",
        EscrowState::Refunded => "refunded",
        EscrowState::Ruled => {
            if record.paid > 0 {
                "released"
            } else {
                "refunded"
            }
        }
    }
}

/// Share of the fee in what the payee gets, in per cent with four decimals.
pub(super) fn percent(fee: u64, amount: u64) -> f64 {
    if amount == 0 { 0.0 } else { (fee as f64 / amount as f64 * 1_000_000.0).round() / 10_000.0 }
}

/// Whether a list was asked for this one.
pub(super) fn fits(record: &Record, task: Option<&str>, group: Option<&str>, wanted: Option<&str>) -> bool {
    let labels = Labels::of(&record.terms);
    let same =
        |wanted: Option<&str>, label: &Option<String>| wanted.is_none_or(|wanted| label.as_deref() == Some(wanted));
    same(task, &labels.task_id) && same(group, &labels.group_id) && wanted.is_none_or(|wanted| status(record) == wanted)
}

/// An escrow in detail.
pub(super) fn detail(home: DomainId, record: &Record) -> Result<Value, Wrong> {
    let (terms, labels) = (&record.terms, Labels::of(&record.terms));
    let amount = terms.amount.saturating_sub(record.fee_in_all);
    let moment = |ms: Option<u64>| ms.map(time::text);
    let stake = record.dispute.map(|dispute| whole(dispute.bond)).transpose()?;
    Ok(json!({
        "id": record.escrow, "requester_id": terms.payer,
        "provider_id": record.payee().map(|payee| account(home, &payee)),
        "amount": whole(amount)?, "fee_amount": whole(record.fee_in_all)?, "total_held": whole(terms.amount)?,
        "effective_fee_percent": percent(record.fee_in_all, amount),
        "currency": terms.asset.code, "currency_issuer": terms.asset.issuer,
        "status": status(record), "ledger_state": record.state.name(),
        "released_amount": whole(record.paid.saturating_sub(record.fee))?, "released_fee": whole(record.fee)?,
        "task_id": labels.task_id, "task_type": labels.task_type, "group_id": labels.group_id,
        "task_sha256": terms.task_hash, "deliverables": null, "depends_on": null,
        "delivered_sha256": record.delivered.map(|(hash, _)| hash), "delivered_content": null,
        "delivered_at": moment(record.delivered.map(|(_, at)| at)),
        "dispute_filed_by": record.dispute.map(|dispute| dispute.by), "dispute_stake_amount": stake,
        "dispute_reason": null, "dispute_reason_sha256": record.dispute.map(|dispute| dispute.evidence_hash),
        "arbiter_id": terms.arbiter.map(|arbiter| account(home, &arbiter.party)),
        "expires_at": moment(record.deadline_ms.or(record.ended_ms)),
        "created_at": time::text(record.locked_ms), "resolved_at": moment(record.ended_ms),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_is_shown_in_per_cent_of_what_the_payee_gets() {
        assert_eq!(percent(1, 10), 10.0);
        assert_eq!(percent(1, 3), 33.3333);
        assert_eq!(percent(5, 0), 0.0);
    }

    #[test]
    fn labels_stand_on_a_line_of_their_own() {
        assert_eq!(Labels::default().condition(), None);
        let labels = Labels { task_id: Some("t \"1\"\n".to_owned()), ..Labels::default() };
        let condition = labels.condition().unwrap();
        assert_eq!(condition, format!("{CONDITION}\na2a-se {{\"task_id\":\"t \\\"1\\\"\\n\"}}"));
    }

    #[test]
    fn a_number_that_a_reader_could_round_is_refused() {
        assert_eq!(whole(NUMBER_MAX), Ok(json!(9_007_199_254_740_991_u64)));
        let refused = whole(NUMBER_MAX + 1).unwrap_err().body("r");
        assert_eq!(refused["error"]["details"]["rule"], "amount_over_2_53");
    }
}
