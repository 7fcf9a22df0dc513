//! What is known of one member.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use comity_proto::ids::{DomainId, PublicKey};
use comity_proto::limits::SUSPICIONS_MAX;

use super::health::Health;
use super::timing::Timing;

/// What a member is held for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Heard, and nobody says otherwise.
    Alive,
    /// Not reached, by us or by others; it may still refute that.
    Suspect,
    /// It said that it leaves.
    Left,
    /// Suspected and not refuted in time.
    Failed,
}

impl State {
    /// One word for tables.
    pub fn name(self) -> &'static str {
        match self {
            State::Alive => "alive",
            State::Suspect => "suspect",
            State::Left => "left",
            State::Failed => "failed",
        }
    }
}

/// For how many an accuser speaks. Only what its certificate proves counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Voice {
    /// For itself: a node of our own domain, or of the accused's domain.
    Node,
    /// With all other nodes of its domain: an operator of many nodes has one voice about others.
    Domain(DomainId),
    /// Nobody vouches for it: it may raise a suspicion, but not shorten one.
    Stranger,
}

#[derive(Clone, Debug)]
struct Accuser {
    /// Which sequence of the accused it could not reach.
    sequence: u64,
    at_ms: u64,
    voice: Voice,
    /// The signed suspicion.
    word: Bytes,
}

/// What became of an accusation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    New,
    Known,
    /// A newer heartbeat has refuted it already, or the member has left.
    Refuted,
    /// Others have said enough.
    Full,
}

/// A member as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sight {
    pub(crate) state: State,
    /// Time in this state, ms.
    pub(crate) since_ms: u64,
    /// Time since its last sign of life, first hand or signed, ms.
    pub(crate) quiet_ms: u64,
    /// Whose accusations stand.
    pub(crate) accusers: Vec<PublicKey>,
}

/// One member.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) sequence: u64,
    leaving: bool,
    pub(super) state: State,
    since_ms: u64,
    /// Last sign of life, first hand or signed.
    heard_ms: u64,
    accusers: BTreeMap<PublicKey, Accuser>,
    /// We heard it ourselves at that time: accusations up to then are refuted in our eyes.
    answered_ms: Option<u64>,
    /// Since when its silence speaks against it.
    silent_ms: Option<u64>,
}

impl Record {
    pub(super) fn new(now_ms: u64, sequence: u64, leaving: bool) -> Record {
        Record {
            sequence,
            leaving,
            state: if leaving { State::Left } else { State::Alive },
            since_ms: now_ms,
            heard_ms: now_ms,
            accusers: BTreeMap::new(),
            answered_ms: None,
            silent_ms: None,
        }
    }

    /// A newer heartbeat: whatever was said about an older one is refuted.
    pub(super) fn renew(&mut self, now_ms: u64, sequence: u64, leaving: bool) {
        (self.sequence, self.leaving, self.heard_ms) = (sequence, leaving, now_ms);
        self.accusers.retain(|_, accuser| accuser.sequence >= sequence && !leaving);
        (self.silent_ms, self.answered_ms) = (None, None);
    }

    /// It answered us.
    pub(super) fn answered(&mut self, now_ms: u64) {
        self.heard_ms = now_ms;
        self.answered_ms = Some(now_ms);
        self.silent_ms = None;
    }

    /// It does not answer us any more: what others said meanwhile counts again, from now on.
    pub(super) fn unanswered(&mut self, now_ms: u64) {
        if let Some(answered) = self.answered_ms.take() {
            let void = self.accusers.values_mut().filter(|accuser| accuser.at_ms <= answered);
            void.for_each(|accuser| accuser.at_ms = now_ms);
        }
    }

    /// Nothing has been heard since so long that its silence speaks against it.
    pub(super) fn silent(&mut self, now_ms: u64, after_ms: u64) {
        if now_ms.saturating_sub(self.heard_ms) > after_ms {
            self.silent_ms.get_or_insert(now_ms);
        }
    }

