//! Who referred whom: at home here, or an agent of another domain.
//!
//! Attribution is for ever: fixed at registration, or in the terms of one escrow for a payer without a referrer. A
//! referrer must exist, or its home must be a peer, before it can be named, so no chain comes back to itself here; what
//! another domain's referrer was referred by is not known here, so its level ends the chain.

use crate::{outcome::Outcome, state::Ledger};
use alloc::sync::Arc;
use comity_proto::{
    command::{Party, Referral},
    ids::{AgentId, DomainId},
};
use serde::{Deserialize, Serialize};

/// Who referred an agent, or the payer of one escrow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Referrer {
    /// At home here: paid at once.
    Home(AgentId),
    /// At home elsewhere: its shares accrue until they are swept. Shared, because one may bring many.
    Away(Arc<Party>),
}

impl Referrer {
    /// The agent, wherever it is at home.
    pub fn agent(&self) -> AgentId {
        match self {
            Referrer::Home(agent) => *agent,
            Referrer::Away(party) => party.agent,
        }
    }

    /// Its home, unless that is here.
    pub fn home_elsewhere(&self) -> Option<DomainId> {
        match self {
            Referrer::Home(_) => None,
            Referrer::Away(party) => Some(party.domain),
        }
    }
}

impl Ledger {
    /// The referrer that is meant. Whether an agent exists elsewhere is not ours to know: its home says so when its first
    /// sum arrives there.
    pub(crate) fn referrer_named(&self, referral: &Referral) -> Result<Referrer, Outcome> {
        match referral {
            Referral::Code(code) => {
                self.codes.get(code).copied().map(Referrer::Home).ok_or(Outcome::UnknownReferralCode)
            }
            Referral::Agent(party) if self.is_home(&party.domain) => {
                let known = self.agents.contains_key(&party.agent);
                if known { Ok(Referrer::Home(party.agent)) } else { Err(Outcome::UnknownAgent) }
            }
            Referral::Agent(party) if self.may_trade(&party.domain, false).is_ok() => {
                Ok(Referrer::Away(Arc::new(*party)))
            }
            Referral::Agent(_) => Err(Outcome::PeerNotTrusted),
        }
    }

    /// Who referred this one, as far as this ledger knows.
    pub(crate) fn referrer_of(&self, agent: &AgentId) -> Option<Referrer> {
        self.agents.get(agent).and_then(|agent| agent.profile.referrer.clone())
    }

    /// The level behind a referrer.
    pub(crate) fn referrer_behind(&self, referrer: &Referrer) -> Option<Referrer> {
        match referrer {
            Referrer::Home(agent) => self.referrer_of(agent),
            Referrer::Away(_) => None,
        }
    }
}
