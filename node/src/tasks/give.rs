//! Carries a given task to the payee's home and its events back, across broken streams and lost nodes.

use super::{
    desk::{Desk, Side},
    serve::where_is,
};
use crate::mesh::{MeshHandle, TaskStream};
use bytes::Bytes;
use comity_proto::{
    envelope::Verified,
    ids::TaskId,
    task::{TaskEvent, TaskEventKind, TaskRequest},
    text::Reason,
};
use std::{sync::Arc, time::Duration};

/// Pauses between attempts, seconds.
const PAUSES: [u64; 4] = [1, 2, 4, 8];

/// What the giver's end says on the stream when its agent wants no more of the task.
pub(super) const CANCEL: &[u8] = b"cancel";
/// The reason of a task that ended so.
pub const CANCELED: &str = "canceled by the giver";
/// The reason of a task that nobody answered.
pub const NO_ANSWER: &str = "no answer before the task's deadline";

/// A node that begins to follow a task near its deadline or after it has so long to learn how it ended.
pub(super) const LATE_MS: u64 = 3_000;

/// Pause while no node of the payee's home is connected.
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// How long one look at the desk waits for news.
const LOOK: Duration = Duration::from_secs(1);

/// Runs until the task has ended or its deadline has passed.
pub(crate) async fn carry(desk: Arc<Desk>, mesh: MeshHandle, task: TaskId) {
    let Some(request) = desk.request(Side::Given, task) else { return };
    let payee = request.get().to;
    let deadline_ms = request.get().deadline_ms.max(comity_runtime::wall_ms().saturating_add(LATE_MS));
    let within = payee.domain == request.get().from.domain;
    let mut attempt = 0;
    while comity_runtime::wall_ms() < deadline_ms {
        let is_here = desk.is_here(payee.agent) || desk.request(Side::Taken, task).is_some();
        if within && is_here && work_here(&desk, &request, deadline_ms).await {
            return;
        }
        // A foreign domain passes a task on to the node where its agent is; within a domain the giver's node looks itself.
        let nodes = if within {
            where_is(&mesh, payee.agent).await.into_iter().collect()
        } else {
            mesh.nodes_of(&payee.domain)
        };
        if nodes.is_empty() {
            if desk.is_unwanted(task) {
                return fail(&desk, Side::Given, task, CANCELED);
            }
            // A treaty may be minutes old or a moment: whoever is connected is seen soon.
            comity_runtime::sleep(LOOK_AROUND).await;
            continue;
        }
        for node in nodes {
            let stream = match mesh.open_task_stream(node).await {
                Ok(stream) => stream,
                Err(error) => {
                    tracing::debug!(%task, %node, %error, "no task stream");
                    continue;
                }
            };
            if follow(&desk, task, request.envelope_bytes(), stream, deadline_ms).await {
                return;
            }
        }
        if desk.is_unwanted(task) {
            return fail(&desk, Side::Given, task, CANCELED);
        }
        let pause = PAUSES.get(attempt).or(PAUSES.last()).copied().unwrap_or(1);
        comity_runtime::sleep(Duration::from_secs(pause)).await;
        attempt += 1;
    }
    fail(&desk, Side::Given, task, NO_ANSWER);
}

fn fail(desk: &Desk, side: Side, task: TaskId, words: &str) {
    // A reason of plain words is within its limit; a task that ended meanwhile keeps its end.
    if let Ok(reason) = Reason::new(words) {
        let _already_ended = desk.append(side, task, TaskEventKind::Failed(reason));
    }
}

/// Giver and payee ask the same node: the task changes sides of its desk. `true` when it has ended.
async fn work_here(desk: &Desk, request: &Verified<TaskRequest>, deadline_ms: u64) -> bool {
    let task = request.get().task_id;
    if let Err(error) = desk.put(Side::Taken, request.clone(), Bytes::new()) {
        let failed =
            Reason::new(&error.code).map(|reason| desk.append(Side::Given, task, TaskEventKind::Failed(reason)));
        return matches!(failed, Ok(Ok(_)));
    }
    let mut next = desk.events(Side::Given, task, 0, Duration::ZERO).await.map_or(0, |(events, _)| events.len() as u64);
    while comity_runtime::wall_ms() < deadline_ms {
        let news = tokio::select! {
            biased;
            news = desk.events(Side::Taken, task, next, LOOK) => news,
            () = desk.unwanted(task) => {
                fail(desk, Side::Taken, task, CANCELED);
                desk.events(Side::Taken, task, next, LOOK).await
            }
        };
        let Ok((events, ended)) = news else { return false };
        for event in events {
            next = event.index + 1;
            if desk.continue_with(Side::Given, event).is_err() {
                return false;
            }
        }
        if ended {
            return true;
        }
    }
    false
}

/// `true` when the task has ended.
async fn follow(desk: &Desk, task: TaskId, envelope: &Bytes, mut stream: TaskStream, deadline_ms: u64) -> bool {
    let known = desk.events(Side::Given, task, 0, Duration::ZERO).await.map_or(0, |(events, _)| events.len() as u64);
    if stream.send(envelope).await.is_err() || stream.send(&known.to_le_bytes()).await.is_err() {
        return false;
    }
    let mut told = false;
    loop {
        let left = Duration::from_millis(deadline_ms.saturating_sub(comity_runtime::wall_ms()));
        let news = async {
            tokio::select! {
                biased;
                frame = stream.recv() => Some(frame),
                () = desk.unwanted(task), if !told => None,
            }
        };
        let frame = match comity_runtime::timeout(left, news).await {
            Ok(Some(Ok(Some(frame)))) => frame,
            Ok(None) => {
                // The other end answers with the task's end.
                if stream.send(CANCEL).await.is_err() {
                    return false;
                }
                told = true;
                continue;
            }
            broken => {
                tracing::debug!(%task, ?broken, "a task stream broke");
                return false;
            }
        };
        let Ok(event) = TaskEvent::decode(&frame) else { return false };
        if event.task_id != task {
            return false;
        }
        let ends = matches!(event.kind, TaskEventKind::Finished(_) | TaskEventKind::Failed(_));
        if desk.continue_with(Side::Given, event).is_err() {
            return false;
        }
        if ends {
            return true;
        }
    }
}
