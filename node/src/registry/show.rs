//! Keeps the domain's card current, and its bytes at hand: an HTTP answer costs a lock and a reference.
//!
//! The leader signs: at once when what the operator decides differs, every [`crate::config::Config::card_every_s`] for the
//! figures. A node where the operator edited signs itself; the highest edition counts, so an edit is neither lost to a
//! leader that had not heard of it nor to a restart.

use super::{
    document::{self, finished},
    json::{self, canonical},
    profile::{PROFILE_FILE, Profile},
    verify::revocations,
};
use crate::{
    keyring::revocation::REVOCATIONS_FILE,
    mesh::{MeshEvent, PublishError},
    node::Node,
    service::error::{Kind, ServiceError},
    storage::files::{self, Access},
};
use bytes::Bytes;
use comity_proto::{
    card::DomainCard,
    envelope::{Signed as _, Verified},
    identity::{Revocations, Roster},
    ids::{DomainId, Hash, PublicKey},
    limits::DAY_MS,
};
use comity_runtime as runtime;
use data_encoding::BASE64URL_NOPAD;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::sync::broadcast::error::RecvError;

/// How often it looks whether something moved that no event tells of.
const LOOK: Duration = Duration::from_secs(1);
/// How long a card holds; signed again long before.
const VALID_MS: u64 = 7 * DAY_MS;

/// Bytes that are served, with the tag under which a client may keep them.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// With quotes; weak where figures move under it.
    pub etag: String,
    /// The exact bytes.
    pub bytes: Bytes,
}

/// The newest card of the own domain, read.
#[derive(Clone)]
struct Current {
    sequence: u64,
    version: String,
    roster: Bytes,
    issued_at_ms: u64,
    edition: u64,
    revocations: Bytes,
    served: Arc<Rendered>,
}

#[derive(Default)]
struct State {
    profile: Profile,
    card: Option<Current>,
    keys: Option<(Vec<PublicKey>, Arc<Rendered>)>,
}

/// What this node shows of its domain.
pub struct Shown {
    state: Mutex<State>,
    /// One card is made at a time.
    making: tokio::sync::Mutex<()>,
}

impl Shown {
    pub(crate) fn new(profile: Profile) -> Shown {
        Shown { state: Mutex::new(State { profile, ..State::default() }), making: tokio::sync::Mutex::new(()) }
    }

    /// The card, once one was made or heard. One from before the operator's last words is not shown: a node that was
    /// stopped in the act finds it on its disk, and signs the next at once.
    pub fn card(&self) -> Option<Arc<Rendered>> {
        let state = self.state.lock();
        let card = state.card.as_ref().filter(|card| card.edition >= state.profile.edition);
        card.map(|card| card.served.clone())
    }

    /// The keys that sign for the domain and its nodes, as a JWK set. They need no card: whoever reads an agent's card
    /// verifies it with them from a node's first moment on.
    pub(crate) fn keys(&self, node: &Node) -> Arc<Rendered> {
        let keys = signers(node);
        let mut state = self.state.lock();
        match &state.keys {
            Some((shown, served)) if *shown == keys => served.clone(),
            _ => {
                let served = Arc::new(key_set(&keys));
                state.keys = Some((keys, served.clone()));
                served
            }
        }
    }

    /// The operator's words as they count now.
    pub fn profile(&self) -> Profile {
        self.state.lock().profile.clone()
    }

    /// Takes new words of the operator and shows them.
    ///
    /// # Errors
    /// `bad_card_profile`; `not_a_voter` where the roster does not name this node; the disk's refusal.
    pub(crate) async fn edit(&self, node: &Node, profile: Profile) -> Result<Arc<Rendered>, ServiceError> {
        let making = self.making.lock().await;
        let edition = self.profile().edition.saturating_add(1);
        let profile = Profile { edition, ..profile }.check()?;
        if !votes(node) {
            let detail = "the roster in force does not name this node, so nobody would take a card that it signs";
            return Err(ServiceError::new(Kind::Conflict, "not_a_voter", detail, "ask a voter: `comity raft list`"));
        }
        self.keep(node, profile).await?;
        drop(making);
        self.step(node).await;
        self.card().ok_or_else(not_made_yet)
    }

    async fn keep(&self, node: &Node, profile: Profile) -> Result<(), ServiceError> {
        write(node, PROFILE_FILE, profile.to_text().into()).await.map_err(|error| {
            let next = "make room, or mend the data directory, and edit again";
            ServiceError::new(Kind::Internal, "card_profile_not_kept", error.to_string(), next)
        })?;
        self.state.lock().profile = profile;
        Ok(())
    }

