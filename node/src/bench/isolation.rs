//! What a bad partner costs: latency of local escrows while a partner is well, silent, or says nonsense without pause.

use super::{
    BenchError,
    apart::Apart,
    domain::BenchDomain,
    driver::{Figure, Load, drive},
    escrow::Escrows,
    transfer::Transfers,
};
use crate::{mesh::Class, node::Node};
use bytes::Bytes;
use comity_proto::{
    envelope::Signed as _,
    ids::TransferId,
    settlement::{Acknowledge, SettlementBatch, SettlementMessage},
};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// Local clients at once: far below what the node could take, so that latency is its own and not that of a queue.
const CLIENTS: usize = 4;
/// Messages a second that the bad partner says, one in a batch.
const FLOOD_PER_SECOND: u64 = 10_000;
/// Sealed beforehand and said in turn: making them is the flooder's cost.
const WORDS: usize = 4_096;
/// Callers that flood: more than one link has places for.
const MOUTHS: u64 = 128;
/// Who pays the partner meanwhile, and how often each.
const PAYERS: usize = 16;
const PAY_EVERY: Duration = Duration::from_millis(200);

/// How the partner behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Partner {
    Well,
    Silent,
    Flooding,
}

impl Partner {
    const ALL: [Partner; 3] = [Partner::Well, Partner::Silent, Partner::Flooding];

    const fn name(self) -> &'static str {
        match self {
            Partner::Well => "well",
            Partner::Silent => "silent",
            Partner::Flooding => "flooding",
        }
    }
}

/// Figures by behaviour, one per round.
pub(super) struct Isolation {
    figures: [Vec<Figure>; 3],
    /// Messages a second that really left the flooder.
    flood_per_second: f64,
    /// Whether the partner had cores of its own.
    separated: bool,
}

/// Measures in turns: well, silent, flooding, well, ...
pub(super) async fn measure(
    folder: &Path,
    (seconds, rounds): (u64, u64),
    progress: &dyn Fn(String),
) -> Result<Isolation, BenchError> {
    let apart = Apart::start()?;
    let alpha = BenchDomain::start(folder, "alpha", 1, &[]).await?;
    let (place, neighbours) = (folder.to_owned(), alpha.addresses().to_owned());
    let beta = apart.run(async move { BenchDomain::start(&place, "beta", 1, &neighbours).await }).await?;
    alpha.trust(&beta).await?;
    beta.trust(&alpha).await?;
    // The same in every phase: what they cost is no partner's fault.
    let paying = pay(&alpha, &beta).await?;
    let words = words(&beta, &alpha)?;
    let mut isolation =
        Isolation { figures: Default::default(), flood_per_second: 0.0, separated: apart.is_separated() };
    let (mut said, mut flooded_s) = (0, 0);
    for round in 1..=rounds {
        for (partner, figures) in Partner::ALL.into_iter().zip(&mut isolation.figures) {
            let load = Load { clients: CLIENTS, warm_up: Duration::from_secs(1), window: Duration::from_secs(seconds) };
            let trouble = Trouble::begin(partner, (&alpha, &beta), &words, &apart)?;
            let figure = drive(&Escrows { domain: &alpha, per_call: 1, hot: false }, load).await;
            said += trouble.end().await;
            flooded_s += if partner == Partner::Flooding { seconds + 1 } else { 0 };
            let figure = figure?;
            progress(format!(
                "partner {}, round {round} of {rounds}: p99 {:.2} ms",
                partner.name(),
                figure.p99_us as f64 / 1e3
            ));
            figures.push(figure);
        }
    }
    isolation.flood_per_second = said as f64 / flooded_s.max(1) as f64;
    paying.store(false, Ordering::Relaxed);
    let stopping = async move {
        beta.stop().await;
        Ok(())
    };
    apart.run(stopping).await?;
    alpha.stop().await;
    Ok(isolation)
}

/// Signed by a voter of the partner and about nothing: acknowledgements of transfers that never were.
fn words(from: &BenchDomain, to: &BenchDomain) -> Result<Arc<[Bytes]>, BenchError> {
    let leader = from.leader()?;
    let word = |_| {
        let transfer = TransferId(crate::signer::fresh_transfer_id().0);
        let batch = SettlementBatch {
            from: leader.domain(),
            to: to.asset().issuer,
            incarnation: 1,
            roster: from.roster(),
            messages: vec![SettlementMessage::Acknowledge(Acknowledge { transfer, commit: true })],
        };
        batch.seal(leader.key())
    };
    Ok((0..WORDS).map(word).collect())
}

/// What a partner does while others are measured.
struct Trouble {
    stop: Arc<AtomicBool>,
    said: Arc<AtomicU64>,
    mended: Option<Arc<Node>>,
    tasks: Vec<tokio::task::AbortHandle>,
}

