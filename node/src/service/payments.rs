//! Payments that a payee carries: a payer signs the lock of an escrow and its release at once, and gives both to the payee,
//! who brings them into the ledger one after the other: the lock before it works, the release when it has.
//!
//! Which of the two is meant is always said, never counted, so a lock that is sent again is a lock. One payment pays once:
//! the payee accepts the escrow under the name of one attempt, and another attempt with the same payment is refused. What is
//! not released comes back to the payer, by the payee's word or by time.

use super::{
    books::read,
    commands,
    custody::{self, Asked, Bearer, Plan},
    domain::{self, DomainView},
    errands::{self, CreateEscrow, Errand, Refund},
    error::{Kind, ServiceError},
    principal::Principal,
    records::{self, Record},
};
use crate::node::Node;
use bytes::Bytes;
use comity_ledger::escrow::EscrowState;
use comity_proto::{
    amount::format_amount,
    command::{Actor, CommandBatch, Verb},
    envelope::{Signed as _, Verified},
    escrow::EscrowTerms,
    ids::{AgentId, EscrowId},
    limits::{BPS_WHOLE, SECOND_MS},
};

/// Longest time that a payment may be open.
pub const OPEN_S_MAX: u64 = 24 * 60 * 60;

/// What a payee asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Who is paid: an agent at home here.
    pub payee: AgentId,
    /// Minor units of the domain's own asset, before the fee.
    pub amount: u64,
    /// For so long the payment may be open, seconds.
    pub open_s: u64,
}

/// What a payer gives: the exact bytes of two signed commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Locks the escrow.
    pub lock: Bytes,
    /// Releases it.
    pub release: Bytes,
}

/// A payment that was read and judged.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Its escrow.
    pub escrow: EscrowId,
    /// Who pays.
    pub payer: AgentId,
    terms: EscrowTerms,
    payment: Payment,
}

/// Signs a payment of the caller's custodial account. The same key gives the same payment again.
///
/// # Errors
/// `own_key`, `spending_limit`, `idempotency_key_reused`; `payment_too_long`; a payee that is not known here.
pub async fn authorize(node: &Node, caller: &Bearer, key: &str, demand: &Demand) -> Result<Payment, ServiceError> {
    if !(1..=OPEN_S_MAX).contains(&demand.open_s) {
        let detail = format!("a payment is open for 1 to {OPEN_S_MAX} seconds, not {}", demand.open_s);
        return Err(ServiceError::bad_input("payment_too_long", detail));
    }
    let own = domain::domain(node)?;
    let content = format!("{} {} {}", demand.payee, demand.amount, demand.open_s);
    let asked = Asked::new(key, "payment", content.as_bytes())?;
    let (lock, request) = custody::authorize(node, caller, &asked, async |agent, request| {
        let mut plan = errands::plan(node, agent, request, &locking(&own, demand)).await?;
        if let Verb::LockEscrow { terms, .. } = &mut plan.verb {
            terms.deliver_by_ms = comity_runtime::wall_ms().saturating_add(demand.open_s.saturating_mul(SECOND_MS));
        }
        Ok(plan)
    })
    .await?;
    let escrow_id = errands::escrow_id(request);
    // The lock's request id names the release too, whatever characters the caller's key has.
    let asked = Asked::new(&format!("release-{request}"), "payment-release", content.as_bytes())?;
    let (release, _) = custody::authorize(node, caller, &asked, async |_, _| {
        let verb = Verb::ReleaseEscrow { escrow_id, milestone: None, verified_hash: None };
        Ok(Plan { verb, home: own.domain, spends: 0 })
    })
    .await?;
    Ok(Payment { lock, release })
}

fn locking(own: &DomainView, demand: &Demand) -> Errand {
    Errand::CreateEscrow(CreateEscrow {
        payee: demand.payee.to_string(),
        amount: format_amount(demand.amount, own.scale),
        task: format!("a payment to {}", demand.payee),
        on_silence: "refund".to_owned(),
        deliver_minutes: None,
        review_minutes: None,
        arbiter: None,
        condition: Some("the payee brings the payer's signed release".to_owned()),
        fee_on_top: false,
    })
}

fn bad(detail: impl Into<String>) -> ServiceError {
    ServiceError::bad_input("bad_payment", detail)
}

/// The one command of a batch, signed by an agent for this domain.
fn one(node: &Node, bytes: &Bytes) -> Result<(Verified<CommandBatch>, AgentId, Verb), ServiceError> {
    let opened = CommandBatch::open(bytes).map_err(|reject| commands::of_reject(&reject))?;
    let batch = opened.get();
    match (batch.actor, batch.commands.as_slice()) {
        (Actor::Agent(agent), [command]) if batch.home == node.domain() => {
            let verb = command.verb.clone();
            Ok((opened, agent, verb))
        }
        _ => Err(bad("lock and release are one command each, of an agent, for this domain")),
    }
}

