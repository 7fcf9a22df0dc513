//! Operators who look, again and again, at what their own nodes witnessed of others.

use std::time::Duration;

use comity_node::service::witness;

use super::history::History;
use crate::hosts::Hosts;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// Looks at every node for as long as the universe lasts, each on its own machine.
pub async fn auditors(hosts: Hosts, history: History) {
    loop {
        comity_runtime::sleep(EVERY).await;
        for (host, node) in hosts.nodes() {
            let history = history.clone();
            hosts.universe.spawn_on(host, async move {
                // A disk that fails to read has nothing to show this time.
                for peer in witness::list(&node).await.unwrap_or_default() {
                    if peer.accused {
                        history.accuse(host, peer.domain);
                    }
                }
            });
        }
    }
}
