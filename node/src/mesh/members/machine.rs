//! The machine: one input, a moment, what is to be done.

use std::collections::BTreeMap;

use bytes::Bytes;
use comity_proto::ids::PublicKey;

use super::health::Health;
use super::record::{Record, Sight, State, Taken, Voice};
use super::timing::{CONFIRMATIONS, HELPERS, PERIODS_UNPINGED, Timing};
use super::watch::{Step, Watch};
use crate::mesh::limits::GONE_KEPT_MS;

/// What happened. Signatures have been verified.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// A heartbeat.
    Alive { node: PublicKey, sequence: u64, leaving: bool },
    /// A suspicion, our own among them.
    Accused { of: PublicKey, sequence: u64, by: PublicKey, voice: Voice, word: Bytes },
    /// A first connection to a node.
    Connected(PublicKey),
    /// The last connection to it ended.
    Disconnected(PublicKey),
    /// Bytes that only this neighbour can have sent.
    Sign(PublicKey),
    /// It answered our ping.
    Pong(PublicKey),
    /// It did not answer in time, or the ping could not be sent.
    NoPong(PublicKey),
    /// A helper says whether it reaches a node.
    Reached { target: PublicKey, answers: bool },
    /// A helper said nothing in time.
    Mute { target: PublicKey },
    /// A neighbour told us with a ping that it knows this sequence of ours, and whether we are suspected since.
    Pinged { known: u64, suspected: bool },
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Ping a neighbour; answered by [`Input::Pong`] or [`Input::NoPong`].
    Ping { node: PublicKey, sequence: u64, suspected: bool, within_ms: u64 },
    /// Ask a helper; answered by [`Input::Reached`] or [`Input::Mute`].
    AskToReach { helper: PublicKey, target: PublicKey, within_ms: u64 },
    /// Sign and publish a suspicion, and give it back as [`Input::Accused`].
    Accuse { of: PublicKey, sequence: u64 },
    /// Publish a heartbeat whose sequence is above this one.
    Refute { above: u64 },
    /// A member is held for something else now.
    Changed { node: PublicKey, from: State, to: State },
    /// A member has been gone for so long that it is not shown any more.
    Forget(PublicKey),
}

/// Membership as this node sees it.
#[derive(Debug)]
pub(crate) struct Machine {
    me: PublicKey,
    timing: Timing,
    own_sequence: u64,
    health: Health,
    records: BTreeMap<PublicKey, Record>,
    watches: BTreeMap<PublicKey, Watch>,
    /// Members that live, as of the last tick, ourselves among them.
    members: usize,
    ticked_ms: Option<u64>,
    /// A heartbeat above this sequence is owed: sent at once, but not more often than twice a period.
    owed: Option<u64>,
    refuted_ms: Option<u64>,
    chance: u64,
}

impl Machine {
    /// `chance` decides whom it asks for help.
    pub(crate) fn new(me: PublicKey, timing: Timing, chance: u64) -> Machine {
        Machine {
            me,
            timing,
            own_sequence: 0,
            health: Health::default(),
            records: BTreeMap::new(),
            watches: BTreeMap::new(),
            members: 1,
            ticked_ms: None,
            owed: None,
            refuted_ms: None,
            chance,
        }
    }

    /// Takes one input. `true`: it was news, worth passing on.
    pub(crate) fn handle(&mut self, now_ms: u64, input: Input, out: &mut Vec<Output>) -> bool {
        match input {
            Input::Alive { node, sequence, leaving } => return self.alive(now_ms, node, sequence, leaving, out),
            Input::Accused { of, sequence, by, voice, word } => {
                return self.accused(now_ms, of, (sequence, by, voice, word), out);
            }
            Input::Connected(node) => {
                self.watches.insert(node, Watch::connected(now_ms));
                self.sign(now_ms, node, out);
            }
            Input::Disconnected(node) => self.disconnected(now_ms, node),
            Input::Sign(node) => self.sign(now_ms, node, out),
            Input::Pong(node) => {
                self.health.better();
                self.sign(now_ms, node, out);
            }
            Input::NoPong(node) => {
                if self.step(&node) == Some(Step::Pinged) {
                    self.ask_helpers(now_ms, node, out);
                }
            }
            Input::Reached { target, answers: true } => {
                self.set_step(&target, Step::Idle { due_ms: now_ms + self.every() });
                self.drop_unconnected(&target);
            }
            Input::Reached { target, answers: false } => self.helper_done(now_ms, target, 0, out),
            Input::Mute { target } => self.helper_done(now_ms, target, 1, out),
            Input::Pinged { known, suspected } => {
                if known > self.own_sequence || (suspected && known == self.own_sequence) {
                    self.refute(now_ms, known, out);
                }
            }
            Input::Tick => self.tick(now_ms, out),
        }
        false
    }

