//! The gate in front of every verb: who asks, is it in time, was it asked before.

use super::{Answer, Out, either};
use crate::{
    check::CheckedCommands,
    escrow,
    outcome::Outcome,
    state::{Ledger, OPERATOR, Remembered},
    treaty::Invited,
};
use alloc::{vec, vec::Vec};
use comity_proto::{
    command::{Actor, Command, Party, Verb},
    ids::{AgentId, DomainId, EscrowId, PublicKey},
};

/// Who asks, with the signature judged by the key that is active now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signer {
    /// The operator of this domain.
    Operator,
    /// An agent at home here; `true` if it has retired.
    Home(AgentId, bool),
    /// Not known here, and the key hashes to the id: may register.
    New(AgentId),
    /// At home elsewhere, named in the escrow that the command is about; the key is the pinned one.
    Foreign(Party),
}

impl Signer {
    /// Under which id its requests are remembered.
    const fn id(&self) -> AgentId {
        match self {
            Signer::Operator => OPERATOR,
            Signer::Home(agent, _) | Signer::New(agent) => *agent,
            Signer::Foreign(party) => party.agent,
        }
    }
}

impl Ledger {
    /// Applies the commands of one batch in order; each stands alone.
    pub(super) fn apply_commands(&mut self, checked: CheckedCommands, out: &mut Out) -> Vec<Outcome> {
        let CheckedCommands { key, batch, digests, proofs } = checked;
        let count = batch.commands.len();
        let Some(domain) = &self.head.domain else { return vec![Outcome::NotInitialized; count] };
        let (home, fenced) = (domain.id, domain.fenced);
        if batch.home != home {
            return vec![Outcome::WrongDomain; count];
        }
        let (actor, valid_until_ms) = (batch.actor, batch.valid_until_ms);
        let judged = batch.commands.into_iter().zip(digests).zip(proofs);
        judged
            .map(|((command, digest), proof)| {
                if fenced && !goes_through_a_fence(&command.verb) {
                    return Outcome::Fenced;
                }
                let signer = match self.authenticate(home, actor, &key, &command.verb) {
                    Ok(signer) => signer,
                    Err(refusal) => return refusal,
                };
                let who = signer.id();
                if let Some(answer) = self.answered(who, command.request_id, &digest, valid_until_ms) {
                    return answer;
                }
                if !self.may_remember(&who) {
                    return Outcome::LimitExceededRequests;
                }
                let request = command.request_id;
                let outcome = either(self.execute(signer, &key, home, command, proof, out));
                // A stranger that was not let in leaves nothing behind.
                if !matches!(signer, Signer::New(_)) || outcome.is_success() {
                    self.remember(who, request, Remembered { digest, valid_until_ms, outcome });
                }
                outcome
            })
            .collect()
    }

    /// Judges the signature by the key that is active at this stamp.
    fn authenticate(&self, home: DomainId, actor: Actor, key: &PublicKey, verb: &Verb) -> Result<Signer, Outcome> {
        let agent = match actor {
            Actor::Agent(agent) => agent,
            Actor::Operator => {
                let now_ms = self.head.stamp_ms;
                let right = self.head.domain.as_ref().is_some_and(|domain| domain.operator.accepts(key, now_ms));
                return if right { Ok(Signer::Operator) } else { Err(Outcome::BadSignature) };
            }
        };
        if let Some(known) = self.agents.get(&agent) {
            return if known.key == *key { Ok(Signer::Home(agent, known.retired)) } else { Err(Outcome::BadSignature) };
        }
        if let Verb::RegisterAgent { .. } = verb {
            let right = AgentId::of_key(key) == agent;
            return if right { Ok(Signer::New(agent)) } else { Err(Outcome::BadSignature) };
        }
        let escrow = escrow_of(verb).ok_or(Outcome::UnknownAgent)?;
        let terms = &self.escrows.get(&escrow).ok_or(Outcome::UnknownAgent)?.terms;
        let payees = terms.payees.iter().map(|payee| (payee.party, payee.key));
        let arbiter = terms.arbiter.iter().map(|arbiter| (arbiter.party, arbiter.key));
        let named = payees.chain(arbiter).find(|(party, _)| party.agent == agent && party.domain != home);
        match named {
            Some((party, pinned)) if pinned == *key => Ok(Signer::Foreign(party)),
            Some(_) => Err(Outcome::BadSignature),
            None => Err(Outcome::UnknownAgent),
        }
    }

