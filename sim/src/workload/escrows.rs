//! Whole lives of escrows: lock, accept, deliver, release, dispute, rule, cancel, or silence.

use std::time::Duration;

use comity_proto::{
    command::Verb,
    escrow::{Arbiter, EscrowTerms, Payee, Silence},
    ids::{EscrowId, Hash},
    text::Condition,
};

use super::{
    agents::SimAgent,
    history::Answer,
    traffic::{ATTEMPTS, Town},
};
use crate::world::Chance;

/// Largest escrow, minor units.
const AMOUNT_MAX: u64 = 1_000_000;

/// One escrow with those who take part.
struct Deal {
    town: Town,
    id: EscrowId,
    payer: SimAgent,
    payees: Vec<SimAgent>,
    arbiter: Option<SimAgent>,
    milestones: u16,
}

/// Lives through one escrow of `payer`. `abroad`: payees and arbiter may be at home elsewhere.
pub(super) async fn live(town: Town, payer: SimAgent, abroad: bool, chance: &mut Chance) {
    let Some(deal) = Deal::draw(town, payer, abroad, chance) else { return };
    let Some(terms) = deal.terms(chance) else { return };
    let lock = Verb::LockEscrow { escrow_id: deal.id, terms };
    let locked = deal.town.ask(&deal.payer, chance, lock.clone()).await;
    let is_locked = matches!(locked, Answer::Done { outcome, .. } if outcome.is_success());
    // In a silent mood nobody does more: deadlines decide.
    if !is_locked || deal.town.hosts.mood().is_silent {
        return;
    }
    if chance.ratio(0.05) {
        deal.town.ask(&deal.payer, chance, lock).await;
    }
    match chance.below(10) {
        // Nobody does anything: the deadline's pulse gives the money back.
        0 | 1 => {}
        2 => deal.cancel(chance).await,
        3 => {
            // Paid in advance, or by somebody who may not.
            let Some(stranger) = deal.payees.first() else { return };
            deal.by(stranger, chance, deal.release(None, None)).await;
            deal.all_parts(chance, false).await;
        }
        4 | 5 => deal.disputed(chance).await,
        _ => deal.all_parts(chance, true).await,
    }
}

fn pause(chance: &mut Chance, mean_ms: u64) -> Duration {
    Duration::from_millis(1 + chance.tail(mean_ms))
}

fn silence(chance: &mut Chance) -> Silence {
    match chance.below(3) {
        0 => Silence::Release,
        1 => Silence::Refund,
        _ => Silence::Split { payee_bps: chance.between(1, 9_999) as u16 },
    }
}

fn result(id: &EscrowId, part: u16) -> Hash {
    Hash::of_parts("comity-sim/result", &[id.as_bytes(), &part.to_be_bytes()])
}

impl Deal {
    fn draw(town: Town, payer: SimAgent, abroad: bool, chance: &mut Chance) -> Option<Deal> {
        let mut candidates: Vec<SimAgent> = town.others(&payer, true).into_iter().cloned().collect();
        if abroad {
            candidates.extend(town.others(&payer, false).into_iter().cloned());
        }
        chance.shuffle(&mut candidates);
        let arbiter = if chance.ratio(0.6) { candidates.pop() } else { None };
        let count = 1 + if chance.ratio(0.3) { chance.below(3) as usize } else { 0 };
        candidates.truncate(count);
        let mut id = [0; 16];
        chance.fill(&mut id);
        let milestones = if chance.ratio(0.3) { chance.between(2, 4) as u16 } else { 0 };
        let has_payee = !candidates.is_empty();
        has_payee.then_some(Deal { town, id: EscrowId(id), payer, payees: candidates, arbiter, milestones })
    }

