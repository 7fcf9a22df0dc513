//! What a custodial agent may ask for: typed errands in, one signed command out. Names are resolved and amounts read here,
//! once; what was signed then stands, whatever a name means later.

use super::{
    books::{self, read},
    cards, commands,
    custody::{self, Asked, Bearer, Done, Plan},
    domain::{self, DomainView},
    error::ServiceError,
    principal::Principal,
    trades,
};
use crate::node::Node;
use comity_proto::{
    amount::{AssetId, parse_amount},
    command::{Party, Verb},
    escrow::{Arbiter, EscrowTerms, Payee, Silence},
    ids::{AgentId, DomainId, EscrowId, Hash, PublicKey, RequestId, TransferId},
    limits::{BPS_WHOLE, DELIVERY_GRACE_REMOTE_MS, SECOND_MS},
    text::{Condition, Memo},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const MINUTE_MS: u64 = 60 * SECOND_MS;
/// Minutes to deliver, to answer a submission and to rule, unless told otherwise.
const MINUTES: u32 = 60;
/// When the payer releases, unless the terms say it in other words.
const ACCEPTED: &str = "the result is accepted by the payer";

/// One errand. The payer is always the caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "verb", content = "arguments", rename_all = "snake_case", deny_unknown_fields)]
pub enum Errand {
    /// The start grant, once per agent.
    ClaimFaucet(Nothing),
    /// Money to an agent here or elsewhere.
    Transfer(Transfer),
    /// Money put aside for work.
    CreateEscrow(CreateEscrow),
    /// The payee hands in the hash of a result.
    Deliver(Deliver),
    /// The payer pays.
    ReleaseFunds(Release),
    /// Either side calls the arbiter.
    DisputeEscrow(Dispute),
    /// The payee gives everything back.
    RefundEscrow(Refund),
    /// The arbiter rules.
    RuleDispute(Rule),
}

/// No arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Arguments of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// Agent id, unique prefix, registered name, or AGENT@DOMAIN.
    pub to: String,
    /// Such as 1.25.
    pub amount: String,
    /// For people.
    #[serde(default)]
    pub memo: String,
}

/// Terms of an escrow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateEscrow {
    /// As in [`Transfer::to`].
    pub payee: String,
    /// Such as 5.00.
    pub amount: String,
    /// The words of the task; the terms hold their hash.
    pub task: String,
    /// What silence after a submission means: release, refund, or the payee's basis points.
    pub on_silence: String,
    /// Until delivery is late.
    pub deliver_minutes: Option<u32>,
    /// For the payer to answer a submission, and for the arbiter to rule.
    pub review_minutes: Option<u32>,
    /// Who rules a dispute; without one there is none.
    pub arbiter: Option<String>,
    /// When the payer will release, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// The fee comes on top: the payee of a release gets all of `amount`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fee_on_top: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Which escrow, and where it lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deliver {
    /// Escrow id, or a unique prefix of one that lives here.
    pub escrow: String,
    /// The result's words, to be hashed; or its hash.
    pub result: Option<String>,
    /// SHA-256 of the result in hex.
    pub result_sha256: Option<String>,
    /// Domain of the escrow when it is another one.
    pub home: Option<String>,
}

/// What the payer pays for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// As in [`Deliver::escrow`].
    pub escrow: String,
    /// The result that was checked: refused unless it is the one that was handed in.
    pub verified_sha256: Option<String>,
}

/// What is held against a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dispute {
    /// As in [`Deliver::escrow`].
    pub escrow: String,
    /// The words of the evidence; the ledger keeps their hash.
    pub evidence: String,
    /// As in [`Deliver::home`].
    pub home: Option<String>,
}

/// What is given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refund {
    /// As in [`Deliver::escrow`].
    pub escrow: String,
    /// As in [`Deliver::home`].
    pub home: Option<String>,
}

/// What the arbiter says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// As in [`Deliver::escrow`].
    pub escrow: String,
    /// The payees' share of what is open, basis points.
    pub payee_bps: u16,
    /// As in [`Deliver::home`].
    pub home: Option<String>,
}

