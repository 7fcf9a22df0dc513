//! What an agent or an operator may ask of a ledger: typed twins of `schema/comity/v1/command.proto`.

use crate::{
    amount::{AssetCode, AssetId},
    escrow::EscrowTerms,
    export::ExportRule,
    ids::{AgentId, DomainId, EscrowId, Hash, PublicKey, RequestId, TransferId},
    policy::Policy,
    text::{GroupLabel, Memo, Name, Nickname, Reason, ReferralCode},
};
use alloc::vec::Vec;
use bytes::Bytes;

pub use crate::convert::command::Heading;

/// Who signs: an agent by its id, or the operator of the home domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Actor {
    /// An agent; a foreign one may only act on an escrow that names it.
    Agent(AgentId),
    /// Holder of the domain's operator key.
    Operator,
}

/// One to [`crate::limits::COMMANDS_PER_BATCH_MAX`] commands under one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandBatch {
    /// The domain whose ledger is addressed.
    pub home: DomainId,
    /// Who asks.
    pub actor: Actor,
    /// Last ledger time (ms since the Unix epoch) at which the batch may be applied; at most 24 h after the stamp.
    pub valid_until_ms: u64,
    /// The commands, applied in order, each with its own outcome.
    pub commands: Vec<Command>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Client-chosen; the same id with the same content is the same command.
    pub request_id: RequestId,
    /// What is asked.
    pub verb: Verb,
}

/// An agent at home somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Party {
    /// Home domain.
    pub domain: DomainId,
    /// The agent.
    pub agent: AgentId,
}

/// Who brought an agent, or the payer of one escrow.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Referral {
    /// Whoever hands out this code in the addressed domain.
    Code(ReferralCode),
    /// By id and home. Shares of one that is at home elsewhere accrue and are sent to it by a transfer of their own.
    Agent(Party),
}

