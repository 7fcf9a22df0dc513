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

/// Pause while no node of the payee's home is connected.
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// How long one look at the desk waits for news.
const LOOK: Duration = Duration::from_secs(1);

/// Runs until the task has ended or its deadline has passed.
pub(crate) async fn carry(desk: Arc<Desk>, mesh: MeshHandle, task: TaskId) {
    let Some(request) = desk.request(Side::Given, task) else { return };
    let (payee, deadline_ms) = (request.get().to, request.get().deadline_ms);
    let within = payee.domain == request.get().from.domain;
    let mut attempt = 0;
    while comity_runtime::wall_ms() < deadline_ms {
        if within && desk.is_here(payee.agent) && work_here(&desk, &request).await {
            return;
        }
        // A foreign domain passes a task on to the node where its agent is; within a domain the giver's node looks itself.
        let nodes = if within {
            where_is(&mesh, payee.agent).await.into_iter().collect()
        } else {
            mesh.nodes_of(&payee.domain)
        };
        if nodes.is_empty() {
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
        let pause = PAUSES.get(attempt).or(PAUSES.last()).copied().unwrap_or(1);
        comity_runtime::sleep(Duration::from_secs(pause)).await;
        attempt += 1;
    }
    // A reason of plain words is within its limit; a task that ended meanwhile keeps its end.
    if let Ok(reason) = Reason::new("no answer before the task's deadline") {
        let _already_ended = desk.append(Side::Given, task, TaskEventKind::Failed(reason));
    }
}

/// Giver and payee ask the same node: the task changes sides of its desk. `true` when it has ended.
async fn work_here(desk: &Desk, request: &Verified<TaskRequest>) -> bool {
    let (task, deadline_ms) = (request.get().task_id, request.get().deadline_ms);
    if let Err(error) = desk.put(Side::Taken, request.clone()) {
        let failed =
            Reason::new(&error.code).map(|reason| desk.append(Side::Given, task, TaskEventKind::Failed(reason)));
        return matches!(failed, Ok(Ok(_)));
    }
    let mut next = desk.events(Side::Given, task, 0, Duration::ZERO).await.map_or(0, |(events, _)| events.len() as u64);
    while comity_runtime::wall_ms() < deadline_ms {
        let Ok((events, ended)) = desk.events(Side::Taken, task, next, LOOK).await else { return false };
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
    loop {
        let left = Duration::from_millis(deadline_ms.saturating_sub(comity_runtime::wall_ms()));
        let frame = match comity_runtime::timeout(left, stream.recv()).await {
            Ok(Ok(Some(frame))) => frame,
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
