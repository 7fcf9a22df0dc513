//! The models at core fidelity: small ones whole, longer ones from a seed, and a broken world to see that they notice.

use comity_sim::core::{
    exhaustive::{Bounds, Story, search},
    random::{Options, run},
};

/// Small enough for every test run: one copy of a message, two under way.
fn small() -> Bounds {
    Bounds { copies: 1, in_flight: 2, partition: false, ..Bounds::single() }
}

#[test]
fn every_state_of_a_payment_out_keeps_the_money_and_can_end() {
    let seen = search(Story::Out, small()).unwrap_or_else(|found| panic!("{found}"));
    assert!(seen.complete && seen.ends > 0, "{seen}");
    assert!(seen.states > 10_000 && seen.ledgers.iter().all(|ledgers| *ledgers > 5), "too small to prove much: {seen}");
}

#[test]
fn every_state_of_a_payment_back_keeps_the_money_and_can_end() {
    let seen = search(Story::Back, Bounds { suspend: false, ..small() }).unwrap_or_else(|found| panic!("{found}"));
    assert!(seen.complete && seen.ends > 0, "{seen}");
}

#[test]
fn two_payments_that_cross_keep_the_money_in_every_state_without_crashes() {
    let bounds = Bounds { in_flight: 1, leaders: false, suspend: false, ..small() };
    let seen = search(Story::Crossing, bounds).unwrap_or_else(|found| panic!("{found}"));
    assert!(seen.complete && seen.ends > 0, "{seen}");
}

#[test]
fn a_log_that_loses_its_newest_entry_is_noticed_with_the_shortest_way_to_it() {
    let bounds = Bounds { forgetful: true, suspend: false, ..small() };
    let found = search(Story::Out, bounds).expect_err("money must be made or lost");
    assert!(found.what.starts_with("atomicity") || found.what.starts_with("decisions"), "{found}");
    assert!(found.way.iter().any(|step| step.contains("Forgetting")) && found.way.len() < 12, "{found}");
}

#[test]
fn a_run_of_many_domains_holds_and_is_the_same_twice() {
    let options = Options { steps: 20_000, seed: 11, ..Options::default() };
    let first = run(options).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    assert!(first.transfers.iter().all(|count| *count > 20), "too quiet: {:?}", first.transfers);
    assert!(first.counts.len() >= 9, "too few kinds of things happened: {:?}", first.counts);
    let again = run(options).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    assert_eq!((first.digest, first.steps), (again.digest, again.steps));
    let other = run(Options { seed: 12, ..options }).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    assert_ne!(first.digest, other.digest);
}

#[test]
fn a_short_run_with_every_signature_made_and_judged_holds() {
    let options = Options { steps: 500, seed: 3, signed: true, domains: 2, ..Options::default() };
    run(options).unwrap_or_else(|wrong| panic!("{wrong:?}"));
}
