//! Tasks and blocking work with a result.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::channel::oneshot;

use crate::world::{self, Abort};

/// Starts a task on the current host. Dropping the handle lets the task run on.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (tell, told) = oneshot::channel();
    let task = async move {
        let ended = AssertUnwindSafe(future).catch_unwind().await;
        // Nobody may wait for it; then the result is dropped here.
        let _ = tell.send(ended.map_err(|_| JoinError::Panicked));
    };
    let abort = world::with(|world| world.spawn(Box::pin(task)));
    JoinHandle { told, abort }
}

/// Runs `work` off the threads that run tasks and waits for its result.
///
/// Dropping the future does not stop work that has begun.
pub async fn run_blocking<T, W>(work: W) -> Result<T, JoinError>
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
{
    let (tell, told) = oneshot::channel();
    let job = move || {
        let ended = catch_unwind(AssertUnwindSafe(work)).map_err(|_| JoinError::Panicked);
        let _ = tell.send(ended);
    };
    world::with(|world| world.run_blocking(Box::new(job)));
    told.await.unwrap_or(Err(JoinError::Gone))
}

/// Why a task gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinError {
    /// The task panicked: a bug, already printed by the panic hook.
    Panicked,
    /// The task was aborted or its host is shutting down.
    Gone,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JoinError::Panicked => "the task panicked",
            JoinError::Gone => "the task was ended before it had a result",
        })
    }
}

impl std::error::Error for JoinError {}

/// Waits for a task's result. Dropping it detaches the task.
pub struct JoinHandle<T> {
    told: oneshot::Receiver<Result<T, JoinError>>,
    abort: Box<dyn Abort>,
}

impl<T> JoinHandle<T> {
    /// Ends the task; the handle then answers [`JoinError::Gone`] unless it had ended before.
    pub fn abort(&self) {
        self.abort.abort();
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinHandle")
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.told.poll_unpin(cx).map(|told| told.unwrap_or(Err(JoinError::Gone)))
    }
}
