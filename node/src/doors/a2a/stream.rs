//! A task's events as they come: first the task as it is, then what changes, until its end.

use super::{
    Own, send,
    task::update,
    wrong::{What, Wrong},
};
use crate::{
    node::Node,
    service::{
        error::{Kind, ServiceError},
        principal::Principal,
        work,
    },
    tasks::desk::View,
};
use comity_proto::ids::TaskId;
use serde_json::Value;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::sync::OwnedSemaphorePermit;

/// After so long without an event the connection is shown to live.
const PULSE: Duration = Duration::from_secs(15);

/// What a stream says next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// An event.
    Event(Value),
    /// Nothing happened for a while.
    Pulse,
}

/// Events of one task, in order and without gaps.
pub struct Events {
    ready: VecDeque<Value>,
    follow: Option<Follow>,
}

struct Follow {
    node: Arc<Node>,
    who: Principal,
    task: TaskId,
    after: usize,
    _place: OwnedSemaphorePermit,
}

impl Events {
    /// One event and the end.
    pub(super) fn only(event: Value) -> Events {
        Events { ready: [event].into(), follow: None }
    }

    /// The task as it is, then what follows.
    pub(super) fn of(own: &Own<'_>, view: View, history: Option<u64>) -> Result<Events, Wrong> {
        let mut events = Events::only(send::snapshot(own, &view, history));
        if !view.ended {
            let place = own.node.a2a().streams.clone().try_acquire_owned().map_err(|_| too_many())?;
            let (node, who) = (own.node.clone(), own.who());
            let task = view.request.get().task_id;
            events.follow = Some(Follow { node, who, task, after: view.events.len(), _place: place });
        }
        Ok(events)
    }

    /// The next one; `None` after the end, or when the task is forgotten.
    pub async fn next(&mut self) -> Option<Next> {
        if let Some(event) = self.ready.pop_front() {
            return Some(Next::Event(event));
        }
        let Follow { node, who, task, after, .. } = self.follow.as_mut()?;
        let (news, ended) = work::events(node, *who, *task, *after as u64, PULSE).await.ok()?;
        if news.is_empty() && !ended {
            return Some(Next::Pulse);
        }
        let view = work::view(node, *who, *task).await.ok()?;
        let told = *after + news.len();
        self.ready.extend((*after..told).filter_map(|index| update(node, &view, index)));
        *after = told;
        if ended {
            self.follow = None;
        }
        self.ready.pop_front().map(Next::Event)
    }
}

fn too_many() -> ServiceError {
    let next = "close some, or ask for the task instead";
    ServiceError::new(Kind::Busy, "too_many_streams", "this node keeps no more streams open", next)
}

/// Follows a task that goes on.
pub(super) async fn subscribe(own: &Own<'_>, params: &Value) -> Result<Events, Wrong> {
    let view = own.view(&params["id"]).await?;
    if view.ended {
        return Err(Wrong::new(What::UnsupportedOperation, "the task has ended: nothing more happens to it"));
    }
    Events::of(own, view, None)
}
