//! What the log of another domain says about this one, kept in this log with its proof.
//!
//! ```text
//! theirs: event at index -> path -> root over `size` events -> checkpoint signed by their voter -> their roster
//! here:   [`PeerCheckpoint`] (a tree of theirs, and that it extends the last one), then a [`ProjectedEvent`] for each
//! ```
//! Nothing is decided by it and no money moves: it is evidence that nobody can take back, and whoever is handed this
//! domain's history judges it from the bytes alone. Only forward: an event is projected once, in the order of their log. That
//! nothing was left out in between is not proved; what is missing shows where this log and that one are laid side by side.

use crate::{
    account::AccountKind,
    apply::{Answer, Out},
    checkpoint::Checkpoint,
    event::{Event, EventKind},
    merkle::{VerifyError, verify_consistency, verify_inclusion},
    outcome::Outcome,
    settlement::check::open_roster,
    state::Ledger,
};
use alloc::{boxed::Box, vec::Vec};
use bytes::Bytes;
use comity_proto::{
    envelope::{Signed as _, Verified},
    identity::Roster,
    ids::{DomainId, Hash},
    planted::{Plant, planted},
    projection::{Excerpt, Projection, ProvedEvent},
    reject::Reject,
};
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes as somebody else wrote them: plain in an event's canonical form, hex for people.
#[derive(Clone, PartialEq, Eq)]
pub struct Exact(pub Bytes);

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_bytes(&self.0) }
    }
}

/// Of the canonical form alone: what people read is never read back.
impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Exact, D::Error> {
        Vec::<u8>::deserialize(deserializer).map(|bytes| Exact(bytes.into()))
    }
}

/// A signed tree of another domain's log, from which events are projected here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerCheckpoint {
    /// Whose log.
    pub peer: DomainId,
    /// Events in the tree.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// Envelope of the roster that the signer stands in.
    pub roster: Exact,
    /// Envelope of the checkpoint.
    pub checkpoint: Exact,
    /// That it extends the tree of the last such event about this peer; empty for the first.
    pub extends: Vec<Hash>,
}

/// An event of another domain's log that concerns this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectedEvent {
    /// Whose log.
    pub peer: DomainId,
    /// Its number there.
    pub index: u64,
    /// Events in the tree that it is proved to: that of the last [`PeerCheckpoint`] about this peer.
    pub size: u64,
    /// Its exact bytes.
    pub event: Exact,
    /// From its leaf to the root, leaf side first.
    pub path: Vec<Hash>,
}

/// How far a peer's log is projected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projected {
    /// The last tree: how many events, and its root.
    pub tree: Option<(u64, Hash)>,
    /// The first event of theirs that is not projected and not passed over.
    pub next: u64,
    /// Events projected so far.
    pub count: u64,
}

impl Projected {
    /// Events in the last tree; 0 before the first.
    pub fn size(&self) -> u64 {
        self.tree.map_or(0, |(size, _)| size)
    }
}

/// A projection of which everything is proved but that its tree extends the last one. Private inside:
/// [`CheckedProjection::open`] is its only source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedProjection {
    checkpoint: Verified<Checkpoint>,
    roster: Verified<Roster>,
    extends: Vec<Hash>,
    /// Each with the domains that it concerns.
    events: Vec<(ProvedEvent, Vec<DomainId>)>,
}

impl CheckedProjection {
    /// Judges what the bytes alone tell: signatures, the form of each event, and its path to the root.
    pub fn open(bytes: &Bytes) -> Result<CheckedProjection, Outcome> {
        let refused = |reject: Reject| match reject {
            Reject::BadSignature | Reject::WrongSigner => Outcome::BadSignature,
            _ => Outcome::Malformed,
        };
        let Projection { roster, checkpoint, excerpt } = Projection::decode(bytes).map_err(refused)?;
        let checkpoint = Checkpoint::open(&checkpoint).map_err(refused)?;
        let tree = *checkpoint.get();
        let roster = open_roster(&roster, &tree.domain).ok_or(Outcome::BadSignature)?;
        if !roster.get().voters.contains(checkpoint.key()) {
            return Err(Outcome::BadSignature);
        }
        let Excerpt { extends, events } = excerpt;
        let judged = events.into_iter().map(|proved| {
            let event = Event::from_bytes(&proved.event).map_err(|_| Outcome::Malformed)?;
            let (leaf, bytes) = (event.leaf(), event.to_bytes());
            if bytes != proved.event {
                return Err(Outcome::Malformed);
            }
            match verify_inclusion(&leaf, proved.index, tree.size, &proved.path, &tree.root) {
                Err(error) if !planted(Plant::ProjectionUnproved) => Err(named(&error)),
                _ => Ok((proved, event.concerned())),
            }
        });
        let events = judged.collect::<Result<_, _>>()?;
        Ok(CheckedProjection { checkpoint, roster, extends, events })
    }
}

