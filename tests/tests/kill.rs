//! `kill -9` of any node at random moments under load, with real processes: nothing acknowledged is lost, money is conserved
//! in every replica, every transfer ends, and none is in doubt for ten seconds once a majority is back.
//!
//! `COMITY_KILLS=50 cargo test -p comity-tests --test kill -- --nocapture` for the long run, `COMITY_SEED=N` for a seed of
//! one's own. The seed fixes who is killed and after how long; the machine decides what they were doing.

#[path = "kill/chance.rs"]
mod chance;
#[path = "kill/load.rs"]
mod load;
#[path = "kill/watch.rs"]
mod watch;

use chance::Chance;
use comity_tests::{PATIENCE, federation::Federation, slowness::Slowness};
use load::{Load, Worker};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};
use watch::Watch;

/// How long a transfer may stay open once a majority of both domains is back.
const IN_DOUBT_MAX: Duration = Duration::from_secs(10);

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect(name))
}

/// Kills one node, or two of one domain (its majority), and starts them again on their disks.
fn kill(federation: &mut Federation, chance: &mut Chance, moment: u64) {
    let domain = &mut federation.domains[chance.below(2)];
    let first = chance.below(3);
    // Every fourth time the domain loses its majority.
    let victims = if moment % 4 == 3 { vec![first, (first + 1) % 3] } else { vec![first] };
    for victim in &victims {
        domain.nodes[*victim].kill();
    }
    std::thread::sleep(Duration::from_millis(chance.between(50, 1_500)));
    for victim in &victims {
        domain.nodes[*victim].start();
    }
}

#[test]
fn whoever_is_killed_nothing_acknowledged_is_lost_and_every_transfer_ends() {
    let kills = setting("COMITY_KILLS", 8);
    let seed = setting("COMITY_SEED", comity_tests::now_ms());
    println!("COMITY_KILLS={kills} COMITY_SEED={seed}");
    let mut chance = Chance(seed);
    let mut federation = Federation::trading();
    let load = Load::prepare(&federation);
    let stop = AtomicBool::new(false);
    let watch = Watch::new(&federation);
    let slowness = Slowness::measure();

    let begun = Instant::now();
    let workers: Vec<Worker> = std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch.run(&stop));
        let working: Vec<_> = load.workers.iter().map(|worker| (worker, worker.clone())).collect();
        let working: Vec<_> = working
            .into_iter()
            .map(|(_, mut worker)| {
                scope.spawn(|| {
                    worker.run(&stop);
                    worker
                })
            })
            .collect();
        for moment in 0..kills {
            std::thread::sleep(Duration::from_millis(chance.between(100, 1_500)));
            watch.disturbed();
            kill(&mut federation, &mut chance, moment);
            watch.disturbed();
        }
        // The last one comes back under load as well.
        std::thread::sleep(Duration::from_secs(2));
        stop.store(true, Ordering::Relaxed);
        let workers = working.into_iter().map(|thread| thread.join().expect("a worker")).collect();
        watching.join().expect("the watch");
        workers
    });
    let elapsed = begun.elapsed();

    federation.wait_until_ready();
    let settling = Instant::now();
    federation.must_agree(PATIENCE);
    println!("replicas agree and nothing is in doubt {} ms after the load has ended", settling.elapsed().as_millis());
    let found = load.verify(&federation, &workers);
    println!("{kills} kills in {:.1} s: {found}", elapsed.as_secs_f64());
    let (longest, open) = watch.longest();
    let slow = slowness.factor();
    println!(
        "with a majority back, in doubt for at most {} ms, decided and not closed for {} ms; the machine was slower by {slow:.1}",
        longest.as_millis(),
        open.as_millis()
    );
    assert!(longest < IN_DOUBT_MAX.mul_f64(slow), "in doubt for {longest:?}, machine slower by {slow:.1}, seed {seed}");
}
