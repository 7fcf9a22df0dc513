//! Requests and replies over one long-lived stream per neighbour and class.
//!
//! Flow: a caller takes one of [`IN_FLIGHT_PER_LINK`] places and a share of the byte budget, queues its frame, and waits
//! for the reply with its id. The link's task opens the stream when first needed, writes what is queued as one burst
//! and flushes when the queue is empty. When the stream breaks every caller on it is told [`RpcError::Lost`]: whether
//! the request had an effect is then unknown, and repeating it must be harmless (5-rules: the client chooses the id).
//!
//! Deliberately absent: retries. Each caller knows better what may be repeated and towards whom.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use comity_runtime as runtime;
use futures::future::{Either, select};
use futures::io::BufWriter;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use parking_lot::Mutex;
use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::class::Class;
use super::frame::{FrameError, FrameReader, unless_stalled, write_frame};
use super::limits::{
    BYTES_PER_LINK, FRAME_OVERHEAD_BYTES, IN_FLIGHT_PER_LINK, REQUEST_DEADLINE_MAX, WAITING_PER_LINK,
    WRITE_BUFFER_BYTES, WRITE_STALL,
};
use super::wire::{Frame, FrameKind};

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// No connection, or the neighbour does not speak the class. Nothing was sent.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// Too many requests are under way on this link. Nothing was sent.
    #[error("busy: {IN_FLIGHT_PER_LINK} requests under way and {WAITING_PER_LINK} waiting")]
    Busy,
    /// The body is over the limit of the class. Nothing was sent.
    #[error("too large: {size} bytes, the class takes {limit}")]
    TooLarge {
        /// Bytes of the body.
        size: usize,
        /// Bytes that the class takes.
        limit: usize,
    },
    /// The deadline passed. Whether the request had an effect is unknown.
    #[error("no answer before the deadline")]
    Deadline,
    /// The stream broke. Whether the request had an effect is unknown.
    #[error("connection lost: {0}")]
    Lost(String),
    /// The neighbour does not grant us this class. Nothing changed.
    #[error("not permitted: {0}")]
    NotPermitted(String),
    /// The neighbour's handler refused, in its own words.
    #[error("refused: {0}")]
    Refused(String),
}

/// How a handler refuses. The text travels and must hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(pub String);

/// Bytes of a refusal text that travel.
const REFUSAL_BYTES: usize = 512;

struct Queued {
    frame: Vec<u8>,
    _budget: OwnedSemaphorePermit,
}

type Answer = Result<Bytes, RpcError>;

/// Callers by request id.
#[derive(Default)]
struct Waiting {
    next_id: u64,
    callers: BTreeMap<u64, oneshot::Sender<Answer>>,
}

struct LinkState {
    class: Class,
    places: Arc<Semaphore>,
    doors: Arc<Semaphore>,
    budget: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
}

/// The calling end of one neighbour and class. Cheap to clone; the task behind it ends with the last clone.
#[derive(Clone)]
pub(crate) struct Link {
    state: Arc<LinkState>,
    queue: mpsc::Sender<Queued>,
}

/// The other half of a [`Link`]: what its task works on.
pub(crate) struct LinkTask {
    state: Arc<LinkState>,
    queue: mpsc::Receiver<Queued>,
}

/// Makes both halves of a link.
pub(crate) fn link(class: Class) -> (Link, LinkTask) {
    let state = Arc::new(LinkState {
        class,
        places: Arc::new(Semaphore::new(IN_FLIGHT_PER_LINK)),
        doors: Arc::new(Semaphore::new(IN_FLIGHT_PER_LINK + WAITING_PER_LINK)),
        budget: Arc::new(Semaphore::new(BYTES_PER_LINK)),
        waiting: Mutex::default(),
    });
    let (sender, receiver) = mpsc::channel(IN_FLIGHT_PER_LINK);
    (Link { state: state.clone(), queue: sender }, LinkTask { state, queue: receiver })
}

/// Forgets the caller when its future is dropped, so an abandoned request holds no memory.
struct Registered<'a> {
    state: &'a LinkState,
    id: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.state.waiting.lock().callers.remove(&self.id);
    }
}

impl Link {
    /// Sends one request and waits for its answer, `deadline` in all.
    pub(crate) async fn call(&self, body: Bytes, deadline: Duration) -> Answer {
        let limit = self.state.class.body_max();
        if body.len() > limit {
            return Err(RpcError::TooLarge { size: body.len(), limit });
        }
        let Ok(_door) = self.state.doors.clone().try_acquire_owned() else { return Err(RpcError::Busy) };
        let deadline = deadline.min(REQUEST_DEADLINE_MAX);
        match runtime::timeout(deadline, self.exchange(body, deadline)).await {
            Ok(answer) => answer,
            Err(runtime::Elapsed) => Err(RpcError::Deadline),
        }
    }

