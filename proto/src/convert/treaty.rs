//! Treaties, notices, invitations and pushes.

use super::{asset, need, put};
use crate::{
    amount::AssetCode,
    command::Verb,
    envelope::{Context, Signed},
    ids::{DomainId, Hash, PublicKey},
    limits as l,
    reject::{Reject, within},
    scan,
    strict::{self, array},
    text::{Capability, Endpoint, Nickname, Reason},
    treaty::{
        Charter, Door, ExposureCap, Invitation, TREATY_PUSH_VERSION, TreatyDocument, TreatyNotice, TreatyParty,
        TreatyPush, TreatyStanding,
    },
    wire::{self, command::Verb as WireVerb, treaty_push::Push as Wire},
};
use alloc::{string::String, vec::Vec};
use bytes::Bytes;
use prost::Message as _;

impl Signed for TreatyDocument {
    const CONTEXT: Context = Context::Treaty;
    const PAYLOAD_BYTES_MAX: usize = l::TREATY_BYTES_MAX;
    const LIMIT: &'static str = "treaty_bytes";
    const BY_ROOT: bool = true;

    fn encode(&self) -> Bytes {
        let [low, high] = &self.parties;
        let (low, high) = (Some(low.into()), Some(high.into()));
        let charter = self.charter.as_ref().map(Into::into);
        wire::TreatyDocument { previous: put(&self.previous.0), version: self.version, low, high, charter }
            .encode_to_vec()
            .into()
    }

    fn decode(payload: &Bytes) -> Result<TreatyDocument, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        for party in [3, 4] {
            scan::at_most_inside(payload, party, 3, l::EXPOSURE_CAPS_MAX, "exposure_caps")?;
        }
        scan::at_most_inside(payload, 5, 3, l::CHARTER_CAPABILITIES_MAX, "charter_capabilities")?;
        let wire: wire::TreatyDocument = strict::decode(payload)?;
        let previous = Hash(array(&wire.previous, "previous")?);
        let parties: [TreatyParty; 2] = [need(wire.low, "low")?.try_into()?, need(wire.high, "high")?.try_into()?];
        if wire.version == 0 || (wire.version == 1) != (previous == TreatyDocument::NONE) {
            return Err(Reject::OutOfRange { field: "version" });
        }
        let [low, high] = &parties;
        if low.domain() >= high.domain() {
            return Err(Reject::OutOfRange { field: "parties" });
        }
        for (party, other) in [(low, high), (high, low)] {
            let ascending = party.caps.is_sorted_by(|a, b| a.asset < b.asset);
            if !ascending || party.caps.iter().any(|cap| cap.asset.issuer != other.domain()) {
                return Err(Reject::OutOfRange { field: "caps" });
            }
        }
        let charter: Option<Charter> = wire.charter.map(TryInto::try_into).transpose()?;
        if charter.as_ref().is_some_and(|charter| parties.iter().all(|party| party.domain() != charter.child)) {
            return Err(Reject::OutOfRange { field: "child" });
        }
        Ok(TreatyDocument { previous, version: wire.version, parties, charter })
    }

    /// One of the two parties.
    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        if self.parties.iter().any(|party| party.key == *key) { Ok(()) } else { Err(Reject::WrongSigner) }
    }
}

impl From<&Charter> for wire::Charter {
    fn from(charter: &Charter) -> wire::Charter {
        wire::Charter {
            child: put(&charter.child.0),
            cap_max: charter.cap_max,
            capabilities: charter.capabilities.iter().map(|capability| capability.as_str().into()).collect(),
        }
    }
}

impl TryFrom<wire::Charter> for Charter {
    type Error = Reject;
    fn try_from(wire: wire::Charter) -> Result<Charter, Reject> {
        let capabilities = wire.capabilities.iter().map(|text| Capability::new(text));
        let capabilities: Vec<Capability> = capabilities.collect::<Result<_, _>>()?;
        if !capabilities.is_sorted_by(|one, next| one < next) {
            return Err(Reject::OutOfRange { field: "capabilities" });
        }
        Ok(Charter { child: DomainId(array(&wire.child, "child")?), cap_max: wire.cap_max, capabilities })
    }
}

