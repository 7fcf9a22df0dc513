//! Who may vote for a domain, as its root key says: the newest roster of each domain.

use std::collections::BTreeMap;

use bytes::Bytes;
use comity_proto::envelope::{Signed as _, Verified};
use comity_proto::identity::Roster;
use comity_proto::ids::{DomainId, PublicKey};

use super::certificate::Trust;
use super::limits::ROSTERS_TOTAL;

/// The newest roster of each domain that we can check.
#[derive(Debug, Default)]
pub(crate) struct Rosters {
    newest: BTreeMap<DomainId, Verified<Roster>>,
}

impl Rosters {
    /// Takes a roster if it is signed by a root key of its domain and newer than ours. Answers its domain and epoch if taken.
    pub(crate) fn offer(&mut self, envelope: &Bytes, trust: &Trust) -> Option<(DomainId, u64)> {
        if envelope.is_empty() {
            return None;
        }
        let roster = Roster::open(envelope).ok()?;
        let (domain, epoch) = (roster.get().domain, roster.get().epoch);
        let known = trust.pins(&domain);
        // Opening it has proved that the signer is or was a root key of the domain; what we know of it is stricter.
        let by_domain = trust.judge_root(&domain, roster.signer()).is_none_or(|judged| judged.is_ok());
        // Domains that nobody here has agreed to may use only what is left.
        let room = known || self.newest.contains_key(&domain) || self.newest.len() < ROSTERS_TOTAL;
        let newer = self.newest.get(&domain).is_none_or(|ours| ours.get().epoch < epoch);
        if !(by_domain && room && newer) {
            return None;
        }
        self.newest.insert(domain, roster);
        Some((domain, epoch))
    }

    pub(crate) fn get(&self, domain: &DomainId) -> Option<&Verified<Roster>> {
        self.newest.get(domain)
    }

    /// Whether the domain's newest roster names this node.
    pub(crate) fn votes(&self, domain: &DomainId, node: &PublicKey) -> bool {
        self.newest.get(domain).is_some_and(|roster| roster.get().voters.contains(node))
    }
}
