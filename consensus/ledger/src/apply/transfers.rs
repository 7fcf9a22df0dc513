//! Transfers: inside the domain at once, to another domain by settlement.

use super::{Answer, Out};
use crate::{
    account::{AccountKey, Leg},
    event::EventKind,
    outcome::Outcome,
    settlement::Begin,
    state::Ledger,
};
use alloc::vec;
use comity_proto::{
    amount::AssetId,
    command::Party,
    ids::{AgentId, TransferId},
    settlement::Source,
    text::Memo,
};

/// What is asked for.
pub(super) struct Payment {
    pub(super) transfer: TransferId,
    pub(super) to: Party,
    pub(super) asset: AssetId,
    pub(super) amount: u64,
    pub(super) memo: Memo,
}

impl Ledger {
    /// Pays. A retired agent may: it sweeps its balance out.
    pub(super) fn transfer(&mut self, from: AgentId, payment: Payment, out: &mut Out) -> Answer {
        let Payment { transfer, to, asset: asset_id, amount, memo } = payment;
        let asset = self.asset_index(&asset_id).ok_or(Outcome::AssetUnknown)?;
        if amount == 0 {
            return Err(Outcome::AmountZero);
        }
        if !self.is_home(&to.domain) {
            self.check_stays_home(&from, asset, amount)?;
            let begin = Begin { transfer, source: Source::Agent(from), recipient: to, asset: asset_id, amount };
            let now_ms = self.head.stamp_ms;
            let answer = self.settle(out, |ledger, effects| ledger.begin_transfer(now_ms, &begin, effects));
            return if answer.is_success() { Ok(answer) } else { Err(answer) };
        }
        if to.agent == from {
            return Err(Outcome::SelfDealing);
        }
        let credit = AccountKey::agent(to.agent, asset);
        // Whoever holds money is known; that record is needed next anyway.
        if !self.accounts.contains_key(&credit) && !self.agents.contains_key(&to.agent) {
            return Err(Outcome::UnknownAgent);
        }
        let legs = vec![Leg::debit(AccountKey::agent(from, asset), amount), Leg::credit(credit, amount)];
        self.transact(out, EventKind::Transferred { transfer, memo }, legs)?;
        Ok(Outcome::Created)
    }
}
