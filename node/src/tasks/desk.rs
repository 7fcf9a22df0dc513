//! Tasks that this node knows: given by local agents, and taken for local agents.

use crate::service::{
    demands::Refused,
    error::{Kind, ServiceError},
};
use bytes::Bytes;
use comity_proto::{
    envelope::Verified,
    ids::{AgentId, TaskId},
    limits::{RESULT_BYTES_MAX, TASK_CHUNK_BYTES},
    task::{TaskEvent, TaskEventKind, TaskRequest},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};
use tokio::sync::watch;

/// Tasks kept per side. Ended ones make room first; when all are open, a new one is refused.
pub const TASKS_MAX: usize = 1_024;
/// Events of one task before its end: a result of full length in small chunks, and some progress.
pub const EVENTS_MAX: usize = 4_096;
/// Tasks waiting for one agent.
pub const QUEUE_MAX: usize = 64;
/// Open tasks of one giver, so that nobody fills the desk alone.
pub const GIVEN_MAX: usize = 128;
/// An agent that asked for work within this time is here.
const ATTACHED_MS: u64 = 45_000;

/// Which end of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// A local agent gave it.
    Given,
    /// A local agent works on it.
    Taken,
}

/// A task and what became of it so far.
#[derive(Clone, Debug)]
pub struct View {
    /// As signed.
    pub request: Verified<TaskRequest>,
    /// What the door that it came by wants to remember of it.
    pub note: Bytes,
    /// All so far.
    pub events: Vec<TaskEvent>,
    /// Whether the last one is the end.
    pub ended: bool,
    /// When this node heard of it, ms since the Unix epoch.
    pub made_ms: u64,
    /// When this node heard the last event, likewise.
    pub changed_ms: u64,
}

struct Work {
    view: View,
    result_bytes: usize,
    /// Somebody here follows it.
    followed: bool,
    /// Its giver wants no more of it.
    unwanted: bool,
}

#[derive(Default)]
struct Inner {
    works: BTreeMap<(Side, TaskId), Work>,
    order: BTreeMap<Side, VecDeque<TaskId>>,
    queues: BTreeMap<AgentId, VecDeque<TaskId>>,
    attached: BTreeMap<AgentId, u64>,
}

/// All tasks of one node.
pub struct Desk {
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
    refused: Refused,
}

impl Default for Desk {
    fn default() -> Self {
        Desk { inner: Mutex::default(), changed: watch::Sender::new(0), refused: Refused::default() }
    }
}

impl Desk {
    /// Demands for payment that did not hold.
    pub fn refused_demands(&self) -> &Refused {
        &self.refused
    }

    /// Tasks of a side that go on, and that have ended and are still known.
    pub(crate) fn counts(&self, side: Side) -> (usize, usize) {
        let inner = self.inner.lock();
        let of_side = inner.works.iter().filter(|((of, _), _)| *of == side);
        let (ended, open): (Vec<bool>, Vec<bool>) = of_side.map(|(_, work)| work.view.ended).partition(|ended| *ended);
        (open.len(), ended.len())
    }

    /// Keeps a request. `false`: the same one was there already.
    ///
    /// # Errors
    /// `task_exists_with_different_content`, `too_many_tasks`.
    pub fn put(&self, side: Side, request: Verified<TaskRequest>, note: Bytes) -> Result<bool, ServiceError> {
        let now_ms = comity_runtime::wall_ms();
        let mut inner = self.inner.lock();
        let task = request.get().task_id;
        let agent = request.get().to.agent;
        if let Some(known) = inner.works.get(&(side, task)) {
            if known.view.request.envelope_bytes() == request.envelope_bytes() {
                return Ok(false);
            }
            let detail = format!("task {task} is known with other content");
            let next = "choose a fresh task id for another task";
            return Err(ServiceError::new(Kind::Conflict, "task_exists_with_different_content", detail, next));
        }
        let giver = request.get().from.agent;
        if inner.queues.get(&agent).is_some_and(|queue| queue.len() >= QUEUE_MAX)
            || inner.open_of(side, giver) >= GIVEN_MAX
            || !inner.make_room(side)
        {
            let next = "try again when some have ended, or ask another agent";
            return Err(ServiceError::new(Kind::Busy, "too_many_tasks", "too many tasks are open here", next));
        }
        let view = View { request, note, events: Vec::new(), ended: false, made_ms: now_ms, changed_ms: now_ms };
        let followed = side == Side::Taken;
        inner.works.insert((side, task), Work { view, result_bytes: 0, followed, unwanted: false });
        inner.order.entry(side).or_default().push_back(task);
        if side == Side::Taken {
            inner.queues.entry(agent).or_default().push_back(task);
        }
        drop(inner);
        self.tell();
        Ok(true)
    }

