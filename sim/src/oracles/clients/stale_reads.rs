//! A stale read says how old it is.

use crate::{
    oracles::{Oracle, Phase, View},
    workload::ReadAnswer,
};

/// How many reads are judged already.
#[derive(Default)]
pub(super) struct StaleReads {
    judged: usize,
}

impl Oracle for StaleReads {
    fn name(&self) -> &'static str {
        "honest-stale-reads"
    }

    fn claim(&self) -> &'static str {
        "a stale read is the state after exactly the entry that it names, and that entry was committed"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        view.history.with_reads(|reads| {
            for read in reads.iter().skip(self.judged) {
                let Some((at, answer)) = read.answered.as_ref().filter(|(at, _)| *at < view.now) else { break };
                if let ReadAnswer::Balance { applied, .. } = answer
                    && view.is_lost(read.domain, (read.asked, *at), *applied)
                {
                    self.judged += 1;
                    continue;
                }
                let story = &view.seen.stories[read.domain];
                let newest = view.seen.committed[read.domain].newest().max(story.newest());
                if let ReadAnswer::Balance { applied: Some(index), .. } = answer
                    && *index > newest
                {
                    // A host that loses its power in the instant of its answer has told nobody of the entry. Another
                    // one will, before the end, if it was committed.
                    if view.phase < Phase::Audit {
                        break;
                    }
                    return Err(format!("host {} named entry {index}; {newest} is the newest", read.host));
                }
                self.judged += 1;
                let ReadAnswer::Balance { amount, applied: Some(index) } = answer else { continue };
                let Some(asset) = story.asset_index(&read.asset) else { continue };
                if story.gap().is_some() {
                    continue;
                }
                let held = story.balance_at(read.agent, asset, *index);
                if held != i128::from(*amount) {
                    return Err(format!(
                        "host {} showed {amount} for {} after entry {index}; it was {held} then",
                        read.host, read.agent
                    ));
                }
            }
            Ok(())
        })
    }
}
