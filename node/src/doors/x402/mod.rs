//! x402, version 2: this node as the facilitator of one scheme, `fed-escrow`, on one network, `fed:` and its domain's id. No
//! chain: balances of the domain's own ledger, an escrow for each payment.
//!
//! ```text
//! payer    POST authorize    own token        two signed commands, lock and release: the payment
//! payee    POST settle       phase lock       before it works    (middleware: settle before the handler)
//!          POST settle       phase release    when it has worked
//!          POST settle       phase refund     when it cannot     (or nothing: time gives back)
//! ```
//! The phase stands in the payload and is required: what a call means never follows from how often it comes. `lock` also
//! needs `attempt`, a name of the payee's own for the request that it serves: one payment serves one request.
//!
//! Deliberately absent: other schemes, payees of other domains, verifying on behalf of somebody else than the payee.

mod read;

use crate::{
    node::Node,
    service::{
        custody::Bearer,
        domain,
        error::{Changed, ServiceError},
        payments::{self, Judged},
        records::Record,
    },
};
use data_encoding::BASE64;
use read::{Asked, Phase};
use serde_json::{Value, json};

/// The scheme's name: not the chain's `auth-capture`, which is another promise.
pub const SCHEME: &str = "fed-escrow";
/// The protocol's version.
const VERSION: u64 = 2;

/// What every program that speaks the protocol knows an unfinished settlement by.
const PENDING: &str = "settlement_pending";

/// This domain as a network.
pub(super) fn network(node: &Node) -> String {
    format!("fed:{}", node.domain())
}

/// What is served; no secret.
///
/// # Errors
/// Before the genesis.
pub fn supported(node: &Node) -> Result<Value, ServiceError> {
    let own = domain::domain(node)?;
    let extra = json!({ "asset": own.asset, "decimals": own.scale, "phases": ["lock", "release", "refund"] });
    let kind = json!({ "x402Version": VERSION, "scheme": SCHEME, "network": network(node), "extra": extra });
    Ok(json!({ "kinds": [kind], "extensions": [], "signers": {} }))
}

/// Signs a payment of the caller's account for one demand: the scheme's payload.
///
/// # Errors
/// As [`payments::authorize`]; `bad_requirements`.
pub async fn authorize(node: &Node, caller: &Bearer, key: &str, requirements: &Value) -> Result<Value, ServiceError> {
    let demand = read::demand(node, requirements).await?;
    let payment = payments::authorize(node, caller, key, &demand).await?;
    Ok(json!({ "lock": BASE64.encode(&payment.lock), "release": BASE64.encode(&payment.release) }))
}

/// Whether a payment would be taken now. Nothing changes.
pub async fn verify(node: &Node, body: &Value) -> Value {
    let judged = async {
        let asked = Asked::read(node, body).await?;
        let judged = payments::judge(node, &asked.demand, asked.payment)?;
        payments::check(node, &judged).await.map(|()| judged)
    };
    match judged.await {
        Ok(judged) => json!({ "isValid": true, "payer": judged.payer }),
        Err(error) => json!({ "isValid": false, "invalidReason": error.code, "invalidMessage": words(&error) }),
    }
}

/// Locks, releases or refunds, as the payload's phase says.
pub async fn settle(node: &Node, caller: &Bearer, body: &Value) -> Value {
    let judged = async {
        let asked = Asked::read(node, body).await?;
        let phase = asked.phase()?;
        payments::judge(node, &asked.demand, asked.payment).map(|judged| (phase, judged))
    };
    match judged.await {
        Ok((phase, judged)) => match run(node, caller, &phase, &judged).await {
            Ok(record) => settled(node, &phase, &judged, &record),
            Err(error) => refused(node, Some(&judged), &error),
        },
        Err(error) => refused(node, None, &error),
    }
}

async fn run(node: &Node, caller: &Bearer, phase: &Phase, judged: &Judged) -> Result<Record, ServiceError> {
    match phase {
        Phase::Lock { attempt } => payments::lock(node, caller, judged, attempt).await,
        Phase::Release => payments::release(node, caller, judged).await,
        Phase::Refund => payments::refund(node, caller, judged).await,
    }
}

/// The escrow is the transaction: whoever is a party reads it under that id.
fn settled(node: &Node, phase: &Phase, judged: &Judged, record: &Record) -> Value {
    let moved = match phase {
        Phase::Lock { .. } => record.open,
        Phase::Release => record.paid,
        Phase::Refund => record.terms.amount.saturating_sub(record.paid),
    };
    json!({
        "success": true, "transaction": judged.escrow, "network": network(node), "payer": judged.payer,
        "amount": moved.to_string(),
        "extra": {
            "phase": phase.name(), "state": record.state.name(), "fee": record.fee.to_string(),
            "refundsAtMs": record.deadline_ms.map(|ms| ms.to_string()),
        },
    })
}

/// What may have happened is pending, so that the client asks the very same again; all else is final.
fn refused(node: &Node, judged: Option<&Judged>, error: &ServiceError) -> Value {
    let pending = error.changed == Changed::Unknown;
    let escrow = judged.filter(|_| pending).map(|judged| judged.escrow.to_string()).unwrap_or_default();
    json!({
        "success": false, "errorReason": if pending { PENDING } else { &error.code }, "errorMessage": words(error),
        "transaction": escrow, "network": network(node), "payer": judged.map(|judged| judged.payer),
    })
}

fn words(error: &ServiceError) -> String {
    format!("{}: {}; {}", error.code, error.detail, error.next)
}