/// The outcome that a proof deserves.
const fn named(error: &VerifyError) -> Outcome {
    match error {
        VerifyError::OutOfRange => Outcome::UnknownCheckpoint,
        VerifyError::WrongLength { expected, given } if *given > *expected => Outcome::ProofTooLong,
        VerifyError::WrongLength { .. } => Outcome::ProofTooShort,
        VerifyError::OlderRootDiffers | VerifyError::RootDiffers => Outcome::RootDiffers,
    }
}

/// Whether a tree extends the last one; the first one need not.
fn extends(held: Option<(u64, Hash)>, tree: &Checkpoint, proof: &[Hash]) -> Result<(), Outcome> {
    match held {
        None if proof.is_empty() => Ok(()),
        None => Err(Outcome::ProofTooLong),
        Some((size, root)) => {
            verify_consistency(size, tree.size, &root, &tree.root, proof).map_err(|error| named(&error))
        }
    }
}

impl Event {
    /// Other domains about whose affairs with this one it speaks: ends of transfers, and changes of treaties. Each may
    /// be shown it, and nobody else.
    pub fn concerned(&self) -> Vec<DomainId> {
        use EventKind as E;
        let mut found = match &self.kind {
            E::TransferDecided { participants, .. } => participants.clone(),
            E::TransferFinished { origin, .. } => [*origin].into(),
            E::TreatyAgreed { peer, .. }
            | E::TreatyChanged { peer, .. }
            | E::TreatyDrained { peer }
            | E::LicenceChanged { peer, .. }
            | E::ClosingStated { peer, .. }
            | E::ClosingDiffers { peer }
            | E::RedemptionEnded { peer }
            | E::BooksSettled { peer, .. } => [*peer].into(),
            _ => return Vec::new(),
        };
        // The reserve behind a domain's paper moves: of an issuer, that of two at once.
        found.extend(self.legs.iter().filter_map(|leg| match leg.account.kind {
            AccountKind::Peer(peer) => Some(peer),
            _ => None,
        }));
        found.sort_unstable();
        found.dedup();
        found
    }
}

impl Ledger {
    /// What of a projection is new here; nothing: all of it is there already.
    ///
    /// # Errors
    /// The outcome that it is refused with. Nothing is changed.
    pub fn judge_projection<'a>(&self, shown: &'a CheckedProjection) -> Result<Vec<&'a ProvedEvent>, Outcome> {
        let (own, tree) = (self.domain_id().ok_or(Outcome::NotInitialized)?, shown.checkpoint.get());
        if tree.domain == own {
            return Err(Outcome::WrongDomain);
        }
        if self.head.treaties.get(&tree.domain).is_none_or(|treaty| treaty.agreed.is_none()) {
            return Err(Outcome::PeerNotTrusted);
        }
        let state = self.settlement.peers.get(&tree.domain);
        // The highest roster seen, this one included.
        let heard = state.filter(|state| state.roster_epoch >= shown.roster.get().epoch && !state.voters.is_empty());
        if heard.is_none() {
            self.judge_root(&tree.domain, shown.roster.signer())?;
        }
        let voters = heard.map_or(&shown.roster.get().voters, |state| &state.voters);
        if !voters.contains(shown.checkpoint.key()) {
            return Err(Outcome::NotAVoter);
        }
        if shown.events.iter().any(|(_, concerned)| !concerned.contains(&own)) {
            return Err(Outcome::WrongDomain);
        }
        let next = state.map_or(0, |state| state.projected.next);
        let news: Vec<&ProvedEvent> =
            shown.events.iter().map(|(proved, _)| proved).filter(|proved| proved.index >= next).collect();
        if !news.is_empty() {
            extends(state.and_then(|state| state.projected.tree), tree, &shown.extends)?;
        }
        Ok(news)
    }

    /// Takes events of another domain's log into this one.
    pub(crate) fn project(&mut self, shown: &CheckedProjection, out: &mut Out) -> Answer {
        let news = self.judge_projection(shown)?;
        let Some(last) = news.last() else { return Ok(Outcome::Exists) };
        let Checkpoint { domain: peer, size, root, .. } = *shown.checkpoint.get();
        self.adopt_roster(shown.roster.get(), Some(shown.roster.signer()))?;
        let state = self.settlement.peers.entry(peer).or_default();
        let before = state.projected.tree.replace((size, root));
        state.projected.next = last.index.saturating_add(1);
        state.projected.count = state.projected.count.saturating_add(u64::try_from(news.len()).unwrap_or(u64::MAX));
        if before != Some((size, root)) {
            let held = PeerCheckpoint {
                peer,
                size,
                root,
                roster: Exact(shown.roster.envelope_bytes().clone()),
                checkpoint: Exact(shown.checkpoint.envelope_bytes().clone()),
                extends: shown.extends.clone(),
            };
            self.emit(out, EventKind::PeerCheckpointHeld(Box::new(held)), Vec::new());
        }
        for ProvedEvent { index, event, path } in news {
            let (event, path) = (Exact(event.clone()), path.clone());
            let projected = ProjectedEvent { peer, index: *index, size, event, path };
            self.emit(out, EventKind::EventProjected(Box::new(projected)), Vec::new());
        }
        Ok(Outcome::Applied)
    }
}
