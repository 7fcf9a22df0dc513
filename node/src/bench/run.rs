//! The commands `bench escrow`, `bench transfer` and `bench settle`: which cases, against what, how long.

use super::{
    BenchError,
    contest::{Contender, Contest},
    domain::BenchDomain,
    driver::{Load, drive},
    escrow::Escrows,
    postgres::{Cluster, Installation, Script},
    report,
    rest::RestFlags,
    settle::FarAway,
    transfer::Transfers,
};
use clap::{Args, Subcommand, ValueEnum};
use futures::FutureExt;
use std::{path::PathBuf, time::Duration};

/// More connections than this only slow PostgreSQL down; with more of our clients it still gets its best.
const POSTGRES_CLIENTS_MAX: usize = 64;

/// What to measure.
#[derive(Clone, Debug, Subcommand)]
pub enum BenchCommand {
    /// Escrow locks inside one domain.
    Escrow(BenchFlags),
    /// Transfers between two domains.
    Transfer(BenchFlags),
    /// Transfers between two domains: to many accounts, to one, and when the other domain is 100 ms away.
    Settle(BenchFlags),
    /// Memory and processor time of a node that does nothing.
    Idle(IdleFlags),
    /// Round trips of an unchanged poll of the domain card.
    Card(CardFlags),
    /// Latency of local escrows while a partner is well, silent, or says nonsense without pause.
    Isolation(IsolationFlags),
    /// How long after an operator's word every node of both domains heeds it.
    Revocation(RevocationFlags),
    /// Escrows created and released through the agent-settlement door, over HTTP.
    #[command(name = "a2a-se")]
    A2aSe(A2aSeFlags),
    /// Escrow locks over the native API of a domain of three nodes.
    Rest(RestFlags),
}

/// How to measure.
#[derive(Args, Clone, Debug)]
pub struct BenchFlags {
    /// Counted seconds of each run.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Seconds before counting begins.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=60))]
    pub warm_up: u64,
    /// Runs of each side, in turns; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=20))]
    pub rounds: u64,
    /// Only cases with these numbers of clients. Default: all.
    #[arg(long, value_delimiter = ',', value_name = "N,N")]
    pub clients: Vec<usize>,
    /// What to do with PostgreSQL, the thing a user would pick instead.
    #[arg(long, value_enum, default_value_t = Postgres::Beside)]
    pub postgres: Postgres,
    /// Disks go into a new directory below this one, removed at the end. It must not be in memory.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// How long to watch.
#[derive(Args, Clone, Debug)]
pub struct IdleFlags {
    /// Seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// The node's disk goes into a new directory below this one, removed at the end.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// How often to poll.
#[derive(Args, Clone, Debug)]
pub struct CardFlags {
    /// Counted polls.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    pub polls: u64,
    /// The node's disk goes into a new directory below this one, removed at the end.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// How to measure a bad partner.
#[derive(Args, Clone, Debug)]
pub struct IsolationFlags {
    /// Counted seconds of each run.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: u64,
    /// Runs of each behaviour, in turns; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=20))]
    pub rounds: u64,
    /// Disks go into new directories below this one, removed at the end. It must not be in memory.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// How to measure the agent-settlement door.
#[derive(Args, Clone, Debug)]
pub struct A2aSeFlags {
    /// Counted seconds of each run.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub seconds: u64,
    /// Runs; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=20))]
    pub rounds: u64,
    /// Connections at once, each with its own account.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub connections: u16,
    /// The node's disk goes into a new directory below this one, removed at the end. It must not be in memory.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// How often to suspend.
#[derive(Args, Clone, Debug)]
pub struct RevocationFlags {
    /// Suspensions, each resumed before the next.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub rounds: u64,
    /// Disks go into new directories below this one, removed at the end. It must not be in memory.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// The reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Postgres {
    /// Measure both in turns.
    Beside,
    /// Measure only PostgreSQL.
    Alone,
    /// Measure only Comity.
    Off,
}

impl BenchFlags {
    pub(super) fn load(&self, clients: usize) -> Load {
        Load { clients, warm_up: Duration::from_secs(self.warm_up), window: Duration::from_secs(self.seconds) }
    }

    pub(super) fn folder(&self) -> PathBuf {
        place(self.dir.as_ref())
    }

    fn measures_ours(&self) -> bool {
        self.postgres != Postgres::Alone
    }

