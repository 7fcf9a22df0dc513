//! Three real replicas in virtual time: what was acknowledged stays, whoever dies.

mod support;

use std::time::Duration;

use comity_ledger::Outcome;
use comity_proto::ids::AgentId;
use comity_replica::Role;
use comity_runtime::disk::memory::CrashPlan;
use support::{Domain, key};

fn plain(_: &mut comity_replica::ReplicaConfig) {}

#[test]
fn a_domain_of_one_founds_itself_and_applies_a_command() {
    let domain = Domain::founded(1, 1, 1, plain);
    let agent = key(50);
    let reply = domain.submit(0, domain.register(&agent, 1));
    assert_eq!(reply.outcomes, [Outcome::Created]);
    let id = AgentId::of_key(&agent.public());
    assert!(domain.replica(0).read_stale(|ledger, _| ledger.agent(&id).is_some()));
}

#[test]
fn three_replicas_agree_and_go_on_when_the_leader_dies() {
    let mut domain = Domain::founded(2, 3, 3, plain);
    let mut last = 0;
    for at in 0..3 {
        last = domain.submit(at, domain.register(&key(60 + at as u8), 1)).log_index;
    }
    let digests: Vec<_> = (0..3).map(|at| domain.digest_at(at, last)).collect();
    assert!(digests.iter().all(|digest| *digest == digests[0]), "all replicas hold the same bytes");

    let leader = domain.leader().expect("one leads");
    domain.crash(leader);
    let survivor = (leader + 1) % 3;
    let reply = domain.submit(survivor, domain.register(&key(70), 1));
    assert_eq!(reply.outcomes, [Outcome::Created]);
    domain.restart(leader);
    assert_eq!(domain.digest_at(leader, reply.log_index), domain.digest_at(survivor, reply.log_index));
}

#[test]
fn a_member_that_was_cut_off_deposes_nobody_when_it_comes_back() {
    let domain = Domain::founded(9, 3, 3, plain);
    domain.submit(0, domain.register(&key(60), 1));
    let leader = domain.leader().expect("one leads");
    let term = domain.replica(leader).status().term;
    let away = (leader + 1) % 3;
    domain.net.cut(domain.nodes[away].info.key, true);
    // Longer than many elections; and the others' logs go on without it.
    domain.pause(Duration::from_secs(30));
    domain.submit(leader, domain.register(&key(61), 1));
    domain.net.cut(domain.nodes[away].info.key, false);
    domain.pause(Duration::from_secs(10));
    let last = domain.submit(away, domain.register(&key(62), 1)).log_index;
    assert_eq!(domain.digest_at(away, last), domain.digest_at(leader, last));
    let status = domain.replica(leader).status();
    assert_eq!((domain.leader(), status.term), (Some(leader), term), "nobody asked for votes in vain");
}

#[test]
fn a_dead_leader_is_replaced_within_the_longest_silence_and_a_second() {
    for seed in 20..40 {
        let mut domain = Domain::founded(seed, 3, 3, plain);
        domain.submit(0, domain.register(&key(60), 1));
        let leader = domain.leader().expect("one leads");
        domain.crash(leader);
        domain.pause(Duration::from_secs(4));
        let heirs: Vec<_> =
            (0..3).filter(|at| *at != leader && domain.replica(*at).status().role == Role::Leader).collect();
        assert_eq!(heirs.len(), 1, "seed {seed}");
    }
}

#[test]
fn a_leader_whose_disk_comes_back_older_does_not_lead_on_in_its_old_term() {
    let mut domain = Domain::founded(7, 3, 3, plain);
    domain.submit(0, domain.register(&key(60), 1));
    let leader = domain.leader().expect("one leads");
    let older = domain.nodes[leader].disk.fork();
    // Committed by the old term, and unknown to the older disk.
    domain.submit(leader, domain.register(&key(61), 1));
    domain.crash(leader);
    let others = (leader + 1) % 3;
    domain.submit(others, domain.register(&key(62), 1));

    older.crash(CrashPlan::lose_all());
    domain.nodes[leader].disk = older;
    domain.start(leader);
    let (replica, item) = (domain.replica(leader), domain.register(&key(63), 1));
    let answered = domain.sim.run(domain.nodes[leader].host, async move { replica.submit(item).await });
    assert!(answered.is_err(), "cut off it gives no index to anything: {answered:?}");

    domain.crash(leader);
    domain.restart(leader);
    let last = domain.submit(others, domain.register(&key(64), 1)).log_index;
    assert_eq!(domain.digest_at(leader, last), domain.digest_at(others, last));
}

