//! Notes about drift.

use super::put;
use crate::{
    drift::{DriftNote, DriftPart},
    envelope::{Context, Signed},
    ids::DomainId,
    limits as l,
    reject::{Reject, within},
    strict::{self, array},
    wire,
};
use alloc::vec::Vec;
use bytes::Bytes;
use prost::Message as _;

/// Each part with its bit.
fn bits() -> impl Iterator<Item = (DriftPart, u32)> {
    DriftPart::ALL.into_iter().zip((0..32).map(|at| 1_u32 << at))
}

impl Signed for DriftNote {
    const CONTEXT: Context = Context::DriftNote;
    const PAYLOAD_BYTES_MAX: usize = l::DRIFT_NOTE_BYTES_MAX;
    const LIMIT: &'static str = "drift_note_bytes";

    fn encode(&self) -> Bytes {
        let has = |part: &DriftPart| self.parts.contains(part);
        let wire = wire::DriftNote {
            domain: put(&self.domain.0),
            peer: put(&self.peer.0),
            serial: self.serial,
            parts: bits().filter(|(part, _)| has(part)).fold(0, |mask, (_, bit)| mask | bit),
            quarantines: self.quarantines,
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<DriftNote, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let wire: wire::DriftNote = strict::decode(payload)?;
        if wire.serial == 0 {
            return Err(Reject::OutOfRange { field: "serial" });
        }
        if wire.parts & !bits().fold(0, |mask, (_, bit)| mask | bit) != 0 {
            return Err(Reject::OutOfRange { field: "parts" });
        }
        Ok(DriftNote {
            domain: DomainId(array(&wire.domain, "domain")?),
            peer: DomainId(array(&wire.peer, "peer")?),
            serial: wire.serial,
            parts: bits().filter(|(_, bit)| wire.parts & bit != 0).map(|(part, _)| part).collect::<Vec<_>>(),
            quarantines: wire.quarantines,
        })
    }
}
