//! One delegation, step by step. Each step is written down before it is taken, and doing one twice is doing it once, so
//! whatever breaks in between, the loop begins again at the step that stands there: after an error, or after a crash.
//!
//! ```text
//! looking -> locking -> working -> paying ---> waiting -> ended   paid: done
//!               ^          |                      ^  |      |
//!               |          +-> nothing, or bad ---+  +<- disputing
//!               +--- the next candidate, once everything has come back --+
//! ```
//! At most one escrow of a delegation is open, and after one that paid anything there is no other: so it never pays twice,
//! whoever ended the escrow, its payer, an arbiter or time. The ledger alone is asked how one ended.

use super::{
    Delegations, candidates,
    hand::Hand,
    judge::{self, Verdict},
    signed,
    state::{Attempt, Candidate, Delegation, Phase, Source, Step},
};
use crate::{
    custody::VALID_FOR_MS,
    node::Node,
    service::{
        custody::Plan,
        domain,
        error::{Changed, Kind, ServiceError},
        principal::Principal,
        records::{self, Record},
        work,
    },
    tasks::desk::View,
};
use comity_ledger::escrow::EscrowState;
use comity_proto::{
    amount::format_amount,
    command::Verb,
    ids::{AgentId, EscrowId, Hash, TaskId},
    limits::SECOND_MS,
    task::TaskEventKind,
};
use comity_runtime::{sleep, wall_ms};
use data_encoding::BASE64;
use std::{sync::Arc, time::Duration};

/// Pauses after something failed, seconds.
const PAUSES: [u64; 4] = [1, 2, 4, 8];
/// Looks into the directory after the first one.
const RETRIES: usize = 3;
/// Candidates of one delegation.
const ATTEMPTS_MAX: usize = 16;
/// How long one look at a task waits.
const LOOK: Duration = Duration::from_secs(2);
/// Between two looks at an escrow.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(5);
/// Who comes back to a task late has so long to hear how it ended.
const LATE_MS: u64 = 5 * SECOND_MS;

fn pause(failures: usize) -> Duration {
    Duration::from_secs(PAUSES.get(failures).or(PAUSES.last()).copied().unwrap_or(1))
}

/// Goes on with a delegation until its end.
pub(super) async fn run(node: Arc<Node>, id: String, hand: Hand) {
    let mut failures = 0;
    loop {
        let before = node.delegations().get(&id).map(|delegation| delegation.version);
        let runner = Runner { node: &node, id: &id, hand: &hand, store: node.delegations() };
        let Err(error) = runner.go_on().await else { return };
        if node.delegations().get(&id).map(|delegation| delegation.version) != before {
            failures = 0;
        }
        tracing::debug!(delegation = id, %error, failures, "a delegation is held up");
        sleep(pause(failures)).await;
        failures += 1;
    }
}

struct Runner<'a> {
    node: &'a Arc<Node>,
    id: &'a str,
    hand: &'a Hand,
    store: &'a Delegations,
}

/// The ledger, or a rule before it, has said no and will say so again; or what was signed counts no more.
fn is_final(attempt: &Attempt, error: &ServiceError) -> bool {
    let waits = matches!(error.kind, Kind::Unavailable | Kind::Busy | Kind::Unknown | Kind::Internal);
    let over_ms = attempt.begun_ms.saturating_add(VALID_FOR_MS).saturating_add(60 * SECOND_MS);
    (error.changed == Changed::No && !waits) || wall_ms() > over_ms
}

