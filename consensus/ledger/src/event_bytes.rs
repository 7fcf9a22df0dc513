//! Events as they are hashed, stored and exported.

use crate::{event::Event, merkle::leaf_hash};
use alloc::vec::Vec;
use comity_proto::ids::Hash;

/// The canonical bytes of the events of one entry, one behind the other. An event is encoded once: its leaf is the hash of
/// these bytes, and whoever keeps events keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventBytes {
    bytes: Vec<u8>,
    /// Where each event ends.
    ends: Vec<usize>,
}

/// Room for an event of two legs.
const EVENT_BYTES: usize = 128;

impl EventBytes {
    /// With room for so many short events.
    pub(crate) fn for_events(events: usize) -> EventBytes {
        let bytes = Vec::with_capacity(events.saturating_mul(EVENT_BYTES));
        EventBytes { bytes, ends: Vec::with_capacity(events) }
    }

    /// Adds the next event and gives its leaf.
    pub(crate) fn push(&mut self, event: &Event) -> Hash {
        let start = self.bytes.len();
        // As in `to_bytes`: this cannot fail, and would show as a wrong root at once.
        self.bytes = postcard::to_extend(event, core::mem::take(&mut self.bytes)).unwrap_or_default();
        self.ends.push(self.bytes.len());
        leaf_hash(self.bytes.get(start..).unwrap_or_default())
    }

    /// The bytes of each event, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = core::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| self.bytes.get(start..*end).unwrap_or_default())
    }
}

impl<'a> FromIterator<&'a Event> for EventBytes {
    fn from_iter<I: IntoIterator<Item = &'a Event>>(events: I) -> EventBytes {
        let mut encoded = EventBytes::default();
        for event in events {
            encoded.push(event);
        }
        encoded
    }
}
