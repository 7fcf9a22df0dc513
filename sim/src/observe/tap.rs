//! Two listeners on every life of every node.

use std::sync::Arc;

use comity_node::node::Node;
use tokio::sync::broadcast::error::RecvError;

use super::{Apply, Change, SharedSeen};
use crate::world::{HostId, TimeNs, Universe};

/// Listens to a node that has just begun, on the host `observer`, until it ends.
pub fn watch(seen: &SharedSeen, universe: &Universe, observer: HostId, life: (HostId, u64, usize), node: &Arc<Node>) {
    let (host, boot, domain) = life;
    let mut notices = node.replica().subscribe();
    let mut onlooker = node.replica().onlooker();
    let bytes = node.replica().onlooker();
    {
        let (seen, of) = (seen.clone(), universe.clone());
        universe.spawn_on(observer, async move {
            loop {
                let notice = match notices.recv().await {
                    Ok(notice) => notice,
                    // Over a thousand entries in one instant; what they did is found in the stories of others.
                    Err(RecvError::Lagged(_)) => continue,
                    Err(RecvError::Closed) => return,
                };
                let apply = Apply {
                    at: of.now(),
                    host,
                    boot,
                    domain,
                    index: notice.log_index,
                    stamp_ms: notice.stamp_ms,
                    first_leaf: notice.first_leaf,
                    events: notice.events,
                    outcomes: notice.outcomes,
                    owed: notice.owed,
                    is_leader: notice.is_leader,
                };
                let mut seen = seen.lock();
                if !seen.stories[domain].has_items(apply.index) {
                    let entry = bytes.bytes(apply.index);
                    seen.stories[domain].keep_items(apply.index, entry.as_ref().map(|entry| &entry.0), &apply.outcomes);
                }
                seen.coming.applies.push(apply);
            }
        });
    }
    let (seen, of) = (seen.clone(), universe.clone());
    universe.spawn_on(observer, async move {
        loop {
            {
                let at: TimeNs = of.now();
                let seen = &mut *seen.lock();
                let known = seen.logs.entry(host).or_default();
                let (sight, log) = known.take_in(boot, &mut onlooker);
                let change = Change { at, host, boot, domain, sight, log };
                seen.committed[domain].take_in(&change, known);
                seen.coming.changes.push(change);
            }
            if !onlooker.changed().await {
                return;
            }
        }
    });
}
