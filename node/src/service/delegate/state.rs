//! What a delegation remembers, so that whoever goes on with it knows what may have been done; and how it is shown.
//!
//! Whatever is signed for a delegation follows from what stands here: the same step after a crash is the same bytes.

use crate::service::{shape, view::Minor};
use comity_proto::{
    command::Party,
    escrow::{Arbiter, Silence},
    ids::{AgentId, DomainId, EscrowId, Hash, PublicKey, TaskId},
};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Lines of its history that one delegation keeps.
const LINES_MAX: usize = 256;

/// What its owner wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// Who can do it.
    pub capability: String,
    /// The input, base64.
    pub body: String,
    /// Minor units that one worker may cost.
    pub most: u64,
    /// What the result must meet.
    pub schema: Option<Value>,
    /// What each worker has to deliver, seconds.
    pub timeout_s: u32,
    /// What this side has to answer a delivery, minutes.
    pub review_minutes: u32,
    /// What its silence means then.
    pub on_silence: Silence,
    /// Who rules disputes.
    pub arbiter: Option<Arbiter>,
}

/// Somebody who offers the capability.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Candidate {
    /// Who, and where at home.
    pub party: Party,
    /// Its key, as its verified card says.
    pub key: PublicKey,
    /// Display only.
    pub name: String,
    /// Minor units.
    pub price: u64,
    /// How long its card had been here when the list was made, ms.
    pub age_ms: u64,
}

/// How far it is with one candidate. Each names what is to be done next; doing it twice is doing it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// The escrow is locked.
    Locking,
    /// The task is given and followed.
    Working,
    /// The verified result is paid.
    Paying,
    /// What was delivered is disputed.
    Disputing,
    /// The escrow runs to its end by its own terms.
    Waiting,
    /// Nothing is open any more.
    Ended,
}

impl Step {
    const fn name(self) -> &'static str {
        match self {
            Step::Locking => "locking",
            Step::Working => "working",
            Step::Paying => "paying",
            Step::Disputing => "disputing",
            Step::Waiting => "waiting",
            Step::Ended => "ended",
        }
    }
}

/// One candidate that was hired, or was to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    /// Whom.
    pub candidate: Candidate,
    /// Follows from the delegation and the number of the attempt.
    pub escrow: EscrowId,
    /// Likewise.
    pub task: TaskId,
    /// All times of the terms count from here, ms since the Unix epoch.
    pub begun_ms: u64,
    /// What is next.
    pub step: Step,
    /// The result that was checked and is paid for.
    pub verified: Option<Hash>,
    /// Why it is not paid, in words.
    pub why: Option<String>,
    /// What is held against the worker: the exact bytes whose hash stands in the dispute.
    pub evidence: Option<String>,
    /// The ledger has taken the dispute, or refused it for good.
    pub disputed: bool,
    /// Minor units that the worker got, before the fee.
    pub paid: u64,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// For candidates.
    Looking,
    /// With one of them, or on the way to the next.
    Hiring,
    /// A result was checked and paid.
    Done,
    /// Nobody did it, and nothing is open any more.
    Failed,
    /// Its owner wanted no more of it, and nothing is open any more.
    Canceled,
}

impl Phase {
    /// Nothing more happens.
    pub(super) const fn is_end(self) -> bool {
        matches!(self, Phase::Done | Phase::Failed | Phase::Canceled)
    }

    const fn name(self) -> &'static str {
        match self {
            Phase::Looking => "looking",
            Phase::Hiring => "hiring",
            Phase::Done => "done",
            Phase::Failed => "failed",
            Phase::Canceled => "canceled",
        }
    }
}

/// Where the list of candidates came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    /// Nothing was found, so it is the list of last time.
    pub kept: bool,
    /// How old the list is, ms.
    pub age_ms: u64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DelegationLine {
    /// Ms since the Unix epoch.
    pub at_ms: u64,
    /// A name for it, such as `locked`.
    pub what: String,
    /// In words.
    pub detail: String,
}

/// A delegation as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Delegation {
    /// 32 hex digits: follows from the owner and its idempotency key.
    pub id: String,
    /// Who pays.
    pub owner: AgentId,
    /// The name of a key in the data directory; none for an agent whose key is sealed under its token.
    pub wallet: Option<String>,
    /// Digest of what was asked.
    pub content: Hash,
    /// What was asked.
    pub wanted: Wanted,
    /// How it stands.
    pub phase: Phase,
    /// Why it failed.
    pub why: Option<String>,
    /// Its owner wants no further candidate.
    pub canceled: bool,
    /// Where the candidates came from.
    pub source: Option<Source>,
    /// Those that were not tried yet, the next one first.
    pub queue: Vec<Candidate>,
    /// Those that were.
    pub attempts: Vec<Attempt>,
    /// The checked result, base64.
    pub result: Option<String>,
    /// What happened.
    pub lines: Vec<DelegationLine>,
    /// Goes up with each change.
    pub version: u64,
    /// Ms since the Unix epoch.
    pub made_ms: u64,
}

