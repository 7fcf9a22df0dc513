//! The whole state of a domain's ledger.
//!
//! Small things live in [`Head`]; everything that grows is a [`CowMap`], so that a frozen copy is cheap. Queues are
//! derived from the records and rebuilt after a snapshot.

use crate::{
    account::{AccountKey, AccountKind, AssetIndex},
    cow::{CowMap, SHARDS_HOT, ShardKey, prefix_of_bytes},
    cow_queue::CowQueue,
    escrow::Escrow,
    keys::KeyRecord,
    merkle::CompactRange,
    outcome::Outcome,
    referral::Referrer,
    roots::RootWord,
    settlement::{Fronted, PayoutKey, Reconciling, Settlement},
    treaty::{Invited, Treaty},
};
use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use bytes::Bytes;
use comity_proto::{
    amount::{AssetCode, AssetId},
    export::Exports,
    ids::{AgentId, DomainId, EscrowId, Hash, PublicKey, RequestId},
    policy::Policy,
    roots::RootKeys,
    text::{GroupLabel, Name, Nickname, ReferralCode},
};
use serde::{Deserialize, Serialize};

/// A pure state machine: the same entries make the same bytes on every replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    pub(crate) head: Head,
    pub(crate) agents: CowMap<AgentId, Agent, SHARDS_HOT>,
    /// Balances as magnitudes; only [`AccountKind::Issuance`] stands for a negative number. Zero is absent.
    pub(crate) accounts: CowMap<AccountKey, u64, SHARDS_HOT>,
    pub(crate) codes: CowMap<ReferralCode, AgentId>,
    pub(crate) names: CowMap<Name, NameRecord>,
    pub(crate) escrows: CowMap<EscrowId, Escrow>,
    /// Answers by signer and request id; the operator is [`OPERATOR`].
    pub(crate) remembered: CowMap<(AgentId, RequestId), Remembered, SHARDS_HOT>,
    /// Counts against per-agent limits; absent when all are zero.
    pub(crate) usage: CowMap<AgentId, Usage, SHARDS_HOT>,
    /// Faucet claims by admission token.
    pub(crate) faucet_tokens: CowMap<Hash, u32>,
    pub(crate) settlement: Settlement,
    /// Escrow deadlines in worked time (stamp less stalls). Derived.
    pub(crate) escrow_queue: CowQueue<EscrowId>,
    /// Ended escrows by the ledger time at which they are forgotten. Derived.
    pub(crate) forget_queue: CowQueue<EscrowId>,
    /// Name expiries in ledger time. Derived.
    pub(crate) name_queue: CowQueue<Name>,
}

/// Stands for the operator where signers are keyed by agent id. No key hashes to it.
pub const OPERATOR: AgentId = AgentId([0; 32]);

/// Everything that does not grow with the number of agents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// `None` until the genesis.
    pub(crate) domain: Option<Domain>,
    /// Raft log index of the last applied entry.
    pub(crate) log_index: u64,
    /// Stamp of the last applied entry, ms since the Unix epoch; never falls.
    pub(crate) stamp_ms: u64,
    /// Sum of stalls while escrow deadlines were open, ms. Worked time is `stamp_ms - stalled_ms`.
    pub(crate) stalled_ms: u64,
    /// Known assets; the position is the [`AssetIndex`].
    pub(crate) assets: Vec<Asset>,
    /// The policy in force and those announced, by effective time, ascending.
    pub(crate) policies: Vec<(u64, Policy)>,
    /// Treaties as this side sees them.
    pub(crate) treaties: BTreeMap<DomainId, Treaty>,
    /// Invitations given out, by the digest of their secret.
    pub(crate) invitations: BTreeMap<Hash, Invited>,
    /// What the operator admits; in force only towards domains that may be traded with.
    pub(crate) exports: Exports,
    /// After a restore: how far the books are agreed with each peer. Empty without a fence.
    pub(crate) reconcile: BTreeMap<DomainId, Reconciling>,
    /// Shares of escrows that the treasury paid when books were settled after a restore, and that are not owed yet.
    pub(crate) fronted: BTreeMap<(PayoutKey, DomainId), Fronted>,
    /// Hour of ledger time (ms / 3 600 000) that `faucet_claims` counts.
    pub(crate) faucet_hour: u64,
    /// Claims in that hour.
    pub(crate) faucet_claims: u32,
    /// Shard at which the sweep of forgotten request ids goes on.
    pub(crate) sweep_shard: u16,
    /// The event log's right edge.
    pub(crate) events: CompactRange,
}

/// Who this ledger belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// Its id: the hash of its first root key.
    pub id: DomainId,
    /// Its first root key, which names it.
    pub key: PublicKey,
    /// Its root keys.
    pub root: RootKeys,
    /// Its steps, as far as a peer may not have heard them; ascending.
    pub root_words: Vec<RootWord>,
    /// Display only.
    pub nickname: Nickname,
    /// Of which one signs the operator's commands.
    pub operator: KeyRecord,
    /// Of each node that ever had another key than its first, which names its place.
    pub nodes: BTreeMap<PublicKey, KeyRecord>,
    /// Raised when the ledger is restored from a backup.
    pub incarnation: u64,
    /// Restored and not yet agreed with every peer: no debit, begin, vote or decision.
    pub fenced: bool,
    /// The roster in force: an envelope of the root key.
    pub roster: Bytes,
    /// Its epoch.
    pub roster_epoch: u64,
    /// The keys of voters that it lists.
    pub voters: Vec<PublicKey>,
    /// Whose each of them is, where a voter has more than one.
    pub seats: Vec<u8>,
}

