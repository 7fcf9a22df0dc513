//! A second bookkeeping, naive and written apart: plain vectors, one rule per line. Whatever people and time do, both
//! books agree on every answer and every balance; and two ledgers fed the same entries are the same ledger.

mod support;

use comity_ledger::{Ledger, Outcome, check};
use comity_proto::{
    command::Verb,
    entry::EntryItem,
    escrow::{Arbiter, Silence},
    ids::EscrowId,
};
use proptest::{collection::vec, prelude::*};
use support::{World, hash_of, id_of, key_of, terms};

/// `b` was referred by `a`, `c` by `b`. The judge only rules.
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const FUNDS: u64 = 10_000;
const WINDOW_MS: u64 = 100_000;

#[derive(Clone, Debug)]
enum Step {
    Pay { from: usize, to: usize, amount: u64 },
    Lock { payer: usize, payees: Vec<usize>, shares: u16, parts: Vec<u64>, silence: u8 },
    Submit { escrow: usize, by: usize, part: usize },
    Release { escrow: usize, by: usize, part: usize },
    Dispute { escrow: usize, by: usize },
    Rule { escrow: usize, bps: u16 },
    Cancel { escrow: usize, by: usize },
    Wait { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0..NAMES.len();
    let escrow = 0..6_usize;
    prop_oneof![
        2 => (who.clone(), who.clone(), 0..4_000_u64).prop_map(|(from, to, amount)| Step::Pay { from, to, amount }),
        4 => (who.clone(), vec(who.clone(), 1..3), 1..10_000_u16, vec(0..3_000_u64, 1..4), 0..3_u8)
            .prop_map(|(payer, payees, shares, parts, silence)| Step::Lock { payer, payees, shares, parts, silence }),
        4 => (escrow.clone(), who.clone(), 0..3_usize).prop_map(|(escrow, by, part)| Step::Submit { escrow, by, part }),
        4 => (escrow.clone(), who.clone(), 0..3_usize).prop_map(|(escrow, by, part)| Step::Release { escrow, by, part }),
        2 => (escrow.clone(), who.clone()).prop_map(|(escrow, by)| Step::Dispute { escrow, by }),
        2 => (escrow.clone(), 0..=10_000_u16).prop_map(|(escrow, bps)| Step::Rule { escrow, bps }),
        1 => (escrow, who).prop_map(|(escrow, by)| Step::Cancel { escrow, by }),
        3 => (1..60_000_u64).prop_map(|ms| Step::Wait { ms }),
    ]
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Open,
    Review { until: u64 },
    Done,
}

struct Deal {
    payer: usize,
    payees: Vec<(usize, u64)>,
    parts: Vec<(u64, Part)>,
    has_milestones: bool,
    silence: Silence,
    deliver_by: u64,
    rule_by: Option<u64>,
    waived: Vec<usize>,
    paid: u64,
    fee: u64,
}

/// The naive book.
struct Book {
    now: u64,
    held: [u64; 4],
    treasury: u64,
    deals: Vec<Deal>,
}

fn part_of(amount: u64, bps: u64) -> u64 {
    (u128::from(amount) * u128::from(bps) / 10_000) as u64
}

impl Book {
    fn referrers(payer: usize) -> Vec<(usize, u64)> {
        match payer {
            1 => vec![(0, 1_500)],
            2 => vec![(1, 1_500), (0, 500)],
            _ => vec![],
        }
    }

    fn pay_out(&mut self, n: usize, amount: u64, to_payees: u64) {
        let deal = &mut self.deals[n];
        let fee = part_of(deal.paid + to_payees, 100) - deal.fee;
        deal.paid += to_payees;
        deal.fee += fee;
        self.treasury += fee;
        for (referrer, bps) in Book::referrers(deal.payer) {
            self.held[referrer] += part_of(fee, bps);
            self.treasury -= part_of(fee, bps);
        }
        let mut rest = to_payees - fee;
        let net = rest;
        let last = deal.payees.len() - 1;
        for (position, (payee, bps)) in deal.payees.iter().enumerate() {
            let share = if position == last { rest } else { part_of(net, *bps) };
            rest -= share;
            self.held[*payee] += share;
        }
        self.held[deal.payer] += amount - to_payees;
    }

