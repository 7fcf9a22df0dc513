//! Publishes cards one after the other and writes down when they arrived where; then lets nodes die.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use comity_node::founding::fresh_key;
use comity_proto::{
    card::AgentCard,
    envelope::Signed as _,
    ids::{AgentId, DomainId},
    keys::SecretKey,
    reject::Reject,
    text::{Capability, Description, Nickname},
};
use comity_runtime as runtime;
use serde::Serialize;

use super::{
    curves::quantile,
    deaths::{self, Detection},
    graph::Graph,
    nodes::Nodes,
};
use crate::{
    net::{LinkProfile, Network},
    world::{Chance, HostId, Policy, Stuck, TimeNs, Universe},
};

/// The observer's own host.
const OBSERVER: HostId = 1_000_000;
/// Nodes are switched on one after the other within this time.
const ARRIVE: Duration = Duration::from_secs(10);
/// Then gossip has so long to build its mesh.
const SETTLE: Duration = Duration::from_secs(20);
/// How long the quiet mesh is weighed.
const QUIET: Duration = Duration::from_secs(10);
/// Time that each card has to arrive.
const WINDOW: Duration = Duration::from_secs(3);
/// How long a node that is taken away stays away.
const AWAY: Duration = Duration::from_secs(8);
const HOUR_MS: u64 = 3_600_000;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Options {
    /// Draws everything.
    pub seed: u64,
    /// How many nodes.
    pub nodes: usize,
    /// How many others each node dials.
    pub dials: usize,
    /// Shortest and longest link, microseconds one way.
    pub links_us: (u64, u64),
    /// Share of packets that are lost and sent again.
    pub loss: f64,
    /// Share of the nodes that are taken away, and come back, per virtual second.
    pub churn: f64,
    /// Cards published.
    pub cards: usize,
    /// Nodes that die afterwards, one after the other; 0: members do not watch each other at all.
    pub deaths: usize,
}

/// What was seen.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was asked.
    pub options: Options,
    /// Bytes of one card, envelope included.
    pub card_bytes: usize,
    /// Mean neighbours of a node.
    pub neighbours: f64,
    /// Nodes that should have had each card (up all the time), over all cards.
    pub expected: usize,
    /// Those that had it within the window.
    pub arrived: usize,
    /// Milliseconds from publishing to arrival, sorted.
    #[serde(skip)]
    pub arrivals_ms: Vec<f64>,
    /// Milliseconds of the fastest way over the same links, sorted.
    #[serde(skip)]
    pub fastest_ms: Vec<f64>,
    /// Half of all arrivals.
    pub p50_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// The last.
    pub max_ms: f64,
    /// 99 of 100 fastest ways.
    pub fastest_p99_ms: f64,
    /// p99 of the arrivals by p99 of the fastest ways.
    pub by_fastest: f64,
    /// Gossip bytes on the wire by bytes that would carry each card once to each node, of the first half of the window
    /// after a card. The second half, when all is told, is taken off as the idle traffic of the same moment; multiplexing,
    /// encryption and control messages are in it. Where idle traffic is far more than the cards, it says little.
    pub copies: f64,
    /// Bytes per second on one connection, both directions, while nothing happens.
    pub idle_bytes_per_neighbour: f64,
    /// How deaths became known; absent where nobody was let die.
    pub failure_detection: Option<Detection>,
    /// Virtual time, ms.
    pub virtual_ms: u64,
    /// Fingerprint of the run.
    pub digest: String,
}

/// Measures.
///
/// # Errors
/// When the universe cannot go on.
pub fn run(options: Options) -> Result<Report, Stuck> {
    let universe = Universe::new(options.seed, Policy::Random);
    let network = Network::new(&universe, LinkProfile::default());
    let graph = Graph::draw(options.nodes, options.dials, options.links_us, &mut universe.chance("graph"));
    let nodes = Nodes::new(&universe, &network, &graph, (options.loss, options.deaths > 0));
    let told = universe.run(OBSERVER, measure(nodes, options))?;
    Ok(report(options, &graph, &universe, told))
}

/// One card: who published it when, who was up all the time, and when it arrived where.
struct Spread {
    from: HostId,
    at: TimeNs,
    up: Vec<HostId>,
    arrivals: BTreeMap<HostId, TimeNs>,
}

struct Told {
    spreads: Vec<Spread>,
    card_bytes: usize,
    neighbours: f64,
    quiet_bytes: u64,
    /// Of the first halves of all windows, what the second halves did not have.
    busy_bytes: f64,
    detection: Option<Detection>,
}

