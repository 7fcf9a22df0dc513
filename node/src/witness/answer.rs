//! What a node answers to other witnesses.

use super::{ask, compare, project};
use crate::{
    mesh::{Caller, Refusal},
    node::Node,
    service::audit,
    storage::audit::{Kept, Shelf},
};
use bytes::Bytes;
use comity_proto::{
    envelope::Signed as _,
    ids::DomainId,
    relay::{Answer, Cosignature, Question},
};
use comity_runtime as runtime;

/// Answers a question about checkpoints; the class admits only nodes of known domains.
pub(crate) async fn answer(node: &Node, caller: Caller, question: Question) -> Result<Answer, Refusal> {
    let broken = |error: std::io::Error| Refusal(format!("the witness's memory failed: {error}"));
    match question {
        Question::Extend(older) => match audit::document(node, older).await {
            Ok(Ok(document)) => Ok(Answer::Document(document)),
            Ok(Err(size)) => Ok(Answer::Behind(size)),
            Err(error) => Err(Refusal(error.to_string())),
        },
        Question::Cosigned(envelope) => take_cosignature(node, caller.domain, envelope).await,
        Question::Seen(document) => ask::consider(node, document).await.map(Answer::Taken).map_err(broken),
        Question::Told(envelope) => compare::told(node, envelope).await.map(Answer::Taken).map_err(broken),
        Question::Accusation(document) => ask::accuse(node, document).await.map(Answer::Taken).map_err(broken),
        Question::Concerning { from, held, size } => project::answer(node, caller, (from, held, size)).await,
        Question::IsHere(_)
        | Question::Commands(_)
        | Question::Word(..)
        | Question::Bundle
        | Question::Given { .. } => Err(Refusal("not about checkpoints".to_owned())),
    }
}

/// Kept if a peer signed it for itself and it is of a tree that we really had.
async fn take_cosignature(node: &Node, from: Option<DomainId>, envelope: Bytes) -> Result<Answer, Refusal> {
    let cosignature = Cosignature::open(&envelope).map_err(|reject| Refusal(format!("no cosignature: {reject}")))?;
    let told = cosignature.get();
    if Some(told.witness) != from || told.domain != node.domain() {
        return Err(Refusal("the cosignature is of another witness or another log".to_owned()));
    }
    let root = audit::root_at(node, told.size).await.map_err(|error| Refusal(error.to_string()))?;
    if root != told.root {
        return Err(Refusal("we never had that root".to_owned()));
    }
    let kept = Kept { heard_ms: runtime::wall_ms(), bytes: envelope.clone() };
    let stored = node.memory().put(Shelf::Cosigned, told.witness, kept).await;
    stored.map(|()| Answer::Taken(true)).map_err(|error| Refusal(error.to_string()))
}
