//! Treaties: what an operator does about other domains. The node that holds the domain's root key signs.

use super::{
    books::read,
    closing, commands,
    error::{Kind, ServiceError},
    exports,
    keys::root_forks,
    view::{InvitationView, LicenceView, Minor, PeerView, SideView},
};
use crate::{founding::DomainKeys, node::Node, signer::Signer, treaty::dial};
use comity_ledger::{
    Ledger, Outcome,
    treaty::{Treaty, TreatyState},
};
use comity_proto::{
    amount::AssetId,
    command::Verb,
    envelope::{Signed as _, Verified},
    export::Direction,
    ids::{DomainId, Hash},
    licence::Licence,
    limits::{DOORS_MAX, HOUR_MS},
    text::{Endpoint, Reason},
    treaty::{Charter, Door, ExposureCap, Invitation, TreatyDocument, TreatyNotice, TreatyParty, TreatyStanding},
};
use std::time::Duration;

/// How long an operator waits for the other domain to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(50);
/// Words of a fingerprint: 66 bits.
const WORDS: u32 = 6;
/// Bits of one word: the list has 2 048.
const WORD_BITS: u32 = 11;

/// The words that two operators compare.
pub fn words(fingerprint: &Hash) -> String {
    let list = bip39::Language::English.word_list();
    let bits = u128::from_be_bytes(fingerprint.first_16());
    let word = |place: u32| list[((bits >> (place * WORD_BITS)) & 0x7ff) as usize];
    (0..WORDS).map(word).collect::<Vec<_>>().join(" ")
}

pub(super) fn keys(node: &Node) -> Result<&DomainKeys, ServiceError> {
    node.home().domain_keys.as_ref().ok_or_else(|| node.home().no_root_key("sign a treaty"))
}

/// Signs as the operator, with the key in use now.
pub(super) fn operator(node: &Node) -> Result<Signer, ServiceError> {
    let first = &keys(node)?.operator;
    Ok(Signer::operator(node.operator_key().unwrap_or_else(|| first.clone()), node.domain()))
}

pub(super) async fn ask(node: &Node, verb: Verb) -> Result<(), ServiceError> {
    let batch = operator(node)?.sign(verb, comity_runtime::wall_ms());
    commands::submit(node, batch.envelope, &batch.request_id.to_string()).await.map(|_| ())
}

/// Our part of a treaty, as things are now.
fn part(ledger: &Ledger, caps: Vec<ExposureCap>) -> Option<TreatyParty> {
    let own = ledger.domain()?;
    let policy = ledger.policy_in_force()?.digest();
    Some(TreatyParty { key: own.key, nickname: own.nickname.clone(), caps, policy })
}

fn unfounded() -> ServiceError {
    commands::of_outcome(Outcome::NotInitialized)
}

/// Prints an invitation: one use, for one domain, until a time.
///
/// # Errors
/// `no_domain_key`, and what the ledger refuses.
pub async fn invite(
    node: &Node,
    cap: u64,
    majority_above: Option<u64>,
    hours: u32,
    invitee: Option<DomainId>,
) -> Result<InvitationView, ServiceError> {
    let root = &keys(node)?.root;
    let mut secret = [0; 32];
    comity_runtime::entropy(&mut secret);
    let mine = read(node, |ledger| {
        let part = part(ledger, Vec::new())?;
        Some((part, ledger.asset(ledger.native_asset())?.id.code, ledger.stamp_ms()))
    });
    let (part, asset, stamp_ms) = mine.await?.ok_or_else(unfounded)?;
    // A quiet ledger's time stands still.
    let now_ms = stamp_ms.max(comity_runtime::wall_ms());
    let ends_at_ms = now_ms.saturating_add(u64::from(hours).saturating_mul(HOUR_MS));
    let status = node.replica().status();
    let door = |member: &comity_replica::Member| {
        let address = member.info.addresses.first().and_then(|text| Endpoint::new(text).ok())?;
        Some(Door { node: node.key_at(&member.info.key), address })
    };
    let doors = status.voters.iter().filter_map(door).take(DOORS_MAX).collect();
    let (nickname, policy) = (part.nickname, part.policy);
    let invitation = Invitation { secret, nickname, asset, cap, majority_above, policy, ends_at_ms, invitee, doors };
    let secret_hash = invitation.secret_hash();
    ask(node, Verb::InvitePeer { secret_hash, cap, ends_at_ms, invitee, majority_above }).await?;
    let token = Invitation::text(&invitation.seal(root));
    Ok(InvitationView { token, domain: node.domain(), cap: Minor(cap), ends_at_ms, invitee })
}

