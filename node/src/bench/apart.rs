//! Two parts of one process that do not take processor time from each other: a runtime of its own on half of the cores.
//!
//! A partner that misbehaves costs its own machine something too; measured on the same cores, that would count as harm.

use super::BenchError;
use crate::runtime;
use std::{future::Future, sync::Arc, sync::OnceLock};
use tokio::runtime::{Builder, Runtime};

/// A runtime whose threads run on cores that the rest of the process has left.
pub(super) struct Apart {
    /// `None` once it was given up.
    runtime: Option<Runtime>,
    separated: bool,
}

impl Apart {
    /// Moves this process to the first half of the cores and starts a runtime on the other half. With one core, or where
    /// a system cannot, both share all: see [`Apart::is_separated`].
    pub(super) fn start() -> Result<Apart, BenchError> {
        let separated = cores::halve();
        let world: Arc<OnceLock<Arc<dyn comity_runtime::World>>> = Arc::default();
        let known = world.clone();
        let built = Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(16)
            .thread_name("partner")
            .on_thread_start(move || {
                if separated {
                    cores::take_second_half();
                }
                // For as long as the thread lives.
                std::mem::forget(comity_runtime::enter(known.wait().clone()));
            })
            .enable_all()
            .build();
        let runtime = built.map_err(|error| BenchError::new("starting threads for the partner", error.to_string()))?;
        let _first = world.set(runtime::world_of(runtime.handle().clone()));
        Ok(Apart { runtime: Some(runtime), separated })
    }

    /// Whether the two parts have cores of their own.
    pub(super) const fn is_separated(&self) -> bool {
        self.separated
    }

    /// Does something there.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, BenchError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, BenchError>> + Send + 'static,
    {
        let stopped = || BenchError::new("running the partner", "its threads have ended");
        let runtime = self.runtime.as_ref().ok_or_else(stopped)?;
        runtime.spawn(work).await.map_err(|_| stopped())?
    }

    /// Does something there that nobody waits for.
    pub(super) fn start_task(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Option<tokio::task::AbortHandle> {
        Some(self.runtime.as_ref()?.spawn(work).abort_handle())
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // Dropped from inside another runtime: waiting is not allowed there.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        cores::take_all();
    }
}

#[cfg(target_os = "linux")]
mod cores {
    use rustix::{
        process::Pid,
        thread::{CpuSet, sched_getaffinity, sched_setaffinity},
    };
    use std::sync::OnceLock;

    static ALL: OnceLock<Vec<usize>> = OnceLock::new();

    fn all() -> &'static [usize] {
        ALL.get_or_init(|| {
            let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
            (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
        })
    }

    fn of(cores: &[usize]) -> CpuSet {
        let mut set = CpuSet::new();
        cores.iter().for_each(|core| set.set(*core));
        set
    }

    /// Puts every thread of this process on `cores`; threads made later inherit it from their makers.
    fn all_threads_on(cores: &[usize]) -> bool {
        let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return false };
        let ids = threads.flatten().filter_map(|thread| Pid::from_raw(thread.file_name().to_str()?.parse().ok()?));
        // A thread may end meanwhile.
        ids.filter(|id| sched_setaffinity(Some(*id), &of(cores)).is_ok()).count() > 0
    }

    pub(super) fn halve() -> bool {
        let all = all();
        all.len() > 1 && all_threads_on(&all[..all.len() / 2])
    }

    pub(super) fn take_second_half() {
        let _all_if_refused = sched_setaffinity(None, &of(&all()[all().len() / 2..]));
    }

    pub(super) fn take_all() {
        let _half_if_refused = all_threads_on(all());
    }
}

#[cfg(not(target_os = "linux"))]
mod cores {
    pub(super) fn halve() -> bool {
        false
    }
    pub(super) fn take_second_half() {}
    pub(super) fn take_all() {}
}
