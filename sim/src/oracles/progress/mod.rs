//! Liveness, and that nothing grows without bound.

mod bounded;
mod caught_up;
mod core;
mod ended;
mod nobody_stopped;
mod still_serving;

use super::Oracle;

pub(super) fn all() -> Vec<Box<dyn Oracle>> {
    vec![
        nobody_stopped::oracle(),
        Box::new(core::Core::default()),
        Box::new(still_serving::StillServing::default()),
        caught_up::oracle(),
        ended::oracle(),
        bounded::oracle(),
    ]
}
