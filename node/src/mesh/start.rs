//! Puts a mesh together from its configuration and starts its tasks.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use comity_runtime as runtime;
use futures::future::BoxFuture;
use libp2p::Swarm;
use libp2p::swarm;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, mpsc};

use super::behaviour::{MeshBehaviour, SetupError};
use super::certificate::judge;
use super::class::Class;
use super::config::MeshConfig;
use super::dial::AddressBook;
use super::directory::Directory;
use super::driver::Driver;
use super::forks::Forks;
use super::handle::MeshHandle;
use super::limits::{COMMANDS_QUEUED, EVENTS_QUEUED, STORE_EVERY, VALIDATION_QUEUE};
use super::membership::Membership;
use super::roster::Rosters;
use super::shared::Shared;
use super::standing::Standing;
use super::store::CardStore;
use super::tally::GossipTally;
use super::validate::{From, take_card};
use super::{hello, peer, repair, streams, validate, vigil};

impl MeshHandle {
    /// Starts a mesh: listens, reads stored cards back, dials.
    ///
    /// # Errors
    /// When settings contradict each other or an address cannot be listened on; then nothing runs.
    // Boxed here, so that libp2p is compiled once, in this crate.
    #[inline(never)]
    pub fn start(config: MeshConfig) -> BoxFuture<'static, Result<MeshHandle, SetupError>> {
        Box::pin(MeshHandle::begin(config))
    }

    async fn begin(config: MeshConfig) -> Result<MeshHandle, SetupError> {
        let keypair = peer::libp2p_keypair(&config.key.seed()).map_err(|error| SetupError::Key(error.to_string()))?;
        let gossip = Arc::<GossipTally>::default();
        let behaviour = MeshBehaviour::new(&config, &keypair, gossip.clone())?;
        let control = behaviour.streams.new_control();
        let tasks = |task: Pin<Box<dyn Future<Output = ()> + Send>>| drop(runtime::spawn(task));
        // Gossip alone does not keep a quiet connection open; ours are wanted until somebody closes them.
        let settings = swarm::Config::with_executor(tasks).with_idle_connection_timeout(config.ping_every * 20);
        let mut book = AddressBook::default();
        config.bootstrap.iter().for_each(|address| book.configure(address));
        let (commands, command_queue) = mpsc::channel(COMMANDS_QUEUED);
        let (validator, validation_queue) = mpsc::channel(VALIDATION_QUEUE);
        let shared = Arc::new(shared(&config, control, commands, gossip));
        let mut swarm = Swarm::new(config.transport, behaviour, keypair.public().to_peer_id(), settings);
        for address in &config.listen {
            swarm
                .listen_on(address.clone())
                .map_err(|error| SetupError::Listen { address: address.to_string(), reason: error.to_string() })?;
        }
        if let Some(store) = &config.store {
            read_back(&shared, store).await;
        }
        let registered = "a new control has no protocol yet, and each is registered once";
        hello::accept(&shared).expect(registered);
        streams::accept_all(&shared).expect(registered);
        shared.handlers.lock().insert(Class::Repair, repair::handler(&shared));
        shared.handlers.lock().insert(Class::Members, vigil::handler(&shared));
        shared.keep(vigil::run(shared.clone(), config.repair_every));
        shared.keep(validate::run(shared.clone(), validation_queue));
        if let Some(store) = config.store.clone() {
            shared.keep(store_changes(shared.clone(), store.clone()));
        }
        let driver = Driver {
            swarm,
            shared: shared.clone(),
            commands: command_queue,
            validator,
            book,
            dials: BTreeMap::new(),
            outbox: BTreeMap::new(),
            announced: false,
            repair_every: config.repair_every,
        };
        shared.keep(driver.run());
        Ok(MeshHandle::new(shared, config.store))
    }
}

fn shared(
    config: &MeshConfig,
    control: libp2p_stream::Control,
    commands: mpsc::Sender<super::driver::Command>,
    gossip: Arc<GossipTally>,
) -> Shared {
    let me = config.key.public();
    let mut boot = [0; 16];
    runtime::entropy(&mut boot);
    let own = judge(&config.identity.certificate, &me, &config.trust, runtime::wall_ms()).standing;
    if let Standing::Stranger { refused: Some(refused), .. } = own {
        // The node still starts: an operator must be able to look at it and renew.
        tracing::warn!(%refused, "our own certificate does not hold; neighbours will take us for a stranger");
    }
    let mut rosters = Rosters::default();
    rosters.offer(&config.identity.roster, &config.trust);
    Shared {
        key: config.key.clone(),
        me,
        boot,
        agent: config.agent.clone(),
        separates: config.separates,
        identity: Mutex::new(config.identity.clone()),
        trust: Mutex::new(Arc::new(config.trust.clone())),
        exports: Mutex::new(Arc::new(config.exports.clone())),
        meter: Mutex::default(),
        neighbours: Mutex::default(),
        links: Mutex::default(),
        handlers: Mutex::default(),
        task_handler: Mutex::default(),
        leaders: Mutex::default(),
        directory: Mutex::new(Directory::new(config.store.is_some())),
        members: Mutex::new(Membership::new(me, config)),
        rosters: Mutex::new(rosters),
        listening: Mutex::default(),
        advertise: config.advertise.clone(),
        bootstraps: config.bootstrap.len(),
        counters: Mutex::default(),
        gossip,
        forks: Forks::default(),
        control,
        commands,
        events: broadcast::channel(EVENTS_QUEUED).0,
        member_ping_every: config.member_ping_every,
        leaving: AtomicBool::new(false),
        tasks: Mutex::default(),
        judged: Notify::new(),
    }
}

/// Cards of the last run. Each is verified again: a store is no proof.
async fn read_back(shared: &Arc<Shared>, store: &Arc<dyn CardStore>) {
    let (store, shared) = (store.clone(), shared.clone());
    let read = runtime::run_blocking(move || {
        let cards = store.load()?;
        // Domain cards first: their rosters vouch for the keys of agents.
        let (domains, agents): (Vec<_>, Vec<_>) =
            cards.into_iter().partition(|card| card.kind == super::store::CardKind::Domain);
        // A gateway passes on only what its home gave it in this run.
        for card in domains.into_iter().chain(agents).filter(|card| card.local || !shared.separates) {
            let from = From::Store(card.first_heard_ms, card.local);
            // Refusals are counted inside; an expired card is simply not read back.
            let _ = take_card(&shared, card.kind, &card.envelope, from);
        }
        // What was just read needs no writing.
        shared.directory.lock().take_changes();
        Ok::<(), std::io::Error>(())
    });
    match read.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "stored cards could not be read; repair will bring them again"),
        Err(error) => tracing::warn!(%error, "reading stored cards ended early"),
    }
}

/// Writes changed cards together.
async fn store_changes(shared: Arc<Shared>, store: Arc<dyn CardStore>) {
    loop {
        runtime::sleep(STORE_EVERY).await;
        save_changes(&shared, &store).await;
    }
}

/// Writes what has changed since the last time.
pub(crate) async fn save_changes(shared: &Shared, store: &Arc<dyn CardStore>) {
    let changes = shared.directory.lock().take_changes();
    if changes.is_empty() {
        return;
    }
    let store = store.clone();
    let saved = runtime::run_blocking(move || store.save(&changes)).await;
    if !matches!(saved, Ok(Ok(()))) {
        shared.count("card_store_failed");
        tracing::warn!("cards could not be stored; after a restart repair will bring them again");
    }
}
