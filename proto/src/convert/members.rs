//! Suspicions, and what neighbours tell each other about who lives.

use super::put;
use crate::{
    envelope::{Context, Signed},
    gossip::{MemberDigest, Members, Suspicion},
    ids::PublicKey,
    limits as l,
    reject::{Reject, within},
    scan,
    strict::{self, array},
    wire::{self, members::Message as Wire},
};
use alloc::vec::Vec;
use bytes::Bytes;
use prost::Message as _;

/// The longest word is a heartbeat.
const WORD_BYTES_MAX: usize = l::HEARTBEAT_BYTES_MAX + l::ENVELOPE_OVERHEAD_BYTES;

impl Signed for Suspicion {
    const CONTEXT: Context = Context::Suspicion;
    const PAYLOAD_BYTES_MAX: usize = l::SUSPICION_BYTES_MAX;
    const LIMIT: &'static str = "suspicion_bytes";

    fn encode(&self) -> Bytes {
        let wire = wire::Suspicion { suspect: put(&self.suspect.0), sequence: self.sequence, by: put(&self.by.0) };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<Suspicion, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let wire: wire::Suspicion = strict::decode(payload)?;
        Ok(Suspicion {
            suspect: PublicKey(array(&wire.suspect, "suspect")?),
            sequence: wire.sequence,
            by: PublicKey(array(&wire.by, "by")?),
        })
    }

    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        if self.by == *key { Ok(()) } else { Err(Reject::WrongSigner) }
    }
}

impl Members {
    /// The one encoding.
    pub fn encode(&self) -> Bytes {
        let message = match self {
            Members::Ping { sequence, suspected } => {
                Wire::Ping(wire::Ping { sequence: *sequence, suspected: *suspected })
            }
            Members::Pong { sequence } => Wire::Pong(wire::Pong { sequence: *sequence }),
            Members::Reach { node } => Wire::Reach(wire::Reach { node: put(&node.0) }),
            Members::Reached { answers } => Wire::Reached(wire::Reached { answers: *answers }),
            Members::Ask { after } => {
                Wire::Ask(wire::AskMembers { after: after.as_ref().map(|after| put(&after.0)).unwrap_or_default() })
            }
            Members::Page { items, complete } => {
                let digest = |item: &MemberDigest| wire::MemberDigest {
                    node: put(&item.node.0),
                    sequence: item.sequence,
                    suspicions: item.suspicions,
                };
                Wire::Page(wire::MemberPage { items: items.iter().map(digest).collect(), complete: *complete })
            }
            Members::Want { nodes } => {
                Wire::Want(wire::WantMembers { nodes: nodes.iter().map(|node| put(&node.0)).collect() })
            }
            Members::Words { words } => Wire::Words(wire::MemberWords { words: words.clone() }),
        };
        wire::Members { message: Some(message) }.encode_to_vec().into()
    }

    /// Reads a message; the words in it are slices, and still to be opened.
    pub fn decode(bytes: &Bytes) -> Result<Members, Reject> {
        within(bytes.len(), l::MEMBERS_BYTES_MAX, "members_bytes")?;
        for (field, max, limit) in [
            (6, l::MEMBERS_PER_PAGE_MAX, "members"),
            (7, l::MEMBERS_PER_REPLY_MAX, "nodes"),
            (8, l::MEMBER_WORDS_MAX, "words"),
        ] {
            scan::at_most_inside(bytes, field, 1, max, limit)?;
        }
        let wire: wire::Members = strict::decode(bytes)?;
        Ok(match wire.message.ok_or(Reject::WrongKind { field: "members" })? {
            Wire::Ping(ping) => Members::Ping { sequence: ping.sequence, suspected: ping.suspected },
            Wire::Pong(pong) => Members::Pong { sequence: pong.sequence },
            Wire::Reach(reach) => Members::Reach { node: key(&reach.node)? },
            Wire::Reached(reached) => Members::Reached { answers: reached.answers },
            Wire::Ask(ask) if ask.after.is_empty() => Members::Ask { after: None },
            Wire::Ask(ask) => Members::Ask { after: Some(key(&ask.after)?) },
            Wire::Page(page) => Members::Page { items: items(&page.items)?, complete: page.complete },
            Wire::Want(want) => Members::Want { nodes: want.nodes.iter().map(key).collect::<Result<_, _>>()? },
            Wire::Words(words) => {
                words.words.iter().try_for_each(|word| within(word.len(), WORD_BYTES_MAX, "word_bytes"))?;
                Members::Words { words: words.words }
            }
        })
    }
}

fn key(bytes: &Bytes) -> Result<PublicKey, Reject> {
    Ok(PublicKey(array(bytes, "node")?))
}

fn items(wire: &[wire::MemberDigest]) -> Result<Vec<MemberDigest>, Reject> {
    let item = |item: &wire::MemberDigest| {
        Ok(MemberDigest { node: key(&item.node)?, sequence: item.sequence, suspicions: item.suspicions })
    };
    let items = wire.iter().map(item).collect::<Result<Vec<_>, Reject>>()?;
    if items.is_sorted_by(|a, b| a.node < b.node) { Ok(items) } else { Err(Reject::OutOfRange { field: "members" }) }
}