    fn terms(&self, chance: &mut Chance) -> Option<EscrowTerms> {
        let amount = u64::from(self.milestones.max(1)) + chance.below(AMOUNT_MAX);
        let mut payees = Vec::new();
        let mut shares_left = 10_000_u16;
        for (at, agent) in self.payees.iter().enumerate() {
            let others = (self.payees.len() - at - 1) as u16;
            let share_bps =
                if others == 0 { shares_left } else { chance.between(1, u64::from(shares_left - others)) as u16 };
            shares_left -= share_bps;
            payees.push(Payee { party: self.town.party(agent)?, key: agent.signer.key().public(), share_bps });
        }
        let mut milestones = Vec::new();
        let mut left = amount;
        for at in 0..self.milestones {
            let others = u64::from(self.milestones - at - 1);
            let part = if others == 0 { left } else { chance.between(1, left - others) };
            left -= part;
            milestones.push(part);
        }
        let arbiter = match &self.arbiter {
            Some(agent) => Some(Arbiter { party: self.town.party(agent)?, key: agent.signer.key().public() }),
            None => None,
        };
        Some(EscrowTerms {
            payer: self.payer.id()?,
            payees,
            asset: self.town.asset(self.payer.domain),
            amount,
            task_hash: Hash::of(self.id.as_bytes()),
            condition: Condition::new("as agreed").ok()?,
            deliver_by_ms: comity_runtime::wall_ms() + chance.between(3_000, 12_000),
            delivery_grace_ms: if chance.ratio(0.3) { chance.between(1, 2_000) } else { 0 },
            review_window_ms: chance.between(1_000, 5_000),
            on_silence: silence(chance),
            arbiter,
            ruling_window_ms: chance.between(1_000, 5_000),
            on_no_ruling: silence(chance),
            referred_by: None,
            milestones,
        })
    }

    /// Asks the payer's ledger, through the agent's own node if it is at home elsewhere.
    async fn by(&self, agent: &SimAgent, chance: &mut Chance, verb: Verb) -> Answer {
        let (hosts, history) = (&self.town.hosts, &self.town.history);
        agent.command_of(hosts, history, chance, self.payer.domain, verb, ATTEMPTS).await
    }

    fn release(&self, milestone: Option<u16>, verified_hash: Option<Hash>) -> Verb {
        Verb::ReleaseEscrow { escrow_id: self.id, milestone, verified_hash }
    }

    fn parts(&self) -> Vec<Option<u16>> {
        if self.milestones == 0 { vec![None] } else { (0..self.milestones).map(Some).collect() }
    }

    async fn accept(&self, payee: &SimAgent, chance: &mut Chance) {
        comity_runtime::sleep(pause(chance, 300)).await;
        if chance.ratio(0.8) {
            self.by(payee, chance, Verb::AcceptEscrow { escrow_id: self.id }).await;
        }
    }

    async fn submit(&self, payee: &SimAgent, part: Option<u16>, chance: &mut Chance) {
        comity_runtime::sleep(pause(chance, 800)).await;
        let result_hash = result(&self.id, part.unwrap_or(0));
        self.by(payee, chance, Verb::SubmitEscrow { escrow_id: self.id, milestone: part, result_hash }).await;
    }

    /// Part by part: delivered (if `delivers`), then released with the right hash, after a wrong one, or not at all.
    async fn all_parts(&self, chance: &mut Chance, delivers: bool) {
        let Some(payee) = self.payees.first() else { return };
        self.accept(payee, chance).await;
        for part in self.parts() {
            if delivers {
                self.submit(payee, part, chance).await;
            }
            comity_runtime::sleep(pause(chance, 500)).await;
            let right = result(&self.id, part.unwrap_or(0));
            if chance.ratio(0.2) {
                self.by(&self.payer, chance, self.release(part, Some(Hash::of(b"another result")))).await;
            }
            let verified = (delivers && chance.ratio(0.7)).then_some(right);
            if chance.ratio(0.8) {
                self.by(&self.payer, chance, self.release(part, verified)).await;
            }
            if chance.ratio(0.1) {
                // Once more: what is settled stays so.
                self.by(&self.payer, chance, self.release(part, None)).await;
            }
        }
    }

    async fn disputed(&self, chance: &mut Chance) {
        let Some(payee) = self.payees.first() else { return };
        self.accept(payee, chance).await;
        let Some(part) = self.parts().first().copied() else { return };
        self.submit(payee, part, chance).await;
        let by = if chance.ratio(0.5) { &self.payer } else { payee };
        let evidence_hash = Hash::of(b"evidence");
        self.by(by, chance, Verb::DisputeEscrow { escrow_id: self.id, evidence_hash }).await;
        if chance.ratio(0.3) {
            // Not while the arbiter has the word.
            self.by(&self.payer, chance, self.release(part, None)).await;
        }
        comity_runtime::sleep(pause(chance, 1_000)).await;
        if let Some(arbiter) = self.arbiter.as_ref().filter(|_| chance.ratio(0.7)) {
            let payee_bps = chance.below(10_001) as u16;
            self.by(arbiter, chance, Verb::RuleEscrow { escrow_id: self.id, payee_bps }).await;
        }
    }

    async fn cancel(&self, chance: &mut Chance) {
        for payee in &self.payees {
            comity_runtime::sleep(pause(chance, 400)).await;
            self.by(payee, chance, Verb::CancelEscrow { escrow_id: self.id }).await;
        }
    }
}