/// What came of an errand, and what it made.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The ledger's word.
    pub done: Done,
    /// The escrow that it made, if it made one.
    pub escrow: Option<EscrowId>,
    /// The transfer, likewise.
    pub transfer: Option<TransferId>,
}

impl Ran {
    /// The terms that were signed, if it was an escrow.
    pub fn terms(&self) -> Option<EscrowTerms> {
        let commands = commands::peek(&self.done.signed).ok()?.commands;
        commands.into_iter().find_map(|command| match command.verb {
            Verb::LockEscrow { terms, .. } => Some(terms),
            _ => None,
        })
    }
}

/// The id of the escrow that a request makes: the same on every retry.
pub(super) fn escrow_id(request: RequestId) -> EscrowId {
    EscrowId(Hash::of_parts("comity/v1/custody-escrow", &[&request.0]).first_16())
}

fn transfer_id(request: RequestId) -> TransferId {
    TransferId(Hash::of_parts("comity/v1/custody-transfer", &[&request.0]).first_16())
}

/// Runs an errand for whoever presents the token. The same key again is the same errand.
///
/// # Errors
/// `bad_idempotency_key`, `idempotency_key_reused`, `spending_limit`, `own_key`; names and amounts that are none; what
/// the ledger refuses.
pub async fn run(node: &Node, caller: &Bearer, key: &str, errand: Errand) -> Result<Ran, ServiceError> {
    let arguments = serde_json::to_vec(&errand).unwrap_or_default();
    run_asked(node, caller, &Asked::new(key, "errand", &arguments)?, &errand).await
}

/// The same for a door whose client asked in words of its own: those must be the same under the same key.
///
/// # Errors
/// As [`run`].
pub async fn run_asked(node: &Node, caller: &Bearer, asked: &Asked, errand: &Errand) -> Result<Ran, ServiceError> {
    let makes = (matches!(errand, Errand::CreateEscrow(_)), matches!(errand, Errand::Transfer(_)));
    let plan = async |agent: AgentId, request: RequestId| plan(node, agent, request, errand).await;
    let done = custody::act(node, caller, asked, plan).await?;
    let request = done.request_id;
    Ok(Ran { done, escrow: makes.0.then(|| escrow_id(request)), transfer: makes.1.then(|| transfer_id(request)) })
}

pub(super) async fn plan(
    node: &Node,
    agent: AgentId,
    request: RequestId,
    errand: &Errand,
) -> Result<Plan, ServiceError> {
    let domain = domain::domain(node)?;
    let (verb, home, spends) = match errand {
        Errand::ClaimFaucet(Nothing {}) => (Verb::ClaimFaucet, domain.domain, 0),
        Errand::Transfer(wanted) => {
            let amount = amount(&domain, &wanted.amount)?;
            let memo = Memo::new(&wanted.memo).map_err(|_| bad_text("memo", &wanted.memo))?;
            let to = party(node, &domain, &wanted.to).await?;
            let verb = Verb::Transfer { transfer_id: transfer_id(request), to, asset: native(&domain), amount, memo };
            (verb, domain.domain, amount)
        }
        Errand::CreateEscrow(wanted) => {
            let terms = terms(node, &domain, agent, wanted).await?;
            let amount = terms.amount;
            (Verb::LockEscrow { escrow_id: escrow_id(request), terms }, domain.domain, amount)
        }
        Errand::Deliver(wanted) => {
            let result_hash = match (&wanted.result, &wanted.result_sha256) {
                (Some(words), None) => Hash::of(words.as_bytes()),
                (None, Some(hex)) => hash(hex)?,
                _ => return Err(ServiceError::bad_input("bad_result", "give either `result` or `result_sha256`")),
            };
            let (escrow_id, home) = which(node, &domain, agent, &wanted.escrow, wanted.home.as_deref()).await?;
            (Verb::SubmitEscrow { escrow_id, milestone: None, result_hash }, home, 0)
        }
        Errand::ReleaseFunds(wanted) => {
            let verified_hash = wanted.verified_sha256.as_deref().map(hash).transpose()?;
            let (escrow_id, home) = which(node, &domain, agent, &wanted.escrow, None).await?;
            (Verb::ReleaseEscrow { escrow_id, milestone: None, verified_hash }, home, 0)
        }
        Errand::DisputeEscrow(wanted) => {
            let (escrow_id, home) = which(node, &domain, agent, &wanted.escrow, wanted.home.as_deref()).await?;
            let bond = read(node, |ledger| ledger.escrow(&escrow_id).map_or(0, |escrow| escrow.rules.dispute_bond));
            let evidence_hash = Hash::of(wanted.evidence.as_bytes());
            (Verb::DisputeEscrow { escrow_id, evidence_hash }, home, bond.await?)
        }
        Errand::RefundEscrow(wanted) => {
            let (escrow_id, home) = which(node, &domain, agent, &wanted.escrow, wanted.home.as_deref()).await?;
            (Verb::CancelEscrow { escrow_id }, home, 0)
        }
        Errand::RuleDispute(wanted) => {
            let (escrow_id, home) = which(node, &domain, agent, &wanted.escrow, wanted.home.as_deref()).await?;
            (Verb::RuleEscrow { escrow_id, payee_bps: wanted.payee_bps }, home, 0)
        }
    };
    Ok(Plan { verb, home, spends })
}

