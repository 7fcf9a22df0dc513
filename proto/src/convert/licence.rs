//! Licences.

use super::put;
use crate::{
    envelope::{Context, Signed},
    ids::{DomainId, Hash, PublicKey},
    licence::{Licence, LicenceStatus},
    limits as l,
    reject::{Reject, within},
    strict::{self, array},
    text::{Nickname, Reason},
    wire,
};
use bytes::Bytes;
use prost::Message as _;

impl Signed for Licence {
    const CONTEXT: Context = Context::Licence;
    const PAYLOAD_BYTES_MAX: usize = l::NOTICE_BYTES_MAX;
    const LIMIT: &'static str = "licence_bytes";
    const BY_ROOT: bool = true;

    fn encode(&self) -> Bytes {
        let status = match self.status {
            LicenceStatus::Active => wire::LicenceStatus::Active,
            LicenceStatus::Suspended => wire::LicenceStatus::Suspended,
            LicenceStatus::Revoked => wire::LicenceStatus::Revoked,
        };
        let wire = wire::Licence {
            from: put(&self.from.0),
            holder: put(&self.holder.0),
            epoch: self.epoch,
            tier: self.tier.as_str().into(),
            agents_max: self.agents_max,
            events_per_minute: self.events_per_minute,
            expires_at_ms: self.expires_at_ms,
            status: status.into(),
            reason: self.reason.as_str().into(),
            bearer: self.bearer.as_ref().map(|hash| put(&hash.0)).unwrap_or_default(),
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<Licence, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let wire: wire::Licence = strict::decode(payload)?;
        if wire.epoch == 0 {
            return Err(Reject::OutOfRange { field: "epoch" });
        }
        let status = match wire::LicenceStatus::try_from(wire.status) {
            Ok(wire::LicenceStatus::Active) => LicenceStatus::Active,
            Ok(wire::LicenceStatus::Suspended) => LicenceStatus::Suspended,
            Ok(wire::LicenceStatus::Revoked) => LicenceStatus::Revoked,
            Ok(wire::LicenceStatus::Unspecified) | Err(_) => return Err(Reject::WrongKind { field: "status" }),
        };
        Ok(Licence {
            from: DomainId(array(&wire.from, "from")?),
            holder: PublicKey(array(&wire.holder, "holder")?),
            epoch: wire.epoch,
            tier: Nickname::new(&wire.tier)?,
            agents_max: wire.agents_max,
            events_per_minute: wire.events_per_minute,
            expires_at_ms: wire.expires_at_ms,
            status,
            reason: Reason::new(&wire.reason)?,
            bearer: match wire.bearer.as_ref() {
                [] => None,
                bytes => Some(Hash(array(bytes, "bearer")?)),
            },
        })
    }

    /// The root key of the domain that grants it.
    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        if DomainId::of_key(key) == self.from { Ok(()) } else { Err(Reject::WrongSigner) }
    }
}
