//! Export rules: which agents of a domain a peer's agents may see and hire, and which may hire a peer's. Default deny.
//!
//! One value answers every question: the filter of cards, the gate of tasks and escrows, and the preview that an operator
//! looks at. A rule admits; nothing forbids, so the order of rules means nothing. Rules are a domain's own and need no
//! peer's signature. Absent: trust levels and budgets, and a way to cut a signed card down to a part of it.

use crate::{
    card::AgentCard,
    ids::{AgentId, DomainId},
    text::Capability,
};
use alloc::{collections::BTreeSet, vec::Vec};
use serde::{Deserialize, Serialize};

/// Who is admitted by a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Audience {
    /// Every domain. A card that says itself that it is public is shown to strangers, too.
    Everyone,
    /// One domain.
    Peer(DomainId),
}

/// Which way work goes, seen from the domain whose rule it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Direction {
    /// The peer's agents see the agents of this domain, and hire them.
    In,
    /// Agents of this domain hire the peer's.
    Out,
    /// Both.
    Both,
}

impl Direction {
    /// Whether a rule of this direction speaks of that one.
    const fn has(self, asked: Direction) -> bool {
        matches!(
            (self, asked),
            (Direction::Both, _) | (Direction::In, Direction::In) | (Direction::Out, Direction::Out)
        )
    }

    /// Stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Direction::In => "in",
            Direction::Out => "out",
            Direction::Both => "both",
        }
    }

    /// The direction with this name.
    pub fn named(name: &str) -> Option<Direction> {
        [Direction::In, Direction::Out, Direction::Both].into_iter().find(|direction| direction.name() == name)
    }
}

/// One admission. A part that is absent admits all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExportRule {
    /// Who.
    pub audience: Audience,
    /// An agent of this domain.
    pub agent: Option<AgentId>,
    /// This capability and those below it. For [`Direction::Out`]: what is asked of the peer.
    pub capability: Option<Capability>,
    /// Which way.
    pub direction: Direction,
}

impl ExportRule {
    /// Everything, both ways.
    pub const fn all(audience: Audience) -> ExportRule {
        ExportRule { audience, agent: None, capability: None, direction: Direction::Both }
    }

    /// What is left of it where agents may be shown and hired for nothing but these capabilities. What agents of this
    /// domain hire others for is untouched.
    pub fn narrowed(&self, only: &[Capability]) -> Vec<ExportRule> {
        let mut left = Vec::new();
        if self.direction.has(Direction::Out) {
            left.push(ExportRule { direction: Direction::Out, ..self.clone() });
        }
        if self.direction.has(Direction::In) {
            let within = only.iter().filter_map(|allowed| match &self.capability {
                Some(own) if allowed.covers(own) => Some(own.clone()),
                Some(own) if !own.covers(allowed) => None,
                _ => Some(allowed.clone()),
            });
            let rule =
                |capability| ExportRule { capability: Some(capability), direction: Direction::In, ..self.clone() };
            left.extend(within.map(rule));
        }
        left
    }

    /// `peer` is absent for strangers, whom only a rule for everyone admits.
    fn concerns(&self, peer: Option<&DomainId>, direction: Direction, agent: &AgentId) -> bool {
        let audience = match self.audience {
            Audience::Everyone => true,
            Audience::Peer(admitted) => peer == Some(&admitted),
        };
        audience && self.direction.has(direction) && self.agent.is_none_or(|admitted| admitted == *agent)
    }

    fn covers(&self, capability: &Capability) -> bool {
        self.capability.as_ref().is_none_or(|admitted| admitted.covers(capability))
    }
}

/// Rules that hold together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exports(BTreeSet<ExportRule>);

impl FromIterator<ExportRule> for Exports {
    fn from_iter<I: IntoIterator<Item = ExportRule>>(rules: I) -> Exports {
        Exports(rules.into_iter().collect())
    }
}

impl Exports {
    /// All rules, in order.
    pub fn rules(&self) -> impl Iterator<Item = &ExportRule> {
        self.0.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is admitted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this very rule stands.
    pub fn has(&self, rule: &ExportRule) -> bool {
        self.0.contains(rule)
    }

    /// Adds a rule; `false` if it stood already.
    pub fn add(&mut self, rule: ExportRule) -> bool {
        self.0.insert(rule)
    }

    /// Takes a rule back; `false` if there was none.
    pub fn remove(&mut self, rule: &ExportRule) -> bool {
        self.0.remove(rule)
    }

    /// Whether work that needs this capability may go that way between an agent of this domain and one of the peer.
    pub fn admits(&self, peer: &DomainId, direction: Direction, agent: &AgentId, capability: &Capability) -> bool {
        self.0.iter().any(|rule| rule.concerns(Some(peer), direction, agent) && rule.covers(capability))
    }

    /// The same for work whose capability nobody says, such as the lock of an escrow.
    pub fn admits_some(&self, peer: &DomainId, direction: Direction, agent: &AgentId) -> bool {
        self.0.iter().any(|rule| rule.concerns(Some(peer), direction, agent))
    }

    /// Whether a domain may be shown the card of an agent of this one. A card is signed whole, so all that it offers must
    /// be admitted; a tombstone offers nothing and goes to whoever might have seen its agent.
    pub fn shows(&self, peer: &DomainId, card: &AgentCard) -> bool {
        self.shown_to(Some(peer), card)
    }

    /// Whether a card goes to everybody, strangers among them: its agent has signed that it is public, and a rule for
    /// everyone admits it.
    pub fn publishes(&self, card: &AgentCard) -> bool {
        card.public && self.shown_to(None, card)
    }

    fn shown_to(&self, peer: Option<&DomainId>, card: &AgentCard) -> bool {
        let mut rules = self.0.iter().filter(|rule| rule.concerns(peer, Direction::In, &card.agent)).peekable();
        if rules.peek().is_none() {
            return false;
        }
        let admitted = |capability: &Capability| rules.clone().any(|rule| rule.covers(capability));
        match card.capabilities.as_slice() {
            [] => card.retired || rules.clone().any(|rule| rule.capability.is_none()),
            offered => offered.iter().all(admitted),
        }
    }
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;