/// Uses an invitation: signs the treaty and brings the signature to the inviting domain. `export`: all agents are admitted
/// in that direction, once the treaty is in force.
///
/// # Errors
/// `bad_invitation` for a text that was edited or cut, `invitation_expired`, and what either ledger refuses.
pub async fn accept(
    node: &Node,
    token: &str,
    (cap, majority_above): (u64, Option<u64>),
    export: Option<Direction>,
) -> Result<PeerView, ServiceError> {
    let root = &keys(node)?.root;
    let invitation = Invitation::parse(token).map_err(|reject| {
        let next = "copy the whole text again, or ask the other operator for a fresh one: comity peer invite";
        ServiceError::new(Kind::BadInput, "bad_invitation", format!("this is no invitation: {reject}"), next)
    })?;
    let said = invitation.get();
    if said.ends_at_ms <= comity_runtime::wall_ms() {
        return Err(by_peer(Outcome::InvitationExpired));
    }
    let peer = DomainId::of_key(invitation.first_key());
    let document = first_document(node, &invitation, (cap, majority_above)).await?;
    let envelope = document.seal(root);
    ask(node, Verb::ProposeTreaty { document: envelope, invitation: invitation.envelope_bytes().clone() }).await?;
    if let Some(direction) = export {
        exports::admit(node, peer, direction).await?;
    }
    dial(node, &said.doors.iter().map(|door| door.address.clone()).collect::<Vec<_>>()).await;
    until(node, peer, |treaty| treaty.proposed.as_ref().is_none_or(|proposed| proposed.answer.is_some())).await;
    told_no(node, peer)?;
    show(node, peer).await
}

/// The document to which an invitation invites.
async fn first_document(
    node: &Node,
    invitation: &Verified<Invitation>,
    (cap, majority_above): (u64, Option<u64>),
) -> Result<TreatyDocument, ServiceError> {
    let (said, key) = (invitation.get(), *invitation.first_key());
    let peer = DomainId::of_key(&key);
    let document = read(node, |ledger| {
        let native = ledger.asset(ledger.native_asset())?.id;
        let accepted = AssetId { issuer: peer, code: said.asset };
        let mine = part(ledger, vec![ExposureCap { asset: accepted, cap, majority_above }])?;
        let caps = vec![ExposureCap { asset: native, cap: said.cap, majority_above: said.majority_above }];
        let theirs = TreatyParty { key, nickname: said.nickname.clone(), caps, policy: said.policy };
        let before = ledger.treaty(&peer).and_then(Treaty::before);
        (mine.key != theirs.key).then(|| TreatyDocument::between(mine, theirs, before))
    });
    document.await?.ok_or_else(|| commands::of_outcome(Outcome::SelfDealing))
}

/// Signs what the peer has signed; `export` as in [`accept`].
///
/// # Errors
/// `nothing_to_approve`, `terms_changed`, and what the ledger refuses.
pub async fn approve(node: &Node, peer: DomainId, export: Option<Direction>) -> Result<PeerView, ServiceError> {
    let root = &keys(node)?.root;
    let asked = read(node, |ledger| {
        let proposed = ledger.treaty(&peer)?.proposed.as_ref().filter(|proposed| !proposed.by_us)?;
        Some(proposed.document.clone())
    });
    let countersigned = asked.await?.ok_or_else(|| nothing("approve", peer))?;
    let document = TreatyDocument::open(&countersigned).map_err(|reject| commands::of_reject(&reject))?;
    let document = document.get().seal(root);
    if let Some(direction) = export {
        exports::admit(node, peer, direction).await?;
    }
    // The peer's roster came with its proposal.
    ask(node, Verb::ApproveTreaty { document, countersigned, roster: bytes::Bytes::new() }).await?;
    until(node, peer, |treaty| treaty.agreed.as_ref().is_some_and(|agreed| !agreed.untold)).await;
    show(node, peer).await
}

