//! Opening and accepting streams: request links per class, and task streams.
//!
//! Permission is checked on both ends: we send no consensus or settlement bytes to a neighbour that may not have them,
//! and serve none that may not ask.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use comity_proto::ids::PublicKey;
use comity_runtime as runtime;
use futures::future::BoxFuture;
use futures::io::{BufWriter, ReadHalf, WriteHalf};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::swarm::Stream;
use libp2p::{PeerId, StreamProtocol};

use super::class::{Class, TASK_STREAM_PROTOCOL};
use super::frame::{FrameError, FrameReader, unless_stalled, write_frame};
use super::limits::{OPEN_DEADLINE, WRITE_BUFFER_BYTES, WRITE_STALL};
use super::peer;
use super::rpc::{Link, Refusal, RpcError, link};
use super::serve::{Caller, Gate, serve_stream};
use super::shared::Shared;

/// A task stream: frames both ways until one side closes. Dropping it breaks the stream.
pub struct TaskStream {
    reader: FrameReader<ReadHalf<Stream>>,
    writer: BufWriter<WriteHalf<Stream>>,
}

/// Serves one inbound task stream.
pub type TaskHandler = Arc<dyn Fn(Caller, TaskStream) -> BoxFuture<'static, ()> + Send + Sync>;

impl TaskStream {
    fn new(stream: Stream) -> TaskStream {
        let (read, write) = stream.split();
        TaskStream {
            reader: FrameReader::new(read, Class::Tasks.body_max()),
            writer: BufWriter::with_capacity(WRITE_BUFFER_BYTES, write),
        }
    }

    /// Sends one frame and waits until the connection has taken it. A neighbour that stops reading ends the stream.
    pub async fn send(&mut self, frame: &[u8]) -> Result<(), FrameError> {
        let limit = Class::Tasks.body_max();
        if frame.len() > limit {
            return Err(FrameError::TooLarge { announced: frame.len(), limit });
        }
        let write = async {
            write_frame(&mut self.writer, frame).await?;
            self.writer.flush().await?;
            Ok(())
        };
        unless_stalled(WRITE_STALL, write).await
    }

    /// The next frame; `None` when the other side closed. Dropping the future loses nothing.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, FrameError> {
        self.reader.next().await
    }

    /// Says that no more frames come from us. Frames of the other side may still be read.
    pub async fn close(&mut self) -> Result<(), FrameError> {
        let close = async {
            self.writer.close().await?;
            Ok(())
        };
        unless_stalled(WRITE_STALL, close).await
    }
}

/// Opens a fresh substream to a connected neighbour.
pub(crate) async fn open(shared: &Shared, peer: PeerId, protocol: StreamProtocol) -> Result<Stream, RpcError> {
    // The control would dial an unknown peer by itself; dialling is the address book's business.
    if !shared.neighbours.lock().contains_key(&peer) {
        return Err(RpcError::Unreachable("not connected".to_owned()));
    }
    let mut control = shared.control.clone();
    match runtime::timeout(OPEN_DEADLINE, control.open_stream(peer, protocol)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(RpcError::Unreachable(error.to_string())),
        Err(runtime::Elapsed) => Err(RpcError::Unreachable("the stream did not open in time".to_owned())),
    }
}

fn permitted(shared: &Shared, peer: &PeerId, permits: impl Fn(&super::Standing) -> bool) -> Result<(), RpcError> {
    match shared.standing(peer) {
        None => Err(RpcError::Unreachable("not connected".to_owned())),
        Some(standing) if permits(&standing) => Ok(()),
        Some(standing) => Err(RpcError::NotPermitted(format!("to us the neighbour is: {}", standing.name()))),
    }
}

/// The link to a neighbour for a class, made when first needed.
fn link_to(shared: &Arc<Shared>, peer: PeerId, class: Class) -> Link {
    let mut links = shared.links.lock();
    if let Some(known) = links.get(&(peer, class)).filter(|known| !known.is_closed()) {
        return known.clone();
    }
    let (fresh, task) = link(class);
    links.insert((peer, class), fresh.clone());
    drop(links);
    // The task holds no link, so it ends when the table and all callers let go.
    let opener = shared.clone();
    runtime::spawn(async move {
        task.run(|| open(&opener, peer, class.protocol())).await;
    });
    fresh
}

/// One request to a node.
pub(crate) async fn request(
    shared: &Arc<Shared>,
    node: PublicKey,
    class: Class,
    body: Bytes,
    deadline: Duration,
) -> Result<Bytes, RpcError> {
    if node == shared.me {
        return ask_self(shared, class, body, deadline).await;
    }
    let peer = peer::peer_id(&node).ok_or_else(|| RpcError::Unreachable("not a valid node key".to_owned()))?;
    permitted(shared, &peer, |standing| class.permits(standing))?;
    let answer = link_to(shared, peer, class).call(body, deadline).await;
    if matches!(answer, Ok(_) | Err(RpcError::Refused(_) | RpcError::NotPermitted(_))) {
        shared.heard(&peer);
    }
    answer
}