    fn settle(&mut self, n: usize, part: usize, silence: Silence) {
        let amount = self.deals[n].parts[part].0;
        self.deals[n].parts[part].1 = Part::Done;
        self.pay_out(n, amount, share(amount, silence));
    }

    fn settle_open(&mut self, n: usize, silence: Silence) {
        let open = self.deals[n].parts.iter().filter(|part| part.1 != Part::Done).map(|part| part.0).sum();
        self.deals[n].parts.iter_mut().for_each(|part| part.1 = Part::Done);
        self.deals[n].rule_by = None;
        self.pay_out(n, open, share(open, silence));
    }

    fn wait(&mut self, ms: u64) -> Outcome {
        self.now += ms;
        for n in 0..self.deals.len() {
            if let Some(until) = self.deals[n].rule_by {
                if until <= self.now {
                    self.settle_open(n, Silence::Refund);
                }
                continue;
            }
            for part in 0..self.deals[n].parts.len() {
                match self.deals[n].parts[part].1 {
                    Part::Open if self.deals[n].deliver_by <= self.now => self.settle(n, part, Silence::Refund),
                    Part::Review { until } if until <= self.now => self.settle(n, part, self.deals[n].silence),
                    _ => (),
                }
            }
        }
        Outcome::Applied
    }

    fn pay(&mut self, from: usize, to: usize, amount: u64) -> Outcome {
        match () {
            () if amount == 0 => Outcome::AmountZero,
            () if from == to => Outcome::SelfDealing,
            () if self.held[from] < amount => Outcome::InsufficientFunds,
            () => {
                self.held[from] -= amount;
                self.held[to] += amount;
                Outcome::Created
            }
        }
    }

    fn lock(&mut self, payer: usize, payees: &[(usize, u64)], parts: &[u64], silence: Silence) -> Outcome {
        for (position, (payee, _)) in payees.iter().enumerate() {
            if *payee == payer {
                return Outcome::SelfDealing;
            }
            if payees[..position].iter().any(|(earlier, _)| earlier == payee) {
                return Outcome::TermsInvalid;
            }
        }
        let amount: u64 = parts.iter().sum();
        match () {
            () if parts.contains(&0) => Outcome::AmountZero,
            () if self.held[payer] < amount => Outcome::InsufficientFunds,
            () => {
                self.held[payer] -= amount;
                self.deals.push(Deal {
                    payer,
                    payees: payees.to_vec(),
                    parts: parts.iter().map(|amount| (*amount, Part::Open)).collect(),
                    has_milestones: parts.len() > 1,
                    silence,
                    deliver_by: self.now + WINDOW_MS,
                    rule_by: None,
                    waived: vec![],
                    paid: 0,
                    fee: 0,
                });
                Outcome::Created
            }
        }
    }

