//! What is true after every entry. Tests and the simulator check it after each one; `comity ledger verify` offline.
//!
//! Cost is linear in the state: not for the hot path.

use crate::{
    account::{AccountKey, AccountKind, AssetIndex},
    escrow::{Escrow, EscrowState, forgotten_at},
    settlement::{Accrual, AccrualId, IncomingState, OutgoingState, record::Timer},
    state::Ledger,
};
use alloc::{collections::BTreeMap, format, string::String};
use comity_proto::{
    ids::{AgentId, EscrowId},
    treaty::TreatyStanding,
};

/// A broken invariant: a bug of ours, never of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant, as a statement.
    pub rule: &'static str,
    /// Where it does not hold.
    pub at: String,
}

impl core::fmt::Display for Violation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.rule, self.at)
    }
}

impl core::error::Error for Violation {}

fn hold(holds: bool, rule: &'static str, at: impl FnOnce() -> String) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation { rule, at: at() }) }
}

/// Checks them all; says the first that does not hold.
pub fn check_all(ledger: &Ledger) -> Result<(), Violation> {
    every_asset_sums_to_zero(ledger)?;
    no_empty_account_is_stored(ledger)?;
    holders_are_known(ledger)?;
    supply_is_within_its_cap(ledger)?;
    escrow_accounts_equal_open_amounts(ledger)?;
    bonds_equal_open_disputes(ledger)?;
    in_flight_equals_open_transfers(ledger)?;
    referral_accounts_equal_what_accrued(ledger)?;
    every_deadline_is_queued_once(ledger)?;
    treaties_go_on_from_each_other(ledger)?;
    counts_are_right(ledger)
}

fn treaties_go_on_from_each_other(ledger: &Ledger) -> Result<(), Violation> {
    for treaty in ledger.treaties() {
        let in_force = treaty.before().map_or(0, |(_, version)| version);
        let next = treaty.proposed.as_ref().is_none_or(|next| Some(next.version) == in_force.checked_add(1));
        hold(next, "what is proposed is the next version of what is in force", || format!("{}", treaty.peer))?;
        let drains = treaty.drained_ms.is_none() || treaty.standing() >= TreatyStanding::Draining;
        hold(drains, "only what drains is drained", || format!("{}", treaty.peer))?;
        let closing = &treaty.closing;
        let both = closing.ours.is_some() && closing.theirs.is_some();
        let fits = both.then(|| closing.difference().is_none());
        let judged = closing.fits == fits && treaty.drained_ms.is_some() == (fits == Some(true));
        hold(judged, "a treaty is drained when both closing statements are here and fit", || {
            format!("{}: {closing:?}", treaty.peer)
        })?;
    }
    Ok(())
}

fn every_asset_sums_to_zero(ledger: &Ledger) -> Result<(), Violation> {
    let mut sums: BTreeMap<AssetIndex, i128> = BTreeMap::new();
    for (account, balance) in ledger.accounts() {
        let signed = i128::from(balance);
        let sum = sums.entry(account.asset).or_default();
        let next =
            if account.kind == AccountKind::Issuance { sum.checked_sub(signed) } else { sum.checked_add(signed) };
        *sum = next.unwrap_or(i128::MAX);
        hold(ledger.asset(account.asset).is_some(), "every account is of a known asset", || format!("{account:?}"))?;
    }
    for (asset, sum) in sums {
        hold(sum == 0, "all accounts of an asset sum to zero", || format!("{asset:?}: {sum}"))?;
    }
    Ok(())
}

fn no_empty_account_is_stored(ledger: &Ledger) -> Result<(), Violation> {
    let empty = ledger.accounts().find(|(_, balance)| *balance == 0);
    hold(empty.is_none(), "an account of zero is not stored", || format!("{empty:?}"))
}

fn holders_are_known(ledger: &Ledger) -> Result<(), Violation> {
    let known = |account: &AccountKey| match account.kind {
        AccountKind::Agent(agent) => ledger.agent(&agent).is_some(),
        _ => true,
    };
    let stray = ledger.accounts().find(|(account, _)| !known(account));
    hold(stray.is_none(), "an agent that holds money is known", || format!("{stray:?}"))
}

fn supply_is_within_its_cap(ledger: &Ledger) -> Result<(), Violation> {
    for (index, asset) in ledger.assets() {
        let supply = ledger.balance_of(&AccountKey::issuance(index));
        hold(asset.supply_cap.is_none_or(|cap| supply <= cap), "supply stays within the cap", || {
            format!("{index:?}: {supply}")
        })?;
    }
    Ok(())
}

