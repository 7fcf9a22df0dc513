//! Custodial accounts: opened by the operator or a newcomer, used by whoever presents the token, given up by a rotation
//! to the agent's own key. What is signed here goes the way of every command.

use super::{
    commands::{self, Submitted},
    error::{Changed, Kind, ServiceError},
    principal::{Principal, fresh_token},
};
use crate::{
    custody::{Answer, Custody, Limits, Refused, VALID_FOR_MS, Wish, WishKey},
    founding::fresh_key,
    node::Node,
};
use bytes::Bytes;
use comity_ledger::Outcome;
use comity_proto::{
    amount::format_amount,
    command::{Actor, Command, CommandBatch, Referral, Verb},
    envelope::Signed as _,
    ids::{AgentId, DomainId, Hash, PublicKey, RequestId},
    keys::SecretKey,
    text::{GroupLabel, Nickname, ReferralCode},
};
use std::{fmt, sync::Arc};

/// Custody of an account whose agent holds its own key.
pub const OWN_KEY: &str = "own_key";
/// Custody of an account whose key a node of its home keeps.
pub const OPERATOR_CAN_SPEND: &str = "operator_can_spend";
/// What everybody is told who uses such an account.
pub const WARNING: &str = "a node keeps this account's key: its operator can spend this account's money until it is \
                           claimed to a key of its own (comity agent claim)";

/// In which way an agent's key is kept.
pub fn word(custodial: bool) -> &'static str {
    if custodial { OPERATOR_CAN_SPEND } else { OWN_KEY }
}

/// Longest idempotency key.
pub const KEY_CHARS_MAX: usize = 128;

/// Who presents a token, and the token: it opens the seal of a custodial key.
#[derive(Clone)]
pub struct Bearer {
    /// Who.
    pub who: Principal,
    /// Never printed.
    pub token: String,
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.who)
    }
}

impl Bearer {
    /// The agent behind the token.
    ///
    /// # Errors
    /// `not_an_agent` for operators and newcomers.
    pub fn agent(&self) -> Result<AgentId, ServiceError> {
        match self.who {
            Principal::Agent(agent) => Ok(agent),
            Principal::Operator | Principal::Newcomer => Err(ServiceError::new(
                Kind::Forbidden,
                "not_an_agent",
                "this token is no agent's, so it has no account",
                "open one (register_agent, or comity agent register NAME --custodial) and use the token that it gives",
            )),
        }
    }
}

/// What a caller asked for, so that the same key with anything else is refused.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The caller's idempotency key.
    pub key: String,
    /// Digest of the verb and all its arguments.
    pub content: Hash,
}

impl Asked {
    /// Of a verb and its arguments as the door read them.
    ///
    /// # Errors
    /// `bad_idempotency_key`.
    pub fn new(key: &str, verb: &str, arguments: &[u8]) -> Result<Asked, ServiceError> {
        let plain = !key.is_empty() && key.len() <= KEY_CHARS_MAX && key.chars().all(|c| c.is_ascii_graphic());
        if !plain {
            let detail = format!("an idempotency key is 1 to {KEY_CHARS_MAX} printable ASCII characters, no spaces");
            return Err(ServiceError::bad_input("bad_idempotency_key", detail));
        }
        let content = Hash::of_parts("comity/v1/custody-asked", &[verb.as_bytes(), &[0], arguments]);
        Ok(Asked { key: key.to_owned(), content })
    }
}

/// What is to be signed.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The command.
    pub verb: Verb,
    /// The ledger that it is for.
    pub home: DomainId,
    /// Minor units of the domain's asset that it may cost.
    pub spends: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Done {
    /// The ledger's word.
    pub outcome: Outcome,
    /// Where it stands in the log; 0 when that is not known any more.
    pub log_index: u64,
    /// The command's id.
    pub request_id: RequestId,
    /// The exact bytes that were signed for it.
    pub signed: Bytes,
}

/// A new account.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its agent.
    pub agent: AgentId,
    /// What the token may spend.
    pub limits: Limits,
    /// Shown once; the node keeps a digest.
    pub token: String,
}

