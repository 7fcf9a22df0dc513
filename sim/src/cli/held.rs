//! One run on a thread of its own, whose chance comes from the seed and whose only clock is the virtual one.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{COMMIT, System, files::Problem, system_calls};
use crate::{
    oracles::Phase,
    plan::Plan,
    record::Record,
    run::{Progress, run},
};

/// Between two looks at a run.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a run that was told to stop may go on: between two virtual seconds it hears nothing.
const GRACE: Duration = Duration::from_secs(20);
/// Real nodes recurse deeply in debug builds.
const STACK: usize = 64 << 20;

/// What the run tells, in atomics: a lock would look at a clock when it is contended.
#[derive(Default)]
struct Told {
    virtual_ms: AtomicU64,
    of_ms: AtomicU64,
    phase: AtomicU8,
    stop: AtomicBool,
}

const PHASES: [Phase; 6] = [Phase::Warm, Phase::Chaos, Phase::Quiet, Phase::Core, Phase::Heal, Phase::Audit];

impl Told {
    fn tell(&self, progress: Progress) -> ControlFlow<()> {
        let phase = PHASES.iter().position(|phase| *phase == progress.phase).unwrap_or(0);
        self.virtual_ms.store(progress.virtual_ms, Ordering::Relaxed);
        self.of_ms.store(progress.of_ms, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn hear(&self) -> Progress {
        Progress {
            virtual_ms: self.virtual_ms.load(Ordering::Relaxed),
            of_ms: self.of_ms.load(Ordering::Relaxed),
            phase: PHASES[usize::from(self.phase.load(Ordering::Relaxed)) % PHASES.len()],
        }
    }
}

/// Lives through a plan; `draw` is called on this thread with what was heard last.
///
/// # Errors
/// When it does not stop although its real time is over: somebody never returns.
pub(super) fn held(
    system: System,
    plan: &Plan,
    max_wall: Duration,
    mut draw: impl FnMut(Progress),
) -> Result<Record, Problem> {
    let began = Instant::now();
    let told = Arc::new(Told::default());
    let (telling, watching, own) = (told.clone(), thread::current(), plan.clone());
    (system.hold)(plan.seed);
    let body = move || {
        // Where the kernel will not, the run is what it was: repeatable as far as its own symbols see to it.
        let _free_if_refused = system_calls::confine();
        let record = run(&own, COMMIT, Box::new(move |progress| telling.tell(progress)));
        watching.unpark();
        record
    };
    let running = thread::Builder::new().stack_size(STACK).spawn(body)?;
    while !running.is_finished() {
        thread::park_timeout(LOOK_EVERY);
        draw(told.hear());
        let over = began.elapsed().saturating_sub(max_wall);
        told.stop.store(!over.is_zero(), Ordering::Relaxed);
        if over > GRACE {
            let heard = told.hear();
            return Err(Problem(format!(
                "stuck for over {} s of real time behind virtual {} ms (phase {}): a task does not return to the \
                 scheduler, so nobody can say who waits; attach a debugger to a run of the same seed",
                GRACE.as_secs(),
                heard.virtual_ms,
                heard.phase.name()
            )));
        }
    }
    let ended = running.join();
    (system.release)();
    let mut record = ended.map_err(|_| Problem("the run's own machinery panicked, see above".to_owned()))?;
    record.wall_ms = began.elapsed().as_millis() as u64;
    Ok(record)
}