impl From<&TreatyParty> for wire::TreatyParty {
    fn from(party: &TreatyParty) -> wire::TreatyParty {
        let cap = |cap: &ExposureCap| wire::ExposureCap {
            asset: Some((&cap.asset).into()),
            cap: cap.cap,
            majority_above: cap.majority_above,
        };
        wire::TreatyParty {
            key: put(&party.key.0),
            nickname: party.nickname.as_str().into(),
            caps: party.caps.iter().map(cap).collect(),
            policy: put(&party.policy.0),
        }
    }
}

impl TryFrom<wire::TreatyParty> for TreatyParty {
    type Error = Reject;
    fn try_from(party: wire::TreatyParty) -> Result<TreatyParty, Reject> {
        let cap = |cap: wire::ExposureCap| {
            Ok(ExposureCap { asset: asset(cap.asset)?, cap: cap.cap, majority_above: cap.majority_above })
        };
        Ok(TreatyParty {
            key: PublicKey(array(&party.key, "party_key")?),
            nickname: Nickname::new(&party.nickname)?,
            caps: party.caps.into_iter().map(cap).collect::<Result<_, Reject>>()?,
            policy: Hash(array(&party.policy, "policy")?),
        })
    }
}

impl Signed for TreatyNotice {
    const CONTEXT: Context = Context::TreatyNotice;
    const PAYLOAD_BYTES_MAX: usize = l::NOTICE_BYTES_MAX;
    const LIMIT: &'static str = "notice_bytes";
    const BY_ROOT: bool = true;

    fn encode(&self) -> Bytes {
        let wire = wire::TreatyNotice {
            from: put(&self.from.0),
            to: put(&self.to.0),
            serial: self.serial,
            standing: wire::TreatyStanding::from(self.standing).into(),
            denies: self.denies.as_ref().map(|digest| put(&digest.0)),
            reason: self.reason.as_str().into(),
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<TreatyNotice, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let wire: wire::TreatyNotice = strict::decode(payload)?;
        Ok(TreatyNotice {
            from: DomainId(array(&wire.from, "from")?),
            to: DomainId(array(&wire.to, "to")?),
            serial: wire.serial,
            standing: standing(wire.standing)?,
            denies: wire.denies.map(|digest| array(&digest, "denies").map(Hash)).transpose()?,
            reason: Reason::new(&wire.reason)?,
        })
    }

    /// The root key of the domain that says it.
    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        if DomainId::of_key(key) == self.from { Ok(()) } else { Err(Reject::WrongSigner) }
    }
}

impl From<TreatyStanding> for wire::TreatyStanding {
    fn from(standing: TreatyStanding) -> wire::TreatyStanding {
        match standing {
            TreatyStanding::Active => wire::TreatyStanding::Active,
            TreatyStanding::Suspended => wire::TreatyStanding::Suspended,
            TreatyStanding::Draining => wire::TreatyStanding::Draining,
            TreatyStanding::Revoked => wire::TreatyStanding::Revoked,
        }
    }
}

fn standing(standing: i32) -> Result<TreatyStanding, Reject> {
    match wire::TreatyStanding::try_from(standing) {
        Ok(wire::TreatyStanding::Active) => Ok(TreatyStanding::Active),
        Ok(wire::TreatyStanding::Suspended) => Ok(TreatyStanding::Suspended),
        Ok(wire::TreatyStanding::Draining) => Ok(TreatyStanding::Draining),
        Ok(wire::TreatyStanding::Revoked) => Ok(TreatyStanding::Revoked),
        Ok(wire::TreatyStanding::Unspecified) | Err(_) => Err(Reject::WrongKind { field: "standing" }),
    }
}

impl Signed for Invitation {
    const CONTEXT: Context = Context::Invitation;
    const PAYLOAD_BYTES_MAX: usize = l::INVITATION_BYTES_MAX;
    const LIMIT: &'static str = "invitation_bytes";
    const BY_ROOT: bool = true;