/// An asset known here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// Code and issuer.
    pub id: AssetId,
    /// Decimals shown to people; `None` for another domain's asset.
    pub scale: Option<u8>,
    /// Published bound of the supply, minor units; `None` for another domain's asset.
    pub supply_cap: Option<u64>,
}

/// An agent at home here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Judges its signatures.
    pub key: PublicKey,
    /// No more debits but sweeping out.
    pub retired: bool,
    /// Has had its faucet grant.
    pub faucet_claimed: bool,
    /// Minor units of the native asset that may not leave the domain.
    pub stays_home: u64,
    /// What never changes.
    pub profile: Arc<Profile>,
}

/// What an agent said when it registered; never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Display only.
    pub nickname: Nickname,
    /// Sub-network.
    pub group: Option<GroupLabel>,
    /// Who referred it.
    pub referrer: Option<Referrer>,
    /// The code it hands out.
    pub own_code: Option<ReferralCode>,
    /// Hash of the admission token that let it in.
    pub admission: Option<Box<Hash>>,
    /// Its first key was an operator's to keep.
    pub custodial: bool,
    /// Ledger time, ms.
    pub registered_ms: u64,
}

/// A name that somebody owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRecord {
    /// Who.
    pub owner: AgentId,
    /// Ledger time, ms.
    pub expires_ms: u64,
}

/// The answer to a request id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// First half of the SHA-256 of the command: only its own signer could make two that agree.
    pub digest: [u8; 16],
    /// Forgotten after this ledger time, ms.
    pub valid_until_ms: u64,
    /// What was answered.
    pub outcome: Outcome,
}

/// What an agent has open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Request ids remembered.
    pub(crate) requests: u32,
    /// Escrows not finished, as payer.
    pub(crate) escrows: u32,
    /// Names owned.
    pub(crate) names: u32,
}

impl ShardKey for ReferralCode {
    fn prefix(&self) -> u64 {
        prefix_of_bytes(self.as_bytes())
    }
}

impl ShardKey for Name {
    fn prefix(&self) -> u64 {
        prefix_of_bytes(self.as_bytes())
    }
}

impl AccountKey {
    /// Prefix of the accounts of an agent whose id has this prefix.
    pub(crate) const fn prefix_of_agent(agent: u64) -> u64 {
        let three_quarters = agent.wrapping_sub(agent >> 2);
        if three_quarters < 0xC000_0000_0000_0000 { three_quarters } else { 0xBFFF_FFFF_FFFF_FFFF }
    }
}

impl ShardKey for AccountKey {
    /// Agents, the many, get three quarters of the range; the order of the kinds is kept.
    fn prefix(&self) -> u64 {
        let high = |bytes: &[u8], by: u32| prefix_of_bytes(bytes).wrapping_shr(by);
        match &self.kind {
            AccountKind::Agent(id) => AccountKey::prefix_of_agent(high(&id.0, 0)),
            AccountKind::Escrow(id) => high(&id.0, 3) | 0xC000_0000_0000_0000,
            AccountKind::InFlight(id) => high(&id.0, 4) | 0xE000_0000_0000_0000,
            AccountKind::Peer(id) => high(&id.0, 5) | 0xF000_0000_0000_0000,
            AccountKind::Treasury | AccountKind::Faucet | AccountKind::Bonds | AccountKind::Issuance => {
                0xF800_0000_0000_0000
            }
            AccountKind::Referral(id) => high(&id.0, 5) | 0xF800_0000_0000_0000,
        }
    }
}

impl Ledger {
    /// No domain yet: the first entry must be a genesis.
    pub fn empty() -> Ledger {
        Ledger::default()
    }

    /// A copy that does not see later writes; clones pointers, not records.
    pub fn freeze(&self) -> Ledger {
        self.clone()
    }

    /// Worked time: stamps less stalls, ms.
    pub(crate) const fn worked_ms(&self) -> u64 {
        self.head.stamp_ms.saturating_sub(self.head.stalled_ms)
    }

    /// Index of a known asset.
    pub(crate) fn asset_index(&self, id: &AssetId) -> Option<AssetIndex> {
        let position = self.head.assets.iter().position(|asset| asset.id == *id)?;
        u32::try_from(position).ok().map(AssetIndex)
    }

    /// Index of an asset of this domain.
    pub(crate) fn own_asset(&self, code: &AssetCode) -> Option<AssetIndex> {
        let issuer = self.head.domain.as_ref()?.id;
        self.asset_index(&AssetId { issuer, code: *code })
    }

    /// The record of an asset.
    pub fn asset(&self, index: AssetIndex) -> Option<&Asset> {
        self.head.assets.get(usize::try_from(index.0).ok()?)
    }

    /// The domain's own first asset: fees of names and faucet grants are in it.
    pub const fn native_asset(&self) -> AssetIndex {
        AssetIndex(0)
    }
}
