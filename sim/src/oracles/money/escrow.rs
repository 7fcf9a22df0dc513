//! A model of escrows, kept apart from the ledger's: what each event of an escrow may do, from its terms alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use comity_ledger::{AccountKey, AssetIndex, Event, EventKind, Leg, escrow::EVERYTHING, event::Cause};
use comity_proto::{
    escrow::{EscrowTerms, Silence},
    ids::{AgentId, DomainId, EscrowId},
    policy::Policy,
};

use crate::{observe::Story, oracles::View};

/// Which claim a breach is against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// An order of steps that the life of an escrow does not know.
    Life,
    /// Too early or too late.
    Time,
    /// Amounts.
    Terms,
}

/// What an event did against the terms.
pub(super) type Breach = (About, String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Open,
    Submitted { at: u64 },
    Settled,
}

struct Bargain {
    terms: Arc<EscrowTerms>,
    asset: AssetIndex,
    deliver_by: u64,
    parts: Vec<(u64, Part)>,
    disputed: Option<u64>,
    waived: usize,
    paid: u64,
    fee: u64,
}

/// All escrows of all domains.
#[derive(Default)]
pub(super) struct Bargains {
    all: BTreeMap<(usize, EscrowId), Bargain>,
    stalled: BTreeMap<usize, u64>,
    referrers: BTreeMap<AgentId, AgentId>,
    retired: BTreeSet<AgentId>,
}

fn floor_share(amount: u64, bps: u16) -> u64 {
    (u128::from(amount) * u128::from(bps) / 10_000) as u64
}

fn split(amount: u64, silence: Silence) -> u64 {
    match silence {
        Silence::Release => amount,
        Silence::Refund => 0,
        Silence::Split { payee_bps } => floor_share(amount, payee_bps),
    }
}

impl Bargains {
    /// The history of a domain is lost; what is left of it will be told again.
    pub(super) fn forget(&mut self, domain: usize) {
        self.all.retain(|(of, _), _| *of != domain);
        self.stalled.remove(&domain);
    }

    /// Takes in what is new; the first breach of a kind.
    pub(super) fn look(&mut self, view: &View<'_>, about: About) -> Result<(), String> {
        let policy = crate::hosts::policy();
        let mut first = None;
        for (domain, story) in view.seen.stories.iter().enumerate() {
            let home = view.seen.ids()[domain];
            for event in view.seen.new_events(domain) {
                if let Err((kind, detail)) = self.take_in(domain, home, story, &policy, event)
                    && kind == about
                {
                    first = first.or(Some(format!("domain {domain}, entry {}: {detail}", event.log_index)));
                }
            }
        }
        first.map_or(Ok(()), Err)
    }

    fn take_in(
        &mut self,
        domain: usize,
        home: DomainId,
        story: &Story,
        policy: &Policy,
        event: &Event,
    ) -> Result<(), Breach> {
        let stalled = self.stalled.entry(domain).or_default();
        match &event.kind {
            EventKind::ClockStalled { gap_ms } => *stalled += gap_ms,
            EventKind::AgentRegistered { agent, referrer: Some(referrer), .. } => {
                self.referrers.insert(*agent, *referrer);
            }
            EventKind::AgentRetired { agent } => {
                self.retired.insert(*agent);
            }
            _ => {}
        }
        let (stalled, worked) = (*stalled, event.stamp_ms - *stalled);
        let of = |id: &EscrowId| (domain, *id);
        match &event.kind {
            EventKind::EscrowLocked { escrow, terms } => {
                let Some(asset) = story.asset_index(&terms.asset) else { return Ok(()) };
                let bargain = Bargain::new(terms.clone(), asset, stalled);
                let paid = [
                    Leg::debit(AccountKey::agent(terms.payer, asset), terms.amount),
                    Leg::credit(AccountKey::escrow(*escrow, asset), terms.amount),
                ];
                self.all.insert(of(escrow), bargain);
                same(&event.legs, &paid, || format!("locking escrow {escrow} of {}", terms.amount))
            }
            EventKind::EscrowSubmitted { escrow, milestone, .. } => match self.all.get_mut(&of(escrow)) {
                Some(bargain) => bargain.submitted(escrow, usize::from(*milestone), worked),
                None => Ok(()),
            },
            EventKind::EscrowDisputed { escrow, .. } => match self.all.get_mut(&of(escrow)) {
                Some(bargain) => bargain.disputed(escrow, worked),
                None => Ok(()),
            },
            EventKind::EscrowWaived { escrow, .. } => {
                self.all.entry(of(escrow)).and_modify(|bargain| bargain.waived += 1);
                Ok(())
            }
            EventKind::EscrowPaid { escrow, milestone, gross, fee, returned, cause } => {
                let Some(bargain) = self.all.get_mut(&of(escrow)) else { return Ok(()) };
                let payment = Paid { milestone: *milestone, gross: *gross, returned: *returned, cause: *cause };
                let life = bargain.paid(escrow, &payment, worked, policy, *fee);
                let shares = self.shares(domain, escrow, home, policy, &payment, *fee);
                life.and_then(|()| same(&event.legs, &shares, || format!("paying out of escrow {escrow}")))
            }
            _ => Ok(()),
        }
    }

