//! One connection: two flows of bytes between two lives of two hosts.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures::{AsyncRead, AsyncWrite};
use parking_lot::Mutex;

use super::listener::Network;
use crate::world::{Alarm, HostId, TimeNs, Universe};

/// Bytes that may be on the way in one direction: the windows and buffers of both ends.
const WINDOW: usize = 256 * 1024;
/// Largest piece that is handed to a link at once.
const CHUNK: usize = 16 * 1024;

/// One end of a connection.
pub struct Pipe {
    network: Network,
    number: u64,
    near: HostId,
    far: HostId,
    /// Life of the far host that the connection was made with.
    far_boot: Option<u64>,
    near_boot: Option<u64>,
    incoming: Arc<Mutex<Flow>>,
    outgoing: Arc<Mutex<Flow>>,
}

/// One direction.
#[derive(Default)]
pub(super) struct Flow {
    queue: VecDeque<Piece>,
    on_the_way: usize,
    /// When the last piece was to arrive, and when it was sent.
    last: (TimeNs, TimeNs),
    /// The end, behind everything in the queue, with when it arrives.
    closed: Option<(TimeNs, End)>,
    reader: Option<Waker>,
    /// Wakes the reader when the first piece arrives.
    arrival: Option<Alarm>,
    writer: Option<Waker>,
    /// Nobody will read any more: what is sent comes back as a reset.
    reader_gone: bool,
}

impl Flow {
    /// Wakes the reader at `at`, when something arrives, and not already when it is sent: most polls would be for nothing.
    fn expect(&mut self, at: TimeNs, universe: &Universe, reader: &Waker) {
        let is_set = self.arrival.as_ref().is_some_and(|alarm| alarm.at() == at && universe.realarm(alarm, reader));
        if !is_set {
            self.arrival = Some(universe.alarm(at, reader));
        }
    }

    /// Cut off in the middle: nothing that is on the way arrives. Whom to wake.
    pub(super) fn reset(&mut self, now: TimeNs) -> [Option<Waker>; 2] {
        self.queue.clear();
        self.on_the_way = 0;
        self.closed = Some((now, End::Reset));
        [self.reader.take(), self.writer.take()]
    }
}

/// Bytes on their way.
struct Piece {
    at: TimeNs,
    sent: TimeNs,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Everything was said.
    Finished,
    /// Cut off.
    Reset,
}

/// Two ends of a new connection.
pub(super) fn connect(network: &Network, near: HostId, far: HostId, number: u64) -> (Pipe, Pipe) {
    let there: Arc<Mutex<Flow>> = Arc::default();
    let back: Arc<Mutex<Flow>> = Arc::default();
    let (near_boot, far_boot) = (network.boot_of(near), network.boot_of(far));
    network.opened(number, (near, far), [Arc::downgrade(&there), Arc::downgrade(&back)]);
    let pipe = |near, far, near_boot, far_boot, incoming, outgoing| Pipe {
        network: network.clone(),
        number,
        near,
        far,
        far_boot,
        near_boot,
        incoming,
        outgoing,
    };
    let one = pipe(near, far, near_boot, far_boot, back.clone(), there.clone());
    let two = pipe(far, near, far_boot, near_boot, there, back);
    (one, two)
}

impl Pipe {
    /// Forgets an end that never was handed out: says nothing.
    pub(super) fn abandon(mut self) {
        self.near_boot = None;
    }

    fn end(&self, how: End) {
        let now = self.network.universe.now();
        let mut outgoing = self.outgoing.lock();
        if outgoing.closed.is_some_and(|(_, end)| end == End::Reset || end == how) {
            return;
        }
        // The end travels as bytes do.
        let latency = self.network.link(self.near, self.far).profile.latency_us * 1_000;
        let at = outgoing.last.0.max(now + latency);
        outgoing.closed = Some((at, how));
        let reader = outgoing.reader.take();
        drop(outgoing);
        reader.into_iter().for_each(Waker::wake);
    }

    /// Whether the far host lives the life that the connection was made with. Between two lives nothing is answered.
    fn far_lives(&self) -> Option<bool> {
        self.network.boot_of(self.far).map(|boot| Some(boot) == self.far_boot)
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let now = this.network.universe.now();
        let incoming = this.incoming.clone();
        let mut flow = incoming.lock();
        flow.reader = Some(cx.waker().clone());
        let (sent_last, way) = (flow.last.1, (this.far, this.near));
        let first = flow.queue.front().map(|piece| (piece.at, piece.sent));
        let Some((at, sent)) = first.or(flow.closed.map(|(at, _)| (at, sent_last))) else { return Poll::Pending };
        let Some(due) = this.network.due(way, at, sent, cx.waker()) else { return Poll::Pending };
        if due > now {
            flow.expect(due, &this.network.universe, cx.waker());
            return Poll::Pending;
        }
        let Some(Piece { bytes, .. }) = flow.queue.front_mut() else {
            return Poll::Ready(match flow.closed {
                Some((_, End::Reset)) => Err(io::ErrorKind::ConnectionReset.into()),
                _ => Ok(0),
            });
        };
        let count = this.network.piece(this.far, this.near, bytes.len()).min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        if count == bytes.len() {
            flow.queue.pop_front();
        } else {
            bytes.drain(..count);
        }
        flow.on_the_way -= count;
        let writer = flow.writer.take();
        drop(flow);
        writer.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut flow = this.outgoing.lock();
        if flow.closed.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let link = this.network.link(this.near, this.far);
        if link.blocked == 0 && (flow.reader_gone || this.far_lives() == Some(false)) {
            // The far host is up and knows nothing of this connection: it answers with a reset.
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let room = WINDOW.saturating_sub(flow.on_the_way);
        if room == 0 {
            flow.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = bytes.len().min(room).min(CHUNK);
        let mut chunk = bytes[..count].to_vec();
        let (sent, behind) = (this.network.universe.now(), link.due(flow.last.0, flow.last.1));
        let at = this.network.carry(this.near, this.far, this.number, &mut chunk).max(behind);
        flow.last = (at, sent);
        flow.on_the_way += count;
        let was_empty = flow.queue.is_empty();
        flow.queue.push_back(Piece { at, sent, bytes: chunk });
        if was_empty && let Some(reader) = flow.reader.clone() {
            flow.expect(at, &this.network.universe, &reader);
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end(End::Finished);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.network.closed(self.number);
        // Of a host that died nobody hears: not even that.
        if self.near_boot.is_none() || self.network.boot_of(self.near) != self.near_boot {
            return;
        }
        let mut incoming = self.incoming.lock();
        incoming.reader_gone = true;
        let lost = !incoming.queue.is_empty();
        let writer = incoming.writer.take();
        drop(incoming);
        writer.into_iter().for_each(Waker::wake);
        // Linux answers unread bytes with a reset.
        self.end(if lost { End::Reset } else { End::Finished });
    }
}
