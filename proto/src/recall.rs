//! A place in front of the verifier of signatures, for the simulator: there every host of a domain judges the same bytes,
//! in one process, which a real node never does.
//!
//! Only with the feature `recall`; no node is ever built with it.

use once_cell::race::OnceRef;

use crate::{ids::PublicKey, keys::SIGNATURE_BYTES, reject::Reject};

/// What the verifier says of a key, the signed bytes and a signature.
pub type Judge = fn(&PublicKey, &[u8], &[u8; SIGNATURE_BYTES]) -> Result<(), Reject>;

/// Says what the verifier says, and may remember what it has said before.
pub type Recall = fn(&PublicKey, &[u8], &[u8; SIGNATURE_BYTES], Judge) -> Result<(), Reject>;

static RECALL: OnceRef<'static, Recall> = OnceRef::new();

/// From now on this process asks here before it verifies. True the first time, later calls change nothing.
pub fn ask_first(recall: &'static Recall) -> bool {
    RECALL.set(recall).is_ok()
}

pub(crate) fn judged(
    key: &PublicKey,
    message: &[u8],
    signature: &[u8; SIGNATURE_BYTES],
    judge: Judge,
) -> Result<(), Reject> {
    match RECALL.get() {
        Some(recall) => recall(key, message, signature, judge),
        None => judge(key, message, signature),
    }
}
