//! The one task that owns the swarm: turns its events into shared state and our commands into its calls.
//!
//! It never waits for anything but the swarm, its commands and its tick, and never verifies a signature: gossip goes to
//! the validator, hellos and repairs to tasks of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use comity_proto::ids::Hash;
use comity_runtime as runtime;
use futures::{FutureExt, StreamExt, select_biased};
use libp2p::core::{ConnectedPoint, Endpoint};
use libp2p::gossipsub::{self, MessageAcceptance, MessageId, PublishError};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, mdns, ping};
use tokio::sync::{mpsc, oneshot};

use super::behaviour::{MeshBehaviour, MeshBehaviourEvent};
use super::dial::{AddressBook, Target};
use super::limits::{CONNECTIONS_PENDING_OUT, HELLO_DEADLINE, OUTBOX_MESSAGES, SILENT_GOSSIP_AFTER, TICK};
use super::members::Input;
use super::shared::{MeshEvent, Neighbour, Shared, chance};
use super::topics::Topic;
use super::validate::Incoming;
use super::{hello, peer, reach, repair, vigil};

/// What other tasks ask of the swarm.
pub(crate) enum Command {
    /// Sends a signed message to the mesh.
    Publish(Topic, Bytes),
    /// The validator's verdict on a gossiped message.
    Verdict(MessageId, PeerId, MessageAcceptance),
    /// A proved node told its addresses.
    Learn(PeerId, Vec<Multiaddr>),
    /// The operator gave an address.
    Configure(Multiaddr),
    /// The node said that it leaves.
    Forget(PeerId),
    /// A standing changed.
    Judged(PeerId),
    /// All connections to the node are closed; the address book dials again.
    Reset(PeerId),
    /// Our identity changed: every neighbour hears a new hello.
    HelloAll,
    /// Ends the mesh.
    Shutdown(oneshot::Sender<()>),
}

pub(crate) struct Driver {
    pub(crate) swarm: Swarm<MeshBehaviour>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) validator: mpsc::Sender<Incoming>,
    pub(crate) book: AddressBook,
    /// Dials under way, to know which target failed.
    pub(crate) dials: BTreeMap<ConnectionId, Target>,
    /// Published while nobody was subscribed, by digest: sent again when somebody is.
    pub(crate) outbox: BTreeMap<Hash, (Topic, Bytes)>,
    /// Our heartbeat has left at least once.
    pub(crate) announced: bool,
    pub(crate) repair_every: (Duration, Duration),
}

