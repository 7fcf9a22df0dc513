//! The hands of `members`: carries out what it asks for, and brings it what happens.
//!
//! Pings and questions to helpers go over the stream of class `members`; suspicions and heartbeats go out by gossip; what
//! gossip missed is repaired between neighbours, at connect and then now and then.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use comity_proto::envelope::Signed as _;
use comity_proto::gossip::{Members, Suspicion};
use comity_proto::ids::{DomainId, PublicKey};
use comity_proto::limits::MEMBERS_PER_REPLY_MAX;
use comity_runtime as runtime;
use futures::FutureExt;
use libp2p::PeerId;

use super::class::Class;
use super::driver::Command;
use super::limits::{MEMBER_PAGES_PER_ROUND, MEMBER_REPAIRS_AT_ONCE, MEMBERS_PER_REPAIR};
use super::members::{Input, Output, State};
use super::membership::{moment_ms, own_heartbeat};
use super::reach::Reach;
use super::rpc::{Refusal, RpcError};
use super::serve::Handler;
use super::shared::{MeshEvent, Shared, chance};
use super::standing::Standing;
use super::topics::Topic;
use super::validate::take_word;
use super::{peer, streams};

/// One request of a repair round.
const STEP_DEADLINE: Duration = Duration::from_secs(5);
/// Pause after a round that broke off.
const AGAIN: Duration = Duration::from_secs(2);

/// Keeps watch until the mesh ends.
pub(crate) async fn run(shared: Arc<Shared>, repair_every: (Duration, Duration)) {
    let tick = shared.member_ping_every / 4;
    loop {
        runtime::sleep(tick).await;
        let heard: Vec<PublicKey> = {
            let mut neighbours = shared.neighbours.lock();
            let lately = neighbours.values_mut();
            lately.filter_map(|n| std::mem::take(&mut n.is_heard).then_some(n.key)).collect()
        };
        for node in heard {
            feed(&shared, Input::Sign(node));
        }
        feed(&shared, Input::Tick);
        repairs_due(&shared, repair_every);
    }
}

/// Gives the machine an input and carries out what follows. `true`: it was news.
pub(crate) fn feed(shared: &Arc<Shared>, input: Input) -> bool {
    let mut out = Vec::new();
    let is_news = shared.members.lock().machine.handle(moment_ms(), input, &mut out);
    act(shared, out);
    is_news
}

/// Carries out what the machine asks for.
pub(crate) fn act(shared: &Arc<Shared>, outputs: Vec<Output>) {
    for output in outputs {
        match output {
            Output::Ping { node, sequence, suspected, within_ms } => {
                let shared = shared.clone();
                runtime::spawn(async move {
                    let answers = ping(&shared, node, (sequence, suspected), Duration::from_millis(within_ms)).await;
                    feed(&shared, if answers { Input::Pong(node) } else { Input::NoPong(node) });
                });
            }
            Output::AskToReach { helper, target, within_ms } => {
                let shared = shared.clone();
                runtime::spawn(async move {
                    let within = Duration::from_millis(within_ms);
                    let told = ask(&shared, helper, &Members::Reach { node: target }, within).await;
                    feed(
                        &shared,
                        match told {
                            Ok(Members::Reached { answers }) => Input::Reached { target, answers },
                            _ => Input::Mute { target },
                        },
                    );
                });
            }
            Output::Accuse { of, sequence } => accuse(shared, Suspicion { suspect: of, sequence, by: shared.me }),
            Output::Refute { above } => {
                shared.count("member_refuted");
                if let Some(beat) = own_heartbeat(shared, above) {
                    publish(shared, beat);
                }
            }
            Output::Changed { node, from, to } => {
                if to == State::Failed {
                    shared.count("member_failed");
                }
                tracing::info!(%node, from = from.name(), to = to.name(), "a member changed");
                shared.tell(MeshEvent::Member { node, state: to });
            }
            Output::Forget(node) => shared.members.lock().forget(&node),
        }
    }
}

fn accuse(shared: &Arc<Shared>, said: Suspicion) {
    // Who leaves closes its connections: what it does not reach any more says nothing about others.
    if shared.leaving.load(Ordering::Relaxed) {
        return;
    }
    shared.count("member_accused");
    let word = said.seal(&shared.key);
    let mut out = Vec::new();
    shared.members.lock().suspect(said, word.clone(), runtime::wall_ms(), &mut out);
    tell_all(shared, word);
    act(shared, out);
}

/// A word about somebody else. Gossip goes to everybody: a gateway leaves it to the repair of the mesh that it is from.
fn tell_all(shared: &Shared, word: Bytes) {
    if !shared.separates {
        publish(shared, word);
    }
}

fn publish(shared: &Shared, word: Bytes) {
    // A full queue loses a word that repair brings.
    let _ = shared.commands.try_send(Command::Publish(Topic::Members, word));
}

/// Whether a neighbour answers. A refusal is an answer as well.
async fn ping(shared: &Arc<Shared>, node: PublicKey, (sequence, suspected): (u64, bool), within: Duration) -> bool {
    let told = ask(shared, node, &Members::Ping { sequence, suspected }, within).await;
    matches!(told, Ok(_) | Err(AskError::Rpc(RpcError::Refused(_) | RpcError::NotPermitted(_)) | AskError::Form))
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("{0}")]
    Rpc(#[from] RpcError),
    #[error("not an answer to it")]
    Form,
}

