//! Agents: register, rotate the key, retire; and the faucet.

use super::{Answer, Out};
use crate::{
    account::{AccountKey, AccountKind, AssetIndex, Leg},
    event::EventKind,
    outcome::Outcome,
    referral::Referrer,
    state::{Agent, Ledger, Profile},
};
use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use comity_proto::{
    command::Verb,
    ids::{AgentId, PublicKey},
    limits::HOUR_MS,
};

impl Ledger {
    /// A new agent, named by the hash of its first key. Its referrer is fixed for ever; since a referrer must exist
    /// before, no chain of referrals comes back to itself.
    pub(super) fn register_agent(&mut self, id: AgentId, key: PublicKey, verb: Verb, out: &mut Out) -> Answer {
        let Verb::RegisterAgent { nickname, group, referred_by, own_code, admission, custodial } = verb else {
            return Err(Outcome::UnknownAgent);
        };
        let referrer = referred_by.as_ref().map(|referral| self.referrer_named(referral)).transpose()?;
        // The same key may be an agent elsewhere; it does not refer itself.
        if referrer.as_ref().is_some_and(|referrer| referrer.agent() == id) {
            return Err(Outcome::SelfDealing);
        }
        if let Some(code) = &own_code {
            if self.codes.contains_key(code) {
                return Err(Outcome::DuplicateReferralCode);
            }
            self.codes.insert(code.clone(), id);
        }
        let registered_ms = self.head.stamp_ms;
        let profile = Profile {
            nickname: nickname.clone(),
            group: group.clone(),
            referrer: referrer.clone(),
            own_code,
            admission: admission.map(Box::new),
            custodial,
            registered_ms,
        };
        let agent = Agent { key, retired: false, faucet_claimed: false, stays_home: 0, profile: Arc::new(profile) };
        self.agents.insert(id, agent);
        let (home, away) = match referrer {
            Some(Referrer::Home(agent)) => (Some(agent), None),
            Some(Referrer::Away(party)) => (None, Some(*party)),
            None => (None, None),
        };
        self.emit(out, EventKind::AgentRegistered { agent: id, key, nickname, group, referrer: home }, Vec::new());
        if let Some(referrer) = away {
            self.emit(out, EventKind::ReferredFromElsewhere { agent: id, referrer }, Vec::new());
        }
        Ok(Outcome::Created)
    }

    /// The old key signed the command, the new one its proof. From the next command on the new key counts.
    pub(super) fn rotate_key(&mut self, id: AgentId, key: PublicKey, proof: bool, out: &mut Out) -> Answer {
        if !proof {
            return Err(Outcome::BadSignature);
        }
        let agent = self.agents.get_mut(&id).ok_or(Outcome::UnknownAgent)?;
        agent.key = key;
        self.emit(out, EventKind::KeyRotated { agent: id, key }, Vec::new());
        Ok(Outcome::Applied)
    }

    /// From here on the agent may only sweep its balance out; credits still arrive.
    pub(super) fn retire_agent(&mut self, id: AgentId, out: &mut Out) -> Answer {
        let agent = self.agents.get_mut(&id).ok_or(Outcome::UnknownAgent)?;
        if agent.retired {
            return Ok(Outcome::Exists);
        }
        agent.retired = true;
        self.emit(out, EventKind::AgentRetired { agent: id }, Vec::new());
        Ok(Outcome::Applied)
    }

    /// Once per agent; so many per hour of ledger time, so many per admission token.
    pub(super) fn claim_faucet(&mut self, id: AgentId, out: &mut Out) -> Answer {
        let policy = self.policy()?;
        let (grant, per_hour) = (policy.faucet_grant, policy.faucet_claims_per_hour);
        let (per_token, stays_home) = (policy.faucet_claims_per_token, policy.faucet_stays_home);
        let agent = self.agents.get(&id).ok_or(Outcome::UnknownAgent)?;
        let token = agent.profile.admission.as_deref().copied();
        if agent.faucet_claimed {
            return Err(Outcome::FaucetClaimed);
        }
        // Division by a constant that is not zero.
        let hour = self.head.stamp_ms.checked_div(HOUR_MS).unwrap_or(0);
        let this_hour = if hour == self.head.faucet_hour { self.head.faucet_claims } else { 0 };
        if this_hour >= per_hour {
            return Err(Outcome::LimitExceededFaucetHour);
        }
        let by_token = token.and_then(|token| self.faucet_tokens.get(&token).copied()).unwrap_or(0);
        if token.is_some() && by_token >= per_token {
            return Err(Outcome::LimitExceededFaucetToken);
        }
        if grant == 0 {
            return Err(Outcome::FaucetSpent);
        }
        let native = self.native_asset();
        let legs = vec![Leg::debit(faucet(native), grant), Leg::credit(AccountKey::agent(id, native), grant)];
        self.transact(out, EventKind::FaucetClaimed { agent: id }, legs).map_err(|_| Outcome::FaucetSpent)?;
        self.head.faucet_hour = hour;
        self.head.faucet_claims = this_hour.saturating_add(1);
        if let Some(token) = token {
            self.faucet_tokens.insert(token, by_token.saturating_add(1));
        }
        if let Some(agent) = self.agents.get_mut(&id) {
            agent.faucet_claimed = true;
            agent.stays_home = if stays_home { grant } else { 0 };
        }
        Ok(Outcome::Created)
    }

    /// Operator: treasury to faucet.
    pub(super) fn fund_faucet(&mut self, amount: u64, out: &mut Out) -> Answer {
        if amount == 0 {
            return Err(Outcome::AmountZero);
        }
        let native = self.native_asset();
        let legs = vec![Leg::debit(AccountKey::treasury(native), amount), Leg::credit(faucet(native), amount)];
        self.transact(out, EventKind::FaucetFunded, legs)?;
        Ok(Outcome::Applied)
    }

    /// Whether a payment that leaves the domain would take granted units along, where policy keeps them home: as much as
    /// was granted must stay in the agent's balance.
    pub(crate) fn check_stays_home(&self, id: &AgentId, asset: AssetIndex, amount: u64) -> Result<(), Outcome> {
        let stays = self.agents.get(id).map_or(0, |agent| agent.stays_home);
        if stays == 0 || asset != self.native_asset() {
            return Ok(());
        }
        let held = self.balance_of(&AccountKey::agent(*id, asset));
        let may_leave = held.saturating_sub(stays);
        if amount > may_leave && amount <= held { Err(Outcome::GrantStaysHome) } else { Ok(()) }
    }
}

const fn faucet(asset: AssetIndex) -> AccountKey {
    AccountKey::new(AccountKind::Faucet, asset)
}