async fn measure(nodes: Nodes, options: Options) -> Told {
    let mut chance = nodes.universe.chance("publishers");
    for host in 0..options.nodes as HostId {
        nodes.power_on(host);
        runtime::sleep(ARRIVE / options.nodes as u32).await;
    }
    runtime::sleep(SETTLE).await;
    let neighbours = nodes.connections() as f64 / options.nodes.max(1) as f64;
    let before = nodes.network.totals().0;
    runtime::sleep(QUIET).await;
    let quiet_bytes = nodes.network.totals().0 - before;
    if options.churn > 0.0 {
        runtime::spawn(churn(nodes.clone(), options));
        runtime::sleep(SETTLE).await;
    }
    let mut told =
        Told { spreads: Vec::new(), card_bytes: 0, neighbours, quiet_bytes, busy_bytes: 0.0, detection: None };
    for _ in 0..options.cards {
        if let Some(spread) = publish(&nodes, &mut chance, &mut told).await {
            told.spreads.push(spread);
        }
    }
    if options.deaths > 0 {
        told.detection = Some(deaths::watch(&nodes, options.deaths, &mut chance).await);
    }
    told
}

async fn publish(nodes: &Nodes, chance: &mut Chance, told: &mut Told) -> Option<Spread> {
    let up = nodes.running();
    let from = *chance.pick(&up)?;
    let agent = fresh_key();
    let id = AgentId::of_key(&agent.public());
    let card = card(&agent, nodes.domain()).ok()?;
    told.card_bytes = card.len();
    let (at, before) = (nodes.universe.now(), nodes.network.totals().0);
    if let Err(error) = nodes.mesh(from)?.publish_card(card) {
        tracing::error!(%error, "a card was refused");
        return None;
    }
    runtime::sleep(WINDOW / 2).await;
    let half = nodes.network.totals().0;
    runtime::sleep(WINDOW / 2).await;
    told.busy_bytes += (half - before) as f64 - (nodes.network.totals().0 - half) as f64;
    let still: Vec<HostId> = nodes.running();
    let up = up.into_iter().filter(|host| still.binary_search(host).is_ok()).collect();
    Some(Spread { from, at, up, arrivals: nodes.arrivals(&id) })
}

async fn churn(nodes: Nodes, options: Options) {
    let mut chance = nodes.universe.chance("churn");
    let pause = Duration::from_secs_f64(1.0 / (options.churn * options.nodes as f64).max(0.001));
    loop {
        runtime::sleep(pause).await;
        let Some(host) = chance.pick(&nodes.running()).copied() else { continue };
        nodes.power_off(host);
        let nodes = nodes.clone();
        runtime::spawn(async move {
            runtime::sleep(AWAY).await;
            nodes.power_on(host);
        });
    }
}

/// A card as an agent would publish it, about 500 bytes.
fn card(agent: &SecretKey, home: DomainId) -> Result<Bytes, Reject> {
    let now_ms = runtime::wall_ms();
    let card = AgentCard {
        agent: AgentId::of_key(&agent.public()),
        home,
        key: agent.public(),
        name: Nickname::new("translator")?,
        description: Description::new(&"translates legal and technical texts between forty languages; ".repeat(4))?,
        capabilities: vec![Capability::new("text.translation")?, Capability::new("text.summary")?],
        price: None,
        accepts: Default::default(),
        sequence: 1,
        issued_at_ms: now_ms,
        expires_at_ms: now_ms + HOUR_MS,
        retired: false,
        public: true,
        custodial: false,
        attestation: Bytes::new(),
    };
    Ok(card.seal(agent))
}

fn report(options: Options, graph: &Graph, universe: &Universe, told: Told) -> Report {
    let (mut arrivals_ms, mut fastest_ms, mut expected) = (Vec::new(), Vec::new(), 0);
    for spread in &told.spreads {
        let fastest = graph.fastest(spread.from as usize);
        for host in spread.up.iter().filter(|host| **host != spread.from) {
            expected += 1;
            if let (Some(at), Some(us)) = (spread.arrivals.get(host), fastest[*host as usize]) {
                arrivals_ms.push((at - spread.at) as f64 / 1e6);
                fastest_ms.push(us as f64 / 1e3);
            }
        }
    }
    arrivals_ms.sort_by(f64::total_cmp);
    fastest_ms.sort_by(f64::total_cmp);
    let once = (told.card_bytes * arrivals_ms.len()).max(1) as f64;
    let idle = told.quiet_bytes as f64 / QUIET.as_secs_f64();
    let (p99_ms, fastest_p99_ms) = (quantile(&arrivals_ms, 0.99), quantile(&fastest_ms, 0.99));
    Report {
        options,
        card_bytes: told.card_bytes,
        neighbours: told.neighbours,
        expected,
        arrived: arrivals_ms.len(),
        p50_ms: quantile(&arrivals_ms, 0.5),
        p99_ms,
        max_ms: quantile(&arrivals_ms, 1.0),
        fastest_p99_ms,
        by_fastest: p99_ms / fastest_p99_ms.max(f64::MIN_POSITIVE),
        copies: told.busy_bytes / once,
        // Each connection was counted at both ends.
        idle_bytes_per_neighbour: idle * 2.0 / (told.neighbours * options.nodes as f64).max(1.0),
        failure_detection: told.detection,
        virtual_ms: universe.now() / 1_000_000,
        digest: format!("{:016x}", universe.digest()),
        arrivals_ms,
        fastest_ms,
    }
}