async fn ask(shared: &Arc<Shared>, node: PublicKey, message: &Members, within: Duration) -> Result<Members, AskError> {
    let answer = streams::request(shared, node, Class::Members, message.encode(), within).await?;
    Members::decode(&answer).map_err(|_| AskError::Form)
}

/// Answers the questions of neighbours. Who lives is public, so strangers may ask as well.
pub(crate) fn handler(shared: &Arc<Shared>) -> Handler {
    let shared = Arc::downgrade(shared);
    Arc::new(move |caller, body| {
        let shared = shared.upgrade();
        async move {
            let shared = shared.ok_or_else(|| Refusal("the node is stopping".to_owned()))?;
            let question = Members::decode(&body).map_err(|reject| Refusal(reject.to_string()))?;
            let answer =
                answer(&shared, caller.node, question).await.ok_or_else(|| Refusal("not a question".to_owned()))?;
            // It spoke to us, so it is well.
            feed(&shared, Input::Sign(caller.node));
            Ok(answer.encode())
        }
        .boxed()
    })
}

async fn answer(shared: &Arc<Shared>, asks: PublicKey, question: Members) -> Option<Members> {
    let standing = || peer::peer_id(&asks).and_then(|peer| shared.standing(&peer)).unwrap_or(Standing::Unjudged);
    Some(match question {
        Members::Ping { sequence, suspected } => {
            feed(shared, Input::Pinged { known: sequence, suspected });
            Members::Pong { sequence: shared.members.lock().machine.own_sequence() }
        }
        Members::Reach { node } => {
            let within = shared.members.lock().machine.timing().helper_within();
            Members::Reached { answers: ping(shared, node, (0, false), Duration::from_millis(within)).await }
        }
        Members::Ask { after } => {
            let (reach, to) = (Reach::of(shared), standing());
            let tells = |domain: &DomainId| reach.is_of_one_mesh(domain, &to);
            let (items, complete) = shared.members.lock().page(after, runtime::wall_ms(), tells);
            Members::Page { items, complete }
        }
        Members::Want { nodes } => {
            let (reach, to) = (Reach::of(shared), standing());
            let tells = |domain: &DomainId| reach.is_of_one_mesh(domain, &to);
            Members::Words { words: shared.members.lock().words(&nodes, tells) }
        }
        Members::Pong { .. } | Members::Reached { .. } | Members::Page { .. } | Members::Words { .. } => return None,
    })
}

// --- repair -------------------------------------------------------------------------------------------------------

fn repairs_due(shared: &Arc<Shared>, every: (Duration, Duration)) {
    let now = runtime::now();
    let members = shared.members.lock().machine.living();
    let due: Vec<(PeerId, Duration)> = {
        let mut neighbours = shared.neighbours.lock();
        let crowd = u32::try_from(neighbours.len()).unwrap_or(u32::MAX).div_ceil(MEMBER_REPAIRS_AT_ONCE).max(1);
        let load = u32::try_from(members.div_ceil(MEMBERS_PER_REPAIR)).unwrap_or(u32::MAX).max(1);
        let is_due = |at: &runtime::Instant| *at <= now;
        let due = neighbours.iter_mut().filter(|(_, neighbour)| neighbour.next_members.as_ref().is_some_and(is_due));
        due.map(|(peer, neighbour)| {
            let pause = (every.0 + every.1.saturating_sub(every.0).mul_f64(chance())) * crowd * load;
            neighbour.next_members = Some(now + pause);
            (*peer, pause)
        })
        .collect()
    };
    for (peer, pause) in due {
        let shared = shared.clone();
        runtime::spawn(async move {
            if let Err(error) = round(&shared, peer).await {
                tracing::debug!(%peer, %error, "a repair of members broke off");
                if let Some(neighbour) = shared.neighbours.lock().get_mut(&peer) {
                    neighbour.next_members = Some(runtime::now() + pause.min(AGAIN));
                }
            }
        });
    }
}

/// Asks a neighbour whom it knows, and fetches what it knows better.
async fn round(shared: &Arc<Shared>, peer: PeerId) -> Result<(), AskError> {
    let node = peer::node_key(&peer).ok_or(AskError::Form)?;
    let mut after = None;
    for _ in 0..MEMBER_PAGES_PER_ROUND {
        let Members::Page { items, complete } = ask(shared, node, &Members::Ask { after }, STEP_DEADLINE).await? else {
            return Err(AskError::Form);
        };
        let wanted: Vec<PublicKey> = {
            let members = shared.members.lock();
            items.iter().filter(|item| members.wants(item)).map(|item| item.node).collect()
        };
        for nodes in wanted.chunks(MEMBERS_PER_REPLY_MAX) {
            fetch(shared, node, nodes).await?;
        }
        let last = items.last().map(|item| item.node);
        if complete || last <= after {
            return Ok(());
        }
        after = last;
    }
    Ok(())
}

async fn fetch(shared: &Arc<Shared>, neighbour: PublicKey, nodes: &[PublicKey]) -> Result<(), AskError> {
    let question = Members::Want { nodes: nodes.to_vec() };
    let Members::Words { words } = ask(shared, neighbour, &question, STEP_DEADLINE).await? else {
        return Err(AskError::Form);
    };
    for word in words {
        // Refusals are counted inside. What brings somebody back is passed on: others may hold it for failed as well.
        let taken = take_word(shared, &word);
        if taken.is_some_and(|taken| taken.is_return || taken.of == neighbour) {
            tell_all(shared, word);
        }
    }
    Ok(())
}
