//! Command batches, policies and treaties.

use super::{asset, narrow, need, put};
use crate::{
    command::{Actor, Command, CommandBatch},
    envelope::{Context, Signed},
    ids::{AgentId, DomainId, Hash, PublicKey, RequestId},
    limits as l,
    policy::Policy,
    reject::{Reject, within},
    scan,
    strict::{self, array},
    text::Nickname,
    treaty::{ExposureCap, Treaty},
    wire,
};
use bytes::Bytes;
use prost::Message as _;

impl Signed for CommandBatch {
    const CONTEXT: Context = Context::Command;
    const PAYLOAD_BYTES_MAX: usize = l::COMMAND_BATCH_BYTES_MAX;
    const LIMIT: &'static str = "command_batch_bytes";

    fn encode(&self) -> Bytes {
        let actor = match &self.actor {
            Actor::Agent(agent) => wire::command_batch::Actor::Agent(put(&agent.0)),
            Actor::Operator => wire::command_batch::Actor::Operator(wire::Nothing {}),
        };
        let commands = self.commands.iter().map(|command| wire::Command {
            request_id: put(&command.request_id.0),
            verb: Some((&command.verb).into()),
        });
        let batch = wire::CommandBatch {
            home: put(&self.home.0),
            actor: Some(actor),
            valid_until_ms: self.valid_until_ms,
            commands: commands.collect(),
        };
        batch.encode_to_vec().into()
    }

    fn decode(payload: &Bytes) -> Result<CommandBatch, Reject> {
        within(payload.len(), Self::PAYLOAD_BYTES_MAX, Self::LIMIT)?;
        scan::at_most(payload, 5, l::COMMANDS_PER_BATCH_MAX, "commands_per_batch")?;
        let batch: wire::CommandBatch = strict::decode(payload)?;
        if batch.commands.is_empty() {
            return Err(Reject::Missing { field: "commands" });
        }
        let actor = match need(batch.actor, "actor")? {
            wire::command_batch::Actor::Agent(agent) => Actor::Agent(AgentId(array(&agent, "agent")?)),
            wire::command_batch::Actor::Operator(wire::Nothing {}) => Actor::Operator,
        };
        let read = |command: wire::Command| -> Result<Command, Reject> {
            Ok(Command {
                request_id: RequestId(array(&command.request_id, "request_id")?),
                verb: command.verb.ok_or(Reject::WrongKind { field: "verb" })?.try_into()?,
            })
        };
        Ok(CommandBatch {
            home: DomainId(array(&batch.home, "home")?),
            actor,
            valid_until_ms: batch.valid_until_ms,
            commands: batch.commands.into_iter().map(read).collect::<Result<_, _>>()?,
        })
    }
}

impl Policy {
    /// What a card and a treaty refer to: the hash of this policy's one encoding.
    pub fn digest(&self) -> Hash {
        Hash::of_parts("comity/v1/policy", &[&wire::Policy::from(self).encode_to_vec()])
    }
}

impl From<&Policy> for wire::Policy {
    fn from(policy: &Policy) -> wire::Policy {
        wire::Policy {
            version: policy.version,
            escrow_fee_bps: policy.escrow_fee_bps.into(),
            transfer_fee_bps: policy.transfer_fee_bps.into(),
            referral_level1_bps: policy.referral_level1_bps.into(),
            referral_level2_bps: policy.referral_level2_bps.into(),
            faucet_grant: policy.faucet_grant,
            faucet_claims_per_hour: policy.faucet_claims_per_hour,
            faucet_claims_per_token: policy.faucet_claims_per_token,
            faucet_stays_home: policy.faucet_stays_home,
            name_fee_per_year: policy.name_fee_per_year,
            dispute_bond: policy.dispute_bond,
            decide_within_ms: policy.decide_within_ms,
        }
    }
}

impl TryFrom<wire::Policy> for Policy {
    type Error = Reject;
    fn try_from(policy: wire::Policy) -> Result<Policy, Reject> {
        Ok(Policy {
            version: policy.version,
            escrow_fee_bps: narrow(policy.escrow_fee_bps, "escrow_fee_bps")?,
            transfer_fee_bps: narrow(policy.transfer_fee_bps, "transfer_fee_bps")?,
            referral_level1_bps: narrow(policy.referral_level1_bps, "referral_level1_bps")?,
            referral_level2_bps: narrow(policy.referral_level2_bps, "referral_level2_bps")?,
            faucet_grant: policy.faucet_grant,
            faucet_claims_per_hour: policy.faucet_claims_per_hour,
            faucet_claims_per_token: policy.faucet_claims_per_token,
            faucet_stays_home: policy.faucet_stays_home,
            name_fee_per_year: policy.name_fee_per_year,
            dispute_bond: policy.dispute_bond,
            decide_within_ms: policy.decide_within_ms,
        })
    }
}

impl From<&Treaty> for wire::Treaty {
    fn from(treaty: &Treaty) -> wire::Treaty {
        let cap = |cap: &ExposureCap| wire::ExposureCap { asset: Some((&cap.asset).into()), cap: cap.cap };
        wire::Treaty {
            peer: put(&treaty.peer.0),
            peer_key: put(&treaty.peer_key.0),
            nickname: treaty.nickname.as_str().into(),
            active: treaty.active,
            caps: treaty.caps.iter().map(cap).collect(),
            roster: treaty.roster.clone(),
        }
    }
}

impl TryFrom<wire::Treaty> for Treaty {
    type Error = Reject;
    fn try_from(treaty: wire::Treaty) -> Result<Treaty, Reject> {
        within(treaty.caps.len(), l::EXPOSURE_CAPS_MAX, "exposure_caps")?;
        within(treaty.roster.len(), l::ROSTER_BYTES_MAX, "roster_bytes")?;
        let cap = |cap: wire::ExposureCap| Ok(ExposureCap { asset: asset(cap.asset)?, cap: cap.cap });
        Ok(Treaty {
            peer: DomainId(array(&treaty.peer, "peer")?),
            peer_key: PublicKey(array(&treaty.peer_key, "peer_key")?),
            nickname: Nickname::new(&treaty.nickname)?,
            active: treaty.active,
            caps: treaty.caps.into_iter().map(cap).collect::<Result<_, Reject>>()?,
            roster: treaty.roster,
        })
    }
}
