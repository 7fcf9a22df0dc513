//! What this domain lets the others see, hire and be hired for: the operator's rules, default deny.
//!
//! A rule is this domain's own word and binds nobody else; it may stand before there is a treaty, and is in force only
//! towards a domain with which trade may begin. So a suspension, a drain or a revocation ends all that was admitted, and
//! what has begun is finished all the same.

use crate::{
    apply::{Answer, Out},
    event::EventKind,
    outcome::Outcome,
    state::Ledger,
};
use alloc::{boxed::Box, vec::Vec};
use comity_proto::{
    export::{Audience, Direction, ExportRule, Exports},
    ids::{AgentId, DomainId},
    limits::EXPORT_RULES_MAX,
    text::{Capability, Reason},
};

impl Ledger {
    /// Adds a rule, or takes it back as it was given.
    pub(crate) fn change_export(&mut self, rule: ExportRule, withdrawn: bool, reason: Reason, out: &mut Out) -> Answer {
        if rule.audience == self.own_domain().map(|own| Audience::Peer(own.id))? {
            return Err(Outcome::SelfDealing);
        }
        let exports = &mut self.head.exports;
        let answer = if withdrawn {
            if !exports.remove(&rule) {
                return Err(Outcome::UnknownExport);
            }
            Outcome::Applied
        } else {
            if exports.has(&rule) {
                return Ok(Outcome::Exists);
            }
            if rule.agent.is_some_and(|agent| !self.agents.contains_key(&agent)) {
                return Err(Outcome::UnknownAgent);
            }
            if exports.len() >= EXPORT_RULES_MAX {
                return Err(Outcome::LimitExceededExports);
            }
            exports.add(rule.clone());
            Outcome::Created
        };
        self.emit(out, EventKind::ExportChanged { rule: Box::new(rule), withdrawn, reason }, Vec::new());
        Ok(answer)
    }

    /// All rules that the operator gave.
    pub const fn exports(&self) -> &Exports {
        &self.head.exports
    }

    /// The rules that count now: those for everyone, and those for domains with which trade may begin.
    pub fn exports_in_force(&self) -> Exports {
        let counts = |rule: &&ExportRule| match &rule.audience {
            Audience::Everyone => true,
            Audience::Peer(peer) => self.may_trade(peer, false).is_ok(),
        };
        self.chartered(self.head.exports.rules().filter(counts).cloned().collect())
    }

    /// Whether new work that needs this capability may go that way between an agent of this domain and one of the peer.
    /// Without one, such as for the lock of an escrow: whether any work may.
    pub fn may_hire(
        &self,
        peer: &DomainId,
        direction: Direction,
        agent: &AgentId,
        capability: Option<&Capability>,
    ) -> Result<(), Outcome> {
        self.may_trade(peer, false)?;
        let narrowed = self.parent().map(|_| self.chartered(self.head.exports.clone()));
        let exports = narrowed.as_ref().unwrap_or(&self.head.exports);
        let admitted = match capability {
            Some(capability) => exports.admits(peer, direction, agent, capability),
            None => exports.admits_some(peer, direction, agent),
        };
        if admitted { Ok(()) } else { Err(Outcome::NotExported) }
    }
}
