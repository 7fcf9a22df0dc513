//! Two-phase commit between domains, judged on the events of both sides.

mod atomic;
mod closings;
mod credited;
mod doubt;
mod drift;
mod heard;
mod in_time;
mod majority;
mod once;
mod promises;
mod rotation;
mod treaties;
mod two_words;
mod votes;

use comity_proto::ids::{DomainId, TransferId};

use super::{Oracle, View};

pub(super) fn all() -> Vec<Box<dyn Oracle>> {
    vec![
        once::oracle(),
        votes::oracle(),
        promises::oracle(),
        atomic::oracle(),
        in_time::oracle(),
        credited::oracle(),
        doubt::oracle(),
        Box::new(treaties::Treaties::default()),
        Box::new(closings::Closings::default()),
        Box::new(heard::Heard::default()),
        Box::new(rotation::Unnoticed::default()),
        Box::new(majority::Majority::default()),
        Box::new(two_words::TwoWords::default()),
        Box::new(drift::NoFalseDrift::default()),
        Box::new(drift::DriftShown::default()),
    ]
}

/// A transfer in words.
fn named(view: &View<'_>, (origin, transfer): &(DomainId, TransferId)) -> String {
    let at = view.seen.ids().iter().position(|id| id == origin);
    let name = at.and_then(|at| view.plan.scenario.domains.get(at)).map_or("?", |spec| spec.name.as_str());
    format!("transfer {transfer} of {name}")
}
