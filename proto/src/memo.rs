//! Signatures that were judged already, for the simulator: there every host of a domain judges the same bytes, in one
//! process, which a real node never does. The answer is that of the verifier itself, so nothing but time changes.
//!
//! Only with the feature `memo`, which needs std; no node is ever built with it.

extern crate std;

use core::cell::RefCell;
use std::{collections::BTreeMap, thread_local};

use sha2::{Digest as _, Sha256};

use crate::{ids::PublicKey, reject::Reject};

/// Judgements that are kept before all are forgotten: about 4 MB.
const KEPT_MAX: usize = 1 << 16;

thread_local! {
    static JUDGED: RefCell<BTreeMap<[u8; 32], bool>> = const { RefCell::new(BTreeMap::new()) };
}

/// What `judge` says of these bytes, asked at most once. Key and signature have fixed lengths, so one hash over all three
/// stands for them.
pub(crate) fn judged(
    key: &PublicKey,
    message: &[u8],
    signature: &[u8; 64],
    judge: impl FnOnce() -> Result<(), Reject>,
) -> Result<(), Reject> {
    let id = Sha256::new().chain_update(key.0).chain_update(signature).chain_update(message).finalize().into();
    let known = JUDGED.with_borrow(|judged| judged.get(&id).copied());
    let is_good = known.unwrap_or_else(|| judge().is_ok());
    if known.is_none() {
        JUDGED.with_borrow_mut(|judged| {
            if judged.len() >= KEPT_MAX {
                judged.clear();
            }
            judged.insert(id, is_good);
        });
    }
    if is_good { Ok(()) } else { Err(Reject::BadSignature) }
}

#[cfg(test)]
mod tests {
    use crate::{
        envelope::Context,
        keys::{SecretKey, verify_in},
        reject::Reject,
    };

    #[test]
    fn what_was_judged_once_is_judged_the_same_again() {
        let key = SecretKey::from_seed(&[7; 32]);
        let signature = key.sign(Context::KeyRotation, b"payload");
        let mut other = signature;
        other[0] ^= 1;
        for _ in 0..2 {
            assert_eq!(verify_in(Context::KeyRotation, &key.public(), b"payload", &signature), Ok(()));
            assert_eq!(verify_in(Context::KeyRotation, &key.public(), b"payload", &other), Err(Reject::BadSignature));
            assert_eq!(
                verify_in(Context::KeyRotation, &key.public(), b"another", &signature),
                Err(Reject::BadSignature)
            );
        }
    }
}
