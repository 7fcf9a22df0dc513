//! Between the typed twins and the wire: one file per family.
//!
//! Reading checks what a type can hold: lengths, counts, alphabets, ranges of narrower integers, known variants. What a
//! value *means* (an amount of zero, shares that do not sum up, a window out of bounds) is judged by the ledger, which
//! answers with an outcome.

mod card;
mod command;
mod escrow;
mod gossip;
mod identity;
mod settlement;
mod task;
mod verb;

use crate::{
    amount::{AssetCode, AssetId},
    command::Party,
    ids::{AgentId, DomainId},
    reject::Reject,
    strict::array,
    wire,
};
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