    /// Which of a case's client numbers were asked for.
    fn wanted(&self, clients: &[usize]) -> Vec<usize> {
        let most = if self.postgres == Postgres::Alone { POSTGRES_CLIENTS_MAX } else { usize::MAX };
        let asked = |count: &usize| self.clients.is_empty() || self.clients.contains(count);
        clients.iter().copied().filter(|count| asked(count) && *count <= most).collect()
    }

    /// PostgreSQL, unless it is not wanted; not having it is an error only if nothing else was to be measured.
    fn reference(&self) -> Result<Option<Installation>, BenchError> {
        match (self.postgres, Installation::find()) {
            (Postgres::Off, _) => Ok(None),
            (_, Ok(found)) => Ok(Some(found)),
            (Postgres::Alone, Err(error)) => Err(error),
            (Postgres::Beside, Err(error)) => {
                eprintln!("no comparison with PostgreSQL: {error}");
                Ok(None)
            }
        }
    }
}

/// Measures and prints: a table, or with `json` one object per measured side.
///
/// # Errors
/// When a contender cannot be set up, or on Ctrl-C. All that was started is stopped and removed.
pub async fn run(command: BenchCommand, json: bool) -> Result<(), BenchError> {
    match &command {
        BenchCommand::Idle(flags) => return idle(flags, json).await,
        BenchCommand::Card(flags) => return card(flags, json).await,
        BenchCommand::Isolation(flags) => return isolation(flags, json).await,
        BenchCommand::Revocation(flags) => return revocation(flags, json).await,
        BenchCommand::A2aSe(flags) => return a2a_se(flags, json).await,
        BenchCommand::Rest(flags) => return super::rest::run(flags, json, &progress).await,
        BenchCommand::Escrow(_) | BenchCommand::Transfer(_) | BenchCommand::Settle(_) => {}
    }
    let measured = async {
        match &command {
            BenchCommand::Escrow(flags) => Ok((escrow(flags).await?, None)),
            BenchCommand::Transfer(flags) => Ok((transfer(flags, &[false], &[1, 64, 256]).await?, None)),
            BenchCommand::Settle(flags) => settle(flags).await,
            BenchCommand::Idle(_)
            | BenchCommand::Card(_)
            | BenchCommand::Isolation(_)
            | BenchCommand::Revocation(_)
            | BenchCommand::A2aSe(_)
            | BenchCommand::Rest(_) => Ok((Vec::new(), None)),
        }
    };
    let (comparisons, far) = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => return Err(BenchError::new("measuring", "stopped by Ctrl-C, nothing is left behind")),
        measured = measured => measured?,
    };
    if json {
        let far = far.iter().flat_map(FarAway::objects);
        report::objects(&comparisons).into_iter().chain(far).for_each(|object| println!("{object}"));
    } else {
        let far = far.as_ref().map(FarAway::sentences).unwrap_or_default();
        print!("{}{far}", report::table(&comparisons));
    }
    Ok(())
}

/// The figures that the design names for a settlement.
async fn settle(flags: &BenchFlags) -> Result<(Vec<report::Comparison>, Option<FarAway>), BenchError> {
    let comparisons = transfer(flags, &[false, true], &[64]).await?;
    let far = match flags.measures_ours() {
        true => Some(super::settle::far_away(&flags.folder(), flags.seconds, &progress).await?),
        false => None,
    };
    Ok((comparisons, far))
}

async fn idle(flags: &IdleFlags, json: bool) -> Result<(), BenchError> {
    let idle = super::idle::watch(&place(flags.dir.as_ref()), flags.seconds).await?;
    show(json, &idle.document(), &idle.sentence());
    Ok(())
}

async fn card(flags: &CardFlags, json: bool) -> Result<(), BenchError> {
    let polls = super::card::poll(&place(flags.dir.as_ref()), flags.polls).await?;
    show(json, &polls.document(), &polls.sentence());
    Ok(())
}

async fn revocation(flags: &RevocationFlags, json: bool) -> Result<(), BenchError> {
    let folder = flags.dir.clone().unwrap_or_else(std::env::temp_dir);
    let measured = super::revocation::measure(&folder, flags.rounds, &progress).await?;
    if json {
        println!("{}", measured.document());
    } else {
        println!("{}", measured.sentence());
    }
    Ok(())
}

async fn a2a_se(flags: &A2aSeFlags, json: bool) -> Result<(), BenchError> {
    let clients = usize::from(flags.connections);
    let load = Load { clients, warm_up: Duration::from_secs(2), window: Duration::from_secs(flags.seconds) };
    let exchange = super::a2a_se::Exchange::start(&place(flags.dir.as_ref()), clients).await?;
    let target = &exchange;
    let take = Box::new(move || async move { drive(target, load).await }.boxed());
    let ours = Contender { side: "comity".to_owned(), clients, take };
    let contest = Contest { case: "create and release, A2A-SE".to_owned(), ours: Some(ours), reference: None };
    let held = contest.hold(flags.rounds as usize, &progress).await;
    drop(contest);
    exchange.stop();
    let comparisons = [held?];
    if json {
        report::objects(&comparisons).into_iter().for_each(|object| println!("{object}"));
    } else {
        print!("{}", report::table(&comparisons));
    }
    Ok(())
}

async fn isolation(flags: &IsolationFlags, json: bool) -> Result<(), BenchError> {
    let length = (flags.seconds, flags.rounds);
    let measured = super::isolation::measure(&place(flags.dir.as_ref()), length, &progress).await?;
    show(json, &measured.document(), measured.sentences().trim_end());
    Ok(())
}

/// Where disks go.
fn place(named: Option<&PathBuf>) -> PathBuf {
    named.cloned().unwrap_or_else(std::env::temp_dir)
}

fn show(json: bool, document: &serde_json::Value, words: &str) {
    if json {
        println!("{document}");
    } else {
        println!("{words}");
    }
}

fn progress(line: String) {
    eprintln!("{line}");
}

/// One line of the escrow bench.
struct EscrowCase {
    name: &'static str,
    per_call: usize,
    hot: bool,
    script: Script,
    clients: &'static [usize],
}

/// A batch has one signature and so one payer: it is always hot.
const ESCROW_CASES: [EscrowCase; 3] = [
    EscrowCase { name: "lock", per_call: 1, hot: false, script: Script::Lock, clients: &[1, 64, 256] },
    EscrowCase { name: "lock, hot account", per_call: 1, hot: true, script: Script::LockHot, clients: &[1, 64, 256] },
    EscrowCase {
        name: "64 locks per call, hot",
        per_call: 64,
        hot: false,
        script: Script::LockBatch64,
        clients: &[1, 16],
    },
];

async fn escrow(flags: &BenchFlags) -> Result<Vec<report::Comparison>, BenchError> {
    let folder = flags.folder();
    let cluster = match flags.reference()? {
        Some(installation) => Some(Cluster::start(&installation, &folder).await?),
        None => None,
    };
    let domain = match flags.measures_ours() {
        true => Some(BenchDomain::start(&folder, "alpha", 1, &[]).await?),
        false => None,
    };
    let mut comparisons = Vec::new();
    for case in &ESCROW_CASES {
        for clients in flags.wanted(case.clients) {
            let ours = domain.as_ref().map(|domain| locks(domain, case, flags, clients));
            let reference = cluster.as_ref().map(|cluster| postgres(cluster, case.script, flags, clients));
            let contest = Contest { case: case.name.to_owned(), ours, reference };
            comparisons.push(contest.hold(flags.rounds as usize, &progress).await?);
        }
    }
    if let Some(cluster) = &cluster {
        cluster.check_books().await?;
    }
    if let Some(domain) = domain {
        domain.stop().await;
        comparisons.extend(three_nodes(flags).await?);
    }
    Ok(comparisons)
}

/// The same locks kept by three nodes on this machine. PostgreSQL has no counterpart without help from outside.
async fn three_nodes(flags: &BenchFlags) -> Result<Vec<report::Comparison>, BenchError> {
    let wanted = flags.wanted(&[1, 64, 256]);
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let domain = BenchDomain::start(&flags.folder(), "alpha", 3, &[]).await?;
    let mut comparisons = Vec::new();
    for clients in wanted {
        let ours = Some(locks(&domain, &ESCROW_CASES[0], flags, clients));
        let contest = Contest { case: "lock, three nodes".to_owned(), ours, reference: None };
        comparisons.push(contest.hold(flags.rounds as usize, &progress).await?);
    }
    domain.stop().await;
    Ok(comparisons)
}

fn locks<'a>(domain: &'a BenchDomain, case: &'a EscrowCase, flags: &BenchFlags, clients: usize) -> Contender<'a> {
    let load = flags.load(clients);
    let take = move || {
        let target = Escrows { domain, per_call: case.per_call, hot: case.hot };
        async move { drive(&target, load).await }.boxed()
    };
    Contender { side: "comity".to_owned(), clients, take: Box::new(take) }
}

fn postgres<'a>(cluster: &'a Cluster, script: Script, flags: &BenchFlags, clients: usize) -> Contender<'a> {
    let load = flags.load(clients.min(POSTGRES_CLIENTS_MAX));
    let side = format!("postgresql {}", cluster.version());
    Contender { side, clients: load.clients, take: Box::new(move || script.run(cluster, load).boxed()) }
}

async fn transfer(flags: &BenchFlags, hot: &[bool], clients: &[usize]) -> Result<Vec<report::Comparison>, BenchError> {
    let folder = flags.folder();
    let clusters = Clusters::start(flags).await?;
    let domains = match flags.measures_ours() {
        true => {
            let alpha = BenchDomain::start(&folder, "alpha", 1, &[]).await?;
            let beta = BenchDomain::start(&folder, "beta", 1, alpha.addresses()).await?;
            alpha.trust(&beta).await?;
            beta.trust(&alpha).await?;
            Some((alpha, beta))
        }
        false => None,
    };
    let mut comparisons = Vec::new();
    let cases = hot.iter().flat_map(|hot| flags.wanted(clients).into_iter().map(move |clients| (*hot, clients)));
    for (hot, clients) in cases {
        for reference in clusters.contenders(flags, clients, hot) {
            let ours = domains.as_ref().map(|(payer, payee)| {
                let load = flags.load(clients);
                let take = move || async move { drive(&Transfers { payer, payee, hot }, load).await }.boxed();
                Contender { side: "comity, 2 domains".to_owned(), clients, take: Box::new(take) }
            });
            let case = if hot { "transfer, hot account" } else { "transfer" }.to_owned();
            let contest = Contest { case, ours, reference };
            comparisons.push(contest.hold(flags.rounds as usize, &progress).await?);
        }
    }
    clusters.check_books().await?;
    if let Some((alpha, beta)) = domains {
        beta.stop().await;
        alpha.stop().await;
    }
    Ok(comparisons)
}

/// Two PostgreSQL clusters, if this program can speak to them and they are wanted.
struct Clusters {
    #[cfg(feature = "bench-postgres")]
    pair: Option<(Cluster, Cluster)>,
}

#[cfg(feature = "bench-postgres")]
impl Clusters {
    async fn start(flags: &BenchFlags) -> Result<Clusters, BenchError> {
        let Some(installation) = flags.reference()? else { return Ok(Clusters { pair: None }) };
        let payer = Cluster::start(&installation, &flags.folder()).await?;
        let payee = Cluster::start(&installation, &flags.folder()).await?;
        Ok(Clusters { pair: Some((payer, payee)) })
    }

