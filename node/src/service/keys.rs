//! The keys that act for the domain, as its ledger has them, and who has not yet seen the newest.

use super::{
    books::{name_of, read},
    commands,
    error::ServiceError,
    shape,
};
use crate::node::Node;
use bytes::Bytes;
use comity_ledger::{Ledger, Outcome, keys::KeyRecord};
use comity_proto::{
    entry::EntryItem,
    ids::{DomainId, PublicKey},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The keys of one holder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldView {
    /// A node's: the key that names its place.
    #[schema(value_type = Option<shape::KeyText>)]
    pub place: Option<PublicKey>,
    /// Of the newest step.
    pub serial: u64,
    /// Acts.
    #[schema(value_type = shape::KeyText)]
    pub active: PublicKey,
    /// Prepared.
    #[schema(value_type = Option<shape::KeyText>)]
    pub next: Option<PublicKey>,
    /// Acted before, and still counts.
    #[schema(value_type = Option<shape::KeyText>)]
    pub before: Option<PublicKey>,
    /// Until then, ledger time in ms; absent where it is to be retired.
    pub until_ms: Option<u64>,
}

/// Peers that have not yet acknowledged the keys in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NotSeenView {
    /// `operator` or `nodes`.
    pub key: String,
    /// Their nicknames.
    pub peers: Vec<String>,
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeysView {
    /// The operator's.
    pub operator: HeldView,
    /// This node's.
    pub node: HeldView,
    /// Empty when everybody has seen everything.
    pub not_seen: Vec<NotSeenView>,
}

fn held(place: Option<PublicKey>, record: &KeyRecord, now_ms: u64) -> HeldView {
    let before = record.before.filter(|(_, until_ms)| now_ms <= *until_ms);
    HeldView {
        place,
        serial: record.serial,
        active: record.active,
        next: record.next,
        before: before.map(|(key, _)| key),
        until_ms: before.map(|(_, until_ms)| until_ms).filter(|until_ms| *until_ms != u64::MAX),
    }
}

/// Of every key that changed: who has not seen it.
pub(super) fn not_seen(ledger: &Ledger) -> Vec<NotSeenView> {
    let (nodes, operator) = ledger.keys_not_seen();
    let named = |peers: Vec<DomainId>| peers.iter().map(|peer| name_of(ledger, peer)).collect();
    let view = |(key, peers): (&str, Vec<DomainId>)| NotSeenView { key: key.to_owned(), peers: named(peers) };
    [("operator", operator), ("nodes", nodes)].into_iter().filter(|(_, peers)| !peers.is_empty()).map(view).collect()
}

/// The keys of the operator and of this node.
///
/// # Errors
/// `not_initialized` before the genesis; no majority.
pub async fn keys(node: &Node) -> Result<KeysView, ServiceError> {
    let place = node.home().place;
    let view = read(node, |ledger| {
        let domain = ledger.domain()?;
        let now_ms = ledger.stamp_ms();
        let own = domain.node_keys(&place).map(|record| held(Some(place), record, now_ms));
        let first = HeldView { place: Some(place), serial: 0, active: place, next: None, before: None, until_ms: None };
        let operator = held(None, &domain.operator, now_ms);
        Some(KeysView { operator, node: own.unwrap_or(first), not_seen: not_seen(ledger) })
    });
    view.await?.ok_or_else(|| commands::of_outcome(Outcome::NotInitialized))
}

/// Takes a signed step into the log.
///
/// # Errors
/// What the bytes alone condemn; the ledger's refusal by its name; no leader, no answer.
pub async fn take(node: &Node, step: Bytes) -> Result<(), ServiceError> {
    let reply = node.replica().submit(EntryItem::Key(step)).await.map_err(commands::refused)?;
    match reply.outcomes.first() {
        Some(outcome) if outcome.is_success() => Ok(()),
        refusal => Err(commands::of_outcome(refusal.copied().unwrap_or(Outcome::Malformed))),
    }
}
