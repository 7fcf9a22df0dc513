//! A domain under a domain: what one side proposes, how the parent sees its children, and how a child sees its limits.
//!
//! Both are ordinary domains with an ordinary treaty, whose document says which of the two stands under the other one, and
//! within which limits towards third domains; the child's own ledger keeps them. So it begins with both signatures, the next
//! version changes it, and leaving the treaty ends it.

use super::{
    books::read,
    commands, domain, drift,
    error::{Kind, ServiceError},
    peers, shape,
    view::{Minor, PeerView},
};
use crate::{drift::Found, node::Node};
use comity_ledger::{
    Ledger,
    treaty::{Treaty, TreatyState},
};
use comity_proto::{ids::DomainId, text::Capability, treaty::Charter};
use serde::Serialize;
use utoipa::ToSchema;

/// Who stands under whom, and what the child keeps towards third domains.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CharterView {
    /// The domain that stands under the other one.
    #[schema(value_type = shape::DomainIdText)]
    pub child: DomainId,
    /// Most that it accepts of any asset of a third domain; null: as it likes.
    pub cap_max: Option<Minor>,
    /// It shows and hires out to third domains for nothing but these; none: as it likes.
    pub capabilities: Vec<String>,
}

impl From<&Charter> for CharterView {
    fn from(charter: &Charter) -> CharterView {
        let capabilities = charter.capabilities.iter().map(ToString::to_string).collect();
        CharterView { child: charter.child, cap_max: charter.cap_max.map(Minor), capabilities }
    }
}

/// The domain above this one.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ParentView {
    /// Its id.
    #[schema(value_type = shape::DomainIdText)]
    pub domain: DomainId,
    /// Its nickname on this side.
    pub nickname: String,
    /// What this domain keeps.
    pub charter: CharterView,
}

/// A domain below this one, and how it is. `None` is "not yet", never zero.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChildView {
    /// Its id.
    #[schema(value_type = shape::DomainIdText)]
    pub domain: DomainId,
    /// Its nickname on this side.
    pub nickname: String,
    /// Of the treaty.
    pub state: &'static str,
    /// What it keeps.
    pub charter: CharterView,
    /// Its nodes that are known to live.
    pub alive: usize,
    /// Since a sign of life of any of its nodes, ms.
    pub last_seen_ms: Option<u64>,
    /// Transfers with it that are not finished.
    pub in_doubt: usize,
    /// Since the oldest of them began, ms of ledger time.
    pub in_doubt_ms: Option<u64>,
    /// In what both disagree.
    #[schema(value_type = BTreeMap<String, String>)]
    pub drift: Found,
    /// How much of its paper is held here: minor units of all assets that the treaty names, together.
    pub held: Minor,
}

/// Above and below this domain.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SubnetView {
    /// Null: it stands under nobody.
    pub parent: Option<ParentView>,
    /// Those that stand under it.
    pub children: Vec<ChildView>,
}

/// What is above and below this domain.
///
/// # Errors
/// No majority.
pub async fn show(node: &Node) -> Result<SubnetView, ServiceError> {
    let (parent, mut children) = read(node, |ledger| (parent(ledger), children(ledger))).await?;
    let members = domain::members(node);
    let drifts = drift::list(node);
    for child in &mut children {
        let of_it = || members.iter().filter(|member| member.domain == child.domain);
        child.last_seen_ms = of_it().map(|member| member.last_heard_ms).min();
        child.alive = of_it().filter(|member| member.state == "alive").count();
        let found = drifts.iter().find(|drift| drift.domain == child.domain);
        child.drift = found.map(|found| found.drift.clone()).unwrap_or_default();
    }
    Ok(SubnetView { parent, children })
}

fn parent(ledger: &Ledger) -> Option<ParentView> {
    let (domain, charter) = ledger.parent()?;
    let nickname = ledger.treaty(&domain).map(|treaty| treaty.nickname.to_string()).unwrap_or_default();
    Some(ParentView { domain, nickname, charter: charter.into() })
}

fn children(ledger: &Ledger) -> Vec<ChildView> {
    let open = ledger.in_doubt();
    let view = |(treaty, charter): (&Treaty, &Charter)| {
        let with_it = || open.iter().filter(|open| open.peer == treaty.peer);
        ChildView {
            domain: treaty.peer,
            nickname: treaty.nickname.to_string(),
            state: ledger.treaty_state(&treaty.peer).map_or("none", TreatyState::name),
            charter: charter.into(),
            alive: 0,
            last_seen_ms: None,
            in_doubt: with_it().count(),
            in_doubt_ms: with_it().map(|open| open.age_ms).max(),
            drift: Found::new(),
            held: peers::held_of(ledger, treaty),
        }
    };
    ledger.children().map(view).collect()
}

/// What is proposed to the other side of a treaty.
#[derive(Clone, Debug)]
pub enum Wish {
    /// It stands under this domain.
    Below,
    /// This domain stands under it.
    Above,
    /// Neither does.
    Apart,
}

/// Proposes the next version of the treaty: one stands under the other one, within these limits, or neither does.
///
/// # Errors
/// `bad_capability`, `unknown_treaty`, and what either ledger refuses.
pub async fn propose(
    node: &Node,
    peer: DomainId,
    wish: Wish,
    cap_max: Option<u64>,
    capabilities: &[String],
) -> Result<PeerView, ServiceError> {
    let read = capabilities.iter().map(|text| Capability::new(text));
    let mut capabilities: Vec<Capability> =
        read.collect::<Result<_, _>>().map_err(|reject| commands::of_reject(&reject))?;
    capabilities.sort_unstable();
    capabilities.dedup();
    let is_free = cap_max.is_none() && capabilities.is_empty();
    let of = |child| Some(Charter { child, cap_max, capabilities });
    let charter = match wish {
        Wish::Below => of(peer),
        Wish::Above => of(node.domain()),
        Wish::Apart if is_free => None,
        Wish::Apart => {
            let detail = "without a domain under another one there is nothing to limit";
            return Err(ServiceError::new(Kind::BadInput, "limits_of_nobody", detail, "leave the limits out"));
        }
    };
    peers::propose_next(node, peer, None, Some(charter)).await
}
