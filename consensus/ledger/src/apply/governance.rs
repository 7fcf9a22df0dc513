//! The operator's rules: policy with notice.

use super::{Answer, Out};
use crate::{event::EventKind, outcome::Outcome, state::Ledger};
use alloc::vec::Vec;
use comity_proto::{limits as l, policy::Policy};

/// Hard bounds, whatever an operator wishes.
pub(super) fn check_bounds(policy: &Policy) -> Result<(), Outcome> {
    let referrals = policy.referral_level1_bps.checked_add(policy.referral_level2_bps);
    let windows = l::DECIDE_WITHIN_MIN_MS..=l::DECIDE_WITHIN_MAX_MS;
    let money = [policy.faucet_grant, policy.name_fee_per_year, policy.dispute_bond];
    let fits = policy.escrow_fee_bps <= l::FEE_BPS_MAX
        && policy.transfer_fee_bps <= l::FEE_BPS_MAX
        && referrals.is_some_and(|sum| sum <= l::REFERRAL_BPS_SUM_MAX)
        && windows.contains(&policy.decide_within_ms)
        && money.iter().all(|amount| *amount <= l::SUPPLY_MAX);
    if fits { Ok(()) } else { Err(Outcome::LimitExceededPolicy) }
}

impl Ledger {
    /// Operator: announces the next version. What is locked or voted before it is in force is not touched by it.
    pub(super) fn set_policy(&mut self, effective_at_ms: u64, policy: Policy, out: &mut Out) -> Answer {
        let stamp_ms = self.head.stamp_ms;
        let (last_at, last) = self.head.policies.last().ok_or(Outcome::NotInitialized)?;
        if last.version.checked_add(1) != Some(policy.version) {
            return Err(Outcome::PolicyChanged);
        }
        let soonest = stamp_ms.saturating_add(l::NOTICE_MIN_MS).max(*last_at);
        let latest = stamp_ms.saturating_add(l::NOTICE_MAX_MS);
        if effective_at_ms < soonest {
            return Err(Outcome::NoticeTooShort);
        }
        check_bounds(&policy)?;
        let announced = self.head.policies.iter().filter(|(at, _)| *at > stamp_ms).count();
        if effective_at_ms > latest || announced >= l::POLICIES_ANNOUNCED_MAX {
            return Err(Outcome::LimitExceededPolicy);
        }
        let version = policy.version;
        self.forget_old_policies();
        self.head.policies.push((effective_at_ms, policy));
        self.emit(out, EventKind::PolicyAnnounced { version, effective_at_ms }, Vec::new());
        Ok(Outcome::Created)
    }

    /// Keeps the policy in force and those announced; older ones live on in events and in the escrows locked under them.
    fn forget_old_policies(&mut self) {
        let stamp_ms = self.head.stamp_ms;
        let in_force = self.head.policies.iter().rposition(|(at, _)| *at <= stamp_ms).unwrap_or(0);
        self.head.policies.drain(..in_force);
    }

    /// The policy in force at a stamp, of those that are still known.
    pub fn policy_at(&self, stamp_ms: u64) -> Option<&Policy> {
        self.head.policies.iter().rev().find(|(at, _)| *at <= stamp_ms).map(|(_, policy)| policy)
    }

    /// The policy in force now.
    pub fn policy_in_force(&self) -> Option<&Policy> {
        self.policy_at(self.head.stamp_ms)
    }

    pub(crate) fn policy(&self) -> Result<&Policy, Outcome> {
        self.policy_in_force().ok_or(Outcome::NotInitialized)
    }
}
