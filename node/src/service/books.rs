//! Reads of the ledger. Linearizable unless a function says that it answers from this replica alone.

use super::{
    custody,
    error::{Kind, ServiceError},
    feed, shape,
    view::{AccountView, AgentView, BalanceView, BooksView, DigestView, Minor, NameView, OwnAccountView},
};
use crate::node::Node;
use comity_ledger::{
    AccountKind, AssetIndex, Ledger, invariants, referral::Referrer, state::Asset, statement::SupplyStatement,
};
use comity_proto::{
    ids::{AgentId, DomainId, by_prefix},
    text::Name,
};
use comity_replica::ReadError;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Reads a state that shows everything acknowledged before.
pub(crate) async fn read<T>(node: &Node, read: impl FnOnce(&Ledger) -> T) -> Result<T, ServiceError> {
    node.replica().read(read).await.map_err(unreadable)
}

fn unreadable(error: ReadError) -> ServiceError {
    let next = "ask again in a moment; a majority of the domain's nodes must be up";
    ServiceError::new(Kind::Unavailable, "no_linearizable_read", error.to_string(), next)
}

/// A domain as this side calls it: `home` is called by its own nickname, a peer by the one in its treaty.
pub(super) fn name_of(ledger: &Ledger, domain: &DomainId) -> String {
    let own = ledger.domain().filter(|own| own.id == *domain).map(|own| own.nickname.to_string());
    let peer = || ledger.treaty(domain).map(|treaty| treaty.nickname.to_string());
    own.or_else(peer).unwrap_or_else(|| domain.short())
}

/// One agent, by id, by a unique prefix of it, or by a registered name.
///
/// # Errors
/// `unknown_agent`, `ambiguous_prefix`.
pub async fn agent(node: &Node, text: &str) -> Result<AgentView, ServiceError> {
    read(node, |ledger| {
        let id = find_agent(ledger, text)?;
        let agent = ledger.agent(&id).ok_or_else(|| ServiceError::not_found("agent", text))?;
        Ok(AgentView {
            agent: id,
            key: agent.key,
            nickname: agent.profile.nickname.to_string(),
            group: agent.profile.group.as_ref().map(ToString::to_string),
            own_code: agent.profile.own_code.as_ref().map(ToString::to_string),
            referrer: agent.profile.referrer.as_ref().map(Referrer::agent),
            referrer_home: agent.profile.referrer.as_ref().and_then(Referrer::home_elsewhere),
            retired: agent.retired,
            faucet_claimed: agent.faucet_claimed,
            registered_ms: agent.profile.registered_ms,
            custody: custody::word(ledger.is_custodial(&id)),
        })
    })
    .await?
}

fn find_agent(ledger: &Ledger, text: &str) -> Result<AgentId, ServiceError> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let named = Name::new(text).ok().and_then(|name| ledger.resolve(&name)).map(|record| record.owner);
    match named {
        Some(owner) => Ok(owner),
        None => by_prefix(text, ledger.agents().map(|(id, _)| *id)).map_err(|error| {
            ServiceError::new(Kind::NotFound, "unknown_agent", format!("{text}: {error}"), "give the full id")
        }),
    }
}

/// All balances of an agent.
///
/// # Errors
/// `unknown_agent`.
pub async fn account(node: &Node, agent: AgentId) -> Result<AccountView, ServiceError> {
    read(node, |ledger| {
        ledger.agent(&agent).ok_or_else(|| ServiceError::not_found("agent", agent))?;
        let balances = ledger
            .assets()
            .map(|(_, asset)| BalanceView {
                code: asset.id.code,
                issuer: asset.id.issuer,
                issuer_name: name_of(ledger, &asset.id.issuer),
                available: Minor(ledger.balance(&agent, &asset.id)),
            })
            .filter(|balance| balance.available.0 > 0 || ledger.is_home(&balance.issuer))
            .collect();
        Ok(AccountView { agent, custody: custody::word(ledger.is_custodial(&agent)), balances })
    })
    .await?
}

/// The books by kind of account.
///
/// # Errors
/// No majority.
pub async fn books(node: &Node) -> Result<BooksView, ServiceError> {
    read(node, books_of).await
}

