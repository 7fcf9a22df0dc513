//! The closed loop: every client asks for its next operation as soon as it has the answer to the last one.

use super::{BenchError, cpu::CpuClock};
use hdrhistogram::Histogram;
use std::{future::Future, time::Duration};

/// Latencies are kept from one microsecond to ten minutes, to three digits.
const LATENCY_US_MAX: u64 = 600_000_000;

/// Calls under way when the window closes get this long to end.
const LAST_CALL: Duration = Duration::from_secs(60);

/// How hard and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Callers at once, each with one operation under way.
    pub clients: usize,
    /// Before anything is counted.
    pub warm_up: Duration,
    /// Counted.
    pub window: Duration,
}

/// What disks did so far; figures are differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCount {
    /// Flushes to stable storage.
    pub syncs: u64,
    /// Bytes handed to the operating system.
    pub bytes: u64,
}

/// Something that can be asked the same thing over and over.
pub trait Target: Send + Sync {
    /// One caller with its own identity and connection.
    type Client: Client;
    /// Makes the callers of one run; their set-up is not measured.
    fn clients(&self, count: usize) -> impl Future<Output = Result<Vec<Self::Client>, BenchError>> + Send;
    /// All disks of the target together; `None` if it does not tell.
    fn disks(&self) -> impl Future<Output = Option<DiskCount>> + Send;
}

/// One caller.
pub trait Client: Send + 'static {
    /// Does one call and waits until its effect is durable; answers how many operations it held (64 for a batch of 64).
    fn call(&mut self) -> impl Future<Output = Result<u64, BenchError>> + Send;
}

/// What one run showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// Operations that succeeded inside the window.
    pub operations: u64,
    /// Calls that failed inside the window.
    pub errors: u64,
    /// Why the first of them failed.
    pub first_error: Option<String>,
    /// Operations per second.
    pub per_second: f64,
    /// Half of the calls were answered within this many microseconds.
    pub p50_us: u64,
    /// 99 of 100 calls were.
    pub p99_us: u64,
    /// The slowest call.
    pub max_us: u64,
    /// Processor time of the target and its driver per operation, in microseconds.
    pub cpu_us: Option<f64>,
    /// Part of the machine that strangers used meanwhile, 0.0 to 1.0.
    pub foreign: Option<f64>,
    /// Flushes per operation.
    pub syncs: Option<f64>,
    /// Bytes written per operation.
    pub bytes: Option<f64>,
}

/// Latencies and counts of one caller, or of all.
pub(super) struct Tally {
    latencies_us: Histogram<u64>,
    operations: u64,
    errors: u64,
    first_error: Option<String>,
}

impl Tally {
    pub(super) fn new() -> Tally {
        // Bounds are constants that the crate accepts: 1 <= low, 2 * low <= high, at most 5 digits.
        let latencies_us = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are valid");
        Tally { latencies_us, operations: 0, errors: 0, first_error: None }
    }

    /// One successful call of `operations`.
    pub(super) fn success(&mut self, took_us: u64, operations: u64) {
        self.latencies_us.saturating_record(took_us.max(1));
        self.operations += operations;
    }

    fn failure(&mut self, error: String) {
        self.errors += 1;
        self.first_error.get_or_insert(error);
    }

    fn add(&mut self, other: Tally) {
        // Both have the same bounds.
        self.latencies_us.add(&other.latencies_us).expect("equal histograms add");
        self.operations += other.operations;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    pub(super) fn figure(&self, window: Duration, usage: Usage) -> Figure {
        let per_operation = |amount: u64| amount as f64 / self.operations.max(1) as f64;
        Figure {
            operations: self.operations,
            errors: self.errors,
            first_error: self.first_error.clone(),
            per_second: self.operations as f64 / window.as_secs_f64().max(1e-9),
            p50_us: self.latencies_us.value_at_quantile(0.5),
            p99_us: self.latencies_us.value_at_quantile(0.99),
            max_us: self.latencies_us.max(),
            cpu_us: usage.cpu.map(|cpu| per_operation(cpu.own_us)),
            foreign: usage.cpu.map(|cpu| cpu.foreign),
            syncs: usage.disks.map(|disks| per_operation(disks.syncs)),
            bytes: usage.disks.map(|disks| per_operation(disks.bytes)),
        }
    }
}

/// What the window cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    pub(super) cpu: Option<super::cpu::CpuShare>,
    pub(super) disks: Option<DiskCount>,
}

impl Usage {
    /// Differences of two readings; a side that could not be read stays unknown.
    pub(super) fn between(
        cpu: (Option<CpuClock>, Option<CpuClock>),
        disks: (Option<DiskCount>, Option<DiskCount>),
    ) -> Usage {
        let cpu = cpu.0.zip(cpu.1).map(|(before, after)| after.since(&before));
        let disks = disks.0.zip(disks.1).map(|(before, after)| DiskCount {
            syncs: after.syncs.saturating_sub(before.syncs),
            bytes: after.bytes.saturating_sub(before.bytes),
        });
        Usage { cpu, disks }
    }
}

