//! What became of gossiped messages, by topic.
//!
//! gossipsub itself drops what it has passed on before, so a copy by a second way is never seen here.

use std::sync::atomic::{AtomicU64, Ordering};

use libp2p::gossipsub::MessageAcceptance;

use super::topics::Topic;

/// Verdicts, in the order of their places.
const VERDICTS: [&str; 3] = ["accepted", "ignored", "rejected"];

/// One count for each topic and verdict.
#[derive(Debug, Default)]
pub(crate) struct GossipTally([[AtomicU64; VERDICTS.len()]; Topic::ALL.len()]);

impl GossipTally {
    /// A message was judged.
    pub(crate) fn count(&self, topic: Topic, verdict: &MessageAcceptance) {
        let place = match verdict {
            MessageAcceptance::Accept => 0,
            MessageAcceptance::Ignore => 1,
            MessageAcceptance::Reject => 2,
        };
        let of_topic = Topic::ALL.iter().zip(&self.0).find(|(one, _)| **one == topic);
        if let Some(count) = of_topic.and_then(|(_, counts)| counts.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Topic, verdict, count.
    pub(crate) fn all(&self) -> Vec<(Topic, &'static str, u64)> {
        let of_topic = |(topic, counts): (Topic, &[AtomicU64; VERDICTS.len()])| {
            let counts = counts.iter().map(|count| count.load(Ordering::Relaxed));
            VERDICTS.into_iter().zip(counts).map(move |(verdict, count)| (topic, verdict, count)).collect::<Vec<_>>()
        };
        Topic::ALL.into_iter().zip(&self.0).flat_map(of_topic).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_verdict_counts_for_its_topic_alone() {
        let tally = GossipTally::default();
        tally.count(Topic::Cards, &MessageAcceptance::Reject);
        tally.count(Topic::Cards, &MessageAcceptance::Reject);
        tally.count(Topic::Members, &MessageAcceptance::Accept);
        let seen: Vec<_> = tally.all().into_iter().filter(|(.., count)| *count > 0).collect();
        assert_eq!(seen, [(Topic::Members, "accepted", 1), (Topic::Cards, "rejected", 2)]);
        assert_eq!(tally.all().len(), 9);
    }
}
