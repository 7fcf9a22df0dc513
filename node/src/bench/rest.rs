//! Escrow locks over the native API: signed commands as JSON over a kept connection on loopback, to a domain of three nodes
//! with disks of their own, at its leader and at a node that has to ask the leader. Every flush is waited for.

use super::{
    BenchError,
    contest::{Contender, Contest},
    domain::BenchDomain,
    driver::{self, DiskCount, Load, Target, drive},
    escrow::terms,
    report,
};
use crate::{
    cli::client::Client,
    http,
    node::Node,
    service::domain::status,
    signer::{Signer, fresh_escrow_id},
};
use clap::Args;
use comity_proto::{command::Verb, escrow::EscrowTerms, limits::HOUR_MS};
use data_encoding::BASE64;
use futures::FutureExt;
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// How to measure the native API.
#[derive(Args, Clone, Debug)]
pub struct RestFlags {
    /// Counted seconds of each run.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub seconds: u64,
    /// Runs at each node; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=20))]
    pub rounds: u64,
    /// Connections at once, each of another payer.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub connections: u16,
    /// Disks go into a new directory below this one, removed at the end. It must not be in memory.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Measures and prints.
pub(super) async fn run(flags: &RestFlags, json: bool, progress: &dyn Fn(String)) -> Result<(), BenchError> {
    let folder = flags.dir.clone().unwrap_or_else(std::env::temp_dir);
    let domain = BenchDomain::start(&folder, "alpha", 3, &[]).await?;
    let measured = measure(&domain, flags, progress).await;
    domain.stop().await;
    let comparisons = measured?;
    if json {
        report::objects(&comparisons).into_iter().for_each(|object| println!("{object}"));
    } else {
        print!("{}", report::table(&comparisons));
    }
    Ok(())
}

async fn measure(
    domain: &BenchDomain,
    flags: &RestFlags,
    progress: &dyn Fn(String),
) -> Result<Vec<report::Comparison>, BenchError> {
    let clients = usize::from(flags.connections);
    let load = Load { clients, warm_up: Duration::from_secs(2), window: Duration::from_secs(flags.seconds) };
    let mut comparisons = Vec::new();
    for (role, at) in [("leader", true), ("follower", false)] {
        let node = domain.nodes().iter().find(|node| (status(node).role == "leader") == at).cloned();
        let node = node.ok_or_else(|| BenchError::new("choosing a node", format!("there is no {role}")))?;
        let door = Door::open(domain, node).await?;
        let target = &door;
        let take = Box::new(move || async move { drive(target, load).await }.boxed());
        let ours = Contender { side: "comity".to_owned(), clients, take };
        let case = format!("lock over REST, three nodes, at the {role}");
        comparisons
            .push(Contest { case, ours: Some(ours), reference: None }.hold(flags.rounds as usize, progress).await?);
    }
    Ok(comparisons)
}

/// A node's own door, open as long as this lives.
struct Door<'a> {
    domain: &'a BenchDomain,
    api: Client,
    _open: oneshot::Sender<()>,
}

impl<'a> Door<'a> {
    async fn open(domain: &'a BenchDomain, node: Arc<Node>) -> Result<Door<'a>, BenchError> {
        let address = node.home().config.http;
        let api = Client::new(format!("http://{address}"), node.home().operator_token.clone());
        let listener = http::listen(address).await?;
        let (open, closed) = oneshot::channel::<()>();
        let stop = async move {
            // Nothing is sent: it closes when the sender goes.
            let _gone = closed.await;
        };
        comity_runtime::spawn(http::serve(listener, node, stop));
        Ok(Door { domain, api, _open: open })
    }
}

impl Target for Door<'_> {
    type Client = Locker;

    async fn clients(&self, count: usize) -> Result<Vec<Locker>, BenchError> {
        let payee = self.domain.agents(1, false).await?.remove(0);
        let terms = terms(&payee, self.domain.asset())?;
        let payers = self.domain.agents(count, true).await?;
        let locker = |payer| Locker { api: self.api.clone(), payer, terms: terms.clone() };
        Ok(payers.into_iter().map(locker).collect())
    }

    async fn disks(&self) -> Option<DiskCount> {
        Some(self.domain.disks())
    }
}

/// One payer on one connection.
struct Locker {
    api: Client,
    payer: Signer,
    terms: EscrowTerms,
}

impl driver::Client for Locker {
    async fn call(&mut self) -> Result<u64, BenchError> {
        let now_ms = comity_runtime::wall_ms();
        let payer = self.payer.agent_id().ok_or_else(|| BenchError::new("locking", "the payer is no agent"))?;
        let terms = EscrowTerms { payer, deliver_by_ms: now_ms + HOUR_MS, ..self.terms.clone() };
        let batch = self.payer.sign(Verb::LockEscrow { escrow_id: fresh_escrow_id(), terms }, now_ms);
        let (api, key) = (self.api.clone(), batch.request_id.to_string());
        let body = json!({ "envelope": BASE64.encode(&batch.envelope) });
        let post = move || api.post_with_key::<Value>("/api/v1/commands", &body, Some(&key));
        let said = comity_runtime::run_blocking(post).await;
        let said = said.map_err(|_| BenchError::new("locking", "the work was not done"))??;
        if said["results"][0]["success"] == true { Ok(1) } else { Err(BenchError::new("locking", said.to_string())) }
    }
}
