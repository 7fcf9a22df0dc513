//! The ledger's time: stamps, stalls, and pulses that let time decide.

use super::Out;
use crate::{escrow, event::EventKind, outcome::Outcome, state::Ledger};
use alloc::vec::Vec;
use comity_proto::{
    limits::{PULSE_EVERY_MS, PULSE_ITEMS_MAX, STALL_MS},
    planted::{Plant, planted},
    text::Name,
};

/// The next thing that is due. Order of variants is the order among equal times.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Escrow,
    Settlement,
    Name,
    Redemption,
}

impl Ledger {
    /// Moves the clock to an entry's stamp, never back. A gap above [`STALL_MS`] while escrow deadlines are open is a
    /// stall: nobody could deliver or answer, so those deadlines move by the gap.
    pub(super) fn advance(&mut self, stamp_ms: u64, out: &mut Out) {
        let gap_ms = stamp_ms.saturating_sub(self.head.stamp_ms);
        self.head.stamp_ms = if planted(Plant::OwnClock) { stamp_ms } else { self.head.stamp_ms.max(stamp_ms) };
        // While it is fenced nobody can deliver or answer either.
        if (gap_ms > STALL_MS || (gap_ms > 0 && self.is_fenced())) && !self.escrow_queue.is_empty() {
            self.head.stalled_ms = self.head.stalled_ms.saturating_add(gap_ms);
            self.emit(out, EventKind::ClockStalled { gap_ms }, Vec::new());
        }
    }

    /// Whether the leader should propose a pulse now: something is due or to be forgotten, or escrow deadlines are open and
    /// the last entry is so old that the next gap would soon look like a stall. Behind a fence only to lift it.
    pub fn pulse_due(&self, now_ms: u64) -> bool {
        if self.is_fenced() {
            return self.all_agree();
        }
        let quiet_ms = now_ms.saturating_sub(self.head.stamp_ms);
        let due = self.next_due().is_some_and(|(at, _)| at <= now_ms);
        let over = self.forget_queue.first().is_some_and(|(at, _)| at <= now_ms);
        due || over || (!self.escrow_queue.is_empty() && quiet_ms >= PULSE_EVERY_MS)
    }

    /// The earliest of the queues, in ledger time.
    fn next_due(&self) -> Option<(u64, Due)> {
        let shown = |worked: u64| worked.saturating_add(self.head.stalled_ms);
        let escrow = self.escrow_queue.first().map(|(at, _)| (shown(at), Due::Escrow));
        let settlement = self.settlement.next_due_ms().map(|at| (at, Due::Settlement));
        let name = self.name_queue.first().map(|(at, _)| (at, Due::Name));
        let redemption = self.redemption_due().map(|(at, _)| (at, Due::Redemption));
        [escrow, settlement, name, redemption].into_iter().flatten().min()
    }

    /// Lets time decide about at most [`PULSE_ITEMS_MAX`] due things, earliest first; then forgets as many that ended long
    /// ago, apart, so that forgetting never holds up a deadline.
    pub(super) fn apply_pulse(&mut self, out: &mut Out) -> Outcome {
        if self.head.domain.is_none() {
            return Outcome::NotInitialized;
        }
        // What is due may rest on what was lost: time decides nothing before the peers agree.
        if self.is_fenced() {
            return Outcome::Fenced;
        }
        let now_ms = self.head.stamp_ms;
        for _ in 0..PULSE_ITEMS_MAX {
            match self.next_due() {
                Some((at, due)) if at <= now_ms => self.apply_due(&due, out),
                _ => break,
            }
        }
        self.forget_escrows(PULSE_ITEMS_MAX);
        self.settlement.forget_all(now_ms);
        Outcome::Applied
    }

    fn apply_due(&mut self, due: &Due, out: &mut Out) {
        let now_ms = self.head.stamp_ms;
        match due {
            Due::Settlement => {
                self.settle(out, |ledger, effects| ledger.settlement_due(now_ms, 1, effects));
            }
            Due::Name => {
                if let Some((_, name)) = self.name_queue.first().map(|(at, name)| (at, name.clone())) {
                    self.expire_name(&name, out);
                }
            }
            Due::Redemption => self.settle(out, |ledger, effects| ledger.end_redemption(effects)),
            Due::Escrow => {
                let Some((_, id)) = self.escrow_queue.first().map(|(at, id)| (at, *id)) else { return };
                let done = escrow::time_out(self, out, id);
                assert!(done.is_ok(), "an escrow's account holds what its open parts say");
            }
        }
    }

    /// Frees a name whose time is over.
    pub(super) fn expire_name(&mut self, name: &Name, out: &mut Out) {
        self.free_name(name, true, out);
    }
}
