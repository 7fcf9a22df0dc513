//! Asks peers what they believe, and keeps what came of it.

use super::{
    belief::{self, Belief},
    cards::{self, CardLists, Shelves},
    judge::{Compared, Component, Course, Found, LOOKS_AT_CARDS, Turn, differences},
};
use crate::{
    mesh::{Caller, Refusal, class::Class},
    node::Node,
    service::shape,
};
use bytes::Bytes;
use comity_proto::{
    drift::DriftNote,
    entry::EntryItem,
    envelope::Signed as _,
    ids::{DomainId, PublicKey},
    planted::{Plant, planted},
};
use comity_runtime as runtime;
use parking_lot::Mutex;
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use utoipa::ToSchema;

/// Between two looks at a peer.
const EVERY: Duration = Duration::from_secs(5);
/// After a first difference: in that time words that are under way arrive, and what is owed is said again.
const REPAIR: Duration = Duration::from_secs(2);
/// Looks in a row while something differs that a repair may mend.
const LOOKS_MAX: u32 = LOOKS_AT_CARDS + 1;
/// One question.
const PATIENCE: Duration = Duration::from_secs(3);

/// What follows from drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Quarantine {
    /// No drift.
    None,
    /// No transfer to this peer is begun here.
    InForce,
    /// It would be in force, but the operator has switched it off.
    Off,
}

/// A peer as it is shown. `None` is "not yet", never zero.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PeerDrift {
    /// The peer.
    #[schema(value_type = shape::DomainIdText)]
    pub domain: DomainId,
    /// Its nickname on this side.
    pub nickname: String,
    /// What both disagree about, and have for longer than a repair.
    #[schema(value_type = BTreeMap<String, String>)]
    pub drift: Found,
    /// Since when, ms; absent without drift.
    pub for_ms: Option<u64>,
    /// What differed at the last look; it may be under way.
    #[schema(value_type = BTreeMap<String, String>)]
    pub last: Found,
    /// Since the last look that could be judged, ms.
    pub judged_ms: Option<u64>,
    /// Why the last look could not be judged.
    pub unjudged: Option<String>,
    /// What follows.
    pub quarantine: Quarantine,
}

#[derive(Debug, Default)]
struct Watched {
    course: Course,
    since: Option<runtime::Instant>,
    judged: Option<runtime::Instant>,
    unjudged: Option<String>,
}

/// What is known of all peers. Bounded by the treaties.
#[derive(Debug, Default)]
pub(crate) struct Drifts(Mutex<BTreeMap<DomainId, Watched>>);

impl Drifts {
    /// Whether a peer is quarantined.
    pub(crate) fn has_drifted(&self, peer: &DomainId) -> bool {
        self.0.lock().get(peer).is_some_and(|watched| !watched.course.drift.is_empty())
    }

    /// Whether anybody is.
    pub(crate) fn is_any(&self) -> bool {
        self.0.lock().values().any(|watched| !watched.course.drift.is_empty())
    }

    /// In what a peer has drifted, once that is decided.
    fn judged(&self, peer: &DomainId) -> Option<Vec<Component>> {
        let all = self.0.lock();
        let course = &all.get(peer).filter(|watched| watched.judged.is_some())?.course;
        // A difference that has not been looked at again is neither.
        let is_decided = course.last.is_empty() || !course.drift.is_empty();
        is_decided.then(|| course.drift.keys().copied().collect())
    }

    fn take(&self, peer: DomainId, compared: Compared) -> Turn {
        let mut all = self.0.lock();
        let watched = all.entry(peer).or_default();
        let turn = watched.course.take(&compared);
        let now = runtime::now();
        watched.unjudged = match compared {
            Compared::Judged(_) => {
                watched.judged = Some(now);
                None
            }
            Compared::Moving => Some("transfers were being posted on this side".to_owned()),
            Compared::Unknown(why) => Some(why),
        };
        match &turn {
            Turn::Drifted(_) => drop(watched.since.get_or_insert(now)),
            Turn::Ended => watched.since = None,
            Turn::None | Turn::Again => {}
        }
        turn
    }

    /// All peers, by what is known of them.
    pub(crate) fn list(&self, node: &Node) -> Vec<PeerDrift> {
        let is_on = node.home().config.drift_quarantine;
        let all = self.0.lock();
        let now = runtime::now();
        let ms = |at: runtime::Instant| u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX);
        let view = |(domain, nickname, noted): (DomainId, String, bool)| {
            let watched = all.get(&domain);
            let course = watched.map(|watched| watched.course.clone()).unwrap_or_default();
            let quarantine = match (course.drift.is_empty(), is_on) {
                // The log says so until its leader has noted the end.
                _ if noted => Quarantine::InForce,
                (true, _) => Quarantine::None,
                (false, true) => Quarantine::InForce,
                (false, false) => Quarantine::Off,
            };
            PeerDrift {
                domain,
                nickname,
                drift: course.drift,
                for_ms: watched.and_then(|watched| watched.since).map(ms),
                last: course.last,
                judged_ms: watched.and_then(|watched| watched.judged).map(ms),
                unjudged: watched.and_then(|watched| watched.unjudged.clone()),
                quarantine,
            }
        };
        peers(node).into_iter().map(view).collect()
    }
}

/// Each with its nickname, and whether the log says that nothing to it begins.
fn peers(node: &Node) -> Vec<(DomainId, String, bool)> {
    node.replica().read_stale(|ledger, _| {
        let agreed = ledger.treaties().filter(|treaty| treaty.agreed.is_some());
        agreed.map(|treaty| (treaty.peer, treaty.nickname.to_string(), treaty.drift.quarantined)).collect()
    })
}