fn nothing(what: &str, peer: DomainId) -> ServiceError {
    let detail = format!("domain {peer} has proposed nothing that waits for this side");
    ServiceError::new(Kind::Conflict, format!("nothing_to_{what}"), detail, "see comity peer list")
}

/// Proposes the next version: with the policy that is in force now, and with another cap if one is given.
///
/// # Errors
/// `unknown_treaty`, and what the ledger refuses.
pub async fn refresh(node: &Node, peer: DomainId, cap: Option<u64>) -> Result<PeerView, ServiceError> {
    propose_next(node, peer, cap, None).await
}

/// The same, with another charter if one is given.
pub(super) async fn propose_next(
    node: &Node,
    peer: DomainId,
    cap: Option<u64>,
    charter: Option<Option<Charter>>,
) -> Result<PeerView, ServiceError> {
    let root = &keys(node)?.root;
    let document = read(node, |ledger| {
        let treaty = ledger.treaty(&peer)?;
        let agreed = TreatyDocument::open(&treaty.agreed.as_ref()?.ours).ok()?.into_inner();
        let (mine, theirs) = agreed.sides(&node.domain())?;
        let caps = mine.caps.iter().map(|known| ExposureCap { cap: cap.unwrap_or(known.cap), ..*known });
        let mine = part(ledger, caps.collect())?;
        let charter = charter.unwrap_or_else(|| agreed.charter.clone());
        Some(TreatyDocument::between(mine, theirs.clone(), treaty.before()).under(charter))
    });
    let document = document.await?.ok_or_else(|| commands::of_outcome(Outcome::UnknownTreaty))?;
    ask(node, Verb::ProposeTreaty { document: document.seal(root), invitation: bytes::Bytes::new() }).await?;
    until(node, peer, |treaty| treaty.proposed.as_ref().is_none_or(|proposed| proposed.answer.is_some())).await;
    told_no(node, peer)?;
    show(node, peer).await
}

/// What an operator may do under a treaty besides signing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Refuses what the peer proposed.
    Deny,
    /// Begins nothing and votes no.
    Suspend,
    /// Takes part again.
    Resume,
    /// Begins nothing new for good; paper goes back.
    Drain,
    /// Leaves.
    Revoke,
}

impl Change {
    /// The change with this name.
    pub fn named(name: &str) -> Option<Change> {
        Some(match name {
            "deny" => Change::Deny,
            "suspend" => Change::Suspend,
            "resume" => Change::Resume,
            "drain" => Change::Drain,
            "revoke" => Change::Revoke,
            _ => return None,
        })
    }
}

/// Changes what this side does, and tells the peer.
///
/// # Errors
/// `reason_missing`, `nothing_to_deny`, and what the ledger refuses.
pub async fn change(node: &Node, peer: DomainId, change: Change, reason: &str) -> Result<PeerView, ServiceError> {
    let root = &keys(node)?.root;
    if reason.trim().is_empty() {
        return Err(ServiceError::bad_input("reason_missing", "say why: both sides keep it"));
    }
    let reason = Reason::new(reason).map_err(|reject| commands::of_reject(&reject))?;
    let known = read(node, |ledger| {
        let treaty = ledger.treaty(&peer)?;
        let asked = treaty.proposed.as_ref().filter(|proposed| !proposed.by_us).map(|proposed| proposed.digest);
        let repeated = if asked.is_none() { treaty.ours.untold_denial() } else { None };
        Some((treaty.ours.serial, treaty.ours.standing, asked, repeated))
    });
    let (serial, standing, asked, repeated) =
        known.await?.ok_or_else(|| commands::of_outcome(Outcome::UnknownTreaty))?;
    let (standing, denies) = match change {
        Change::Deny => (standing, Some(asked.ok_or_else(|| nothing("deny", peer))?)),
        Change::Suspend => (TreatyStanding::Suspended, repeated),
        Change::Resume => (TreatyStanding::Active, repeated),
        Change::Drain => (TreatyStanding::Draining, repeated),
        // What waits for this side is denied with it.
        Change::Revoke => (TreatyStanding::Revoked, asked.or(repeated)),
    };
    let from = node.domain();
    let notice = TreatyNotice { from, to: peer, serial: serial.saturating_add(1), standing, denies, reason };
    ask(node, Verb::ChangeTreaty { notice: notice.seal(root) }).await?;
    // A peer that is away is told when it is back; its operator need not be waited for.
    if node.reaches(&peer) {
        until(node, peer, |treaty| !treaty.ours.untold).await;
    }
    show(node, peer).await
}

