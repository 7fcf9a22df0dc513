//! Anti-entropy: asks a neighbour which cards it shows us and fetches those that would replace ours.
//!
//! Runs at connect and then at random intervals, in both directions. Gossip only lowers latency; that every node ends
//! with the newest card of every owner rests on this alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use comity_proto::card::{AgentCard, Owner};
use comity_proto::envelope::{Context, Envelope};
use comity_proto::gossip::{CardDigest, Repair};
use comity_proto::ids::DomainId;
use comity_proto::limits::{CARD_BYTES_MAX, CARDS_PER_REPLY_MAX};
use comity_proto::planted::{Plant, planted};
use comity_runtime as runtime;
use futures::FutureExt;
use libp2p::PeerId;

use super::class::Class;
use super::limits::{REPAIR_FETCH, REPAIR_PAGE, REPAIR_PAGES_PER_ROUND};
use super::reach::Reach;
use super::rpc::{Refusal, RpcError};
use super::serve::Handler;
use super::shared::{Shared, chance};
use super::standing::Standing;
use super::store::CardKind;
use super::streams;
use super::validate::{From, take_card};

/// One request of a round.
const STEP_DEADLINE: Duration = Duration::from_secs(5);

/// Why a round ended early.
#[derive(Debug, thiserror::Error)]
enum RepairError {
    #[error("{0}")]
    Rpc(#[from] RpcError),
    #[error("not a repair message: {0}")]
    Form(comity_proto::reject::Reject),
    #[error("an answer to another question")]
    Unasked,
    #[error("the list does not advance")]
    Stuck,
}

/// Runs one round with a neighbour in a task of its own. The caller has marked it as under way. `news`: the neighbour may
/// show us more than when it last told what it has.
pub(crate) fn start(shared: &Arc<Shared>, peer: PeerId, news: bool, every: (Duration, Duration)) {
    let shared = shared.clone();
    runtime::spawn(async move {
        let ended = round(&shared, peer, news).await;
        if let Err(error) = &ended {
            tracing::debug!(%peer, %error, "a repair round broke off");
        }
        let pause = every.0 + every.1.saturating_sub(every.0).mul_f64(chance());
        let mut neighbours = shared.neighbours.lock();
        // The neighbour may have gone; a new session starts its own rounds.
        if let Some(neighbour) = neighbours.get_mut(&peer) {
            neighbour.repairing = false;
            let news = neighbour.has_news;
            match ended {
                Ok(()) => {
                    neighbour.repaired_ms = Some(runtime::wall_ms());
                    neighbour.next_repair = Some(runtime::now() + pause);
                }
                // Broken off: sooner again, for this neighbour may have what nobody else told us.
                Err(_) => neighbour.next_repair = Some(runtime::now() + pause.min(Duration::from_secs(2))),
            }
            if news {
                neighbour.ask_again(runtime::now());
            }
        }
    });
}

async fn round(shared: &Arc<Shared>, peer: PeerId, news: bool) -> Result<(), RepairError> {
    if planted(Plant::NoRepair) {
        return Ok(());
    }
    let home = shared.standing(&peer).and_then(|standing| standing.domain());
    let shown = |told: Option<&[CardDigest]>| {
        if let (Some(node), Some(home)) = (super::peer::node_key(&peer), home) {
            shared.directory.lock().shown_by_home(node, &home, told);
        }
    };
    if !news && has_the_same(shared, &peer) {
        shown(None);
        return Ok(());
    }
    let mut after = None;
    for _ in 0..REPAIR_PAGES_PER_ROUND {
        let Repair::Digests { items, complete } = ask(shared, peer, &Repair::Ask { after }).await? else {
            return Err(RepairError::Unasked);
        };
        let wanted: Vec<Owner> = {
            let (directory, now_ms) = (shared.directory.lock(), runtime::wall_ms());
            items.iter().filter(|item| directory.wants(item, now_ms)).map(|item| item.owner).collect()
        };
        shown(Some(&items));
        for owners in wanted.chunks(REPAIR_FETCH) {
            fetch(shared, peer, owners).await?;
        }
        if complete {
            return Ok(());
        }
        let last = items.last().map(|item| item.owner);
        if last <= after {
            return Err(RepairError::Stuck);
        }
        after = last;
    }
    Ok(())
}

/// Whether the neighbour told, in its last heartbeat, the very set of cards that we have now. The first round of a
/// session does not rely on it.
fn has_the_same(shared: &Shared, peer: &PeerId) -> bool {
    let node = match shared.neighbours.lock().get(peer) {
        Some(neighbour) if neighbour.repaired_ms.is_some() => neighbour.key,
        _ => return false,
    };
    let told = shared.members.lock().cards_digest(&node);
    told.is_some_and(|told| told == shared.directory.lock().summary(runtime::wall_ms()).0)
}

/// Fetches cards until the neighbour has sent all that it still has of `owners`.
async fn fetch(shared: &Arc<Shared>, peer: PeerId, owners: &[Owner]) -> Result<(), RepairError> {
    let Repair::Cards { cards } = ask(shared, peer, &Repair::Want { owners: owners.to_vec() }).await? else {
        return Err(RepairError::Unasked);
    };
    cards.iter().take(owners.len()).for_each(|card| take_one(shared, peer, card));
    Ok(())
}

/// Refusals are counted; one bad card does not hide the good ones behind it.
fn take_one(shared: &Arc<Shared>, from: PeerId, card: &Bytes) {
    let Some(kind) = kind_of(card) else { return shared.count("card_malformed") };
    if take_card(shared, kind, card, From::Neighbour(from)).is_ok() {
        shared.count("repair_cards");
    }
}

/// An envelope does not say its kind; the signature's context does. Only one of the two can hold.
fn kind_of(card: &Bytes) -> Option<CardKind> {
    use comity_proto::envelope::Signed as _;
    let parsed = Envelope::parse(card, CARD_BYTES_MAX, Context::AgentCard.as_str()).ok()?;
    match AgentCard::decode(parsed.unverified_payload()) {
        Ok(_) => Some(CardKind::Agent),
        Err(_) => Some(CardKind::Domain),
    }
}

async fn ask(shared: &Arc<Shared>, peer: PeerId, message: &Repair) -> Result<Repair, RepairError> {
    let node = super::peer::node_key(&peer).ok_or(RepairError::Unasked)?;
    let answer = streams::request(shared, node, Class::Repair, message.encode(), STEP_DEADLINE).await?;
    Repair::decode(&answer).map_err(RepairError::Form)
}

/// Answers the questions of neighbours, and takes what they push. Strangers may ask as well: they are shown what is
/// public.
pub(crate) fn handler(shared: &Arc<Shared>) -> Handler {
    let shared = Arc::downgrade(shared);
    Arc::new(move |caller, body| {
        let shared = shared.upgrade();
        async move {
            let shared = shared.ok_or_else(|| Refusal("the node is stopping".to_owned()))?;
            let question = Repair::decode(&body).map_err(|reject| Refusal(reject.to_string()))?;
            let peer = super::peer::peer_id(&caller.node).ok_or_else(|| Refusal("no node key".to_owned()))?;
            Ok(answer(&shared, &peer, question))
        }
        .boxed()
    })
}

fn answer(shared: &Arc<Shared>, asks: &PeerId, question: Repair) -> Bytes {
    let standing = shared.standing(asks).unwrap_or(Standing::Unjudged);
    let reach = Reach::of(shared);
    let shows = |card: &AgentCard| reach.shows(card, &standing);
    let tells = |domain: &DomainId| reach.is_of_one_mesh(domain, &standing);
    let told = Repair::Cards { cards: Vec::new() };
    match question {
        Repair::Ask { after } => {
            let directory = shared.directory.lock();
            let digests = directory.digests_of(after, runtime::wall_ms(), shows, tells);
            let mut items: Vec<_> = digests.take(REPAIR_PAGE + 1).collect();
            let complete = items.len() <= REPAIR_PAGE;
            items.truncate(REPAIR_PAGE);
            Repair::Digests { items, complete }
        }
        Repair::Want { owners } => {
            let directory = shared.directory.lock();
            let shown = owners.iter().take(CARDS_PER_REPLY_MAX);
            Repair::Cards { cards: shown.filter_map(|owner| directory.envelope_if(owner, shows, tells)).collect() }
        }
        Repair::Cards { cards } => {
            cards.iter().for_each(|card| take_one(shared, *asks, card));
            told
        }
        Repair::Digests { .. } => {
            if let Some(neighbour) = shared.neighbours.lock().get_mut(asks) {
                neighbour.ask_again(runtime::now());
            }
            told
        }
    }
    .encode()
}
