//! The serving end of a stream: reads requests, lets a handler work on many at once, writes their answers.
//!
//! At most [`IN_FLIGHT_PER_LINK`] requests of one stream are worked on; then nothing more is read, so a flood stays in
//! the sender's own buffers. Permission is asked for at every request: a standing may end while a stream is open.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use comity_proto::ids::{DomainId, PublicKey};
use comity_runtime as runtime;
use futures::future::BoxFuture;
use futures::io::BufWriter;
use futures::stream::FuturesUnordered;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, FutureExt, StreamExt, select_biased};
use prost::Message as _;

use super::class::Class;
use super::frame::{FrameError, FrameReader, unless_stalled, write_frame};
use super::limits::{
    FRAME_OVERHEAD_BYTES, FRAME_UNPERMITTED_BYTES, IN_FLIGHT_PER_LINK, REQUEST_DEADLINE_MAX, WRITE_BUFFER_BYTES,
    WRITE_STALL,
};
use super::rpc::Refusal;
use super::wire::{Frame, FrameKind};

/// Who sent a request, as proved by the connection and the hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its node key.
    pub node: PublicKey,
    /// Its proved domain; `None` for strangers.
    pub domain: Option<DomainId>,
    /// Whether that domain is ours.
    pub own: bool,
}

/// Answers the requests of one class.
pub type Handler = Arc<dyn Fn(Caller, Bytes) -> BoxFuture<'static, Result<Bytes, Refusal>> + Send + Sync>;

/// What the gate says to one request.
pub(crate) enum Gate {
    /// Let the handler answer.
    Open(Caller, Handler),
    /// Not for this neighbour; the words are told.
    Closed(String),
}

/// Serves one inbound stream until it ends. `gate` is asked before every request.
pub(crate) async fn serve_stream<S>(stream: S, class: Class, gate: impl Fn() -> Gate) -> Result<(), FrameError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let (read, write) = stream.split();
    let limit = match gate() {
        Gate::Open(..) => class.body_max() + FRAME_OVERHEAD_BYTES,
        Gate::Closed(_) => FRAME_UNPERMITTED_BYTES,
    };
    let mut reader = FrameReader::new(read, limit);
    let mut writer = BufWriter::with_capacity(WRITE_BUFFER_BYTES, write);
    let mut running = FuturesUnordered::new();
    loop {
        if running.len() >= IN_FLIGHT_PER_LINK {
            let Some(first) = running.next().await else { continue };
            answer(&mut writer, first, &mut running).await?;
            continue;
        }
        // Answers first: they free places and memory.
        let frame = if running.is_empty() {
            reader.next().await
        } else {
            select_biased! {
                first = running.select_next_some() => {
                    answer(&mut writer, first, &mut running).await?;
                    continue;
                }
                frame = reader.next().fuse() => frame,
            }
        };
        let Some(frame) = frame? else { return Ok(()) };
        let frame = Frame::decode(frame).map_err(|_| FrameError::Malformed("no frame"))?;
        if FrameKind::try_from(frame.kind) != Ok(FrameKind::Request) {
            return Err(FrameError::Malformed("no request"));
        }
        match gate() {
            Gate::Open(caller, handler) => running.push(work(frame, caller, handler, class)),
            Gate::Closed(words) => {
                let told = Frame { kind: FrameKind::NotPermitted as i32, body: words.into(), deadline_ms: 0, ..frame };
                return answer(&mut writer, told, &mut running).await;
            }
        }
    }
}

/// Runs one request to its answer frame, within the deadline that its caller told.
async fn work(request: Frame, caller: Caller, handler: Handler, class: Class) -> Frame {
    let id = request.id;
    let answer = |kind: FrameKind, body: Bytes| Frame { id, kind: kind as i32, body, deadline_ms: 0 };
    let deadline = Duration::from_millis(request.deadline_ms.into()).min(REQUEST_DEADLINE_MAX);
    match runtime::timeout(deadline, handler(caller, request.body)).await {
        Ok(Ok(body)) if body.len() <= class.body_max() => answer(FrameKind::Reply, body),
        Ok(Ok(_)) => answer(FrameKind::Refused, Bytes::from_static(b"the answer is over the limit of the class")),
        Ok(Err(Refusal(words))) => answer(FrameKind::Refused, words.into()),
        Err(runtime::Elapsed) => answer(FrameKind::Refused, Bytes::from_static(b"the deadline passed")),
    }
}

/// Writes one answer and all others that are ready, then flushes once.
async fn answer<W, F>(
    writer: &mut BufWriter<W>,
    first: Frame,
    running: &mut FuturesUnordered<F>,
) -> Result<(), FrameError>
where
    W: AsyncWrite + Unpin,
    F: Future<Output = Frame>,
{
    let write = async {
        let mut next = Some(first);
        while let Some(frame) = next {
            write_frame(writer, &frame.encode_to_vec()).await?;
            next = running.next().now_or_never().flatten();
        }
        writer.flush().await?;
        Ok(())
    };
    unless_stalled(WRITE_STALL, write).await
}
