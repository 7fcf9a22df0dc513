use bytes::Bytes;
use comity_proto::ids::{DomainId, PublicKey};

use super::super::machine::{Input, Machine, Output};
use super::super::record::{State, Voice};
use super::{TIMING, node};

const ME: u8 = 0;

/// A machine, its time, and what it asked for since it was last looked at.
struct Desk {
    machine: Machine,
    now_ms: u64,
    out: Vec<Output>,
}

impl Desk {
    /// Knows and is connected to so many others, all heard just now.
    fn with(neighbours: u8) -> Desk {
        let mut desk = Desk { machine: Machine::new(node(ME), TIMING, 7), now_ms: 10_000, out: Vec::new() };
        desk.machine.next_sequence(100, 0);
        for other in 1..=neighbours {
            desk.alive(other, 100);
            desk.take(Input::Connected(node(other)));
        }
        desk.take(Input::Tick);
        // The first pings are answered, the next ones are due after a period.
        for other in 1..=neighbours {
            desk.take(Input::Pong(node(other)));
        }
        desk.out.clear();
        desk
    }

    fn take(&mut self, input: Input) -> bool {
        self.machine.handle(self.now_ms, input, &mut self.out)
    }

    fn alive(&mut self, other: u8, sequence: u64) -> bool {
        self.take(Input::Alive { node: node(other), sequence, leaving: false })
    }

    fn leaves(&mut self, other: u8, sequence: u64) -> bool {
        self.take(Input::Alive { node: node(other), sequence, leaving: true })
    }

    fn accused(&mut self, of: u8, sequence: u64, by: u8, voice: Voice) -> bool {
        self.take(Input::Accused { of: node(of), sequence, by: node(by), voice, word: Bytes::new() })
    }

    /// Lets time pass in quarter periods; every ping and question is answered as `answers` says, at once.
    fn pass(&mut self, ms: u64, answers: impl Fn(&PublicKey) -> bool) {
        for _ in 0..ms / 250 {
            self.now_ms += 250;
            self.take(Input::Tick);
            self.answer(&answers);
        }
    }

    fn answer(&mut self, answers: &impl Fn(&PublicKey) -> bool) {
        let mut at = 0;
        while let Some(output) = self.out.get(at).cloned() {
            at += 1;
            match output {
                Output::Ping { node, .. } => {
                    self.take(if answers(&node) { Input::Pong(node) } else { Input::NoPong(node) });
                }
                Output::AskToReach { target, helper, .. } if answers(&helper) => {
                    self.take(Input::Reached { target, answers: answers(&target) });
                }
                Output::AskToReach { target, .. } => {
                    self.take(Input::Mute { target });
                }
                Output::Accuse { of, sequence } => {
                    let (by, voice, word) = (node(ME), Voice::Node, Bytes::new());
                    self.take(Input::Accused { of, sequence, by, voice, word });
                }
                Output::Refute { .. } | Output::Changed { .. } | Output::Forget(_) => {}
            }
        }
        self.out.retain(|output| !matches!(output, Output::Ping { .. } | Output::AskToReach { .. }));
    }

    fn state(&self, other: u8) -> State {
        self.machine.sight(&node(other), self.now_ms).expect("a member").state
    }

    fn accusations(&self) -> Vec<PublicKey> {
        let of = |output: &Output| if let Output::Accuse { of, .. } = output { Some(*of) } else { None };
        self.out.iter().filter_map(of).collect()
    }
}

fn all(_: &PublicKey) -> bool {
    true
}

#[test]
fn whoever_answers_stays_alive_and_nobody_is_accused() {
    let mut desk = Desk::with(4);
    desk.pass(60_000, all);
    assert!((1..=4).all(|other| desk.state(other) == State::Alive));
    assert_eq!(desk.out, [], "nothing to be said");
}

#[test]
fn a_neighbour_that_nobody_reaches_is_accused_suspected_and_failed_in_this_order() {
    let mut desk = Desk::with(4);
    desk.pass(1_500, |other| *other != node(3));
    assert_eq!(desk.accusations(), [node(3)]);
    assert_eq!(desk.state(3), State::Suspect);
    desk.pass(20_000, |other| *other != node(3));
    assert_eq!(desk.state(3), State::Failed);
    assert_eq!(desk.accusations(), [node(3)], "said once");
    assert!([1, 2, 4].iter().all(|other| desk.state(*other) == State::Alive));
}

