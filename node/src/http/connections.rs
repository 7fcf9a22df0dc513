//! Connections of a door: so many at once, and none that only holds its place.
//!
//! Whoever says nothing for a while is let go. When all places are taken, whoever has been silent for longest makes room at
//! once, so silent connections keep nobody out, however many there are. A stream of events is not silent: it is kept for as
//! long as its reader takes what is sent. (With HTTP/2 a request under way can look silent.)

use super::tls::Presented;
use crate::metrics::{OneTaken, Taken};
use axum::{
    extract::{ConnectInfo, Request, connect_info::Connected},
    http::header,
    middleware::Next,
    response::Response,
    serve::{IncomingStream, Listener},
};
use comity_runtime as runtime;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};

/// Connections of one door at once: half of what a process may commonly have open, files and the mesh included.
pub(crate) const CONNECTIONS: usize = 512;
/// For the first byte.
const FIRST_WITHIN: Duration = Duration::from_secs(10);
/// Between an answer and the next request, and from the first byte of a request to the first of its answer: longer than any
/// answer takes. A reader that takes nothing for so long is gone.
const SILENT_MAX: Duration = Duration::from_secs(super::REQUEST_MAX.as_secs() + 25);
/// When nobody is silent, whoever comes looks for a place so often.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The places of one door.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    silent: Mutex<Silent>,
    taken: Taken,
}

/// Connections that say nothing, in the order in which they fell silent. One that is taken out has to go.
#[derive(Debug, Default)]
struct Silent {
    next: u64,
    since: BTreeMap<u64, Waker>,
}

impl Places {
    pub(super) fn new(taken: Taken) -> Arc<Places> {
        Places::of(CONNECTIONS, taken)
    }

    fn of(count: usize, taken: Taken) -> Arc<Places> {
        Arc::new(Places { free: Arc::new(Semaphore::new(count)), silent: Mutex::default(), taken })
    }

    /// A place for a connection, at the cost of another one if need be.
    pub(super) async fn admit(self: &Arc<Places>, stream: TcpStream) -> Watched {
        // A small answer must not wait for the acknowledgement of the one before.
        let _kept_or_not = stream.set_nodelay(true);
        let place = loop {
            if let Ok(place) = self.free.clone().try_acquire_owned() {
                break place;
            }
            self.make_room();
            if let Ok(Ok(place)) = runtime::timeout(LOOK_AGAIN, self.free.clone().acquire_owned()).await {
                break place;
            }
        };
        let (seat, waits) = (Seat::default(), Some(runtime::sleep(FIRST_WITHIN)));
        Watched {
            stream,
            places: self.clone(),
            seat,
            silent: Some(self.fell_silent(None, Waker::noop())),
            waits,
            stuck: None,
            _counted: self.taken.one(),
            _place: place,
        }
    }

    fn make_room(&self) {
        let longest = self.silent.lock().since.pop_first();
        if let Some((_, waker)) = longest {
            waker.wake();
        }
    }

    /// Silent from now on; gives the number under which it stands. The waker is of the task that reads it.
    fn fell_silent(&self, before: Option<u64>, waker: &Waker) -> u64 {
        let mut silent = self.silent.lock();
        before.and_then(|number| silent.since.remove(&number));
        silent.next += 1;
        let number = silent.next;
        silent.since.insert(number, waker.clone());
        number
    }

    fn speaks(&self, number: u64) {
        self.silent.lock().since.remove(&number);
    }

    /// Whether a silent one may stay; if so, it is woken when not.
    fn may_stay(&self, number: u64, waker: &Waker) -> bool {
        let mut silent = self.silent.lock();
        let kept = silent.since.get_mut(&number);
        kept.map(|kept| kept.clone_from(waker)).is_some()
    }
}

/// What requests know of the connection that they came by.
#[derive(Clone, Debug, Default)]
pub(super) struct Seat(Arc<AtomicBool>);

impl Seat {
    fn is_kept(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The door without TLS.
pub(super) struct Door {
    listener: TcpListener,
    places: Arc<Places>,
}

impl Door {
    pub(super) fn of(listener: TcpListener, taken: Taken) -> Door {
        Door { listener, places: Places::new(taken) }
    }
}

impl Listener for Door {
    type Io = Watched;
    type Addr = Seat;

    async fn accept(&mut self) -> (Watched, Seat) {
        let (stream, _) = Listener::accept(&mut self.listener).await;
        let watched = self.places.admit(stream).await;
        let seat = watched.seat();
        (watched, seat)
    }

    fn local_addr(&self) -> io::Result<Seat> {
        Ok(Seat::default())
    }
}

impl Connected<IncomingStream<'_, Door>> for Seat {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Seat {
        stream.remote_addr().clone()
    }
}

/// Keeps the connection of an answer that is a stream: it may be silent between two events.
pub(super) async fn streams_stay(request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    let plain = extensions.get::<ConnectInfo<Seat>>().map(|info| info.0.clone());
    let seat = plain.or_else(|| extensions.get::<ConnectInfo<Presented>>().map(|info| info.0.seat()));
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // A gRPC call that is refused has its status in front.
    let is_grpc = kind.starts_with("application/grpc") && !response.headers().contains_key("grpc-status");
    if let Some(seat) = seat.filter(|_| is_grpc || kind.starts_with("text/event-stream")) {
        seat.0.store(true, Ordering::Relaxed);
    }
    response
}