/// Reads a payment and judges it against a demand: signatures, parties, amount. The ledger judges the rest at the lock.
///
/// # Errors
/// `bad_payment`, `payment_other_than_demanded`, what the bytes alone condemn.
pub fn judge(node: &Node, demand: &Demand, payment: Payment) -> Result<Judged, ServiceError> {
    let (lock, payer, locks) = one(node, &payment.lock)?;
    let (release, releaser, releases) = one(node, &payment.release)?;
    let (Verb::LockEscrow { escrow_id, terms }, Verb::ReleaseEscrow { escrow_id: released, milestone, verified_hash }) =
        (locks, releases)
    else {
        return Err(bad("a payment is the lock of an escrow and its release"));
    };
    let same = escrow_id == released && milestone.is_none() && verified_hash.is_none();
    if !same || payer != releaser || lock.key() != release.key() || terms.payer != payer {
        return Err(bad("lock and release are not of one escrow and one payer"));
    }
    if release.get().valid_until_ms < terms.deliver_by_ms {
        return Err(bad("the release ends before the escrow does"));
    }
    let own = domain::domain(node)?;
    let asset = terms.asset.issuer == own.domain && terms.asset.code == own.asset;
    let to = terms.payees.as_slice();
    let paid = matches!(to, [payee] if payee.party.domain == own.domain && payee.party.agent == demand.payee
        && payee.share_bps == BPS_WHOLE);
    if !asset || !paid || terms.amount != demand.amount || !terms.milestones.is_empty() {
        let detail = format!("the payment is not {} minor units of {} for {}", demand.amount, own.asset, demand.payee);
        return Err(ServiceError::bad_input("payment_other_than_demanded", detail));
    }
    Ok(Judged { escrow: escrow_id, payer, terms, payment })
}

/// Whether a lock could succeed now.
///
/// # Errors
/// `insufficient_funds`, `bad_signature`, `payment_used`.
pub async fn check(node: &Node, judged: &Judged) -> Result<(), ServiceError> {
    let key = CommandBatch::open(&judged.payment.lock).map_err(|reject| commands::of_reject(&reject))?;
    let (current, available, known) = read(node, |ledger| {
        let current = ledger.agent(&judged.payer).map(|agent| agent.key);
        (current, ledger.balance(&judged.payer, &judged.terms.asset), ledger.escrow(&judged.escrow).is_some())
    })
    .await?;
    if current != Some(*key.key()) {
        return Err(commands::of_outcome(comity_ledger::Outcome::BadSignature));
    }
    if known {
        return Err(used("its escrow is locked already"));
    }
    if available < judged.terms.amount {
        return Err(commands::of_outcome(comity_ledger::Outcome::InsufficientFunds));
    }
    Ok(())
}

fn used(detail: &str) -> ServiceError {
    let next = "ask for another payment: each pays for one thing, once";
    ServiceError::new(Kind::Conflict, "payment_used", detail, next)
}

/// Brings the lock into the ledger and accepts the escrow in the name of one attempt of the payee's. The same attempt again
/// is the same lock.
///
/// # Errors
/// `not_the_payee`, `payment_used`; what the ledger refuses.
pub async fn lock(node: &Node, caller: &Bearer, judged: &Judged, attempt: &str) -> Result<Record, ServiceError> {
    let payee = payee(caller, judged)?;
    bring(node, &judged.payment.lock).await?;
    let asked = Asked::new(&format!("payment-lock-{}", judged.escrow), "payment-lock", attempt.as_bytes())?;
    let (home, escrow_id) = (node.domain(), judged.escrow);
    let accepted = custody::act(node, caller, &asked, async |_, _| {
        Ok(Plan { verb: Verb::AcceptEscrow { escrow_id }, home, spends: 0 })
    });
    match accepted.await {
        Err(error) if error.code == "idempotency_key_reused" => Err(used("another attempt has it")),
        Err(error) if error.code == "wrong_state" => Err(used("its escrow has ended")),
        Err(error) => Err(error),
        Ok(_) => {
            let record = records::record(node, Principal::Agent(payee), &judged.escrow.to_string()).await?;
            let open = matches!(record.state, EscrowState::Locked | EscrowState::Accepted);
            if open { Ok(record) } else { Err(used("its escrow has ended")) }
        }
    }
}

/// Brings the release. Again is the same release. Before the lock it is kept back: the ledger would remember its refusal for
/// good, and the payment could not be released any more.
///
/// # Errors
/// `not_the_payee`; `unknown_escrow` before the lock; what the ledger refuses.
pub async fn release(node: &Node, caller: &Bearer, judged: &Judged) -> Result<Record, ServiceError> {
    let (payee, escrow) = (payee(caller, judged)?, judged.escrow.to_string());
    records::record(node, Principal::Agent(payee), &escrow).await?;
    bring(node, &judged.payment.release).await?;
    records::record(node, Principal::Agent(payee), &escrow).await
}

/// The payee gives everything back. Again is the same refund.
///
/// # Errors
/// As [`release`].
pub async fn refund(node: &Node, caller: &Bearer, judged: &Judged) -> Result<Record, ServiceError> {
    let payee = payee(caller, judged)?;
    let escrow = judged.escrow.to_string();
    let errand = Errand::RefundEscrow(Refund { escrow: escrow.clone(), home: None });
    errands::run(node, caller, &format!("payment-refund-{escrow}"), errand).await?;
    records::record(node, Principal::Agent(payee), &escrow).await
}

fn payee(caller: &Bearer, judged: &Judged) -> Result<AgentId, ServiceError> {
    let agent = caller.agent()?;
    if judged.terms.payees.iter().any(|payee| payee.party.agent == agent) {
        return Ok(agent);
    }
    let next = "settle with the token of the agent that is paid";
    Err(ServiceError::new(Kind::Forbidden, "not_the_payee", "the payment is for another agent", next))
}

async fn bring(node: &Node, envelope: &Bytes) -> Result<(), ServiceError> {
    let batch = commands::peek(envelope)?;
    let key = batch.commands.first().map(|command| command.request_id.to_string()).unwrap_or_default();
    commands::submit(node, envelope.clone(), &key).await.map(|_| ())
}