fn books_of(ledger: &Ledger) -> BooksView {
    let mut sums: BTreeMap<(AssetIndex, String), u64> = BTreeMap::new();
    for (key, amount) in ledger.accounts() {
        let name = match &key.kind {
            AccountKind::Agent(_) => "agents (sum)".to_owned(),
            AccountKind::Escrow(_) => "escrows (sum)".to_owned(),
            AccountKind::InFlight(_) => "in flight (sum)".to_owned(),
            AccountKind::Peer(domain) => format!("peer/{}", name_of(ledger, domain)),
            AccountKind::Referral(_) => "referrals (sum)".to_owned(),
            AccountKind::Treasury => "treasury".to_owned(),
            AccountKind::Faucet => "faucet".to_owned(),
            AccountKind::Bonds => "bonds".to_owned(),
            AccountKind::Issuance => "issuance".to_owned(),
        };
        let sum = sums.entry((key.asset, name)).or_default();
        *sum = sum.saturating_add(amount);
    }
    let view = |((index, account), amount): ((AssetIndex, String), u64)| {
        let Asset { id, .. } = ledger.asset(index)?;
        let issuer_name = name_of(ledger, &id.issuer);
        Some(OwnAccountView { account, code: id.code, issuer: id.issuer, issuer_name, amount: Minor(amount) })
    };
    BooksView { accounts: sums.into_iter().filter_map(view).collect() }
}

/// Who a name stands for.
///
/// # Errors
/// `unknown_name`.
pub async fn name(node: &Node, text: &str) -> Result<NameView, ServiceError> {
    let name = Name::new(text).map_err(|_| ServiceError::bad_input("bad_name", format!("`{text}` is no name")))?;
    read(node, |ledger| {
        let record = ledger.resolve(&name).ok_or_else(|| ServiceError::not_found("name", text))?;
        Ok(NameView { name: text.to_owned(), agent: record.owner, expires_ms: record.expires_ms })
    })
    .await?
}

/// What this replica alone holds: for comparing replicas. Costs a walk over the whole state, off the async threads.
///
/// # Errors
/// `not_initialized`.
pub async fn digest(node: &Node) -> Result<DigestView, ServiceError> {
    let (frozen, applied) = node.replica().read_stale(|ledger, applied| (ledger.freeze(), applied));
    let work = move || {
        let domain = frozen.domain()?.id;
        Some(DigestView {
            domain,
            applied_index: applied.log_index,
            stamp_ms: frozen.stamp_ms(),
            digest: frozen.digest(),
            violation: invariants::check_all(&frozen).err().map(|violation| format!("{violation:?}")),
            in_doubt: frozen.in_doubt().len(),
            events: frozen.event_count(),
        })
    };
    let view = comity_runtime::run_blocking(work).await.ok().flatten();
    view.ok_or_else(|| super::commands::of_outcome(comity_ledger::Outcome::NotInitialized))
}

/// This replica's statement towards a peer.
///
/// # Errors
/// `unknown_domain` without a treaty.
pub fn statement(node: &Node, peer: DomainId) -> Result<SupplyStatement, ServiceError> {
    node.replica()
        .read_stale(|ledger, _| ledger.treaty(&peer).and_then(|_| ledger.supply_statement(peer)))
        .ok_or_else(|| ServiceError::not_found("domain", peer))
}

/// One event as a line.
#[derive(Clone, Debug, serde::Serialize, ToSchema)]
pub struct EventView {
    /// Number of its leaf in the Merkle log.
    pub leaf: u64,
    /// Raft log index of its entry.
    pub log_index: u64,
    /// Ledger time, ms.
    pub stamp_ms: u64,
    /// What happened.
    pub what: serde_json::Value,
    /// SHA-256 leaf hash.
    #[schema(value_type = shape::HashText)]
    pub hash: comity_proto::ids::Hash,
}

/// Longest list of events in one answer.
const EVENTS_MAX: u64 = 1_000;

/// The newest events of this replica, oldest first.
///
/// # Errors
/// `events_unreadable`.
pub async fn last_events(node: &Node, last: u64) -> Result<Vec<EventView>, ServiceError> {
    let broken = |error: &dyn std::fmt::Display| {
        ServiceError::new(Kind::Internal, "events_unreadable", error.to_string(), "see the node's log")
    };
    let store = node.replica().events().clone();
    store.settle().await.map_err(|error| broken(&error))?;
    let count = node.replica().read_stale(|ledger, _| ledger.event_count());
    let first = count.saturating_sub(last.min(EVENTS_MAX));
    let mut views = Vec::new();
    for leaf in first..count {
        let Some(stored) = store.leaf(leaf).map_err(|error| broken(&error))? else { continue };
        let event = comity_ledger::Event::from_bytes(&stored.bytes).map_err(|error| broken(&error))?;
        let hash = event.leaf();
        views.push(EventView {
            leaf,
            log_index: event.log_index,
            stamp_ms: event.stamp_ms,
            what: feed::in_json(&event.kind),
            hash,
        });
    }
    Ok(views)
}
