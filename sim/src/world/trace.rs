//! The fingerprint of a run: a digest over everything that happened, in its order.
//!
//! Two runs are the same if their digests are. Marks on the way tell where two runs began to differ.

/// Events between two marks.
const MARK_EVERY: u64 = 4_096;
/// Marks kept; beyond it every second one is dropped and the distance doubles.
const MARKS_MAX: usize = 4_096;

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A task was polled: task, host.
    Poll = 1,
    /// Time moved on: to.
    Time,
    /// Bytes were handed to the network: connection, length.
    Send,
    /// A connection was made: from, to.
    Connect,
    /// A disk was flushed: host, bytes.
    Flush,
    /// A fault began or ended: number, on or off.
    Fault,
    /// A host was started or stopped: host, boot.
    Host,
    /// A scenario told something: what, value.
    Note,
}

/// A rolling digest with marks.
#[derive(Clone, Debug)]
pub struct Trace {
    digest: u64,
    events: u64,
    every: u64,
    marks: Vec<u64>,
}

impl Default for Trace {
    fn default() -> Self {
        Trace { digest: 0xCBF2_9CE4_8422_2325, events: 0, every: MARK_EVERY, marks: Vec::new() }
    }
}

impl Trace {
    /// Folds one event in.
    pub fn note(&mut self, kind: Kind, a: u64, b: u64) {
        let word = a.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ b.rotate_left(32) ^ (kind as u64) << 56;
        self.digest = (self.digest ^ word).wrapping_mul(0x0000_0100_0000_01B3).rotate_left(29);
        self.events += 1;
        if self.events.is_multiple_of(self.every) {
            self.mark();
        }
    }

    fn mark(&mut self) {
        self.marks.push(self.digest);
        if self.marks.len() == MARKS_MAX {
            // Marks stand at 1, 2, 3 .. times `every`: those at even multiples stay.
            let mut number = 0_u64;
            self.marks.retain(|_| {
                number += 1;
                number.is_multiple_of(2)
            });
            self.every *= 2;
        }
    }

    /// The digest of everything so far.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// How many events there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Digests on the way, one every [`Trace::marks_every`] events.
    pub fn marks(&self) -> &[u64] {
        &self.marks
    }

    /// Events between two marks.
    pub fn marks_every(&self) -> u64 {
        self.every
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_kind_and_values_all_count() {
        let digest = |events: &[(Kind, u64, u64)]| {
            let mut trace = Trace::default();
            events.iter().for_each(|(kind, a, b)| trace.note(*kind, *a, *b));
            trace.digest()
        };
        let base = digest(&[(Kind::Poll, 1, 2), (Kind::Time, 3, 0)]);
        assert_eq!(base, digest(&[(Kind::Poll, 1, 2), (Kind::Time, 3, 0)]));
        assert_ne!(base, digest(&[(Kind::Time, 3, 0), (Kind::Poll, 1, 2)]));
        assert_ne!(base, digest(&[(Kind::Send, 1, 2), (Kind::Time, 3, 0)]));
        assert_ne!(base, digest(&[(Kind::Poll, 2, 1), (Kind::Time, 3, 0)]));
    }

    #[test]
    fn marks_stay_bounded_and_evenly_spread() {
        let mut trace = Trace::default();
        for event in 0..MARK_EVERY * (MARKS_MAX as u64 + 10) {
            trace.note(Kind::Note, event, 0);
        }
        assert!(trace.marks().len() < MARKS_MAX);
        assert_eq!(trace.marks_every(), 2 * MARK_EVERY);
        assert_eq!(trace.marks().len() as u64, trace.events() / trace.marks_every());
    }
}
