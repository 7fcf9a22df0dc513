//! Whom a fault hits: a machine by its number, or whoever plays a part when the time has come.

use serde::{Deserialize, Serialize};

use super::trigger::Seen;
use crate::{hosts::Hosts, world::HostId};

/// Whom a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a host's number, { leader_of = DOMAIN }, \"origin-leader\", \"participant-leader\" or \"seen\""
)]
pub enum Who {
    /// This machine.
    Host(HostId),
    /// Whoever leads a domain then.
    Leader {
        /// Number of the domain in the scenario, from 0.
        leader_of: usize,
    },
    /// A part in the transfer that was waited for; only for faults with `when`.
    Part(Part),
}

/// A part in a transfer between domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Whoever leads the payer's domain.
    OriginLeader,
    /// Whoever leads the domain that votes: the one that was seen, or else the payee's.
    ParticipantLeader,
    /// The host on which the state was seen.
    Seen,
}

impl Who {
    /// The machine that is meant now; `None` when nobody leads, or nothing was seen.
    pub(super) fn find(self, hosts: &Hosts, seen: Option<&Seen>) -> Option<HostId> {
        match (self, seen) {
            (Who::Host(host), _) => (host < hosts.count()).then_some(host),
            (Who::Leader { leader_of }, _) => hosts.leader_of(leader_of),
            (Who::Part(Part::OriginLeader), Some(seen)) => hosts.leader_of(seen.origin),
            (Who::Part(Part::ParticipantLeader), Some(seen)) => hosts.leader_of(seen.participant),
            (Who::Part(Part::Seen), Some(seen)) => Some(seen.host),
            (Who::Part(_), None) => None,
        }
    }
}

impl From<HostId> for Who {
    fn from(host: HostId) -> Who {
        Who::Host(host)
    }
}