/// A node may ask itself: callers need not know where the leader or an agent lives.
async fn ask_self(shared: &Shared, class: Class, body: Bytes, deadline: Duration) -> Result<Bytes, RpcError> {
    let handler = shared.handlers.lock().get(&class).cloned();
    let Some(handler) = handler else { return Err(RpcError::Refused("this node does not serve the class".to_owned())) };
    let domain = shared.identity.lock().domain;
    let caller = Caller { node: shared.me, domain, own: true };
    match runtime::timeout(deadline, handler(caller, body)).await {
        Ok(answer) => answer.map_err(|Refusal(words)| RpcError::Refused(words)),
        Err(runtime::Elapsed) => Err(RpcError::Deadline),
    }
}

/// Opens a task stream to a node of a known domain.
pub(crate) async fn open_task_stream(shared: &Shared, node: PublicKey) -> Result<TaskStream, RpcError> {
    let peer = peer::peer_id(&node).ok_or_else(|| RpcError::Unreachable("not a valid node key".to_owned()))?;
    permitted(shared, &peer, |standing| Class::Tasks.permits(standing))?;
    Ok(TaskStream::new(open(shared, peer, TASK_STREAM_PROTOCOL).await?))
}

/// Starts the accepting tasks of all classes. Each must always be polled: a full queue drops streams silently.
pub(crate) fn accept_all(shared: &Arc<Shared>) -> Result<(), libp2p_stream::AlreadyRegistered> {
    for class in Class::ALL {
        accept(shared, class.protocol(), move |shared, peer, stream| async move {
            serve_class(&shared, peer, stream, class).await;
        })?;
    }
    accept(shared, TASK_STREAM_PROTOCOL, |shared, peer, stream| async move {
        serve_task(&shared, peer, stream).await;
    })
}

/// Serves each stream of a protocol in a task of its own, as many as one peer may have.
fn accept<S, F>(
    shared: &Arc<Shared>,
    protocol: StreamProtocol,
    serve: S,
) -> Result<(), libp2p_stream::AlreadyRegistered>
where
    S: Fn(Arc<Shared>, PeerId, Stream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut incoming = shared.control.clone().accept(protocol)?;
    let keeper = shared.clone();
    let shared = shared.clone();
    keeper.keep(async move {
        while let Some((peer, stream)) = incoming.next().await {
            let Some(place) = shared.stream_place(&peer) else {
                shared.count("stream_refused_too_many");
                continue;
            };
            let served = serve(shared.clone(), peer, stream);
            runtime::spawn(async move {
                let _place = place;
                served.await;
            });
        }
    });
    Ok(())
}

async fn serve_class(shared: &Shared, peer: PeerId, stream: Stream, class: Class) {
    // The other end may be ahead of us in judging the hello.
    let _ = shared.standing_when_judged(&peer).await;
    let gate = || match shared.caller(&peer, |standing| class.permits(standing)) {
        Ok(caller) => match shared.handlers.lock().get(&class).cloned() {
            Some(handler) => Gate::Open(caller, handler),
            None => Gate::Closed("this node does not serve the class".to_owned()),
        },
        Err(why) => Gate::Closed(why),
    };
    if let Gate::Closed(why) = gate() {
        shared.count("stream_not_permitted");
        tracing::debug!(%peer, %class, why, "a stream was not permitted");
    }
    match serve_stream(stream, class, gate).await {
        Ok(()) => {}
        Err(FrameError::TooLarge { announced, limit }) => {
            shared.count("frame_too_large");
            tracing::warn!(%peer, %class, announced, limit, "an oversize frame ended a stream");
        }
        Err(FrameError::Malformed(what)) => {
            shared.count("frame_malformed");
            tracing::warn!(%peer, %class, what, "a malformed frame ended a stream");
        }
        Err(error) => tracing::debug!(%peer, %class, %error, "a stream ended"),
    }
}

async fn serve_task(shared: &Shared, peer: PeerId, stream: Stream) {
    let _ = shared.standing_when_judged(&peer).await;
    let caller = match shared.caller(&peer, |standing| Class::Tasks.permits(standing)) {
        Ok(caller) => caller,
        Err(why) => {
            shared.count("stream_not_permitted");
            tracing::debug!(%peer, why, "a task stream was not permitted");
            return;
        }
    };
    let handler = shared.task_handler.lock().clone();
    match handler {
        Some(handler) => handler(caller, TaskStream::new(stream)).await,
        None => shared.count("task_stream_unserved"),
    }
}
