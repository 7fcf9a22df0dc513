//! Consensus, disk and ledger.

use super::{page::Page, table::Name};
use crate::node::Node;
use comity_ledger::Sizes;
use comity_replica::{Ends, Role};

const ROLES: [(Role, &str); 5] = [
    (Role::Leader, "leader"),
    (Role::Follower, "follower"),
    (Role::Candidate, "candidate"),
    (Role::Learner, "learner"),
    (Role::Stopped, "stopped"),
];

pub(super) fn gather(node: &Node, page: &mut Page) {
    raft(node, page);
    disk(node, page);
    ledger(node, page);
    tally(node, page);
}

fn raft(node: &Node, page: &mut Page) {
    let status = node.replica().status();
    for (role, name) in ROLES {
        page.flag(Name::RaftRole, &[&name], status.role == role);
    }
    page.flag(Name::RaftLeaderKnown, &[], status.leader_id.is_some());
    page.whole(Name::RaftTerm, &[], status.term);
    page.whole(Name::RaftLastLog, &[], status.last_log);
    page.whole(Name::RaftApplied, &[], status.applied);
    page.whole(Name::RaftSnapshot, &[], status.snapshot.unwrap_or(0));
    page.whole(Name::RaftPurged, &[], status.purged.unwrap_or(0));
    page.count(Name::RaftMembers, &[&"yes"], status.voters.len());
    page.count(Name::RaftMembers, &[&"no"], status.learners.len());
    for member in status.voters.iter().chain(&status.learners) {
        if let Some(lag) = member.lag {
            page.whole(Name::RaftLag, &[&node.key_at(&member.info.key)], lag);
        }
    }
    if let Some(age_ms) = status.quorum_ack_age_ms {
        page.seconds(Name::RaftQuorumAge, &[], age_ms);
    }
    page.flag(Name::ReplicaFailed, &[], node.replica().failure().is_some());
}

fn disk(node: &Node, page: &mut Page) {
    let stats = node.disk_stats();
    page.whole(Name::DiskWritten, &[], stats.bytes_written);
    page.whole(Name::DiskFlushes, &[&"file"], stats.syncs);
    page.whole(Name::DiskFlushes, &[&"directory"], stats.directory_syncs);
}

/// What is read of the ledger in one look.
struct Seen {
    incarnation: Option<u64>,
    stamp_ms: u64,
    is_fenced: bool,
    events: u64,
    sizes: Sizes,
    not_seen: [usize; 3],
}

fn ledger(node: &Node, page: &mut Page) {
    let seen = node.replica().read_stale(|ledger, _| Seen {
        incarnation: ledger.domain().map(|domain| domain.incarnation),
        stamp_ms: ledger.stamp_ms(),
        is_fenced: ledger.is_fenced(),
        events: ledger.event_count(),
        sizes: ledger.sizes(),
        not_seen: ledger.keys_not_seen().map(|peers| peers.len()),
    });
    page.flag(Name::LedgerFounded, &[], seen.incarnation.is_some());
    page.flag(Name::LedgerFenced, &[], seen.is_fenced);
    page.whole(Name::LedgerIncarnation, &[], seen.incarnation.unwrap_or(0));
    page.seconds(Name::LedgerTime, &[], seen.stamp_ms);
    page.whole(Name::LedgerEvents, &[], seen.events);
    let Sizes { agents, names, accounts, requests, outgoing, incoming, payouts, .. } = seen.sizes;
    let records = [
        ("agents", agents),
        ("names", names),
        ("accounts", accounts),
        ("requests", requests),
        ("transfers-begun", outgoing),
        ("transfers-heard", incoming),
        ("payouts", payouts),
    ];
    for (of, count) in records {
        page.count(Name::LedgerRecords, &[&of], count);
    }
    let Sizes { escrows_open, escrows_paying, escrows_ended, .. } = seen.sizes;
    for (state, count) in [("open", escrows_open), ("paying", escrows_paying), ("ended", escrows_ended)] {
        page.count(Name::LedgerEscrows, &[&state], count);
    }
    for (key, peers) in ["nodes", "operator", "root"].into_iter().zip(seen.not_seen) {
        page.count(Name::KeysNotSeen, &[&key], peers);
    }
}

fn tally(node: &Node, page: &mut Page) {
    let tally = node.replica().tally();
    page.whole(Name::LedgerEntries, &[], tally.entries);
    for (outcome, count) in tally.outcomes {
        page.whole(Name::LedgerOutcomes, &[&outcome.name()], count);
    }
    for (part, Ends { committed, aborted }) in [("origin", tally.as_origin), ("participant", tally.as_participant)] {
        page.whole(Name::TransfersEnded, &[&part, &"committed"], committed);
        page.whole(Name::TransfersEnded, &[&part, &"aborted"], aborted);
    }
}
