//! Every limit of the mesh in one place, with the relations between them checked at compile time.
//!
//! Units are in the names. A limit that a neighbour can run into is checked before memory is taken for it.

use std::time::Duration;

use comity_proto::limits as proto;

/// Connections to one neighbour. One would break simultaneous dials (both ends keep a different one).
pub const CONNECTIONS_PER_PEER: u32 = 2;
/// Inbound connections that have not finished their handshake.
pub const CONNECTIONS_PENDING_IN: u32 = 32;
/// Outbound connections that have not finished their handshake.
pub const CONNECTIONS_PENDING_OUT: u32 = 32;
/// Established inbound connections.
pub const CONNECTIONS_ESTABLISHED_IN: u32 = 128;
/// Established connections, both directions.
pub const CONNECTIONS_TOTAL: u32 = 256;
/// Substreams that one connection may hold open (yamux).
pub const SUBSTREAMS_PER_CONNECTION: usize = 256;
/// Substreams of one neighbour that we serve at once, over all classes.
pub const STREAMS_IN_PER_PEER: usize = 48;

/// Requests that one link (neighbour and class) has on the wire at once, and that the serving end works on at once.
pub const IN_FLIGHT_PER_LINK: usize = 64;
/// Callers that may wait for one of those places; the next one is refused as busy.
pub const WAITING_PER_LINK: usize = 1024;
/// Request bytes on the way on one link.
pub const BYTES_PER_LINK: usize = 16 * 1024 * 1024;
/// Largest frame of any class, header included.
pub const FRAME_MAX_BYTES: usize = proto::FRAME_BYTES_MAX;
/// Largest frame that is read from a neighbour which may not use the class: enough to tell it so.
pub const FRAME_UNPERMITTED_BYTES: usize = 64 * 1024;
/// What the frame header (id, kind, deadline, field tags) may add to a body.
pub const FRAME_OVERHEAD_BYTES: usize = 64;
/// Write buffer of a stream: many small frames leave as one noise packet.
pub const WRITE_BUFFER_BYTES: usize = 64 * 1024;
/// A neighbour that takes no byte for so long loses the stream.
pub const WRITE_STALL: Duration = Duration::from_secs(10);
/// Opening a substream to a connected neighbour.
pub const OPEN_DEADLINE: Duration = Duration::from_secs(5);
/// Longest deadline that a request may carry.
pub const REQUEST_DEADLINE_MAX: Duration = Duration::from_secs(120);
/// An inbound stream that came before its neighbour's hello was judged waits at most so long.
pub const STANDING_WAIT: Duration = Duration::from_secs(5);

/// The whole hello exchange.
pub const HELLO_DEADLINE: Duration = Duration::from_secs(5);
/// Largest hello: certificate, roster and addresses, in its greeting.
pub const HELLO_MAX_BYTES: usize = proto::HELLO_BYTES_MAX + 64;
/// Addresses kept per node.
pub const ADDRESSES_PER_NODE: usize = proto::ENDPOINTS_MAX;
/// Nodes in the address book.
pub const ADDRESS_BOOK_NODES: usize = 1024;
/// Redial back-off: 1, 2, 4, then 8 s, each with jitter.
pub const REDIAL_FIRST: Duration = Duration::from_secs(1);
/// See [`REDIAL_FIRST`].
pub const REDIAL_LONGEST: Duration = Duration::from_secs(8);

/// Gossiped agent card, envelope included.
pub const CARD_MAX_BYTES: usize = proto::CARD_BYTES_MAX;
/// Gossiped domain card, envelope included.
pub const DOMAIN_CARD_MAX_BYTES: usize = proto::CARD_BYTES_MAX;
/// Gossiped heartbeat, envelope and certificate included.
pub const HEARTBEAT_MAX_BYTES: usize = proto::HEARTBEAT_BYTES_MAX + proto::ENVELOPE_OVERHEAD_BYTES;
/// Gossip messages that wait for validation; the next one is ignored (repair brings it again).
pub const VALIDATION_QUEUE: usize = 512;
/// Gossip messages queued towards one slow neighbour.
pub const GOSSIP_QUEUE_PER_PEER: usize = 256;

