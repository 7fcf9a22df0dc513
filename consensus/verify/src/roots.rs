//! Which root key a history says acts: a file's roster must be signed by that one, or by the one before while it counts.

use crate::wrong::Rule;
use comity_proto::{ids::PublicKey, key_step::KeyChange, roots::Signer};

/// The root keys that the events so far name, in order; empty until one is replaced.
#[derive(Debug, Default)]
pub(crate) struct Roots {
    keys: Vec<PublicKey>,
    /// The one before the last still counts.
    overlaps: bool,
}

impl Roots {
    pub(crate) const fn new() -> Roots {
        Roots { keys: Vec::new(), overlaps: false }
    }

    /// A step of the root key of the domain that `first` names.
    pub(crate) fn take(&mut self, first: PublicKey, change: KeyChange, key: PublicKey) {
        let before = self.keys.len().checked_sub(2).and_then(|at| self.keys.get(at));
        match change {
            KeyChange::Activate => {
                if self.keys.is_empty() {
                    self.keys.push(first);
                }
                self.keys.push(key);
                self.overlaps = true;
            }
            KeyChange::Retire | KeyChange::Revoke if before == Some(&key) => self.overlaps = false,
            KeyChange::Prepare | KeyChange::Retire | KeyChange::Revoke => {}
        }
    }

    /// Whether the signer of the file's roster fits.
    pub(crate) fn judge(&self, signer: &Signer) -> Result<(), (Rule, String)> {
        if self.keys.iter().zip(signer.keys()).any(|(known, said)| known != said) {
            let detail = format!("{} is not among the root keys of this history", signer.key());
            return Err((Rule::RootKey, detail));
        }
        let least = self.keys.len().saturating_sub(if self.overlaps { 2 } else { 1 });
        if signer.number() < least {
            return Err((Rule::RootKey, format!("{} counts no more at the end of this history", signer.key())));
        }
        Ok(())
    }
}