    /// Where a payment must go: floored shares, the last payee gets the rest; referrers first get theirs of the fee.
    fn shares(&self, domain: usize, id: &EscrowId, home: DomainId, policy: &Policy, paid: &Paid, fee: u64) -> Vec<Leg> {
        let Some(bargain) = self.all.get(&(domain, *id)) else { return Vec::new() };
        let (terms, asset) = (&bargain.terms, bargain.asset);
        let net = paid.gross - fee;
        let mut legs = vec![Leg::credit(AccountKey::agent(terms.payer, asset), paid.returned)];
        let level1 = self.referrers.get(&terms.payer);
        let levels = [
            (level1, policy.referral_level1_bps),
            (level1.and_then(|first| self.referrers.get(first)), policy.referral_level2_bps),
        ];
        let mut treasury = fee;
        for (referrer, bps) in levels {
            let Some(referrer) = referrer.filter(|agent| !self.retired.contains(agent)) else { continue };
            let share = floor_share(fee, bps);
            treasury -= share;
            legs.push(Leg::credit(AccountKey::agent(*referrer, asset), share));
        }
        legs.push(Leg::credit(AccountKey::treasury(asset), treasury));
        let mut rest = net;
        for (at, payee) in terms.payees.iter().enumerate() {
            let is_last = at + 1 == terms.payees.len();
            let share = if is_last { rest } else { floor_share(net, payee.share_bps) };
            rest -= share;
            // A share of another domain's agent stays in the escrow until it has arrived there.
            if payee.party.domain == home {
                legs.push(Leg::credit(AccountKey::agent(payee.party.agent, asset), share));
            }
        }
        let leaving = legs.iter().map(|leg| leg.delta).sum::<i128>();
        legs.push(Leg { account: AccountKey::escrow(*id, asset), delta: -leaving });
        legs
    }
}

struct Paid {
    milestone: u16,
    gross: u64,
    returned: u64,
    cause: Cause,
}

impl Bargain {
    fn new(terms: Arc<EscrowTerms>, asset: AssetIndex, stalled: u64) -> Bargain {
        let whole = [terms.amount];
        let amounts: &[u64] = if terms.milestones.is_empty() { &whole } else { &terms.milestones };
        let parts = amounts.iter().map(|amount| (*amount, Part::Open)).collect();
        let deliver_by = terms.deliver_by_ms + terms.delivery_grace_ms - stalled;
        Bargain { terms, asset, deliver_by, parts, disputed: None, waived: 0, paid: 0, fee: 0 }
    }

    fn submitted(&mut self, id: &EscrowId, part: usize, worked: u64) -> Result<(), Breach> {
        let disputed = self.disputed.is_some();
        let late = worked >= self.deliver_by;
        let Some((_, state)) = self.parts.get_mut(part) else { return Ok(()) };
        let before = std::mem::replace(state, Part::Submitted { at: worked });
        if before != Part::Open || disputed {
            return Err((About::Life, format!("part {part} of escrow {id} was delivered while it was {before:?}")));
        }
        if late {
            return Err((About::Time, format!("part {part} of escrow {id} was taken after its delivery date")));
        }
        Ok(())
    }

    fn disputed(&mut self, id: &EscrowId, worked: u64) -> Result<(), Breach> {
        let under_review = self.parts.iter().any(|(_, part)| matches!(part, Part::Submitted { .. }));
        if self.disputed.replace(worked).is_some() || !under_review {
            return Err((About::Life, format!("escrow {id} was disputed with nothing under review")));
        }
        Ok(())
    }