async fn terms(
    node: &Node,
    domain: &DomainView,
    payer: AgentId,
    wanted: &CreateEscrow,
) -> Result<EscrowTerms, ServiceError> {
    let party = party(node, domain, &wanted.payee).await?;
    let payee = Payee { party, key: key_of(node, party).await?, share_bps: BPS_WHOLE };
    let arbiter = match &wanted.arbiter {
        Some(text) => {
            let party = self::party(node, domain, text).await?;
            Some(Arbiter { party, key: key_of(node, party).await? })
        }
        None => None,
    };
    let minutes = |minutes: Option<u32>| u64::from(minutes.unwrap_or(MINUTES)).saturating_mul(MINUTE_MS);
    let condition = wanted.condition.as_deref().unwrap_or(ACCEPTED);
    let amount = match (amount(domain, &wanted.amount)?, wanted.fee_on_top) {
        (amount, true) => with_fee(node, amount)?,
        (amount, false) => amount,
    };
    Ok(EscrowTerms {
        payer,
        payees: vec![payee],
        asset: native(domain),
        amount,
        task_hash: Hash::of(wanted.task.as_bytes()),
        condition: Condition::new(condition).map_err(|_| bad_text("condition", condition))?,
        deliver_by_ms: comity_runtime::wall_ms().saturating_add(minutes(wanted.deliver_minutes)),
        delivery_grace_ms: if party.domain == domain.domain { 0 } else { DELIVERY_GRACE_REMOTE_MS },
        review_window_ms: minutes(wanted.review_minutes),
        on_silence: silence(&wanted.on_silence)?,
        arbiter,
        ruling_window_ms: minutes(wanted.review_minutes),
        on_no_ruling: Silence::Refund,
        referred_by: None,
        milestones: Vec::new(),
    })
}

/// What is locked so that the payee of a release gets `net`, by the fee in force now. The lock fixes the fee; should
/// another policy come into force in between, the payee gets that much more or less.
fn with_fee(node: &Node, net: u64) -> Result<u64, ServiceError> {
    let bps = node.replica().read_stale(|ledger, _| ledger.policy_in_force().map_or(0, |policy| policy.escrow_fee_bps));
    gross(net, bps).ok_or_else(|| ServiceError::bad_input("bad_amount", format!("`{net}` and its fee leave 64 bits")))
}

/// The least amount of which `net` is left when its fee is taken. The fee is floored, so with each unit more either the fee
/// grows by one or what is left does: there is one for every `net`.
fn gross(net: u64, fee_bps: u16) -> Option<u64> {
    let Some(before) = net.checked_sub(1) else { return Some(0) };
    let left = u128::from(BPS_WHOLE.checked_sub(fee_bps).filter(|left| *left > 0)?);
    let below = u128::from(before).checked_mul(u128::from(BPS_WHOLE))?.checked_div(left)?;
    u64::try_from(below.checked_add(1)?).ok()
}

