//! What other domains read over HTTP: who they are to us, our agents' cards as far as we show them, bundles.

use super::{
    commands::of_outcome,
    error::{Kind, ServiceError},
    licences, shape,
};
use crate::{
    mesh::{CardEntry, Standing, class::Class},
    node::Node,
    spiffe::{bundle, current::anchors, judge},
};
use comity_proto::{
    card::AgentCard,
    ids::{AgentId, DomainId, Hash},
    relay::{Answer, Question},
};
use data_encoding::BASE64;
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use webpki::KeyUsage;

/// Cards in one answer.
pub const CARDS_MAX: usize = 200;
/// One question to a node of a partner.
const PATIENCE: Duration = Duration::from_secs(5);

/// A domain that asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Partner {
    /// Which.
    #[schema(value_type = shape::DomainIdText)]
    pub domain: DomainId,
    /// What proved it.
    pub by: &'static str,
    /// In the words of that proof.
    pub subject: String,
}

/// Who presents this chain of certificates, by the bundle of the trust domain that it names.
///
/// # Errors
/// The names of [`judge::Refused`].
pub fn by_svid(node: &Node, chain: &[CertificateDer<'_>]) -> Result<Partner, ServiceError> {
    let revoked = node.revoked().lock().all();
    let judged = judge::judge(
        chain,
        |domain| anchors(node, domain),
        &revoked,
        KeyUsage::client_auth(),
        comity_runtime::wall_ms(),
    );
    let id = judged.map_err(|refused| {
        tracing::info!(code = refused.name(), "a client's certificate is refused");
        node.mesh().count(refused.name());
        let next = "present an SVID of a domain that has a treaty with this one, with its node's authority";
        let detail = format!("the client certificate: {}", refused.detail());
        ServiceError::new(Kind::Unauthenticated, refused.name(), detail, next)
    })?;
    Ok(Partner { domain: id.domain, by: "svid", subject: id.to_string() })
}

/// Who holds the licence with this bearer token.
///
/// # Errors
/// `bad_licence_token`.
pub fn by_licence(node: &Node, token: &str) -> Result<Partner, ServiceError> {
    let domain = licences::holder(node, token).inspect_err(|error| {
        // The token itself is never logged, whatever it was.
        tracing::info!(code = error.code, "a licence token is refused");
    })?;
    Ok(Partner { domain, by: "licence", subject: domain.to_string() })
}

/// Whether the partner may read now; counts what its licence counts.
///
/// # Errors
/// What the ledger says of the treaty; the names of [`crate::mesh::OverLicence`].
pub fn admit(node: &Node, partner: &Partner) -> Result<(), ServiceError> {
    if partner.domain == node.domain() {
        return Ok(());
    }
    node.replica().read_stale(|ledger, _| ledger.may_trade(&partner.domain, false)).map_err(of_outcome)?;
    node.mesh().admit(&partner.domain, 1).map_err(|over| {
        let next = "ask less often, or ask the operator of this domain for another licence";
        let detail = format!("the licence of {} lets no more in now", partner.domain);
        ServiceError::new(Kind::Busy, over.name(), detail, next)
    })
}

/// A card as another domain reads it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SharedCard {
    /// Whose.
    #[schema(value_type = shape::AgentIdText)]
    pub agent: AgentId,
    /// Display only.
    pub name: String,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// As signed.
    pub sequence: u64,
    /// A tombstone.
    pub retired: bool,
    /// The exact signed bytes, base64: what counts.
    pub envelope: String,
    /// Where it comes from.
    pub federation_metadata: Source,
}

/// The registry that a card was read from.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Source {
    /// The domain that answers.
    #[schema(value_type = shape::DomainIdText)]
    pub source_registry: DomainId,
}

/// Cards, oldest first, and where to go on.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SharedCards {
    /// At most [`CARDS_MAX`].
    pub cards: Vec<SharedCard>,
    /// The next `since`: what is newer, or everything again once other rules admit this reader.
    pub next: String,
    /// Whether there is more already.
    pub more: bool,
}

/// Where a reader stands: the rules that it read under, and the last card that it read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cursor {
    rules: String,
    heard_ms: u64,
    agent: Option<AgentId>,
}

impl Cursor {
    fn to_text(&self) -> String {
        let agent = self.agent.as_ref().map(ToString::to_string).unwrap_or_default();
        format!("{}.{}.{agent}", self.rules, self.heard_ms)
    }

    fn parse(text: &str) -> Option<Cursor> {
        let mut parts = text.split('.');
        let (rules, heard_ms, agent) = (parts.next()?.to_owned(), parts.next()?.parse().ok()?, parts.next()?);
        let agent = if agent.is_empty() { None } else { Some(agent.parse().ok()?) };
        parts.next().is_none().then_some(Cursor { rules, heard_ms, agent })
    }
}

