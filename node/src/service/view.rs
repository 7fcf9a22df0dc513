//! What services answer: plain data, ids in their text form, money as decimal strings of minor units.

use super::shape;
use comity_proto::{
    amount::AssetCode,
    ids::{AgentId, DomainId, EscrowId, Hash, PublicKey, TransferId},
};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// Minor units; a decimal string in JSON, where a number would lose digits beyond 2^53.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minor(pub u64);

impl Serialize for Minor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// An agent at home here.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AgentView {
    /// Its id.
    #[schema(value_type = shape::AgentIdText)]
    pub agent: AgentId,
    /// Its current key.
    #[schema(value_type = shape::KeyText)]
    pub key: PublicKey,
    /// Display only.
    pub nickname: String,
    /// Sub-network.
    pub group: Option<String>,
    /// The code it hands out.
    pub own_code: Option<String>,
    /// Who referred it.
    #[schema(value_type = Option<shape::AgentIdText>)]
    pub referrer: Option<AgentId>,
    /// Home of a referrer of another domain, which is paid by transfers once a day.
    #[schema(value_type = Option<shape::DomainIdText>)]
    pub referrer_home: Option<DomainId>,
    /// No more debits.
    pub retired: bool,
    /// Had its faucet grant.
    pub faucet_claimed: bool,
    /// Ledger time, ms.
    pub registered_ms: u64,
    /// `own_key`, or `operator_can_spend`: a node of its home keeps its key.
    pub custody: &'static str,
}

/// A balance.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BalanceView {
    /// Asset code.
    #[schema(value_type = shape::AssetCodeText)]
    pub code: AssetCode,
    /// Issuing domain.
    #[schema(value_type = shape::DomainIdText)]
    pub issuer: DomainId,
    /// Its nickname here.
    pub issuer_name: String,
    /// Minor units.
    pub available: Minor,
}

/// All balances of an agent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AccountView {
    /// Whose.
    #[schema(value_type = shape::AgentIdText)]
    pub agent: AgentId,
    /// As in [`AgentView::custody`].
    pub custody: &'static str,
    /// One per asset, also empty ones of the domain's own.
    pub balances: Vec<BalanceView>,
}

/// One of the domain's own accounts.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OwnAccountView {
    /// `treasury`, `faucet`, `bonds`, `peer/NAME`, `issuance`, or the sum over agents, escrows, transfers in flight,
    /// referrers of other domains.
    pub account: String,
    /// Asset code.
    #[schema(value_type = shape::AssetCodeText)]
    pub code: AssetCode,
    /// Issuing domain.
    #[schema(value_type = shape::DomainIdText)]
    pub issuer: DomainId,
    /// Its nickname here.
    pub issuer_name: String,
    /// Minor units; of an issuance the supply.
    pub amount: Minor,
}

/// The domain's books by kind of account.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct BooksView {
    /// Summed by kind and asset.
    pub accounts: Vec<OwnAccountView>,
}

/// A name.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NameView {
    /// The name.
    pub name: String,
    /// Its owner.
    #[schema(value_type = shape::AgentIdText)]
    pub agent: AgentId,
    /// Ledger time, ms.
    pub expires_ms: u64,
}

/// One escrow.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EscrowView {
    /// Its id.
    #[schema(value_type = shape::ShortIdText)]
    pub escrow: EscrowId,
    /// As people name it.
    pub state: String,
    /// Who pays.
    #[schema(value_type = shape::AgentIdText)]
    pub payer: AgentId,
    /// `AGENT@DOMAIN` each.
    pub payees: Vec<String>,
    /// Asset code.
    #[schema(value_type = shape::AssetCodeText)]
    pub code: AssetCode,
    /// Locked in all.
    pub amount: Minor,
    /// Neither paid nor returned.
    pub open: Minor,
    /// Paid to payees so far, before fees.
    pub paid: Minor,
    /// Fee taken so far.
    pub fee: Minor,
    /// SHA-256 of the task.
    #[schema(value_type = shape::HashText)]
    pub task_hash: Hash,
    /// SHA-256 of the submitted result of each part; null while there is none.
    #[schema(value_type = Vec<Option<shape::HashText>>)]
    pub submitted: Vec<Option<Hash>>,
    /// The next deadline, ledger ms; null when ended.
    pub deadline: Option<u64>,
}

/// One transfer between domains.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TransferView {
    /// Its id.
    #[schema(value_type = shape::ShortIdText)]
    pub transfer: TransferId,
    /// `origin` or `participant`.
    pub side: &'static str,
    /// The other domain.
    #[schema(value_type = shape::DomainIdText)]
    pub peer: DomainId,
    /// Its nickname here.
    pub peer_name: String,
    /// Asset code.
    #[schema(value_type = shape::AssetCodeText)]
    pub code: AssetCode,
    /// Issuing domain.
    #[schema(value_type = shape::DomainIdText)]
    pub issuer: DomainId,
    /// Minor units.
    pub amount: Minor,
    /// begun, committed, aborted, voted, refused.
    pub state: &'static str,
    /// Whether nothing more is to come.
    pub finished: bool,
    /// What would move it on; null when finished.
    pub waits_for: Option<String>,
    /// Digest of what was asked: what a verdict by hand names.
    #[schema(value_type = shape::HashText)]
    pub content: comity_proto::ids::Hash,
    /// Ledger ms since the begin or the vote.
    pub age_ms: u64,
    /// The receiver's fee, once fixed.
    pub fee: Option<Minor>,
    /// Why it was refused or aborted.
    pub reason: Option<String>,
}

