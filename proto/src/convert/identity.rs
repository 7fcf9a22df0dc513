//! Certificates, rosters, genesis, join and session requests, attestations.

use super::{narrow, need, put};
use crate::{
    amount::AssetCode,
    envelope::{Context, Signed},
    identity::{Genesis, JoinRequest, KeyAttestation, NodeCertificate, Revocations, Roles, Roster, seats_of},
    ids::{AgentId, DomainId, Hash, PublicKey},
    limits as l,
    reject::{Reject, within},
    scan,
    session::SessionRequest,
    strict::{self, array},
    text::{Endpoint, Nickname},
    wire,
};
use bytes::Bytes;
use prost::Message as _;

/// A root key of that domain, asked with its first one: the one whose hash the domain is.
fn root_key(domain: &DomainId, key: &PublicKey) -> Result<(), Reject> {
    if DomainId::of_key(key) == *domain { Ok(()) } else { Err(Reject::WrongSigner) }
}

impl Signed for NodeCertificate {
    const CONTEXT: Context = Context::NodeCertificate;
    const PAYLOAD_BYTES_MAX: usize = l::CERTIFICATE_BYTES_MAX - l::ENVELOPE_OVERHEAD_BYTES - l::ROOT_PATH_BYTES_MAX;
    const LIMIT: &'static str = "certificate_bytes";
    const BY_ROOT: bool = true;

    fn encode(&self) -> Bytes {
        let wire = wire::NodeCertificate {
            domain: put(&self.domain.0),
            node: put(&self.node.0),
            voter: self.roles.voter,
            learner: self.roles.learner,
            gateway: self.roles.gateway,
            not_before_ms: self.not_before_ms,
            not_after_ms: self.not_after_ms,
            serial: self.serial,
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<NodeCertificate, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let wire: wire::NodeCertificate = strict::decode(payload)?;
        let valid_for = wire.not_after_ms.checked_sub(wire.not_before_ms);
        if !valid_for.is_some_and(|ms| ms > 0 && ms <= l::CERTIFICATE_VALID_MAX_MS) {
            return Err(Reject::OutOfRange { field: "not_after_ms" });
        }
        Ok(NodeCertificate {
            domain: DomainId(array(&wire.domain, "domain")?),
            node: PublicKey(array(&wire.node, "node")?),
            roles: Roles { voter: wire.voter, learner: wire.learner, gateway: wire.gateway },
            not_before_ms: wire.not_before_ms,
            not_after_ms: wire.not_after_ms,
            serial: wire.serial,
        })
    }

    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        root_key(&self.domain, key)
    }
}

impl Signed for Roster {
    const CONTEXT: Context = Context::Roster;
    const PAYLOAD_BYTES_MAX: usize = l::ROSTER_BYTES_MAX - l::ENVELOPE_OVERHEAD_BYTES - l::ROOT_PATH_BYTES_MAX;
    const LIMIT: &'static str = "roster_bytes";
    const BY_ROOT: bool = true;

    fn encode(&self) -> Bytes {
        let wire = wire::Roster {
            domain: put(&self.domain.0),
            epoch: self.epoch,
            voters: self.voters.iter().map(|key| put(&key.0)).collect(),
            seats: self.seats.iter().map(|seat| u32::from(*seat)).collect(),
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<Roster, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        scan::at_most(payload, 3, l::ROSTER_MAX, "roster")?;
        let wire: wire::Roster = strict::decode(payload)?;
        let key = |key: &Bytes| array(key, "voter").map(PublicKey);
        let roster = Roster {
            domain: DomainId(array(&wire.domain, "domain")?),
            epoch: wire.epoch,
            voters: wire.voters.iter().map(key).collect::<Result<_, _>>()?,
            seats: wire.seats.iter().map(|seat| narrow(*seat, "seats")).collect::<Result<_, _>>()?,
        };
        if roster.voters.is_empty() {
            return Err(Reject::Missing { field: "voters" });
        }
        if !roster.voters.is_sorted_by(|a, b| a < b) {
            return Err(Reject::OutOfRange { field: "voters" });
        }
        let seats = &roster.seats;
        if !seats.is_empty() && (seats.len() != roster.voters.len() || seats_of(seats) != *seats) {
            return Err(Reject::OutOfRange { field: "seats" });
        }
        Ok(roster)
    }

    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        root_key(&self.domain, key)
    }
}

impl Signed for Revocations {
    const CONTEXT: Context = Context::Revocations;
    const PAYLOAD_BYTES_MAX: usize = l::REVOCATIONS_BYTES_MAX;
    const LIMIT: &'static str = "revocations_bytes";
    const BY_ROOT: bool = true;

    fn encode(&self) -> Bytes {
        let wire = wire::Revocations { domain: put(&self.domain.0), epoch: self.epoch, serials: self.serials.clone() };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<Revocations, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let wire: wire::Revocations = strict::decode(payload)?;
        within(wire.serials.len(), l::REVOKED_MAX, "revoked")?;
        if wire.serials.is_empty() {
            return Err(Reject::Missing { field: "serials" });
        }
        if !wire.serials.is_sorted_by(|a, b| a < b) {
            return Err(Reject::OutOfRange { field: "serials" });
        }
        Ok(Revocations { domain: DomainId(array(&wire.domain, "domain")?), epoch: wire.epoch, serials: wire.serials })
    }

    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        root_key(&self.domain, key)
    }
}