/// Everything a ledger can be asked to do by a signed command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a lock is the most frequent verb; a box for each would cost more")]
pub enum Verb {
    /// The envelope's key becomes the agent's first key.
    RegisterAgent {
        /// Display only.
        nickname: Nickname,
        /// Sub-network label, if any.
        group: Option<GroupLabel>,
        /// The referrer, if any; fixed for ever.
        referred_by: Option<Referral>,
        /// Code that this agent hands out, if any.
        own_code: Option<ReferralCode>,
        /// Hash of the admission token that let it in, if any (the faucet counts claims per token).
        admission: Option<Hash>,
        /// An operator keeps the first key and can spend with it, until the agent rotates to a key of its own.
        custodial: bool,
    },
    /// The old key signs the batch, the new one signs `(agent, new_key)` under its own context.
    RotateKey {
        /// The next key.
        new_key: PublicKey,
        /// By the next key; context [`crate::envelope::Context::KeyRotation`].
        proof: [u8; 64],
    },
    /// No more debits but sweeping out; credits still arrive.
    RetireAgent,
    /// Once per agent id.
    ClaimFaucet,
    /// Yearly fee to the treasury.
    RegisterName {
        /// The name inside this domain.
        name: Name,
        /// 1 to 10.
        years: u8,
    },
    /// Adds years.
    RenewName {
        /// The name.
        name: Name,
        /// 1 to 10.
        years: u8,
    },
    /// To another local agent.
    TransferName {
        /// The name.
        name: Name,
        /// Next owner.
        to: AgentId,
    },
    /// Frees the name.
    ReleaseName {
        /// The name.
        name: Name,
    },
    /// Money to a local or a remote agent.
    Transfer {
        /// Lives as long as its record when remote.
        transfer_id: TransferId,
        /// Who receives.
        to: Party,
        /// What.
        asset: AssetId,
        /// Minor units.
        amount: u64,
        /// For people.
        memo: Memo,
    },
    /// Locks `terms.amount` of the signer.
    LockEscrow {
        /// Chosen by the payer.
        escrow_id: EscrowId,
        /// Signed by the payer with this command.
        terms: EscrowTerms,
    },
    /// A payee agrees to the terms.
    AcceptEscrow {
        /// Which.
        escrow_id: EscrowId,
    },
    /// A payee delivers.
    SubmitEscrow {
        /// Which.
        escrow_id: EscrowId,
        /// Which milestone; `None` when the terms have none.
        milestone: Option<u16>,
        /// SHA-256 of the result.
        result_hash: Hash,
    },
    /// The payer pays.
    ReleaseEscrow {
        /// Which.
        escrow_id: EscrowId,
        /// Which milestone; `None` when the terms have none.
        milestone: Option<u16>,
        /// If given, must equal the submitted hash.
        verified_hash: Option<Hash>,
    },
    /// Either side, inside the review window.
    DisputeEscrow {
        /// Which.
        escrow_id: EscrowId,
        /// SHA-256 of the evidence.
        evidence_hash: Hash,
    },
    /// The arbiter splits what is open.
    RuleEscrow {
        /// Which.
        escrow_id: EscrowId,
        /// Share of the payees, basis points.
        payee_bps: u16,
    },
    /// A payee gives everything open back to the payer.
    CancelEscrow {
        /// Which.
        escrow_id: EscrowId,
    },
    /// Operator: a new asset of this domain.
    CreateAsset {
        /// Its code.
        code: AssetCode,
        /// Decimals shown to people.
        scale: u8,
        /// Upper bound of the supply, minor units; published.
        supply_cap: u64,
    },
    /// Operator: mints to a local agent, or to the treasury.
    Issue {
        /// An asset of this domain.
        code: AssetCode,
        /// Receiver; `None` is the treasury.
        to: Option<AgentId>,
        /// Minor units.
        amount: u64,
    },
    /// Operator: burns from the treasury.
    Burn {
        /// An asset of this domain.
        code: AssetCode,
        /// Minor units.
        amount: u64,
    },
    /// Operator: treasury to faucet, in the faucet's asset.
    FundFaucet {
        /// Minor units.
        amount: u64,
    },
    /// Operator: announces a policy.
    SetPolicy {
        /// At least 24 h after the stamp.
        effective_at_ms: u64,
        /// The whole policy.
        policy: Policy,
    },
    /// Operator: another domain may propose a treaty, once, with the secret of an invitation.
    InvitePeer {
        /// Digest of that secret.
        secret_hash: Hash,
        /// How much of the other domain's own first asset is accepted, minor units.
        cap: u64,
        /// Until then; ledger time, ms.
        ends_at_ms: u64,
        /// Nobody but this domain, if named.
        invitee: Option<DomainId>,
        /// Above it a decision needs a majority of its origin's voters, minor units.
        majority_above: Option<u64>,
    },
    /// Operator: signs the next version of a treaty first.
    ProposeTreaty {
        /// Envelope of the document by this domain.
        document: Bytes,
        /// Envelope of the peer's invitation; empty for the next version of a treaty that stands.
        invitation: Bytes,
    },
    /// Operator: signs a treaty that the peer has signed.
    ApproveTreaty {
        /// Envelope of the document by this domain.
        document: Bytes,
        /// Envelope of the same document by the peer.
        countersigned: Bytes,
        /// Envelope of the peer's roster; empty where it came with the proposal.
        roster: Bytes,
    },
    /// Operator: denies, suspends, resumes, drains or revokes.
    ChangeTreaty {
        /// Envelope of this domain's notice.
        notice: Bytes,
    },
    /// Operator: ends a transfer that waits for an origin whose log is lost, by that domain's own signed word.
    ResolveTransfer {
        /// Envelope of the origin's verdict.
        verdict: Bytes,
    },
    /// Operator of a domain that was restored: what no evidence settles with this peer is taken upon the treasury.
    SettleBooks {
        /// Which.
        peer: DomainId,
        /// For people.
        reason: Reason,
    },
    /// Operator: grants a peer a licence, or says the next word about it.
    IssueLicence {
        /// Envelope of it.
        licence: Bytes,
    },
    /// Operator: lets other domains see, hire, or be hired, or takes that back.
    ChangeExport {
        /// What is admitted.
        rule: ExportRule,
        /// No longer.
        withdrawn: bool,
        /// For people.
        reason: Reason,
    },
}

impl Verb {
    /// An agent with its own key, in no group, referred by nobody.
    pub const fn register(nickname: Nickname) -> Verb {
        Verb::RegisterAgent {
            nickname,
            group: None,
            referred_by: None,
            own_code: None,
            admission: None,
            custodial: false,
        }
    }
}
