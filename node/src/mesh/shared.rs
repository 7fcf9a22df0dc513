//! What all tasks of one mesh share. Every lock is held for a few lookups, never across an await.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use comity_proto::export::Exports;
use comity_proto::ids::{DomainId, PublicKey};
use comity_proto::keys::SecretKey;
use comity_proto::text::AgentString;
use comity_runtime as runtime;
use libp2p::{Multiaddr, PeerId};
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, mpsc};

use super::certificate::{Judged, Refused, Trust, judge};
use super::class::Class;
use super::config::Identity;
use super::directory::Directory;
use super::driver::Command;
use super::forks::Forks;
use super::limits::{STANDING_WAIT, STREAMS_IN_PER_PEER};
use super::members::State;
use super::membership::Membership;
use super::peer;
use super::quota::{Meter, OverLicence};
use super::reach::ROUND_PAUSE;
use super::roster::Rosters;
use super::rpc::Link;
use super::serve::{Caller, Handler};
use super::standing::Standing;
use super::streams::TaskHandler;
use super::tally::GossipTally;

/// What the mesh tells its listeners. A slow listener loses old events and is told so; the state is in the reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeshEvent {
    /// A neighbour's hello was judged, or its standing changed.
    NeighbourUp {
        /// Its node key.
        node: PublicKey,
        /// What it is to us now.
        standing: Standing,
    },
    /// The last connection to a neighbour ended.
    NeighbourDown {
        /// Its node key.
        node: PublicKey,
    },
    /// A newer card of an agent was accepted.
    AgentCard {
        /// Its id.
        agent: comity_proto::ids::AgentId,
    },
    /// A newer card of a domain was accepted.
    DomainCard {
        /// Its id.
        domain: DomainId,
    },
    /// A member is held for something else than before.
    Member {
        /// Its node key.
        node: PublicKey,
        /// What it is held for now.
        state: State,
    },
    /// A newer roster of a pinned domain was seen.
    Roster {
        /// Its domain.
        domain: DomainId,
        /// Its epoch.
        epoch: u64,
    },
}

/// One connected node.
pub(crate) struct Neighbour {
    pub(crate) key: PublicKey,
    pub(crate) connections: u32,
    pub(crate) since_ms: u64,
    /// When a hello was last due, by the monotonic clock.
    pub(crate) hello_due: runtime::Instant,
    pub(crate) address: Option<Multiaddr>,
    pub(crate) dialled: bool,
    pub(crate) rtt: Option<Duration>,
    pub(crate) judged: Judged,
    pub(crate) judged_at: Option<runtime::Instant>,
    /// The certificate of its hello, to judge again when our trust or the time changes.
    pub(crate) certificate: Bytes,
    /// Differs after each start of the neighbour's process.
    pub(crate) boot: Option<[u8; 16]>,
    /// What the neighbour takes us for, in its words: a standing, or why our certificate was refused.
    pub(crate) takes_us_for: Option<String>,
    pub(crate) streams_in: Arc<AtomicUsize>,
    /// Whether it was heard since the vigil looked last.
    pub(crate) is_heard: bool,
    /// When its table of members is next compared with ours.
    pub(crate) next_members: Option<runtime::Instant>,
    pub(crate) next_repair: Option<runtime::Instant>,
    pub(crate) repairing: bool,
    /// When the last round of repair began.
    pub(crate) round_begun: Option<runtime::Instant>,
    /// The neighbour may have more for us than the round under way brings.
    pub(crate) has_news: bool,
    /// Wall time of the last repair round that brought everything, ms since the Unix epoch.
    pub(crate) repaired_ms: Option<u64>,
}

impl Neighbour {
    pub(crate) fn new(key: PublicKey, address: Option<Multiaddr>, dialled: bool) -> Neighbour {
        Neighbour {
            key,
            connections: 1,
            since_ms: runtime::wall_ms(),
            hello_due: runtime::now(),
            address,
            dialled,
            rtt: None,
            judged: Judged { standing: Standing::Unjudged, until_ms: None, from_ms: None },
            judged_at: None,
            certificate: Bytes::new(),
            boot: None,
            takes_us_for: None,
            streams_in: Arc::default(),
            is_heard: true,
            next_members: None,
            next_repair: None,
            repairing: false,
            round_begun: None,
            has_news: false,
            repaired_ms: None,
        }
    }

    /// A round of repair soon, or after the one under way.
    pub(crate) fn ask_again(&mut self, now: runtime::Instant) {
        self.has_news = true;
        if !self.repairing {
            let soonest = self.round_begun.map_or(now, |begun| (begun + ROUND_PAUSE).max(now));
            self.next_repair = self.next_repair.map(|at| at.min(soonest)).or(Some(soonest));
        }
    }
}

