//! The life of an escrow.

use super::escrow::{About, Bargains};
use crate::{
    hosts::Restore,
    oracles::{Oracle, View},
};

/// The model that judges.
#[derive(Default)]
pub(super) struct EscrowLife(Bargains);

impl Oracle for EscrowLife {
    fn name(&self) -> &'static str {
        "escrow-life"
    }

    fn claim(&self) -> &'static str {
        "an escrow lives as its terms say: each part is paid or returned once, and a dispute stops everything else"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        self.0.look(view, About::Life)
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        self.0.forget(restore.domain);
        Ok(())
    }
}
