//! Tells the other nodes of the domain which tasks its agents gave here, so that any of them can answer for one.
//!
//! What is copied is the signed request. A node that is asked about the task follows it by itself, as the first one does:
//! the payee's end tells everything again from the beginning. So the first node may die, and nothing but what its own door
//! kept beside the task is lost with it.

use super::desk::Side;
use crate::{mesh::class::Class, node::Node};
use bytes::Bytes;
use comity_proto::{
    envelope::Signed as _,
    relay::{Answer, Question},
    task::TaskRequest,
};
use futures::future::join_all;
use std::time::Duration;

/// How long the others have. One that is away learns nothing of this task.
const TELL: Duration = Duration::from_millis(500);

/// Copies a task to every connected node of the own domain.
pub(crate) async fn spread(node: &Node, request: &Bytes, note: &Bytes) {
    let question = Question::Given { request: request.clone(), note: note.clone() }.encode();
    let others = node.mesh().nodes_of(&node.domain());
    let told = others.into_iter().map(|other| node.mesh().request(other, Class::Tasks, question.clone(), TELL));
    for answer in join_all(told).await {
        tracing::trace!(?answer, "told of a task");
    }
}

/// Keeps a copy that another node of the own domain brought.
pub(crate) fn take(node: &Node, request: &Bytes, note: Bytes) -> Answer {
    let own = TaskRequest::open(request).ok().filter(|request| request.get().from.domain == node.domain());
    let kept = own.is_some_and(|request| node.desk().put(Side::Given, request, note).is_ok());
    Answer::Taken(kept)
}