    fn paid(&mut self, id: &EscrowId, paid: &Paid, worked: u64, policy: &Policy, fee: u64) -> Result<(), Breach> {
        let all = paid.milestone == EVERYTHING;
        let meant: Vec<usize> = match all {
            true => (0..self.parts.len()).filter(|at| self.parts[*at].1 != Part::Settled).collect(),
            false => vec![usize::from(paid.milestone)],
        };
        let amount: u64 = meant.iter().map(|at| self.parts[*at].0).sum();
        let legal = meant.iter().try_for_each(|at| self.may_be_paid(id, *at, paid.cause, worked));
        let expected = match paid.cause {
            Cause::Release => amount,
            Cause::NoDelivery | Cause::Cancel => 0,
            Cause::Silence => split(amount, self.terms.on_silence),
            Cause::NoRuling => split(amount, self.terms.on_no_ruling),
            // The arbiter says how much, or a share that the lost log paid; that nothing is lost is all that the terms fix.
            Cause::Ruling | Cause::Restored => paid.gross.min(amount),
        };
        meant.iter().for_each(|at| self.parts[*at].1 = Part::Settled);
        if matches!(paid.cause, Cause::Ruling | Cause::NoRuling | Cause::Cancel) || all {
            self.disputed = None;
        }
        self.paid += paid.gross;
        let due =
            floor_share(self.paid, policy.escrow_fee_bps) - self.fee.min(floor_share(self.paid, policy.escrow_fee_bps));
        let due = due.min(paid.gross);
        self.fee += fee;
        legal?;
        if paid.gross != expected || paid.returned != amount - expected || fee != due {
            return Err((
                About::Terms,
                format!(
                    "escrow {id} ({:?} of {amount}) paid {} and returned {} at a fee of {fee}; {expected}, {} and {due} were due",
                    paid.cause,
                    paid.gross,
                    paid.returned,
                    amount - expected
                ),
            ));
        }
        Ok(())
    }

    fn may_be_paid(&self, id: &EscrowId, at: usize, cause: Cause, worked: u64) -> Result<(), Breach> {
        let life = |what: &str| Err((About::Life, format!("part {at} of escrow {id} {what}")));
        let early = |by: u64| {
            let detail = format!("part {at} of escrow {id} ended by {cause:?} {} ms before its time", by - worked);
            Err((About::Time, detail))
        };
        let part = self.parts.get(at).map_or(Part::Settled, |(_, part)| *part);
        if part == Part::Settled {
            return life("was paid twice");
        }
        let review = self.terms.review_window_ms;
        match (cause, part) {
            (Cause::Release | Cause::NoDelivery | Cause::Silence, _) if self.disputed.is_some() => {
                life("was paid in the middle of a dispute")
            }
            (Cause::NoDelivery, Part::Open) if worked < self.deliver_by => early(self.deliver_by),
            (Cause::Silence, Part::Submitted { at }) if worked < at + review => early(at + review),
            (Cause::NoDelivery, Part::Submitted { .. }) => life("was refunded though it was delivered"),
            (Cause::Silence, Part::Open) => life("was paid by silence though nothing was delivered"),
            (Cause::Ruling | Cause::NoRuling, _) if self.disputed.is_none() => life("was ruled on without a dispute"),
            (Cause::NoRuling, _) => match self.disputed {
                Some(since) if worked < since + self.terms.ruling_window_ms => {
                    early(since + self.terms.ruling_window_ms)
                }
                _ => Ok(()),
            },
            (Cause::Cancel, _) if self.waived + 1 < self.terms.payees.len() => {
                life("was cancelled by some payees only")
            }
            _ => Ok(()),
        }
    }
}

/// Whether legs move the same sums between the same accounts.
fn same(legs: &[Leg], expected: &[Leg], what: impl FnOnce() -> String) -> Result<(), Breach> {
    let sums = |legs: &[Leg]| {
        let mut sums: BTreeMap<AccountKey, i128> = BTreeMap::new();
        legs.iter().for_each(|leg| *sums.entry(leg.account).or_default() += leg.delta);
        sums.retain(|_, sum| *sum != 0);
        sums
    };
    let (moved, due) = (sums(legs), sums(expected));
    if moved == due {
        return Ok(());
    }
    Err((About::Terms, format!("{} moved {moved:?}; {due:?} was due", what())))
}
