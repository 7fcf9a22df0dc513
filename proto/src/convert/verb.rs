//! Verbs: one arm each, both ways.

use super::{
    asset, books, bps, export, narrow, need, party, put, put_referral, referral,
    treaty::{read_treaty, treaty_verb},
};
use crate::{
    amount::AssetCode,
    command::Verb,
    ids::{AgentId, EscrowId, Hash, PublicKey, TransferId},
    limits as l,
    reject::{Reject, within},
    strict::array,
    text::{GroupLabel, Memo, Name, Nickname, ReferralCode},
    wire::{self, command::Verb as Wire},
};
use alloc::string::String;
use bytes::Bytes;

fn text(text: &str) -> String {
    text.into()
}

fn name_years(name: &Name, years: u8) -> wire::NameYears {
    wire::NameYears { name: text(name), years: years.into() }
}

fn create_asset(code: &AssetCode, scale: u8, supply_cap: u64) -> Wire {
    Wire::CreateAsset(wire::CreateAsset { code: text(code.as_str()), scale: scale.into(), supply_cap })
}

fn release_escrow(id: &EscrowId, milestone: Option<u16>, hash: &Option<Hash>) -> wire::ReleaseEscrow {
    wire::ReleaseEscrow { escrow_id: put(&id.0), milestone: milestone.map(u32::from), verified_hash: optional(hash) }
}

impl From<&Verb> for Wire {
    fn from(verb: &Verb) -> Wire {
        match verb {
            Verb::RegisterAgent { nickname, group, referred_by, own_code, admission, custodial } => {
                let (code, referrer) = put_referral(referred_by.as_ref());
                Wire::RegisterAgent(wire::RegisterAgent {
                    nickname: text(nickname),
                    group: group.as_deref().map(text),
                    referred_by: code,
                    own_code: own_code.as_deref().map(text),
                    admission: admission.as_ref().map(|hash| put(&hash.0)),
                    referrer,
                    custodial: *custodial,
                })
            }
            Verb::RotateKey { new_key, proof } => {
                Wire::RotateKey(wire::RotateKey { new_key: put(&new_key.0), proof: put(proof) })
            }
            Verb::RetireAgent => Wire::RetireAgent(wire::Nothing {}),
            Verb::ClaimFaucet => Wire::ClaimFaucet(wire::Nothing {}),
            Verb::RegisterName { name, years } => Wire::RegisterName(name_years(name, *years)),
            Verb::RenewName { name, years } => Wire::RenewName(name_years(name, *years)),
            Verb::TransferName { name, to } => {
                Wire::TransferName(wire::TransferName { name: text(name), to: put(&to.0) })
            }
            Verb::ReleaseName { name } => Wire::ReleaseName(wire::ReleaseName { name: text(name) }),
            Verb::Transfer { transfer_id, to, asset, amount, memo } => Wire::Transfer(wire::Transfer {
                transfer_id: put(&transfer_id.0),
                to: Some(to.into()),
                asset: Some(asset.into()),
                amount: *amount,
                memo: text(memo),
            }),
            Verb::LockEscrow { escrow_id: id, terms } => {
                Wire::LockEscrow(wire::LockEscrow { escrow_id: put(&id.0), terms: Some(terms.into()) })
            }
            Verb::AcceptEscrow { escrow_id: id } => Wire::AcceptEscrow(put(&id.0)),
            Verb::SubmitEscrow { escrow_id: id, milestone: m, result_hash: hash } => {
                let (escrow_id, milestone, result_hash) = (put(&id.0), m.map(u32::from), put(&hash.0));
                Wire::SubmitEscrow(wire::SubmitEscrow { escrow_id, milestone, result_hash })
            }
            Verb::ReleaseEscrow { escrow_id, milestone, verified_hash } => {
                Wire::ReleaseEscrow(release_escrow(escrow_id, *milestone, verified_hash))
            }
            Verb::DisputeEscrow { escrow_id: id, evidence_hash: hash } => {
                Wire::DisputeEscrow(wire::DisputeEscrow { escrow_id: put(&id.0), evidence_hash: put(&hash.0) })
            }
            Verb::RuleEscrow { escrow_id: id, payee_bps } => {
                Wire::RuleEscrow(wire::RuleEscrow { escrow_id: put(&id.0), payee_bps: (*payee_bps).into() })
            }
            Verb::CancelEscrow { escrow_id: id } => Wire::CancelEscrow(put(&id.0)),
            Verb::CreateAsset { code, scale, supply_cap } => create_asset(code, *scale, *supply_cap),
            Verb::Issue { code, to, amount } => {
                let to = to.as_ref().map(|agent| put(&agent.0));
                Wire::Issue(wire::Issue { code: text(code.as_str()), to, amount: *amount })
            }
            Verb::Burn { code, amount } => Wire::Burn(wire::Burn { code: text(code.as_str()), amount: *amount }),
            Verb::FundFaucet { amount } => Wire::FundFaucet(*amount),
            Verb::SetPolicy { effective_at_ms, policy } => {
                Wire::SetPolicy(wire::SetPolicy { effective_at_ms: *effective_at_ms, policy: Some(policy.into()) })
            }
            Verb::InvitePeer { .. }
            | Verb::ProposeTreaty { .. }
            | Verb::ApproveTreaty { .. }
            | Verb::ChangeTreaty { .. }
            | Verb::ChangeExport { .. }
            | Verb::IssueLicence { .. } => treaty_verb(verb),
            Verb::ResolveTransfer { verdict } => Wire::ResolveTransfer(verdict.clone()),
            Verb::SettleBooks { peer, reason } => Wire::SettleBooks(books::put_settle(peer, reason)),
        }
    }
}