impl Signed for Genesis {
    const CONTEXT: Context = Context::Genesis;
    const PAYLOAD_BYTES_MAX: usize = l::GENESIS_BYTES_MAX;
    const LIMIT: &'static str = "genesis_bytes";

    fn encode(&self) -> Bytes {
        let wire = wire::Genesis {
            domain: put(&self.domain.0),
            domain_key: put(&self.domain_key.0),
            nickname: self.nickname.as_str().into(),
            operator_key: put(&self.operator_key.0),
            asset_code: self.asset_code.as_str().into(),
            asset_scale: self.asset_scale.into(),
            supply_cap: self.supply_cap,
            policy: Some((&self.policy).into()),
            roster: self.roster.clone(),
            incarnation: self.incarnation,
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<Genesis, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let wire: wire::Genesis = strict::decode(payload)?;
        within(wire.roster.len(), l::ROSTER_BYTES_MAX, "roster_bytes")?;
        Ok(Genesis {
            domain: DomainId(array(&wire.domain, "domain")?),
            domain_key: PublicKey(array(&wire.domain_key, "domain_key")?),
            nickname: Nickname::new(&wire.nickname)?,
            operator_key: PublicKey(array(&wire.operator_key, "operator_key")?),
            asset_code: AssetCode::new(&wire.asset_code)?,
            asset_scale: narrow(wire.asset_scale, "asset_scale")?,
            supply_cap: wire.supply_cap,
            policy: need(wire.policy, "policy")?.try_into()?,
            roster: wire.roster,
            incarnation: wire.incarnation,
        })
    }

    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        if self.domain_key != *key {
            return Err(Reject::WrongSigner);
        }
        root_key(&self.domain, key)
    }
}

impl Signed for JoinRequest {
    const CONTEXT: Context = Context::JoinRequest;
    const PAYLOAD_BYTES_MAX: usize = l::JOIN_BYTES_MAX;
    const LIMIT: &'static str = "join_bytes";

    fn encode(&self) -> Bytes {
        let wire = wire::JoinRequest {
            domain: put(&self.domain.0),
            node: put(&self.node.0),
            token_proof: put(&self.token_proof.0),
            endpoints: self.endpoints.iter().map(|endpoint| endpoint.as_str().into()).collect(),
            issued_at_ms: self.issued_at_ms,
            nonce: put(&self.nonce),
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<JoinRequest, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        scan::at_most(payload, 4, l::ENDPOINTS_MAX, "endpoints")?;
        let wire: wire::JoinRequest = strict::decode(payload)?;
        Ok(JoinRequest {
            domain: DomainId(array(&wire.domain, "domain")?),
            node: PublicKey(array(&wire.node, "node")?),
            token_proof: Hash(array(&wire.token_proof, "token_proof")?),
            endpoints: wire.endpoints.iter().map(|text| Endpoint::new(text)).collect::<Result<_, _>>()?,
            issued_at_ms: wire.issued_at_ms,
            nonce: array(&wire.nonce, "nonce")?,
        })
    }

    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        if self.node == *key { Ok(()) } else { Err(Reject::WrongSigner) }
    }
}

impl Signed for SessionRequest {
    const CONTEXT: Context = Context::Session;
    const PAYLOAD_BYTES_MAX: usize = l::IDENTITY_BYTES_MAX;
    const LIMIT: &'static str = "identity_bytes";

    fn encode(&self) -> Bytes {
        let wire = wire::SessionRequest {
            agent: put(&self.agent.0),
            node: put(&self.node.0),
            nonce: put(&self.nonce),
            issued_at_ms: self.issued_at_ms,
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<SessionRequest, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let wire: wire::SessionRequest = strict::decode(payload)?;
        Ok(SessionRequest {
            agent: AgentId(array(&wire.agent, "agent")?),
            node: PublicKey(array(&wire.node, "node")?),
            nonce: array(&wire.nonce, "nonce")?,
            issued_at_ms: wire.issued_at_ms,
        })
    }
}

impl Signed for KeyAttestation {
    const CONTEXT: Context = Context::KeyAttestation;
    const PAYLOAD_BYTES_MAX: usize = l::IDENTITY_BYTES_MAX;
    const LIMIT: &'static str = "identity_bytes";

    fn encode(&self) -> Bytes {
        let wire = wire::KeyAttestation {
            domain: put(&self.domain.0),
            agent: put(&self.agent.0),
            key: put(&self.key.0),
            valid_until_ms: self.valid_until_ms,
        };
        wire.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<KeyAttestation, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        let wire: wire::KeyAttestation = strict::decode(payload)?;
        Ok(KeyAttestation {
            domain: DomainId(array(&wire.domain, "domain")?),
            agent: AgentId(array(&wire.agent, "agent")?),
            key: PublicKey(array(&wire.key, "key")?),
            valid_until_ms: wire.valid_until_ms,
        })
    }
}
