//! The hello: both ends of a connection show their node certificate and tell what they take each other for.
//!
//! Flow: the dialler opens a stream and sends its greeting; the other end judges it, answers its own greeting and its
//! verdict; the dialler judges that and sends its verdict. Both may greet at once; the exchange is repeatable.

use std::sync::Arc;

use bytes::Bytes;
use comity_proto::gossip::Hello;
use comity_runtime as runtime;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::PeerId;
use libp2p::swarm::Stream;
use prost::Message as _;

use super::class::HELLO_PROTOCOL;
use super::driver::Command;
use super::frame::{FrameError, FrameReader, write_frame};
use super::limits::{HELLO_DEADLINE, HELLO_MAX_BYTES};
use super::membership::{endpoints, multiaddresses};
use super::shared::{MeshEvent, Shared};
use super::standing::Standing;
use super::streams;
use super::wire::{Greeting, Verdict};

/// Words of a verdict that are kept.
const VERDICT_CHARS: usize = 64;

/// Why an exchange ended early.
#[derive(Debug, thiserror::Error)]
enum HelloError {
    #[error("{0}")]
    Open(#[from] super::rpc::RpcError),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("the neighbour ended the hello")]
    Ended,
    #[error("not a hello: {0}")]
    Form(String),
    #[error("too slow")]
    Elapsed,
    #[error("no longer connected")]
    Gone,
}

/// Greets a neighbour in a task of its own.
pub(crate) fn start(shared: &Arc<Shared>, peer: PeerId) {
    let shared = shared.clone();
    runtime::spawn(async move {
        let exchange = async {
            let stream = streams::open(&shared, peer, HELLO_PROTOCOL).await?;
            greet(&shared, peer, stream).await
        };
        report(&shared, peer, runtime::timeout(HELLO_DEADLINE, exchange).await);
    });
}

/// Answers hellos until the mesh ends.
pub(crate) fn accept(shared: &Arc<Shared>) -> Result<(), libp2p_stream::AlreadyRegistered> {
    let mut incoming = shared.control.clone().accept(HELLO_PROTOCOL)?;
    let keeper = shared.clone();
    let shared = shared.clone();
    keeper.keep(async move {
        while let Some((peer, stream)) = incoming.next().await {
            let Some(place) = shared.stream_place(&peer) else { continue };
            let shared = shared.clone();
            runtime::spawn(async move {
                let _place = place;
                let answered = runtime::timeout(HELLO_DEADLINE, answer(&shared, peer, stream)).await;
                report(&shared, peer, answered);
            });
        }
    });
    Ok(())
}

fn report(shared: &Shared, peer: PeerId, ended: Result<Result<(), HelloError>, runtime::Elapsed>) {
    if let Err(error) = ended.unwrap_or(Err(HelloError::Elapsed)) {
        if matches!(error, HelloError::Form(_) | HelloError::Frame(FrameError::TooLarge { .. })) {
            shared.count("hello_malformed");
        }
        tracing::debug!(%peer, %error, "a hello failed");
    }
}

async fn greet(shared: &Shared, peer: PeerId, stream: Stream) -> Result<(), HelloError> {
    let (read, mut write) = stream.split();
    let mut reader = FrameReader::new(read, HELLO_MAX_BYTES);
    write_frame(&mut write, &own_greeting(shared)).await?;
    write.flush().await.map_err(FrameError::from)?;
    let standing = judge(shared, &peer, &next(&mut reader).await?)?;
    hear_verdict(shared, &peer, &next(&mut reader).await?)?;
    write_frame(&mut write, &verdict(&standing)).await?;
    write.close().await.map_err(FrameError::from)?;
    Ok(())
}

async fn answer(shared: &Shared, peer: PeerId, stream: Stream) -> Result<(), HelloError> {
    let (read, mut write) = stream.split();
    let mut reader = FrameReader::new(read, HELLO_MAX_BYTES);
    let standing = judge(shared, &peer, &next(&mut reader).await?)?;
    write_frame(&mut write, &own_greeting(shared)).await?;
    write_frame(&mut write, &verdict(&standing)).await?;
    write.flush().await.map_err(FrameError::from)?;
    hear_verdict(shared, &peer, &next(&mut reader).await?)?;
    write.close().await.map_err(FrameError::from)?;
    Ok(())
}

async fn next<R: futures::AsyncRead + Unpin>(reader: &mut FrameReader<R>) -> Result<Bytes, HelloError> {
    reader.next().await?.ok_or(HelloError::Ended)
}

fn own_greeting(shared: &Shared) -> Vec<u8> {
    let identity = shared.identity.lock().clone();
    let hello = Hello {
        certificate: identity.certificate,
        roster: identity.roster,
        agent: shared.agent.clone(),
        addresses: endpoints(&shared.addresses()),
    };
    Greeting { hello: hello.encode(), boot: Bytes::copy_from_slice(&shared.boot) }.encode_to_vec()
}

fn verdict(standing: &Standing) -> Vec<u8> {
    let refused = match standing {
        Standing::Stranger { refused: Some(refused), .. } => refused.name().to_owned(),
        _ => String::new(),
    };
    Verdict { standing: standing.name().to_owned(), refused }.encode_to_vec()
}

/// Judges a greeting and keeps what it says.
fn judge(shared: &Shared, peer: &PeerId, frame: &Bytes) -> Result<Standing, HelloError> {
    let form = |why: &dyn std::fmt::Display| HelloError::Form(why.to_string());
    let greeting = Greeting::decode(frame.clone()).map_err(|error| form(&error))?;
    let hello = Hello::decode(&greeting.hello).map_err(|error| form(&error))?;
    let boot: [u8; 16] = greeting.boot.as_ref().try_into().map_err(|_| form(&"boot id of the wrong length"))?;
    same_process(shared, peer, boot)?;
    let judged = shared.judge_hello(peer, hello.certificate).ok_or(HelloError::Gone)?;
    if judged.standing.is_known() {
        let _ = shared.commands.try_send(Command::Learn(*peer, multiaddresses(&hello.addresses)));
    }
    let taken = shared.rosters.lock().offer(&hello.roster, &shared.trust());
    if let Some((domain, epoch)) = taken {
        shared.tell(MeshEvent::Roster { domain, epoch });
    }
    Ok(judged.standing)
}

/// Detects a neighbour that restarted with the same key while its old connection still looks alive here. Gossip told
/// its subscriptions on the old connection only, so all connections are closed and made afresh.
fn same_process(shared: &Shared, peer: &PeerId, boot: [u8; 16]) -> Result<(), HelloError> {
    let mut neighbours = shared.neighbours.lock();
    let neighbour = neighbours.get_mut(peer).ok_or(HelloError::Gone)?;
    if *neighbour.boot.get_or_insert(boot) == boot {
        return Ok(());
    }
    drop(neighbours);
    shared.count("neighbour_restarted");
    let _ = shared.commands.try_send(Command::Reset(*peer));
    Err(HelloError::Gone)
}

fn hear_verdict(shared: &Shared, peer: &PeerId, frame: &Bytes) -> Result<(), HelloError> {
    let verdict = Verdict::decode(frame.clone()).map_err(|error| HelloError::Form(error.to_string()))?;
    let words = if verdict.refused.is_empty() { verdict.standing } else { verdict.refused };
    let taken_for: String = words.chars().filter(|c| c.is_ascii_graphic()).take(VERDICT_CHARS).collect();
    let mut neighbours = shared.neighbours.lock();
    let neighbour = neighbours.get_mut(peer).ok_or(HelloError::Gone)?;
    neighbour.takes_us_for = Some(taken_for);
    Ok(())
}
