//! Excerpts of logs.

use super::{need, put};
use crate::{
    ids::Hash,
    limits as l,
    projection::{Excerpt, Projection, ProvedEvent},
    reject::{Reject, within},
    scan,
    strict::{self, array},
    wire,
};
use alloc::vec::Vec;
use bytes::Bytes;
use prost::Message as _;

/// Number of the excerpt in a projection.
const EXCERPT_FIELD: u64 = 3;

/// Refuses too long a list before it is built; `excerpt` is the number of the field that the lists are in.
pub(super) fn counts(bytes: &Bytes, excerpt: u64) -> Result<(), Reject> {
    scan::at_most_inside(bytes, excerpt, 1, l::PROOF_HASHES_MAX, "proof_hashes")?;
    scan::at_most_inside(bytes, excerpt, 2, l::EXCERPT_EVENTS_MAX, "excerpt_events")
}

fn put_all(hashes: &[Hash]) -> Vec<Bytes> {
    hashes.iter().map(|hash| put(&hash.0)).collect()
}

fn hashes(wire: &[Bytes], field: &'static str) -> Result<Vec<Hash>, Reject> {
    within(wire.len(), l::PROOF_HASHES_MAX, "proof_hashes")?;
    wire.iter().map(|hash| array(hash, field).map(Hash)).collect()
}

impl From<&Excerpt> for wire::Excerpt {
    fn from(excerpt: &Excerpt) -> wire::Excerpt {
        let event = |proved: &ProvedEvent| wire::ProvedEvent {
            index: proved.index,
            event: proved.event.clone(),
            path: put_all(&proved.path),
        };
        wire::Excerpt { extends: put_all(&excerpt.extends), events: excerpt.events.iter().map(event).collect() }
    }
}

impl TryFrom<wire::Excerpt> for Excerpt {
    type Error = Reject;

    fn try_from(wire: wire::Excerpt) -> Result<Excerpt, Reject> {
        let event = |wire: wire::ProvedEvent| {
            within(wire.event.len(), l::EXCERPT_EVENT_BYTES_MAX, "excerpt_event_bytes")?;
            let path = hashes(&wire.path, "path")?;
            Ok(ProvedEvent { index: wire.index, event: wire.event, path })
        };
        let events: Vec<ProvedEvent> = wire.events.into_iter().map(event).collect::<Result<_, Reject>>()?;
        if !events.is_sorted_by(|one, next| one.index < next.index) {
            return Err(Reject::OutOfRange { field: "index" });
        }
        Ok(Excerpt { extends: hashes(&wire.extends, "extends")?, events })
    }
}

impl Projection {
    /// The one encoding.
    pub fn encode(&self) -> Bytes {
        let wire = wire::Projection {
            roster: self.roster.clone(),
            checkpoint: self.checkpoint.clone(),
            excerpt: Some((&self.excerpt).into()),
        };
        wire.encode_to_vec().into()
    }

    /// Reads one; the envelopes are slices of what arrived.
    pub fn decode(bytes: &Bytes) -> Result<Projection, Reject> {
        within(bytes.len(), l::PROJECTION_BYTES_MAX, "projection_bytes")?;
        counts(bytes, EXCERPT_FIELD)?;
        let wire: wire::Projection = strict::decode(bytes)?;
        let excerpt: Excerpt = need(wire.excerpt, "excerpt")?.try_into()?;
        if excerpt.events.is_empty() {
            return Err(Reject::Missing { field: "events" });
        }
        Ok(Projection { roster: wire.roster, checkpoint: wire.checkpoint, excerpt })
    }
}
