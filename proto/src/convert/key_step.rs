//! Steps in the life of a key.

use super::put;
use crate::{
    envelope::{Context, Signed},
    ids::{DomainId, PublicKey},
    key_step::{KeyChange, KeyStep},
    limits as l,
    reject::{Reject, within},
    strict::{self, array},
    text::Reason,
    wire,
};
use bytes::Bytes;
use prost::Message as _;

impl Signed for KeyStep {
    const CONTEXT: Context = Context::KeyStep;
    const PAYLOAD_BYTES_MAX: usize = l::KEY_STEP_BYTES_MAX;
    const LIMIT: &'static str = "key_step_bytes";
    const BY_ROOT: bool = true;

    fn encode(&self) -> Bytes {
        let change = match self.change {
            KeyChange::Prepare => wire::KeyChange::Prepare,
            KeyChange::Activate => wire::KeyChange::Activate,
            KeyChange::Retire => wire::KeyChange::Retire,
            KeyChange::Revoke => wire::KeyChange::Revoke,
        };
        let wire = wire::KeyStep {
            domain: put(&self.domain.0),
            place: self.place.as_ref().map(|key| put(&key.0)),
            serial: self.serial,
            change: change.into(),
            key: put(&self.key.0),
            overlap_ms: self.overlap_ms,
            proof: self.proof.clone(),
            reason: self.reason.as_str().into(),
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<KeyStep, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let wire: wire::KeyStep = strict::decode(payload)?;
        within(wire.proof.len(), l::CERTIFICATE_BYTES_MAX, "certificate_bytes")?;
        if wire.serial == 0 {
            return Err(Reject::OutOfRange { field: "serial" });
        }
        let change = match wire::KeyChange::try_from(wire.change) {
            Ok(wire::KeyChange::Prepare) => KeyChange::Prepare,
            Ok(wire::KeyChange::Activate) => KeyChange::Activate,
            Ok(wire::KeyChange::Retire) => KeyChange::Retire,
            Ok(wire::KeyChange::Revoke) => KeyChange::Revoke,
            Ok(wire::KeyChange::Unspecified) | Err(_) => return Err(Reject::WrongKind { field: "change" }),
        };
        Ok(KeyStep {
            domain: DomainId(array(&wire.domain, "domain")?),
            place: wire.place.map(|key| array(&key, "place").map(PublicKey)).transpose()?,
            serial: wire.serial,
            change,
            key: PublicKey(array(&wire.key, "key")?),
            overlap_ms: wire.overlap_ms,
            proof: wire.proof,
            reason: Reason::new(&wire.reason)?,
        })
    }

    /// Only a root key says who the operator is and which root key follows; a node's keys are known to the ledger alone.
    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        let by_root = self.place.is_none() || self.is_of_root();
        if by_root && DomainId::of_key(key) != self.domain { Err(Reject::WrongSigner) } else { Ok(()) }
    }
}
