//! Names: owned for years, paid to the treasury, freed by time.

use super::{Answer, Out};
use crate::{
    account::{AccountKey, Leg},
    event::EventKind,
    outcome::Outcome,
    state::{Ledger, NameRecord},
};
use alloc::{vec, vec::Vec};
use comity_proto::{
    ids::AgentId,
    limits::{NAME_YEARS_MAX, NAMES_PER_AGENT_MAX, YEAR_MS},
    planted::{Plant, planted},
    text::Name,
};

impl Ledger {
    /// Takes a free name. One whose time is over is freed first.
    pub(super) fn register_name(&mut self, agent: AgentId, name: Name, years: u8, out: &mut Out) -> Answer {
        self.free_if_over(&name, out);
        if let Some(record) = self.names.get(&name).filter(|_| !planted(Plant::NameTakenOver)) {
            return if record.owner == agent { Ok(Outcome::Exists) } else { Err(Outcome::DuplicateName) };
        }
        if self.usage_of(&agent).names as usize >= NAMES_PER_AGENT_MAX {
            return Err(Outcome::LimitExceededNames);
        }
        let from = self.head.stamp_ms;
        self.hold_for_years(agent, name, from, years, out)?;
        self.count(agent, |usage| usage.names = usage.names.saturating_add(1));
        Ok(Outcome::Created)
    }

    /// Adds years behind the present end.
    pub(super) fn renew_name(&mut self, agent: AgentId, name: Name, years: u8, out: &mut Out) -> Answer {
        let from = self.owned_name(agent, &name, out)?.expires_ms;
        self.hold_for_years(agent, name, from, years, out)?;
        Ok(Outcome::Applied)
    }

    /// Gives the name, with its remaining time, to another local agent.
    pub(super) fn transfer_name(&mut self, agent: AgentId, name: Name, to: AgentId, out: &mut Out) -> Answer {
        let expires_ms = self.owned_name(agent, &name, out)?.expires_ms;
        let receiver = self.agents.get(&to).ok_or(Outcome::UnknownAgent)?;
        if receiver.retired {
            return Err(Outcome::AgentRetired);
        }
        if to == agent {
            return Err(Outcome::SelfDealing);
        }
        if self.usage_of(&to).names as usize >= NAMES_PER_AGENT_MAX {
            return Err(Outcome::LimitExceededNames);
        }
        self.names.insert(name.clone(), NameRecord { owner: to, expires_ms });
        self.count(agent, |usage| usage.names = usage.names.saturating_sub(1));
        self.count(to, |usage| usage.names = usage.names.saturating_add(1));
        self.emit(out, EventKind::NameHeld { name, owner: to, expires_ms }, Vec::new());
        Ok(Outcome::Applied)
    }

    /// Gives the name up; what was paid stays paid.
    pub(super) fn release_name(&mut self, agent: AgentId, name: &Name, out: &mut Out) -> Answer {
        self.owned_name(agent, name, out)?;
        self.free_name(name, false, out);
        Ok(Outcome::Applied)
    }

    /// The record, if it is this agent's and its time is not over. A name whose time is over is freed and was not here.
    fn owned_name(&mut self, agent: AgentId, name: &Name, out: &mut Out) -> Result<NameRecord, Outcome> {
        if self.free_if_over(name, out) {
            return Err(Outcome::WrongState);
        }
        let record = self.names.get(name).ok_or(Outcome::UnknownName)?;
        if record.owner == agent { Ok(record.clone()) } else { Err(Outcome::NotAuthorised) }
    }

    fn free_if_over(&mut self, name: &Name, out: &mut Out) -> bool {
        let over = self.names.get(name).is_some_and(|record| record.expires_ms <= self.head.stamp_ms);
        if over {
            self.free_name(name, true, out);
        }
        over
    }

    /// Takes a name from its owner.
    pub(super) fn free_name(&mut self, name: &Name, expired: bool, out: &mut Out) {
        let Some(NameRecord { owner, expires_ms }) = self.names.remove(name) else { return };
        self.name_queue.remove(expires_ms, name);
        self.count(owner, |usage| usage.names = usage.names.saturating_sub(1));
        self.emit(out, EventKind::NameFreed { name: name.clone(), owner, expired }, Vec::new());
    }

    /// Pays for `years` behind `from_ms` and keeps the queue in step. Nobody holds a name further ahead than the limit.
    fn hold_for_years(
        &mut self,
        agent: AgentId,
        name: Name,
        from_ms: u64,
        years: u8,
        out: &mut Out,
    ) -> Result<(), Outcome> {
        let expires_ms = from_ms.saturating_add(YEAR_MS.saturating_mul(u64::from(years)));
        let latest = self.head.stamp_ms.saturating_add(YEAR_MS.saturating_mul(u64::from(NAME_YEARS_MAX)));
        if years == 0 || expires_ms > latest {
            return Err(Outcome::LimitExceededYears);
        }
        let fee = self.policy()?.name_fee_per_year.checked_mul(u64::from(years)).ok_or(Outcome::AmountOverflow)?;
        let native = self.native_asset();
        let legs = if fee == 0 {
            Vec::new()
        } else {
            vec![Leg::debit(AccountKey::agent(agent, native), fee), Leg::credit(AccountKey::treasury(native), fee)]
        };
        self.transact(out, EventKind::NameHeld { name: name.clone(), owner: agent, expires_ms }, legs)?;
        if let Some(old) = self.names.insert(name.clone(), NameRecord { owner: agent, expires_ms }) {
            self.name_queue.remove(old.expires_ms, &name);
        }
        self.name_queue.insert(expires_ms, name);
        Ok(())
    }
}
