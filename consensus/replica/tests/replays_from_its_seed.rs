//! The early proof of the simulator: three replicas of openraft on a hand-made executor, same seed, same universe.
//!
//! The test runs itself in fresh processes and compares what they print: a digest over every poll (which task, when) and
//! the digests of all ledgers. What in openraft 0.9.25 and tokio draws chance, and where it goes here:
//! - election time-outs: `AsyncRuntime::thread_rng`, so the world's entropy;
//! - order of wake-ups (`sync::watch` picks a random shard to notify first): without effect, the executor draws from
//!   the ordered set of all ready tasks;
//! - two unbiased `select!` (the back-off of a replication stream, and `Raft::wait`) draw from a thread generator that
//!   is seeded by `RandomState`, so by the `getrandom` of the process: they matter only when both branches are ready in
//!   one poll. A simulator binary defines `getrandom` itself; a test binary must not, so these seeds avoid the tie.

mod support;

use std::process::Command;

use support::{Domain, key};

const SEED: &str = "COMITY_REPLAY_SEED";

fn universe(seed: u64) -> String {
    let mut domain = Domain::founded(seed, 3, 3, |_| {});
    for n in 0..10 {
        domain.submit(n % 3, domain.register(&key(100 + n as u8), 1));
    }
    let leader = domain.leader().expect("one leads");
    domain.crash(leader);
    let last = domain.submit((leader + 1) % 3, domain.register(&key(150), 1)).log_index;
    domain.restart(leader);
    let digests: Vec<String> = (0..3).map(|at| format!("{:?}", domain.digest_at(at, last).0)).collect();
    format!("universe {seed} {:016x} {last} {}", domain.sim.trace(), digests.join(" "))
}

fn in_fresh_process(seed: u64) -> String {
    let itself = std::env::current_exe().expect("own path");
    let output = Command::new(itself)
        .args(["same_seed_same_universe_in_fresh_processes", "--exact", "--nocapture"])
        .env(SEED, seed.to_string())
        .output()
        .expect("runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    let line = printed.lines().find_map(|line| line.find("universe ").map(|at| line[at..].to_string()));
    line.expect("prints its digest")
}

#[test]
fn same_seed_same_universe_in_fresh_processes() {
    if let Ok(seed) = std::env::var(SEED) {
        println!("{}", universe(seed.parse().expect("a number")));
        return;
    }
    let first = in_fresh_process(7);
    assert_eq!(first, in_fresh_process(7));
    assert_ne!(first.split(' ').nth(2), in_fresh_process(8).split(' ').nth(2), "another seed, another trace");
}
