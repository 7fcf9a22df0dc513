//! Faults of clocks, timers and the order of running.

use super::{
    super::{Fault, Keep},
    Act, Undo,
};
use crate::world::{HostId, Policy};

const HOUR_MS: i64 = 3_600_000;

impl Act {
    pub(super) fn clock(mut self, fault: &Fault) -> Option<Undo> {
        let universe = self.hosts.universe.clone();
        match *fault {
            Fault::Drift { host, ppm } => {
                self.exists(host)?;
                universe.set_clock(host, |now, clock| clock.drift(now, ppm));
                Some(Box::new(move || universe.set_clock(host, |now, clock| clock.drift(now, 0))))
            }
            Fault::WallStep { host, by_ms } | Fault::StartSkew { host, by_ms } => self.step(host, by_ms),
            Fault::WallJump { host, hours } => self.step(host, hours.saturating_mul(HOUR_MS)),
            Fault::WallFreeze { host } => {
                self.exists(host)?;
                universe.set_clock(host, |now, clock| clock.freeze_wall(now, true));
                Some(Box::new(move || universe.set_clock(host, |now, clock| clock.freeze_wall(now, false))))
            }
            Fault::ClockLost { host, back_ms } => {
                self.hosts.node(host)?;
                self.cut_power(host, Keep::Nothing);
                let back_ms = i64::try_from(back_ms).unwrap_or(i64::MAX);
                let stepped = self.clone().step(host, -back_ms)?;
                // Starts with the wrong time; a time service mends it when the fault ends.
                self.hosts.power_on(host);
                Some(stepped)
            }
            Fault::LateTimers { host, lag_ms } => {
                self.exists(host)?;
                universe.set_timer_lag(host, lag_ms * 1_000_000);
                Some(Box::new(move || universe.set_timer_lag(host, 0)))
            }
            Fault::Starve { host } => {
                self.exists(host)?;
                let usual = universe.policy();
                universe.set_policy(Policy::Starve(host));
                // The last of several gives the usual order back.
                Some(Box::new(move || {
                    if !matches!(usual, Policy::Starve(_)) {
                        universe.set_policy(usual);
                    }
                }))
            }
            _ => None,
        }
    }

    fn step(self, host: HostId, by_ms: i64) -> Option<Undo> {
        self.exists(host)?;
        let universe = self.hosts.universe;
        universe.set_clock(host, |_, clock| clock.step_wall(by_ms));
        Some(Box::new(move || universe.set_clock(host, |_, clock| clock.step_wall(-by_ms))))
    }
}
