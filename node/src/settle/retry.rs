//! When to say a thing again: after 1, 2, 4 seconds, then every 4, each a little early or late by chance.
//!
//! Not rarer: the pause is what a transfer may stay in doubt after both sides are well again, and that is to be well
//! below ten seconds.

use comity_ledger::settlement::OwedMessage;
use comity_proto::ids::{DomainId, TransferId};
use comity_runtime::Instant;
use std::{collections::BTreeMap, time::Duration};

const FIRST: Duration = Duration::from_secs(1);
const LAST: Duration = Duration::from_secs(4);

type Key = (DomainId, TransferId, u8);

struct Said {
    next: Instant,
    pause: Duration,
    round: u64,
}

/// What was said and when it is due again.
pub(super) struct Retries {
    said: BTreeMap<Key, Said>,
    round: u64,
    /// One byte of chance for each pause.
    chance: Box<dyn FnMut() -> u8 + Send>,
}

impl Retries {
    /// Nothing was said.
    pub(super) fn new(chance: Box<dyn FnMut() -> u8 + Send>) -> Retries {
        Retries { said: BTreeMap::new(), round: 0, chance }
    }

    /// Up to a quarter earlier or later, so that two sides do not meet in step.
    fn jittered(&mut self, pause: Duration) -> Duration {
        pause.mul_f64(0.75 + f64::from((self.chance)()) / 512.0)
    }

    /// A pass over everything that is still owed begins.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
    }

    /// Notes that a message is said now for the first time.
    pub(super) fn said_now(&mut self, peer: DomainId, message: &OwedMessage, now: Instant) {
        let said = Said { next: now + self.jittered(FIRST), pause: FIRST, round: self.round };
        self.said.insert((peer, message.transfer(), message.kind()), said);
    }

    /// Whether a message that is still owed is to be said again now. A query waits one pause longer than the vote that
    /// it repeats: most votes are answered.
    pub(super) fn is_due(&mut self, peer: DomainId, message: &OwedMessage, now: Instant) -> bool {
        let round = self.round;
        let key = (peer, message.transfer(), message.kind());
        let (said_before, pause, due) = match self.said.get_mut(&key) {
            Some(said) => {
                said.round = round;
                if now < said.next {
                    return false;
                }
                let pause = (said.pause * 2).min(LAST);
                (pause, pause, true)
            }
            None => {
                let waits = matches!(message, OwedMessage::Query { .. });
                (FIRST, if waits { FIRST * 2 } else { FIRST }, !waits)
            }
        };
        let next = now + self.jittered(pause);
        self.said.insert(key, Said { next, pause: said_before, round });
        due
    }

    /// The peer can be reached again, or better than before: what waits for it is due at the next look.
    pub(super) fn hurry(&mut self, peer: DomainId) {
        self.said.retain(|(of, _, _), _| *of != peer);
    }

    /// Forgets everything.
    pub(super) fn forget_all(&mut self) {
        self.said.clear();
    }

    /// Forgets what is no longer owed: everything that this round did not meet.
    pub(super) fn end_round(&mut self) {
        let round = self.round;
        self.said.retain(|_, said| said.round == round);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::settlement::Acknowledge;

    fn message() -> OwedMessage {
        OwedMessage::Acknowledge(Acknowledge { transfer: TransferId([1; 16]), commit: true })
    }

    #[test]
    fn what_waits_for_a_peer_is_due_at_once_when_the_peer_is_back() {
        let (peer, other) = (DomainId([2; 32]), DomainId([3; 32]));
        let mut retries = Retries::new(Box::new(|| 128));
        let start = Instant::from_ns(0);
        retries.said_now(peer, &message(), start);
        retries.said_now(other, &message(), start);
        retries.hurry(peer);
        assert!(retries.is_due(peer, &message(), start), "the peer that is back");
        assert!(!retries.is_due(other, &message(), start), "not the other one");
    }

    #[test]
    fn a_message_is_repeated_with_growing_pauses_and_forgotten_when_answered() {
        let peer = DomainId([2; 32]);
        let mut retries = Retries::new(Box::new(|| 128));
        let start = Instant::from_ns(0);
        retries.said_now(peer, &message(), start);
        let mut repeats = Vec::new();
        for tenths in 0..300_u32 {
            retries.begin_round();
            if retries.is_due(peer, &message(), start + Duration::from_millis(100) * tenths) {
                repeats.push(tenths / 10);
            }
            retries.end_round();
        }
        assert!((7..=10).contains(&repeats.len()), "{repeats:?}");
        assert!(repeats[0] <= 2 && repeats[1] <= 4, "{repeats:?}");
        retries.begin_round();
        retries.end_round();
        assert!(retries.said.is_empty());
    }
}
