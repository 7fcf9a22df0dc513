//! In the end everybody is alive in everybody's eyes.

use comity_node::mesh::MemberState;

use super::Tables;
use crate::oracles::{Looks, Oracle, Phase, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "members-agree",
        claim: "once everything is healed every node holds every node of its mesh that runs for alive",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    if view.phase != Phase::Audit || !view.everything_is_healed() {
        return Ok(());
    }
    let tables = Tables::read(view);
    for (eyes, of) in tables.up().flat_map(|eyes| tables.up().map(move |of| (eyes, of))) {
        match tables.state(eyes, of) {
            Some(MemberState::Alive) => {}
            _ if view.are_apart(eyes, of) => {}
            Some(other) => return Err(format!("host {eyes} holds host {of}, which runs, for {}", other.name())),
            None => return Err(format!("host {eyes} has never heard of host {of}, which runs")),
        }
    }
    Ok(())
}
