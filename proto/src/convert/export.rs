//! Export rules and the operator's command about them.

use super::{need, put};
use crate::{
    command::Verb,
    export::{Audience, Direction, ExportRule},
    ids::{AgentId, DomainId},
    reject::Reject,
    strict::array,
    text::{Capability, Reason},
    wire,
};

impl From<&ExportRule> for wire::ExportRule {
    fn from(rule: &ExportRule) -> wire::ExportRule {
        let direction = match rule.direction {
            Direction::In => wire::ExportDirection::In,
            Direction::Out => wire::ExportDirection::Out,
            Direction::Both => wire::ExportDirection::Both,
        };
        wire::ExportRule {
            peer: match &rule.audience {
                Audience::Everyone => None,
                Audience::Peer(domain) => Some(put(&domain.0)),
            },
            agent: rule.agent.as_ref().map(|agent| put(&agent.0)),
            capability: rule.capability.as_ref().map(|text| text.as_str().into()),
            direction: direction.into(),
        }
    }
}

impl TryFrom<wire::ExportRule> for ExportRule {
    type Error = Reject;
    fn try_from(rule: wire::ExportRule) -> Result<ExportRule, Reject> {
        let direction = match wire::ExportDirection::try_from(rule.direction) {
            Ok(wire::ExportDirection::In) => Direction::In,
            Ok(wire::ExportDirection::Out) => Direction::Out,
            Ok(wire::ExportDirection::Both) => Direction::Both,
            Ok(wire::ExportDirection::Unspecified) | Err(_) => return Err(Reject::WrongKind { field: "direction" }),
        };
        Ok(ExportRule {
            audience: match rule.peer {
                Some(domain) => Audience::Peer(DomainId(array(&domain, "peer")?)),
                None => Audience::Everyone,
            },
            agent: rule.agent.map(|agent| array(&agent, "agent").map(AgentId)).transpose()?,
            capability: rule.capability.map(|text| Capability::new(&text)).transpose()?,
            direction,
        })
    }
}

pub(super) fn write_change(rule: &ExportRule, withdrawn: bool, reason: &Reason) -> wire::ChangeExport {
    wire::ChangeExport { rule: Some(rule.into()), withdrawn, reason: reason.as_str().into() }
}

pub(super) fn read_change(change: wire::ChangeExport) -> Result<Verb, Reject> {
    let wire::ChangeExport { rule, withdrawn, reason } = change;
    Ok(Verb::ChangeExport { rule: need(rule, "rule")?.try_into()?, withdrawn, reason: Reason::new(&reason)? })
}
