//! Events: what an entry did, in the words of the field, with the postings it made.
//!
//! The canonical bytes of an event are the data of a leaf of the domain's Merkle log. The legs of all events together are
//! every posting ever made, so whoever has the events can recompute every balance offline.

use crate::account::{AccountKind, AssetIndex, Leg};
pub use crate::event_bytes::EventBytes;
use crate::merkle::leaf_hash;
use crate::projection::{PeerCheckpoint, ProjectedEvent};
use crate::statement::SupplyStatement;
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use comity_proto::{
    amount::AssetId,
    command::Party,
    drift::DriftPart,
    escrow::EscrowTerms,
    export::ExportRule,
    ids::{AgentId, DomainId, EscrowId, Hash, PublicKey, TransferId},
    key_step::KeyChange,
    licence::Licence,
    settlement::Source,
    text::{GroupLabel, Memo, Name, Nickname, Reason},
    treaty::TreatyStanding,
};
use serde::{Deserialize, Serialize};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Raft log index of the entry.
    pub log_index: u64,
    /// Position among the events of that entry, from 0.
    pub n: u32,
    /// Ledger time, ms since the Unix epoch.
    pub stamp_ms: u64,
    /// What happened.
    pub kind: EventKind,
    /// The postings that belong to it; per asset they sum to zero.
    pub legs: Vec<Leg>,
}

