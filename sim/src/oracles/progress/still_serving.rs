//! Healed nodes answer.

use crate::{
    oracles::{Oracle, Phase, View},
    workload::Answer,
    world::TimeNs,
};

/// How long a call that began after the healing may take.
const WITHIN: TimeNs = 10_000_000_000;

/// When everything was healed.
#[derive(Default)]
pub(super) struct StillServing {
    healed: Option<TimeNs>,
}

impl Oracle for StillServing {
    fn name(&self) -> &'static str {
        "still-serving"
    }

    fn claim(&self) -> &'static str {
        "once everything is healed every client gets an answer from the log within ten seconds"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        if view.phase < Phase::Heal || !view.everything_is_healed() {
            return Ok(());
        }
        let healed = *self.healed.get_or_insert(view.now);
        view.history.with(|calls| {
            for call in calls.iter().rev().take_while(|call| call.asked >= healed) {
                let until = call.answered.as_ref().map_or(view.now, |(at, _)| *at);
                let answered = matches!(call.answered, Some((_, Answer::Done { .. })));
                if until > call.asked + WITHIN && !answered {
                    let request = call.operation.request_id;
                    return Err(format!("request {request} was sent to a healed domain and not answered in time"));
                }
            }
            Ok(())
        })
    }
}
