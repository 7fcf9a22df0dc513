//! A gateway between two meshes whose nodes do not reach each other.
//!
//! ```text
//! alpha                     gateway                      beta
//!   <- offer: beta            |        offer: alpha ->       every two seconds, while both are connected
//!   <- cards of beta, each with the gateway's signed passage    and those of alpha to beta
//!   frame (alpha, beta, bytes) ->  rule, quota  -> frame ->  judged as if alpha's node had brought it
//!                     answer <-                   <- answer
//! ```
//! The gateway's operator names pairs of domains in its configuration (`[[bridge]]`); without one nothing is a gateway, and
//! with one the node keeps the meshes of all its neighbours apart but for these pairs. It passes public cards that a
//! node of their home has shown it, whoever else did before, once. It passes frames between the two domains of a pair, and
//! does not look into them: words of settlement are signed by voters of the domain that says them, words about a treaty by
//! its root key. It signs for nobody. Each pair has a quota and few places, and nothing is queued: what is refused is said
//! again by whoever owes it.
//!
//! Whoever hears a frame through a gateway judges its signature before it counts against anybody. Money goes only between
//! domains that have a treaty of their own (`no_treaty_path`): a gateway makes no treaty and no promise.
//!
//! Absent: chains of gateways (a card that came over one is not passed on by another), tasks and commands of agents, and what
//! two peers believe of each other (drift is compared over a connection of their own).

mod gateway;
mod member;
mod refused;
mod rules;
mod said;

pub use gateway::PairView;
pub(crate) use gateway::run;
pub(crate) use member::Ways;
pub(crate) use rules::Rules;
pub use said::{Cargo, Frame, PassedCard, Said};

use crate::{
    mesh::{Caller, Refusal},
    node::Node,
};
use bytes::Bytes;
use gateway::Gateway;
use refused::BridgeRefused;
use std::sync::Arc;

/// Both ends of every bridge that this node has to do with.
pub(crate) struct Bridge {
    /// Pairs between which this node passes; none on most nodes.
    pub(crate) gateway: Gateway,
    /// Domains that others said they lead to.
    pub(crate) ways: Arc<Ways>,
}

impl Bridge {
    pub(crate) fn of(rules: Rules) -> Bridge {
        Bridge { gateway: Gateway::of(rules), ways: Arc::default() }
    }
}

/// Answers what is said in the class `bridge`.
pub(crate) async fn answer(node: &Arc<Node>, caller: Caller, body: Bytes) -> Result<Bytes, Refusal> {
    let answered = match Said::from_bytes(&body) {
        None => Err(BridgeRefused::Malformed),
        Some(Said::Offer(domains)) => member::hear_offer(node, caller, &domains).map(|()| Bytes::new()),
        Some(Said::Cards(cards)) => member::take_cards(node, caller, cards).map(|()| Bytes::new()),
        Some(Said::Carry(frame)) if frame.to == node.domain() => match member::hear(node, caller, frame).await {
            Ok(answer) => return answer,
            Err(refused) => Err(refused),
        },
        Some(Said::Carry(frame)) => match gateway::pass(node, caller, frame).await {
            Ok(answer) => return answer,
            Err(refused) => Err(refused),
        },
    };
    answered.map_err(|refused| {
        node.mesh().count(refused.name());
        tracing::debug!(node = %caller.node, refused = refused.name(), "refused at a bridge");
        Refusal(refused.name().to_owned())
    })
}