/// What a new account is called and may do.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// Display only.
    pub nickname: String,
    /// Sub-network label.
    pub group: Option<String>,
    /// Code of its referrer.
    pub referred_by: Option<String>,
    /// Code that it hands out.
    pub own_code: Option<String>,
    /// The operator may leave both open. A newcomer gets the node's own bound for a day, or a lower one that it asks for.
    pub limits: Limits,
}

fn custody(node: &Node) -> Result<&Arc<Custody>, ServiceError> {
    node.custody().ok_or_else(|| {
        let next = "ask a node that keeps its data in a directory";
        ServiceError::new(Kind::Unavailable, "custody_unavailable", "this node keeps no custodial accounts", next)
    })
}

/// Off the async threads: each of these waits for the disk.
async fn on_disk<T: Send + 'static>(
    custody: &Arc<Custody>,
    work: impl FnOnce(&Custody) -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    let custody = custody.clone();
    let ended = comity_runtime::run_blocking(move || work(&custody)).await;
    ended.unwrap_or_else(|_| Err(Refused::Disk(std::io::Error::other("the node is stopping"))))
}

fn refusal(node: &Node, refused: &Refused, spends: u64) -> ServiceError {
    match refused {
        Refused::UnknownToken => ServiceError::new(
            Kind::Forbidden,
            "own_key",
            "this node keeps no key for this token: the agent holds its own",
            "sign the command with the agent's key and POST it to /api/v1/commands",
        ),
        Refused::OverLimit(over) => {
            let scale = super::domain::domain(node).map_or(0, |domain| domain.scale);
            let show = |minor| format_amount(minor, scale);
            let (span, next) = match over.of_day {
                true => (" a day", "wait for the next day (UTC), or ask the operator for a token with a higher limit"),
                false => (" in all", "ask the operator for another token, or claim the account to a key of your own"),
            };
            let detail = format!(
                "this token may spend {}{span}; {} is spent, {} was asked for",
                show(over.limit),
                show(over.spent),
                show(spends)
            );
            ServiceError::new(Kind::Refused, "spending_limit", detail, next)
        }
        Refused::Full => ServiceError::new(
            Kind::Unavailable,
            "custody_full",
            "this node keeps no more custodial accounts or signed wishes",
            "ask another node of the domain",
        ),
        Refused::Disk(error) => ServiceError::new(
            Kind::Internal,
            "custody_unreadable",
            error.to_string(),
            "see the node's log, then try again with the same idempotency key",
        ),
    }
}

fn check_name<T, E>(text: &str, what: &str, read: impl FnOnce(&str) -> Result<T, E>) -> Result<T, ServiceError> {
    read(text).map_err(|_| ServiceError::bad_input("bad_text", format!("`{text}` is no {what}")))
}

fn registration(node: &Node, who: Principal, opening: &Opening) -> Result<Verb, ServiceError> {
    let code = |text: &String| check_name(text, "referral code", ReferralCode::new);
    Ok(Verb::RegisterAgent {
        nickname: check_name(&opening.nickname, "nickname", Nickname::new)?,
        group: opening.group.as_ref().map(|text| check_name(text, "group label", GroupLabel::new)).transpose()?,
        referred_by: opening.referred_by.as_ref().map(code).transpose()?.map(Referral::Code),
        own_code: opening.own_code.as_ref().map(code).transpose()?,
        admission: (who == Principal::Newcomer).then(|| Hash(node.tokens().admission_hash())),
        custodial: true,
    })
}