/// A peer and the treaty with it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PeerView {
    /// Its id.
    #[schema(value_type = shape::DomainIdText)]
    pub domain: DomainId,
    /// What it calls itself.
    pub nickname: String,
    /// pending, one-way, mutual, suspended, draining, redeem-only, closed, revoked.
    pub state: &'static str,
    /// Its nodes that are connected now.
    pub connected: usize,
    /// Highest roster epoch seen.
    pub roster_epoch: u64,
    /// How much of its paper is held here.
    pub held: Minor,
    /// How much is accepted, by the newest document.
    pub cap: Minor,
    /// How much of ours it accepts, by the newest document.
    pub their_cap: Minor,
    /// Above how much of its paper a decision needs a majority of its origin's voters; null: any one is enough.
    pub majority_above: Option<Minor>,
    /// The same of ours.
    pub their_majority_above: Option<Minor>,
    /// Of the document in force; 0 without one.
    pub version: u64,
    /// Of a document that one side has signed.
    pub proposed_version: Option<u64>,
    /// us or them.
    pub proposed_by: Option<&'static str>,
    /// What the peer's ledger answered to our proposal.
    pub answer: Option<&'static str>,
    /// Digest of the newest document.
    pub terms: Option<String>,
    /// Words to compare with the other operator: of the newest document.
    pub fingerprint: Option<String>,
    /// Whether the document names our policy that is in force now.
    pub policy_current: bool,
    /// What this side does.
    pub ours: SideView,
    /// What the peer does.
    pub theirs: SideView,
    /// How much this domain lets it ask; null is without quotas.
    pub licence_granted: Option<LicenceView>,
    /// How much it lets this domain ask.
    pub licence_held: Option<LicenceView>,
    /// Events of the granted licence that it used at this node in the minute that runs.
    pub used: u32,
    /// Wishes that this node refused by that licence since it started.
    pub refused: u64,
    /// The peer has not acknowledged all that was said to it.
    pub untold: bool,
    /// What both sides stated at the end; null before.
    pub closing: Option<super::closing::ClosingView>,
    /// Whether one of the two stands under the other one, by the newest document.
    pub charter: Option<super::subnet::CharterView>,
    /// Another root key of it was shown to this node than the one that is known to follow; null: none was.
    pub root_fork: Option<super::keys::RootForkView>,
}

/// A licence as people see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LicenceView {
    /// A name for people.
    pub tier: String,
    /// active, suspended, revoked.
    pub status: &'static str,
    /// Of its newest word.
    pub epoch: u64,
    /// Agents whose cards are kept.
    pub agents_max: u32,
    /// Tasks, payments begun, relayed commands and cards that each node takes in a minute.
    pub events_per_minute: u32,
    /// Ms since the Unix epoch.
    pub expires_at_ms: u64,
    /// Why.
    pub reason: String,
    /// Whether a token was given with it.
    pub bearer: bool,
}

/// What one side does under a treaty.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SideView {
    /// active, suspended, draining, revoked.
    pub standing: &'static str,
    /// Of its newest notice.
    pub serial: u64,
    /// Why.
    pub reason: Option<String>,
}

/// An invitation as its operator gets it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct InvitationView {
    /// To be carried to the other operator.
    pub token: String,
    /// Who invites.
    #[schema(value_type = shape::DomainIdText)]
    pub domain: DomainId,
    /// How much of the other domain's paper is accepted.
    pub cap: Minor,
    /// Ledger time, ms.
    pub ends_at_ms: u64,
    /// Nobody but this domain.
    #[schema(value_type = Option<shape::DomainIdText>)]
    pub invitee: Option<DomainId>,
}

/// A replica's own state, as it is now.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DigestView {
    /// Whose ledger.
    #[schema(value_type = shape::DomainIdText)]
    pub domain: DomainId,
    /// Up to which entry.
    pub applied_index: u64,
    /// Ledger time, ms.
    pub stamp_ms: u64,
    /// SHA-256 over the canonical snapshot.
    #[schema(value_type = shape::HashText)]
    pub digest: Hash,
    /// Whether every invariant of the ledger holds on this replica: `null` when it does, else which does not.
    pub violation: Option<String>,
    /// Transfers that are not finished here.
    pub in_doubt: usize,
    /// Events in the log.
    pub events: u64,
}

/// One export rule.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ExportView {
    /// Whom it admits; null is everyone.
    #[schema(value_type = Option<shape::DomainIdText>)]
    pub peer: Option<DomainId>,
    /// That domain as this one calls it.
    pub peer_name: Option<String>,
    /// An agent at home here; null is all of them.
    #[schema(value_type = Option<shape::AgentIdText>)]
    pub agent: Option<AgentId>,
    /// This and what is below it; null is all.
    pub capability: Option<String>,
    /// in, out, both.
    pub direction: &'static str,
    /// Why it does not count now, if it does not.
    pub dormant: Option<&'static str>,
}

/// A rule that was added or taken back.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ExportChange {
    /// Taken back.
    pub withdrawn: bool,
    /// Which.
    #[serde(flatten)]
    pub rule: ExportView,
}

/// What a peer sees and may do.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PreviewView {
    /// Who.
    #[schema(value_type = shape::DomainIdText)]
    pub peer: DomainId,
    /// As this domain calls it.
    pub peer_name: String,
    /// Why rules for it do not count now, if they do not.
    pub dormant: Option<&'static str>,
    /// Every agent of this domain that has a card here.
    pub agents: Vec<Previewed>,
}

/// One agent of this domain, before a peer's eyes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Previewed {
    /// Which.
    #[schema(value_type = shape::AgentIdText)]
    pub agent: AgentId,
    /// As its card says.
    pub name: String,
    /// As its card says.
    pub capabilities: Vec<String>,
    /// Whether the peer is shown the card.
    pub seen: bool,
    /// For which of them the peer's agents may send it tasks.
    pub hired_for: Vec<String>,
    /// Whether it may hire the peer's agents for anything.
    pub hires: bool,
}