    /// `None` when there is no such escrow.
    fn act(&mut self, step: &Step) -> Option<Outcome> {
        let (Step::Submit { escrow, .. }
        | Step::Release { escrow, .. }
        | Step::Dispute { escrow, .. }
        | Step::Rule { escrow, .. }
        | Step::Cancel { escrow, .. }) = step
        else {
            return None;
        };
        let (n, now) = (*escrow, self.now);
        let deal = self.deals.get_mut(n)?;
        let is_payee = |by: &usize| deal.payees.iter().any(|(payee, _)| payee == by);
        let over = deal.parts.iter().all(|part| part.1 == Part::Done);
        let part_at = |part: &usize| if deal.has_milestones { deal.parts.get(*part) } else { deal.parts.first() };
        let index = |part: &usize| if deal.has_milestones { *part } else { 0 };
        let outcome = match step {
            Step::Submit { by, .. } if !is_payee(by) => Outcome::NotAuthorised,
            Step::Release { by, .. } if *by != deal.payer => Outcome::NotAuthorised,
            Step::Cancel { by, .. } if !is_payee(by) => Outcome::NotAuthorised,
            Step::Dispute { by, .. } if *by != deal.payer && !is_payee(by) => Outcome::NotAuthorised,
            Step::Submit { part, .. } | Step::Release { part, .. } if part_at(part).is_none() => {
                Outcome::UnknownMilestone
            }
            Step::Submit { part, .. } => match part_at(part).expect("checked").1 {
                Part::Review { .. } => Outcome::Exists,
                Part::Open if deal.rule_by.is_none() => {
                    let index = index(part);
                    deal.parts[index].1 = Part::Review { until: now + WINDOW_MS };
                    Outcome::Applied
                }
                _ => Outcome::WrongState,
            },
            Step::Release { part, .. } => {
                if deal.rule_by.is_some() || part_at(part).expect("checked").1 == Part::Done {
                    return Some(Outcome::WrongState);
                }
                let index = index(part);
                self.settle(n, index, Silence::Release);
                Outcome::Applied
            }
            Step::Dispute { .. } => {
                let review = deal.parts.iter().any(|part| matches!(part.1, Part::Review { .. }));
                if !review || deal.rule_by.is_some() {
                    return Some(Outcome::WrongState);
                }
                deal.rule_by = Some(now + WINDOW_MS);
                Outcome::Applied
            }
            Step::Rule { .. } if deal.rule_by.is_none() => Outcome::WrongState,
            Step::Rule { bps, .. } => {
                self.settle_open(n, Silence::Split { payee_bps: *bps });
                Outcome::Applied
            }
            Step::Cancel { .. } if over => Outcome::WrongState,
            Step::Cancel { by, .. } if deal.waived.contains(by) => Outcome::Exists,
            Step::Cancel { by, .. } => {
                deal.waived.push(*by);
                if deal.waived.len() == deal.payees.len() {
                    self.settle_open(n, Silence::Refund);
                }
                Outcome::Applied
            }
            _ => return None,
        };
        Some(outcome)
    }
}

fn share(amount: u64, silence: Silence) -> u64 {
    match silence {
        Silence::Release => amount,
        Silence::Refund => 0,
        Silence::Split { payee_bps } => part_of(amount, u64::from(payee_bps)),
    }
}

/// Both books and everything the ledger was fed.
struct Both {
    world: World,
    book: Book,
}

impl Both {
    fn new() -> Both {
        let mut world = World::new("alpha");
        assert_eq!(world.register("a", None, Some("AAA")), Outcome::Created);
        assert_eq!(world.register("b", Some("AAA"), Some("BBB")), Outcome::Created);
        assert_eq!(world.register("c", Some("BBB"), None), Outcome::Created);
        assert_eq!(world.register("d", None, None), Outcome::Created);
        assert_eq!(world.register("judge", None, None), Outcome::Created);
        NAMES.iter().for_each(|name| world.fund(name, FUNDS));
        let book = Book { now: world.now_ms, held: [FUNDS; 4], treasury: 0, deals: vec![] };
        Both { world, book }
    }

    fn lock(&mut self, step: &Step) -> (Outcome, Outcome) {
        let Step::Lock { payer, payees, shares, parts, silence } = step else { unreachable!() };
        let silence = [Silence::Release, Silence::Refund, Silence::Split { payee_bps: 3_333 }][usize::from(*silence)];
        let bps = if payees.len() == 1 { vec![10_000] } else { vec![u64::from(*shares), 10_000 - u64::from(*shares)] };
        let listed: Vec<(usize, u64)> = payees.iter().copied().zip(bps).collect();
        let parties: Vec<_> = listed.iter().map(|(n, bps)| (self.world.party(NAMES[*n]), *bps as u16)).collect();
        let id = format!("e{}", self.book.deals.len());
        let amount = parts.iter().sum();
        let mut agreed = terms(NAMES[*payer], &parties, amount, "alpha", self.world.now_ms);
        let judge = self.world.party("judge");
        agreed.arbiter = Some(Arbiter { party: judge, key: key_of("judge").public() });
        agreed.deliver_by_ms = self.world.now_ms + WINDOW_MS;
        (agreed.review_window_ms, agreed.ruling_window_ms, agreed.on_silence) = (WINDOW_MS, WINDOW_MS, silence);
        agreed.milestones = if parts.len() > 1 { parts.clone() } else { vec![] };
        let got = self.world.lock(NAMES[*payer], &id, agreed);
        (got, self.book.lock(*payer, &listed, parts, silence))
    }

