//! A domain under a domain: both signed that it is so, in their treaty, and the child's ledger keeps the limits that they
//! agreed on towards every third domain. The parent's word moves nothing in the child's ledger, and what the child has begun
//! with others is finished whatever becomes of the charter.
//!
//! It ends with the treaty: with a version without it, or as soon as either side drains or leaves.

use super::record::Treaty;
use crate::{outcome::Outcome, state::Ledger};
use alloc::vec::Vec;
use comity_proto::{
    export::{Audience, ExportRule, Exports},
    ids::DomainId,
    treaty::{Charter, TreatyDocument, TreatyParty, TreatyStanding},
};

impl Treaty {
    /// Who of the two stands under the other one, and within which limits.
    pub fn charter(&self) -> Option<&Charter> {
        let stands = matches!(self.standing(), TreatyStanding::Active | TreatyStanding::Suspended);
        self.agreed.as_ref().filter(|_| stands)?.charter.as_ref()
    }
}

impl Ledger {
    /// The charters under which this domain stands, with their parents: one, unless two were signed at the same time.
    fn charters(&self) -> impl Iterator<Item = (&DomainId, &Charter)> {
        let treaties = self.head.treaties.values();
        let under = treaties.filter_map(|treaty| Some((&treaty.peer, treaty.charter()?)));
        under.filter(|(_, charter)| self.is_home(&charter.child))
    }

    /// The domain under which this one stands, and within which limits.
    pub fn parent(&self) -> Option<(DomainId, &Charter)> {
        self.charters().next().map(|(parent, charter)| (*parent, charter))
    }

    /// The domains that stand under this one.
    pub fn children(&self) -> impl Iterator<Item = (&Treaty, &Charter)> {
        let of = |treaty| Some((treaty, Treaty::charter(treaty)?));
        self.head.treaties.values().filter_map(of).filter(|(treaty, charter)| charter.child == treaty.peer)
    }

    /// Nobody stands under two, and no treaty promises a third domain more than the charter allows.
    pub(super) fn check_charter(
        &self,
        document: &TreatyDocument,
        peer: &DomainId,
        mine: &TreatyParty,
    ) -> Result<(), Outcome> {
        let joins = document.charter.as_ref().is_some_and(|charter| self.is_home(&charter.child));
        let others = self.charters().filter(|(parent, _)| *parent != peer);
        for (_, charter) in others {
            if joins {
                return Err(Outcome::WrongState);
            }
            if mine.caps.iter().any(|cap| charter.cap_max.is_some_and(|max| cap.cap > max)) {
                return Err(Outcome::ExposureExceeded);
            }
        }
        Ok(())
    }

    /// How much of a domain's paper is accepted at most, whatever the treaty with it says.
    pub(crate) fn chartered_cap(&self, issuer: &DomainId, cap: u64) -> u64 {
        let others = self.charters().filter(|(parent, _)| *parent != issuer);
        others.filter_map(|(_, charter)| charter.cap_max).fold(cap, u64::min)
    }

    /// What the charter leaves of the operator's rules.
    pub(super) fn chartered(&self, rules: Exports) -> Exports {
        let limits: Vec<_> = self.charters().filter(|(_, charter)| !charter.capabilities.is_empty()).collect();
        limits.into_iter().fold(rules, |rules, (parent, charter)| {
            let left = |rule: &ExportRule| match &rule.audience {
                Audience::Peer(peer) if peer == parent => alloc::vec![rule.clone()],
                Audience::Peer(_) => rule.narrowed(&charter.capabilities),
                // The parent is one of everyone.
                Audience::Everyone => {
                    let whole = ExportRule { audience: Audience::Peer(*parent), ..rule.clone() };
                    let whole = Some(whole).filter(|_| self.may_trade(parent, false).is_ok());
                    rule.narrowed(&charter.capabilities).into_iter().chain(whole).collect()
                }
            };
            rules.rules().flat_map(left).collect()
        })
    }
}
