//! A checkpoint: what a domain signs to fix its history up to a point.
//!
//! The bytes have one form and one length; a node signs them in an envelope of context `Checkpoint`.

use alloc::vec::Vec;
use bytes::Bytes;
use comity_proto::{
    envelope::{Context, Signed},
    ids::{DomainId, Hash},
    reject::Reject,
};

/// The event log of a domain as it stood after one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose log.
    pub domain: DomainId,
    /// Number of events.
    pub size: u64,
    /// Merkle root over them (RFC 9162).
    pub root: Hash,
    /// Ledger time of the last entry, ms since the Unix epoch.
    pub stamp_ms: u64,
    /// Raft log index of the last entry.
    pub log_index: u64,
}

/// Why bytes are no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    /// Not [`Checkpoint::LEN`] bytes; holds the length given.
    WrongLength(usize),
}

impl Checkpoint {
    /// Length of the encoded form.
    pub const LEN: usize = 32 + 8 + 32 + 8 + 8;

    /// Domain, size, root, stamp, log index; numbers big endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::LEN);
        bytes.extend_from_slice(&self.domain.0);
        bytes.extend_from_slice(&self.size.to_be_bytes());
        bytes.extend_from_slice(&self.root.0);
        bytes.extend_from_slice(&self.stamp_ms.to_be_bytes());
        bytes.extend_from_slice(&self.log_index.to_be_bytes());
        bytes
    }

    /// Reads the one encoded form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let wrong = CheckpointError::WrongLength(bytes.len());
        let (domain, rest) = bytes.split_first_chunk::<32>().ok_or(wrong)?;
        let (size, rest) = rest.split_first_chunk::<8>().ok_or(wrong)?;
        let (root, rest) = rest.split_first_chunk::<32>().ok_or(wrong)?;
        let (stamp, rest) = rest.split_first_chunk::<8>().ok_or(wrong)?;
        let index = <[u8; 8]>::try_from(rest).map_err(|_| wrong)?;
        Ok(Checkpoint {
            domain: DomainId(*domain),
            size: u64::from_be_bytes(*size),
            root: Hash(*root),
            stamp_ms: u64::from_be_bytes(*stamp),
            log_index: u64::from_be_bytes(index),
        })
    }
}

/// Any voter may sign for its domain; whether the key is one is for the reader, who holds the roster.
impl Signed for Checkpoint {
    const CONTEXT: Context = Context::Checkpoint;
    const PAYLOAD_BYTES_MAX: usize = Checkpoint::LEN;
    const LIMIT: &'static str = "checkpoint_bytes";

    fn encode(&self) -> Bytes {
        self.to_bytes().into()
    }

    fn decode(payload: &Bytes) -> Result<Checkpoint, Reject> {
        Checkpoint::from_bytes(payload).map_err(|CheckpointError::WrongLength(got)| Reject::WrongLength {
            field: "checkpoint",
            want: Checkpoint::LEN,
            got,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::keys::SecretKey;

    #[test]
    fn a_checkpoint_reads_back_and_no_other_length_does() {
        let checkpoint =
            Checkpoint { domain: DomainId([1; 32]), size: 2, root: Hash([3; 32]), stamp_ms: 4, log_index: u64::MAX };
        let bytes = checkpoint.to_bytes();
        assert_eq!(bytes.len(), Checkpoint::LEN);
        assert_eq!(Checkpoint::from_bytes(&bytes), Ok(checkpoint));
        for length in 0..bytes.len() {
            assert_eq!(Checkpoint::from_bytes(&bytes[..length]), Err(CheckpointError::WrongLength(length)));
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(Checkpoint::from_bytes(&longer), Err(CheckpointError::WrongLength(Checkpoint::LEN + 1)));
    }

    #[test]
    fn a_signed_checkpoint_opens_and_one_flipped_bit_is_a_bad_signature() {
        let checkpoint =
            Checkpoint { domain: DomainId([1; 32]), size: 2, root: Hash([3; 32]), stamp_ms: 4, log_index: 5 };
        let key = SecretKey::from_seed(&[7; 32]);
        let envelope = checkpoint.seal(&key);
        let opened = Checkpoint::open(&envelope).expect("our own signature");
        assert_eq!((opened.get(), opened.key()), (&checkpoint, &key.public()));
        let mut flipped = envelope.to_vec();
        flipped[40] ^= 1;
        assert_eq!(Checkpoint::open(&flipped.into()).err(), Some(Reject::BadSignature));
        let short = Bytes::from_static(&[0; 3]);
        let want = Checkpoint::LEN;
        assert_eq!(Checkpoint::decode(&short), Err(Reject::WrongLength { field: "checkpoint", want, got: 3 }));
    }
}