/// Shares of an escrow that are owed and not in flight at this moment.
fn waiting_payouts(ledger: &Ledger) -> BTreeMap<EscrowId, (u64, u32)> {
    let mut waiting: BTreeMap<EscrowId, (u64, u32)> = BTreeMap::new();
    for (key, payout) in ledger.settlement.payouts.iter() {
        let (amount, shares) = waiting.entry(key.escrow).or_default();
        *amount = amount.saturating_add(if payout.retry_at_ms.is_some() { payout.amount } else { 0 });
        *shares = shares.saturating_add(1);
    }
    waiting
}

fn escrow_accounts_equal_open_amounts(ledger: &Ledger) -> Result<(), Violation> {
    let waiting = waiting_payouts(ledger);
    for (id, escrow) in ledger.escrows() {
        let held = ledger.balance_of(&AccountKey::escrow(*id, escrow.asset));
        let (owed, shares) = waiting.get(id).copied().unwrap_or_default();
        let open = escrow.open().saturating_add(owed);
        hold(held == open, "an escrow account equals the open amount of its escrow", || {
            format!("{id}: {held}, open {open}")
        })?;
        hold(shares == escrow.owed_shares, "an escrow knows its owed shares", || format!("{id}: {shares}"))?;
    }
    let known = |account: &AccountKey| match account.kind {
        AccountKind::Escrow(id) => ledger.escrow(&id).is_some_and(|escrow| escrow.asset == account.asset),
        _ => true,
    };
    let stray = ledger.accounts().find(|(account, _)| !known(account));
    hold(stray.is_none(), "an escrow account has its escrow", || format!("{stray:?}"))?;
    let orphan = waiting.keys().find(|id| ledger.escrow(id).is_none());
    hold(orphan.is_none(), "an owed share has its escrow", || format!("{orphan:?}"))
}

fn bonds_equal_open_disputes(ledger: &Ledger) -> Result<(), Violation> {
    let mut bonds: BTreeMap<AssetIndex, u64> = BTreeMap::new();
    for (_, escrow) in ledger.escrows() {
        let bond = escrow.dispute.as_ref().map_or(0, |dispute| dispute.bond);
        let sum = bonds.entry(escrow.asset).or_default();
        *sum = sum.saturating_add(bond);
        let settled = !matches!(escrow.state(), EscrowState::Disputed);
        hold(!settled || escrow.dispute.is_none(), "a dispute ends with its escrow", || format!("{:?}", escrow.terms))?;
    }
    for (index, _) in ledger.assets() {
        let held = ledger.balance_of(&AccountKey::new(AccountKind::Bonds, index));
        let open = bonds.get(&index).copied().unwrap_or(0);
        hold(held == open, "bonds equal those of open disputes", || format!("{index:?}: {held}, open {open}"))?;
    }
    Ok(())
}

/// In flight is the amount of our undecided transfers, and the reserve held for those of others voted yes on.
fn in_flight_equals_open_transfers(ledger: &Ledger) -> Result<(), Violation> {
    let mut in_flight: BTreeMap<AssetIndex, u128> = BTreeMap::new();
    let mut open: BTreeMap<AssetIndex, u128> = BTreeMap::new();
    for (account, balance) in ledger.accounts() {
        if let AccountKind::InFlight(_) = account.kind {
            let sum = in_flight.entry(account.asset).or_default();
            *sum = sum.saturating_add(u128::from(balance));
        }
    }
    let home = ledger.domain_id();
    let ours = ledger.settlement.outgoing.values().filter(|record| record.state == OutgoingState::Undecided);
    let ours = ours.filter_map(|record| Some((record.asset?, record.prepare.amount)));
    let held = ledger.settlement.incoming.values().filter(|record| matches!(record.state, IncomingState::Voted { .. }));
    let held = held.filter_map(|record| {
        let prepare = record.prepare.as_ref().filter(|prepare| Some(prepare.asset.issuer) == home)?;
        Some((record.asset?, prepare.amount))
    });
    for (asset, amount) in ours.chain(held) {
        let sum = open.entry(asset).or_default();
        *sum = sum.saturating_add(u128::from(amount));
    }
    hold(in_flight == open, "in flight equals the open transfers", || format!("{in_flight:?}, open {open:?}"))
}

