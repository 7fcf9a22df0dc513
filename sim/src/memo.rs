//! Signatures that were judged already: in a universe every host of a domain judges the same bytes, in one process. The
//! answer is that of the verifier itself, so nothing but time changes.

use std::{cell::RefCell, collections::BTreeMap};

use comity_proto::{
    ids::PublicKey,
    recall::{Judge, Recall, ask_first},
    reject::Reject,
};
use sha2::{Digest as _, Sha256};

/// Judgements that are kept before all are forgotten: about 4 MB.
const KEPT_MAX: usize = 1 << 16;

thread_local! {
    static JUDGED: RefCell<BTreeMap<[u8; 32], bool>> = const { RefCell::new(BTreeMap::new()) };
}

static MEMO: Recall = judged;

/// From now on this process verifies a signature once.
pub(crate) fn install() {
    ask_first(&MEMO);
}

/// What `judge` says of these bytes, asked at most once. Key and signature have fixed lengths, so one hash over all three
/// stands for them.
fn judged(key: &PublicKey, message: &[u8], signature: &[u8; 64], judge: Judge) -> Result<(), Reject> {
    let id = Sha256::new().chain_update(key.0).chain_update(signature).chain_update(message).finalize().into();
    let known = JUDGED.with_borrow(|judged| judged.get(&id).copied());
    let is_good = known.unwrap_or_else(|| judge(key, message, signature).is_ok());
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
    use comity_proto::{
        envelope::Context,
        keys::{SecretKey, verify_in},
        reject::Reject,
    };

    #[test]
    fn what_was_judged_once_is_judged_the_same_again() {
        super::install();
        let key = SecretKey::from_seed(&[7; 32]);
        let signature = key.sign(Context::KeyRotation, b"payload");
        let mut other = signature;
        other[0] ^= 1;
        for _ in 0..2 {
            assert_eq!(verify_in(Context::KeyRotation, &key.public(), b"payload", &signature), Ok(()));
            assert_eq!(verify_in(Context::KeyRotation, &key.public(), b"payload", &other), Err(Reject::BadSignature));
        }
        assert_eq!(super::JUDGED.with_borrow(|judged| judged.len()), 2, "four questions, two of them judged");
    }
}
