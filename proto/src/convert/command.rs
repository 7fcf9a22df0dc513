//! Command batches and policies.

use super::{narrow, need, put};
use crate::{
    command::{Actor, Command, CommandBatch},
    envelope::{Context, Signed},
    ids::{AgentId, DomainId, Hash, RequestId},
    limits as l,
    policy::Policy,
    reject::{Reject, within},
    scan,
    strict::{self, array},
    wire,
};
use alloc::vec::Vec;
use bytes::Bytes;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

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

/// What a door must know of a batch to carry it and to name its commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// The domain whose ledger is addressed.
    pub home: DomainId,
    /// Of each command, in order; at least one.
    pub requests: Vec<RequestId>,
}

/// Fields of [`wire::CommandBatch`] and [`wire::Command`].
const FIELD_HOME: u64 = 1;
const FIELD_REQUEST_ID: u64 = 1;
const FIELD_VALID_UNTIL: u64 = 4;
const FIELD_COMMANDS: u64 = 5;
/// The encoding of `valid_until_ms = 1`.
const VALID_UNTIL_ONE: [u8; 2] = [0x20, 1];

impl CommandBatch {
    /// Looks at a payload without reading the commands: for routing only, whoever judges the bytes reads all of them.
    /// `None` where this is no batch, or one that is too long.
    pub fn heading(payload: &[u8]) -> Option<Heading> {
        scan::at_most(payload, FIELD_COMMANDS, l::COMMANDS_PER_BATCH_MAX, "commands_per_batch").ok()?;
        let mut fields = scan::fields(payload);
        let home = fields.next().filter(|field| field.number == FIELD_HOME)?;
        let request = |command: scan::Field<'_>| {
            let id = scan::fields(command.body).next().filter(|field| field.number == FIELD_REQUEST_ID)?;
            RequestId::try_from(id.body).ok()
        };
        let commands = fields.filter(|field| field.number == FIELD_COMMANDS);
        let requests: Vec<RequestId> = commands.map(request).collect::<Option<_>>()?;
        let home = DomainId::try_from(home.body).ok()?;
        (!requests.is_empty()).then_some(Heading { home, requests })
    }

    /// What the request id of each command is bound to: who asks what of whom. Not `valid_until`: a retry may be valid for
    /// longer. First half of the SHA-256 of a batch of this command alone that is valid until 1.
    ///
    /// `payload` is the encoding of a batch. There is one per content, so its parts stand in it as they would stand alone,
    /// and nothing is encoded again.
    pub fn content_digests(payload: &[u8]) -> Vec<[u8; 16]> {
        let heading = scan::fields(payload).take_while(|field| field.number < FIELD_VALID_UNTIL);
        let heading = heading.fold(Sha256::new(), |hash, field| hash.chain_update(field.whole));
        let heading = heading.chain_update(VALID_UNTIL_ONE);
        let commands = scan::fields(payload).filter(|field| field.number == FIELD_COMMANDS);
        let digest = |whole: &[u8]| Hash(heading.clone().chain_update(whole).finalize().into()).first_16();
        commands.map(|command| digest(command.whole)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Verb;
    use crate::ids::EscrowId;
    use alloc::vec;

    #[test]
    fn what_is_no_batch_has_no_heading() {
        let command = Command { request_id: RequestId([1; 16]), verb: Verb::RetireAgent };
        let home = DomainId([9; 32]);
        let batch = |commands| CommandBatch { home, actor: Actor::Operator, valid_until_ms: 1, commands }.encode();
        assert_eq!(CommandBatch::heading(&batch(vec![])), None);
        assert_eq!(CommandBatch::heading(&batch(vec![command.clone(); l::COMMANDS_PER_BATCH_MAX + 1])), None);
        let good = batch(vec![command]);
        for end in 0..good.len() {
            let cut = CommandBatch::heading(good.get(..end).expect("within"));
            assert!(cut.is_none(), "{end}");
        }
    }

    #[test]
    fn a_request_is_bound_to_its_command_as_if_it_stood_alone() {
        let command = |n: u8, verb| Command { request_id: RequestId([n; 16]), verb };
        let commands = vec![
            command(1, Verb::RetireAgent),
            command(2, Verb::AcceptEscrow { escrow_id: EscrowId([2; 16]) }),
            command(3, Verb::FundFaucet { amount: 0 }),
        ];
        for actor in [Actor::Operator, Actor::Agent(AgentId([7; 32]))] {
            for valid_until_ms in [0, 1, u64::MAX] {
                let home = DomainId([9; 32]);
                let batch = CommandBatch { home, actor, valid_until_ms, commands: commands.clone() };
                let alone = |command: &Command| {
                    let commands = vec![command.clone()];
                    Hash::of(&CommandBatch { home, actor, valid_until_ms: 1, commands }.encode()).first_16()
                };
                let want: Vec<_> = commands.iter().map(alone).collect();
                assert_eq!(CommandBatch::content_digests(&batch.encode()), want);
                let requests = commands.iter().map(|command| command.request_id).collect();
                assert_eq!(CommandBatch::heading(&batch.encode()), Some(Heading { home, requests }));
            }
        }
    }
}