/// Runs one load against a target.
///
/// A call counts if its answer came inside the window. The window ends on time; calls still under way are waited for
/// and not counted.
///
/// # Errors
/// When the callers cannot be made, a caller panics, or a call never ends. Failing calls are counted, not returned.
pub async fn drive<T: Target>(target: &T, load: Load) -> Result<Figure, BenchError> {
    let callers = target.clients(load.clients).await?;
    let opens = comity_runtime::now() + load.warm_up;
    let closes = opens + load.window;
    let tasks: Vec<_> = callers
        .into_iter()
        .map(|caller| comity_runtime::spawn(call_until(caller, opens.as_ns(), closes.as_ns())))
        .collect();
    comity_runtime::sleep_until(opens).await;
    let before = (CpuClock::read(), target.disks().await);
    comity_runtime::sleep_until(closes).await;
    let after = (CpuClock::read(), target.disks().await);
    let mut tally = Tally::new();
    for task in tasks {
        let ended = comity_runtime::timeout_at(closes + LAST_CALL, task).await;
        let ended = ended.map_err(|_| BenchError::new("waiting for the last calls", "one of them never ended"))?;
        tally.add(ended.map_err(|error| BenchError::new("driving the load", error.to_string()))?);
    }
    Ok(tally.figure(load.window, Usage::between((before.0, after.0), (before.1, after.1))))
}

async fn call_until<C: Client>(mut caller: C, opens_ns: u64, closes_ns: u64) -> Tally {
    let mut tally = Tally::new();
    loop {
        let asked = comity_runtime::now();
        if asked.as_ns() >= closes_ns {
            return tally;
        }
        let answer = caller.call().await;
        let answered = comity_runtime::now();
        if !(opens_ns..closes_ns).contains(&answered.as_ns()) {
            continue;
        }
        match answer {
            Ok(operations) => {
                let took = u64::try_from(answered.since(asked).as_micros()).unwrap_or(u64::MAX);
                tally.success(took, operations);
            }
            Err(error) => tally.failure(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    /// Answers after a millisecond; every tenth call fails; each flush holds two operations.
    struct Steady(Arc<AtomicU64>);
    struct SteadyClient(Arc<AtomicU64>);

    impl Target for Steady {
        type Client = SteadyClient;
        async fn clients(&self, count: usize) -> Result<Vec<SteadyClient>, BenchError> {
            Ok((0..count).map(|_| SteadyClient(self.0.clone())).collect())
        }
        async fn disks(&self) -> Option<DiskCount> {
            let calls = self.0.load(Ordering::Relaxed);
            Some(DiskCount { syncs: calls, bytes: calls * 100 })
        }
    }

    impl Client for SteadyClient {
        async fn call(&mut self) -> Result<u64, BenchError> {
            comity_runtime::sleep(Duration::from_millis(1)).await;
            let call = self.0.fetch_add(1, Ordering::Relaxed);
            if call % 10 == 9 { Err(BenchError::new("calling", "the tenth")) } else { Ok(2) }
        }
    }

    #[test]
    fn the_window_counts_operations_failures_and_flushes() {
        crate::runtime::tests_world().block_on(async {
            let load = Load { clients: 4, warm_up: Duration::from_millis(50), window: Duration::from_millis(500) };
            let figure = drive(&Steady(Arc::default()), load).await.expect("the loop ends");
            assert!(figure.operations > 20, "{figure:?}");
            assert!(figure.errors > 0 && figure.first_error.as_deref().is_some_and(|e| e.contains("the tenth")));
            assert!(figure.p50_us >= 1_000 && figure.p50_us <= figure.p99_us && figure.p99_us <= figure.max_us);
            let rate = figure.operations as f64 / 0.5;
            assert!((figure.per_second - rate).abs() < 1.0, "{figure:?}");
            let syncs = figure.syncs.expect("the target tells");
            assert!((0.3..1.2).contains(&syncs), "two operations per flush, one call in ten fails: {syncs}");
        });
    }

    #[test]
    fn percentiles_are_those_of_the_samples() {
        let mut tally = Tally::new();
        (1..=1000).for_each(|us| tally.success(us, 1));
        let figure = tally.figure(Duration::from_secs(2), Usage::default());
        assert_eq!((figure.p50_us, figure.p99_us, figure.max_us), (500, 990, 1000));
        assert_eq!(figure.per_second, 500.0);
        assert_eq!((figure.cpu_us, figure.syncs), (None, None));
    }
}