fn silence(text: &str) -> Result<Silence, ServiceError> {
    text.parse().map_err(|_| bad_text("silence rule: release, refund, or basis points up to 10000", text))
}

/// The escrow that is meant: one that lives here by any unique prefix if the agent is a party of it, one of another domain
/// by its whole id.
async fn which(
    node: &Node,
    domain: &DomainView,
    agent: AgentId,
    text: &str,
    home: Option<&str>,
) -> Result<(EscrowId, DomainId), ServiceError> {
    let home = home.map_or(Ok(domain.domain), |name| resolve(domain, name))?;
    if home != domain.domain {
        let id = text.parse().map_err(|_| bad_text("whole escrow id", text))?;
        return Ok((id, home));
    }
    Ok((trades::escrow(node, Principal::Agent(agent), text).await?.escrow, home))
}

/// A domain by the nickname that it has here, or by id.
fn resolve(domain: &DomainView, name: &str) -> Result<DomainId, ServiceError> {
    if name == domain.nickname {
        return Ok(domain.domain);
    }
    let named = domain.peers.iter().find(|peer| peer.nickname == name).map(|peer| peer.domain);
    named.or_else(|| name.parse().ok()).ok_or_else(|| ServiceError::not_found("domain", name))
}

/// Who is meant by an id, a unique prefix, a registered name, or AGENT@DOMAIN.
///
/// # Errors
/// `unknown_agent`, `unknown_domain`.
pub async fn party(node: &Node, domain: &DomainView, text: &str) -> Result<Party, ServiceError> {
    if let Some((agent, at)) = text.rsplit_once('@') {
        let home = resolve(domain, at)?;
        if home != domain.domain {
            let agent = agent.parse().map_err(|_| ServiceError::not_found("agent", agent))?;
            return Ok(Party { domain: home, agent });
        }
        return Ok(Party { domain: home, agent: books::agent(node, agent).await?.agent });
    }
    Ok(Party { domain: domain.domain, agent: books::agent(node, text).await?.agent })
}

/// The current key of a party: from the ledger for a local one, from its verified card for a remote one.
pub(super) async fn key_of(node: &Node, party: Party) -> Result<PublicKey, ServiceError> {
    if party.domain == node.domain() {
        let agent = read(node, |ledger| ledger.agent(&party.agent).map(|agent| agent.key)).await?;
        return agent.ok_or_else(|| ServiceError::not_found("agent", party.agent));
    }
    cards::get(node, party.agent).map(|card| card.key)
}

fn native(domain: &DomainView) -> AssetId {
    AssetId { issuer: domain.domain, code: domain.asset }
}

fn amount(domain: &DomainView, text: &str) -> Result<u64, ServiceError> {
    parse_amount(text, domain.scale)
        .map_err(|error| ServiceError::bad_input("bad_amount", format!("`{text}`: {error}")))
}

fn hash(text: &str) -> Result<Hash, ServiceError> {
    text.parse().map_err(|_| bad_text("SHA-256 in hex", text))
}

fn bad_text(what: &str, text: &str) -> ServiceError {
    ServiceError::bad_input("bad_text", format!("`{text}` is no {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::amount::share_of;

    #[test]
    fn with_its_fee_on_top_an_amount_is_what_the_payee_gets() {
        for bps in [0, 1, 50, 100, 999, 1_000] {
            for net in (0..2_000).chain([u64::MAX / 2 - 1]) {
                let gross = gross(net, bps).unwrap();
                assert_eq!(gross - share_of(gross, bps).unwrap(), net, "{net} at {bps}");
                let less = gross.saturating_sub(1);
                assert!(net == 0 || less - share_of(less, bps).unwrap() < net, "{gross} is the least for {net}");
            }
        }
        assert_eq!(gross(u64::MAX, 1), None);
    }
}