/// Waits until the treaty is so, but not for ever: what is owed is said again whether or not anybody waits.
pub(super) async fn until(node: &Node, peer: DomainId, so: impl Fn(&Treaty) -> bool) {
    let begun = comity_runtime::now();
    while begun.elapsed() < PATIENCE && !node.replica().read_stale(|ledger, _| ledger.treaty(&peer).is_some_and(&so)) {
        comity_runtime::sleep(LOOK).await;
    }
}

/// The refusal of our proposal by the peer's ledger, if it gave one.
fn told_no(node: &Node, peer: DomainId) -> Result<(), ServiceError> {
    let answer =
        node.replica().read_stale(|ledger, _| ledger.treaty(&peer).and_then(|treaty| treaty.proposed.as_ref()?.answer));
    match answer {
        Some(outcome) if !outcome.is_success() => Err(by_peer(outcome)),
        _ => Ok(()),
    }
}

fn by_peer(outcome: Outcome) -> ServiceError {
    let detail = format!("the other domain refused: {}", outcome.name().replace('_', " "));
    let next = "ask its operator for a fresh invitation: comity peer invite";
    ServiceError::new(Kind::Refused, outcome.name(), detail, next)
}

/// All treaties.
///
/// # Errors
/// No majority.
pub async fn list(node: &Node) -> Result<Vec<PeerView>, ServiceError> {
    let views = read(node, |ledger| ledger.treaties().map(|treaty| view(ledger, treaty)).collect::<Vec<_>>()).await?;
    Ok(views.into_iter().map(|view| connected(node, view)).collect())
}

/// One treaty.
///
/// # Errors
/// `unknown_treaty`; no majority.
pub async fn show(node: &Node, peer: DomainId) -> Result<PeerView, ServiceError> {
    let view = read(node, |ledger| ledger.treaty(&peer).map(|treaty| view(ledger, treaty))).await?;
    view.map(|view| connected(node, view)).ok_or_else(|| ServiceError::not_found("treaty", peer))
}

fn connected(node: &Node, view: PeerView) -> PeerView {
    let neighbours = node.mesh().neighbours();
    let connected = neighbours.iter().filter(|other| other.standing.domain() == Some(view.domain)).count();
    let used = node.mesh().used(&view.domain);
    let root_fork = root_forks(node).into_iter().find(|fork| fork.domain == view.domain);
    PeerView { connected, used: used.events, refused: used.refused, root_fork, ..view }
}

/// Whether the peer has yet to acknowledge a word of ours about the treaty.
pub(crate) fn is_untold(treaty: &Treaty) -> bool {
    treaty.ours.untold
        || treaty.granted.as_ref().is_some_and(|granted| granted.untold)
        || treaty.agreed.as_ref().is_some_and(|agreed| agreed.untold)
        || treaty.closing.ours.as_ref().is_some_and(|ours| ours.untold)
        || treaty.proposed.as_ref().is_some_and(|proposed| proposed.by_us && proposed.answer.is_none())
}

/// How much of a peer's paper is held here: minor units of all assets that the treaty names, together.
pub(super) fn held_of(ledger: &Ledger, treaty: &Treaty) -> Minor {
    Minor(treaty.caps().iter().map(|cap| ledger.supply_of(&cap.asset)).fold(0, u64::saturating_add))
}

