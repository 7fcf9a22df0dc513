//! Many machines on a drawn network that is cut, heals, and loses words: what must be true of all of them in the end.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use comity_proto::ids::PublicKey;
use proptest::prelude::*;

use super::super::machine::{Input, Machine, Output};
use super::super::record::{State, Voice};
use super::{TIMING, node};

/// A step of the world, ms.
const STEP_MS: u64 = 250;
/// Long enough for detection and the longest suspicion in a mesh of this size, with worst health.
const LONG_MS: u64 = 150_000;

#[derive(Clone, Debug)]
enum Word {
    Beat { of: u8, sequence: u64, leaving: bool },
    Suspicion { of: u8, sequence: u64, by: u8 },
}

/// Machines, who can talk to whom, and everything that was ever said.
struct World {
    machines: BTreeMap<u8, Machine>,
    sequences: BTreeMap<u8, u64>,
    cut: BTreeSet<(u8, u8)>,
    now_ms: u64,
    chance: u64,
    lost_percent: u64,
    said: Vec<Word>,
}

impl World {
    fn new(nodes: u8, chance: u64, lost_percent: u64) -> World {
        let machine = |number| (number, Machine::new(node(number), TIMING, u64::from(number) ^ chance));
        let mut world = World {
            machines: (0..nodes).map(machine).collect(),
            sequences: BTreeMap::new(),
            cut: BTreeSet::new(),
            now_ms: 1_000_000,
            chance,
            lost_percent,
            said: Vec::new(),
        };
        for (one, other) in world.pairs() {
            world.feed(one, Input::Connected(node(other)));
        }
        (0..nodes).for_each(|number| world.beat(number, 0, false));
        world
    }

    fn pairs(&self) -> Vec<(u8, u8)> {
        let all = self.machines.keys().flat_map(|one| self.machines.keys().map(move |other| (*one, *other)));
        all.filter(|(one, other)| one != other).collect()
    }

    fn talks(&self, one: u8, other: u8) -> bool {
        self.machines.contains_key(&one) && self.machines.contains_key(&other) && !self.cut.contains(&(one, other))
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % below
    }

    fn beat(&mut self, number: u8, above: u64, leaving: bool) {
        let now_ms = self.now_ms;
        let Some(machine) = self.machines.get_mut(&number) else { return };
        let sequence = machine.next_sequence(now_ms, above);
        self.sequences.insert(number, sequence);
        self.say(number, Word::Beat { of: number, sequence, leaving });
    }

    /// Tells a word to everybody who can be reached from the speaker, over as many hops as it takes; some miss it.
    fn say(&mut self, from: u8, word: Word) {
        let mut reached = BTreeSet::from([from]);
        let mut open = vec![from];
        while let Some(one) = open.pop() {
            let next: Vec<u8> = self
                .machines
                .keys()
                .copied()
                .filter(|other| self.talks(one, *other) && !reached.contains(other))
                .collect();
            reached.extend(&next);
            open.extend(next);
        }
        reached.remove(&from);
        for other in reached {
            if self.draw(100) >= self.lost_percent {
                self.tell(other, &word);
            }
        }
        self.said.push(word);
    }

    fn tell(&mut self, to: u8, word: &Word) {
        let input = match word {
            Word::Beat { of, sequence, leaving } => {
                Input::Alive { node: node(*of), sequence: *sequence, leaving: *leaving }
            }
            Word::Suspicion { of, sequence, by } => Input::Accused {
                of: node(*of),
                sequence: *sequence,
                by: node(*by),
                voice: Voice::Node,
                word: Bytes::new(),
            },
        };
        self.feed(to, input);
    }

    fn feed(&mut self, to: u8, input: Input) {
        let mut out = Vec::new();
        let Some(machine) = self.machines.get_mut(&to) else { return };
        machine.handle(self.now_ms, input, &mut out);
        for output in out {
            self.act(to, output);
        }
    }

