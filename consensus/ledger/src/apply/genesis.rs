//! How a domain begins, and how its voters change.

use super::{Answer, Out};
use crate::{
    check::CheckedGenesis,
    event::EventKind,
    keys::KeyRecord,
    outcome::Outcome,
    state::{Asset, Domain, Ledger},
};
use alloc::{collections::BTreeMap, vec, vec::Vec};
use comity_proto::{amount::AssetId, envelope::Verified, identity::Roster, ids::DomainId, roots::RootKeys};

impl Ledger {
    /// The first entry of a log. Its roster is signed by the same key, checked with the bytes.
    pub(super) fn begin_domain(&mut self, checked: CheckedGenesis, out: &mut Out) -> Answer {
        if self.head.domain.is_some() {
            return Err(Outcome::AlreadyInitialized);
        }
        let CheckedGenesis { genesis, roster } = checked;
        if DomainId::of_key(&genesis.domain_key) != genesis.domain || roster.domain != genesis.domain {
            return Err(Outcome::BadSignature);
        }
        super::governance::check_bounds(&genesis.policy)?;
        let id = AssetId { issuer: genesis.domain, code: genesis.asset_code };
        super::assets::check_asset(genesis.asset_scale, genesis.supply_cap)?;
        self.head.domain = Some(Domain {
            id: genesis.domain,
            key: genesis.domain_key,
            root: RootKeys::first(genesis.domain_key),
            root_words: Vec::new(),
            nickname: genesis.nickname.clone(),
            operator: KeyRecord::first(genesis.operator_key),
            nodes: BTreeMap::new(),
            incarnation: genesis.incarnation,
            fenced: false,
            roster: genesis.roster,
            roster_epoch: roster.epoch,
            voters: roster.voters,
            seats: roster.seats,
        });
        self.head.policies = vec![(0, genesis.policy)];
        let domain = genesis.domain;
        self.emit(out, EventKind::DomainBegan { domain, nickname: genesis.nickname }, Vec::new());
        let asset = Asset { id, scale: Some(genesis.asset_scale), supply_cap: Some(genesis.supply_cap) };
        self.know_asset(asset, out);
        Ok(Outcome::Created)
    }

    /// The next roster, signed by the root key; epochs only rise.
    pub(super) fn set_roster(&mut self, roster: &Verified<Roster>, out: &mut Out) -> Answer {
        let Roster { domain: id, epoch, voters, seats } = roster.get();
        let by_root = self.judge_root(id, roster.signer());
        let domain = self.head.domain.as_mut().ok_or(Outcome::NotInitialized)?;
        if *id != domain.id {
            return Err(Outcome::WrongDomain);
        }
        if *epoch == domain.roster_epoch {
            let same = (voters, seats) == (&domain.voters, &domain.seats);
            return if same { Ok(Outcome::Exists) } else { Err(Outcome::ExistsWithDifferentContent) };
        }
        if *epoch < domain.roster_epoch {
            return Err(Outcome::TooOld);
        }
        by_root?;
        domain.roster = roster.envelope_bytes().clone();
        domain.roster_epoch = *epoch;
        (domain.voters, domain.seats) = (voters.clone(), seats.clone());
        self.emit(out, EventKind::RosterChanged { epoch: *epoch }, Vec::new());
        Ok(Outcome::Applied)
    }
}