    /// Looks now: something was decided at this node.
    pub(crate) async fn look(&self, node: &Node) {
        self.step(node).await;
    }

    /// Reads what is known, and signs the next card if it is due here.
    async fn step(&self, node: &Node) {
        let _making = self.making.lock().await;
        hear_revocations(node, &node.domain()).await;
        if let Some(newer) = self.read_card(node)
            && let Err(error) = self.keep(node, newer).await
        {
            tracing::warn!(%error, "the operator's words for the domain card are not kept here");
        }
        match self.sign(node) {
            None | Some(Ok(())) => {}
            Some(Err(error)) => tracing::warn!(%error, "the domain card was not published"),
        }
        self.read_card(node);
    }

    /// Takes over the newest card. Answers the operator's words in it where they are newer than ours.
    fn read_card(&self, node: &Node) -> Option<Profile> {
        let entry = node.mesh().domain_card(&node.domain())?;
        let card = entry.card.get();
        let mut state = self.state.lock();
        if card.retired || state.card.as_ref().is_some_and(|known| known.sequence == card.sequence) {
            return None;
        }
        let document = json::parse(&card.document).ok()?;
        let version = document["version"].as_str()?.to_owned();
        let words = words_of(&document);
        state.card = Some(Current {
            sequence: card.sequence,
            roster: card.roster.clone(),
            issued_at_ms: card.issued_at_ms,
            edition: words.edition,
            revocations: revocations(&document, &node.domain()).unwrap_or_default(),
            served: Arc::new(Rendered { etag: format!("W/\"{version}\""), bytes: card.document.clone() }),
            version,
        });
        (words.edition >= state.profile.edition && words != state.profile && words.edition > 0).then_some(words)
    }

    /// `None` when no card is due, or not from this node.
    fn sign(&self, node: &Node) -> Option<Result<(), PublishError>> {
        let (profile, known) = {
            let state = self.state.lock();
            (state.profile.clone(), state.card.clone())
        };
        let edited = known.as_ref().is_none_or(|card| card.edition < profile.edition) && profile.edition > 0;
        // Ours is never older than that of a card which we have heard.
        let revocations = node.revoked().lock().list_of(&node.domain()).unwrap_or_default();
        let revoked = known.as_ref().is_some_and(|card| card.revocations != revocations);
        if !votes(node) || !(edited || revoked || *node.replica().leads().borrow()) {
            return None;
        }
        let stable = document::stable(node, &profile)?;
        let (domain, key, roster) = node
            .replica()
            .read_stale(|ledger, _| ledger.domain().map(|domain| (domain.id, domain.key, domain.roster.clone())))?;
        let now_ms = runtime::wall_ms();
        let every_ms = node.home().config.card_every_s.saturating_mul(1_000);
        let stands = known.as_ref().is_some_and(|card| {
            stable["version"] == card.version
                && card.roster == roster
                && !revoked
                && now_ms < card.issued_at_ms.saturating_add(every_ms)
        });
        if stands {
            return None;
        }
        let sequence = known.map_or(now_ms, |card| card.sequence.saturating_add(1).max(now_ms));
        let expires_at_ms = now_ms.saturating_add(VALID_MS);
        let document = canonical(&finished(node, &stable, sequence, now_ms, expires_at_ms)?).into();
        let issued_at_ms = now_ms;
        let card = DomainCard { domain, key, roster, document, sequence, issued_at_ms, expires_at_ms, retired: false };
        match node.mesh().publish_domain_card(card.seal(node.key())) {
            // Repair spreads a card that gossip could not take just now.
            Ok(()) | Err(PublishError::NotAnnounced) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        }
    }
}

/// Takes over the list of revoked certificates in a domain's newest card, and keeps that of the own domain.
async fn hear_revocations(node: &Node, domain: &DomainId) {
    let Some(entry) = node.mesh().domain_card(domain) else { return };
    let document = json::parse(&entry.card.get().document).unwrap_or_default();
    let Ok(list) = revocations(&document, domain) else { return };
    let signed = Revocations::open(&list).ok();
    let by_root = |list: Verified<Revocations>| {
        node.replica().read_stale(|ledger, _| ledger.judge_root(domain, list.signer())).is_ok()
    };
    let is_news = signed.is_some_and(by_root) && node.revoked().lock().offer(domain, &list);
    if is_news
        && *domain == node.domain()
        && let Err(error) = write(node, REVOCATIONS_FILE, list).await
    {
        tracing::warn!(%error, "the list of revoked certificates is not kept here; the card brings it again");
    }
}

