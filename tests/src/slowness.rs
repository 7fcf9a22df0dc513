//! How much of the machine is ours: what a claim in seconds has to allow for.
//!
//! A claim such as "in doubt for less than ten seconds" is about a machine whose cores are free. A thread works in short
//! bursts and reads from the system how long it stood in line for a core meanwhile; the claim's limit grows by that
//! factor and by nothing else. Where the system does not tell, the factor is 1.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Work of one burst, and the pause after it: a twentieth of a core.
const BURST: Duration = Duration::from_millis(15);
const PAUSE: Duration = Duration::from_millis(300);

/// Measures while it lives.
pub struct Slowness {
    stop: Arc<AtomicBool>,
    measuring: JoinHandle<f64>,
}

/// For how long this thread has worked, and for how long it has waited for a core.
fn worked_and_waited() -> Option<(Duration, Duration)> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut fields = text.split_whitespace().map(|field| field.parse().map(Duration::from_nanos));
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

/// Waited time per worked time of one burst; 0 on a free machine.
fn burst() -> Option<f64> {
    let (worked_before, waited_before) = worked_and_waited()?;
    loop {
        // A burst without system calls: the thread gives no core away by itself.
        std::hint::black_box((0..200_000_u64).fold(0, |sum: u64, next| sum.wrapping_mul(31).wrapping_add(next)));
        let (worked, waited) = worked_and_waited()?;
        let worked = worked.saturating_sub(worked_before);
        if worked >= BURST {
            return Some(waited.saturating_sub(waited_before).as_secs_f64() / worked.as_secs_f64());
        }
    }
}

impl Slowness {
    /// Begins to measure.
    pub fn measure() -> Slowness {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = stop.clone();
        let measuring = thread::spawn(move || {
            let mut worst: f64 = 0.0;
            while !asked.load(Ordering::Relaxed) {
                let Some(waited) = burst() else { return 1.0 };
                worst = worst.max(waited);
                thread::sleep(PAUSE);
            }
            1.0 + worst
        });
        Slowness { stop, measuring }
    }

    /// How many times as long as on a free machine work took, in the worst moment since the beginning; at least 1.
    ///
    /// # Panics
    /// When the measuring thread did.
    pub fn factor(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        self.measuring.join().expect("the measuring thread")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_never_faster_than_free() {
        let slowness = Slowness::measure();
        thread::sleep(Duration::from_millis(50));
        assert!(slowness.factor() >= 1.0);
    }
}