impl Runner<'_> {
    fn delegation(&self) -> Result<Delegation, ServiceError> {
        self.store.get(self.id).ok_or_else(|| ServiceError::not_found("delegation", self.id))
    }

    async fn change(&self, change: impl FnOnce(&mut Delegation)) -> Result<(), ServiceError> {
        self.store.change(self.id, change).await
    }

    async fn go_on(&self) -> Result<(), ServiceError> {
        loop {
            let delegation = self.delegation()?;
            match (delegation.phase, delegation.current()) {
                (Phase::Looking, _) => self.look(&delegation).await?,
                (Phase::Hiring, None) => self.next(&delegation).await?,
                (Phase::Hiring, Some(attempt)) => match attempt.step {
                    Step::Locking => self.lock(&delegation, attempt).await?,
                    Step::Working => self.work(&delegation, attempt).await?,
                    Step::Paying => self.pay(&delegation, attempt).await?,
                    Step::Disputing => self.dispute(&delegation, attempt).await?,
                    Step::Waiting | Step::Ended => self.wait(&delegation, attempt).await?,
                },
                (Phase::Done | Phase::Failed | Phase::Canceled, _) => return Ok(()),
            }
        }
    }

    /// Makes the list of candidates.
    async fn look(&self, delegation: &Delegation) -> Result<(), ServiceError> {
        let capability = &delegation.wanted.capability;
        let mut found = candidates::found(self.node, capability)?;
        for retry in 0..RETRIES {
            if !found.is_empty() {
                break;
            }
            let detail = format!("nobody offers {capability} here now; asked again in {:?}", pause(retry));
            self.change(|delegation| delegation.note("discovery_failed", detail)).await?;
            sleep(pause(retry)).await;
            found = candidates::found(self.node, capability)?;
        }
        let now_ms = wall_ms();
        let (all, source) = if found.is_empty() {
            let (all, age_ms) = self.store.book(|book| book.kept(capability, now_ms)).unwrap_or_default();
            (all, Source { kept: true, age_ms })
        } else {
            let keep = found.clone();
            self.store.change_book(|book| book.keep(capability, now_ms, keep)).await?;
            (found, Source { kept: false, age_ms: 0 })
        };
        let denied = self.store.book(|book| book.denied_by(delegation.owner));
        let (queue, passed) = candidates::ranked(self.node, delegation, &denied, all);
        let list = match source.kept {
            true => format!(" of a list that is {} s old", source.age_ms / SECOND_MS),
            false => String::new(),
        };
        let detail = format!("{} candidates{list}, {passed} passed over", queue.len());
        self.change(|delegation| {
            delegation.note("found", detail);
            delegation.queue = queue;
            delegation.source = Some(source);
            delegation.phase = Phase::Hiring;
        })
        .await
    }

    /// Begins with the next candidate, or ends.
    async fn next(&self, delegation: &Delegation) -> Result<(), ServiceError> {
        let number = delegation.attempts.len();
        if delegation.canceled {
            return self.end(Phase::Canceled, "its owner wanted no more of it").await;
        }
        if delegation.queue.is_empty() || number >= ATTEMPTS_MAX {
            return self.end(Phase::Failed, if number == 0 { "no candidate" } else { "no candidate is left" }).await;
        }
        if let Some(failures) = number.checked_sub(1) {
            sleep(pause(failures)).await;
        }
        let id = |what: &str| {
            let number = (number as u64).to_le_bytes();
            Hash::of_parts("comity/v1/delegation", &[self.id.as_bytes(), what.as_bytes(), &number]).first_16()
        };
        let (escrow, task) = (EscrowId(id("escrow")), TaskId(id("task")));
        self.change(|delegation| {
            // Cancelled during the pause: the next look ends it.
            if delegation.canceled || delegation.queue.is_empty() {
                return;
            }
            let candidate = delegation.queue.remove(0);
            delegation.attempts.push(Attempt {
                candidate,
                escrow,
                task,
                begun_ms: wall_ms(),
                step: Step::Locking,
                verified: None,
                why: None,
                evidence: None,
                disputed: false,
                paid: 0,
            });
        })
        .await
    }

    async fn end(&self, phase: Phase, why: &str) -> Result<(), ServiceError> {
        self.change(|delegation| delegation.end(phase, why)).await
    }

    /// Goes to another step of the attempt under way.
    async fn step(&self, what: &str, detail: String, change: impl FnOnce(&mut Attempt)) -> Result<(), ServiceError> {
        self.change(|delegation| {
            if let Some(attempt) = delegation.attempts.last_mut() {
                change(attempt);
            }
            delegation.note(what, detail);
        })
        .await
    }

    /// The escrow as a majority of the domain knows it; `None` if there is none.
    async fn record(&self, delegation: &Delegation, attempt: &Attempt) -> Result<Option<Record>, ServiceError> {
        match records::record(self.node, Principal::Agent(delegation.owner), &attempt.escrow.to_string()).await {
            Ok(record) => Ok(Some(record)),
            Err(error) if error.code == "unknown_escrow" => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn amount(&self, minor: u64) -> String {
        let own = domain::domain(self.node).ok();
        own.map_or_else(|| minor.to_string(), |own| format!("{} {}", format_amount(minor, own.scale), own.asset))
    }

    async fn lock(&self, delegation: &Delegation, attempt: &Attempt) -> Result<(), ServiceError> {
        let terms = signed::terms(self.node, delegation, attempt)?;
        let (home, spends) = (self.node.domain(), terms.amount);
        let verb = Verb::LockEscrow { escrow_id: attempt.escrow, terms };
        let locked = self.hand.act(self.node, delegation, "lock", Plan { verb, home, spends }).await;
        let Candidate { name, price, .. } = &attempt.candidate;
        match (locked, self.record(delegation, attempt).await?) {
            (_, Some(_)) => {
                let detail = format!("{} in escrow {} for {name}", self.amount(*price), attempt.escrow);
                self.step("locked", detail, |attempt| attempt.step = Step::Working).await
            }
            (Err(error), None) if is_final(attempt, &error) => {
                let why = format!("not locked: {error}");
                self.step("not_locked", why.clone(), |attempt| {
                    (attempt.step, attempt.why) = (Step::Ended, Some(why));
                })
                .await
            }
            (Err(error), None) => Err(error),
            // It was taken, and is forgotten: its end lies more than two days back.
            (Ok(()), None) => self.step("locked", "long ago".to_owned(), |attempt| attempt.step = Step::Waiting).await,
        }
    }

    /// Gives the task, follows it, and judges what came.
    async fn work(&self, delegation: &Delegation, attempt: &Attempt) -> Result<(), ServiceError> {
        let request = signed::task(self.node, delegation, attempt)?;
        let (who, deadline_ms) = (Principal::Agent(delegation.owner), request.deadline_ms);
        let envelope = match self.hand.sign(self.node, &request).await {
            Err(error) if is_final(attempt, &error) => {
                return self.useless(attempt, format!("the task was not signed: {error}")).await;
            }
            signed => signed?,
        };
        let given = if wall_ms() < deadline_ms {
            work::give(self.node, who, envelope, bytes::Bytes::new()).await
        } else {
            work::take_up(self.node, envelope)
        };
        match given {
            Err(error) if is_final(attempt, &error) && error.code != "deadline_in_past" => {
                return self.useless(attempt, format!("the task was not taken: {error}")).await;
            }
            given => given?,
        };
        let detail = format!("task {} to {}", attempt.task, attempt.candidate.name);
        self.change(|delegation| delegation.note("task_given", detail)).await?;
        let mut seen = 0;
        let until_ms = deadline_ms.max(wall_ms()).saturating_add(LATE_MS);
        let view = loop {
            let (events, ended) = work::events(self.node, who, attempt.task, seen, LOOK).await?;
            seen += events.len() as u64;
            if ended || wall_ms() > until_ms {
                break work::view(self.node, who, attempt.task).await?;
            }
        };
        match view.events.last().map(|event| &event.kind) {
            Some(TaskEventKind::Finished(_)) => self.judge(delegation, attempt, &view).await,
            Some(TaskEventKind::Failed(reason)) => self.useless(attempt, format!("no result: {reason}")).await,
            _ => self.useless(attempt, "no result before the deadline".to_owned()).await,
        }
    }

    /// Nothing can be paid: the escrow runs to its end.
    async fn useless(&self, attempt: &Attempt, why: String) -> Result<(), ServiceError> {
        let detail = format!("{}: {why}", attempt.candidate.name);
        self.step("no_result", detail, |attempt| (attempt.step, attempt.why) = (Step::Waiting, Some(why))).await
    }

    async fn judge(&self, delegation: &Delegation, attempt: &Attempt, view: &View) -> Result<(), ServiceError> {
        let result = match judge::look(self.node, &delegation.wanted, attempt, view) {
            Verdict::Good(result) => result,
            Verdict::Bad(why) => return self.bad(delegation, attempt, view, why).await,
            Verdict::Forged { claimed, why } => {
                let alert = self.forged(delegation, claimed, &why).await?;
                let why = format!("a claim for payment in the name of {claimed} is refused: {why}{alert}");
                return self.bad(delegation, attempt, view, why).await;
            }
        };
        let hash = Hash::of(&result);
        match self.handed_in(delegation, attempt).await? {
            None => self.useless(attempt, "its result was never handed in to the escrow".to_owned()).await,
            Some(there) if there != hash => {
                let why = format!("the result is {hash}, what was handed in to the escrow is {there}");
                self.bad(delegation, attempt, view, why).await
            }
            Some(_) => {
                let detail = format!("{} bytes of {}, SHA-256 {hash}", result.len(), attempt.candidate.name);
                self.change(|delegation| {
                    if let Some(attempt) = delegation.attempts.last_mut() {
                        (attempt.step, attempt.verified) = (Step::Paying, Some(hash));
                    }
                    delegation.result = Some(BASE64.encode(&result));
                    delegation.note("verified", detail);
                })
                .await
            }
        }
    }

    /// What the worker has signed for in the escrow; waits for it as long as it may come.
    async fn handed_in(&self, delegation: &Delegation, attempt: &Attempt) -> Result<Option<Hash>, ServiceError> {
        loop {
            match self.record(delegation, attempt).await? {
                Some(record) if record.delivered.is_some() => return Ok(record.delivered.map(|(hash, _)| hash)),
                Some(Record { state: EscrowState::Locked | EscrowState::Accepted, .. }) => sleep(LOOK_AGAIN).await,
                _ => return Ok(None),
            }
        }
    }

    async fn forged(&self, delegation: &Delegation, claimed: AgentId, why: &str) -> Result<&'static str, ServiceError> {
        let mut alert = false;
        self.store.change_book(|book| alert = book.forgery(delegation.owner, claimed, wall_ms(), why)).await?;
        if alert {
            tracing::error!(delegation = self.id, %claimed, why, "false claims for payment come again in one name");
            return Ok(" (not the first one)");
        }
        tracing::warn!(delegation = self.id, %claimed, why, "a false claim for payment is refused");
        Ok("")
    }

    /// A result that does not hold: kept as evidence, its worker is hired no more.
    async fn bad(
        &self,
        delegation: &Delegation,
        attempt: &Attempt,
        view: &View,
        why: String,
    ) -> Result<(), ServiceError> {
        let there = self.handed_in(delegation, attempt).await?;
        let evidence = there.map(|there| judge::evidence(self.id, attempt, &why, Some(view), there));
        self.store.deny(delegation, attempt, &why, evidence.as_deref()).await?;
        let detail = format!("{}: {why}", attempt.candidate.name);
        self.step("bad_result", detail, |attempt| {
            attempt.step = if evidence.is_some() { Step::Disputing } else { Step::Waiting };
            (attempt.why, attempt.evidence) = (Some(why), evidence);
        })
        .await
    }

    async fn pay(&self, delegation: &Delegation, attempt: &Attempt) -> Result<(), ServiceError> {
        let (escrow_id, verified_hash) = (attempt.escrow, attempt.verified);
        let verb = Verb::ReleaseEscrow { escrow_id, milestone: None, verified_hash };
        let plan = Plan { verb, home: self.node.domain(), spends: 0 };
        let released = self.hand.act(self.node, delegation, "release", plan).await;
        match released {
            Err(error) if !is_final(attempt, &error) => Err(error),
            Err(error) => {
                let detail = format!("not released: {error}");
                self.step("not_released", detail, |attempt| attempt.step = Step::Waiting).await
            }
            Ok(()) => {
                let detail = format!("escrow {escrow_id}");
                self.step("released", detail, |attempt| attempt.step = Step::Waiting).await
            }
        }
    }

    async fn dispute(&self, delegation: &Delegation, attempt: &Attempt) -> Result<(), ServiceError> {
        let evidence_hash = Hash::of(attempt.evidence.as_deref().unwrap_or_default().as_bytes());
        let spends = self.record(delegation, attempt).await?.map_or(0, |record| record.bond);
        let verb = Verb::DisputeEscrow { escrow_id: attempt.escrow, evidence_hash };
        let plan = Plan { verb, home: self.node.domain(), spends };
        let (what, detail) = match self.hand.act(self.node, delegation, "dispute", plan).await {
            Err(error) if !is_final(attempt, &error) => return Err(error),
            Err(error) => ("not_disputed", error.to_string()),
            Ok(()) => ("disputed", format!("escrow {}, evidence {evidence_hash}", attempt.escrow)),
        };
        self.step(what, detail, |attempt| (attempt.step, attempt.disputed) = (Step::Waiting, true)).await
    }

    /// Until the escrow has ended, however it does.
    async fn wait(&self, delegation: &Delegation, attempt: &Attempt) -> Result<(), ServiceError> {
        let mut again = LOOK_AGAIN;
        loop {
            let Some(record) = self.record(delegation, attempt).await? else {
                let why = "its last escrow ended more than two days ago: see the domain's log for how";
                return self.over(Phase::Failed, 0, why).await;
            };
            match (record.state, record.delivered) {
                (EscrowState::Paying | EscrowState::Released | EscrowState::Ruled | EscrowState::Refunded, _) => {
                    return self.ended(attempt, &record).await;
                }
                // Handed in without a result that could be paid for: silence must not decide about it.
                (EscrowState::Submitted, Some((there, _))) if attempt.verified.is_none() && !attempt.disputed => {
                    let why = attempt.why.clone().unwrap_or_default();
                    let evidence = judge::evidence(self.id, attempt, &why, None, there);
                    return self
                        .step("handed_in_late", why, |attempt| {
                            (attempt.step, attempt.evidence) = (Step::Disputing, Some(evidence));
                        })
                        .await;
                }
                _ => {}
            }
            sleep(again).await;
            again = (again * 2).min(LOOK_AGAIN_MAX);
        }
    }

    async fn ended(&self, attempt: &Attempt, record: &Record) -> Result<(), ServiceError> {
        let paid = record.paid;
        let (amount, name) = (self.amount(paid), &attempt.candidate.name);
        match (paid, attempt.verified) {
            (0, _) => {
                let detail = format!("{} came back", self.amount(attempt.candidate.price));
                self.step("refunded", detail, |attempt| attempt.step = Step::Ended).await
            }
            (_, Some(_)) => self.over(Phase::Done, paid, &format!("{amount} to {name} for a checked result")).await,
            (_, None) => {
                let why = format!("{amount} to {name} by the escrow's own terms, without a checked result");
                self.over(Phase::Failed, paid, &why).await
            }
        }
    }

    /// Ends the attempt and the delegation in one step: after a crash in between another worker would be hired.
    async fn over(&self, phase: Phase, paid: u64, why: &str) -> Result<(), ServiceError> {
        self.change(|delegation| {
            if let Some(attempt) = delegation.attempts.last_mut() {
                (attempt.step, attempt.paid) = (Step::Ended, paid);
            }
            delegation.end(phase, why);
        })
        .await
    }
}
