//! Classes of streams: who may open which, and how large their frames may be.
//!
//! One long-lived stream per neighbour and class, so a snapshot never holds up a Raft heartbeat.

use libp2p::StreamProtocol;

use comity_proto::limits::{MEMBERS_BYTES_MAX, REPAIR_BYTES_MAX, TREATY_PUSH_BYTES_MAX};

use super::limits::{FRAME_MAX_BYTES, FRAME_OVERHEAD_BYTES};
use super::standing::Standing;

/// Largest body of a join request or its answer.
pub const JOIN_BODY_MAX_BYTES: usize = 16 * 1024;

/// A frame of settlement and who says it to whom; or cards with their passages.
pub const BRIDGE_BODY_MAX_BYTES: usize = 2 * 1024 * 1024 + 4 * 1024;

/// What a stream is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Consensus inside one domain.
    Raft,
    /// A follower hands a client's entry to the leader.
    Forward,
    /// Snapshot chunks for a lagging node.
    Snapshot,
    /// Two-phase commit between domains.
    Settlement,
    /// One question and one answer about a task (a streamed reply uses a task stream).
    Tasks,
    /// Anti-entropy of cards.
    Repair,
    /// A node with an invitation asks to be certified.
    Join,
    /// What domains tell each other about their treaty; the first word comes from a stranger.
    Treaty,
    /// Who lives: pings, questions to helpers, and repair of the table of members.
    Members,
    /// What a treaty partner believes about us.
    Drift,
    /// Through a gateway: cards with their passage, and frames between two domains that are not connected.
    Bridge,
}

impl Class {
    /// All classes, in a fixed order.
    pub const ALL: [Class; 11] = [
        Class::Raft,
        Class::Forward,
        Class::Snapshot,
        Class::Settlement,
        Class::Tasks,
        Class::Repair,
        Class::Join,
        Class::Treaty,
        Class::Members,
        Class::Drift,
        Class::Bridge,
    ];

    /// Position in [`Class::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The protocol name on the wire.
    pub const fn protocol(self) -> StreamProtocol {
        StreamProtocol::new(match self {
            Class::Raft => "/comity/raft/1",
            Class::Forward => "/comity/forward/1",
            Class::Snapshot => "/comity/snapshot/1",
            Class::Settlement => "/comity/settlement/1",
            Class::Tasks => "/comity/tasks/1",
            Class::Repair => "/comity/repair/1",
            Class::Join => "/comity/join/1",
            Class::Treaty => "/comity/treaty/1",
            Class::Members => "/comity/members/1",
            Class::Drift => "/comity/drift/1",
            Class::Bridge => "/comity/bridge/1",
        })
    }

    /// Largest body in bytes, in both directions.
    pub const fn body_max(self) -> usize {
        match self {
            Class::Raft | Class::Snapshot => FRAME_MAX_BYTES - FRAME_OVERHEAD_BYTES,
            Class::Forward | Class::Settlement | Class::Tasks | Class::Drift => 2 * 1024 * 1024,
            Class::Bridge => BRIDGE_BODY_MAX_BYTES,
            Class::Repair => REPAIR_BYTES_MAX,
            Class::Join => JOIN_BODY_MAX_BYTES,
            Class::Treaty => TREATY_PUSH_BYTES_MAX,
            Class::Members => MEMBERS_BYTES_MAX,
        }
    }

    /// Whether a neighbour of this standing may open the class and send requests on it.
    pub fn permits(self, standing: &Standing) -> bool {
        match self {
            Class::Raft | Class::Forward | Class::Snapshot => standing.is_own(),
            Class::Settlement | Class::Tasks | Class::Drift | Class::Bridge => standing.is_known(),
            Class::Repair | Class::Join | Class::Treaty | Class::Members => true,
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Class::Raft => "raft",
            Class::Forward => "forward",
            Class::Snapshot => "snapshot",
            Class::Settlement => "settlement",
            Class::Tasks => "tasks",
            Class::Repair => "repair",
            Class::Join => "join",
            Class::Treaty => "treaty",
            Class::Members => "members",
            Class::Drift => "drift",
            Class::Bridge => "bridge",
        })
    }
}

/// Protocol of the hello exchange.
pub(crate) const HELLO_PROTOCOL: StreamProtocol = StreamProtocol::new("/comity/hello/1");
/// Protocol of task streams: one substream per task, many frames each way.
pub(crate) const TASK_STREAM_PROTOCOL: StreamProtocol = StreamProtocol::new("/comity/task-stream/1");
/// Protocol name told by identify.
pub(crate) const IDENTIFY_PROTOCOL: &str = "/comity/id/1";
