//! What agents and operators ask for: payments at home and abroad, escrows that end in every way, treaties on and off.

use comity_ledger::{CheckedItem, Outcome};
use comity_proto::{
    command::Verb,
    escrow::{EscrowTerms, Payee, Silence},
    ids::{EscrowId, Hash, TransferId},
    text::{Condition, Memo},
};

use crate::{
    core::cast::{Cast, START_MS},
    world::Chance,
};

/// A request under way.
pub(super) struct Request {
    pub(super) domain: usize,
    pub(super) item: CheckedItem,
    pub(super) tries: u32,
    /// What the ledger said, once it was heard; a later answer must be the same.
    pub(super) answer: Option<Outcome>,
    pub(super) then: Then,
}

/// What follows from a success.
#[derive(Clone, Copy)]
pub(super) enum Then {
    Nothing,
    /// An escrow is locked: its payee delivers, or its payer goes on with it.
    Locked {
        payer: usize,
        payee: (usize, usize),
        id: EscrowId,
    },
    /// Something is delivered: its payer answers, or lets time decide.
    Delivered {
        payer: usize,
        id: EscrowId,
    },
}

/// Draws requests.
pub(super) struct Desk<'a> {
    pub(super) cast: &'a Cast,
    pub(super) chance: &'a mut Chance,
    /// The next request's number.
    pub(super) next: &'a mut u64,
    pub(super) now_ms: u64,
}

impl Desk<'_> {
    fn id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        self.chance.fill(&mut id);
        id
    }

    fn request(&mut self, domain: usize, agent: Option<(usize, usize)>, verb: Verb, then: Then) -> (u64, Request) {
        *self.next += 1;
        // Clocks of a domain may be off by minutes; a command must count all the same.
        let item = self.cast.command(domain, agent, *self.next, START_MS + self.now_ms, verb);
        (*self.next, Request { domain, item, tries: 0, answer: None, then })
    }

    /// Something that an agent does of its own accord.
    pub(super) fn draw(&mut self, domain: usize) -> (u64, Request) {
        let agents = self.cast.domains[domain].agents.len() as u64;
        let (from, to) = (self.chance.below(agents) as usize, self.chance.below(agents) as usize);
        let others = self.cast.domains.len() as u64;
        let away = (domain + self.chance.between(1, others.max(2) - 1) as usize) % self.cast.domains.len();
        let third = (0..self.cast.domains.len()).filter(|third| *third != domain && *third != away);
        let third: Vec<usize> = third.collect();
        match self.chance.below(12) {
            0 => self.lock(domain, from, away, to),
            1 | 2 => self.pay(domain, from, domain, to, domain),
            3..7 => self.pay(domain, from, away, to, domain),
            7..10 => self.pay(domain, from, away, to, away),
            // In money of a third domain, which it may have been paid before.
            _ => {
                let issuer = third.get(self.chance.below(third.len().max(1) as u64) as usize);
                self.pay(domain, from, away, to, issuer.copied().unwrap_or(away))
            }
        }
    }

    fn pay(&mut self, domain: usize, from: usize, home: usize, to: usize, issuer: usize) -> (u64, Request) {
        let verb = Verb::Transfer {
            transfer_id: TransferId(self.id()),
            to: self.cast.party(home, to),
            asset: self.cast.asset(issuer),
            amount: 1 + self.chance.below(50_000),
            // No text is a memo.
            memo: Memo::new("").expect("an empty memo"),
        };
        self.request(domain, Some((domain, from)), verb, Then::Nothing)
    }

    /// An escrow for an agent at home in another domain, or here.
    fn lock(&mut self, domain: usize, payer: usize, away: usize, to: usize) -> (u64, Request) {
        let home = if self.chance.below(3) == 0 { domain } else { away };
        let payee = Payee {
            party: self.cast.party(home, to),
            key: self.cast.domains[home].agents[to].key.public(),
            share_bps: 10_000,
        };
        let silence = |chance: &mut Chance| match chance.below(3) {
            0 => Silence::Release,
            1 => Silence::Refund,
            _ => Silence::Split { payee_bps: 3_333 },
        };
        let (on_silence, on_no_ruling) = (silence(self.chance), silence(self.chance));
        let amount = 1 + self.chance.below(30_000);
        let terms = EscrowTerms {
            payer: self.cast.domains[domain].agents[payer].id,
            payees: vec![payee],
            asset: self.cast.asset(domain),
            amount,
            task_hash: Hash([0; 32]),
            // A word.
            condition: Condition::new("done").expect("a condition"),
            deliver_by_ms: START_MS + self.now_ms + self.chance.between(60_000, 600_000),
            delivery_grace_ms: 0,
            review_window_ms: self.chance.between(5_000, 60_000),
            on_silence,
            arbiter: None,
            ruling_window_ms: 30_000,
            on_no_ruling,
            referred_by: None,
            milestones: Vec::new(),
        };
        let id = EscrowId(self.id());
        let then = Then::Locked { payer, payee: (home, to), id };
        self.request(domain, Some((domain, payer)), Verb::LockEscrow { escrow_id: id, terms }, then)
    }

    /// What somebody does after a success, if anything.
    pub(super) fn go_on(&mut self, domain: usize, then: Then) -> Option<(u64, Request)> {
        let release = |escrow_id| Verb::ReleaseEscrow { escrow_id, milestone: None, verified_hash: None };
        let (agent, verb, then) = match (then, self.chance.below(4)) {
            (Then::Nothing, _) | (Then::Locked { .. } | Then::Delivered { .. }, 0) => return None,
            (Then::Locked { payer, payee, id }, 1 | 2) => {
                let verb = Verb::SubmitEscrow { escrow_id: id, milestone: None, result_hash: Hash([2; 32]) };
                (payee, verb, Then::Delivered { payer, id })
            }
            (Then::Locked { payer, id, .. }, _) | (Then::Delivered { payer, id }, 1 | 2) => {
                ((domain, payer), release(id), Then::Nothing)
            }
            (Then::Delivered { payer, id }, _) => {
                let verb = Verb::DisputeEscrow { escrow_id: id, evidence_hash: Hash([1; 32]) };
                ((domain, payer), verb, Then::Nothing)
            }
        };
        Some(self.request(domain, Some(agent), verb, then))
    }

    /// An operator changes its mind about a peer.
    pub(super) fn treaty(&mut self, domain: usize, peer: usize, active: bool) -> (u64, Request) {
        // Numbers of requests only rise, so they serve as serials.
        let change = self.cast.change(domain, peer, active, *self.next + 1);
        self.request(domain, None, change, Then::Nothing)
    }
}