impl TryFrom<Wire> for Verb {
    type Error = Reject;
    fn try_from(verb: Wire) -> Result<Verb, Reject> {
        Ok(match verb {
            Wire::RegisterAgent(register) => return read_register(register),
            Wire::RotateKey(wire::RotateKey { new_key, proof }) => {
                Verb::RotateKey { new_key: PublicKey(array(&new_key, "new_key")?), proof: array(&proof, "proof")? }
            }
            Wire::RetireAgent(wire::Nothing {}) => Verb::RetireAgent,
            Wire::ClaimFaucet(wire::Nothing {}) => Verb::ClaimFaucet,
            Wire::RegisterName(wire::NameYears { name, years }) => {
                Verb::RegisterName { name: Name::new(&name)?, years: narrow(years, "years")? }
            }
            Wire::RenewName(wire::NameYears { name, years }) => {
                Verb::RenewName { name: Name::new(&name)?, years: narrow(years, "years")? }
            }
            Wire::TransferName(wire::TransferName { name, to }) => {
                Verb::TransferName { name: Name::new(&name)?, to: AgentId(array(&to, "to")?) }
            }
            Wire::ReleaseName(wire::ReleaseName { name }) => Verb::ReleaseName { name: Name::new(&name)? },
            Wire::Transfer(transfer) => return read_transfer(transfer),
            Wire::LockEscrow(wire::LockEscrow { escrow_id, terms }) => {
                Verb::LockEscrow { escrow_id: escrow(&escrow_id)?, terms: need(terms, "terms")?.try_into()? }
            }
            Wire::AcceptEscrow(id) => Verb::AcceptEscrow { escrow_id: escrow(&id)? },
            Wire::SubmitEscrow(wire::SubmitEscrow { escrow_id, milestone, result_hash }) => Verb::SubmitEscrow {
                escrow_id: escrow(&escrow_id)?,
                milestone: read_milestone(milestone)?,
                result_hash: Hash(array(&result_hash, "result_hash")?),
            },
            Wire::ReleaseEscrow(wire::ReleaseEscrow { escrow_id, milestone, verified_hash }) => Verb::ReleaseEscrow {
                escrow_id: escrow(&escrow_id)?,
                milestone: read_milestone(milestone)?,
                verified_hash: read_optional(verified_hash, "verified_hash")?,
            },
            Wire::DisputeEscrow(wire::DisputeEscrow { escrow_id, evidence_hash }) => Verb::DisputeEscrow {
                escrow_id: escrow(&escrow_id)?,
                evidence_hash: Hash(array(&evidence_hash, "evidence_hash")?),
            },
            Wire::RuleEscrow(wire::RuleEscrow { escrow_id, payee_bps }) => {
                Verb::RuleEscrow { escrow_id: escrow(&escrow_id)?, payee_bps: bps(payee_bps, "payee_bps")? }
            }
            Wire::CancelEscrow(id) => Verb::CancelEscrow { escrow_id: escrow(&id)? },
            Wire::CreateAsset(wire::CreateAsset { code, scale, supply_cap }) => {
                Verb::CreateAsset { code: AssetCode::new(&code)?, scale: narrow(scale, "scale")?, supply_cap }
            }
            Wire::Issue(wire::Issue { code, to, amount }) => {
                let to = to.map(|to| array(&to, "to").map(AgentId)).transpose()?;
                Verb::Issue { code: AssetCode::new(&code)?, to, amount }
            }
            Wire::Burn(wire::Burn { code, amount }) => Verb::Burn { code: AssetCode::new(&code)?, amount },
            Wire::FundFaucet(amount) => Verb::FundFaucet { amount },
            Wire::SetPolicy(wire::SetPolicy { effective_at_ms, policy }) => {
                Verb::SetPolicy { effective_at_ms, policy: need(policy, "policy")?.try_into()? }
            }
            Wire::InvitePeer(_)
            | Wire::ProposeTreaty(_)
            | Wire::ApproveTreaty(_)
            | Wire::ChangeTreaty(_)
            | Wire::IssueLicence(_) => {
                return read_treaty(verb);
            }
            Wire::ResolveTransfer(verdict) => {
                let most = l::VERDICT_BYTES_MAX + l::ENVELOPE_OVERHEAD_BYTES + l::ROOT_PATH_BYTES_MAX;
                within(verdict.len(), most, "verdict_bytes")?;
                Verb::ResolveTransfer { verdict }
            }
            Wire::ChangeExport(change) => return export::read_change(change),
            Wire::SettleBooks(said) => return books::read_settle(&said),
        })
    }
}