/// Keeps a file in the data directory, if there is one.
async fn write(node: &Node, name: &str, bytes: Bytes) -> std::io::Result<()> {
    let Some(path) = node.data_dir().map(|dir| dir.join(name)) else { return Ok(()) };
    let written = runtime::run_blocking(move || files::write(&path, &bytes, Access::Public)).await;
    written.unwrap_or_else(|_| Err(std::io::Error::other("the work was not done")))
}

/// The refusal before there is a card.
pub(crate) fn not_made_yet() -> ServiceError {
    let detail = "no card of this domain was made or heard yet; `card_every_s = 0` in config.toml makes none";
    ServiceError::new(Kind::Unavailable, "card_not_made_yet", detail, "ask again once the domain has a leader")
}

/// Whether the roster in force names this node.
pub(crate) fn votes(node: &Node) -> bool {
    let own = node.key().public();
    node.replica().read_stale(|ledger, _| ledger.domain().is_some_and(|domain| domain.voters.contains(&own)))
}

/// The operator's part of a card.
fn words_of(document: &Value) -> Profile {
    let operator = &document["operator"];
    let text = |name: &str| operator[name].as_str().map(str::to_owned);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default().into_iter();
    Profile {
        edition: operator["edition"].as_u64().unwrap_or(0),
        contact: text("contact"),
        latitude: text("latitude"),
        longitude: text("longitude"),
        external_auditor_endpoint: text("external_auditor_endpoint"),
        endpoints: list(&document["endpoints"]["api"]).filter_map(|url| url.as_str().map(str::to_owned)).collect(),
        peers: list(&document["peers"]).filter_map(|peer| peer["domain"].as_str()?.parse().ok()).collect(),
    }
}

/// Root key first, then the keys of every replica and of this node. A voter signs for the domain, and whichever node is asked
/// signs the cards of agents that are reached through it: one that only follows is listed as well, at every node. Until the
/// ledger names voters, they are those of the roster with which this node was started.
fn signers(node: &Node) -> Vec<PublicKey> {
    let status = node.replica().status();
    let replicas = status.voters.into_iter().chain(status.learners).map(|member| member.info.key);
    let in_force = node.replica().read_stale(|ledger, _| {
        let domain = ledger.domain()?;
        let held = domain.voter_keys(replicas).0;
        Some((domain.key, [domain.voters.as_slice(), &held].concat()))
    });
    let at_start = || {
        let roster = Roster::open(&node.home().roster).ok();
        (node.home().domain_key, roster.map(|roster| roster.get().voters.clone()).unwrap_or_default())
    };
    let (root, listed) = in_force.unwrap_or_else(at_start);
    let nodes: BTreeSet<PublicKey> = listed.into_iter().chain([node.key().public()]).collect();
    std::iter::once(root).chain(nodes).collect()
}

/// As others read them.
fn key_set(keys: &[PublicKey]) -> Rendered {
    let jwk = |key: &PublicKey| {
        json!({
            "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": key,
            "x": BASE64URL_NOPAD.encode(&key.0),
        })
    };
    let bytes: Bytes = canonical(&json!({ "keys": keys.iter().map(jwk).collect::<Vec<_>>() })).into();
    Rendered { etag: format!("\"{}\"", Hash::of(&bytes)), bytes }
}

/// Runs for the life of the node, unless cards are switched off.
pub async fn tend(node: Arc<Node>) {
    if node.home().config.card_every_s == 0 {
        return;
    }
    let mut heard = node.mesh().events();
    let own = node.domain();
    hear_all(&node).await;
    loop {
        node.shown().step(&node).await;
        let news = async {
            loop {
                match heard.recv().await {
                    Ok(MeshEvent::DomainCard { domain }) if domain == own => return true,
                    Ok(MeshEvent::DomainCard { domain }) => hear_revocations(&node, &domain).await,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => {
                        hear_all(&node).await;
                        return true;
                    }
                    Err(RecvError::Closed) => return false,
                }
            }
        };
        if let Ok(false) = runtime::timeout(LOOK, news).await {
            return;
        }
    }
}

/// After a start, and after events were lost.
async fn hear_all(node: &Node) {
    for entry in node.mesh().domain_cards() {
        hear_revocations(node, &entry.card.get().domain).await;
    }
}
