//! Anti-entropy: asks a neighbour which cards it has and fetches those that would replace ours.
//!
//! Runs at connect and then at random intervals, in both directions. Gossip only lowers latency; that every node ends
//! with the newest card of every owner rests on this alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use comity_proto::card::Owner;
use comity_proto::envelope::{Context, Envelope};
use comity_proto::gossip::Repair;
use comity_proto::limits::{CARD_BYTES_MAX, CARDS_PER_REPLY_MAX};
use comity_proto::planted::{Plant, planted};
use comity_runtime as runtime;
use futures::FutureExt;
use libp2p::PeerId;

use super::class::Class;
use super::limits::{REPAIR_FETCH, REPAIR_PAGE, REPAIR_PAGES_PER_ROUND};
use super::rpc::{Refusal, RpcError};
use super::serve::Handler;
use super::shared::{Shared, chance};
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

/// Runs one round with a neighbour in a task of its own. The caller has marked it as under way.
pub(crate) fn start(shared: &Arc<Shared>, peer: PeerId, every: (Duration, Duration)) {
    let shared = shared.clone();
    runtime::spawn(async move {
        let ended = round(&shared, peer).await;
        if let Err(error) = &ended {
            tracing::debug!(%peer, %error, "a repair round broke off");
        }
        let pause = every.0 + every.1.saturating_sub(every.0).mul_f64(chance());
        let mut neighbours = shared.neighbours.lock();
        // The neighbour may have gone; a new session starts its own rounds.
        if let Some(neighbour) = neighbours.get_mut(&peer) {
            neighbour.repairing = false;
            match ended {
                Ok(()) => {
                    neighbour.repaired_ms = Some(runtime::wall_ms());
                    neighbour.next_repair = Some(runtime::now() + pause);
                }
                // Broken off: sooner again, for this neighbour may have what nobody else told us.
                Err(_) => neighbour.next_repair = Some(runtime::now() + pause.min(Duration::from_secs(2))),
            }
        }
    });
}

async fn round(shared: &Arc<Shared>, peer: PeerId) -> Result<(), RepairError> {
    if planted(Plant::NoRepair) {
        return Ok(());
    }
    if has_the_same(shared, &peer) {
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
    for card in cards.iter().take(owners.len()) {
        let Some(kind) = kind_of(card) else {
            shared.count("card_malformed");
            continue;
        };
        // Refusals are counted inside; one bad card does not hide the good ones behind it.
        if take_card(shared, kind, card, From::Neighbour(peer)).is_ok() {
            shared.count("repair_cards");
        }
    }
    Ok(())
}

/// An envelope does not say its kind; the signature's context does. Only one of the two can hold.
fn kind_of(card: &Bytes) -> Option<CardKind> {
    use comity_proto::card::AgentCard;
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

/// Answers the questions of neighbours. Cards are public, so strangers may ask as well.
pub(crate) fn handler(shared: &Arc<Shared>) -> Handler {
    let shared = Arc::downgrade(shared);
    Arc::new(move |_, body| {
        let shared = shared.upgrade();
        async move {
            let shared = shared.ok_or_else(|| Refusal("the node is stopping".to_owned()))?;
            let question = Repair::decode(&body).map_err(|reject| Refusal(reject.to_string()))?;
            answer(&shared, question).ok_or_else(|| Refusal("not a question".to_owned()))
        }
        .boxed()
    })
}

fn answer(shared: &Shared, question: Repair) -> Option<Bytes> {
    let directory = shared.directory.lock();
    match question {
        Repair::Ask { after } => {
            let mut items: Vec<_> = directory.digests(after, runtime::wall_ms()).take(REPAIR_PAGE + 1).collect();
            let complete = items.len() <= REPAIR_PAGE;
            items.truncate(REPAIR_PAGE);
            Some(Repair::Digests { items, complete }.encode())
        }
        Repair::Want { owners } => {
            let cards = owners.iter().take(CARDS_PER_REPLY_MAX).filter_map(|owner| directory.envelope(owner)).collect();
            Some(Repair::Cards { cards }.encode())
        }
        Repair::Digests { .. } | Repair::Cards { .. } => None,
    }
}
