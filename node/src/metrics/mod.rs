//! What an operator watches, in OpenMetrics.
//!
//! ```text
//! replica, ledger, mesh, lanes, desk, doors -> gather -> Page -> the encoder of prometheus_client -> GET /metrics
//! ```
//! Nearly every figure is what some part of the node knows anyway, read at the moment of a scrape: the ledger under its
//! read lock for a few lookups for each treaty and open transfer, everything else under the locks of its own parts. Only what
//! nobody keeps is counted, in plain atomics. Nothing waits for consensus, and no log is read.
//!
//! A figure that is unknown has no sample: only a leader knows how far the others lag. Deliberately absent: agents, escrows
//! and other labels without a bound; alerts; anything that the simulated world would have to answer otherwise.

mod domain;
mod door;
mod local;
mod page;
mod peers;
pub mod table;

pub(crate) use door::{OneTaken, Requests, Taken};
pub use page::MEDIA_TYPE;

use crate::node::Node;
use page::Page;

/// What is counted because nobody else keeps it.
#[derive(Debug)]
pub(crate) struct Metrics {
    started_ms: u64,
    /// Answers of both doors.
    pub(crate) requests: Requests,
    /// Places of the door for this machine.
    pub(crate) http: Taken,
    /// Places of the door for others.
    pub(crate) https: Taken,
}

impl Metrics {
    pub(crate) fn starting() -> Metrics {
        let started_ms = comity_runtime::wall_ms();
        Metrics { started_ms, requests: Requests::default(), http: Taken::default(), https: Taken::default() }
    }
}

/// Every figure of this moment, as text of [`MEDIA_TYPE`].
pub async fn text(node: &Node) -> String {
    let mut page = Page::new();
    local::gather(node, &mut page);
    domain::gather(node, &mut page);
    peers::gather(node, &mut page).await;
    page.text()
}
