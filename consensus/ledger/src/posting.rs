//! The one function that moves money.

use crate::{
    account::{AccountKey, AccountKind, Leg},
    cow::{CowMap, SHARDS_HOT},
    outcome::Outcome,
};
use comity_proto::planted::{Plant, planted};

/// Applies all legs or none.
///
/// Refuses before any write: `amount_overflow` when the legs of an asset do not sum to zero or a balance would leave 64
/// bits, `insufficient_funds` when an account would fall below zero (or an issuance above it). Legs of the same account
/// count together. A balance of zero is not stored.
pub(crate) fn post(accounts: &mut CowMap<AccountKey, u64, SHARDS_HOT>, legs: &[Leg]) -> Result<(), Outcome> {
    if !sums_to_zero(legs) {
        return Err(Outcome::AmountOverflow);
    }
    if let [from, to] = legs
        && from.account != to.account
        && let (Some(giver), Some(taker)) = (accounts.spot(&from.account), accounts.spot(&to.account))
    {
        // Nearly every posting: each account is looked up once.
        for (leg, spot) in [(from, giver), (to, taker)] {
            changed(accounts.at(spot).copied().unwrap_or(0), leg.account, leg.delta)?;
        }
        let mut emptied = [None; 2];
        for ((leg, spot), emptied) in [(from, giver), (to, taker)].into_iter().zip(&mut emptied) {
            if let Some(held) = accounts.at_mut(spot) {
                *held = moved(*held, leg);
                *emptied = (*held == 0).then_some(leg.account);
            }
        }
        // Only now: taking an entry out moves others.
        for account in emptied.iter().flatten() {
            accounts.remove(account);
        }
        return Ok(());
    }
    for (position, leg) in legs.iter().enumerate() {
        let seen = legs.iter().take(position).any(|earlier| earlier.account == leg.account);
        if !seen {
            after(accounts, leg.account, total(legs, leg.account)?)?;
        }
    }
    for leg in legs {
        write(accounts, leg);
    }
    Ok(())
}

/// Quadratic in the legs of one posting, which are few.
fn sums_to_zero(legs: &[Leg]) -> bool {
    legs.iter().all(|leg| {
        let same = legs.iter().filter(|other| other.account.asset == leg.account.asset);
        same.map(|other| other.delta).try_fold(0i128, i128::checked_add) == Some(0)
    })
}

fn total(legs: &[Leg], account: AccountKey) -> Result<i128, Outcome> {
    let of_account = legs.iter().filter(|leg| leg.account == account).map(|leg| leg.delta);
    of_account.into_iter().try_fold(0i128, i128::checked_add).ok_or(Outcome::AmountOverflow)
}

/// The magnitude of an account after a change, or why it cannot be.
fn after(accounts: &CowMap<AccountKey, u64, SHARDS_HOT>, account: AccountKey, delta: i128) -> Result<u64, Outcome> {
    changed(accounts.get(&account).copied().unwrap_or(0), account, delta)
}

/// What a magnitude becomes, or why it cannot.
fn changed(held: u64, account: AccountKey, delta: i128) -> Result<u64, Outcome> {
    let held = i128::from(held);
    // An issuance holds what was issued: its number falls when its magnitude grows.
    let change = if account.kind == AccountKind::Issuance { delta.checked_neg() } else { Some(delta) };
    let next = change.and_then(|change| held.checked_add(change)).ok_or(Outcome::AmountOverflow)?;
    if next < 0 && planted(Plant::Overdraft) {
        return Ok(0);
    }
    if next < 0 {
        return Err(Outcome::InsufficientFunds);
    }
    u64::try_from(next).map_err(|_| Outcome::AmountOverflow)
}

/// The magnitude after one leg. Single legs may pass through states that the whole posting does not: magnitudes wrap and
/// come back.
fn moved(held: u64, leg: &Leg) -> u64 {
    let up = (leg.delta > 0) != (leg.account.kind == AccountKind::Issuance);
    // The total fits 64 bits and was checked; one leg of a sum may be truncated without harm, modulo 2^64.
    let amount = leg.delta.unsigned_abs() as u64;
    if up { held.wrapping_add(amount) } else { held.wrapping_sub(amount) }
}

fn write(accounts: &mut CowMap<AccountKey, u64, SHARDS_HOT>, leg: &Leg) {
    let held = match accounts.get_mut(&leg.account) {
        Some(held) => held,
        None => accounts.get_or_insert_with(leg.account, || 0),
    };
    *held = moved(*held, leg);
    if *held == 0 {
        accounts.remove(&leg.account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AssetIndex;
    use alloc::vec;
    use comity_proto::ids::AgentId;

    const USD: AssetIndex = AssetIndex(0);

    fn agent(n: u8) -> AccountKey {
        AccountKey::agent(AgentId([n; 32]), USD)
    }

    fn funded() -> CowMap<AccountKey, u64, SHARDS_HOT> {
        let mut accounts = CowMap::new();
        let legs = [Leg::debit(AccountKey::issuance(USD), 100), Leg::credit(agent(1), 100)];
        assert_eq!(post(&mut accounts, &legs), Ok(()));
        accounts
    }

    #[test]
    fn legs_that_do_not_sum_to_zero_move_nothing() {
        let mut accounts = funded();
        let before = accounts.clone();
        let euro = AccountKey::agent(AgentId([2; 32]), AssetIndex(1));
        for legs in [
            vec![Leg::credit(agent(1), 1)],
            vec![Leg::debit(agent(1), 1)],
            vec![Leg::debit(agent(1), 1), Leg::credit(euro, 1)],
            vec![Leg { account: agent(1), delta: i128::MIN }, Leg { account: agent(2), delta: i128::MIN }],
        ] {
            assert_eq!(post(&mut accounts, &legs), Err(Outcome::AmountOverflow));
        }
        assert_eq!(accounts, before);
    }

    #[test]
    fn nobody_falls_below_zero_and_nothing_is_written_then() {
        let mut accounts = funded();
        let before = accounts.clone();
        let legs = [Leg::credit(agent(2), 60), Leg::credit(agent(3), 41), Leg::debit(agent(1), 101)];
        assert_eq!(post(&mut accounts, &legs), Err(Outcome::InsufficientFunds));
        assert_eq!(accounts, before);
        let burn_too_much = [Leg::credit(AccountKey::issuance(USD), 101), Leg::debit(agent(1), 101)];
        assert_eq!(post(&mut accounts, &burn_too_much), Err(Outcome::InsufficientFunds));
        assert_eq!(accounts, before);
    }

    #[test]
    fn a_balance_beyond_64_bits_is_refused() {
        let mut accounts = funded();
        let legs = [Leg::debit(AccountKey::issuance(USD), u64::MAX), Leg::credit(agent(2), u64::MAX)];
        assert_eq!(post(&mut accounts, &legs), Err(Outcome::AmountOverflow));
        assert_eq!(accounts.get(&agent(2)), None);
    }

    #[test]
    fn legs_of_one_account_count_together() {
        let mut accounts = funded();
        let legs = [Leg::debit(agent(1), 101), Leg::credit(agent(1), 51), Leg::credit(agent(2), 50)];
        assert_eq!(post(&mut accounts, &legs), Ok(()));
        assert_eq!((accounts.get(&agent(1)), accounts.get(&agent(2))), (Some(&50), Some(&50)));
        let all = [Leg::debit(agent(1), 50), Leg::credit(agent(2), 50)];
        assert_eq!(post(&mut accounts, &all), Ok(()));
        assert_eq!((accounts.get(&agent(1)), accounts.len()), (None, 2), "zero is not stored");
    }
}