    fn act(&mut self, by: u8, output: Output) {
        let number = |node: PublicKey| node.0[0];
        match output {
            Output::Ping { node: to, sequence, suspected, .. } => {
                let answers = self.talks(by, number(to)) && self.talks(number(to), by);
                if answers {
                    self.feed(number(to), Input::Pinged { known: sequence, suspected });
                }
                self.feed(by, if answers { Input::Pong(to) } else { Input::NoPong(to) });
            }
            Output::AskToReach { helper, target, .. } => {
                let both = |one, other| self.talks(one, other) && self.talks(other, one);
                let (hears, answers) = (both(by, number(helper)), both(number(helper), number(target)));
                self.feed(by, if hears { Input::Reached { target, answers } } else { Input::Mute { target } });
            }
            Output::Accuse { of, sequence } => {
                let word = Word::Suspicion { of: number(of), sequence, by };
                self.tell(by, &word);
                self.say(by, word);
            }
            Output::Refute { above } => self.beat(by, above, false),
            Output::Changed { .. } | Output::Forget(_) => {}
        }
    }

    fn pass(&mut self, ms: u64) {
        for step in 0..ms / STEP_MS {
            self.now_ms += STEP_MS;
            let numbers: Vec<u8> = self.machines.keys().copied().collect();
            for number in &numbers {
                self.feed(*number, Input::Tick);
            }
            if step % 20 == 0 {
                numbers.iter().for_each(|number| self.beat(*number, 0, false));
            }
            if step % 60 == 0 {
                self.repair();
            }
        }
    }

    /// Neighbours tell each other all that was ever said, oldest last: order and repetition must not matter.
    fn repair(&mut self) {
        let words: Vec<Word> = self.said.iter().rev().take(400).cloned().collect();
        let numbers: Vec<u8> = self.machines.keys().copied().collect();
        for number in numbers {
            if self.machines.keys().any(|other| *other != number && self.talks(number, *other)) {
                words.iter().for_each(|word| self.tell(number, word));
            }
        }
    }

    fn state(&self, eyes: u8, of: u8) -> Option<State> {
        self.machines[&eyes].sight(&node(of), self.now_ms).map(|sight| sight.state)
    }

    fn all_alive(&self) -> Result<(), TestCaseError> {
        for (eyes, of) in self.pairs() {
            prop_assert_eq!(self.state(eyes, of), Some(State::Alive), "{} sees {}", eyes, of);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn after_the_healing_all_are_alive_again_and_the_dead_and_the_departed_are_told_apart(
        nodes in 4_u8..9,
        chance in any::<u64>(),
        lost_percent in 0_u64..40,
        cuts in proptest::collection::vec((0_u8..9, 0_u8..9), 0..30),
        cut_ms in 0_u64..60_000,
    ) {
        let mut world = World::new(nodes, chance, lost_percent);
        world.pass(10_000);
        world.cut = cuts.into_iter().collect();
        world.pass(cut_ms);
        world.cut.clear();
        world.pass(30_000);
        world.all_alive()?;

        // One leaves, one dies without a word.
        let (leaver, dead) = (0, 1);
        world.beat(leaver, 0, true);
        world.machines.remove(&leaver);
        world.machines.remove(&dead);
        for survivor in 2..nodes {
            world.feed(survivor, Input::Disconnected(node(leaver)));
        }
        world.pass(LONG_MS);
        for survivor in 2..nodes {
            prop_assert_eq!(world.state(survivor, leaver), Some(State::Left), "a leave is no failure");
            prop_assert_eq!(world.state(survivor, dead), Some(State::Failed), "a death is seen by all");
        }
        world.all_alive()?;
    }

    #[test]
    fn a_liar_cannot_part_those_that_can_talk(
        nodes in 4_u8..8,
        chance in any::<u64>(),
        every in 1_u64..40,
    ) {
        let mut world = World::new(nodes, chance, 0);
        world.pass(5_000);
        let (liar, victim) = (0, 1);
        for _ in 0..60_000 / (every * STEP_MS) {
            // It always knows the newest heartbeat of its victim.
            let sequence = world.sequences[&victim];
            world.say(liar, Word::Suspicion { of: victim, sequence, by: liar });
            world.pass(every * STEP_MS);
            for honest in 2..nodes {
                prop_assert_ne!(world.state(honest, victim), Some(State::Failed));
            }
        }
        world.pass(10_000);
        for honest in 2..nodes {
            prop_assert_eq!(world.state(honest, victim), Some(State::Alive));
        }
    }
}