    /// Each way to be safe; `None` once when there is nothing to compare with.
    fn contenders(&self, flags: &BenchFlags, clients: usize, hot: bool) -> Vec<Option<Contender<'_>>> {
        use super::postgres::{Protocol, TwoClusters};
        let Some((payer, payee)) = &self.pair else { return vec![None] };
        let load = flags.load(clients.min(POSTGRES_CLIENTS_MAX));
        let contender = |(name, protocol): (&str, Protocol)| Contender {
            side: format!("2 x postgresql {}, {name}", payer.version()),
            clients: load.clients,
            take: Box::new(move || {
                async move { drive(&TwoClusters { payer, payee, protocol, hot }, load).await }.boxed()
            }),
        };
        let both = [("durable decision", Protocol::Logged), ("last agent", Protocol::LastAgent)];
        both.map(contender).map(Some).into()
    }

    async fn check_books(&self) -> Result<(), BenchError> {
        if let Some((payer, payee)) = &self.pair {
            payer.check_books().await?;
            payee.check_books().await?;
        }
        Ok(())
    }
}

#[cfg(not(feature = "bench-postgres"))]
impl Clusters {
    async fn start(flags: &BenchFlags) -> Result<Clusters, BenchError> {
        let how = "build with --features bench-postgres to compare with PostgreSQL";
        match flags.postgres {
            Postgres::Alone => return Err(BenchError::new("measuring PostgreSQL alone", how)),
            Postgres::Beside => eprintln!("no comparison: {how}"),
            Postgres::Off => {}
        }
        Ok(Clusters {})
    }

    fn contenders(&self, _flags: &BenchFlags, _clients: usize, _hot: bool) -> Vec<Option<Contender<'_>>> {
        vec![None]
    }

    async fn check_books(&self) -> Result<(), BenchError> {
        Ok(())
    }
}
