//! Amounts of escrows.

use super::escrow::{About, Bargains};
use crate::{
    hosts::Restore,
    oracles::{Oracle, View},
};

/// The model that judges.
#[derive(Default)]
pub(super) struct EscrowTerms(Bargains);

impl Oracle for EscrowTerms {
    fn name(&self) -> &'static str {
        "escrow-terms"
    }

    fn claim(&self) -> &'static str {
        "what leaves an escrow is what its terms and the policy say, to the unit: shares, floored fee, referrals, the rest"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        self.0.look(view, About::Terms)
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.0.forget(restore.domain);
        Ok(())
    }
}
