//! Exports: what an operator lets other domains see, hire and be hired for.

use super::{
    books::{name_of, read},
    commands,
    error::ServiceError,
    peers,
    view::{ExportChange, ExportView, PreviewView, Previewed},
};
use crate::{mesh::Standing, node::Node};
use comity_ledger::{Ledger, Outcome};
use comity_proto::{
    command::Verb,
    export::{Audience, Direction, ExportRule},
    ids::{AgentId, DomainId},
    text::{Capability, Reason},
    treaty::TreatyStanding,
};
use std::collections::{BTreeMap, BTreeSet};

/// Adds a rule, or takes it back.
///
/// # Errors
/// `no_domain_key`, `reason_missing`, and what the ledger refuses.
pub async fn change(
    node: &Node,
    rule: ExportRule,
    withdrawn: bool,
    reason: &str,
) -> Result<ExportChange, ServiceError> {
    if reason.trim().is_empty() {
        return Err(ServiceError::bad_input("reason_missing", "say why: the domain's history keeps it"));
    }
    let reason = Reason::new(reason).map_err(|reject| commands::of_reject(&reject))?;
    peers::ask(node, Verb::ChangeExport { rule: rule.clone(), withdrawn, reason }).await?;
    let rule = read(node, |ledger| view(ledger, &rule)).await?;
    Ok(ExportChange { withdrawn, rule })
}

/// A rule that admits a peer to all agents and capabilities in this direction.
///
/// # Errors
/// As [`change`]; that it stands already is none.
pub(super) async fn admit(node: &Node, peer: DomainId, direction: Direction) -> Result<(), ServiceError> {
    let rule = ExportRule { direction, ..ExportRule::all(Audience::Peer(peer)) };
    change(node, rule, false, "with the treaty").await.map(|_| ())
}

/// All rules, and whether each counts now.
///
/// # Errors
/// No majority.
pub async fn list(node: &Node) -> Result<Vec<ExportView>, ServiceError> {
    read(node, |ledger| ledger.exports().rules().map(|rule| view(ledger, rule)).collect()).await
}

fn view(ledger: &Ledger, rule: &ExportRule) -> ExportView {
    let (peer, peer_name, counts) = match &rule.audience {
        Audience::Everyone => (None, None, Ok(())),
        Audience::Peer(peer) => (Some(*peer), Some(name_of(ledger, peer)), ledger.may_trade(peer, false)),
    };
    ExportView {
        peer,
        peer_name,
        agent: rule.agent,
        capability: rule.capability.as_ref().map(ToString::to_string),
        direction: rule.direction.name(),
        dormant: counts.err().map(Outcome::name),
    }
}

/// What a peer sees and may do now, by the functions that show it cards and judge its tasks.
///
/// # Errors
/// No majority.
pub async fn preview(node: &Node, peer: DomainId) -> Result<PreviewView, ServiceError> {
    let standing = read(node, |ledger| {
        let treaty = ledger.treaty(&peer).filter(|treaty| treaty.agreed.is_some());
        treaty.is_some_and(|treaty| treaty.standing() != TreatyStanding::Revoked)
    });
    let standing = match standing.await? {
        true => Standing::Peer { domain: peer },
        false => Standing::Stranger { claims: Some(peer), refused: None },
    };
    let shown: BTreeSet<AgentId> = node.mesh().shown_to(&standing).iter().map(|entry| entry.card.get().agent).collect();
    let own = node.domain();
    let cards = node.mesh().of_agent_cards(|entry| {
        let card = entry.card.get();
        (card.home == own).then(|| (card.agent, (card.name.to_string(), card.capabilities.clone())))
    });
    let cards: BTreeMap<AgentId, (String, Vec<Capability>)> = cards.into_iter().flatten().collect();
    read(node, |ledger| {
        let of_card = |(agent, (name, capabilities)): (&AgentId, &(String, Vec<Capability>))| Previewed {
            agent: *agent,
            name: name.clone(),
            capabilities: capabilities.iter().map(ToString::to_string).collect(),
            seen: shown.contains(agent),
            hired_for: capabilities
                .iter()
                .filter(|capability| ledger.may_hire(&peer, Direction::In, agent, Some(capability)).is_ok())
                .map(ToString::to_string)
                .collect(),
            hires: ledger.may_hire(&peer, Direction::Out, agent, None).is_ok(),
        };
        PreviewView {
            peer,
            peer_name: name_of(ledger, &peer),
            dormant: ledger.may_trade(&peer, false).err().map(Outcome::name),
            agents: cards.iter().map(of_card).collect(),
        }
    })
    .await
}
