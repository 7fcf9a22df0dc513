//! From a domain's id to the key that signed its checkpoint.
//!
//! ```text
//! domain id = hash of the first root key -> links to the one that acts -> it signs the roster -> a voter of the roster
//! signs the checkpoint
//! ```
//! A file carries all of it, so it is judged alone. That the id is the one of the domain that you mean is for you to know:
//! compare it with your treaty or with an older checkpoint. Which root key acts, only a whole history tells.

use crate::wrong::{Place, Rule, Wrong};
use bytes::Bytes;
use comity_ledger::checkpoint::Checkpoint;
use comity_proto::{
    envelope::{Signed as _, Verified},
    identity::Roster,
    ids::{DomainId, PublicKey},
    roots::Signer,
};

/// What a checkpoint needs beside itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Whose history.
    pub domain: DomainId,
    /// Its first root key; the id is its hash.
    pub root_key: PublicKey,
    /// An envelope in context `Roster`, signed by a root key.
    pub roster: Bytes,
}

/// A checkpoint whose signature was followed to the domain's id. Made only by [`Chain::judge`].
#[derive(Clone, Debug)]
pub struct Judged {
    checkpoint: Verified<Checkpoint>,
    roster: Verified<Roster>,
}

impl Judged {
    /// What was signed.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        self.checkpoint.get()
    }

    /// The voter that signed it.
    #[must_use]
    pub fn signer(&self) -> PublicKey {
        *self.checkpoint.key()
    }

    /// The voters at that time.
    #[must_use]
    pub fn roster(&self) -> &Roster {
        self.roster.get()
    }

    /// Who signed that roster: a root key, with those before it.
    #[must_use]
    pub const fn root(&self) -> &Signer {
        self.roster.signer()
    }
}

impl Chain {
    /// Follows the chain to the checkpoint in `envelope`.
    ///
    /// # Errors
    /// The first link that does not hold.
    pub fn judge(&self, envelope: &Bytes) -> Result<Judged, Wrong> {
        let wrong = |rule, detail: String| Wrong::new(Place::Head, rule, detail);
        if DomainId::of_key(&self.root_key) != self.domain {
            let detail = format!("{} is not the hash of the root key {}", self.domain, self.root_key);
            return Err(wrong(Rule::DomainKey, detail));
        }
        let roster = Roster::open(&self.roster)
            .map_err(|reject| wrong(Rule::Roster, format!("the roster is refused: {}", reject.code())))?;
        if roster.get().domain != self.domain || *roster.first_key() != self.root_key {
            return Err(wrong(Rule::Roster, "the roster is of another domain or key".into()));
        }
        let checkpoint = Checkpoint::open(envelope).map_err(|reject| {
            wrong(Rule::CheckpointSignature, format!("the checkpoint is refused: {}", reject.code()))
        })?;
        if checkpoint.get().domain != self.domain {
            let detail = format!("the checkpoint is of {}", checkpoint.get().domain);
            return Err(wrong(Rule::CheckpointSigner, detail));
        }
        if !roster.get().voters.contains(checkpoint.key()) {
            let detail = format!("{} is not a voter of roster {}", checkpoint.key(), roster.get().epoch);
            return Err(wrong(Rule::CheckpointSigner, detail));
        }
        Ok(Judged { checkpoint, roster })
    }
}