pub(crate) struct Shared {
    pub(crate) key: SecretKey,
    pub(crate) me: PublicKey,
    /// Differs after each start of this process.
    pub(crate) boot: [u8; 16],
    /// Program and version, told to neighbours for people to read.
    pub(crate) agent: AgentString,
    /// Of a gateway between two meshes: nothing that is said in one of them is told in the other.
    pub(crate) separates: bool,
    pub(crate) identity: Mutex<Identity>,
    pub(crate) trust: Mutex<Arc<Trust>>,
    /// What cards of our domain others may be shown.
    pub(crate) exports: Mutex<Arc<Exports>>,
    /// What the licences of peers let in, and what is used of them.
    pub(crate) meter: Mutex<Meter>,
    pub(crate) neighbours: Mutex<BTreeMap<PeerId, Neighbour>>,
    pub(crate) links: Mutex<BTreeMap<(PeerId, Class), Link>>,
    pub(crate) handlers: Mutex<BTreeMap<Class, Handler>>,
    pub(crate) task_handler: Mutex<Option<TaskHandler>>,
    /// The node that answered for a domain last, or was named as its leader.
    pub(crate) leaders: Mutex<BTreeMap<DomainId, PublicKey>>,
    pub(crate) directory: Mutex<Directory>,
    pub(crate) members: Mutex<Membership>,
    pub(crate) rosters: Mutex<Rosters>,
    pub(crate) listening: Mutex<Vec<Multiaddr>>,
    pub(crate) advertise: Vec<Multiaddr>,
    pub(crate) bootstraps: usize,
    pub(crate) counters: Mutex<BTreeMap<String, u64>>,
    pub(crate) gossip: Arc<GossipTally>,
    pub(crate) forks: Forks,
    pub(crate) control: libp2p_stream::Control,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) events: broadcast::Sender<MeshEvent>,
    pub(crate) member_ping_every: Duration,
    /// Set once: from then on our heartbeats say that we leave.
    pub(crate) leaving: AtomicBool,
    /// Tasks that live as long as the mesh; ended by its end.
    pub(crate) tasks: Mutex<Vec<runtime::JoinHandle<()>>>,
    /// Woken whenever a standing changes.
    pub(crate) judged: Notify,
}

impl Shared {
    /// Counts something worth knowing, by its stable name.
    pub(crate) fn count(&self, name: &str) {
        let mut counters = self.counters.lock();
        match counters.get_mut(name) {
            Some(count) => *count += 1,
            // Names come from our own code, so the map is bounded.
            None => drop(counters.insert(name.to_owned(), 1)),
        }
    }

    pub(crate) fn tell(&self, event: MeshEvent) {
        // Nobody listening is fine.
        let _ = self.events.send(event);
    }

    pub(crate) fn trust(&self) -> Arc<Trust> {
        self.trust.lock().clone()
    }

    /// Counts so many events of a peer against its licence, all or none.
    pub(crate) fn admit(&self, peer: &DomainId, events: u32) -> Result<(), OverLicence> {
        let now_ms = runtime::now().as_ns() / 1_000_000;
        let verdict = self.meter.lock().admit(peer, events, now_ms, runtime::wall_ms());
        verdict.inspect_err(|over| self.count(over.name()))
    }

    pub(crate) fn exports(&self) -> Arc<Exports> {
        self.exports.lock().clone()
    }

    pub(crate) fn own_domain(&self) -> Option<DomainId> {
        self.identity.lock().domain
    }

    /// The neighbour's standing; `None` when it is not connected.
    pub(crate) fn standing(&self, peer: &PeerId) -> Option<Standing> {
        self.neighbours.lock().get(peer).map(|neighbour| neighbour.judged.standing.clone())
    }

    /// Notes bytes of a neighbour that only it can have sent. Answers its standing; `None` when it is not connected.
    pub(crate) fn heard(&self, peer: &PeerId) -> Option<Standing> {
        let mut neighbours = self.neighbours.lock();
        let neighbour = neighbours.get_mut(peer)?;
        neighbour.is_heard = true;
        Some(neighbour.judged.standing.clone())
    }

    /// The neighbour's standing once its hello was judged, or what it is when that takes too long.
    pub(crate) async fn standing_when_judged(&self, peer: &PeerId) -> Option<Standing> {
        let judged = async {
            loop {
                let woken = self.judged.notified();
                match self.standing(peer) {
                    Some(standing) if !standing.is_judged() => woken.await,
                    decided => return decided,
                }
            }
        };
        match runtime::timeout(STANDING_WAIT, judged).await {
            Ok(decided) => decided,
            Err(runtime::Elapsed) => self.standing(peer),
        }
    }

