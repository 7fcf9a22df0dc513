//! A linearizable read shows everything acknowledged before it began.

use comity_ledger::Outcome;

use super::is_lost;
use crate::{
    hosts::Restore,
    oracles::{Oracle, View},
    workload::{Answer, ReadAnswer},
    world::TimeNs,
};

/// What reads and writes have shown so far, by domain: an index that every later read must have reached.
#[derive(Default)]
pub(super) struct FreshReads {
    judged: usize,
    shown: Vec<(usize, TimeNs, u64)>,
}

impl Oracle for FreshReads {
    fn name(&self) -> &'static str {
        "fresh-reads"
    }

    fn claim(&self) -> &'static str {
        "a linearizable read shows every write that was acknowledged, and all that any earlier read had shown"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        let judged = self.judged;
        let mut shown = Vec::new();
        let result = view.history.with_reads(|reads| {
            // In the order of their answers: a read that is under way holds the later ones up for a while only.
            for read in reads.iter().skip(judged) {
                let Some((answered, answer)) = read.answered.as_ref().filter(|(at, _)| *at < view.now) else { break };
                self.judged += 1;
                let ReadAnswer::Balance { amount, applied: None } = answer else { continue };
                if view.is_lost(read.domain, (read.asked, *answered), None) {
                    continue;
                }
                let story = &view.seen.stories[read.domain];
                let Some(asset) = story.asset_index(&read.asset) else { continue };
                if story.gap().is_some() {
                    continue;
                }
                let floor = self.floor(view, read.domain, read.asked, &shown);
                let spans = story.when_balance(read.agent, asset, i128::from(*amount));
                let Some(from) = spans.iter().find(|(_, end)| *end > floor).map(|(from, _)| (*from).max(floor)) else {
                    return Err(format!(
                        "a read of {} at host {} from {} to {} ms showed {amount}, which was so at {spans:?}; entry {floor} \
                         was known before it began",
                        read.agent,
                        read.host,
                        read.asked / 1_000_000,
                        answered / 1_000_000,
                    ));
                };
                shown.push((read.domain, *answered, from));
            }
            Ok(())
        });
        self.shown.extend(shown);
        result
    }

    fn restored(&mut self, _view: &View<'_>, restore: &Restore) -> Result<(), String> {
        // What the snapshot holds is shown for good.
        self.shown.retain(|(domain, _, index)| *domain != restore.domain || *index <= restore.index);
        Ok(())
    }
}

impl FreshReads {
    /// The newest entry that somebody knew to be there before `asked`.
    fn floor(&self, view: &View<'_>, domain: usize, asked: TimeNs, shown: &[(usize, TimeNs, u64)]) -> u64 {
        let by_reads = self.shown.iter().chain(shown);
        let by_reads =
            by_reads.filter(|(of, at, _)| *of == domain && *at < asked).map(|(_, _, index)| *index).max().unwrap_or(0);
        let by_writes = view.history.with(|calls| {
            let of_domain = calls.iter().filter(|call| call.operation.domain == domain && !is_lost(view, call));
            let indexes = of_domain.filter_map(|call| match call.answered.as_ref()? {
                (at, Answer::Done { log_index, outcome }) if *at < asked && *outcome != Outcome::Exists => {
                    Some(*log_index)
                }
                _ => None,
            });
            indexes.max().unwrap_or(0)
        });
        by_reads.max(by_writes)
    }
}
