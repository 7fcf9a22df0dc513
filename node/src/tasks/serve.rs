//! Takes tasks that other nodes bring for local agents, or passes them on to the node where the agent is.

use super::{
    desk::{Desk, Side},
    give::{CANCEL, CANCELED, LATE_MS},
};
use crate::{
    boundary,
    mesh::{Caller, MeshHandle, TaskStream, class::Class},
    node::Node,
};
use bytes::Bytes;
use comity_proto::{
    envelope::{Signed as _, Verified},
    ids::{AgentId, PublicKey},
    relay::{Answer, Question},
    task::{TaskEventKind, TaskRequest},
    text::Reason,
};
use std::{sync::Arc, time::Duration};

/// How long one look at the desk waits for news.
const LOOK: Duration = Duration::from_secs(1);
/// Pause before an agent that is nowhere is looked for again.
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// How long a node of the own domain has to say whether an agent is there.
const ASK: Duration = Duration::from_millis(500);

/// Serves one inbound stream: the request, the index to go on from, then events out until the end.
pub(crate) async fn serve(node: Arc<Node>, caller: Caller, mut stream: TaskStream) {
    let (desk, mesh) = (node.desk(), node.mesh());
    let Ok(Some(envelope)) = stream.recv().await else { return };
    let Ok(Some(from)) = stream.recv().await else { return };
    let (Ok(request), Ok(from)) = (TaskRequest::open(&envelope), <[u8; 8]>::try_from(from.as_ref())) else {
        tracing::warn!(node = %caller.node, "a task that does not open was refused");
        return;
    };
    // A node of the own domain passes on what others brought; others bring only their own agents' tasks.
    let entitled = caller.own || caller.domain == Some(request.get().from.domain);
    if !entitled || request.get().to.domain != node.domain() {
        tracing::warn!(node = %caller.node, "a task of a foreign agent or for another domain was refused");
        return;
    }
    let next = u64::from_le_bytes(from);
    let deadline_ms = request.get().deadline_ms;
    let agent = request.get().to.agent;
    // What was taken is finished; only what is new is judged by the rules of now.
    let is_known = desk.request(Side::Taken, request.get().task_id).is_some();
    if !is_known && let Err(refusal) = boundary::inward(&node, request.get()).await {
        return fail(&mut stream, &request, next, &refusal.code).await;
    }
    // Counted where it enters the domain.
    if !is_known
        && !caller.own
        && let Err(over) = mesh.admit(&request.get().from.domain, 1)
    {
        return fail(&mut stream, &request, next, over.name()).await;
    }
    let mut is_here = is_known || desk.is_here(agent);
    while !is_here && comity_runtime::wall_ms() < deadline_ms {
        if !caller.own
            && let Some(other) = where_is(mesh, agent).await
        {
            tracing::debug!(%agent, node = %other, "a task is passed on");
            return pass_on(mesh, other, &envelope, next, stream).await;
        }
        tokio::select! {
            biased;
            () = canceled(&mut stream) => return fail(&mut stream, &request, next, CANCELED).await,
            () = comity_runtime::sleep(LOOK_AROUND) => {}
        }
        is_here = desk.is_here(agent);
    }
    if !is_here {
        // Its giver knows the deadline too.
        return;
    }
    if let Err(error) = desk.put(Side::Taken, request.clone(), Bytes::new()) {
        return fail(&mut stream, &request, next, &error.to_string()).await;
    }
    tell(desk, &request, next, stream).await;
}

/// Tells the giver's end what happens, from an event on, and hears whether the task is still wanted.
async fn tell(desk: &Desk, request: &Verified<TaskRequest>, mut next: u64, mut stream: TaskStream) {
    let task = request.get().task_id;
    // Whoever comes late learns how it ended.
    let until_ms = request.get().deadline_ms.max(comity_runtime::wall_ms().saturating_add(LATE_MS));
    while comity_runtime::wall_ms() < until_ms {
        let news = tokio::select! {
            biased;
            news = desk.events(Side::Taken, task, next, LOOK) => news,
            () = canceled(&mut stream) => {
                if let Ok(reason) = Reason::new(CANCELED) {
                    // A task that ended meanwhile keeps its end, and its giver is told that one.
                    let _ended_before = desk.append(Side::Taken, task, TaskEventKind::Failed(reason));
                }
                continue;
            }
        };
        let Ok((events, ended)) = news else { return };
        for event in &events {
            if stream.send(&event.encode()).await.is_err() {
                return;
            }
            next = event.index + 1;
        }
        if ended {
            let _told = stream.close().await;
            return;
        }
    }
}

/// Ends when the giver's end says that its agent wants no more of the task.
async fn canceled(stream: &mut TaskStream) {
    while let Ok(Some(frame)) = stream.recv().await {
        if frame == CANCEL {
            return;
        }
    }
    // It only listens from here on, or is gone: that cancels nothing.
    std::future::pending().await
}

async fn fail(stream: &mut TaskStream, request: &Verified<TaskRequest>, index: u64, words: &str) {
    let Ok(reason) = Reason::new(words) else { return };
    let kind = TaskEventKind::Failed(reason);
    let event = comity_proto::task::TaskEvent { task_id: request.get().task_id, index, kind };
    let _told = stream.send(&event.encode()).await;
}

/// The node of the own domain that an agent asked for work, if any says so.
pub(super) async fn where_is(mesh: &MeshHandle, agent: AgentId) -> Option<PublicKey> {
    for neighbour in mesh.neighbours() {
        if !neighbour.standing.is_own() {
            continue;
        }
        let question = Question::IsHere(agent).encode();
        let answer = mesh.request(neighbour.node, Class::Tasks, question, ASK).await;
        tracing::debug!(node = %neighbour.node, ?answer, "asked whether an agent is there");
        if answer.is_ok_and(|answer| Answer::decode(&answer) == Ok(Answer::IsHere(true))) {
            return Some(neighbour.node);
        }
    }
    None
}

/// Copies frames both ways until one side ends.
async fn pass_on(mesh: &MeshHandle, node: PublicKey, envelope: &Bytes, from: u64, mut outer: TaskStream) {
    let Ok(mut inner) = mesh.open_task_stream(node).await else { return };
    if inner.send(envelope).await.is_err() || inner.send(&from.to_le_bytes()).await.is_err() {
        return;
    }
    let mut listening = true;
    loop {
        tokio::select! {
            biased;
            frame = inner.recv() => match frame {
                Ok(Some(frame)) if outer.send(&frame).await.is_ok() => {}
                Ok(Some(_)) => return,
                _ => break,
            },
            frame = outer.recv(), if listening => match frame {
                Ok(Some(frame)) if inner.send(&frame).await.is_ok() => {}
                _ => listening = false,
            },
        }
    }
    let _told = outer.close().await;
}
