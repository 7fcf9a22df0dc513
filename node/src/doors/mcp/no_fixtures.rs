//! In place of the fixtures for the conformance suite (`fixtures`): there are none.

use super::{
    era::Era,
    rpc::{Request, Wrong},
    stream::Line,
};
use serde_json::Value;

pub(super) fn capabilities(_: Era, own: Value) -> Value {
    own
}

pub(super) fn tools(_: Era) -> Vec<Value> {
    Vec::new()
}

pub(super) fn prompts(_: Era) -> Vec<Value> {
    Vec::new()
}

pub(super) fn resources() -> Vec<Value> {
    Vec::new()
}

pub(super) fn templates() -> Vec<Value> {
    Vec::new()
}

pub(super) fn speaks(_: &Request) -> bool {
    false
}

pub(super) async fn run(_: Era, _: &Request, _: &Line) -> Option<Result<Value, Wrong>> {
    None
}

pub(super) fn answered(_: Value) {}