/// Opens an account: a key that this node keeps, registered in the ledger, and a token of its own. The same key again is
/// refused, because the token is shown once.
///
/// # Errors
/// `account_opened_before`, `idempotency_key_reused`, `bad_text`, what the ledger refuses, `custody_full`.
pub async fn open(node: &Node, caller: &Bearer, asked: &Asked, opening: &Opening) -> Result<Opened, ServiceError> {
    if let Principal::Agent(agent) = caller.who {
        let detail = format!("this token is already the one of agent {agent}");
        return Err(ServiceError::new(Kind::Conflict, "account_opened_before", detail, "use it: it is registered"));
    }
    let verb = registration(node, caller.who, opening)?;
    let custody = custody(node)?;
    let wish_key = WishKey::of(&caller.token, &asked.key);
    let now_ms = comity_runtime::wall_ms();
    let (content, mut first) = (asked.content, false);
    let mark = Wish { content, envelope: fresh_token().into_bytes(), spends: 0, made_ms: now_ms, answer: None };
    let own = mark.envelope.clone();
    let reserved = on_disk(custody, move |custody| custody.reserve(&wish_key, now_ms, 0, || mark)).await;
    match reserved {
        Ok(wish) if wish.content != content => return Err(reused()),
        Ok(wish) => first |= wish.envelope == own,
        Err(refused) => return Err(refusal(node, &refused, 0)),
    }
    if !first {
        let detail = "an account was opened under this idempotency key, and its token is shown once";
        let next = "use that token; if the answer never came, open another account under a fresh idempotency key";
        return Err(ServiceError::new(Kind::Conflict, "account_opened_before", detail, next));
    }
    let (key, token, limits) = (fresh_key(), fresh_token(), limits_of(node, caller.who, opening.limits));
    let kept = (token.clone(), key.clone());
    let kept = on_disk(custody, move |custody| custody.keep(&kept.0, &kept.1, limits)).await;
    let agent = kept.map_err(|refused| refusal(node, &refused, 0))?;
    let batch = crate::signer::Signer::first_key(key, node.domain()).sign(verb, now_ms);
    match commands::submit(node, batch.envelope, &batch.request_id.to_string()).await {
        Ok(_) => {
            node.tokens().keep(&token, agent);
            Ok(Opened { agent, limits, token })
        }
        Err(error) if error.changed == Changed::No => {
            let unused = token.clone();
            let _forgotten_or_harmless = on_disk(custody, move |custody| custody.forget(&unused)).await;
            Err(ServiceError { next: "mend what it names, and use a fresh idempotency key".to_owned(), ..error })
        }
        Err(error) => {
            let next = "open another account under a fresh idempotency key; an unused one holds nothing".to_owned();
            Err(ServiceError { next, ..error })
        }
    }
}

fn limits_of(node: &Node, who: Principal, asked: Limits) -> Limits {
    match who {
        Principal::Operator => asked,
        _ => {
            let most = node.home().config.custody_per_day;
            Limits { per_day: Some(asked.per_day.map_or(most, |asked| asked.min(most))), total: asked.total }
        }
    }
}

pub(super) fn reused() -> ServiceError {
    ServiceError::new(
        Kind::Conflict,
        "idempotency_key_reused",
        "this idempotency key was used for something else",
        "use a fresh key for a new wish, and the old one only to repeat the old wish",
    )
}

/// What was asked for under this key before, if anything; the same again.
///
/// # Errors
/// `idempotency_key_reused`.
async fn known(node: &Node, key: WishKey, asked: &Asked) -> Result<Option<Wish>, ServiceError> {
    let wish = on_disk(custody(node)?, move |custody| custody.wish(&key)).await;
    let wish = wish.map_err(|refused| refusal(node, &refused, 0))?;
    if wish.as_ref().is_some_and(|wish| wish.content != asked.content) { Err(reused()) } else { Ok(wish) }
}

/// Signs a command with the caller's custodial key and brings it into the ledger. The same key again sends the same bytes,
/// or gives the answer that is known; `plan` is asked only the first time.
///
/// # Errors
/// `own_key`, `spending_limit`, `idempotency_key_reused`; what [`commands::submit`] refuses.
pub async fn act(
    node: &Node,
    caller: &Bearer,
    asked: &Asked,
    plan: impl AsyncFnOnce(AgentId, RequestId) -> Result<Plan, ServiceError>,
) -> Result<Done, ServiceError> {
    let (key, wish) = wished(node, caller, asked, plan).await?;
    finish(node, key, wish).await
}

/// What was signed under this key before; else what `plan` says, signed now.
async fn wished(
    node: &Node,
    caller: &Bearer,
    asked: &Asked,
    plan: impl AsyncFnOnce(AgentId, RequestId) -> Result<Plan, ServiceError>,
) -> Result<(WishKey, Wish), ServiceError> {
    let agent = caller.agent()?;
    let key = WishKey::of(&caller.token, &asked.key);
    if let Some(wish) = known(node, key, asked).await? {
        return Ok((key, wish));
    }
    let plan = plan(agent, key.request_id()).await?;
    Ok((key, sign(node, caller, asked, plan).await?))
}

