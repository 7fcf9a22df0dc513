//! Licences, granted and held: signed words with an epoch, of which the highest stands.
//!
//! The ledger remembers and tells; the nodes count and refuse. A treaty without a licence has no quotas.

use super::{record::Licensed, verbs::open};
use crate::{
    apply::{Answer, Out},
    event::EventKind,
    outcome::Outcome,
    state::Ledger,
};
use alloc::{boxed::Box, vec::Vec};
use bytes::Bytes;
use comity_proto::{
    envelope::Verified,
    ids::DomainId,
    licence::{Licence, LicenceStatus},
    limits as l,
};

/// Within its bounds, and not over before it begins.
fn check(said: &Licence, now_ms: u64) -> Result<(), Outcome> {
    let too_much = said.agents_max > l::LICENCE_AGENTS_MAX || said.events_per_minute > l::LICENCE_EVENTS_MAX;
    let too_long = said.expires_at_ms > now_ms.saturating_add(l::LICENCE_VALID_MAX_MS);
    if said.status != LicenceStatus::Active {
        return Ok(());
    }
    match () {
        () if too_much || too_long => Err(Outcome::LimitExceededLicence),
        () if said.expires_at_ms <= now_ms => Err(Outcome::LicenceExpired),
        () => Ok(()),
    }
}

impl Ledger {
    /// This domain grants a peer a licence, or says the next word about it.
    pub(crate) fn issue_licence(&mut self, envelope: Bytes, out: &mut Out) -> Answer {
        let licence = open::<Licence>(&envelope)?;
        let said = licence.get().clone();
        self.judge_root(&self.own_domain()?.id, licence.signer())?;
        let now_ms = self.head.stamp_ms;
        let peer = DomainId::of_key(&said.holder);
        let treaty = self.head.treaties.get_mut(&peer).filter(|treaty| treaty.agreed.is_some());
        let treaty = treaty.ok_or(Outcome::UnknownTreaty)?;
        let last = treaty.granted.as_ref().map_or(0, |granted| granted.licence.epoch);
        if last.checked_add(1) != Some(said.epoch) {
            return Err(Outcome::LicenceEpoch);
        }
        check(&said, now_ms)?;
        treaty.granted = Some(Licensed { licence: said.clone(), envelope, untold: true });
        self.told_of_licence(true, peer, said, out);
        Ok(Outcome::Applied)
    }

    /// A peer says a word about the licence that it grants this domain.
    pub(super) fn take_licence(&mut self, licence: &Verified<Licence>, out: &mut Out) -> Answer {
        let said = licence.get().clone();
        if said.holder != self.own_domain()?.key {
            return Err(Outcome::LicenceForAnother);
        }
        let (peer, now_ms) = (said.from, self.head.stamp_ms);
        let by_root = self.judge_root(&peer, licence.signer());
        let treaty = self.head.treaties.get_mut(&peer).filter(|treaty| treaty.agreed.is_some());
        let treaty = treaty.ok_or(Outcome::UnknownTreaty)?;
        if let Some(held) = treaty.held.as_ref().filter(|held| said.epoch <= held.licence.epoch) {
            let same = held.envelope == *licence.envelope_bytes();
            return if same { Ok(Outcome::Exists) } else { Err(Outcome::LicenceEpoch) };
        }
        by_root?;
        check(&said, now_ms)?;
        treaty.held =
            Some(Licensed { licence: said.clone(), envelope: licence.envelope_bytes().clone(), untold: false });
        self.told_of_licence(false, peer, said, out);
        Ok(Outcome::Applied)
    }

    fn told_of_licence(&mut self, by_us: bool, peer: DomainId, said: Licence, out: &mut Out) {
        let kind = EventKind::LicenceChanged { peer, by_us, licence: Box::new(said) };
        self.emit(out, kind, Vec::new());
    }
}
