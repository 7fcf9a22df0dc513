//! The clocks of one host: how they run against the universe's own time.
//!
//! The monotonic clock drifts (parts per million) and never runs backwards; the wall clock follows it with an offset
//! that may be stepped either way.

use super::TimeNs;

/// Wall clock of a host without offset at universe time 0, ms since the Unix epoch.
pub const EPOCH_MS: u64 = 1_800_000_000_000;
/// A host's monotonic clock at its first boot: machines run for a while before a node starts.
const UPTIME_NS: u64 = 3_600_000_000_000;
const MILLION: i128 = 1_000_000;

/// The clocks of one host.
#[derive(Clone, Debug)]
pub struct HostClock {
    anchor: TimeNs,
    anchor_mono: u64,
    drift_ppm: i64,
    wall_offset_ms: i64,
    /// What the wall clock shows while it stands still.
    wall_frozen_ms: Option<u64>,
}

impl Default for HostClock {
    fn default() -> Self {
        HostClock { anchor: 0, anchor_mono: UPTIME_NS, drift_ppm: 0, wall_offset_ms: 0, wall_frozen_ms: None }
    }
}

impl HostClock {
    /// The monotonic clock at universe time `at`, ns.
    pub fn mono(&self, at: TimeNs) -> u64 {
        let passed = i128::from(at.saturating_sub(self.anchor));
        let shown = passed * (MILLION + i128::from(self.drift_ppm)) / MILLION;
        self.anchor_mono.saturating_add(u64::try_from(shown).unwrap_or(0))
    }

    /// The first universe time at which the monotonic clock shows `mono` or later.
    pub fn due(&self, mono: u64) -> TimeNs {
        let shown = i128::from(mono.saturating_sub(self.anchor_mono));
        let speed = MILLION + i128::from(self.drift_ppm);
        // Rounded up: a timer that fires a nanosecond early would be asked again at the same instant, for ever.
        let passed = (shown * MILLION + speed - 1) / speed;
        self.anchor.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// The wall clock at universe time `at`, ms since the Unix epoch.
    pub fn wall_ms(&self, at: TimeNs) -> u64 {
        if let Some(frozen) = self.wall_frozen_ms {
            return frozen;
        }
        let shown = EPOCH_MS + (self.mono(at) - UPTIME_NS) / 1_000_000;
        shown.saturating_add_signed(self.wall_offset_ms)
    }

    /// From `now` on the clocks gain `ppm` millionths (negative: lose); at most 100 000 either way.
    pub fn drift(&mut self, now: TimeNs, ppm: i64) {
        self.anchor_mono = self.mono(now);
        self.anchor = now;
        self.drift_ppm = ppm.clamp(-100_000, 100_000);
    }

    /// Stops the wall clock, or lets it go on as if it had never stood still.
    pub fn freeze_wall(&mut self, now: TimeNs, is_frozen: bool) {
        let shown = self.wall_ms(now);
        self.wall_frozen_ms = is_frozen.then_some(shown);
    }

    /// Steps the wall clock by so many ms, either way.
    pub fn step_wall(&mut self, by_ms: i64) {
        self.wall_offset_ms = self.wall_offset_ms.saturating_add(by_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_is_never_early_and_at_most_a_tick_late() {
        for ppm in [-100_000, -200, -1, 0, 1, 37, 200, 100_000] {
            let mut clock = HostClock::default();
            clock.drift(1_000, ppm);
            for mono in (0..200).map(|n| UPTIME_NS + n * 7_919 + n * n * n) {
                let due = clock.due(mono);
                assert!(clock.mono(due) >= mono.max(UPTIME_NS), "{ppm} {mono}");
                assert!(due <= 1_000 || clock.mono(due - 1) < mono, "{ppm} {mono}");
            }
        }
    }

    #[test]
    fn a_change_of_drift_does_not_move_the_clock() {
        let mut clock = HostClock::default();
        clock.drift(0, 500);
        let before = clock.mono(5_000_000_000);
        clock.drift(5_000_000_000, -500);
        assert_eq!(clock.mono(5_000_000_000), before);
        assert!(clock.mono(6_000_000_000) > before);
    }

    #[test]
    fn a_frozen_wall_clock_stands_still_and_catches_up() {
        let mut clock = HostClock::default();
        let before = clock.wall_ms(5_000_000);
        clock.freeze_wall(5_000_000, true);
        assert_eq!(clock.wall_ms(9_000_000_000), before);
        assert!(clock.mono(9_000_000_000) > clock.mono(5_000_000));
        clock.freeze_wall(9_000_000_000, false);
        assert_eq!(clock.wall_ms(9_000_000_000), before + 8_995);
    }

    #[test]
    fn the_wall_clock_steps_and_the_monotonic_one_does_not() {
        let mut clock = HostClock::default();
        let (mono, wall) = (clock.mono(9_000_000), clock.wall_ms(9_000_000));
        clock.step_wall(-5_000);
        assert_eq!((clock.mono(9_000_000), clock.wall_ms(9_000_000)), (mono, wall - 5_000));
    }
}