/// A connection that ends when nothing comes of it.
#[derive(Debug)]
pub(super) struct Watched {
    stream: TcpStream,
    places: Arc<Places>,
    seat: Seat,
    /// Under which number it stands among the silent ones; none while a request is under way.
    silent: Option<u64>,
    /// When its time is over; none for a stream that is kept.
    waits: Option<runtime::Sleep>,
    /// When the reader's time is over that takes nothing.
    stuck: Option<runtime::Sleep>,
    _counted: OneTaken,
    _place: OwnedSemaphorePermit,
}

impl Watched {
    pub(super) fn seat(&self) -> Seat {
        self.seat.clone()
    }

    fn heard(&mut self) {
        // Bytes of a request that never ends do not buy time.
        if let Some(number) = self.silent.take() {
            self.places.speaks(number);
            self.waits = Some(runtime::sleep(SILENT_MAX));
        }
    }

    fn hears_nothing(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let has_to_go = match self.silent {
            Some(number) => !self.places.may_stay(number, context.waker()),
            None => false,
        };
        let is_over = self.waits.as_mut().is_some_and(|waits| Pin::new(waits).poll(context).is_ready());
        if has_to_go || is_over { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { Poll::Pending }
    }

    fn wrote<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_pending() {
            let stuck = self.stuck.get_or_insert_with(|| runtime::sleep(SILENT_MAX));
            return Pin::new(stuck).poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()));
        }
        self.stuck = None;
        if self.seat.is_kept() {
            self.silent.take().into_iter().for_each(|number| self.places.speaks(number));
            self.waits = None;
        } else {
            self.silent = Some(self.places.fell_silent(self.silent, context.waker()));
            self.waits = Some(runtime::sleep(SILENT_MAX));
        }
        written
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.silent.into_iter().for_each(|number| self.places.speaks(number));
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        match read {
            Poll::Pending => self.hears_nothing(context),
            Poll::Ready(read) => {
                if buffer.filled().len() > before {
                    self.heard();
                }
                Poll::Ready(read)
            }
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.wrote(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Both ends of a connection that has a place.
    async fn connected(places: &Arc<Places>) -> (Watched, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (places.admit(listener.accept().await.unwrap().0).await, client)
    }

    fn within(test: impl Future<Output = ()>) {
        crate::runtime::tests_world().block_on(test);
    }

    fn is_timed_out(read: io::Result<usize>) -> bool {
        read.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut)
    }

    #[test]
    fn whoever_has_been_silent_for_longest_makes_room_and_whoever_asks_does_not() {
        within(async {
            let places = Places::of(2, Taken::default());
            let (mut asking, mut asker) = connected(&places).await;
            let (mut silent, _quiet) = connected(&places).await;
            asker.write_all(b"GET").await.unwrap();
            let mut bytes = [0; 3];
            asking.read_exact(&mut bytes).await.unwrap();
            let gone = runtime::spawn(async move { is_timed_out(silent.read(&mut [0]).await) });
            let (mut third, mut client) = connected(&places).await;
            assert!(gone.await.unwrap());
            client.write_all(b"GET").await.unwrap();
            third.read_exact(&mut bytes).await.unwrap();
            // The first one is answered, for its request was under way. As servers do, its own looks at it again only when
            // woken, and finds that it has to go.
            let mut answered = false;
            let gone = runtime::spawn(std::future::poll_fn(move |context| {
                if !answered {
                    answered = Pin::new(&mut asking).poll_write(context, b"200").is_ready();
                    return Poll::Pending;
                }
                let mut byte = [0];
                let read = Pin::new(&mut asking).poll_read(context, &mut ReadBuf::new(&mut byte));
                read.map(|read| is_timed_out(read.map(|()| 0)))
            }));
            asker.read_exact(&mut bytes).await.unwrap();
            assert_eq!(bytes, *b"200");
            let (_fourth, _other) = connected(&places).await;
            assert!(gone.await.unwrap());
        });
    }

    #[test]
    fn bytes_of_a_request_that_never_ends_buy_no_time_and_a_stream_is_kept() {
        within(async {
            let places = Places::of(2, Taken::default());
            let (mut watched, mut client) = connected(&places).await;
            let mut byte = [0];
            client.write_all(b"G").await.unwrap();
            watched.read_exact(&mut byte).await.unwrap();
            // As if the time were over.
            watched.waits = Some(runtime::sleep(Duration::ZERO));
            client.write_all(b"E").await.unwrap();
            watched.read_exact(&mut byte).await.unwrap();
            assert!(is_timed_out(watched.read(&mut byte).await));

            let (mut stream, mut reader) = connected(&places).await;
            stream.seat().0.store(true, Ordering::Relaxed);
            stream.write_all(b"data").await.unwrap();
            reader.read_exact(&mut [0; 4]).await.unwrap();
            assert!(stream.waits.is_none() && stream.silent.is_none(), "{stream:?}");
            assert!(places.silent.lock().since.is_empty());
        });
    }
}
