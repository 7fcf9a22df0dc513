//! Gossiped messages by topic: how many came, and what became of them.
//!
//! gossipsub itself drops what it has passed on before. Such copies are seen only where it takes a message off the wire, so
//! the counting is done there; the bytes pass as they are.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use libp2p::gossipsub::{DataTransform, IdentityTransform, Message, MessageAcceptance, RawMessage, TopicHash};

use super::topics::Topic;

/// Verdicts, in the order of their places.
const VERDICTS: [&str; 3] = ["accepted", "ignored", "rejected"];

/// Counts of one topic.
#[derive(Debug, Default)]
struct OfTopic {
    received: AtomicU64,
    verdicts: [AtomicU64; VERDICTS.len()],
}

/// All counts, by topic.
#[derive(Debug, Default)]
pub(crate) struct GossipTally([OfTopic; Topic::ALL.len()]);

/// What was counted of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GossipView {
    pub(crate) topic: Topic,
    /// Messages off the wire, copies among them.
    pub(crate) received: u64,
    /// Those that were judged, by verdict.
    pub(crate) verdicts: Vec<(&'static str, u64)>,
}

impl GossipTally {
    fn of(&self, topic: Topic) -> Option<&OfTopic> {
        Topic::ALL.iter().zip(&self.0).find(|(one, _)| **one == topic).map(|(_, counts)| counts)
    }

    /// A message was judged.
    pub(crate) fn judged(&self, topic: Topic, verdict: &MessageAcceptance) {
        let place = match verdict {
            MessageAcceptance::Accept => 0,
            MessageAcceptance::Ignore => 1,
            MessageAcceptance::Reject => 2,
        };
        if let Some(count) = self.of(topic).and_then(|counts| counts.verdicts.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every topic.
    pub(crate) fn all(&self) -> Vec<GossipView> {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let view = |(topic, counts): (Topic, &OfTopic)| GossipView {
            topic,
            received: load(&counts.received),
            verdicts: VERDICTS.into_iter().zip(counts.verdicts.iter().map(load)).collect(),
        };
        Topic::ALL.into_iter().zip(&self.0).map(view).collect()
    }
}

/// Counts what comes off the wire, and changes nothing.
pub(crate) struct Counting(pub(crate) Arc<GossipTally>);

impl DataTransform for Counting {
    fn inbound_transform(&self, raw: RawMessage) -> io::Result<Message> {
        if let Some(counts) = Topic::from_hash(&raw.topic).and_then(|topic| self.0.of(topic)) {
            counts.received.fetch_add(1, Ordering::Relaxed);
        }
        IdentityTransform.inbound_transform(raw)
    }

    fn outbound_transform(&self, topic: &TopicHash, data: Vec<u8>) -> io::Result<Vec<u8>> {
        IdentityTransform.outbound_transform(topic, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_verdicts_count_for_their_topic_alone() {
        let tally = Arc::<GossipTally>::default();
        let counting = Counting(tally.clone());
        let raw = |topic: Topic| RawMessage {
            source: None,
            data: vec![7],
            sequence_number: None,
            topic: topic.ident().hash(),
            signature: None,
            key: None,
            validated: false,
        };
        for topic in [Topic::Cards, Topic::Cards, Topic::Members] {
            assert_eq!(counting.inbound_transform(raw(topic)).unwrap().data, [7]);
        }
        tally.judged(Topic::Cards, &MessageAcceptance::Reject);
        let seen: Vec<_> = tally.all().into_iter().map(|of| (of.topic, of.received, of.verdicts[2])).collect();
        let rejected = |count| ("rejected", count);
        let expected =
            [(Topic::Members, 1, rejected(0)), (Topic::Cards, 2, rejected(1)), (Topic::DomainCards, 0, rejected(0))];
        assert_eq!(seen, expected);
    }
}