    /// Our next sequence: the clock carries the count over a restart, the increment keeps it rising when it does not.
    pub(crate) fn next_sequence(&mut self, clock_ms: u64, above: u64) -> u64 {
        self.own_sequence = clock_ms.max(self.own_sequence + 1).max(above.saturating_add(1));
        self.own_sequence
    }

    /// A member as it is shown.
    pub(crate) fn sight(&self, node: &PublicKey, now_ms: u64) -> Option<Sight> {
        self.records.get(node).map(|record| record.sight(now_ms))
    }

    /// Signed suspicions of a member that no heartbeat has refuted.
    pub(crate) fn words(&self, node: &PublicKey) -> impl Iterator<Item = &Bytes> {
        self.records.get(node).into_iter().flat_map(Record::words)
    }

    /// How many those are.
    pub(crate) fn word_count(&self, node: &PublicKey) -> usize {
        self.records.get(node).map_or(0, |record| record.words().len())
    }

    /// What we said last of ourselves.
    pub(crate) fn own_sequence(&self) -> u64 {
        self.own_sequence
    }

    /// A heartbeat that is older than this proves nothing any more, ms.
    pub(crate) fn stale_after_ms(&self) -> u64 {
        self.timing.silent_after(self.members)
    }

    /// Drops a member: the table has no room for it.
    pub(crate) fn forget(&mut self, node: &PublicKey) {
        self.records.remove(node);
    }

    /// Members that live, ourselves among them.
    pub(crate) fn living(&self) -> usize {
        self.members
    }

    /// The periods.
    pub(crate) fn timing(&self) -> &Timing {
        &self.timing
    }

    fn every(&self) -> u64 {
        self.health.stretch(self.timing.ping_every(self.watches.len()))
    }

    fn step(&self, node: &PublicKey) -> Option<Step> {
        self.watches.get(node).map(|watch| watch.step)
    }

    fn set_step(&mut self, node: &PublicKey, step: Step) {
        if let Some(watch) = self.watches.get_mut(node) {
            watch.step = step;
        }
    }

    fn alive(&mut self, now_ms: u64, node: PublicKey, sequence: u64, leaving: bool, out: &mut Vec<Output>) -> bool {
        if node == self.me {
            // An earlier life of ours said more than we know of, or said that we leave.
            if sequence > self.own_sequence {
                self.refute(now_ms, sequence, out);
            }
            return false;
        }
        match self.records.get_mut(&node) {
            Some(record) if record.sequence >= sequence => return false,
            Some(record) => {
                record.renew(now_ms, sequence, leaving);
                // It lives, and is not our neighbour any more: others watch it.
                if matches!(self.step(&node), Some(Step::Unreached { .. })) {
                    self.drop_unconnected(&node);
                }
            }
            None => drop(self.records.insert(node, Record::new(now_ms, sequence, leaving))),
        }
        self.judge(now_ms, node, out);
        true
    }

    fn accused(
        &mut self,
        now_ms: u64,
        of: PublicKey,
        (sequence, by, voice, word): (u64, PublicKey, Voice, Bytes),
        out: &mut Vec<Output>,
    ) -> bool {
        if of == self.me {
            if sequence >= self.own_sequence {
                self.refute(now_ms, sequence, out);
            }
            return false;
        }
        // Somebody who was never heard is no witness.
        if by != self.me && !self.records.contains_key(&by) {
            return false;
        }
        let Some(record) = self.records.get_mut(&of) else { return false };
        if record.accuse(now_ms, by, sequence, voice, word) != Taken::New {
            return false;
        }
        // Whoever is connected to the accused looks at once: it confirms, or tells the accused.
        if let Some(watch) = self.watches.get_mut(&of).filter(|watch| matches!(watch.step, Step::Idle { .. })) {
            watch.step = Step::Idle { due_ms: now_ms };
            self.look(now_ms, of, out);
        }
        self.judge(now_ms, of, out);
        true
    }

