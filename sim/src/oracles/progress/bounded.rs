//! Nothing leaks.

use crate::oracles::{Looks, Oracle, Phase, View};

/// Tasks that a node needs for itself, and for each other node.
const TASKS_OF_A_NODE: usize = 120;
const TASKS_PER_NEIGHBOUR: usize = 40;

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "no-leak",
        claim: "once everything is healed and quiet no node has more tasks than its neighbours explain",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    if view.phase != Phase::Audit || !view.everything_is_healed() {
        return Ok(());
    }
    let hosts = view.hosts.count() as usize;
    let most = TASKS_OF_A_NODE + TASKS_PER_NEIGHBOUR * hosts;
    for (host, _) in view.hosts.nodes() {
        let tasks = view.hosts.universe.tasks_of(host);
        if tasks > most {
            return Err(format!("host {host} has {tasks} tasks; {most} are plenty for {hosts} nodes"));
        }
    }
    Ok(())
}