impl Trouble {
    fn begin(
        partner: Partner,
        (alpha, beta): (&BenchDomain, &BenchDomain),
        words: &Arc<[Bytes]>,
        apart: &Apart,
    ) -> Result<Trouble, BenchError> {
        let (stop, said) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut trouble = Trouble { stop: stop.clone(), said: said.clone(), mended: None, tasks: Vec::new() };
        let (target, node) = (alpha.asset().issuer, beta.leader()?);
        match partner {
            Partner::Well => {}
            Partner::Silent => {
                // Connected, and never an answer.
                node.mesh().serve(Class::Settlement, Arc::new(|_, _| Box::pin(std::future::pending())));
                trouble.mended = Some(node);
            }
            Partner::Flooding => {
                for mouth in 0..MOUTHS {
                    let (node, words, stop, said) = (node.clone(), words.clone(), stop.clone(), said.clone());
                    let every = Duration::from_micros(1_000_000 * MOUTHS / FLOOD_PER_SECOND);
                    trouble.tasks.extend(apart.start_task(async move {
                        let mut next = mouth as usize * 31;
                        let mut at = comity_runtime::now();
                        while !stop.load(Ordering::Relaxed) {
                            next = (next + 1) % words.len();
                            let word = words[next].clone();
                            let _refused = node.mesh().settle(target, word, Duration::from_secs(5)).await;
                            said.fetch_add(1, Ordering::Relaxed);
                            at = (at + every).max(comity_runtime::now());
                            comity_runtime::sleep_until(at).await;
                        }
                    }));
                }
            }
        }
        Ok(trouble)
    }

    /// Ends it; how many messages were said.
    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.iter().for_each(tokio::task::AbortHandle::abort);
        if let Some(node) = self.mended {
            node.serve_settlement();
            // What was begun meanwhile ends before the next figure.
            comity_runtime::sleep(Duration::from_secs(8)).await;
        }
        self.said.load(Ordering::Relaxed)
    }
}

/// A few payments to the partner are always under way, answered or not, until the switch is off.
async fn pay(payer: &BenchDomain, payee: &BenchDomain) -> Result<Arc<AtomicBool>, BenchError> {
    let senders = Transfers { payer, payee, hot: false }.unconnected(PAYERS).await?;
    let on = Arc::new(AtomicBool::new(true));
    for mut sender in senders {
        let on = on.clone();
        comity_runtime::spawn(async move {
            while on.load(Ordering::Relaxed) {
                sender.begin().await;
                comity_runtime::sleep(PAY_EVERY).await;
            }
        });
    }
    Ok(on)
}

impl Isolation {
    fn p99_us(&self, partner: Partner) -> u64 {
        let mut all: Vec<u64> = self.figures[partner as usize].iter().map(|figure| figure.p99_us).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or(0)
    }

    fn more(&self, partner: Partner) -> f64 {
        let well = self.p99_us(Partner::Well).max(1) as f64;
        self.p99_us(partner) as f64 / well - 1.0
    }

    /// For programs.
    pub(super) fn document(&self) -> Value {
        let all = Partner::ALL.into_iter().map(|partner| {
            let rounds: Vec<f64> =
                self.figures[partner as usize].iter().map(|figure| figure.p99_us as f64 / 1e3).collect();
            (partner.name().to_owned(), json!({ "p99_ms": self.p99_us(partner) as f64 / 1e3, "rounds_p99_ms": rounds }))
        });
        json!({ "bench": "isolation", "flood_per_second": self.flood_per_second, "own_cores": self.separated,
            "partner": all.collect::<serde_json::Map<_, _>>() })
    }

    /// For people.
    pub(super) fn sentences(&self) -> String {
        let ms = |partner| self.p99_us(partner) as f64 / 1e3;
        let line = |partner: Partner, what: &str| {
            format!("{what:<44} p99 {:>6.2} ms, {:+.0} % (bar +10)\n", ms(partner), self.more(partner) * 100.0)
        };
        let calls: u64 = self.figures.iter().flatten().map(|figure| figure.operations).sum();
        let flood = format!("partner says {:.0} useless words a second", self.flood_per_second);
        let place = if self.separated { "on cores of its own" } else { "on the same cores" };
        format!(
            "local escrows, {CLIENTS} clients, {calls} calls, {PAYERS} pay the partner; it runs {place}\n{:<44} p99 {:>6.2} ms\n{}{}",
            "partner well",
            ms(Partner::Well),
            line(Partner::Silent, "partner connected and silent"),
            line(Partner::Flooding, &flood),
        )
    }
}
