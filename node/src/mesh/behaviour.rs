//! The libp2p behaviours of a node and their settings.
//!
//! Gossip is anonymous at its own level: our signed envelopes inside carry the author, so no message is signed twice.
//! Deliberately absent: anything that trusts what identify or mDNS says; both only bring addresses to try.

use std::sync::Arc;
use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::gossipsub::{
    self, ConfigBuilder, MessageAuthenticity, MessageId, PeerScoreParams, PeerScoreThresholds, TopicScoreParams,
    ValidationMode, WhitelistSubscriptionFilter,
};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{identify, identity, mdns, memory_connection_limits, ping};
use sha2::{Digest, Sha256};

use super::class::IDENTIFY_PROTOCOL;
use super::config::MeshConfig;
use super::limits;
use super::tally::{Counting, GossipTally};
use super::topics::Topic;

/// Gossipsub over our closed list of topics.
pub(crate) type Gossip = gossipsub::Behaviour<Counting, WhitelistSubscriptionFilter>;

/// Everything that reacts to a connection.
#[derive(NetworkBehaviour)]
pub(crate) struct MeshBehaviour {
    pub(crate) limits: connection_limits::Behaviour,
    pub(crate) memory: Toggle<memory_connection_limits::Behaviour>,
    pub(crate) gossip: Gossip,
    pub(crate) streams: libp2p_stream::Behaviour,
    pub(crate) identify: identify::Behaviour,
    pub(crate) ping: ping::Behaviour,
    pub(crate) mdns: Toggle<mdns::tokio::Behaviour>,
}

/// Why the behaviours could not be set up: wrong settings of ours or of the operator.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Gossip settings contradict each other.
    #[error("gossip settings: {0}")]
    Gossip(String),
    /// mDNS could not open its sockets.
    #[error("mdns: {0}")]
    Mdns(std::io::Error),
    /// A listen address was refused.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// As configured.
        address: String,
        /// What the transport said.
        reason: String,
    },
    /// The keypair is no ed25519 key, or its node certificate names another key.
    #[error("node key: {0}")]
    Key(String),
}

impl MeshBehaviour {
    pub(crate) fn new(
        config: &MeshConfig,
        keypair: &identity::Keypair,
        tally: Arc<GossipTally>,
    ) -> Result<MeshBehaviour, SetupError> {
        let public = keypair.public();
        let identify = identify::Config::new(IDENTIFY_PROTOCOL.to_owned(), public.clone())
            .with_agent_version("comity".to_owned())
            .with_cache_size(0);
        let mdns = match config.mdns {
            false => None,
            true => Some(
                mdns::tokio::Behaviour::new(mdns::Config::default(), public.to_peer_id()).map_err(SetupError::Mdns)?,
            ),
        };
        Ok(MeshBehaviour {
            limits: connection_limits::Behaviour::new(connection_limits()),
            memory: Toggle::from(config.memory_max_bytes.map(memory_connection_limits::Behaviour::with_max_bytes)),
            gossip: gossip(config, Counting(tally))?,
            streams: libp2p_stream::Behaviour::new(),
            identify: identify::Behaviour::new(identify),
            ping: ping::Behaviour::new(ping::Config::new().with_interval(config.ping_every)),
            mdns: Toggle::from(mdns),
        })
    }
}

fn connection_limits() -> ConnectionLimits {
    ConnectionLimits::default()
        .with_max_pending_incoming(Some(limits::CONNECTIONS_PENDING_IN))
        .with_max_pending_outgoing(Some(limits::CONNECTIONS_PENDING_OUT))
        .with_max_established_incoming(Some(limits::CONNECTIONS_ESTABLISHED_IN))
        .with_max_established(Some(limits::CONNECTIONS_TOTAL))
        .with_max_established_per_peer(Some(limits::CONNECTIONS_PER_PEER))
}

