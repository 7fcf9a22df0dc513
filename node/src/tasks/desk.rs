//! Tasks that this node knows: given by local agents, and taken for local agents.

use crate::service::error::{Kind, ServiceError};
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
/// Events of one task: a result of full length in small chunks, and some progress.
pub const EVENTS_MAX: usize = 4_096;
/// Tasks waiting for one agent.
pub const QUEUE_MAX: usize = 64;
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

struct Work {
    request: Verified<TaskRequest>,
    events: Vec<TaskEvent>,
    result_bytes: usize,
    ended: bool,
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
}

impl Default for Desk {
    fn default() -> Self {
        Desk { inner: Mutex::default(), changed: watch::Sender::new(0) }
    }
}

impl Desk {
    /// Keeps a request. `false`: the same one was there already.
    ///
    /// # Errors
    /// `task_exists_with_different_content`, `too_many_tasks`.
    pub fn put(&self, side: Side, request: Verified<TaskRequest>) -> Result<bool, ServiceError> {
        let mut inner = self.inner.lock();
        let task = request.get().task_id;
        let agent = request.get().to.agent;
        if let Some(known) = inner.works.get(&(side, task)) {
            if known.request.envelope_bytes() == request.envelope_bytes() {
                return Ok(false);
            }
            let detail = format!("task {task} is known with other content");
            let next = "choose a fresh task id for another task";
            return Err(ServiceError::new(Kind::Conflict, "task_exists_with_different_content", detail, next));
        }
        if inner.queues.get(&agent).is_some_and(|queue| queue.len() >= QUEUE_MAX) || !inner.make_room(side) {
            let next = "try again when some have ended, or ask another agent";
            return Err(ServiceError::new(Kind::Busy, "too_many_tasks", "too many tasks are open here", next));
        }
        inner.works.insert((side, task), Work { request, events: Vec::new(), result_bytes: 0, ended: false });
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
            let task = inner.queues.get_mut(&agent)?.pop_front()?;
            inner.works.get(&(Side::Taken, task)).map(|work| work.request.clone())
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
        self.inner.lock().works.get(&(side, task)).map(|work| work.request.clone())
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
        let known = self.inner.lock().works.get(&(side, event.task_id)).map_or(0, |work| work.events.len() as u64);
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
            let from = usize::try_from(after).unwrap_or(usize::MAX).min(work.events.len());
            Ok::<_, ServiceError>((work.events[from..].to_vec(), work.ended))
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
    /// Room for one more: the oldest ended task goes first. `false` when all are open.
    fn make_room(&mut self, side: Side) -> bool {
        let order = self.order.entry(side).or_default();
        if order.len() < TASKS_MAX {
            return true;
        }
        let ended = order.iter().position(|task| self.works.get(&(side, *task)).is_none_or(|work| work.ended));
        match ended.and_then(|position| order.remove(position)) {
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
        if self.ended {
            return refuse(Kind::Conflict, "task_ended", format!("task {task_id} has ended"));
        }
        if self.events.len() >= EVENTS_MAX {
            return refuse(Kind::TooLarge, "too_many_events", format!("task {task_id} has {EVENTS_MAX} events"));
        }
        if let TaskEventKind::Progress(bytes) | TaskEventKind::Result(bytes) = &kind {
            let result = if matches!(kind, TaskEventKind::Result(_)) { bytes.len() } else { 0 };
            if bytes.len() > TASK_CHUNK_BYTES || self.result_bytes + result > RESULT_BYTES_MAX {
                return refuse(Kind::TooLarge, "result_too_large", format!("task {task_id}: chunk or result too long"));
            }
            self.result_bytes += result;
        }
        self.ended = matches!(kind, TaskEventKind::Finished(_) | TaskEventKind::Failed(_));
        let index = self.events.len() as u64;
        self.events.push(TaskEvent { task_id, index, kind });
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