    /// The ledger's answer and the naive one.
    fn play(&mut self, step: &Step) -> (Outcome, Outcome) {
        let id = |n: &usize| EscrowId(id_of(&format!("e{n}")));
        let known = |n: &usize, book: &Book| book.deals.get(*n).map(|deal| deal.has_milestones);
        let milestone = |n: &usize, part: &usize, book: &Book| (known(n, book) == Some(true)).then_some(*part as u16);
        let (by, verb) = match step {
            Step::Wait { ms } => {
                self.world.now_ms += ms;
                let got = self.world.pulse().outcomes[0][0];
                return (got, self.book.wait(*ms));
            }
            Step::Pay { from, to, amount } => {
                let to_party = self.world.party(NAMES[*to]);
                let got = self.world.transfer(NAMES[*from], to_party, *amount);
                return (got, self.book.pay(*from, *to, *amount));
            }
            Step::Lock { .. } => return self.lock(step),
            Step::Submit { escrow, by, part } => {
                let (escrow_id, result_hash) = (id(escrow), hash_of("result"));
                (
                    NAMES[*by],
                    Verb::SubmitEscrow { escrow_id, milestone: milestone(escrow, part, &self.book), result_hash },
                )
            }
            Step::Release { escrow, by, part } => {
                let (escrow_id, milestone) = (id(escrow), milestone(escrow, part, &self.book));
                (NAMES[*by], Verb::ReleaseEscrow { escrow_id, milestone, verified_hash: None })
            }
            Step::Dispute { escrow, by } => {
                (NAMES[*by], Verb::DisputeEscrow { escrow_id: id(escrow), evidence_hash: hash_of("evidence") })
            }
            Step::Rule { escrow, bps } => ("judge", Verb::RuleEscrow { escrow_id: id(escrow), payee_bps: *bps }),
            Step::Cancel { escrow, by } => (NAMES[*by], Verb::CancelEscrow { escrow_id: id(escrow) }),
        };
        let got = self.world.agent(by, verb);
        (got, self.book.act(step).unwrap_or(Outcome::UnknownEscrow))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn two_bookkeepings_agree(steps in vec(step(), 1..50)) {
        let mut both = Both::new();
        for step in &steps {
            let (got, want) = both.play(step);
            prop_assert_eq!(got, want, "{:?}", step);
            let held = NAMES.map(|name| both.world.balance(name));
            prop_assert_eq!(held, both.book.held, "{:?}", step);
            prop_assert_eq!(both.world.treasury(), both.book.treasury, "{:?}", step);
        }
    }

    #[test]
    fn the_same_entries_make_the_same_bytes(amounts in vec(0..30_u64, 1..20)) {
        let mut world = World::empty("alpha");
        let mut entries = vec![(1, world.genesis(support::policy()))];
        let mut twin = Ledger::empty();
        for (n, amount) in amounts.iter().enumerate() {
            let verb = Verb::Issue { code: support::usd("alpha").code, to: None, amount: *amount };
            let request = world.next_request();
            let actor = comity_proto::command::Actor::Operator;
            entries.push((n as u64 * 7_000, world.signed(&world.operator.clone(), actor, request, 3_600_000, verb)));
            entries.push((n as u64 * 90_000, EntryItem::Pulse));
        }
        for (index, (later, item)) in entries.iter().enumerate() {
            world.now_ms = support::START_MS + later;
            world.apply(vec![item.clone()]);
            let applied = twin.apply(index as u64 + 1, world.now_ms, vec![check(item)]);
            prop_assert_eq!(applied.events.iter().map(|event| event.leaf()).collect::<Vec<_>>().len(), applied.events.len());
            prop_assert_eq!(world.ledger.digest(), twin.digest());
        }
        prop_assert_eq!(&world.ledger, &twin);
    }
}
