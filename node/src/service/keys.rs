//! The keys that act for the domain, as its ledger has them, and who has not yet seen the newest.

use super::{
    books::{name_of, read},
    commands,
    error::ServiceError,
    shape,
};
use crate::{
    mesh::{RootFork, peer::peer_text},
    node::Node,
};
use bytes::Bytes;
use comity_ledger::{Ledger, Outcome, keys::KeyRecord, state::Domain};
use comity_proto::{
    entry::EntryItem,
    envelope::Signed as _,
    identity::{NodeCertificate, keys_by_seat},
    ids::{DomainId, PublicKey},
    roots::RootKeys,
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
    /// `root`, `operator` or `nodes`.
    pub key: String,
    /// Their nicknames.
    pub peers: Vec<String>,
}

/// Another root key of a domain was shown than the one that is known to follow: its owner prepared two, or a thief has one of
/// its root keys. The one that was known first stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RootForkView {
    /// Whose root keys.
    #[schema(value_type = shape::DomainIdText)]
    pub domain: DomainId,
    /// What this side calls it.
    pub nickname: String,
    /// How often, since this node started.
    pub times: u64,
    /// Since the last time, ms.
    pub age_ms: u64,
}

/// Every domain of which this node was shown another root key.
pub(super) fn root_forks(node: &Node) -> Vec<RootForkView> {
    let now = comity_runtime::now();
    let view = |(domain, fork): (DomainId, RootFork)| RootForkView {
        domain,
        nickname: node.replica().read_stale(|ledger, _| name_of(ledger, &domain)),
        times: fork.times,
        age_ms: now.since(fork.last).as_millis() as u64,
    };
    node.mesh().root_forks().into_iter().map(view).collect()
}

/// All of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeysView {
    /// The operator's.
    pub operator: HeldView,
    /// This node's.
    pub node: HeldView,
    /// The domain's root keys; `place` names the domain.
    pub root: HeldView,
    /// Voters of whom no certificate by the acting root key is known: the one before cannot be retired yet.
    pub old_certificates: Vec<String>,
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
    let [nodes, operator, root] = ledger.keys_not_seen();
    let named = |peers: Vec<DomainId>| peers.iter().map(|peer| name_of(ledger, peer)).collect();
    let view = |(key, peers): (&str, Vec<DomainId>)| NotSeenView { key: key.to_owned(), peers: named(peers) };
    let all = [("root", root), ("operator", operator), ("nodes", nodes)];
    all.into_iter().filter(|(_, peers)| !peers.is_empty()).map(view).collect()
}

fn root_held(root: &RootKeys, now_ms: u64) -> Option<HeldView> {
    Some(HeldView {
        place: root.named_by().copied(),
        serial: root.serial,
        active: *root.active()?,
        next: root.next,
        before: root.before(now_ms).copied(),
        until_ms: root.before(now_ms).and(root.before_until_ms),
    })
}

/// Voters of whom no certificate by this root key, or one that follows it, is at hand.
fn old_certificates(node: &Node, domain: &Domain) -> Vec<String> {
    let newest = domain.root.number();
    let is_new = |certificate: &Bytes| {
        NodeCertificate::open(certificate).is_ok_and(|certificate| certificate.signer().number() >= newest)
    };
    let shown = node.mesh().certificates_of(&domain.id);
    let own = (node.key().public(), node.certificate());
    let certified: Vec<PublicKey> =
        shown.into_iter().chain([own]).filter(|(_, shown)| is_new(shown)).map(|(key, _)| key).collect();
    let seats = keys_by_seat(&domain.voters, &domain.seats).into_values();
    let without = seats.filter(|keys| !keys.iter().any(|key| certified.contains(key)));
    without.filter_map(|keys| peer_text(keys.first()?)).collect()
}

/// The keys of the operator, of this node and of the domain.
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
        let root = root_held(&domain.root, now_ms)?;
        let old_certificates = old_certificates(node, domain);
        Some(KeysView { operator, node: own.unwrap_or(first), root, old_certificates, not_seen: not_seen(ledger) })
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
