//! The machine alone, fed by hand, and many machines on a network made of a list.

mod alone;
mod crowd;

use comity_proto::ids::PublicKey;

use super::timing::Timing;

pub(super) const TIMING: Timing = Timing { ping_every_ms: 1_000, heartbeat_every_ms: 5_000 };

pub(super) fn node(number: u8) -> PublicKey {
    PublicKey([number; 32])
}
