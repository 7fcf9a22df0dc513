//! Faults of links and clocks, done to machines that run nothing: each changes something, and taking it back leaves
//! nothing behind. Faults of nodes are seen in whole universes.

use std::{sync::Arc, time::Duration};

use comity_node::config::RaftTiming;
use parking_lot::Mutex;

use super::Act;
use crate::{
    faults::{Fault, Part, Seen, State, Who},
    hosts::{Hosts, OBSERVER},
    net::{LinkProfile, Network},
    world::{HostId, Policy, Universe},
};

fn hosts() -> Hosts {
    let universe = Universe::new(11, Policy::Fifo);
    let network = Network::new(&universe, LinkProfile::default());
    let hosts = Hosts::new(&universe, &network);
    for name in ["alpha", "beta"] {
        hosts.found(name, 3, (RaftTiming::default(), None), &[]).expect("a name");
    }
    hosts
}

fn act(hosts: &Hosts) -> Act {
    let universe = &hosts.universe;
    Act {
        hosts: hosts.clone(),
        until: universe.now() + 4_000_000_000,
        chance: universe.chance("a fault"),
        seen: None,
        damaged: Arc::default(),
    }
}

/// What is wrong with all links.
fn wrong(hosts: &Hosts) -> String {
    let pairs = (0..6).flat_map(|from| (0..6).map(move |to| (from, to)));
    let wrong = pairs.filter_map(|(from, to)| {
        let link = hosts.network.link(from, to);
        let text = format!(
            "{from}>{to} {} {} {} {} {} {} {}",
            link.blocked, link.loss, link.extra_us, link.corrupt, link.split, link.swallowed, link.clogged
        );
        (!text.ends_with(" 0 0 0 0 0 0 0")).then_some(text)
    });
    wrong.collect::<Vec<_>>().join(", ")
}

/// Does a fault for four virtual seconds, then takes it back. What was wrong in the middle, and afterwards.
fn doing(fault: Fault) -> (String, String) {
    let hosts = hosts();
    let (inside, seen) = (hosts.clone(), Arc::new(Mutex::new(String::new())));
    let told = seen.clone();
    let universe = hosts.universe.clone();
    universe
        .run(OBSERVER, async move {
            let undo = act(&inside).apply(&fault).expect("it can be done");
            for _ in 0..40 {
                comity_runtime::sleep(Duration::from_millis(100)).await;
                let now = wrong(&inside);
                if !now.is_empty() {
                    *told.lock() = now;
                }
            }
            undo();
        })
        .expect("time passes");
    let middle = seen.lock().clone();
    (middle, wrong(&hosts))
}

#[test]
fn faults_of_links_are_done_and_taken_back() {
    let host: HostId = 1;
    let faults = [
        Fault::Partition { side: vec![0, 4] },
        Fault::Isolate { host: Who::Host(2) },
        Fault::SplitDomains { side: vec![1] },
        Fault::Bridge { bridge: 0, side: vec![1, 2] },
        Fault::OneWay { from: 3, to: 1 },
        Fault::CutBetween { one: Who::Host(0), other: Who::Host(5) },
        Fault::Flap { one: 0, other: 4, every_ms: 200 },
        Fault::Swizzle { clog: vec![1, 2, 4], free: vec![4, 1, 2] },
        Fault::Clog { from: 0, to: 1, bytes_per_s: 900 },
        Fault::Spike { host, extra_ms: 300 },
        Fault::SlowPair { one: 0, other: 3, extra_ms: 100 },
        Fault::Loss { host, share: 0.5 },
        Fault::SplitReads { host, share: 0.5 },
        Fault::Corrupt { from: 0, to: 3, share: 0.5 },
        Fault::BlackHole { host },
    ];
    for fault in faults {
        let (middle, after) = doing(fault.clone());
        assert!(!middle.is_empty(), "{fault:?} changed nothing");
        assert_eq!(after, "", "{fault:?} left something behind");
    }
}