    fn refute(&mut self, now_ms: u64, above: u64, out: &mut Vec<Output>) {
        self.health.worse();
        // Counted as said already: the next words about the same sequence ask for nothing more.
        self.own_sequence = self.own_sequence.max(above.saturating_add(1));
        self.owed = self.owed.max(Some(above));
        self.pay(now_ms, out);
    }

    fn pay(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let pause_ms = self.timing.ping_every_ms / 2;
        if self.refuted_ms.is_none_or(|at| now_ms >= at.saturating_add(pause_ms))
            && let Some(above) = self.owed.take()
        {
            self.refuted_ms = Some(now_ms);
            out.push(Output::Refute { above });
        }
    }

    fn disconnected(&mut self, now_ms: u64, node: PublicKey) {
        if let Some(watch) = self.watches.get_mut(&node) {
            watch.is_connected = false;
            // A lost connection is a ping without answer.
            if matches!(watch.step, Step::Idle { .. }) {
                watch.step = Step::Idle { due_ms: now_ms };
            }
        }
    }

    fn sign(&mut self, now_ms: u64, node: PublicKey, out: &mut Vec<Output>) {
        let due_ms = now_ms + self.every();
        if let Some(watch) = self.watches.get_mut(&node) {
            watch.heard_ms = now_ms;
            if !matches!(watch.step, Step::Idle { .. }) {
                watch.step = Step::Idle { due_ms };
            }
        }
        if let Some(record) = self.records.get_mut(&node) {
            record.answered(now_ms);
            self.judge(now_ms, node, out);
        }
    }

    fn judge(&mut self, now_ms: u64, node: PublicKey, out: &mut Vec<Output>) {
        let Some(record) = self.records.get_mut(&node) else { return };
        if let Some(from) = record.judge(now_ms, &self.timing, self.members, self.health) {
            out.push(Output::Changed { node, from, to: record.state });
        }
    }

    fn tick(&mut self, now_ms: u64, out: &mut Vec<Output>) {
        let gap_ms = now_ms.saturating_sub(self.ticked_ms.replace(now_ms).unwrap_or(now_ms));
        if gap_ms > 2 * self.timing.ping_every_ms {
            self.paused(gap_ms);
        }
        self.pay(now_ms, out);
        let living = |record: &&Record| matches!(record.state, State::Alive | State::Suspect);
        self.members = 1 + self.records.values().filter(living).count();
        let watched: Vec<PublicKey> = self.watches.keys().copied().collect();
        watched.into_iter().for_each(|node| self.look(now_ms, node, out));
        let silent_after = self.timing.silent_after(self.members);
        let mut gone = Vec::new();
        for (node, record) in &mut self.records {
            // Who is connected is pinged, and needs to say nothing by itself.
            if !self.watches.get(node).is_some_and(|watch| watch.is_connected) {
                record.silent(now_ms, silent_after);
            }
            if let Some(from) = record.judge(now_ms, &self.timing, self.members, self.health) {
                out.push(Output::Changed { node: *node, from, to: record.state });
            }
            if record.is_gone_since(now_ms, GONE_KEPT_MS) {
                gone.push(*node);
            }
        }
        for node in gone {
            self.records.remove(&node);
            out.push(Output::Forget(node));
        }
    }

    /// We did not run for a while, so what we did not hear in that time tells nothing.
    fn paused(&mut self, ms: u64) {
        self.health.worse();
        self.records.values_mut().for_each(|record| record.pause(ms));
        self.watches.values_mut().for_each(|watch| watch.heard_ms += ms);
    }