#[test]
fn one_that_others_reach_is_not_accused() {
    let mut desk = Desk::with(4);
    for _ in 0..40 {
        desk.now_ms += 250;
        desk.take(Input::Tick);
        let asked = std::mem::take(&mut desk.out);
        for output in asked {
            match output {
                Output::Ping { node: other, .. } => {
                    desk.take(if other == node(3) { Input::NoPong(other) } else { Input::Pong(other) });
                }
                Output::AskToReach { target, .. } => {
                    desk.take(Input::Reached { target, answers: true });
                }
                other => panic!("not asked for: {other:?}"),
            }
        }
        let reached: Vec<Output> = std::mem::take(&mut desk.out);
        for output in reached {
            let Output::AskToReach { target, .. } = output else { panic!("not asked for: {output:?}") };
            desk.take(Input::Reached { target, answers: true });
        }
    }
    assert_eq!(desk.state(3), State::Alive);
}

#[test]
fn a_higher_sequence_refutes_and_a_lower_one_does_not() {
    let mut desk = Desk::with(2);
    desk.alive(9, 100);
    assert!(desk.accused(9, 100, 1, Voice::Node));
    assert_eq!(desk.state(9), State::Suspect);
    assert!(!desk.alive(9, 100), "the same heartbeat again is no news");
    assert_eq!(desk.state(9), State::Suspect);
    assert!(desk.alive(9, 101));
    assert_eq!(desk.state(9), State::Alive);
    assert!(!desk.accused(9, 100, 2, Voice::Node), "what is refuted cannot be said again");
    assert_eq!(desk.state(9), State::Alive);
}

#[test]
fn a_suspicion_that_comes_before_the_heartbeat_it_is_about_counts() {
    let mut desk = Desk::with(2);
    desk.alive(9, 100);
    assert!(desk.accused(9, 105, 1, Voice::Node), "about a heartbeat that we have missed");
    desk.alive(9, 105);
    assert_eq!(desk.state(9), State::Suspect, "that heartbeat refutes nothing");
    desk.alive(9, 106);
    assert_eq!(desk.state(9), State::Alive);
}

#[test]
fn confirmations_by_independent_voices_shorten_a_suspicion() {
    let fails_after = |voices: &[(u8, Voice)]| {
        let mut desk = Desk::with(8);
        desk.alive(9, 100);
        for (by, voice) in voices {
            desk.accused(9, 100, *by, *voice);
        }
        let begun = desk.now_ms;
        while desk.state(9) != State::Failed {
            desk.pass(250, all);
        }
        desk.now_ms - begun
    };
    let of = |domain: u8| Voice::Domain(DomainId([domain; 32]));
    let alone = fails_after(&[(1, Voice::Node)]);
    let four = fails_after(&[(1, Voice::Node), (2, Voice::Node), (3, of(1)), (4, of(2))]);
    let one_domain = fails_after(&[(1, of(1)), (2, of(1)), (3, of(1)), (4, of(1))]);
    let strangers = fails_after(&[(1, Voice::Stranger), (2, Voice::Stranger), (3, Voice::Stranger)]);
    assert!(four <= 2_250, "{four}");
    assert!(alone >= 11_750, "{alone}");
    assert_eq!((one_domain, strangers), (alone, alone), "one operator, or nobody knows who, is one voice");
}

#[test]
fn first_hand_beats_hearsay_until_it_is_silent() {
    let mut desk = Desk::with(4);
    for by in [1, 2, 4] {
        desk.accused(3, 100, by, Voice::Node);
    }
    let ping = Output::Ping { node: node(3), sequence: 100, suspected: true, within_ms: 500 };
    assert!(desk.out.contains(&ping), "looked at at once, and told that it is suspected: {:?}", desk.out);
    desk.answer(&all);
    desk.pass(10_000, all);
    assert_eq!(desk.state(3), State::Alive);
    desk.pass(1_500, |other| *other != node(3));
    assert_eq!(desk.state(3), State::Suspect, "what the others said counts again");
    desk.pass(3_000, |other| *other != node(3));
    assert_eq!(desk.state(3), State::Failed);
    desk.take(Input::Sign(node(3)));
    assert_eq!(desk.state(3), State::Alive, "any sign of life brings it back");
}

