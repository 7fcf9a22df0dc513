//! Deadlines of escrows.

use super::escrow::{About, Bargains};
use crate::{
    hosts::Restore,
    oracles::{Oracle, View},
};

/// The model that judges.
#[derive(Default)]
pub(super) struct EscrowTime(Bargains);

impl Oracle for EscrowTime {
    fn name(&self) -> &'static str {
        "escrow-in-time"
    }

    fn claim(&self) -> &'static str {
        "no refund, no payment by silence and no end of a dispute before its time, and no delivery after it"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        self.0.look(view, About::Time)
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.0.forget(restore.domain);
        Ok(())
    }
}
