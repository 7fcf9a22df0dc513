//! Strict reading of protobuf: one encoding per content, lengths before allocation.
//!
//! Protobuf lets one content have many encodings. Here a message is decoded, encoded again, and refused unless the
//! bytes are the same. That refuses unknown fields, trailing bytes, non-minimal varints, repeated scalars, written-out
//! defaults and fields out of order in one rule, for today's fields and for tomorrow's.

use crate::reject::Reject;
use alloc::vec::Vec;
use bytes::Bytes;
use prost::Message;

/// Decodes; refuses every encoding but the one that we would write. `Bytes` fields are slices of `bytes`.
pub(crate) fn decode<M: Message + Default>(bytes: &Bytes) -> Result<M, Reject> {
    let message = M::decode(bytes.clone()).map_err(|_| Reject::Malformed)?;
    canonical(message, bytes)
}

/// The same for a message with a version, which is judged before anything that a later version may have added.
pub(crate) fn versioned<M: Message + Default>(bytes: &Bytes, want: u32, version: fn(&M) -> u32) -> Result<M, Reject> {
    let message = M::decode(bytes.clone()).map_err(|_| Reject::Malformed)?;
    match version(&message) {
        got if got == want => canonical(message, bytes),
        got => Err(Reject::UnknownVersion { got }),
    }
}

fn canonical<M: Message>(message: M, bytes: &Bytes) -> Result<M, Reject> {
    if message.encoded_len() != bytes.len() {
        return Err(Reject::NotCanonical);
    }
    let mut again = Vec::with_capacity(bytes.len());
    message.encode_raw(&mut again);
    if again == *bytes { Ok(message) } else { Err(Reject::NotCanonical) }
}

/// Exactly `N` bytes.
pub(crate) fn array<const N: usize>(bytes: &[u8], field: &'static str) -> Result<[u8; N], Reject> {
    bytes.try_into().map_err(|_| Reject::WrongLength { field, want: N, got: bytes.len() })
}