#[test]
fn a_linearizable_read_on_any_member_shows_every_acknowledged_write() {
    let domain = Domain::founded(3, 3, 3, plain);
    for round in 0..5_u8 {
        let agent = key(80 + round);
        domain.submit(0, domain.register(&agent, 1));
        let id = AgentId::of_key(&agent.public());
        for at in 0..3 {
            let replica = domain.replica(at);
            let seen = domain
                .sim
                .run(domain.nodes[at].host, async move { replica.read(|ledger| ledger.agent(&id).is_some()).await });
            assert_eq!(seen, Ok(true));
        }
    }
}

#[test]
fn everything_acknowledged_survives_a_power_cut_of_all_nodes() {
    let mut domain = Domain::founded(4, 3, 3, plain);
    let mut last = 0;
    for n in 0..20 {
        last = domain.submit(n % 3, domain.register(&key(100 + n as u8), 1)).log_index;
    }
    let before = domain.digest_at(0, last);
    (0..3).for_each(|at| domain.crash(at));
    (0..3).for_each(|at| domain.restart(at));
    for at in 0..3 {
        assert_eq!(domain.digest_at(at, last), before);
    }
}

#[test]
fn thirty_two_retries_of_one_request_have_one_effect_and_equal_answers() {
    let domain = Domain::founded(5, 3, 3, plain);
    let agent = key(50);
    let item = domain.register(&agent, 7);
    let handles: Vec<_> = (0..32).map(|n| (domain.replica(n % 3), item.clone())).collect();
    let replies = domain.sim.run(1, async move {
        futures::future::join_all(handles.into_iter().map(|(replica, item)| async move { replica.submit(item).await }))
            .await
    });
    let outcomes: Vec<_> = replies.into_iter().map(|reply| reply.expect("applied").outcomes).collect();
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
    let registered = domain.replica(0).read_stale(|ledger, _| ledger.agents().count());
    assert_eq!(registered, 1);
}

#[test]
fn a_learner_that_lags_gets_a_snapshot_then_votes_and_has_all_events() {
    let domain = Domain::founded(6, 3, 4, |config| {
        config.snapshot_every = 10;
        config.keep_entries = 1;
    });
    let mut last = 0;
    for n in 0..30 {
        last = domain.submit(0, domain.register(&key(100 + n), 1)).log_index;
    }
    domain.pause(Duration::from_secs(2));
    let leader = domain.leader().expect("one leads");
    assert!(domain.replica(leader).status().purged.is_some(), "the log is purged behind the snapshot");
    let (replica, info) = (domain.replica(leader), domain.nodes[3].info.clone());
    domain.sim.run(domain.nodes[leader].host, async move {
        replica.add_learner(4, info).await.expect("added");
        replica.promote(4).await.expect("promoted");
    });
    assert_eq!(domain.digest_at(3, last), domain.digest_at(leader, last));
    assert_eq!(domain.replica(3).status().voters.len(), 4);
    domain.pause(Duration::from_secs(10));
    assert_eq!(domain.replica(3).events().gap(), Ok(None));
    let (own, theirs) = (domain.replica(3), domain.replica(leader));
    assert_eq!(own.events().events(None, 1000), theirs.events().events(None, 1000));
    let size = own.read_stale(|ledger, _| ledger.checkpoint()).expect("founded").size;
    assert_eq!(own.events().inclusion(0, size), theirs.events().inclusion(0, size));
    assert!(own.events().inclusion(0, size).is_ok());
}

#[test]
fn a_member_that_knows_nothing_of_the_snapshot_it_was_to_install_is_sent_it_again() {
    let domain = Domain::founded(6, 3, 4, |config| {
        config.snapshot_every = 10;
        config.keep_entries = 1;
    });
    for n in 0..30 {
        domain.submit(0, domain.register(&key(100 + n), 1));
    }
    domain.pause(Duration::from_secs(2));
    let leader = domain.leader().expect("one leads");
    // All of it is received; that it is to be installed is said to a member that loses its power.
    domain.net.swallow(domain.nodes[3].info.key, 1);
    let begun_ms = domain.wall_ms();
    let (replica, info) = (domain.replica(leader), domain.nodes[3].info.clone());
    domain.sim.run(domain.nodes[leader].host, async move { replica.add_learner(4, info).await.expect("added") });
    let took_ms = domain.wall_ms() - begun_ms;
    assert!((2_000..20_000).contains(&took_ms), "{took_ms} ms");
}

#[test]
fn an_item_condemned_by_its_bytes_never_reaches_the_log() {
    let domain = Domain::founded(8, 1, 1, plain);
    let forged = comity_proto::entry::EntryItem::Commands(bytes::Bytes::from_static(b"no envelope"));
    let before = domain.replica(0).status().last_log;
    let replica = domain.replica(0);
    let refused = domain.sim.run(1, async move { replica.submit(forged).await });
    assert_eq!(refused, Err(comity_replica::SubmitError::Refused(Outcome::Malformed)));
    assert_eq!(domain.replica(0).status().last_log, before);
}
