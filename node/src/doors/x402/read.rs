//! The protocol's bodies: what is demanded, and the payment for it.

use super::{SCHEME, VERSION, network};
use crate::{
    node::Node,
    service::{
        domain, errands,
        error::ServiceError,
        payments::{Demand, Payment},
    },
};
use bytes::Bytes;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::Value;

/// What a call means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Lock {
        /// The payee's name for the request that is paid.
        attempt: String,
    },
    Release,
    Refund,
}

impl Phase {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Phase::Lock { .. } => "lock",
            Phase::Release => "release",
            Phase::Refund => "refund",
        }
    }
}

/// `PaymentRequirements`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Requirements {
    scheme: String,
    network: String,
    asset: String,
    amount: String,
    pay_to: String,
    max_timeout_seconds: u64,
}

/// The scheme's payload, with what the payee adds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    lock: String,
    release: String,
    phase: Option<String>,
    attempt: Option<String>,
}

/// A body of `verify` or `settle`.
pub(super) struct Asked {
    pub(super) demand: Demand,
    pub(super) payment: Payment,
    phase: Option<String>,
    attempt: Option<String>,
}

fn bad(detail: impl Into<String>) -> ServiceError {
    ServiceError::bad_input("bad_requirements", detail)
}

/// What is demanded, if this facilitator can settle it.
pub(super) async fn demand(node: &Node, requirements: &Value) -> Result<Demand, ServiceError> {
    let wanted: Requirements = serde_json::from_value(requirements.clone()).map_err(|error| bad(error.to_string()))?;
    let own = domain::domain(node)?;
    if wanted.scheme != SCHEME || wanted.network != network(node) {
        return Err(bad(format!("this is {SCHEME} on {}, not {} on {}", network(node), wanted.scheme, wanted.network)));
    }
    if wanted.asset != own.asset.to_string() {
        return Err(bad(format!("payments are in {}, not in {}", own.asset, wanted.asset)));
    }
    let amount = wanted.amount.parse().map_err(|_| bad(format!("`{}` is no number of minor units", wanted.amount)))?;
    let party = errands::party(node, &own, &wanted.pay_to).await?;
    if party.domain != own.domain {
        return Err(bad("payTo is an agent at home in another domain"));
    }
    Ok(Demand { payee: party.agent, amount, open_s: wanted.max_timeout_seconds })
}

impl Asked {
    pub(super) async fn read(node: &Node, body: &Value) -> Result<Asked, ServiceError> {
        let payload = &body["paymentPayload"];
        if body["x402Version"] != VERSION || payload["x402Version"] != VERSION {
            return Err(bad("this is version 2 of the protocol"));
        }
        let demand = demand(node, &body["paymentRequirements"]).await?;
        if self::demand(node, &payload["accepted"]).await? != demand {
            return Err(bad("the payment is for other requirements"));
        }
        let inner: Inner = serde_json::from_value(payload["payload"].clone())
            .map_err(|error| ServiceError::bad_input("bad_payment", error.to_string()))?;
        let bytes = |text: &str| {
            let read = BASE64.decode(text.as_bytes()).map(Bytes::from);
            read.map_err(|error| ServiceError::bad_input("bad_payment", format!("no base64: {error}")))
        };
        let payment = Payment { lock: bytes(&inner.lock)?, release: bytes(&inner.release)? };
        Ok(Asked { demand, payment, phase: inner.phase, attempt: inner.attempt })
    }

    /// What the call means; it is never guessed.
    pub(super) fn phase(&self) -> Result<Phase, ServiceError> {
        let missing = |what: &str| {
            let mut error = ServiceError::bad_input("phase_missing", format!("the payload has no {what}"));
            error.next = "add `phase`: lock (with `attempt`), release or refund, on the payee's side".to_owned();
            error
        };
        match (self.phase.as_deref(), self.attempt.as_deref()) {
            (Some("lock"), Some(attempt)) if !attempt.is_empty() => Ok(Phase::Lock { attempt: attempt.to_owned() }),
            (Some("lock"), _) => Err(missing("attempt")),
            (Some("release"), _) => Ok(Phase::Release),
            (Some("refund"), _) => Ok(Phase::Refund),
            _ => Err(missing("phase")),
        }
    }
}