/// Watches all peers until the node ends.
pub(crate) async fn run(node: Arc<Node>) {
    loop {
        runtime::sleep(EVERY).await;
        let known = peers(&node);
        node.drifts().0.lock().retain(|peer, _| known.iter().any(|(known, ..)| known == peer));
        let looks = known.into_iter().map(async |(peer, ..)| {
            scan(&node, peer).await;
        });
        // Side by side: a peer that is slow to answer delays no other.
        futures::future::join_all(looks).await;
    }
}

/// Looks at one peer now, and again after the time of a repair if it differs.
pub(crate) async fn scan(node: &Node, peer: DomainId) {
    for _ in 1..LOOKS_MAX {
        if look(node, peer).await != Turn::Again {
            break;
        }
        runtime::sleep(REPAIR).await;
    }
    note(node, peer).await;
}

/// The leader says in the log what it holds of a peer, if the log says something else.
async fn note(node: &Node, peer: DomainId) {
    let Some(parts) = node.drifts().judged(&peer) else { return };
    if !*node.replica().leads().borrow() {
        return;
    }
    let quarantines = node.home().config.drift_quarantine && !parts.is_empty();
    let noted = node.replica().read_stale(|ledger, _| ledger.treaty(&peer).map(|treaty| treaty.drift.clone()));
    let Some(noted) = noted.filter(|noted| noted.parts != parts || noted.quarantined != quarantines) else { return };
    let serial = noted.serial.saturating_add(1);
    let note = DriftNote { domain: node.domain(), peer, serial, parts, quarantines };
    match node.replica().submit(EntryItem::DriftNote(note.seal(node.key()))).await {
        Ok(reply) => tracing::debug!(%peer, outcomes = ?reply.outcomes, "drift is noted"),
        Err(error) => tracing::debug!(%peer, %error, "drift is not in the log yet; it is noted at the next look"),
    }
}

async fn look(node: &Node, peer: DomainId) -> Turn {
    let turn = node.drifts().take(peer, compare(node, peer).await);
    match &turn {
        Turn::Drifted(found) => {
            let words: Vec<&str> = found.values().map(String::as_str).collect();
            tracing::error!(%peer, drift = words.join("; "), "a peer and this domain disagree about each other");
        }
        Turn::Ended => tracing::info!(%peer, "a peer and this domain agree again"),
        Turn::None | Turn::Again => {}
    }
    turn
}

async fn compare(node: &Node, peer: DomainId) -> Compared {
    let before = match Belief::read(node, peer).await {
        Ok(Some(belief)) => belief,
        Ok(None) => return Compared::Unknown("nothing was agreed on with it".to_owned()),
        Err(error) => return Compared::Unknown(error.to_string()),
    };
    let mut why = "no node of it is connected".to_owned();
    for other in node.mesh().nodes_of(&peer) {
        match ask(node, peer, other).await {
            Ok((theirs, cards)) => {
                return match Belief::read(node, peer).await {
                    Ok(Some(after)) if before.is_still(&after) => {
                        let mut found = differences(&before, &theirs);
                        found.extend(missing_cards(node, peer, &cards).map(|words| (Component::Cards, words)));
                        Compared::Judged(found)
                    }
                    Ok(_) => Compared::Moving,
                    Err(error) => Compared::Unknown(error.to_string()),
                };
            }
            Err(error) => why = error,
        }
    }
    Compared::Unknown(why)
}

/// What either side lacks of the other's cards, in words. It is asked for at once: the next look comes after that repair.
fn missing_cards(node: &Node, peer: DomainId, told: &CardLists) -> Option<String> {
    if planted(Plant::DriftBlind) {
        return None;
    }
    let (they, we) = Shelves::of(node.mesh(), peer).missing(told, runtime::wall_ms());
    // What our own licence turned away is not here by our own will.
    let we = if cards::turned_away(node, &peer) { 0 } else { we };
    let missing = cards::words((they, we))?;
    node.mesh().repair_with(&peer);
    Some(missing)
}

async fn ask(node: &Node, peer: DomainId, other: PublicKey) -> Result<(Belief, CardLists), String> {
    let question = belief::question(&Shelves::of(node.mesh(), peer).digests());
    let answer = node.mesh().request(other, Class::Drift, question, PATIENCE).await;
    let bytes = answer.map_err(|error| error.to_string())?;
    Belief::from_bytes(&bytes).ok_or_else(|| "it says nothing that this program reads".to_owned())
}

/// The other end: what this domain believes about the one that asks.
pub(crate) async fn answer(node: &Node, caller: Caller, body: &[u8]) -> Result<Bytes, Refusal> {
    let peer = caller.domain.ok_or_else(|| Refusal("asked by a stranger".to_owned()))?;
    let asked = belief::asked(body).ok_or_else(|| Refusal("not a question that this program reads".to_owned()))?;
    let belief = Belief::read(node, peer).await.map_err(|error| Refusal(error.to_string()))?;
    let belief = belief.ok_or_else(|| Refusal("nothing was agreed on with that domain".to_owned()))?;
    let turned_away = cards::turned_away(node, &peer);
    let lists = Shelves::of(node.mesh(), peer).lists(&asked, turned_away, runtime::wall_ms());
    Ok(belief.to_bytes(&lists))
}