    async fn exchange(&self, body: Bytes, deadline: Duration) -> Answer {
        let gone = || RpcError::Lost("the link was closed".to_owned());
        let started = runtime::now();
        let _place = self.state.places.acquire().await.map_err(|_| gone())?;
        let size = u32::try_from(body.len() + FRAME_OVERHEAD_BYTES).map_err(|_| RpcError::Busy)?;
        let budget = self.state.budget.clone().acquire_many_owned(size).await.map_err(|_| gone())?;
        let (tell, told) = oneshot::channel();
        let registered = {
            let mut waiting = self.state.waiting.lock();
            let id = waiting.next_id;
            waiting.next_id += 1;
            waiting.callers.insert(id, tell);
            Registered { state: &self.state, id }
        };
        // The neighbour is told what is left of the deadline, so that it drops work nobody waits for.
        let left = deadline.saturating_sub(runtime::now().since(started));
        let frame = Frame {
            id: registered.id,
            kind: FrameKind::Request as i32,
            body,
            deadline_ms: u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1),
        };
        let queued = Queued { frame: frame.encode_to_vec(), _budget: budget };
        self.queue.send(queued).await.map_err(|_| gone())?;
        told.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Requests under way, and callers that wait for a place.
    pub(crate) fn load(&self) -> usize {
        (IN_FLIGHT_PER_LINK + WAITING_PER_LINK).saturating_sub(self.state.doors.available_permits())
    }

    /// Whether the task behind the link has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }
}

impl LinkTask {
    /// Serves the link until all its callers are gone. `open` gives a fresh stream each time one is needed.
    pub(crate) async fn run<S, O, F>(mut self, open: O)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
        O: Fn() -> F,
        F: Future<Output = Result<S, RpcError>>,
    {
        while let Some(first) = self.queue.recv().await {
            let ended = match open().await {
                Ok(stream) => self.pump(stream, first).await,
                Err(error) => error,
            };
            // What was queued for the broken stream is dropped with it: its callers are told below.
            while self.queue.try_recv().is_ok() {}
            let callers = std::mem::take(&mut self.state.waiting.lock().callers);
            for caller in callers.into_values() {
                let _ = caller.send(Err(ended.clone()));
            }
        }
    }

    /// Writes and reads on one stream until it breaks.
    async fn pump<S: AsyncRead + AsyncWrite + Unpin + Send>(&mut self, stream: S, first: Queued) -> RpcError {
        let (read, write) = stream.split();
        let reader = FrameReader::new(read, self.state.class.body_max() + FRAME_OVERHEAD_BYTES);
        let writer = BufWriter::with_capacity(WRITE_BUFFER_BYTES, write);
        let reading = pin!(read_answers(reader, &self.state));
        let writing = pin!(write_requests(writer, first, &mut self.queue));
        let ended = match select(reading, writing).await {
            Either::Left((ended, _)) | Either::Right((ended, _)) => ended,
        };
        match ended {
            Ok(()) => RpcError::Lost("the neighbour ended the stream".to_owned()),
            Err(error) => RpcError::Lost(error.to_string()),
        }
    }
}

async fn read_answers<R>(mut reader: FrameReader<R>, state: &LinkState) -> Result<(), FrameError>
where
    R: AsyncRead + Unpin,
{
    while let Some(frame) = reader.next().await? {
        let frame = Frame::decode(frame).map_err(|_| FrameError::Malformed("no frame"))?;
        let answer = match FrameKind::try_from(frame.kind) {
            Ok(FrameKind::Reply) => Ok(frame.body),
            Ok(FrameKind::Refused) => Err(RpcError::Refused(words(&frame.body))),
            Ok(FrameKind::NotPermitted) => Err(RpcError::NotPermitted(words(&frame.body))),
            Ok(FrameKind::Request | FrameKind::Unspecified) | Err(_) => {
                return Err(FrameError::Malformed("no answer"));
            }
        };
        // An unknown id is the late answer to a request whose caller gave up.
        if let Some(caller) = state.waiting.lock().callers.remove(&frame.id) {
            let _ = caller.send(answer);
        }
    }
    Ok(())
}

/// What a neighbour says in words: bounded and without control characters, for it is printed.
fn words(body: &[u8]) -> String {
    let body = &body[..body.len().min(REFUSAL_BYTES)];
    String::from_utf8_lossy(body).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

async fn write_requests<W>(
    mut writer: BufWriter<W>,
    first: Queued,
    queue: &mut mpsc::Receiver<Queued>,
) -> Result<(), FrameError>
where
    W: AsyncWrite + Unpin,
{
    let mut next = Some(first);
    while let Some(item) = next {
        unless_stalled(WRITE_STALL, burst(&mut writer, item, queue)).await?;
        next = queue.recv().await;
    }
    Ok(())
}

/// Writes everything that is queued, then flushes once.
async fn burst<W>(
    writer: &mut BufWriter<W>,
    first: Queued,
    queue: &mut mpsc::Receiver<Queued>,
) -> Result<(), FrameError>
where
    W: AsyncWrite + Unpin,
{
    write_frame(writer, &first.frame).await?;
    drop(first);
    // Bounded, so that a busy queue cannot put off the flush for ever.
    for _ in 1..IN_FLIGHT_PER_LINK {
        let Ok(item) = queue.try_recv() else { break };
        write_frame(writer, &item.frame).await?;
    }
    writer.flush().await?;
    Ok(())
}