    fn encode(&self) -> Bytes {
        let door = |door: &Door| wire::Door { node: put(&door.node.0), address: door.address.as_str().into() };
        let wire = wire::Invitation {
            secret: put(&self.secret),
            nickname: self.nickname.as_str().into(),
            asset: self.asset.as_str().into(),
            cap: self.cap,
            policy: put(&self.policy.0),
            ends_at_ms: self.ends_at_ms,
            invitee: self.invitee.as_ref().map(|domain| put(&domain.0)),
            doors: self.doors.iter().map(door).collect(),
            majority_above: self.majority_above,
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<Invitation, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        scan::at_most(payload, 8, l::DOORS_MAX, "doors")?;
        let wire: wire::Invitation = strict::decode(payload)?;
        if wire.doors.is_empty() {
            return Err(Reject::Missing { field: "doors" });
        }
        let door = |door: wire::Door| {
            Ok(Door { node: PublicKey(array(&door.node, "door")?), address: Endpoint::new(&door.address)? })
        };
        Ok(Invitation {
            secret: array(&wire.secret, "secret")?,
            nickname: Nickname::new(&wire.nickname)?,
            asset: AssetCode::new(&wire.asset)?,
            cap: wire.cap,
            policy: Hash(array(&wire.policy, "policy")?),
            ends_at_ms: wire.ends_at_ms,
            invitee: wire.invitee.map(|id| array(&id, "invitee").map(DomainId)).transpose()?,
            majority_above: wire.majority_above,
            doors: wire.doors.into_iter().map(door).collect::<Result<_, Reject>>()?,
        })
    }
}

impl TreatyPush {
    /// The one encoding.
    pub fn encode(&self) -> Bytes {
        let texts = |endpoints: &[Endpoint]| endpoints.iter().map(|text| text.as_str().into()).collect();
        let push = match self {
            TreatyPush::Proposal { document, invitation, roster, endpoints } => Wire::Proposal(wire::TreatyProposal {
                document: document.clone(),
                invitation: invitation.clone(),
                roster: roster.clone(),
                endpoints: texts(endpoints),
            }),
            TreatyPush::Approval { document, countersigned, roster, endpoints } => {
                Wire::Approval(wire::TreatyApproval {
                    document: document.clone(),
                    countersigned: countersigned.clone(),
                    roster: roster.clone(),
                    endpoints: texts(endpoints),
                })
            }
            TreatyPush::Notice(notice) => Wire::Notice(notice.clone()),
            TreatyPush::Licence(licence) => Wire::Licence(licence.clone()),
            TreatyPush::Roster(roster) => Wire::Roster(roster.clone()),
            TreatyPush::Key(step) => Wire::Key(step.clone()),
        };
        wire::TreatyPush { version: TREATY_PUSH_VERSION, push: Some(push) }.encode_to_vec().into()
    }