#[test]
fn a_bridge_reaches_both_sides_and_nobody_else_does() {
    let hosts = hosts();
    let undo = act(&hosts).apply(&Fault::Bridge { bridge: 0, side: vec![0, 1, 2] });
    let is_cut = |from, to| hosts.network.link(from, to).blocked > 0;
    assert!(is_cut(1, 4) && is_cut(5, 2));
    assert!(!is_cut(0, 4) && !is_cut(5, 0) && !is_cut(1, 2));
    drop(undo);
}

#[test]
fn faults_of_clocks_are_done_and_taken_back() {
    let faults = [
        Fault::WallStep { host: 1, by_ms: -5_000 },
        Fault::WallJump { host: 1, hours: 72 },
        Fault::StartSkew { host: 1, by_ms: 700 },
        Fault::WallFreeze { host: 1 },
        Fault::Drift { host: 1, ppm: 900 },
    ];
    for fault in faults {
        let hosts = hosts();
        let inside = hosts.clone();
        let universe = hosts.universe.clone();
        let named = fault.clone();
        let (middle, after) = universe
            .run(OBSERVER, async move {
                let apart = |host| {
                    let wall = |host| {
                        let _inside = comity_runtime::enter(inside.universe.world(host));
                        comity_runtime::wall_ms()
                    };
                    i128::from(wall(host)) - i128::from(wall(0))
                };
                let undo = act(&inside).apply(&fault).expect("it can be done");
                comity_runtime::sleep(Duration::from_secs(60)).await;
                let middle = apart(1);
                undo();
                (middle, apart(1))
            })
            .expect("time passes");
        assert!(middle != 0, "{named:?} changed nothing");
        // A clock that drifted keeps what it gained: nobody sets it.
        let kept = if matches!(named, Fault::Drift { .. }) { 54 } else { 0 };
        assert_eq!(after, kept, "{named:?}");
    }
}

#[test]
fn a_fault_whose_host_is_down_or_unseen_is_not_done() {
    let hosts = hosts();
    let down = [
        Fault::Crash { host: Who::Host(1), keeps: crate::faults::Keep::Nothing },
        Fault::Kill { host: Who::Host(1) },
        Fault::Pause { host: Who::Host(9) },
        Fault::LeaderCrash { domain: 0, keeps: crate::faults::Keep::Nothing },
        Fault::WipedDisk { host: 1 },
        Fault::Isolate { host: Who::Part(Part::OriginLeader) },
        Fault::Partition { side: Vec::new() },
        Fault::SplitDomains { side: vec![0, 1] },
        Fault::Swizzle { clog: Vec::new(), free: Vec::new() },
    ];
    for fault in down {
        assert!(act(&hosts).apply(&fault).is_none(), "{fault:?}");
    }
}

#[test]
fn one_damaged_disk_of_a_domain_at_a_time_and_never_the_founders() {
    let hosts = hosts();
    let act = act(&hosts);
    assert!(!act.claim_damage(0), "the founding host holds the keys");
    assert!(act.claim_damage(1));
    assert!(!act.claim_damage(2), "host 1 has not been replaced yet");
    assert!(act.claim_damage(4), "another domain");
    act.release_damage(1);
    assert!(act.claim_damage(2));
}

#[test]
fn a_part_is_whoever_plays_it_in_what_was_seen() {
    let hosts = hosts();
    let seen = Seen {
        state: State::Voted,
        host: 4,
        origin: 0,
        participant: 1,
        transfer: comity_proto::ids::TransferId([1; 16]),
        commit: None,
    };
    assert_eq!(Who::Part(Part::Seen).find(&hosts, Some(&seen)), Some(4));
    assert_eq!(Who::Part(Part::Seen).find(&hosts, None), None);
    assert_eq!(Who::Host(77).find(&hosts, None), None);
}