    /// The next task for an agent; waits up to `patience` for one. Marks the agent as here.
    pub async fn next_for(&self, agent: AgentId, patience: Duration) -> Option<Verified<TaskRequest>> {
        let mut changed = self.changed.subscribe();
        let take = || {
            let mut inner = self.inner.lock();
            inner.attached.insert(agent, comity_runtime::wall_ms());
            loop {
                let task = inner.queues.get_mut(&agent)?.pop_front()?;
                // One that was cancelled meanwhile is nobody's work.
                let work = inner.works.get(&(Side::Taken, task)).filter(|work| !work.view.ended);
                if let Some(work) = work {
                    return Some(work.view.request.clone());
                }
            }
        };
        let wait = async {
            loop {
                if let Some(request) = take() {
                    return Some(request);
                }
                changed.changed().await.ok()?;
            }
        };
        comity_runtime::timeout(patience, wait).await.ok().flatten()
    }

    /// Whether an agent asked this node for work lately.
    pub fn is_here(&self, agent: AgentId) -> bool {
        let now_ms = comity_runtime::wall_ms();
        let inner = self.inner.lock();
        inner.attached.get(&agent).is_some_and(|at| now_ms.saturating_sub(*at) < ATTACHED_MS)
    }

    /// The request of a task.
    pub fn request(&self, side: Side, task: TaskId) -> Option<Verified<TaskRequest>> {
        self.inner.lock().works.get(&(side, task)).map(|work| work.view.request.clone())
    }

    /// A task and what became of it.
    pub fn view(&self, side: Side, task: TaskId) -> Option<View> {
        self.inner.lock().works.get(&(side, task)).map(|work| work.view.clone())
    }

    /// What `of` makes of each task that an agent gave. Called under the desk's lock: it should be quick.
    pub fn given_by<T>(&self, agent: AgentId, mut of: impl FnMut(&View) -> Option<T>) -> Vec<T> {
        let inner = self.inner.lock();
        let given = inner.works.range((Side::Given, TaskId([0; 16]))..(Side::Taken, TaskId([0; 16])));
        let own = given.filter(|(_, work)| work.view.request.get().from.agent == agent);
        own.filter_map(|(_, work)| of(&work.view)).collect()
    }

    /// Whoever asks first is to follow a given task; nobody is when it has ended or is not known.
    pub fn claim(&self, task: TaskId) -> bool {
        let mut inner = self.inner.lock();
        let Some(work) = inner.works.get_mut(&(Side::Given, task)) else { return false };
        !work.view.ended && !std::mem::replace(&mut work.followed, true)
    }

    /// The giver wants no more of it: whoever follows it tells the other end.
    pub fn unwant(&self, task: TaskId) {
        if let Some(work) = self.inner.lock().works.get_mut(&(Side::Given, task)) {
            work.unwanted = true;
        }
        self.tell();
    }

    /// Whether the giver wants no more of it.
    pub fn is_unwanted(&self, task: TaskId) -> bool {
        self.inner.lock().works.get(&(Side::Given, task)).is_some_and(|work| work.unwanted)
    }

