//! How long after an operator's word every node of both domains refuses what was agreed: two domains of three nodes each,
//! connected. The time runs from the command until the last of the six ledgers lets nothing new begin.

use super::{BenchError, domain::BenchDomain};
use crate::{
    node::Node,
    service::peers::{Change, change},
};
use comity_proto::ids::DomainId;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::{path::Path, sync::Arc, time::Duration};

/// Nodes of each domain.
const NODES: usize = 3;
/// How often the ledgers are looked at.
const LOOK: Duration = Duration::from_millis(1);
/// A word that is not heeded by then is a defect.
const PATIENCE: Duration = Duration::from_secs(60);

/// Times from word to heed, milliseconds.
pub(super) struct Revocations {
    times_ms: Histogram<u64>,
}

/// Suspends and resumes so often.
pub(super) async fn measure(folder: &Path, rounds: u64, progress: &dyn Fn(String)) -> Result<Revocations, BenchError> {
    let alpha = BenchDomain::start(folder, "alpha", NODES, &[]).await?;
    let beta = BenchDomain::start(folder, "beta", NODES, alpha.addresses()).await?;
    alpha.trust(&beta).await?;
    beta.trust(&alpha).await?;
    heeded(&alpha, &beta, true).await?;
    let mut times_ms = Histogram::new(3).map_err(|error| BenchError::new("counting", error.to_string()))?;
    // The founding node holds the root key.
    let founder = alpha.nodes().first().ok_or_else(|| BenchError::new("choosing a node", "there is none"))?;
    let peer = beta.asset().issuer;
    for round in 1..=rounds {
        let begun = comity_runtime::now();
        let seen = async {
            heeded(&alpha, &beta, false).await?;
            Ok::<_, BenchError>(begun.elapsed())
        };
        let (said, seen) = futures::join!(change(founder, peer, Change::Suspend, "measured"), seen);
        said?;
        let took = u64::try_from(seen?.as_millis()).unwrap_or(u64::MAX);
        times_ms.record(took).map_err(|error| BenchError::new("counting", error.to_string()))?;
        progress(format!("suspension {round} of {rounds}: heeded by all after {took} ms"));
        change(founder, peer, Change::Resume, "measured").await?;
        heeded(&alpha, &beta, true).await?;
    }
    beta.stop().await;
    alpha.stop().await;
    Ok(Revocations { times_ms })
}

/// Waits until trade may begin on every node of both sides, or on none.
async fn heeded(alpha: &BenchDomain, beta: &BenchDomain, may: bool) -> Result<(), BenchError> {
    let begun = comity_runtime::now();
    let so = |nodes: &[Arc<Node>], other: DomainId| {
        nodes.iter().all(|node| node.replica().read_stale(|ledger, _| ledger.may_trade(&other, false).is_ok() == may))
    };
    while !(so(alpha.nodes(), beta.asset().issuer) && so(beta.nodes(), alpha.asset().issuer)) {
        if begun.elapsed() > PATIENCE {
            return Err(BenchError::new("waiting for a word to be heeded", "it was not, within a minute"));
        }
        comity_runtime::sleep(LOOK).await;
    }
    Ok(())
}

impl Revocations {
    /// For programs.
    pub(super) fn document(&self) -> Value {
        let at = |quantile| self.times_ms.value_at_quantile(quantile);
        json!({
            "bench": "revocation", "rounds": self.times_ms.len(), "nodes": 2 * NODES,
            "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": self.times_ms.max(),
        })
    }

    /// For people.
    pub(super) fn sentence(&self) -> String {
        let at = |quantile| self.times_ms.value_at_quantile(quantile);
        format!(
            "a suspension is heeded by all {} nodes of both domains within {} ms (p50), {} ms (p99), {} ms (max), {} rounds",
            2 * NODES,
            at(0.5),
            at(0.99),
            self.times_ms.max(),
            self.times_ms.len()
        )
    }
}