impl Driver {
    /// Runs until [`Command::Shutdown`] or until every handle is gone.
    pub(crate) async fn run(mut self) {
        let mut next_heartbeat = runtime::now();
        let mut tick = Box::pin(runtime::sleep(Duration::ZERO).fuse());
        loop {
            select_biased! {
                command = self.commands.recv().fuse() => match command {
                    None => return,
                    Some(Command::Shutdown(done)) => {
                        self.close().await;
                        let _ = done.send(());
                        return;
                    }
                    Some(command) => self.on_command(command),
                },
                () = tick => {
                    tick = Box::pin(runtime::sleep(TICK).fuse());
                    self.on_tick();
                    if runtime::now() >= next_heartbeat {
                        next_heartbeat = runtime::now() + self.shared.members.lock().heartbeat_every();
                        self.heartbeat();
                    }
                }
                event = self.swarm.select_next_some() => self.on_event(event),
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish(topic, data) => {
                self.publish(topic, data);
            }
            Command::Verdict(id, source, verdict) => {
                self.swarm.behaviour_mut().gossip.report_message_validation_result(&id, &source, verdict);
            }
            Command::Learn(peer, addresses) => self.book.learn(peer, addresses),
            Command::Configure(address) => self.book.configure(&address),
            Command::Forget(peer) => self.book.forget(peer),
            Command::Judged(peer) => {
                self.score(peer);
                self.repair_due();
                reach::announce(&self.shared, |other, neighbour| {
                    *other == peer && neighbour.judged.standing.is_known()
                });
            }
            Command::Reset(peer) => {
                let _ = self.swarm.disconnect_peer_id(peer);
            }
            Command::HelloAll => {
                let peers: Vec<PeerId> = self.shared.neighbours.lock().keys().copied().collect();
                peers.into_iter().for_each(|peer| hello::start(&self.shared, peer));
            }
            // Taken by the loop.
            Command::Shutdown(_) => {}
        }
    }

    /// Lets what was published last leave, then closes all connections in an orderly way.
    async fn close(&mut self) {
        let grace = runtime::sleep(Duration::from_millis(150)).fuse();
        futures::pin_mut!(grace);
        loop {
            select_biased! {
                () = grace => break,
                event = self.swarm.select_next_some() => self.on_event(event),
            }
        }
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closing = async {
            while self.swarm.connected_peers().next().is_some() {
                let event = self.swarm.select_next_some().await;
                self.on_event(event);
            }
        };
        let _ = runtime::timeout(Duration::from_secs(1), closing).await;
    }

    /// Whether somebody takes it.
    fn publish(&mut self, topic: Topic, data: Bytes) -> bool {
        match self.swarm.behaviour_mut().gossip.publish(topic.ident(), data.to_vec()) {
            Ok(_) | Err(PublishError::Duplicate) => return true,
            Err(PublishError::NoPeersSubscribedToTopic | PublishError::AllQueuesFull(_)) => {
                // A word about members is stale by then, and repair brings it.
                if topic != Topic::Members && self.outbox.len() < OUTBOX_MESSAGES {
                    self.outbox.insert(Hash::of(&data), (topic, data));
                }
            }
            Err(error) => {
                self.shared.count("publish_failed");
                tracing::warn!(topic = topic.name(), %error, "a message could not be published");
            }
        }
        false
    }

    fn heartbeat(&mut self) {
        if let Some(beat) = super::membership::own_heartbeat(&self.shared, 0) {
            self.announced |= self.publish(Topic::Members, beat);
        }
    }

    fn on_tick(&mut self) {
        let now_ms = runtime::wall_ms();
        self.shared.judge_again(|neighbour| neighbour.judged.is_over(now_ms));
        self.shared.directory.lock().fade(now_ms);
        self.hello_overdue();
        self.silent_gossip();
        self.dial_due();
        self.repair_due();
    }

    /// A neighbour whose hello never came, or broke, is greeted by us.
    fn hello_overdue(&mut self) {
        let now = runtime::now();
        let overdue: Vec<PeerId> = self
            .shared
            .neighbours
            .lock()
            .iter_mut()
            .filter(|(_, neighbour)| !neighbour.judged.standing.is_judged())
            .filter(|(_, neighbour)| now >= neighbour.hello_due + HELLO_DEADLINE)
            .map(|(peer, neighbour)| {
                // Greeted again only after another deadline.
                neighbour.hello_due = now;
                *peer
            })
            .collect();
        overdue.into_iter().for_each(|peer| hello::start(&self.shared, peer));
    }

    /// Gossip announces subscriptions once per first connection. A neighbour that greeted us but announced none has
    /// missed ours too, or we missed its: only a fresh connection repairs that.
    fn silent_gossip(&mut self) {
        let now = runtime::now();
        let gossip = &self.swarm.behaviour().gossip;
        let spoken: BTreeMap<PeerId, usize> = gossip.all_peers().map(|(peer, topics)| (*peer, topics.len())).collect();
        let silent: Vec<PeerId> = self
            .shared
            .neighbours
            .lock()
            .iter()
            .filter(|(_, neighbour)| neighbour.judged_at.is_some_and(|at| now >= at + SILENT_GOSSIP_AFTER))
            .map(|(peer, _)| *peer)
            // A node that speaks no gossip at all is not in the table.
            .filter(|peer| spoken.get(peer) == Some(&0))
            .collect();
        for peer in silent {
            self.shared.count("reconnect_silent_gossip");
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    fn dial_due(&mut self) {
        let room = (CONNECTIONS_PENDING_OUT as usize).saturating_sub(self.dials.len());
        for (target, addresses) in self.book.due(runtime::now().as_ns(), room) {
            let options = match &target {
                Target::Node(peer) => DialOpts::peer_id(*peer)
                    .condition(PeerCondition::DisconnectedAndNotDialing)
                    .addresses(addresses)
                    .build(),
                Target::Address(address) => DialOpts::unknown_peer_id().address(address.clone()).build(),
            };
            let id = options.connection_id();
            match self.swarm.dial(options) {
                Ok(()) => drop(self.dials.insert(id, target)),
                Err(_) => self.book.failed(&target, runtime::now().as_ns(), chance()),
            }
        }
    }

    fn repair_due(&mut self) {
        let now = runtime::now();
        let due: Vec<(PeerId, bool)> = self
            .shared
            .neighbours
            .lock()
            .iter_mut()
            .filter(|(_, neighbour)| !neighbour.repairing && neighbour.next_repair.is_some_and(|at| at <= now))
            .map(|(peer, neighbour)| {
                neighbour.repairing = true;
                neighbour.round_begun = Some(now);
                (*peer, std::mem::take(&mut neighbour.has_news))
            })
            .collect();
        due.into_iter().for_each(|(peer, news)| repair::start(&self.shared, peer, news, self.repair_every));
    }

    fn score(&mut self, peer: PeerId) {
        if let Some(standing) = self.shared.standing(&peer) {
            self.swarm.behaviour_mut().gossip.set_application_score(&peer, standing.gossip_score());
        }
    }

    fn on_event(&mut self, event: SwarmEvent<MeshBehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(event) => self.on_behaviour(event),
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "listening");
                self.shared.listening.lock().push(address);
                self.shared.judged.notify_waiters();
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.shared.listening.lock().retain(|known| *known != address);
            }
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, num_established, .. } => {
                self.dials.remove(&connection_id);
                self.on_connected(peer_id, &endpoint, num_established.get());
            }
            SwarmEvent::ConnectionClosed { peer_id, num_established, .. } => self.on_closed(peer_id, num_established),
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(target) = self.dials.remove(&connection_id) {
                    tracing::debug!(?target, %error, "a dial failed");
                    self.book.failed(&target, runtime::now().as_ns(), chance());
                }
            }
            _ => {}
        }
    }

    fn on_connected(&mut self, peer: PeerId, endpoint: &ConnectedPoint, established: u32) {
        let Some(key) = peer::node_key(&peer) else {
            self.shared.count("peer_without_ed25519_key");
            let _ = self.swarm.disconnect_peer_id(peer);
            return;
        };
        let dialled = match endpoint {
            ConnectedPoint::Dialer { address, .. } => Some(address),
            ConnectedPoint::Listener { .. } => None,
        };
        self.book.connected(peer, dialled);
        {
            let mut neighbours = self.shared.neighbours.lock();
            let address = endpoint.get_remote_address().clone();
            let fresh = || Neighbour::new(key, Some(address), dialled.is_some());
            neighbours.entry(peer).or_insert_with(fresh).connections = established;
        }
        if established == 1 {
            self.score(peer);
            vigil::feed(&self.shared, Input::Connected(key));
        }
        // Both ends of a simultaneous dial greet; a second hello in the same session changes nothing. On a later
        // connection a hello is due as well: the neighbour may have restarted while its old connection looks alive.
        if endpoint.to_endpoint() == Endpoint::Dialer {
            hello::start(&self.shared, peer);
        }
    }

    fn on_closed(&mut self, peer: PeerId, established: u32) {
        if established > 0 {
            if let Some(neighbour) = self.shared.neighbours.lock().get_mut(&peer) {
                neighbour.connections = established;
            }
            return;
        }
        let gone = self.shared.neighbours.lock().remove(&peer);
        self.shared.links.lock().retain(|(of, _), _| *of != peer);
        self.shared.judged.notify_waiters();
        self.book.disconnected(peer, runtime::now().as_ns(), chance());
        if let Some(neighbour) = gone {
            vigil::feed(&self.shared, Input::Disconnected(neighbour.key));
            self.shared.tell(MeshEvent::NeighbourDown { node: neighbour.key });
        }
    }

    fn on_behaviour(&mut self, event: MeshBehaviourEvent) {
        match event {
            MeshBehaviourEvent::Gossip(event) => self.on_gossip(event),
            MeshBehaviourEvent::Ping(ping::Event { peer, result: Ok(rtt), .. }) => {
                if let Some(neighbour) = self.shared.neighbours.lock().get_mut(&peer) {
                    neighbour.rtt = Some(rtt);
                }
            }
            // A broken ping means a dead path: the connection is given up rather than kept half alive.
            MeshBehaviourEvent::Ping(ping::Event { connection, result: Err(ping::Failure::Timeout), .. }) => {
                self.swarm.close_connection(connection);
            }
            MeshBehaviourEvent::Mdns(mdns::Event::Discovered(found)) => {
                for (peer, address) in found {
                    self.book.learn(peer, [address]);
                }
            }
            _ => {}
        }
    }

    fn on_gossip(&mut self, event: gossipsub::Event) {
        match event {
            gossipsub::Event::Message { propagation_source, message_id, message } => {
                let Some(topic) = Topic::from_hash(&message.topic) else { return };
                let incoming =
                    Incoming { id: message_id.clone(), source: propagation_source, topic, data: message.data.into() };
                if self.validator.try_send(incoming).is_err() {
                    // Not the sender's fault, and repair brings a card again.
                    self.shared.count("gossip_validation_full");
                    self.swarm.behaviour_mut().gossip.report_message_validation_result(
                        &message_id,
                        &propagation_source,
                        MessageAcceptance::Ignore,
                    );
                }
            }
            gossipsub::Event::Subscribed { topic, .. } => {
                let Some(topic) = Topic::from_hash(&topic) else { return };
                let waiting = std::mem::take(&mut self.outbox);
                let (now, later) = waiting.into_iter().partition(|(_, (of, _))| *of == topic);
                self.outbox = later;
                let now: BTreeMap<Hash, (Topic, Bytes)> = now;
                for (topic, data) in now.into_values() {
                    self.publish(topic, data);
                }
                // Later neighbours learn it by repair at their connect.
                if topic == Topic::Members && !self.announced {
                    self.heartbeat();
                }
            }
            gossipsub::Event::SlowPeer { peer_id, .. } => {
                self.shared.count("gossip_slow_neighbour");
                tracing::debug!(peer = %peer_id, "a neighbour takes gossip too slowly");
            }
            gossipsub::Event::Unsubscribed { .. } | gossipsub::Event::GossipsubNotSupported { .. } => {}
        }
    }
}
