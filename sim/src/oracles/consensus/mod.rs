//! Raft inside a domain, judged at every change of every replica.

mod applied_once;
mod applied_order;
mod durable_log;
mod elected;
mod leader_complete;
mod log_matching;
mod same_log;
mod stamps;
mod votes_last;

use super::Oracle;

pub(super) fn all() -> Vec<Box<dyn Oracle>> {
    vec![
        Box::new(votes_last::VotesLast::default()),
        durable_log::oracle(),
        elected::oracle(),
        Box::new(log_matching::LogMatching::default()),
        Box::new(leader_complete::LeaderComplete::default()),
        same_log::oracle(),
        applied_once::oracle(),
        Box::new(applied_order::AppliedOrder::default()),
        stamps::oracle(),
    ]
}