/// Cards of our own agents that we show to a domain, from a cursor on.
///
/// # Errors
/// `bad_cursor`.
pub fn cards(node: &Node, reader: &DomainId, since: &str, limit: usize) -> Result<SharedCards, ServiceError> {
    let own = node.domain();
    let rules = node.replica().read_stale(|ledger, _| {
        let rules = ledger.exports_in_force();
        Hash::of(rules.rules().map(|rule| format!("{rule:?}")).collect::<String>().as_bytes())
    });
    let rules: String = rules.to_string().chars().take(16).collect();
    let begin = Cursor { rules: rules.clone(), heard_ms: 0, agent: None };
    let bad = || ServiceError::bad_input("bad_cursor", format!("`since={since}` is no cursor of this domain"));
    let since = if since.is_empty() { begin.clone() } else { Cursor::parse(since).ok_or_else(bad)? };
    // Another rule may admit a card that was passed over: then the reader begins anew.
    let since = if since.rules == rules { since } else { begin };
    let standing = if *reader == own { Standing::Own { domain: own } } else { Standing::Peer { domain: *reader } };
    let place = |entry: &CardEntry<AgentCard>| Cursor {
        rules: rules.clone(),
        heard_ms: entry.first_heard_ms,
        agent: Some(entry.card.get().agent),
    };
    let mut shown = node.mesh().shown_to(&standing);
    shown.retain(|entry| entry.card.get().home == own && place(entry) > since);
    shown.sort_by_key(place);
    let limit = limit.clamp(1, CARDS_MAX);
    let next = shown.iter().take(limit).last().map_or(since, place);
    let more = shown.len() > limit;
    let cards = shown.iter().take(limit).map(|entry| of_entry(entry, own)).collect();
    Ok(SharedCards { cards, next: next.to_text(), more })
}

fn of_entry(entry: &CardEntry<AgentCard>, own: DomainId) -> SharedCard {
    let card = entry.card.get();
    SharedCard {
        agent: card.agent,
        name: card.name.to_string(),
        capabilities: card.capabilities.iter().map(ToString::to_string).collect(),
        sequence: card.sequence,
        retired: card.retired,
        envelope: BASE64.encode(entry.card.envelope_bytes()),
        federation_metadata: Source { source_registry: own },
    }
}

/// The SPIFFE bundle of the own domain.
///
/// # Errors
/// `bundle_not_made` on a node without an HTTPS door, or before the root key has made its authority.
pub fn own_bundle(node: &Node) -> Result<Vec<u8>, ServiceError> {
    let authorities = node.svids().authorities().ok_or_else(|| {
        let next = "set [https] in config.toml; see the log for what the door waits for";
        ServiceError::new(Kind::Unavailable, "bundle_not_made", "this node has no authority in X.509", next)
    })?;
    let domain = node.domain();
    let serial = node.replica().read_stale(|ledger, _| ledger.root_keys(&domain).map_or(0, |root| root.serial));
    Ok(bundle::document(&domain, &anchors(node, &domain), &authorities, serial.saturating_add(1)))
}

/// The SPIFFE bundle of this domain or of a partner, which is asked over the mesh and judged by its root keys.
///
/// # Errors
/// As [`own_bundle`] and [`bundle::check`]; `unknown_domain` without a treaty; `no_answer` when no node of it gives one.
pub async fn bundle_of(node: &Node, domain: DomainId) -> Result<Vec<u8>, ServiceError> {
    if domain == node.domain() {
        return own_bundle(node);
    }
    let roots = anchors(node, &domain);
    if roots.is_empty() {
        return Err(ServiceError::not_found("domain", domain));
    }
    let mut why = "none of its nodes is connected".to_owned();
    for other in node.mesh().nodes_of(&domain) {
        let answer = node.mesh().request(other, Class::Tasks, Question::Bundle.encode(), PATIENCE).await;
        match answer.map(|bytes| Answer::decode(&bytes)) {
            Ok(Ok(Answer::Document(document))) => {
                return bundle::check(&document, &domain, &roots).map(|()| document.to_vec());
            }
            Ok(_) => "its answer is no bundle".clone_into(&mut why),
            Err(error) => why = error.to_string(),
        }
    }
    let next = "ask that operator to switch the HTTPS door on, or try again";
    Err(ServiceError::new(Kind::Unavailable, "no_answer", format!("{domain}: {why}"), next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_nothing_else_is_one() {
        for agent in [None, Some(AgentId([7; 32]))] {
            let cursor = Cursor { rules: "0123456789abcdef".to_owned(), heard_ms: 5, agent };
            assert_eq!(Cursor::parse(&cursor.to_text()), Some(cursor));
        }
        for bad in ["", "a", "a.b.", "a.5", "a.5.x", "a.5..", "a.-1."] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }
}
