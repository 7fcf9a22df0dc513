//! Agents with an A2A server of their own: this node asks its desk for their work as they would, and hands it there.
//!
//! ```text
//! giver -- task stream --> desk -- next --> here -- SendStreamingMessage --> the agent's server
//!       <-- events --           <-- events --     <-- updates --
//! ```
//! A stream that breaks is followed by questions (`GetTask`); a server that is away is tried again until the task's deadline,
//! with the same message id. A node that starts again is brought the task again and sends that same message once more: a
//! server that knows the id does nothing twice, any other one costs a repetition of the work.
//!
//! Deliberately absent: a second message in a task (a worker that asks for input has failed), push notifications from the
//! server, gRPC.

mod call;
mod told;

use super::desk::{Desk, Side};
use crate::{doors::a2a::EXTENSION, service::work::NO_ESCROW};
use bytes::Bytes;
pub use call::Binding;
use call::{Call, Trouble, Wish};
use comity_proto::{
    envelope::Verified,
    ids::{AgentId, TaskId},
    limits::{REASON_BYTES_MAX, TASK_CHUNK_BYTES},
    task::{TaskEventKind, TaskRequest},
    text::Reason,
};
use comity_runtime as runtime;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::sync::{Semaphore, mpsc, watch};
use told::{Heard, Told};

/// Tasks that one server has at once.
const AT_ONCE: usize = 8;
/// Threads that ask servers, on one node: there must be others left for the disk.
pub(crate) const THREADS: usize = 64;
/// A stream is left after so long: from then on, how the task stands is asked for.
const STREAM_MAX: Duration = Duration::from_secs(600);
/// How long one look at the desk waits.
const LOOK: Duration = Duration::from_secs(20);
/// Pauses between attempts, seconds.
const PAUSES: [u64; 4] = [1, 2, 4, 8];
/// Between two questions about a task that is not streamed.
const POLL: Duration = Duration::from_secs(1);
/// A stream that says nothing for so long is left: how the task stands is asked for.
const QUIET: Duration = Duration::from_secs(30);
/// How long a server has to take back a task.
const CANCEL_WITHIN: Duration = Duration::from_secs(10);

/// A server, as an agent's node reaches it.
pub(crate) struct Server {
    agent: AgentId,
    call: Call,
    /// Why it could not be reached last; nothing while all is well.
    trouble: Mutex<Option<String>>,
    places: Arc<Semaphore>,
    threads: Arc<Semaphore>,
}

impl Server {
    /// `allowed` are hosts inside this node's network to which it may point; `threads` are all servers' together.
    pub(crate) fn new(
        agent: AgentId,
        url: String,
        binding: Binding,
        token: Option<String>,
        allowed: Vec<String>,
        threads: Arc<Semaphore>,
    ) -> Arc<Server> {
        let call = Call { url, binding, token, allowed };
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Arc::new(Server { agent, call, trouble: Mutex::default(), places, threads })
    }

    /// Why it could not be reached last.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }
}

/// Hands everything that waits for the agent to its server, until it is taken away.
pub(crate) async fn attend(desk: Arc<Desk>, server: Arc<Server>, mut gone: watch::Receiver<bool>) {
    loop {
        let Ok(place) = server.places.clone().acquire_owned().await else { return };
        let work = tokio::select! {
            biased;
            _ = gone.wait_for(|gone| *gone) => return,
            work = desk.next_for(server.agent, LOOK) => work,
        };
        let Some(request) = work else { continue };
        let (desk, server) = (desk.clone(), server.clone());
        runtime::spawn(async move {
            Work { desk: &desk, server: &server, request: &request, task: request.get().task_id }.run().await;
            drop(place);
        });
    }
}

/// What a thread says that asks a server.
enum Word {
    Said(Value),
    Over(Result<(), Trouble>),
}

/// What is to be done next.
enum Next {
    /// It has ended.
    Nothing,
    /// Ask how it stands.
    Ask,
    /// Without a stream.
    Unstreamed,
    /// After a pause: it was not reached.
    Again,
}

struct Work<'a> {
    desk: &'a Desk,
    server: &'a Arc<Server>,
    request: &'a Verified<TaskRequest>,
    task: TaskId,
}