    /// Does what is asked. Every verb of money, one line each.
    fn execute(
        &mut self,
        signer: Signer,
        key: &PublicKey,
        home: DomainId,
        command: Command,
        proof: bool,
        out: &mut Out,
    ) -> Answer {
        let (party, retired) = match signer {
            Signer::Operator => return self.execute_operator(command.verb, out),
            Signer::New(agent) => return self.register_agent(agent, *key, command.verb, out),
            Signer::Foreign(party) => (party, None),
            Signer::Home(agent, retired) => (Party { domain: home, agent }, Some(retired)),
        };
        match command.verb {
            Verb::AcceptEscrow { escrow_id } => escrow::accept(self, out, &party, escrow_id),
            Verb::SubmitEscrow { escrow_id, milestone, result_hash } => {
                escrow::submit(self, out, &party, escrow_id, milestone, result_hash)
            }
            Verb::ReleaseEscrow { escrow_id, milestone, verified_hash } => {
                escrow::release(self, out, &party, escrow_id, milestone, verified_hash)
            }
            Verb::DisputeEscrow { escrow_id, evidence_hash } => {
                escrow::dispute(self, out, &party, escrow_id, evidence_hash)
            }
            Verb::RuleEscrow { escrow_id, payee_bps } => escrow::rule(self, out, &party, escrow_id, payee_bps),
            Verb::CancelEscrow { escrow_id } => escrow::cancel(self, out, &party, escrow_id),
            verb => {
                let retired = retired.ok_or(Outcome::UnknownAgent)?;
                self.execute_home(party.agent, retired, verb, proof, out)
            }
        }
    }

    /// Verbs of an agent about itself, its names and its money.
    fn execute_home(&mut self, agent: AgentId, retired: bool, verb: Verb, proof: bool, out: &mut Out) -> Answer {
        let allowed_retired = matches!(
            verb,
            Verb::Transfer { .. } | Verb::RotateKey { .. } | Verb::RetireAgent | Verb::ReleaseName { .. }
        );
        if retired && !allowed_retired {
            return Err(Outcome::AgentRetired);
        }
        match verb {
            Verb::RegisterAgent { .. } => Ok(Outcome::Exists),
            Verb::RotateKey { new_key, .. } => self.rotate_key(agent, new_key, proof, out),
            Verb::RetireAgent => self.retire_agent(agent, out),
            Verb::ClaimFaucet => self.claim_faucet(agent, out),
            Verb::RegisterName { name, years } => self.register_name(agent, name, years, out),
            Verb::RenewName { name, years } => self.renew_name(agent, name, years, out),
            Verb::TransferName { name, to } => self.transfer_name(agent, name, to, out),
            Verb::ReleaseName { name } => self.release_name(agent, &name, out),
            Verb::Transfer { transfer_id, to, asset, amount, memo } => {
                let payment = super::transfers::Payment { transfer: transfer_id, to, asset, amount, memo };
                self.transfer(agent, payment, out)
            }
            Verb::LockEscrow { escrow_id, terms } => escrow::lock(self, out, agent, escrow_id, terms),
            _ => Err(Outcome::NotAuthorised),
        }
    }

    /// Verbs of the operator: never an agent's money.
    fn execute_operator(&mut self, verb: Verb, out: &mut Out) -> Answer {
        match verb {
            Verb::CreateAsset { code, scale, supply_cap } => self.create_asset(code, scale, supply_cap, out),
            Verb::Issue { code, to, amount } => self.issue(&code, to, amount, out),
            Verb::Burn { code, amount } => self.burn(&code, amount, out),
            Verb::FundFaucet { amount } => self.fund_faucet(amount, out),
            Verb::SetPolicy { effective_at_ms, policy } => self.set_policy(effective_at_ms, policy, out),
            Verb::InvitePeer { secret_hash, cap, ends_at_ms, invitee, majority_above } => {
                let invited = Invited { cap, ends_at_ms, invitee, majority_above, used_by: None };
                self.invite_peer(secret_hash, invited, out)
            }
            Verb::ProposeTreaty { document, invitation } => self.propose_treaty(document, invitation, out),
            Verb::ApproveTreaty { document, countersigned, roster } => {
                self.approve_treaty(document, countersigned, &roster, out)
            }
            Verb::ChangeTreaty { notice } => self.change_treaty(notice, out),
            Verb::ResolveTransfer { verdict } => self.resolve_transfer(&verdict, out),
            Verb::SettleBooks { peer, reason } => self.settle_books(peer, reason, out),
            Verb::IssueLicence { licence } => self.issue_licence(licence, out),
            Verb::ChangeExport { rule, withdrawn, reason } => self.change_export(rule, withdrawn, reason, out),
            _ => Err(Outcome::NotAuthorised),
        }
    }
}

/// What a restored ledger takes before its peers agree: nothing that debits an agent or begins a transfer.
const fn goes_through_a_fence(verb: &Verb) -> bool {
    matches!(
        verb,
        Verb::RegisterAgent { .. }
            | Verb::Issue { to: None, .. }
            | Verb::ResolveTransfer { .. }
            | Verb::SettleBooks { .. }
            | Verb::ApproveTreaty { .. }
            | Verb::ChangeTreaty { .. }
    )
}

/// The escrow that a verb of its parties is about.
const fn escrow_of(verb: &Verb) -> Option<EscrowId> {
    match verb {
        Verb::AcceptEscrow { escrow_id }
        | Verb::SubmitEscrow { escrow_id, .. }
        | Verb::ReleaseEscrow { escrow_id, .. }
        | Verb::DisputeEscrow { escrow_id, .. }
        | Verb::RuleEscrow { escrow_id, .. }
        | Verb::CancelEscrow { escrow_id } => Some(*escrow_id),
        _ => None,
    }
}
