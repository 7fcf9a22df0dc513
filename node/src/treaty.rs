//! Treaties on the wire: tells peers what the ledger owes them about their treaty, takes what they tell into the log.
//!
//! The ledger decides and remembers. The leader asks it twice a second what is not acknowledged yet and says it; the
//! peer's signed receipt goes into the log and ends the debt. A stranger may speak here, for that is how a treaty begins:
//! what the ledger would refuse is answered without an entry, so nobody fills the log.

use crate::{
    bridge::Cargo,
    mesh::{Refusal, RpcError, class::Class},
    node::Node,
    service::books::read,
};
use bytes::Bytes;
use comity_ledger::{Outcome, treaty::CheckedPush};
use comity_proto::{
    entry::EntryItem,
    envelope::Signed as _,
    ids::{DomainId, Hash},
    limits::ENDPOINTS_MAX,
    planted::{Plant, planted},
    reject::Reject,
    relay::{Answer, NotNow, Receipt},
    text::Endpoint,
    treaty::TreatyPush,
};
use comity_runtime::Instant;
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// How often the ledger is asked for what is owed.
const LOOK: Duration = Duration::from_millis(500);
/// How long one node of a peer has to answer.
const DEADLINE: Duration = Duration::from_secs(3);
/// Longest pause before an unanswered word is said again.
const PAUSE_MAX: Duration = Duration::from_secs(8);
/// How often a peer that is not connected is dialled where it said it listens.
const DIAL_EVERY: Duration = Duration::from_secs(5);

/// When a word is said again: it is forgotten with its debt.
struct Said {
    subject: Hash,
    next: Instant,
    pause: Duration,
}

/// Runs for the life of the node.
pub(crate) async fn tend(node: Arc<Node>) {
    let mut said: BTreeMap<DomainId, Said> = BTreeMap::new();
    let mut dial_at = comity_runtime::now();
    let under_way: Arc<Mutex<BTreeSet<DomainId>>> = Arc::default();
    loop {
        comity_runtime::sleep(LOOK).await;
        let now = comity_runtime::now();
        if dial_at <= now {
            dial_at = now + DIAL_EVERY;
            dial_absent(&node).await;
        }
        if !*node.replica().leads().borrow() {
            said.clear();
            continue;
        }
        let endpoints = own_endpoints(&node);
        let owed = node.replica().read_stale(|ledger, _| ledger.treaties_owed(&endpoints));
        said.retain(|peer, _| owed.iter().any(|(other, _)| other == peer));
        for (peer, push) in owed.into_iter().filter(|_| !planted(Plant::TreatyUntold)) {
            if !node.reaches(&peer) {
                // Nothing was said: it is due as soon as a node of the peer is here, or a gateway to it.
                said.remove(&peer);
                continue;
            }
            let subject = push.subject();
            let again = said.get(&peer).filter(|before| before.subject == subject);
            if again.is_some_and(|before| now < before.next) || !under_way.lock().insert(peer) {
                continue;
            }
            let pause = again.map_or(LOOK, |before| (before.pause * 2).min(PAUSE_MAX));
            said.insert(peer, Said { subject, next: now + pause, pause });
            let (node, under_way) = (node.clone(), under_way.clone());
            comity_runtime::spawn(async move {
                tell(&node, peer, &push).await;
                under_way.lock().remove(&peer);
            });
        }
    }
}

/// Where this domain's replicas listen.
fn own_endpoints(node: &Node) -> Vec<Endpoint> {
    let status = node.replica().status();
    let texts = status.voters.iter().flat_map(|member| member.info.addresses.iter());
    texts.filter_map(|text| Endpoint::new(text).ok()).take(ENDPOINTS_MAX).collect()
}

/// Peers of whom no node is connected are dialled: an address is in the ledger since they gave it.
async fn dial_absent(node: &Node) {
    let known = node.replica().read_stale(|ledger, _| {
        let known = ledger.treaties().filter(|treaty| treaty.concerns());
        known.map(|treaty| (treaty.peer, treaty.endpoints.clone())).collect::<Vec<_>>()
    });
    for (peer, endpoints) in known {
        if node.mesh().nodes_of(&peer).is_empty() {
            dial(node, &endpoints).await;
        }
    }
}

