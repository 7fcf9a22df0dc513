//! Many crossing transfers in both directions, escrow payouts among them, over a network that loses, repeats, reorders
//! and delays. Each seed is one history: the same seed, the same entries. `COMITY_SEEDS` runs more of them.

use super::{
    checker::check,
    world::{Message, Side, World, agent, party, transfer_id, usd},
};
use crate::Outcome;
use alloc::{format, string::String, vec, vec::Vec};
use comity_proto::{
    command::{Referral, Verb},
    escrow::{EscrowTerms, Payee, Silence},
    ids::{EscrowId, Hash, PublicKey},
    text::Condition,
};
use std::env;

/// SplitMix64: enough for choosing, and the same everywhere.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(super) fn side(&mut self) -> Side {
        if self.below(2) == 0 { 0 } else { 1 }
    }

    fn agent(&mut self) -> u8 {
        u8::try_from(self.below(3)).expect("three agents")
    }
}

pub(super) struct History {
    pub(super) world: World,
    pub(super) chance: Chance,
    pub(super) network: Vec<Message>,
    next_id: u64,
    /// Ids below this one may have been forgotten: whoever uses one again makes another transfer.
    oldest_id: u64,
    released: u64,
}

pub(super) fn terms(world: &World, side: Side, payer: u8, to: u8, amount: u64) -> EscrowTerms {
    EscrowTerms {
        payer: agent(side, payer),
        payees: vec![Payee { party: party(1 - side, to), key: PublicKey([9; 32]), share_bps: 10_000 }],
        asset: usd(side),
        amount,
        task_hash: Hash([0; 32]),
        condition: Condition::new("done").expect("a condition"),
        deliver_by_ms: world.homes[side].now_ms + 3_600_000,
        delivery_grace_ms: 0,
        review_window_ms: 3_600_000,
        on_silence: Silence::Refund,
        arbiter: None,
        ruling_window_ms: 3_600_000,
        on_no_ruling: Silence::Refund,
        referred_by: None,
        milestones: vec![],
    }
}

impl History {
    pub(super) fn new(seed: u64) -> History {
        let (world, network) = (World::new(), Vec::new());
        History { world, chance: Chance(seed), network, next_id: 1, oldest_id: 1, released: 0 }
    }

    pub(super) fn step(&mut self) {
        let side = self.chance.side();
        match self.chance.below(20) {
            0..=3 => self.pay(side),
            4 => self.pay_by_escrow(side),
            5..=12 => self.deliver(),
            13 => drop(self.lose()),
            14..=16 => {
                let owed = self.world.owed(side);
                self.network.extend(owed);
            }
            17 | 18 => {
                let by_ms = self.chance.below(6_000);
                let owed = self.world.pulse(side, by_ms);
                self.network.extend(owed);
            }
            _ if self.chance.below(3) == 0 => {
                for side in 0..2 {
                    let owed = self.world.pulse(side, 25 * 3_600_000);
                    self.network.extend(owed);
                }
                self.oldest_id = self.next_id;
            }
            _ => {
                let active = self.chance.below(2) == 0;
                self.world.set_treaty(side, active);
            }
        }
    }

    fn pay(&mut self, side: Side) {
        // Now and then an id is used again, with the same or another content.
        let again = self.next_id > self.oldest_id && self.chance.below(8) == 0;
        let id = if again { self.oldest_id + self.chance.below(self.next_id - self.oldest_id) } else { self.next_id };
        self.next_id += u64::from(!again);
        let asset = usd(self.chance.side());
        let (from, to, amount) = (self.chance.agent(), self.chance.agent(), 1 + self.chance.below(400_000));
        self.world.pay(side, from, to, transfer_id(id), asset, amount);
        let owed = self.world.owed(side);
        self.network.extend(owed.into_iter().last());
    }

    /// Locks and releases at once: the share of the remote payee is owed until it arrives, that of a remote referrer
    /// accrues.
    fn pay_by_escrow(&mut self, side: Side) {
        let mut id = [0xEE; 16];
        id[..8].copy_from_slice(&self.next_id.to_be_bytes());
        self.next_id += 1;
        let (payer, to, amount) = (self.chance.agent(), self.chance.agent(), 1 + self.chance.below(200_000));
        let mut terms = terms(&self.world, side, payer, to, amount);
        terms.referred_by = Some(Referral::Agent(party(1 - side, self.chance.agent())));
        let home = &mut self.world.homes[side];
        let escrow_id = EscrowId(id);
        if home.agent_does(side, payer, Verb::LockEscrow { escrow_id, terms }) == Outcome::Created {
            let verb = Verb::ReleaseEscrow { escrow_id, milestone: None, verified_hash: None };
            let outcome = home.agent_does(side, payer, verb);
            assert!(outcome.is_success(), "{outcome}");
            self.released += 1;
        }
    }

    /// Any message under way, not only the oldest; half of them stay and arrive again.
    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        let at = usize::try_from(self.chance.below(self.network.len() as u64)).expect("an index");
        let again = self.chance.below(2) == 0;
        let message = if again { self.network[at].clone() } else { self.network.swap_remove(at) };
        let (_, answers) = self.world.deliver(&message);
        self.network.extend(answers);
        if self.network.len() > 400 {
            self.network.drain(..200);
        }
    }

    fn lose(&mut self) -> Option<Message> {
        if self.network.is_empty() {
            return None;
        }
        let at = usize::try_from(self.chance.below(self.network.len() as u64)).expect("an index");
        Some(self.network.swap_remove(at))
    }
}

fn run(seed: u64, steps: usize) -> Result<[u64; 3], String> {
    let mut history = History::new(seed);
    for step in 0..steps {
        history.step();
        check(&history.world).map_err(|fault| format!("seed {seed}, step {step}: {fault}"))?;
    }
    for side in 0..2 {
        history.world.set_treaty(side, true);
    }
    if !history.world.heal() {
        return Err(format!("seed {seed}: never ends: {:?}", history.world.homes[0].ledger.in_doubt()));
    }
    check(&history.world).map_err(|fault| format!("seed {seed}, healed: {fault}"))?;
    for (side, home) in history.world.homes.iter().enumerate() {
        let copy = crate::Ledger::from_chunks(home.ledger.snapshot_chunks());
        if copy.as_ref() != Ok(&home.ledger) {
            return Err(format!("seed {seed}: the snapshot of side {side} is another ledger"));
        }
    }
    Ok([history.released, history.world.posted, history.world.swept])
}

#[test]
fn crossing_transfers_keep_the_money_at_every_step_and_end_once_the_network_heals() {
    let seeds = env::var("COMITY_SEEDS").ok().and_then(|count| count.parse().ok()).unwrap_or(4);
    let mut sums = [0; 3];
    for seed in 0..seeds {
        match run(seed, 200) {
            Ok(counts) => sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count),
            Err(fault) => panic!("{fault}"),
        }
    }
    let [released, posted, swept] = sums;
    let proves = released > 0 && posted > 40 && swept > 4;
    assert!(proves, "{released} escrows, {posted} transfers, {swept} sweeps: too quiet to prove anything");
}
