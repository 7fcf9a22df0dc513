//! Escrow terms.

use super::{asset, bps, need, party, put, put_referral, referral};
use crate::{
    escrow::{Arbiter, EscrowTerms, Payee, Silence},
    ids::{AgentId, Hash, PublicKey},
    limits as l,
    reject::{Reject, within},
    strict::array,
    text::Condition,
    wire,
};

impl From<&EscrowTerms> for wire::EscrowTerms {
    fn from(terms: &EscrowTerms) -> wire::EscrowTerms {
        let (referral_code, referrer) = put_referral(terms.referred_by.as_ref());
        wire::EscrowTerms {
            payer: put(&terms.payer.0),
            payees: terms.payees.iter().map(wire::Payee::from).collect(),
            asset: Some((&terms.asset).into()),
            amount: terms.amount,
            task_hash: put(&terms.task_hash.0),
            condition: terms.condition.as_str().into(),
            deliver_by_ms: terms.deliver_by_ms,
            delivery_grace_ms: terms.delivery_grace_ms,
            review_window_ms: terms.review_window_ms,
            on_silence: Some((&terms.on_silence).into()),
            arbiter: terms.arbiter.as_ref().map(wire::Arbiter::from),
            ruling_window_ms: terms.ruling_window_ms,
            on_no_ruling: Some((&terms.on_no_ruling).into()),
            referral_code,
            milestones: terms.milestones.clone(),
            referrer,
        }
    }
}

impl TryFrom<wire::EscrowTerms> for EscrowTerms {
    type Error = Reject;
    fn try_from(terms: wire::EscrowTerms) -> Result<EscrowTerms, Reject> {
        if terms.payees.is_empty() {
            return Err(Reject::Missing { field: "payees" });
        }
        within(terms.payees.len(), l::PAYEES_MAX, "payees")?;
        within(terms.milestones.len(), l::MILESTONES_MAX, "milestones")?;
        Ok(EscrowTerms {
            payer: AgentId(array(&terms.payer, "payer")?),
            payees: terms.payees.into_iter().map(Payee::try_from).collect::<Result<_, _>>()?,
            asset: asset(terms.asset)?,
            amount: terms.amount,
            task_hash: Hash(array(&terms.task_hash, "task_hash")?),
            condition: Condition::new(&terms.condition)?,
            deliver_by_ms: terms.deliver_by_ms,
            delivery_grace_ms: terms.delivery_grace_ms,
            review_window_ms: terms.review_window_ms,
            on_silence: silence(terms.on_silence, "on_silence")?,
            arbiter: terms.arbiter.map(Arbiter::try_from).transpose()?,
            ruling_window_ms: terms.ruling_window_ms,
            on_no_ruling: silence(terms.on_no_ruling, "on_no_ruling")?,
            referred_by: referral(terms.referral_code, terms.referrer)?,
            milestones: terms.milestones,
        })
    }
}

impl From<&Payee> for wire::Payee {
    fn from(payee: &Payee) -> wire::Payee {
        wire::Payee { party: Some((&payee.party).into()), key: put(&payee.key.0), share_bps: payee.share_bps.into() }
    }
}

impl TryFrom<wire::Payee> for Payee {
    type Error = Reject;
    fn try_from(payee: wire::Payee) -> Result<Payee, Reject> {
        Ok(Payee {
            party: party(payee.party, "payee")?,
            key: PublicKey(array(&payee.key, "payee_key")?),
            share_bps: bps(payee.share_bps, "share_bps")?,
        })
    }
}

impl From<&Arbiter> for wire::Arbiter {
    fn from(arbiter: &Arbiter) -> wire::Arbiter {
        wire::Arbiter { party: Some((&arbiter.party).into()), key: put(&arbiter.key.0) }
    }
}

impl TryFrom<wire::Arbiter> for Arbiter {
    type Error = Reject;
    fn try_from(arbiter: wire::Arbiter) -> Result<Arbiter, Reject> {
        Ok(Arbiter { party: party(arbiter.party, "arbiter")?, key: PublicKey(array(&arbiter.key, "arbiter_key")?) })
    }
}

impl From<&Silence> for wire::Silence {
    fn from(silence: &Silence) -> wire::Silence {
        let (rule, payee_bps) = match silence {
            Silence::Release => (wire::SilenceRule::Release, 0),
            Silence::Refund => (wire::SilenceRule::Refund, 0),
            Silence::Split { payee_bps } => (wire::SilenceRule::Split, u32::from(*payee_bps)),
        };
        wire::Silence { rule: rule.into(), payee_bps }
    }
}

fn silence(silence: Option<wire::Silence>, field: &'static str) -> Result<Silence, Reject> {
    let silence = need(silence, field)?;
    let payee_bps = bps(silence.payee_bps, field)?;
    match wire::SilenceRule::try_from(silence.rule) {
        Ok(wire::SilenceRule::Split) => Ok(Silence::Split { payee_bps }),
        Ok(wire::SilenceRule::Release) if payee_bps == 0 => Ok(Silence::Release),
        Ok(wire::SilenceRule::Refund) if payee_bps == 0 => Ok(Silence::Refund),
        Ok(wire::SilenceRule::Release | wire::SilenceRule::Refund) => Err(Reject::OutOfRange { field }),
        Ok(wire::SilenceRule::Unspecified) | Err(_) => Err(Reject::WrongKind { field }),
    }
}