#[test]
fn a_leave_is_no_failure_however_it_is_spoken_of() {
    let mut desk = Desk::with(3);
    desk.accused(2, 100, 1, Voice::Node);
    assert!(desk.leaves(2, 101));
    assert_eq!(desk.state(2), State::Left);
    assert!(!desk.accused(2, 101, 1, Voice::Node));
    desk.take(Input::Disconnected(node(2)));
    desk.pass(60_000, |other| *other != node(2));
    assert_eq!(desk.state(2), State::Left);
    assert!(desk.alive(2, 102));
    assert_eq!(desk.state(2), State::Alive, "it may come back");
}

#[test]
fn a_failed_one_that_turns_out_to_have_left_has_left() {
    let mut desk = Desk::with(4);
    desk.pass(30_000, |other| *other != node(3));
    assert_eq!(desk.state(3), State::Failed);
    desk.leaves(3, 101);
    assert_eq!(desk.state(3), State::Left);
}

#[test]
fn who_is_suspected_refutes_above_it_and_not_more_often_than_twice_a_period() {
    let mut desk = Desk::with(3);
    assert!(!desk.accused(ME, 99, 1, Voice::Node), "about an older heartbeat of ours: refuted already");
    assert_eq!(desk.out, []);
    desk.accused(ME, 100, 1, Voice::Node);
    assert_eq!(desk.out, [Output::Refute { above: 100 }]);
    assert!(desk.machine.next_sequence(0, 100) > 100);
    for sequence in 102..120 {
        desk.accused(ME, sequence, 2, Voice::Node);
    }
    assert_eq!(desk.out.len(), 1, "a flood is answered later");
    desk.now_ms += 500;
    desk.take(Input::Tick);
    assert!(desk.out.contains(&Output::Refute { above: 119 }), "{:?}", desk.out);
}

#[test]
fn an_earlier_life_of_ours_is_outdone() {
    let mut desk = Desk::with(1);
    desk.take(Input::Pinged { known: 5_000, suspected: false });
    assert_eq!(desk.out, [Output::Refute { above: 5_000 }]);
    assert!(desk.machine.next_sequence(100, 5_000) > 5_000, "although our clock went back");
}

#[test]
fn nobody_is_failed_by_a_node_that_hears_nobody_before_it_has_doubted_itself() {
    let mut desk = Desk::with(5);
    desk.pass(20_000, |_| false);
    assert!((1..=5).all(|other| desk.state(other) == State::Suspect), "suspect, not failed");
    desk.pass(1_000, all);
    desk.pass(20_000, all);
    assert!((1..=5).all(|other| desk.state(other) == State::Alive));
}

#[test]
fn a_pause_of_our_own_fails_nobody() {
    let mut desk = Desk::with(4);
    desk.alive(9, 100);
    desk.accused(9, 100, 1, Voice::Node);
    desk.now_ms += 600_000;
    desk.take(Input::Tick);
    assert_eq!(desk.state(9), State::Suspect, "the refutation may wait in our own queue");
}

#[test]
fn a_silent_member_that_nobody_pings_is_suspected_after_it_missed_its_heartbeats() {
    let mut desk = Desk::with(2);
    desk.alive(9, 100);
    desk.pass(19_000, all);
    assert_eq!(desk.state(9), State::Alive);
    desk.pass(2_000, all);
    assert_eq!(desk.state(9), State::Suspect);
    desk.pass(13_000, all);
    assert_eq!(desk.state(9), State::Failed);
    assert_eq!(desk.accusations(), [], "silence is no first-hand word");
}

#[test]
fn a_connection_that_is_lost_without_a_word_is_held_against_it_once() {
    let mut desk = Desk::with(4);
    desk.take(Input::Disconnected(node(3)));
    desk.pass(1_000, |other| *other != node(3));
    assert_eq!(desk.state(3), State::Suspect);
    desk.alive(3, 101);
    for sequence in 102..120 {
        desk.pass(5_000, |other| *other != node(3));
        desk.alive(3, sequence);
    }
    assert_eq!(desk.accusations(), [node(3)], "it refuted that, and is somebody else's neighbour");
    assert_eq!(desk.state(3), State::Alive);
}

#[test]
fn a_crowd_of_accusers_takes_no_more_places_than_there_are() {
    let mut desk = Desk::with(1);
    for other in 2..40 {
        desk.alive(other, 100);
    }
    let taken = (2..30).filter(|by| desk.accused(1, 100, *by, Voice::Stranger)).count();
    assert_eq!(taken, 8);
    assert!(desk.accused(1, 100, 30, Voice::Node), "one who counts has a place");
    assert_eq!(desk.machine.word_count(&node(1)), 8);
    assert!(!desk.accused(1, 100, 77, Voice::Node), "who was never heard is no witness");
}