async fn sign(node: &Node, caller: &Bearer, asked: &Asked, plan: Plan) -> Result<Wish, ServiceError> {
    let key = WishKey::of(&caller.token, &asked.key);
    let (token, content, spends) = (caller.token.clone(), asked.content, plan.spends);
    let now_ms = comity_runtime::wall_ms();
    let signed = on_disk(custody(node)?, move |custody| {
        let (account, secret) = custody.unseal(&token)?;
        let make = move || {
            let envelope = CommandBatch::seal(&batch_of(account.agent, &key, &plan, now_ms), &secret).to_vec();
            Wish { content, envelope, spends, made_ms: now_ms, answer: None }
        };
        custody.reserve(&key, now_ms, spends, make)
    });
    let wish = signed.await.map_err(|refused| refusal(node, &refused, spends))?;
    // Two calls at once under one key: the other one's wish may be another.
    if wish.content == asked.content { Ok(wish) } else { Err(reused()) }
}

fn batch_of(agent: AgentId, key: &WishKey, plan: &Plan, now_ms: u64) -> CommandBatch {
    let command = Command { request_id: key.request_id(), verb: plan.verb.clone() };
    let valid_until_ms = now_ms.saturating_add(VALID_FOR_MS);
    CommandBatch { home: plan.home, actor: Actor::Agent(agent), valid_until_ms, commands: vec![command] }
}

async fn finish(node: &Node, key: WishKey, wish: Wish) -> Result<Done, ServiceError> {
    let (request_id, signed) = (key.request_id(), Bytes::from(wish.envelope));
    if let Some(answer) = wish.answer {
        let outcome = Outcome::from_code(answer.outcome).unwrap_or(Outcome::Malformed);
        return match answer.success {
            true => Ok(Done { outcome, log_index: answer.log_index, request_id, signed }),
            false => Err(final_word(commands::of_outcome(outcome))),
        };
    }
    let submitted = commands::submit(node, signed.clone(), &request_id.to_string()).await;
    let Some(answer) = answer_of(&submitted) else { return Err(unfinished(submitted.err(), wish.made_ms)) };
    let settled = on_disk(custody(node)?, move |custody| custody.settle(&key, answer)).await;
    if let Err(error) = settled {
        tracing::warn!(%error, "an answer is not kept; the ledger has it");
    }
    submitted.map_err(final_word).map(|_| Done {
        outcome: Outcome::from_code(answer.outcome).unwrap_or(Outcome::Applied),
        log_index: answer.log_index,
        request_id,
        signed,
    })
}

/// What the ledger said, if it was the ledger, and for good. `expired` is not: the bytes may have passed before.
fn answer_of(submitted: &Result<Submitted, ServiceError>) -> Option<Answer> {
    match submitted {
        Ok(submitted) => {
            let (_, outcome) = submitted.results.first()?;
            Some(Answer { outcome: outcome.code(), success: true, log_index: submitted.log_index })
        }
        Err(error) if error.changed == Changed::No && error.kind != Kind::Unavailable => {
            let outcome = Outcome::ALL.iter().find(|outcome| outcome.name() == error.code)?;
            let told = *outcome != Outcome::Expired;
            told.then_some(Answer { outcome: outcome.code(), success: false, log_index: 0 })
        }
        Err(_) => None,
    }
}

/// The ledger keeps its answer to a request id, so the key is spent.
fn final_word(error: ServiceError) -> ServiceError {
    ServiceError { next: "correct it if you can, and ask again under a fresh idempotency key".to_owned(), ..error }
}

/// No word of the ledger yet: what was signed stays signed, and counted.
fn unfinished(error: Option<ServiceError>, made_ms: u64) -> ServiceError {
    let error = error.unwrap_or_else(|| commands::of_outcome(Outcome::Malformed));
    if comity_runtime::wall_ms() > made_ms.saturating_add(VALID_FOR_MS) {
        let detail = format!("{}; it may have happened before: nobody asked for the answer in time", error.detail);
        let next = "look at the balance and the escrow; for a new wish use a fresh idempotency key".to_owned();
        return ServiceError { detail, next, changed: Changed::Unknown, ..error };
    }
    let next = "ask again with the same idempotency key: the same signed bytes are sent again".to_owned();
    ServiceError { next, ..error }
}