/// Content-addressed: the same bytes on the same topic are the same message, whoever sends them.
fn message_id(message: &gossipsub::Message) -> MessageId {
    let mut hash = Sha256::new();
    hash.update(b"comity/v1/gossip\0");
    hash.update(message.topic.as_str().as_bytes());
    hash.update([0]);
    hash.update(&message.data);
    let digest: [u8; 32] = hash.finalize().into();
    MessageId::from(&digest[..20])
}

fn gossip(config: &MeshConfig, counting: Counting) -> Result<Gossip, SetupError> {
    let refused = |reason: &dyn std::fmt::Display| SetupError::Gossip(reason.to_string());
    // Up to ten nodes a thin mesh is enough; beyond that the defaults of the specification.
    let (target, low, high, outbound) = if config.expected_nodes <= 10 { (4, 2, 8, 1) } else { (6, 5, 12, 2) };
    let mut builder = ConfigBuilder::default();
    builder
        .validate_messages()
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(message_id)
        .protocol_id_prefix("/comity/gossip")
        .heartbeat_interval(config.gossip_heartbeat)
        .heartbeat_initial_delay(config.gossip_heartbeat.min(Duration::from_millis(500)))
        .history_length(12)
        .history_gossip(3)
        .duplicate_cache_time(Duration::from_secs(120))
        // Robust while every node can speak to every other; beyond that it would cost copies.
        .flood_publish(config.expected_nodes <= 50)
        .connection_handler_queue_len(limits::GOSSIP_QUEUE_PER_PEER)
        .max_transmit_size(limits::CARD_MAX_BYTES)
        .mesh_n(target)
        .mesh_n_low(low)
        .mesh_n_high(high)
        .mesh_outbound_min(outbound);
    for topic in Topic::ALL {
        let hash = topic.ident().hash();
        // The gossip frame adds the topic name and a few tags to our bytes.
        builder.max_transmit_size_for_topic(topic.max_bytes() + 128, hash);
    }
    let settings = builder.build().map_err(|error| refused(&error))?;
    let listed = WhitelistSubscriptionFilter(Topic::ALL.iter().map(|topic| topic.ident().hash()).collect());
    let anonymous = MessageAuthenticity::Anonymous;
    let mut gossip = Gossip::new_with_subscription_filter_and_transform(anonymous, settings, listed, counting)
        .map_err(|error| refused(&error))?;
    gossip.with_peer_score(score(), thresholds()).map_err(|error| refused(&error))?;
    for topic in Topic::ALL {
        gossip.subscribe(&topic.ident()).map_err(|error| refused(&error))?;
    }
    Ok(gossip)
}

/// Safe scoring: forged messages cost, silence on a quiet topic and many nodes behind one address do not.
fn score() -> PeerScoreParams {
    let topic = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 1_000.0,
        first_message_deliveries_weight: 0.5,
        first_message_deliveries_decay: gossipsub::score_parameter_decay(Duration::from_secs(600)),
        first_message_deliveries_cap: 40.0,
        // On a quiet topic these two punish honest neighbours until they are ignored.
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -20.0,
        invalid_message_deliveries_decay: gossipsub::score_parameter_decay(Duration::from_secs(600)),
        ..TopicScoreParams::default()
    };
    PeerScoreParams {
        topics: Topic::ALL.iter().map(|name| (name.ident().hash(), topic.clone())).collect(),
        topic_score_cap: 100.0,
        app_specific_weight: 1.0,
        // Loopback, container bridges and NAT put many honest nodes behind one address.
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: -10.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: gossipsub::score_parameter_decay(Duration::from_secs(600)),
        slow_peer_weight: -1.0,
        slow_peer_threshold: 10.0,
        retain_score: Duration::from_secs(3600),
        ..PeerScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -100.0,
        publish_threshold: -200.0,
        graylist_threshold: -400.0,
        accept_px_threshold: 10.0,
        opportunistic_graft_threshold: 1.0,
    }
}