/// What happened. Append-only: a variant keeps its place and its fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// The genesis was applied.
    DomainBegan {
        /// Id.
        domain: DomainId,
        /// Display only.
        nickname: Nickname,
    },
    /// The domain's voters changed.
    RosterChanged {
        /// Of the roster now in force.
        epoch: u64,
    },
    /// An asset is known here from now on.
    AssetKnown {
        /// Its number in legs.
        index: AssetIndex,
        /// What it is.
        asset: AssetId,
        /// Decimals shown to people; `None` for another domain's asset.
        scale: Option<u8>,
        /// Published bound of the supply, minor units; `None` for another domain's asset.
        supply_cap: Option<u64>,
    },
    /// An agent registered.
    AgentRegistered {
        /// Its id.
        agent: AgentId,
        /// Its first key.
        key: PublicKey,
        /// Display only.
        nickname: Nickname,
        /// Sub-network.
        group: Option<GroupLabel>,
        /// Who of this domain referred it.
        referrer: Option<AgentId>,
    },
    /// An agent's key changed.
    KeyRotated {
        /// Whose.
        agent: AgentId,
        /// The key active from here on.
        key: PublicKey,
    },
    /// An agent retired.
    AgentRetired {
        /// Which.
        agent: AgentId,
    },
    /// The operator filled the faucet.
    FaucetFunded,
    /// An agent took its grant.
    FaucetClaimed {
        /// Which.
        agent: AgentId,
    },
    /// A name is owned, until then.
    NameHeld {
        /// Which name.
        name: Name,
        /// By whom.
        owner: AgentId,
        /// Ledger time, ms.
        expires_ms: u64,
    },
    /// A name is free again.
    NameFreed {
        /// Which name.
        name: Name,
        /// Whose it was.
        owner: AgentId,
        /// By time rather than by release.
        expired: bool,
    },
    /// The operator issued.
    Issued {
        /// Which asset.
        asset: AssetIndex,
        /// Minor units.
        amount: u64,
    },
    /// The operator burned.
    Burned {
        /// Which asset.
        asset: AssetIndex,
        /// Minor units.
        amount: u64,
    },
    /// Money moved inside the domain; parties and amount are in the legs.
    Transferred {
        /// Chosen by the payer.
        transfer: TransferId,
        /// For people.
        memo: Memo,
    },
    /// An escrow was locked.
    EscrowLocked {
        /// Which.
        escrow: EscrowId,
        /// As signed by the payer.
        terms: Arc<EscrowTerms>,
    },
    /// A payee agreed.
    EscrowAccepted {
        /// Which.
        escrow: EscrowId,
        /// Who.
        payee: AgentId,
    },
    /// A payee delivered.
    EscrowSubmitted {
        /// Which.
        escrow: EscrowId,
        /// Which milestone (0 when there are none).
        milestone: u16,
        /// SHA-256 of the result.
        result_hash: Hash,
    },
    /// A part of an escrow was paid and returned as the legs say; shares of other domains' agents are owed.
    EscrowPaid {
        /// Which.
        escrow: EscrowId,
        /// Which milestone (0 when there are none, [`crate::escrow::EVERYTHING`] for a ruling).
        milestone: u16,
        /// Minor units to the payees, before the fee.
        gross: u64,
        /// Minor units of fee, all shares of it together.
        fee: u64,
        /// Minor units back to the payer.
        returned: u64,
        /// What made it so.
        cause: Cause,
    },
    /// One side disputes.
    EscrowDisputed {
        /// Which.
        escrow: EscrowId,
        /// Who.
        by: AgentId,
        /// SHA-256 of the evidence.
        evidence_hash: Hash,
    },
    /// One of several payees gave up; the escrow is cancelled when all have.
    EscrowWaived {
        /// Which.
        escrow: EscrowId,
        /// Who.
        payee: AgentId,
    },
    /// A bond went back to whoever placed it, or to the treasury.
    BondSettled {
        /// Which escrow.
        escrow: EscrowId,
        /// Back to whoever disputed.
        returned: bool,
    },
    /// A share owed to an agent of another domain has arrived there.
    EscrowPayoutDone {
        /// Which escrow.
        escrow: EscrowId,
        /// Which milestone.
        milestone: u16,
        /// Index in the terms.
        payee: u16,
    },
    /// A policy will be in force.
    PolicyAnnounced {
        /// Its version.
        version: u64,
        /// From then on; ledger time, ms.
        effective_at_ms: u64,
    },
    /// Both domains have signed a treaty: from here on it is in force.
    TreatyAgreed {
        /// With whom.
        peer: DomainId,
        /// Of the document.
        version: u64,
        /// Of the document.
        digest: Hash,
    },
    /// The clock stalled: open escrow deadlines moved by this much.
    ClockStalled {
        /// Milliseconds.
        gap_ms: u64,
    },
    /// Settlement, at the origin: the amount is in flight.
    TransferBegun {
        /// Which.
        transfer: TransferId,
        /// Who pays.
        source: Source,
        /// Who is to receive.
        recipient: Party,
        /// Of what.
        asset: AssetId,
        /// Minor units.
        amount: u64,
        /// Ledger time of the origin, ms.
        decide_by_ms: u64,
    },
    /// Settlement, at a participant: our vote.
    TransferVoted {
        /// Whose transfer.
        origin: DomainId,
        /// Which.
        transfer: TransferId,
        /// Yes with the fee fixed, or no with the outcome code.
        verdict: Result<u64, u16>,
        /// Digest of the signed batch that asked.
        evidence: Hash,
    },
    /// Settlement, at the origin: the decision.
    TransferDecided {
        /// Which.
        transfer: TransferId,
        /// Commit or abort.
        commit: bool,
        /// Why it was aborted: an outcome code, `None` at the deadline.
        reason: Option<u16>,
        /// Digest of the signed batch that carried the vote.
        vote_evidence: Option<Hash>,
        /// Whom the decision binds besides this domain.
        participants: Vec<DomainId>,
    },
    /// Settlement, at a participant: the origin's decision is posted.
    TransferFinished {
        /// Whose transfer.
        origin: DomainId,
        /// Which.
        transfer: TransferId,
        /// Commit or abort.
        commit: bool,
        /// Fee taken, minor units.
        fee: u64,
        /// Digest of the signed batch that carried the decision.
        evidence: Hash,
    },
    /// Settlement, at the origin: the participant has posted the outcome.
    TransferClosed {
        /// Which.
        transfer: TransferId,
        /// Commit or abort.
        commit: bool,
    },
    /// A peer signed two different decisions.
    PeerEquivocated {
        /// Who.
        peer: DomainId,
        /// About which transfer.
        transfer: TransferId,
        /// Digest of the first signed batch.
        first: Hash,
        /// Digest of the second.
        second: Hash,
    },
    /// An agent that just registered was referred by one of another domain.
    ReferredFromElsewhere {
        /// Who registered.
        agent: AgentId,
        /// Who referred it.
        referrer: Party,
    },
    /// A referrer's home says that it has retired: what had accrued for it stays with the treasury.
    ReferralForfeited {
        /// Which referrer.
        referrer: Party,
    },
    /// The operator invited another domain.
    PeerInvited {
        /// Digest of the invitation's secret.
        secret: Hash,
        /// Until then; ledger time, ms.
        ends_at_ms: u64,
    },
    /// One side has signed the next version of a treaty.
    TreatyProposed {
        /// With whom.
        peer: DomainId,
        /// Of the document.
        version: u64,
        /// Of the document.
        digest: Hash,
        /// Whether this domain signed.
        by_us: bool,
    },
    /// One side changes what it does under a treaty.
    TreatyChanged {
        /// With whom.
        peer: DomainId,
        /// Whether this domain changes.
        by_us: bool,
        /// Of the notice.
        serial: u64,
        /// From here on.
        standing: TreatyStanding,
        /// The proposed document that is denied.
        denies: Option<Box<Hash>>,
        /// For people.
        reason: Reason,
    },
    /// The peer's ledger has answered what was said to it about a treaty.
    TreatyTold {
        /// Who.
        peer: DomainId,
        /// Hash of the signed bytes that were said.
        subject: Hash,
        /// An outcome code.
        outcome: u16,
    },
    /// Nothing of a treaty that ends is open on either side, and both sides' closing statements fit: while it drains, from
    /// here on paper only goes back.
    TreatyDrained {
        /// With whom.
        peer: DomainId,
    },
    /// The operator changed what other domains may see and hire, or be hired for.
    ExportChanged {
        /// What is admitted.
        rule: Box<ExportRule>,
        /// No longer.
        withdrawn: bool,
        /// For people.
        reason: Reason,
    },
    /// One side has said a word about the licence that it grants the other.
    LicenceChanged {
        /// With whom.
        peer: DomainId,
        /// Whether this domain grants it.
        by_us: bool,
        /// All that it says.
        licence: Box<Licence>,
    },
    /// What no evidence settled with a peer after a restore was taken upon the treasury; how much is in the legs.
    BooksSettled {
        /// With whom.
        peer: DomainId,
        /// For people.
        reason: Reason,
    },
    /// A restored ledger and all its peers agree: trade goes on.
    FenceLifted {
        /// Under which it speaks from here on.
        incarnation: u64,
    },
    /// Nothing of a treaty that ends is open at one side any more, and it says what lies between the two.
    ClosingStated {
        /// With whom.
        peer: DomainId,
        /// Whether this domain states it.
        by_us: bool,
        /// Of this domain: as of the events before this one.
        statement: Box<SupplyStatement>,
        /// Of the peer: digest of the signed batch that carried it.
        evidence: Option<Hash>,
    },
    /// The closing statements of the two sides do not fit: nothing moves under that treaty.
    ClosingDiffers {
        /// With whom.
        peer: DomainId,
    },
    /// The time to bring paper back under a drained treaty is over.
    RedemptionEnded {
        /// With whom.
        peer: DomainId,
    },
    /// A key that acts for this domain, or the operator's or root key of a peer, took a step.
    KeyChanged {
        /// Whose.
        domain: DomainId,
        /// A node's: the first key of its place. The root's: the first root key. `None`: the operator's.
        place: Option<Box<PublicKey>>,
        /// Of the step.
        serial: u64,
        /// What was done.
        change: KeyChange,
        /// To which key.
        key: PublicKey,
        /// For people.
        reason: Reason,
    },
    /// This domain and a peer disagree about each other, in more or less than before; or agree again.
    DriftNoted {
        /// Who.
        peer: DomainId,
        /// In what; nothing: they agree.
        parts: Vec<DriftPart>,
        /// No transfer to it begins meanwhile.
        quarantined: bool,
    },
    /// A signed tree of a peer's log, from which events are projected here.
    PeerCheckpointHeld(Box<PeerCheckpoint>),
    /// An event of a peer's log that concerns this domain, with its proof.
    EventProjected(Box<ProjectedEvent>),
    /// A share that an escrow owed to an agent of another domain, or as much of it as the legs say, had been paid by the
    /// treasury when books were settled after a restore: it goes to the treasury.
    EscrowShareFronted {
        /// Which escrow.
        escrow: EscrowId,
        /// Milestone, as in the payment.
        milestone: u16,
        /// Index of the payee in the terms.
        payee: u16,
    },
}

/// What ended a part of an escrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// The payer released.
    Release,
    /// Nothing was delivered in time.
    NoDelivery,
    /// The payer stayed silent after a submission.
    Silence,
    /// The arbiter ruled.
    Ruling,
    /// The arbiter stayed silent.
    NoRuling,
    /// The payees gave it back.
    Cancel,
    /// A payee's domain has proved after a restore what the lost log had paid.
    Restored,
}

impl Event {
    /// Canonical bytes: what is hashed, stored and exported.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Serialising into memory cannot fail for these plain types; an empty leaf would show as a wrong root at once.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// Reads canonical bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Event, postcard::Error> {
        postcard::from_bytes(bytes)
    }

    /// Leaf of the Merkle log.
    pub fn leaf(&self) -> Hash {
        leaf_hash(&self.to_bytes())
    }

    /// Agents of this domain whose balance it changed, in order of the legs; may repeat.
    pub fn agents(&self) -> impl Iterator<Item = AgentId> + '_ {
        self.legs.iter().filter_map(|leg| match leg.account.kind {
            AccountKind::Agent(agent) => Some(agent),
            _ => None,
        })
    }
}