/// Dials what can be dialled of these.
pub(crate) async fn dial(node: &Node, endpoints: &[Endpoint]) {
    for address in endpoints.iter().filter_map(|text| text.parse().ok()) {
        node.mesh().dial(address).await;
    }
}

/// Says one word to whichever node of the peer takes it, and brings its receipt home.
async fn tell(node: &Node, peer: DomainId, push: &TreatyPush) {
    let body = push.encode();
    let others = node.mesh().nodes_of(&peer);
    if others.is_empty() {
        let way = (node.domain(), peer);
        let answer = node.bridge().ways.carry(node.mesh(), way, Cargo::Treaty, body, DEADLINE).await;
        heard(node, peer, answer).await;
        return;
    }
    for other in others {
        if heard(node, peer, node.mesh().request(other, Class::Treaty, body.clone(), DEADLINE).await).await {
            return;
        }
    }
}

/// Brings the receipt home, if that is the answer.
async fn heard(node: &Node, peer: DomainId, answer: Result<Bytes, RpcError>) -> bool {
    match answer.map(|bytes| Answer::decode(&bytes)) {
        Ok(Ok(Answer::Receipt(receipt))) => {
            if let Err(error) = node.replica().submit(EntryItem::TreatyReceipt(receipt)).await {
                tracing::debug!(%peer, %error, "a receipt about a treaty is not in the log yet");
            }
            true
        }
        answer => {
            tracing::debug!(%peer, ?answer, "a word about a treaty was not taken");
            false
        }
    }
}

/// The other end: what another domain says about a treaty.
pub(crate) async fn take(node: &Node, body: Bytes) -> Result<Bytes, Refusal> {
    let opened = TreatyPush::decode(&body).and_then(|push| Ok((push.subject(), CheckedPush::open(&body)?)));
    let (subject, push) = match opened {
        Ok(opened) => opened,
        Err(Reject::BadSignature | Reject::WrongSigner) => return Ok(refused(Outcome::BadSignature)),
        Err(_) => return Ok(refused(Outcome::Malformed)),
    };
    let not_now = |why| Ok(Answer::NotNow(why).encode());
    let key = node.key();
    let Some((incarnation, roster)) = node.replica().read_stale(|ledger, _| {
        let domain = ledger.domain().filter(|domain| domain.voters.contains(&key.public()))?;
        Some((domain.incarnation, domain.roster.clone()))
    }) else {
        return not_now(NotNow::NotAVoter);
    };
    let judge = |ledger: &comity_ledger::Ledger| (ledger.judge_push(&push), ledger.log_index(), ledger.stamp_ms());
    let Ok((mut outcome, mut log_index, mut stamp_ms)) = read(node, judge).await else {
        return not_now(NotNow::NoLeader);
    };
    if outcome.changed_state() {
        match node.replica().submit(EntryItem::Treaty(body)).await {
            Ok(reply) => {
                (log_index, stamp_ms) = (reply.log_index, reply.stamp_ms);
                outcome = reply.outcomes.first().copied().unwrap_or(Outcome::Malformed);
            }
            Err(_) => return not_now(NotNow::Unknown),
        }
    }
    if outcome == Outcome::RootKeyForked {
        node.mesh().count(outcome.name());
        node.mesh().root_fork_shown(push.from());
        tracing::warn!(from = %push.from(), "somebody says that another root key follows one of that domain's; the known one stands");
    }
    tracing::info!(from = %push.from(), %outcome, "another domain spoke about a treaty");
    let (domain, outcomes) = (node.domain(), vec![outcome.code()]);
    let receipt = Receipt { domain, batch: subject, incarnation, log_index, stamp_ms, outcomes, roster };
    Ok(Answer::Receipt(receipt.seal(key)).encode())
}

fn refused(outcome: Outcome) -> Bytes {
    Answer::Refused(outcome.code()).encode()
}