/// Signs a command for somebody else to bring into the ledger, once: the same key gives the same bytes again. What it may
/// cost counts against the token's limit whether it is ever brought or not.
///
/// # Errors
/// As [`act`], but for what the ledger refuses: it is not asked.
pub async fn authorize(
    node: &Node,
    caller: &Bearer,
    asked: &Asked,
    plan: impl AsyncFnOnce(AgentId, RequestId) -> Result<Plan, ServiceError>,
) -> Result<(Bytes, RequestId), ServiceError> {
    let (key, wish) = wished(node, caller, asked, plan).await?;
    Ok((wish.envelope.into(), key.request_id()))
}

/// Signs something that is no command, such as a task, once; the same key gives the same bytes again.
///
/// # Errors
/// `own_key`, `idempotency_key_reused`.
pub async fn sign_document(
    node: &Node,
    caller: &Bearer,
    asked: &Asked,
    seal: impl FnOnce(AgentId, RequestId, &SecretKey, u64) -> Bytes + Send + 'static,
) -> Result<Bytes, ServiceError> {
    caller.agent()?;
    let key = WishKey::of(&caller.token, &asked.key);
    if let Some(wish) = known(node, key, asked).await? {
        return Ok(wish.envelope.into());
    }
    let (token, content, now_ms) = (caller.token.clone(), asked.content, comity_runtime::wall_ms());
    let signed = on_disk(custody(node)?, move |custody| {
        let (account, secret) = custody.unseal(&token)?;
        let make = move || {
            let envelope = seal(account.agent, key.request_id(), &secret, now_ms).to_vec();
            Wish { content, envelope, spends: 0, made_ms: now_ms, answer: None }
        };
        custody.reserve(&key, now_ms, 0, make)
    });
    let wish = signed.await.map_err(|refused| refusal(node, &refused, 0))?;
    if wish.content == asked.content { Ok(wish.envelope.into()) } else { Err(reused()) }
}

/// What a token may still spend: today, and for ever; `None` is without a bound.
///
/// # Errors
/// `own_key`.
pub async fn left(node: &Node, caller: &Bearer) -> Result<(Option<u64>, Option<u64>), ServiceError> {
    let token = caller.token.clone();
    let found = on_disk(custody(node)?, move |custody| custody.unseal(&token)).await;
    let (account, _) = found.map_err(|refused| refusal(node, &refused, 0))?;
    Ok(account.spent.left(&account.limits, comity_runtime::wall_ms()))
}

/// The caller's agent and the key that this node keeps for it: to sign what is no command and moves no money.
///
/// # Errors
/// `own_key`.
pub(super) async fn key_of(node: &Node, caller: &Bearer) -> Result<(AgentId, SecretKey), ServiceError> {
    let token = caller.token.clone();
    let found = on_disk(custody(node)?, move |custody| custody.unseal(&token)).await;
    found.map(|(account, key)| (account.agent, key)).map_err(|refused| refusal(node, &refused, 0))
}

/// Rotates the agent to a key of its own, whose proof the agent made, and forgets the custodial one with its token.
///
/// # Errors
/// `own_key`, `bad_signature` for a wrong proof, no leader.
pub async fn claim(node: &Node, caller: &Bearer, new_key: PublicKey, proof: [u8; 64]) -> Result<AgentId, ServiceError> {
    let agent = caller.agent()?;
    let custody = custody(node)?;
    let token = caller.token.clone();
    let found = on_disk(custody, move |custody| custody.unseal(&token)).await;
    let (_, secret) = found.map_err(|refused| refusal(node, &refused, 0))?;
    let signer = crate::signer::Signer::agent(secret, agent, node.domain());
    let batch = signer.sign(Verb::RotateKey { new_key, proof }, comity_runtime::wall_ms());
    commands::submit(node, batch.envelope, &batch.request_id.to_string()).await?;
    node.tokens().forget(&caller.token);
    let token = caller.token.clone();
    if let Err(error) = on_disk(custody, move |custody| custody.forget(&token)).await {
        // The key that stays behind is not the agent's any more.
        tracing::warn!(%error, "a custodial key is not removed");
    }
    Ok(agent)
}