/// Cards of one home domain, however many agents it claims.
pub const CARDS_PER_HOME: usize = 1_000;
/// Cards whose home is none of the domains we know: a crowd of made-up domains cannot push out the others.
pub const CARDS_OF_UNKNOWN_HOMES: usize = 2_000;
/// All agent cards.
pub const CARDS_TOTAL: usize = 10_000;
/// All domain cards.
pub const DOMAIN_CARDS_TOTAL: usize = 1_000;
/// An expired card is shown as stale for so long, then dropped.
pub const STALE_SHOWN_MS: u64 = 60 * 60 * 1000;
/// Tolerated difference of wall clocks between nodes.
pub const CLOCK_SKEW_MS: u64 = 5 * 60 * 1000;

/// Anti-entropy with one neighbour: at connect, then at a random moment in this range.
pub const REPAIR_EVERY: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(30));
/// Digests in one page.
pub const REPAIR_PAGE: usize = 1_000;
/// Cards asked for at once.
pub const REPAIR_FETCH: usize = proto::CARDS_PER_REPLY_MAX;
/// Pages read from one neighbour in one round.
pub const REPAIR_PAGES_PER_ROUND: usize = 32;

/// Nodes in the membership table.
pub const MEMBERS_TOTAL: usize = 2_000;
/// Own heartbeat in a small mesh. Who lives is found out by pings; heartbeats carry what changes rarely.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// Between two heartbeats of anybody in a large mesh: all of them together take one signature check in that time.
pub const HEARTBEATS_SPACING: Duration = Duration::from_millis(500);
/// A quiet neighbour is pinged so often.
pub const PING_EVERY: Duration = Duration::from_secs(1);
/// Pings of one node in that time.
pub const PINGS_PER_PERIOD: u64 = 16;
/// A member that left or failed is shown for so long.
pub const GONE_KEPT_MS: u64 = 24 * 60 * 60 * 1000;
/// Members that one round of repair asks a neighbour about at most, in pages.
pub const MEMBER_PAGES_PER_ROUND: usize = 4;
/// Neighbours that one node repairs its table with in one pause between repairs.
pub const MEMBER_REPAIRS_AT_ONCE: u32 = 4;
/// Members whose list is one load of repair; more are repaired more rarely.
pub const MEMBERS_PER_REPAIR: usize = 250;

/// The driver looks at dials, hellos, repairs and expiries so often.
pub const TICK: Duration = Duration::from_millis(500);
/// A neighbour that greeted us but announced no topic for so long gets a fresh connection.
pub const SILENT_GOSSIP_AFTER: Duration = Duration::from_secs(6);
/// Messages kept for sending again because nobody was subscribed.
pub const OUTBOX_MESSAGES: usize = 256;
/// Rosters kept, one per domain.
pub const ROSTERS_TOTAL: usize = 1_024;
/// Cards changed since the last write to the store.
pub const CHANGES_QUEUED: usize = 4_096;
/// Changed cards are written together after so long.
pub const STORE_EVERY: Duration = Duration::from_millis(250);

/// Events that a slow listener may lag behind before it is told that it lost some.
pub const EVENTS_QUEUED: usize = 1024;
/// Commands on their way to the swarm.
pub const COMMANDS_QUEUED: usize = 1024;

const _: () = {
    assert!(CONNECTIONS_PER_PEER >= 2);
    assert!(CONNECTIONS_ESTABLISHED_IN < CONNECTIONS_TOTAL);
    assert!(FRAME_MAX_BYTES <= BYTES_PER_LINK);
    assert!(HELLO_MAX_BYTES <= FRAME_MAX_BYTES);
    assert!(CARDS_OF_UNKNOWN_HOMES + CARDS_PER_HOME <= CARDS_TOTAL);
    // A reply to a fetch holds every card asked for, whatever their sizes.
    assert!(REPAIR_FETCH * (CARD_MAX_BYTES + 8) <= proto::REPAIR_BYTES_MAX);
    assert!(REPAIR_PAGE <= proto::DIGESTS_MAX);
    assert!(REPAIR_PAGE * REPAIR_PAGES_PER_ROUND >= CARDS_TOTAL + DOMAIN_CARDS_TOTAL);
    assert!(STREAMS_IN_PER_PEER <= SUBSTREAMS_PER_CONNECTION);
    assert!(MEMBER_PAGES_PER_ROUND * proto::MEMBERS_PER_PAGE_MAX >= MEMBERS_TOTAL);
    // The driver's tick, which sends heartbeats, is finer than their spacing.
    assert!(TICK.as_millis() <= HEARTBEATS_SPACING.as_millis());
    assert!(PING_EVERY.as_millis() < HEARTBEAT_EVERY.as_millis());
};