impl Delegation {
    /// Notes what happened.
    pub(super) fn note(&mut self, what: &str, detail: impl Into<String>) {
        if self.lines.len() >= LINES_MAX {
            self.lines.remove(0);
        }
        let at_ms = comity_runtime::wall_ms();
        self.lines.push(DelegationLine { at_ms, what: what.to_owned(), detail: detail.into() });
    }

    /// Ends it.
    pub(super) fn end(&mut self, phase: Phase, why: &str) {
        self.phase = phase;
        self.why = (phase != Phase::Done).then(|| why.to_owned());
        self.note(phase.name(), why);
    }

    /// The attempt that is under way.
    pub(super) fn current(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|attempt| attempt.step != Step::Ended)
    }

    /// The input.
    pub(super) fn body(&self) -> Vec<u8> {
        // It was bytes when it was encoded.
        BASE64.decode(self.wanted.body.as_bytes()).unwrap_or_default()
    }

    /// As its owner sees it.
    pub(super) fn view(&self, running: bool) -> DelegationView {
        let result = self.attempts.iter().find_map(|attempt| attempt.verified);
        DelegationView {
            delegation: self.id.clone(),
            agent: self.owner,
            capability: self.wanted.capability.clone(),
            state: self.phase.name(),
            waits_for_its_token: !running && !self.phase.is_end(),
            why: self.why.clone(),
            kept_list_age_ms: self.source.as_ref().filter(|source| source.kept).map(|source| source.age_ms),
            candidates_left: self.queue.len(),
            attempts: self.attempts.iter().map(Attempt::view).collect(),
            result: self.result.clone().filter(|_| self.phase == Phase::Done),
            result_sha256: result.filter(|_| self.phase == Phase::Done),
            paid: Minor(self.attempts.iter().map(|attempt| attempt.paid).sum()),
            lines: self.lines.clone(),
            version: self.version,
        }
    }
}

impl Attempt {
    fn view(&self) -> AttemptView {
        AttemptView {
            agent: self.candidate.party.agent,
            home: self.candidate.party.domain,
            name: self.candidate.name.clone(),
            price: Minor(self.candidate.price),
            card_age_ms: self.candidate.age_ms,
            escrow: self.escrow,
            task: self.task,
            step: self.step.name(),
            paid: Minor(self.paid),
            why: self.why.clone(),
            evidence_sha256: self.evidence.as_ref().map(|evidence| Hash::of(evidence.as_bytes())),
            evidence: self.evidence.clone(),
        }
    }
}

/// A delegation as its owner sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DelegationView {
    /// Its id.
    #[schema(value_type = shape::ShortIdText)]
    pub delegation: String,
    /// Who pays.
    #[schema(value_type = shape::AgentIdText)]
    pub agent: AgentId,
    /// What is to be done.
    pub capability: String,
    /// `looking`, `hiring`, `done`, `failed`, `canceled`.
    pub state: &'static str,
    /// The node was started again since: it goes on as soon as its owner shows its token here.
    pub waits_for_its_token: bool,
    /// Why it failed.
    pub why: Option<String>,
    /// Nothing was found, so the list of last time is used, of this age; null when it is fresh.
    pub kept_list_age_ms: Option<u64>,
    /// Candidates that were not tried yet.
    pub candidates_left: usize,
    /// Those that were, in order. Only the last one can be open.
    pub attempts: Vec<AttemptView>,
    /// The checked and paid result.
    #[schema(value_type = Option<shape::Base64Text>)]
    pub result: Option<String>,
    /// Its SHA-256.
    #[schema(value_type = Option<shape::HashText>)]
    pub result_sha256: Option<Hash>,
    /// What workers got, before the fee.
    pub paid: Minor,
    /// What happened, oldest first.
    pub lines: Vec<DelegationLine>,
    /// Goes up with each change.
    pub version: u64,
}

/// A candidate that was hired, or was to be.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AttemptView {
    /// Who.
    #[schema(value_type = shape::AgentIdText)]
    pub agent: AgentId,
    /// Where at home.
    #[schema(value_type = shape::DomainIdText)]
    pub home: DomainId,
    /// Display only.
    pub name: String,
    /// What its card asks for.
    pub price: Minor,
    /// How long its card had been known.
    pub card_age_ms: u64,
    /// What pays for it.
    #[schema(value_type = shape::ShortIdText)]
    pub escrow: EscrowId,
    /// Its work.
    #[schema(value_type = shape::ShortIdText)]
    pub task: TaskId,
    /// `locking`, `working`, `paying`, `disputing`, `waiting` (for the escrow's own end), `ended`.
    pub step: &'static str,
    /// What it got, before the fee.
    pub paid: Minor,
    /// Why it is not paid.
    pub why: Option<String>,
    /// What is held against it: the words whose hash stands in the dispute.
    pub evidence: Option<String>,
    /// That hash.
    #[schema(value_type = Option<shape::HashText>)]
    pub evidence_sha256: Option<Hash>,
}