    pub(super) fn accuse(&mut self, now_ms: u64, by: PublicKey, sequence: u64, voice: Voice, word: Bytes) -> Taken {
        if sequence < self.sequence || self.leaving {
            return Taken::Refuted;
        }
        let known = self.accusers.get(&by);
        if known.is_some_and(|known| known.sequence >= sequence) {
            return Taken::Known;
        }
        if known.is_none() && self.accusers.len() >= SUSPICIONS_MAX {
            // A place of somebody whom nobody vouches for is given to one who counts.
            let stranger = self.accusers.iter().find(|(_, accuser)| accuser.voice == Voice::Stranger);
            match stranger.map(|(stranger, _)| *stranger) {
                Some(stranger) if voice != Voice::Stranger => drop(self.accusers.remove(&stranger)),
                _ => return Taken::Full,
            }
        }
        self.accusers.insert(by, Accuser { sequence, at_ms: now_ms, voice, word });
        Taken::New
    }

    /// Whether this node has accused it since its last heartbeat.
    pub(super) fn is_accused_by(&self, by: &PublicKey) -> bool {
        self.accusers.contains_key(by)
    }

    /// Whether somebody accuses it, refuted in our eyes or not.
    pub(super) fn is_accused(&self) -> bool {
        !self.accusers.is_empty()
    }

    /// The highest sequence that was told of it: a refutation must be above.
    pub(super) fn highest(&self) -> u64 {
        self.accusers.values().map(|accuser| accuser.sequence).max().unwrap_or(0).max(self.sequence)
    }

    /// Signed suspicions, and how many they are.
    pub(super) fn words(&self) -> impl ExactSizeIterator<Item = &Bytes> {
        self.accusers.values().map(|accuser| &accuser.word)
    }

    fn standing(&self) -> impl Iterator<Item = (&PublicKey, &Accuser)> {
        let answered = self.answered_ms;
        self.accusers.iter().filter(move |(_, accuser)| answered.is_none_or(|answered| answered < accuser.at_ms))
    }

    /// How many independent accusers stand.
    pub(super) fn voices(&self) -> usize {
        let nodes = self.standing().filter(|(_, accuser)| accuser.voice == Voice::Node).count();
        let domain = |accuser: &Accuser| match accuser.voice {
            Voice::Domain(domain) => Some(domain),
            Voice::Node | Voice::Stranger => None,
        };
        nodes + self.standing().filter_map(|(_, accuser)| domain(accuser)).collect::<BTreeSet<_>>().len()
    }

    /// Judges it anew; answers the state before when that has changed.
    pub(super) fn judge(&mut self, now_ms: u64, timing: &Timing, members: usize, health: Health) -> Option<State> {
        let begun = self.standing().map(|(_, accuser)| accuser.at_ms).chain(self.silent_ms).min();
        let next = match begun {
            _ if self.leaving => State::Left,
            None => State::Alive,
            // Failed stays failed until it is heard again, however the times change.
            Some(_) if self.state == State::Failed => State::Failed,
            Some(begun) => {
                let waits = timing.suspicion(members, self.voices().saturating_sub(1), health);
                if now_ms >= begun.saturating_add(waits) { State::Failed } else { State::Suspect }
            }
        };
        let before = std::mem::replace(&mut self.state, next);
        if before == next {
            return None;
        }
        self.since_ms = now_ms;
        Some(before)
    }

    /// We did not listen for a while: nothing was said in that time, and nobody was silent.
    pub(super) fn pause(&mut self, ms: u64) {
        self.accusers.values_mut().for_each(|accuser| accuser.at_ms += ms);
        self.silent_ms = self.silent_ms.map(|at| at + ms);
        self.heard_ms += ms;
    }

    /// Whether it went, one way or the other, so long ago.
    pub(super) fn is_gone_since(&self, now_ms: u64, ms: u64) -> bool {
        matches!(self.state, State::Left | State::Failed) && now_ms.saturating_sub(self.since_ms) > ms
    }

    /// As it is shown.
    pub(super) fn sight(&self, now_ms: u64) -> Sight {
        let accusers = self.standing().map(|(by, _)| *by).collect();
        let ago = |at_ms: u64| now_ms.saturating_sub(at_ms);
        Sight { state: self.state, since_ms: ago(self.since_ms), quiet_ms: ago(self.heard_ms), accusers }
    }
}