    /// The caller behind a stream, if its standing allows the class now.
    pub(crate) fn caller(&self, peer: &PeerId, permits: impl Fn(&Standing) -> bool) -> Result<Caller, String> {
        let Some(standing) = self.heard(peer) else { return Err("not connected".to_owned()) };
        let Some(node) = peer::node_key(peer) else { return Err("no ed25519 node key".to_owned()) };
        if !permits(&standing) {
            return Err(match &standing {
                Standing::Stranger { refused: Some(refused), .. } => format!("stranger: {refused}"),
                other => other.name().to_owned(),
            });
        }
        Ok(Caller { node, domain: standing.domain(), own: standing.is_own() })
    }

    /// Takes one of the neighbour's inbound streams; `None` when it has too many.
    pub(crate) fn stream_place(&self, peer: &PeerId) -> Option<StreamPlace> {
        let open = self.neighbours.lock().get(peer).map(|neighbour| neighbour.streams_in.clone())?;
        if open.fetch_add(1, Ordering::Relaxed) >= STREAMS_IN_PER_PEER {
            open.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(StreamPlace(open))
    }

    /// Keeps what a hello said and judges it. The answer is what the neighbour is to us now.
    pub(crate) fn judge_hello(&self, peer: &PeerId, certificate: Bytes) -> Option<Judged> {
        let key = peer::node_key(peer)?;
        let judged = judge(&certificate, &key, &self.trust(), runtime::wall_ms());
        {
            let mut neighbours = self.neighbours.lock();
            let neighbour = neighbours.get_mut(peer)?;
            neighbour.certificate = certificate;
        }
        self.enter(peer, &judged);
        Some(judged)
    }

    /// Judges again all neighbours that `which` names: the time or our trust has changed.
    pub(crate) fn judge_again(&self, which: impl Fn(&Neighbour) -> bool) {
        let again: Vec<(PeerId, PublicKey, Bytes)> = self
            .neighbours
            .lock()
            .iter()
            .filter(|(_, neighbour)| neighbour.judged.standing.is_judged() && which(neighbour))
            .map(|(peer, neighbour)| (*peer, neighbour.key, neighbour.certificate.clone()))
            .collect();
        for (peer, key, certificate) in again {
            let judged = judge(&certificate, &key, &self.trust(), runtime::wall_ms());
            self.enter(&peer, &judged);
        }
    }

    fn enter(&self, peer: &PeerId, judged: &Judged) {
        let key = {
            let mut neighbours = self.neighbours.lock();
            let Some(neighbour) = neighbours.get_mut(peer) else { return };
            let changed = neighbour.judged != *judged;
            neighbour.judged = judged.clone();
            let now = runtime::now();
            neighbour.judged_at.get_or_insert(now);
            neighbour.next_repair.get_or_insert(now);
            neighbour.next_members.get_or_insert(now);
            if !changed {
                return;
            }
            // It may show us more than before.
            neighbour.ask_again(now);
            neighbour.key
        };
        if let (Some(domain), Some(until_ms)) = (judged.standing.domain(), judged.until_ms) {
            self.members.lock().certify(key, domain, until_ms);
        }
        if let Standing::Stranger { refused: Some(refused), claims } = &judged.standing {
            self.count(refused.name());
            if let (Refused::RootForked, Some(domain)) = (refused, claims) {
                self.forks.shown(*domain);
            }
            tracing::warn!(node = %key, refused = refused.name(), "a neighbour's certificate was refused");
        }
        self.judged.notify_waiters();
        // A full queue only delays the score: the driver looks at all standings at its next tick.
        let _ = self.commands.try_send(Command::Judged(*peer));
        self.tell(MeshEvent::NeighbourUp { node: key, standing: judged.standing.clone() });
    }

    /// Starts a task that ends with the mesh.
    pub(crate) fn keep(&self, task: impl Future<Output = ()> + Send + 'static) {
        let handle = runtime::spawn(task);
        self.tasks.lock().push(handle);
    }

    /// Addresses that others may reach us at.
    pub(crate) fn addresses(&self) -> Vec<Multiaddr> {
        if self.advertise.is_empty() { self.listening.lock().clone() } else { self.advertise.clone() }
    }
}

/// One inbound stream of a neighbour, given back when dropped.
pub(crate) struct StreamPlace(Arc<AtomicUsize>);

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A number in [0, 1) from the host's randomness.
pub(crate) fn chance() -> f64 {
    let mut bytes = [0; 4];
    runtime::entropy(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / 4_294_967_296.0
}
