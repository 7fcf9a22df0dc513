//! What the rest of the node may do with the mesh. Cheap to clone; the mesh ends with its last handle.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use comity_proto::card::{AgentCard, DomainCard};
use comity_proto::envelope::Signed as _;
use comity_proto::export::Exports;
use comity_proto::ids::{AgentId, DomainId, PublicKey};
use comity_runtime as runtime;
use libp2p::Multiaddr;
use tokio::sync::{broadcast, oneshot};

use super::certificate::Trust;
use super::class::Class;
use super::config::Identity;
use super::directory::{CardRefused, Completeness, Found};
use super::driver::Command;
use super::membership::{Member, own_heartbeat};
use super::quota::{OverLicence, Quota, Used};
use super::reach::{self, Reach};
use super::rpc::RpcError;
use super::serve::Handler;
use super::shared::{MeshEvent, Shared};
use super::shelf::{CardEntry, Offer};
use super::standing::Standing;
use super::start::save_changes;
use super::store::{CardKind, CardStore};
use super::streams::{self, TaskHandler, TaskStream};
use super::tally::GossipView;
use super::topics::Topic;
use super::validate::{From, take_card};

/// One connected node, as shown to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeighbourView {
    /// Its node key.
    pub node: PublicKey,
    /// What it is to us.
    pub standing: Standing,
    /// Where the connection goes.
    pub address: Option<Multiaddr>,
    /// Whether we dialled.
    pub dialled: bool,
    /// Connections to it (two after simultaneous dials).
    pub connections: u32,
    /// Connected since, ms since the Unix epoch.
    pub since_ms: u64,
    /// Round trip, if measured.
    pub rtt: Option<Duration>,
    /// What it takes us for, in its words: a standing, or why our certificate was refused.
    pub takes_us_for: Option<String>,
    /// When the last repair round with it brought everything, ms since the Unix epoch.
    pub repaired_ms: Option<u64>,
}

/// Why a card of ours was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It does not hold.
    #[error("{0}")]
    Refused(CardRefused),
    /// It holds, but does not become the newest of its owner.
    #[error("{}", .0.name())]
    NotTaken(Offer),
    /// It is over the limit of its topic; gossip would drop it.
    #[error("card_too_large: {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Bytes of the envelope.
        size: usize,
        /// Bytes that the topic takes.
        limit: usize,
    },
    /// The mesh is ending or overloaded; the card is kept and repair will spread it.
    #[error("kept, but not announced: the mesh is busy or ending")]
    NotAnnounced,
}

struct Inner {
    shared: Arc<Shared>,
    store: Option<Arc<dyn CardStore>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Tasks hold the shared state and would live on; connections close with the driver.
        self.shared.tasks.lock().drain(..).for_each(|task| task.abort());
    }
}

/// The mesh of this node.
#[derive(Clone)]
pub struct MeshHandle {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for MeshHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("MeshHandle").field(&self.inner.shared.me).finish()
    }
}

impl MeshHandle {
    pub(crate) fn new(shared: Arc<Shared>, store: Option<Arc<dyn CardStore>>) -> MeshHandle {
        MeshHandle { inner: Arc::new(Inner { shared, store }) }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.inner.shared
    }

    /// Our node key.
    pub fn node(&self) -> PublicKey {
        self.shared().me
    }

    /// Addresses that we listen on.
    pub fn listening(&self) -> Vec<Multiaddr> {
        self.shared().listening.lock().clone()
    }

    /// What happens from now on. A slow reader is told how many events it lost.
    pub fn events(&self) -> broadcast::Receiver<MeshEvent> {
        self.shared().events.subscribe()
    }