/// An account belongs to an agent id; the same key may be at home in two domains, so accruals are summed.
fn referral_accounts_equal_what_accrued(ledger: &Ledger) -> Result<(), Violation> {
    let mut accrued: BTreeMap<AccountKey, u64> = BTreeMap::new();
    for (id, accrual) in ledger.settlement.accruals.iter() {
        let Accrual { referrer, asset, waiting, sweep, sweep_at_ms } = accrual;
        if *waiting > 0 {
            let sum = accrued.entry(AccountKey::referral(referrer.agent, *asset)).or_default();
            *sum = sum.saturating_add(*waiting);
        }
        let named = AccrualId::of(referrer, *asset) == *id && !ledger.is_home(&referrer.domain);
        hold(named, "an accrual is named by its referrer of another domain", || format!("{accrual:?}"))?;
        let undecided = sweep.as_ref().map(|transfer| {
            ledger.outgoing_transfer(transfer).is_some_and(|record| record.state == OutgoingState::Undecided)
        });
        let waits = sweep_at_ms.is_some_and(|at| {
            *waiting > 0
                && ledger.settlement.timers.iter().any(|(time, timer)| time == at && *timer == Timer::Sweep(*id))
        });
        let right = if sweep.is_some() { undecided == Some(true) && sweep_at_ms.is_none() } else { waits };
        hold(right, "what has accrued is in flight or has its time in the queue", || format!("{accrual:?}"))?;
    }
    let held = ledger.accounts().filter(|(account, _)| matches!(account.kind, AccountKind::Referral(_)));
    let held: BTreeMap<AccountKey, u64> = held.map(|(account, balance)| (*account, balance)).collect();
    hold(held == accrued, "referral accounts equal what accrued", || format!("{held:?}, accrued {accrued:?}"))
}

fn ended_escrows_wait_to_be_forgotten(ledger: &Ledger) -> Result<(), Violation> {
    let mut ended = 0usize;
    for (id, escrow) in ledger.escrows() {
        let finished = escrow.is_finished();
        hold(finished == escrow.ended_ms.is_some(), "an escrow has its end when it is finished", || format!("{id}"))?;
        if let Some(ended_ms) = escrow.ended_ms {
            ended = ended.saturating_add(1);
            let at = forgotten_at(ended_ms);
            let queued = ledger.forget_queue.iter().any(|(time, queued)| time == at && queued == id);
            hold(queued, "an ended escrow waits to be forgotten", || format!("{id}: {at}"))?;
        }
    }
    hold(ended == ledger.forget_queue.len(), "only ended escrows wait to be forgotten", || format!("{ended}"))
}

fn every_deadline_is_queued_once(ledger: &Ledger) -> Result<(), Violation> {
    let mut expected = 0usize;
    for (id, escrow) in ledger.escrows() {
        if let Some(at) = escrow.deadline() {
            expected = expected.saturating_add(1);
            let queued = ledger.escrow_queue.iter().any(|(time, queued)| time == at && queued == id);
            hold(queued, "an open escrow has its deadline in the queue", || format!("{id}: {at}"))?;
        }
    }
    hold(expected == ledger.escrow_queue.len(), "only open escrows are queued", || format!("{expected}"))?;
    ended_escrows_wait_to_be_forgotten(ledger)?;
    for (name, record) in ledger.names() {
        let queued = ledger.name_queue.iter().any(|(time, queued)| time == record.expires_ms && queued == name);
        hold(queued, "a name has its end in the queue", || format!("{name}"))?;
    }
    hold(ledger.names.len() == ledger.name_queue.len(), "only names are queued", || {
        format!("{}", ledger.name_queue.len())
    })?;
    for (id, record) in ledger.settlement.outgoing.iter() {
        let at = record.prepare.decide_by_ms;
        let queued = ledger.settlement.timers.iter().any(|(time, timer)| time == at && *timer == Timer::DecideBy(*id));
        let undecided = record.state == OutgoingState::Undecided;
        hold(queued == undecided, "an undecided transfer has its deadline in the queue", || format!("{id}"))?;
    }
    Ok(())
}

fn counts_are_right(ledger: &Ledger) -> Result<(), Violation> {
    let mut escrows: BTreeMap<AgentId, u32> = BTreeMap::new();
    let mut names: BTreeMap<AgentId, u32> = BTreeMap::new();
    let mut requests: BTreeMap<AgentId, u32> = BTreeMap::new();
    let add = |map: &mut BTreeMap<AgentId, u32>, agent: AgentId| {
        let count = map.entry(agent).or_default();
        *count = count.saturating_add(1);
    };
    let open = |escrow: &&Escrow| !escrow.is_finished();
    ledger.escrows.values().filter(open).for_each(|escrow| add(&mut escrows, escrow.terms.payer));
    ledger.names.values().for_each(|record| add(&mut names, record.owner));
    ledger.remembered.keys().for_each(|(signer, _)| add(&mut requests, *signer));
    let all = escrows.keys().chain(names.keys()).chain(requests.keys()).chain(ledger.usage.keys());
    for agent in all {
        let count = |map: &BTreeMap<AgentId, u32>| map.get(agent).copied().unwrap_or(0);
        let usage = ledger.usage_of(agent);
        let right =
            usage.escrows == count(&escrows) && usage.names == count(&names) && usage.requests == count(&requests);
        hold(right, "what an agent has open is counted", || format!("{agent}: {usage:?}"))?;
    }
    Ok(())
}