    /// Reads a push; envelopes are slices of what arrived.
    pub fn decode(bytes: &Bytes) -> Result<TreatyPush, Reject> {
        within(bytes.len(), l::TREATY_PUSH_BYTES_MAX, "treaty_push_bytes")?;
        for (push, number) in [(2, 4), (3, 4)] {
            scan::at_most_inside(bytes, push, number, l::ENDPOINTS_MAX, "endpoints")?;
        }
        let wire = strict::versioned(bytes, TREATY_PUSH_VERSION, |push: &wire::TreatyPush| push.version)?;
        Ok(match wire.push.ok_or(Reject::WrongKind { field: "treaty_push" })? {
            Wire::Proposal(wire::TreatyProposal { document, invitation, roster, endpoints: texts }) => {
                TreatyPush::Proposal { document, invitation, roster, endpoints: endpoints(&texts)? }
            }
            Wire::Approval(wire::TreatyApproval { document, countersigned, roster, endpoints: texts }) => {
                TreatyPush::Approval { document, countersigned, roster, endpoints: endpoints(&texts)? }
            }
            Wire::Notice(notice) => TreatyPush::Notice(notice),
            Wire::Licence(licence) => TreatyPush::Licence(licence),
            Wire::Roster(roster) => TreatyPush::Roster(roster),
            Wire::Key(step) => TreatyPush::Key(step),
        })
    }
}

fn endpoints(texts: &[String]) -> Result<Vec<Endpoint>, Reject> {
    texts.iter().map(|text| Endpoint::new(text)).collect()
}

/// What an envelope by a root key adds.
const AROUND: usize = l::ENVELOPE_OVERHEAD_BYTES + l::ROOT_PATH_BYTES_MAX;
const TREATY_ENVELOPE: usize = l::TREATY_BYTES_MAX + AROUND;
const INVITATION_ENVELOPE: usize = l::INVITATION_BYTES_MAX + AROUND;
const NOTICE_ENVELOPE: usize = l::NOTICE_BYTES_MAX + AROUND;

/// Writes a verb about treaties and what they let in; another one is written as an empty notice, which every reader refuses.
pub(super) fn treaty_verb(verb: &Verb) -> WireVerb {
    match verb {
        Verb::InvitePeer { secret_hash, cap, ends_at_ms, invitee, majority_above } => {
            WireVerb::InvitePeer(wire::InvitePeer {
                secret_hash: put(&secret_hash.0),
                cap: *cap,
                ends_at_ms: *ends_at_ms,
                invitee: invitee.as_ref().map(|domain| put(&domain.0)),
                majority_above: *majority_above,
            })
        }
        Verb::ProposeTreaty { document, invitation } => {
            let (document, invitation) = (document.clone(), invitation.clone());
            WireVerb::ProposeTreaty(wire::ProposeTreaty { document, invitation })
        }
        Verb::ApproveTreaty { document, countersigned, roster } => {
            let (document, countersigned, roster) = (document.clone(), countersigned.clone(), roster.clone());
            WireVerb::ApproveTreaty(wire::ApproveTreaty { document, countersigned, roster })
        }
        Verb::ChangeTreaty { notice } => WireVerb::ChangeTreaty(notice.clone()),
        Verb::ChangeExport { rule, withdrawn, reason } => {
            WireVerb::ChangeExport(super::export::write_change(rule, *withdrawn, reason))
        }
        Verb::IssueLicence { licence } => WireVerb::IssueLicence(licence.clone()),
        _ => WireVerb::ChangeTreaty(Bytes::new()),
    }
}

/// Reads a verb about treaties.
pub(super) fn read_treaty(verb: WireVerb) -> Result<Verb, Reject> {
    Ok(match verb {
        WireVerb::InvitePeer(wire::InvitePeer { secret_hash, cap, ends_at_ms, invitee, majority_above }) => {
            Verb::InvitePeer {
                secret_hash: Hash(array(&secret_hash, "secret_hash")?),
                cap,
                ends_at_ms,
                invitee: invitee.map(|id| array(&id, "invitee").map(DomainId)).transpose()?,
                majority_above,
            }
        }
        WireVerb::ProposeTreaty(wire::ProposeTreaty { document, invitation }) => {
            within(document.len(), TREATY_ENVELOPE, "treaty_bytes")?;
            within(invitation.len(), INVITATION_ENVELOPE, "invitation_bytes")?;
            Verb::ProposeTreaty { document, invitation }
        }
        WireVerb::ApproveTreaty(wire::ApproveTreaty { document, countersigned, roster }) => {
            within(document.len().max(countersigned.len()), TREATY_ENVELOPE, "treaty_bytes")?;
            within(roster.len(), l::ROSTER_BYTES_MAX, "roster_bytes")?;
            Verb::ApproveTreaty { document, countersigned, roster }
        }
        WireVerb::ChangeTreaty(notice) => {
            within(notice.len(), NOTICE_ENVELOPE, "notice_bytes")?;
            Verb::ChangeTreaty { notice }
        }
        WireVerb::IssueLicence(licence) => {
            within(licence.len(), NOTICE_ENVELOPE, "licence_bytes")?;
            Verb::IssueLicence { licence }
        }
        _ => return Err(Reject::WrongKind { field: "verb" }),
    })
}
