//! `cargo bench -p comity-ledger --features unsigned`
//!
//! One core, one million accounts, no signatures: what `apply` alone can do. Prints transfers per second (bar: 500 000),
//! resident memory with the accounts in place (bar: 400 MB) and how long a freeze stops `apply` (bar: 20 ms).
//! A plain harness: the figure wanted is one long run over a large state, not many short ones.

#![expect(clippy::disallowed_types, reason = "a bench measures time; the ledger does not")]

use comity_ledger::{CheckedItem, Ledger, Outcome, check};
use comity_proto::{
    amount::{AssetCode, AssetId},
    command::{Actor, Command, CommandBatch, Party, Verb},
    entry::EntryItem,
    envelope::Signed as _,
    identity::{Genesis, Roster},
    ids::{AgentId, DomainId, PublicKey, RequestId, TransferId},
    keys::SecretKey,
    policy::Policy,
    text::{Memo, Nickname},
};
use std::{
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
};

const ACCOUNTS: u64 = 1_000_000;
const TRANSFERS: u64 = 1_000_000;
const START_MS: u64 = 1_700_000_000_000;
const ITEMS_PER_ENTRY: u64 = 256;
const ENTRIES_PER_STRETCH: usize = 16;

fn main() {
    let mut bench = Bench::new();
    let before_mb = resident_mb();
    let begun = Instant::now();
    bench.register_all();
    println!("{ACCOUNTS} agents registered and funded in {:.1?}", begun.elapsed());
    bench.forget_requests();
    let memory_mb = resident_mb().saturating_sub(before_mb);
    println!("memory: {memory_mb} MB resident for {ACCOUNTS} accounts (bar: 400 MB)");
    for commands_per_batch in [1, 16, 256] {
        let Rates { mean, median, wall } = bench.transfers(commands_per_batch);
        println!(
            "apply: {mean:.0} transfers/s of one core (median stretch {median:.0}/s, {wall:.0}/s by the clock), {commands_per_batch} per batch, random pairs (bar: 500000/s)"
        );
    }
    let (frozen, worst) = bench.freeze();
    println!("freeze: {frozen:.2?}; slowest entry of 256 transfers behind it: {worst:.2?} (bar: 20 ms)");
}

/// Resident memory of this process, from the kernel.
fn resident_mb() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or("VmRSS: 0 kB");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Time that this thread has spent on a core, from the kernel; on a busy machine the clock says something else.
///
/// The kernel counts at ticks and switches only. To read the process's times makes it count up to now; without that, work
/// that ends in a wait for more work is not seen at all.
fn on_core() -> Duration {
    std::hint::black_box(std::fs::read("/proc/self/stat").unwrap_or_default());
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0))
}

/// SplitMix64: the same run every time.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.next().to_be_bytes());
        id[8..].copy_from_slice(&self.next().to_be_bytes());
        id
    }
}

fn key(n: u64) -> PublicKey {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    PublicKey(bytes)
}

/// Makes the items that a bench applies; lives on its own thread so that only `apply` is measured.
#[derive(Clone)]
struct Maker {
    home: DomainId,
    asset: AssetId,
    agents: std::sync::Arc<Vec<AgentId>>,
    memo: Memo,
}

impl Maker {
    fn item(&self, chance: &mut Chance, stamp_ms: u64, commands: u64) -> CheckedItem {
        let payer = chance.next() % ACCOUNTS;
        let commands = (0..commands).map(|_| {
            let to = self.agents[(chance.next() % ACCOUNTS) as usize];
            let to =
                if to == self.agents[payer as usize] { self.agents[((payer + 1) % ACCOUNTS) as usize] } else { to };
            let verb = Verb::Transfer {
                transfer_id: TransferId(chance.id()),
                to: Party { domain: self.home, agent: to },
                asset: self.asset,
                amount: 1,
                memo: self.memo.clone(),
            };
            Command { request_id: RequestId(chance.id()), verb }
        });
        let actor = Actor::Agent(self.agents[payer as usize]);
        let batch =
            CommandBatch { home: self.home, actor, valid_until_ms: stamp_ms + 10_000, commands: commands.collect() };
        CheckedItem::unsigned(key(payer), batch)
    }
}

/// Transfers per second.
struct Rates {
    mean: f64,
    median: f64,
    wall: f64,
}

struct Bench {
    ledger: Ledger,
    log_index: u64,
    stamp_ms: u64,
    operator: PublicKey,
    maker: Maker,
}

impl Bench {
    fn new() -> Bench {
        let root = SecretKey::from_seed(&[1; 32]);
        let home = DomainId::of_key(&root.public());
        let roster = Roster { domain: home, epoch: 1, voters: vec![root.public()], seats: vec![] }.seal(&root);
        let code = AssetCode::new("USD").expect("a code");
        let genesis = Genesis {
            domain: home,
            domain_key: root.public(),
            nickname: Nickname::new("bench").expect("a nickname"),
            operator_key: root.public(),
            asset_code: code,
            asset_scale: 6,
            supply_cap: 1_000_000_000_000_000,
            policy: Policy {
                version: 1,
                escrow_fee_bps: 100,
                transfer_fee_bps: 50,
                referral_level1_bps: 1_500,
                referral_level2_bps: 500,
                faucet_grant: 1_000_000,
                faucet_claims_per_hour: 1,
                faucet_claims_per_token: 1,
                faucet_stays_home: false,
                name_fee_per_year: 0,
                dispute_bond: 0,
                decide_within_ms: 5_000,
            },
            roster,
            incarnation: 1,
        };
        let mut ledger = Ledger::empty();
        let applied = ledger.apply(1, START_MS, vec![check(&EntryItem::Genesis(genesis.seal(&root)))]);
        assert_eq!(applied.outcomes, [[Outcome::Created]]);
        let agents = (0..ACCOUNTS).map(|n| AgentId::of_key(&key(n))).collect::<Vec<_>>();
        let memo = Memo::new("").expect("an empty memo");
        let maker = Maker { home, asset: AssetId { issuer: home, code }, agents: agents.into(), memo };
        Bench { ledger, log_index: 1, stamp_ms: START_MS, operator: root.public(), maker }
    }

