//! Applying goes on, never back.

use std::collections::BTreeMap;

use crate::{
    oracles::{Oracle, View},
    world::HostId,
};

/// The last applied index of each host, with the life in which it was.
#[derive(Default)]
pub(super) struct AppliedOrder {
    last: BTreeMap<HostId, (u64, u64)>,
}

impl Oracle for AppliedOrder {
    fn name(&self) -> &'static str {
        "applied-order"
    }

    fn claim(&self) -> &'static str {
        "inside one life a replica applies entries in the order of their indexes, each once"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for apply in &view.seen.fresh.applies {
            let (boot, index) = self.last.insert(apply.host, (apply.boot, apply.index)).unwrap_or_default();
            if boot == apply.boot && apply.index <= index {
                return Err(format!("host {} applied entry {} after entry {index}", apply.host, apply.index));
            }
        }
        Ok(())
    }
}