    /// How often something worth knowing happened, by its stable name.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        let mut counters = self.shared().counters.lock().clone();
        let directory = self.shared().directory.lock();
        let equivocations = directory.agents.equivocations() + directory.domains.equivocations();
        counters.insert("card_equivocation".to_owned(), equivocations);
        counters
    }

    /// Counts something worth knowing, by its stable name.
    pub fn count(&self, name: &'static str) {
        self.shared().count(name);
    }

    /// Gossiped messages by topic: how many came, and what became of them.
    pub(crate) fn gossip(&self) -> Vec<GossipView> {
        self.shared().gossip.all()
    }

    /// Requests under way or waiting for a place, by the domain of the neighbour that they go to.
    pub(crate) fn load(&self) -> BTreeMap<DomainId, usize> {
        let links: Vec<_> = self.shared().links.lock().iter().map(|((peer, _), link)| (*peer, link.load())).collect();
        let neighbours = self.shared().neighbours.lock();
        let mut load = BTreeMap::new();
        for (peer, requests) in links {
            if let Some(domain) = neighbours.get(&peer).and_then(|neighbour| neighbour.judged.standing.domain()) {
                *load.entry(domain).or_default() += requests;
            }
        }
        load
    }

    /// All connected nodes, in the order of their peer ids.
    pub fn neighbours(&self) -> Vec<NeighbourView> {
        let neighbours = self.shared().neighbours.lock();
        let view = |neighbour: &super::shared::Neighbour| NeighbourView {
            node: neighbour.key,
            standing: neighbour.judged.standing.clone(),
            address: neighbour.address.clone(),
            dialled: neighbour.dialled,
            connections: neighbour.connections,
            since_ms: neighbour.since_ms,
            rtt: neighbour.rtt,
            takes_us_for: neighbour.takes_us_for.clone(),
            repaired_ms: neighbour.repaired_ms,
        };
        neighbours.values().map(view).collect()
    }

    /// Nodes of the mesh by their heartbeats, our own among them.
    pub fn members(&self) -> Vec<Member> {
        self.shared().members.lock().list()
    }

    /// The newest roster of a domain that we have seen: the exact signed bytes.
    pub fn roster(&self, domain: &DomainId) -> Option<Bytes> {
        self.shared().rosters.lock().get(domain).map(|roster| roster.envelope_bytes().clone())
    }

    // --- configuration while running --------------------------------------------------------------------------

    /// Dials an address until it answers.
    pub async fn dial(&self, address: Multiaddr) {
        let _ = self.shared().commands.send(Command::Configure(address)).await;
    }

    /// Replaces what we show: a new certificate or roster. Every neighbour hears it at once.
    pub async fn set_identity(&self, identity: Identity) {
        if *self.shared().identity.lock() == identity {
            return;
        }
        self.shared().rosters.lock().offer(&identity.roster, &self.shared().trust());
        *self.shared().identity.lock() = identity;
        let _ = self.shared().commands.send(Command::HelloAll).await;
    }

    /// Replaces what we trust: a treaty came or went, a certificate was taken back. All neighbours are judged again.
    pub fn set_trust(&self, trust: Trust) {
        if *self.shared().trust() == trust {
            return;
        }
        *self.shared().trust.lock() = Arc::new(trust);
        self.shared().judge_again(|_| true);
    }

    /// Replaces what of our domain others may be shown. Whoever may see more is told to ask.
    pub fn set_exports(&self, exports: Exports) {
        *self.shared().exports.lock() = Arc::new(exports);
        reach::announce(self.shared(), |_, _| true);
    }

    /// A round of card repair with every connected node of a domain, in both directions, soon.
    pub(crate) fn repair_with(&self, domain: &DomainId) {
        let is_of_it = |other: &super::shared::Neighbour| other.judged.standing.domain() == Some(*domain);
        let mut neighbours = self.shared().neighbours.lock();
        let of_it = neighbours.values_mut().filter(|other| is_of_it(other));
        of_it.for_each(|other| other.ask_again(runtime::now()));
        drop(neighbours);
        reach::announce(self.shared(), |_, other| is_of_it(other));
    }

    /// The certificates that connected nodes of a domain have shown.
    pub(crate) fn certificates_of(&self, domain: &DomainId) -> Vec<(PublicKey, Bytes)> {
        let neighbours = self.shared().neighbours.lock();
        let of_it = neighbours.values().filter(|other| other.judged.standing.domain() == Some(*domain));
        of_it.map(|other| (other.key, other.certificate.clone())).collect()
    }

    /// Replaces how much each peer may ask, by the licences that our domain grants.
    pub fn set_quotas(&self, quotas: BTreeMap<DomainId, Quota>) {
        self.shared().meter.lock().set(quotas);
    }

    /// Counts so many events of a peer against its licence, all or none.
    ///
    /// # Errors
    /// Why it may not.
    pub fn admit(&self, peer: &DomainId, events: u32) -> Result<(), OverLicence> {
        self.shared().admit(peer, events)
    }

    /// Whether a peer has a licence, so that it is counted.
    pub fn counts(&self, peer: &DomainId) -> bool {
        self.shared().meter.lock().counts(peer)
    }

    /// What a peer has used of its licence at this node.
    pub fn used(&self, peer: &DomainId) -> Used {
        self.shared().meter.lock().used(peer, runtime::now().as_ns() / 1_000_000)
    }

    // --- cards ------------------------------------------------------------------------------------------------

    /// Keeps and announces a card of an agent of ours. `Ok` means that it is the newest of its owner here.
    pub fn publish_card(&self, envelope: Bytes) -> Result<(), PublishError> {
        self.publish(CardKind::Agent, Topic::Cards, envelope)
    }

    /// The same for our domain's card.
    pub fn publish_domain_card(&self, envelope: Bytes) -> Result<(), PublishError> {
        self.publish(CardKind::Domain, Topic::DomainCards, envelope)
    }

    fn publish(&self, kind: CardKind, topic: Topic, envelope: Bytes) -> Result<(), PublishError> {
        if envelope.len() > topic.max_bytes() {
            return Err(PublishError::TooLarge { size: envelope.len(), limit: topic.max_bytes() });
        }
        match take_card(self.shared(), kind, &envelope, From::Local).map_err(PublishError::Refused)? {
            // Pushed to those who may see it.
            Offer::Taken | Offer::Held if !self.gossips(kind, &envelope) => Ok(()),
            Offer::Taken | Offer::Held => {
                let told = self.shared().commands.try_send(Command::Publish(topic, envelope));
                told.map_err(|_| PublishError::NotAnnounced)
            }
            other => Err(PublishError::NotTaken(other)),
        }
    }

    fn gossips(&self, kind: CardKind, envelope: &Bytes) -> bool {
        match kind {
            CardKind::Agent => AgentCard::open(envelope).is_ok_and(|card| reach::gossips(self.shared(), card.get())),
            CardKind::Domain => true,
        }
    }

    /// The cards of our own domain that a neighbour of this standing is shown: by the very function that filters them.
    pub fn shown_to(&self, standing: &Standing) -> Vec<CardEntry<AgentCard>> {
        let (reach, own) = (Reach::of(self.shared()), self.shared().own_domain());
        let directory = self.shared().directory.lock();
        let of_ours = directory.agents.iter().filter(|entry| own == Some(entry.card.get().home));
        of_ours.filter(|entry| reach.shows(entry.card.get(), standing)).cloned().collect()
    }

    /// Whether a card that is known here goes to everybody, strangers among them: by the very function that filters them.
    pub(crate) fn goes_to_everybody(&self, agent: &AgentId) -> bool {
        let reach = Reach::of(self.shared());
        self.agent_card(agent).is_some_and(|entry| reach.shows(entry.card.get(), &Standing::Unjudged))
    }

    /// What `of` makes of each such card, in the order of agents. Called under the directory's lock: it should be quick.
    pub(crate) fn of_cards_for_everybody<T>(&self, of: impl FnMut(&CardEntry<AgentCard>) -> T) -> Vec<T> {
        let reach = Reach::of(self.shared());
        let directory = self.shared().directory.lock();
        let shown = directory.agents.iter().filter(|entry| reach.shows(entry.card.get(), &Standing::Unjudged));
        shown.map(of).collect()
    }

    /// Agents that offer a capability, fresh cards first; see [`Found`] for an empty answer.
    pub fn search(&self, capability: &str) -> Found {
        let hits = self.shared().directory.lock().search(capability, runtime::wall_ms());
        Found { hits, completeness: self.completeness() }
    }

    /// The newest card of an agent.
    pub fn agent_card(&self, agent: &AgentId) -> Option<CardEntry<AgentCard>> {
        self.shared().directory.lock().agent(agent)
    }

    /// The newest card of a domain.
    pub fn domain_card(&self, domain: &DomainId) -> Option<CardEntry<DomainCard>> {
        self.shared().directory.lock().domain(domain)
    }

    /// All agent cards, in the order of agents.
    pub fn agent_cards(&self) -> Vec<CardEntry<AgentCard>> {
        self.shared().directory.lock().agents.iter().cloned().collect()
    }

    /// What `of` makes of each agent card, in the order of agents. Called under the directory's lock: it should be quick.
    pub fn of_agent_cards<T>(&self, of: impl FnMut(&CardEntry<AgentCard>) -> T) -> Vec<T> {
        self.shared().directory.lock().agents.iter().map(of).collect()
    }

    /// How many agent cards are known.
    pub fn agent_card_count(&self) -> usize {
        self.shared().directory.lock().agents.len()
    }

    /// How many domain cards are known.
    pub(crate) fn domain_card_count(&self) -> usize {
        self.shared().directory.lock().domains.len()
    }

    /// How many agent cards of one home are known.
    pub(crate) fn agent_cards_of(&self, home: &DomainId) -> usize {
        self.shared().directory.lock().agents.of_home(home)
    }

    /// All domain cards, in the order of domains.
    pub fn domain_cards(&self) -> Vec<CardEntry<DomainCard>> {
        self.shared().directory.lock().domains.iter().cloned().collect()
    }

    /// Whether every neighbour has been asked for all its cards since it connected.
    pub fn completeness(&self) -> Completeness {
        let neighbours = self.shared().neighbours.lock();
        let alone = neighbours.is_empty() && self.shared().bootstraps == 0;
        let asked = !neighbours.is_empty() && neighbours.values().all(|neighbour| neighbour.repaired_ms.is_some());
        if alone || asked { Completeness::Synced } else { Completeness::NotYetSynced }
    }

    // --- private streams --------------------------------------------------------------------------------------

    /// From now on `handler` answers requests of a class; replaces an earlier one. Who may ask is decided by the class.
    pub fn serve(&self, class: Class, handler: Handler) {
        self.shared().handlers.lock().insert(class, handler);
    }

    /// From now on `handler` serves task streams of known domains.
    pub fn serve_tasks(&self, handler: TaskHandler) {
        *self.shared().task_handler.lock() = Some(handler);
    }

    /// One request to a connected node, or to ourselves. Never retried.
    pub async fn request(
        &self,
        node: PublicKey,
        class: Class,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, RpcError> {
        streams::request(self.shared(), node, class, body, deadline).await
    }

    /// Connected nodes of a domain whose certificate holds: the one that last answered as leader first.
    pub fn nodes_of(&self, domain: &DomainId) -> Vec<PublicKey> {
        let leader = self.shared().leaders.lock().get(domain).copied();
        let neighbours = self.shared().neighbours.lock();
        let of_domain = neighbours.values().filter(|neighbour| neighbour.judged.standing.domain() == Some(*domain));
        let mut nodes: Vec<PublicKey> = of_domain.map(|neighbour| neighbour.key).collect();
        nodes.sort_by_key(|node| Some(*node) != leader);
        nodes
    }

    /// Somebody learned which node leads a domain: it is asked first from now on.
    pub fn hint_leader(&self, domain: DomainId, node: PublicKey) {
        self.shared().leaders.lock().insert(domain, node);
    }

    /// Hands a settlement message to any connected node of a domain, `deadline` in all. Tries one node after the
    /// other: a settlement message may be delivered twice without harm.
    pub async fn settle(&self, domain: DomainId, body: Bytes, deadline: Duration) -> Result<Bytes, RpcError> {
        let nodes = self.nodes_of(&domain);
        let ends = runtime::now() + deadline;
        let mut last = RpcError::Unreachable("no connected node of that domain".to_owned());
        // A silent node must leave time for the others.
        let share = deadline / u32::try_from(nodes.len()).unwrap_or(u32::MAX).max(1);
        for node in nodes {
            let left = ends.since(runtime::now()).min(share);
            match self.request(node, Class::Settlement, body.clone(), left).await {
                Ok(answer) => {
                    // Remembered only for domains that we have pinned, so the map is bounded.
                    self.hint_leader(domain, node);
                    return Ok(answer);
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Opens a stream for one task to a node of a known domain.
    pub async fn open_task_stream(&self, node: PublicKey) -> Result<TaskStream, RpcError> {
        streams::open_task_stream(self.shared(), node).await
    }

    /// The same to any connected node of a domain.
    pub async fn open_task_stream_to(&self, domain: &DomainId) -> Result<TaskStream, RpcError> {
        let mut last = RpcError::Unreachable("no connected node of that domain".to_owned());
        for node in self.nodes_of(domain) {
            match self.open_task_stream(node).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    // --- the end ----------------------------------------------------------------------------------------------

    /// Tells the mesh that we leave on purpose, then ends.
    pub async fn leave(&self) {
        self.shared().leaving.store(true, Ordering::Relaxed);
        if let Some(beat) = own_heartbeat(self.shared(), 0) {
            let _ = self.shared().commands.send(Command::Publish(Topic::Members, beat)).await;
        }
        self.shutdown().await;
    }

    /// Ends the mesh: what was published leaves, connections are closed, changed cards are stored.
    pub async fn shutdown(&self) {
        let (done, ended) = oneshot::channel();
        if self.shared().commands.send(Command::Shutdown(done)).await.is_ok() {
            let _ = ended.await;
        }
        self.shared().tasks.lock().drain(..).for_each(|task| task.abort());
        if let Some(store) = &self.inner.store {
            save_changes(self.shared(), store).await;
        }
    }
}
