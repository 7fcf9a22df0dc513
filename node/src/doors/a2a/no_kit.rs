//! In place of the stand-in for the compatibility kit (`kit`): nobody is there.

use super::{
    Own,
    card::NODE,
    message::Said,
    wrong::{What, Wrong},
};
use crate::{
    node::Node,
    service::{cards::CardView, custody::Bearer},
};
use bytes::Bytes;
use comity_proto::{ids::TaskId, task::TaskEvent};
use serde_json::Value;

/// Who is meant where nobody is named.
pub(super) const FRONT: &str = NODE;

/// Nobody calls without a token.
pub fn guest() -> Option<Bearer> {
    None
}

pub(super) fn card(_: &Node, _: &str) -> Option<CardView> {
    None
}

pub(super) fn employs(_: &CardView) -> bool {
    false
}

pub(super) fn answer(_: &CardView, _: &Value) -> Result<Option<Value>, Wrong> {
    Ok(None)
}

pub(super) async fn take(_: &Own<'_>, _: &Said, _: Bytes) -> Result<(TaskId, u64), Wrong> {
    Err(Wrong::new(What::UnsupportedOperation, "nobody takes it"))
}

pub(super) fn said_after(_: TaskId) -> Vec<Value> {
    Vec::new()
}

pub(super) fn asks(_: &[u8]) -> Option<&'static str> {
    None
}

pub(super) fn waits(_: &[TaskEvent]) -> bool {
    false
}

pub(super) fn parts(_: &[u8]) -> Option<Value> {
    None
}