    fn apply(&mut self, items: Vec<CheckedItem>) {
        self.log_index += 1;
        self.stamp_ms += 1;
        let applied = self.ledger.apply(self.log_index, self.stamp_ms, items);
        let done = applied.outcomes.iter().flatten().all(|outcome| *outcome == Outcome::Created);
        assert!(done, "{:?}", applied.outcomes.iter().flatten().find(|outcome| **outcome != Outcome::Created));
    }

    /// Every agent with a nickname of its own and a balance.
    fn register_all(&mut self) {
        let mut chance = Chance(3);
        let home = self.maker.home;
        for first in (0..ACCOUNTS).step_by(ITEMS_PER_ENTRY as usize) {
            let numbers = first..(first + ITEMS_PER_ENTRY).min(ACCOUNTS);
            let valid_until_ms = self.stamp_ms + 10;
            let batch = |actor, commands| CommandBatch { home, actor, valid_until_ms, commands };
            let mut items = Vec::new();
            let mut issues = Vec::new();
            for n in numbers {
                let agent = self.maker.agents[n as usize];
                let nickname = Nickname::new(&format!("agent-{n}")).expect("a nickname");
                let verb = Verb::register(nickname);
                let command = Command { request_id: RequestId(chance.id()), verb };
                items.push(CheckedItem::unsigned(key(n), batch(Actor::Agent(agent), vec![command])));
                let verb = Verb::Issue { code: self.maker.asset.code, to: Some(agent), amount: 1_000_000 };
                issues.push(Command { request_id: RequestId(chance.id()), verb });
            }
            items.push(CheckedItem::unsigned(self.operator, batch(Actor::Operator, issues)));
            self.apply(items);
        }
    }

    /// Lets the ids of the registrations be forgotten, so that the memory printed is that of the accounts.
    fn forget_requests(&mut self) {
        self.stamp_ms += 1_000;
        for _ in 0..16_384 {
            self.log_index += 1;
            self.ledger.apply(self.log_index, self.stamp_ms, vec![]);
        }
    }

    /// Transfers per second of this thread on a core: over all, and of the median stretch (other programs take the
    /// caches away); then by the clock.
    fn transfers(&mut self, commands_per_batch: u64) -> Rates {
        let per_entry = ITEMS_PER_ENTRY.max(commands_per_batch);
        let entries = TRANSFERS / per_entry;
        let (sender, receiver) = sync_channel(ENTRIES_PER_STRETCH);
        let (maker, from_ms) = (self.maker.clone(), self.stamp_ms);
        let made = thread::spawn(move || {
            let mut chance = Chance(commands_per_batch);
            for entry in 0..entries {
                let items = per_entry / commands_per_batch;
                let items = (0..items).map(|_| maker.item(&mut chance, from_ms + entry, commands_per_batch)).collect();
                if sender.send(items).is_err() {
                    return;
                }
            }
        });
        let (mut spent, mut stretches) = (Duration::ZERO, Vec::new());
        loop {
            // All of a stretch is made before it is measured: no waiting in between, and the measuring itself weighs little.
            let stretch = receiver.iter().take(ENTRIES_PER_STRETCH).collect::<Vec<_>>();
            if stretch.is_empty() {
                break;
            }
            let count = (stretch.len() as u64 * per_entry) as f64;
            let (begun, ran_before) = (Instant::now(), on_core());
            stretch.into_iter().for_each(|items| self.apply(items));
            stretches.push(on_core().saturating_sub(ran_before).as_secs_f64() / count);
            spent += begun.elapsed();
        }
        made.join().expect("the maker ends");
        let mean = stretches.iter().sum::<f64>() / stretches.len() as f64;
        stretches.sort_by(f64::total_cmp);
        let median = stretches[stretches.len() / 2];
        Rates { mean: 1.0 / mean, median: 1.0 / median, wall: (entries * per_entry) as f64 / spent.as_secs_f64() }
    }

    /// Freezes, and then applies entries while the frozen copy lives: each first touch of a shard copies it.
    fn freeze(&mut self) -> (Duration, Duration) {
        let mut chance = Chance(5);
        let begun = Instant::now();
        let frozen = self.ledger.freeze();
        let stopped = begun.elapsed();
        let mut worst = Duration::ZERO;
        for _ in 0..64 {
            let items = (0..ITEMS_PER_ENTRY).map(|_| self.maker.item(&mut chance, self.stamp_ms, 1)).collect();
            let begun = on_core();
            self.apply(items);
            worst = worst.max(on_core().saturating_sub(begun));
        }
        assert_ne!(frozen.checkpoint(), self.ledger.checkpoint(), "the frozen copy does not see later entries");
        (stopped, worst)
    }
}
