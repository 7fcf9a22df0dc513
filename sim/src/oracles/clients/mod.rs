//! What clients were told, against what happened.

mod answers;
mod durable_answers;
mod fresh_reads;
mod linearizable;
mod majority;
mod same_answer;
mod signed;
mod stale_reads;
mod wgl;

use std::collections::BTreeSet;

use super::{Oracle, View};
use crate::workload::{Answer, Call};

pub(super) fn all() -> Vec<Box<dyn Oracle>> {
    vec![
        Box::new(majority::Majority::default()),
        Box::new(answers::Answers::default()),
        Box::new(same_answer::SameAnswer::default()),
        Box::new(signed::Signed::default()),
        Box::new(fresh_reads::FreshReads::default()),
        Box::new(stale_reads::StaleReads::default()),
        Box::new(linearizable::Linearizable::default()),
        durable_answers::oracle(),
    ]
}

/// Whether what a call was told belongs to a history that its domain has lost.
fn is_lost(view: &View<'_>, call: &Call) -> bool {
    let Some((at, Answer::Done { log_index, .. })) = &call.answered else { return false };
    view.is_lost(call.operation.domain, (call.asked, *at), (*log_index > 0).then_some(*log_index))
}

/// Walks over the calls, each once after it was answered.
#[derive(Default)]
struct Judged {
    done: BTreeSet<usize>,
    from: usize,
}

impl Judged {
    /// Calls `judge` for every answer that has come since the last time.
    fn each(
        &mut self,
        view: &View<'_>,
        mut judge: impl FnMut(&Call, &Answer) -> Result<(), String>,
    ) -> Result<(), String> {
        view.history.with(|calls| {
            for (number, call) in calls.iter().enumerate().skip(self.from) {
                // Taps of this very instant may not have spoken yet.
                let Some((_, answer)) = call.answered.as_ref().filter(|(at, _)| *at < view.now) else { continue };
                if self.done.insert(number) && !is_lost(view, call) {
                    judge(call, answer)?;
                }
            }
            while self.done.remove(&self.from) {
                self.from += 1;
            }
            Ok(())
        })
    }
}
