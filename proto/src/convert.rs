//! Between the typed twins and the wire: one file per family.
//!
//! Reading checks what a type can hold: lengths, counts, alphabets, ranges of narrower integers, known variants. What a
//! value *means* (an amount of zero, shares that do not sum up, a window out of bounds) is judged by the ledger, which
//! answers with an outcome.

mod books;
mod card;
pub(crate) mod command;
mod drift;
mod escrow;
mod export;
mod gossip;
mod identity;
mod key_step;
mod licence;
mod members;
mod passage;
mod projection;
mod relay;
mod settlement;
mod task;
pub(crate) mod treaty;
mod verb;

use crate::{
    amount::{AssetCode, AssetId},
    command::{Party, Referral},
    ids::{AgentId, DomainId},
    reject::Reject,
    strict::array,
    text::ReferralCode,
    wire,
};
use alloc::string::String;
use bytes::Bytes;

/// A field that must be there.
pub(crate) fn need<T>(value: Option<T>, field: &'static str) -> Result<T, Reject> {
    value.ok_or(Reject::Missing { field })
}

/// Copies id bytes for writing.
pub(crate) fn put(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

/// A number that must fit a narrower type.
pub(crate) fn narrow<T: TryFrom<u32>>(value: u32, field: &'static str) -> Result<T, Reject> {
    T::try_from(value).map_err(|_| Reject::OutOfRange { field })
}

/// Basis points: 0 to 10 000.
pub(crate) fn bps(value: u32, field: &'static str) -> Result<u16, Reject> {
    match narrow(value, field)? {
        bps if bps <= crate::limits::BPS_WHOLE => Ok(bps),
        _ => Err(Reject::OutOfRange { field }),
    }
}

impl From<&Party> for wire::Party {
    fn from(party: &Party) -> wire::Party {
        wire::Party { domain: put(&party.domain.0), agent: put(&party.agent.0) }
    }
}

/// Reads a party.
pub(crate) fn party(wire: Option<wire::Party>, field: &'static str) -> Result<Party, Reject> {
    let wire = need(wire, field)?;
    Ok(Party { domain: DomainId(array(&wire.domain, "domain")?), agent: AgentId(array(&wire.agent, "agent")?) })
}

/// The two fields that say who referred somebody.
pub(crate) fn put_referral(referral: Option<&Referral>) -> (Option<String>, Option<wire::Party>) {
    match referral {
        None => (None, None),
        Some(Referral::Code(code)) => (Some(code.as_str().into()), None),
        Some(Referral::Agent(party)) => (None, Some(party.into())),
    }
}

/// Reads them: at most one is set.
pub(crate) fn referral(code: Option<String>, agent: Option<wire::Party>) -> Result<Option<Referral>, Reject> {
    match (code, agent) {
        (None, None) => Ok(None),
        (Some(code), None) => Ok(Some(Referral::Code(ReferralCode::new(&code)?))),
        (None, agent) => party(agent, "referrer").map(Referral::Agent).map(Some),
        (Some(_), Some(_)) => Err(Reject::OutOfRange { field: "referrer" }),
    }
}

impl From<&AssetId> for wire::Asset {
    fn from(asset: &AssetId) -> wire::Asset {
        wire::Asset { issuer: put(&asset.issuer.0), code: asset.code.as_str().into() }
    }
}

/// Reads an asset.
pub(crate) fn asset(wire: Option<wire::Asset>) -> Result<AssetId, Reject> {
    let wire = need(wire, "asset")?;
    Ok(AssetId { issuer: DomainId(array(&wire.issuer, "issuer")?), code: AssetCode::new(&wire.code)? })
}