fn escrow(id: &Bytes) -> Result<EscrowId, Reject> {
    array(id, "escrow_id").map(EscrowId)
}

fn optional(hash: &Option<Hash>) -> Option<Bytes> {
    hash.as_ref().map(|hash| put(&hash.0))
}

fn read_optional(hash: Option<Bytes>, field: &'static str) -> Result<Option<Hash>, Reject> {
    hash.map(|hash| array(&hash, field).map(Hash)).transpose()
}

fn read_milestone(milestone: Option<u32>) -> Result<Option<u16>, Reject> {
    milestone.map(|milestone| narrow(milestone, "milestone")).transpose()
}

fn read_register(register: wire::RegisterAgent) -> Result<Verb, Reject> {
    Ok(Verb::RegisterAgent {
        nickname: Nickname::new(&register.nickname)?,
        group: register.group.map(|group| GroupLabel::new(&group)).transpose()?,
        referred_by: referral(register.referred_by, register.referrer)?,
        own_code: register.own_code.map(|code| ReferralCode::new(&code)).transpose()?,
        admission: read_optional(register.admission, "admission")?,
        custodial: register.custodial,
    })
}

fn read_transfer(transfer: wire::Transfer) -> Result<Verb, Reject> {
    Ok(Verb::Transfer {
        transfer_id: TransferId(array(&transfer.transfer_id, "transfer_id")?),
        to: party(transfer.to, "to")?,
        asset: asset(transfer.asset)?,
        amount: transfer.amount,
        memo: Memo::new(&transfer.memo)?,
    })
}