fn view(ledger: &Ledger, treaty: &Treaty) -> PeerView {
    let open = |envelope| TreatyDocument::open(envelope).map(Verified::into_inner).ok();
    let agreed = treaty.agreed.as_ref().and_then(|agreed| open(&agreed.ours));
    let proposed = treaty.proposed.as_ref().and_then(|proposed| open(&proposed.document));
    // What waits for a signature is what people must look at.
    let document = proposed.as_ref().or(agreed.as_ref());
    let home = ledger.domain().map(|own| own.id).unwrap_or(treaty.peer);
    let sides = document.and_then(|document| document.sides(&home));
    let cap = |part: &TreatyParty| part.caps.iter().map(|cap| cap.cap).fold(0_u64, u64::saturating_add);
    let above = |part: &TreatyParty| part.caps.iter().find_map(|cap| cap.majority_above);
    let side = |word: &comity_ledger::treaty::Word| SideView {
        standing: match word.standing {
            TreatyStanding::Active => "active",
            TreatyStanding::Suspended => "suspended",
            TreatyStanding::Draining => "draining",
            TreatyStanding::Revoked => "revoked",
        },
        serial: word.serial,
        reason: word.reason.as_ref().map(ToString::to_string),
    };
    let policy = ledger.policy_in_force().map(|policy| policy.digest());
    PeerView {
        domain: treaty.peer,
        nickname: treaty.nickname.to_string(),
        state: ledger.treaty_state(&treaty.peer).map_or("none", TreatyState::name),
        connected: 0,
        roster_epoch: ledger.peer_state(&treaty.peer).map_or(0, |state| state.roster_epoch),
        held: held_of(ledger, treaty),
        cap: Minor(sides.map_or(0, |(mine, _)| cap(mine))),
        their_cap: Minor(sides.map_or(0, |(_, theirs)| cap(theirs))),
        majority_above: sides.and_then(|(mine, _)| above(mine)).map(Minor),
        their_majority_above: sides.and_then(|(_, theirs)| above(theirs)).map(Minor),
        version: treaty.agreed.as_ref().map_or(0, |agreed| agreed.version),
        proposed_version: treaty.proposed.as_ref().map(|proposed| proposed.version),
        proposed_by: treaty.proposed.as_ref().map(|proposed| if proposed.by_us { "us" } else { "them" }),
        answer: treaty.proposed.as_ref().and_then(|proposed| proposed.answer).map(Outcome::name),
        terms: document.map(|document| document.digest().to_string()),
        fingerprint: document.map(|document| words(&document.fingerprint())),
        policy_current: sides.is_some_and(|(mine, _)| Some(mine.policy) == policy),
        ours: side(&treaty.ours),
        theirs: side(&treaty.theirs),
        licence_granted: treaty.granted.as_ref().map(|granted| licence(&granted.licence)),
        licence_held: treaty.held.as_ref().map(|held| licence(&held.licence)),
        used: 0,
        refused: 0,
        untold: is_untold(treaty),
        closing: closing::view(ledger, treaty),
        charter: document.and_then(|document| document.charter.as_ref()).map(Into::into),
        root_fork: None,
    }
}

fn licence(licence: &Licence) -> LicenceView {
    LicenceView {
        tier: licence.tier.to_string(),
        status: licence.status.name(),
        epoch: licence.epoch,
        agents_max: licence.agents_max,
        events_per_minute: licence.events_per_minute,
        expires_at_ms: licence.expires_at_ms,
        reason: licence.reason.to_string(),
        bearer: licence.bearer.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_six_words_of_the_list_and_changes_with_its_bits() {
        let none = words(&Hash([0; 32]));
        assert_eq!(none, "abandon abandon abandon abandon abandon abandon");
        assert_eq!(words(&Hash([0xff; 32])), "zoo zoo zoo zoo zoo zoo");
        let mut last = [0; 32];
        last[15] = 1;
        assert_eq!(words(&Hash(last)), "ability abandon abandon abandon abandon abandon");
    }
}