    /// Ends when the giver wants no more of it.
    pub async fn unwanted(&self, task: TaskId) {
        let mut changed = self.changed.subscribe();
        while !self.is_unwanted(task) {
            if changed.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Appends what happened; gives its index.
    ///
    /// # Errors
    /// `unknown_task`, `task_ended`, `result_too_large`, `too_many_events`.
    pub fn append(&self, side: Side, task: TaskId, kind: TaskEventKind) -> Result<u64, ServiceError> {
        let mut inner = self.inner.lock();
        let work = inner.works.get_mut(&(side, task)).ok_or_else(|| ServiceError::not_found("task", task))?;
        let index = work.append(task, kind)?;
        drop(inner);
        self.tell();
        Ok(index)
    }

    /// Appends an event of a stream: one already known is skipped, one after a gap is refused.
    ///
    /// # Errors
    /// `event_gap`, and those of [`Desk::append`].
    pub fn continue_with(&self, side: Side, event: TaskEvent) -> Result<(), ServiceError> {
        let known = self.inner.lock().works.get(&(side, event.task_id)).map_or(0, |work| work.view.events.len() as u64);
        match event.index.cmp(&known) {
            std::cmp::Ordering::Less => Ok(()),
            std::cmp::Ordering::Equal => self.append(side, event.task_id, event.kind).map(drop),
            std::cmp::Ordering::Greater => {
                let detail = format!("event {} came where {known} was due", event.index);
                Err(ServiceError::new(Kind::BadInput, "event_gap", detail, "resume the stream"))
            }
        }
    }

    /// Events from `after` on, and whether the task has ended; waits up to `patience` for the first.
    ///
    /// # Errors
    /// `unknown_task`.
    pub async fn events(
        &self,
        side: Side,
        task: TaskId,
        after: u64,
        patience: Duration,
    ) -> Result<(Vec<TaskEvent>, bool), ServiceError> {
        let mut changed = self.changed.subscribe();
        let look = || {
            let inner = self.inner.lock();
            let work = inner.works.get(&(side, task)).ok_or_else(|| ServiceError::not_found("task", task))?;
            let from = usize::try_from(after).unwrap_or(usize::MAX).min(work.view.events.len());
            Ok::<_, ServiceError>((work.view.events[from..].to_vec(), work.view.ended))
        };
        let wait = async {
            loop {
                let (events, ended) = look()?;
                if !events.is_empty() || ended || changed.changed().await.is_err() {
                    return Ok((events, ended));
                }
            }
        };
        match comity_runtime::timeout(patience, wait).await {
            Ok(found) => found,
            Err(comity_runtime::Elapsed) => look(),
        }
    }

    fn tell(&self) {
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
    }
}

impl Inner {
    /// Tasks of one giver that have not ended.
    fn open_of(&self, side: Side, giver: AgentId) -> usize {
        let of_giver = |work: &&Work| !work.view.ended && work.view.request.get().from.agent == giver;
        let all = self.works.range((side, TaskId([0; 16]))..=(side, TaskId([u8::MAX; 16])));
        all.filter(|(_, work)| of_giver(work)).count()
    }

    /// Room for one more: the oldest task goes first that has ended, or that only other nodes follow. `false` when there
    /// is none.
    fn make_room(&mut self, side: Side) -> bool {
        let order = self.order.entry(side).or_default();
        if order.len() < TASKS_MAX {
            return true;
        }
        let is_idle = |work: &Work| work.view.ended || !work.followed;
        let idle = order.iter().position(|task| self.works.get(&(side, *task)).is_none_or(is_idle));
        match idle.and_then(|position| order.remove(position)) {
            Some(task) => {
                self.works.remove(&(side, task));
                true
            }
            None => false,
        }
    }
}

impl Work {
    fn append(&mut self, task_id: TaskId, kind: TaskEventKind) -> Result<u64, ServiceError> {
        let refuse = |kind, code: &str, detail: String| {
            Err(ServiceError::new(kind, code, detail, "end the task, or begin another one"))
        };
        if self.view.ended {
            return refuse(Kind::Conflict, "task_ended", format!("task {task_id} has ended"));
        }
        let ends = matches!(kind, TaskEventKind::Finished(_) | TaskEventKind::Failed(_));
        // The end has a place of its own, or a talkative worker could never hand in, nor its giver cancel.
        if self.view.events.len() >= EVENTS_MAX && !ends {
            return refuse(Kind::TooLarge, "too_many_events", format!("task {task_id} has {EVENTS_MAX} events"));
        }
        if let TaskEventKind::Progress(bytes) | TaskEventKind::Result(bytes) = &kind {
            let result = if matches!(kind, TaskEventKind::Result(_)) { bytes.len() } else { 0 };
            if bytes.len() > TASK_CHUNK_BYTES || self.result_bytes + result > RESULT_BYTES_MAX {
                return refuse(Kind::TooLarge, "result_too_large", format!("task {task_id}: chunk or result too long"));
            }
            self.result_bytes += result;
        }
        self.view.ended = ends;
        self.view.changed_ms = comity_runtime::wall_ms();
        let index = self.view.events.len() as u64;
        self.view.events.push(TaskEvent { task_id, index, kind });
        Ok(index)
    }
}

/// The result that a task's events carry, joined.
pub fn result_of(events: &[TaskEvent]) -> Bytes {
    let mut result = Vec::new();
    for event in events {
        if let TaskEventKind::Result(chunk) = &event.kind {
            result.extend_from_slice(chunk);
        }
    }
    Bytes::from(result)
}