impl Work<'_> {
    async fn run(&self) {
        let (mut told, mut streams, mut failures) = (Told::default(), true, 0);
        while !self.left().is_zero() {
            let wish = match &told.task {
                Some(id) => Wish::Get(id.clone()),
                None if streams => Wish::Stream(self.message()),
                None => Wish::Send(self.message()),
            };
            match self.ask(wish, &mut told).await {
                Next::Nothing => return,
                Next::Unstreamed => streams = false,
                Next::Ask => {
                    failures = 0;
                    runtime::sleep(POLL).await;
                }
                Next::Again => {
                    let pause = PAUSES.get(failures).or(PAUSES.last()).copied().unwrap_or(1);
                    failures += 1;
                    runtime::sleep(Duration::from_secs(pause).min(self.left())).await;
                }
            }
        }
        // Its giver knows the deadline too.
        if let Some(id) = told.task {
            self.take_back(id).await;
        }
    }

    fn left(&self) -> Duration {
        Duration::from_millis(self.request.get().deadline_ms.saturating_sub(runtime::wall_ms()))
    }

    fn message(&self) -> Value {
        let said = self.request.get();
        let mut payment = json!({
            "task": self.task, "capability": said.capability, "from": said.from, "deadlineMs": said.deadline_ms,
        });
        if said.escrow_id != NO_ESCROW {
            payment["escrow"] = json!(said.escrow_id);
        }
        let message = json!({
            "messageId": self.task, "role": "ROLE_USER", "parts": told::parts(&said.body),
            "metadata": { EXTENSION: payment },
        });
        json!({ "message": message, "configuration": { "returnImmediately": true } })
    }

    /// Asks once, on a thread of its own, and takes in what is said until it ends.
    async fn ask(&self, wish: Wish, told: &mut Told) -> Next {
        let (tell, mut words) = mpsc::channel(16);
        let streams = matches!(wish, Wish::Stream(_));
        let left = if streams { self.left().min(STREAM_MAX) } else { self.left() };
        let (call, threads) = (self.server.call.clone(), self.server.threads.clone());
        runtime::spawn(async move {
            let Ok(thread) = threads.acquire_owned().await else { return };
            let ask = move || {
                let _thread = thread;
                let over = call.ask(&wish, left, |said| tell.blocking_send(Word::Said(said)).is_ok());
                let _nobody_listens_any_more = tell.blocking_send(Word::Over(over));
            };
            let _ended = runtime::run_blocking(ask).await;
        });
        loop {
            let word = tokio::select! {
                biased;
                word = words.recv() => word,
                () = self.ended() => {
                    if let Some(id) = told.task.clone() {
                        self.take_back(id).await;
                    }
                    return Next::Nothing;
                }
                () = runtime::sleep(QUIET), if told.task.is_some() => return Next::Ask,
            };
            match word {
                Some(Word::Said(said)) => {
                    *self.server.trouble.lock() = None;
                    if told.hear(&said).into_iter().any(|heard| self.pass_on(heard)) {
                        return Next::Nothing;
                    }
                }
                Some(Word::Over(Ok(()))) if told.task.is_some() => return Next::Ask,
                Some(Word::Over(Err(Trouble::NoStreams))) => return Next::Unstreamed,
                Some(Word::Over(Err(Trouble::Refused(why)))) => {
                    self.fail(&format!("the worker's server: {why}"));
                    return Next::Nothing;
                }
                Some(Word::Over(Err(Trouble::Broken(why)))) => {
                    tracing::debug!(agent = %self.server.agent, why, "a worker's server is not reached");
                    *self.server.trouble.lock() = Some(why);
                    return Next::Again;
                }
                Some(Word::Over(Ok(()))) | None => return Next::Again,
            }
        }
    }

    /// Ends when the task has, by its giver's wish.
    async fn ended(&self) {
        let mut known = 0;
        while let Ok((events, ended)) = self.desk.events(Side::Taken, self.task, known, LOOK).await {
            if ended {
                return;
            }
            known += events.len() as u64;
        }
    }

    async fn take_back(&self, id: String) {
        let call = self.server.call.clone();
        let asked = runtime::run_blocking(move || call.ask(&Wish::Cancel(id), CANCEL_WITHIN, |_| false)).await;
        tracing::debug!(task = %self.task, ?asked, "a worker's server was told that a task is not wanted");
    }

    /// Into the replicated task; whether it has ended with that.
    fn pass_on(&self, heard: Heard) -> bool {
        let append = |kind| self.desk.append(Side::Taken, self.task, kind).map(drop);
        let ended = matches!(heard, Heard::Done(..) | Heard::Failed(_));
        let passed = match heard {
            Heard::Accepted => append(TaskEventKind::Accepted),
            Heard::Progress(words) => append(TaskEventKind::Progress(words.slice(..words.len().min(TASK_CHUNK_BYTES)))),
            Heard::Done(result, demand) => {
                let mut pieces = result.chunks(TASK_CHUNK_BYTES).map(Bytes::copy_from_slice);
                let told = pieces.try_for_each(|piece| append(TaskEventKind::Result(piece)));
                told.and_then(|()| append(TaskEventKind::Finished(demand)))
            }
            Heard::Failed(why) => {
                self.fail(&why);
                Ok(())
            }
        };
        if let Err(error) = &passed {
            // It has ended meanwhile, or says more than a task holds.
            self.fail(&error.detail);
        }
        ended || passed.is_err()
    }

    fn fail(&self, why: &str) {
        let mut plain: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        while plain.len() > REASON_BYTES_MAX {
            plain.pop();
        }
        if let Ok(reason) = Reason::new(&plain).or_else(|_| Reason::new("it failed, for no reason in words")) {
            let _keeps_its_end = self.desk.append(Side::Taken, self.task, TaskEventKind::Failed(reason));
        }
    }
}