    /// Looks at one neighbour whose time has come.
    fn look(&mut self, now_ms: u64, node: PublicKey, out: &mut Vec<Output>) {
        let Some(watch) = self.watches.get(&node).copied() else { return };
        let (is_due, waits) = match watch.step {
            Step::Idle { due_ms } => (now_ms >= due_ms, false),
            Step::Unreached { again_ms } => (now_ms >= again_ms, true),
            Step::Pinged | Step::Asked { .. } => (false, false),
        };
        let record = self.records.get(&node);
        match record {
            _ if !is_due => {}
            // One that never said that it is a member, or that it leaves.
            None => self.drop_unconnected(&node),
            Some(record) if record.state == State::Left => self.drop_unconnected(&node),
            // A lost connection is held against it once. Then those that are still connected to it are its watch.
            Some(record) if waits && !watch.is_connected => {
                if record.state != State::Suspect {
                    self.drop_unconnected(&node);
                }
            }
            Some(_) if !watch.is_connected => self.ask_helpers(now_ms, node, out),
            Some(record) => {
                let every = self.every();
                let quiet_ms = watch.heard_ms + every;
                let is_unpinged = now_ms >= watch.pinged_ms + PERIODS_UNPINGED * every;
                if waits || record.is_accused() || is_unpinged || now_ms >= quiet_ms {
                    self.ping(now_ms, node, out);
                } else {
                    self.set_step(&node, Step::Idle { due_ms: quiet_ms });
                }
            }
        }
    }

    fn drop_unconnected(&mut self, node: &PublicKey) {
        if self.watches.get(node).is_some_and(|watch| !watch.is_connected) {
            self.watches.remove(node);
        }
    }

    fn ping(&mut self, now_ms: u64, node: PublicKey, out: &mut Vec<Output>) {
        let (Some(watch), Some(record)) = (self.watches.get_mut(&node), self.records.get(&node)) else { return };
        watch.step = Step::Pinged;
        watch.pinged_ms = now_ms;
        let (sequence, suspected) = (record.highest(), record.is_accused());
        out.push(Output::Ping { node, sequence, suspected, within_ms: self.timing.pong_within(self.health) });
    }

    fn ask_helpers(&mut self, now_ms: u64, target: PublicKey, out: &mut Vec<Output>) {
        let lately_ms = 2 * self.every();
        let able = |(node, watch): (&PublicKey, &Watch)| {
            (*node != target && self.records.contains_key(node) && watch.can_help(now_ms, lately_ms)).then_some(*node)
        };
        let mut helpers: Vec<PublicKey> = self.watches.iter().filter_map(able).collect();
        while helpers.len() > HELPERS {
            let one = self.draw(helpers.len());
            helpers.swap_remove(one);
        }
        let of = helpers.len();
        self.set_step(&target, Step::Asked { left: of, mute: 0, of });
        if of == 0 {
            return self.unreached(now_ms, target, true, out);
        }
        let within_ms = self.timing.reached_within(self.health);
        out.extend(helpers.into_iter().map(|helper| Output::AskToReach { helper, target, within_ms }));
    }

    fn helper_done(&mut self, now_ms: u64, target: PublicKey, is_mute: usize, out: &mut Vec<Output>) {
        let Some(Step::Asked { left, mute, of }) = self.step(&target) else { return };
        let (left, mute) = (left.saturating_sub(1), mute + is_mute);
        self.set_step(&target, Step::Asked { left, mute, of });
        if left == 0 {
            self.unreached(now_ms, target, mute == of, out);
        }
    }

    /// Neither we nor our helpers reach it. If nobody answered us at all, we may be the one that is cut off.
    fn unreached(&mut self, now_ms: u64, target: PublicKey, nobody_answers: bool, out: &mut Vec<Output>) {
        if nobody_answers {
            self.health.worse();
        }
        self.set_step(&target, Step::Unreached { again_ms: now_ms + 2 * self.every() });
        let me = self.me;
        let Some(record) = self.records.get_mut(&target) else { return };
        record.unanswered(now_ms);
        // More voices than that shorten nothing.
        let is_said = record.is_accused_by(&me) || record.voices() > CONFIRMATIONS;
        if record.state != State::Left && !is_said {
            out.push(Output::Accuse { of: target, sequence: record.sequence });
        }
        self.judge(now_ms, target, out);
    }

    /// A number below `below`, by SplitMix64.
    fn draw(&mut self, below: usize) -> usize {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.chance;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below.max(1) as u64) as usize
    }
}
