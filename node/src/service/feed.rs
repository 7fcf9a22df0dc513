//! The domain's events as whoever they concern follows them: in the order of the log, from any point of it, on any node.
//!
//! The log is the queue: a follower holds the number of the next leaf and one read of it, so one that is slow or away
//! costs no memory, and where it stopped another node of the domain goes on. The numbers are the same everywhere.
//!
//! What is shown: the operator sees everything; an agent what concerns it, and of the postings its own; everybody with a
//! token what is said of the domain itself. An escrow or transfer that the ledger has forgotten (two days after its end)
//! is shown only where it moved the reader's balance.

use super::{
    audit,
    error::{Kind, ServiceError},
    principal::Principal,
    shape,
    view::Minor,
};
use crate::node::Node;
use comity_ledger::{AccountKind, Event, EventKind, Ledger, Outcome};
use comity_proto::{
    amount::AssetCode,
    ids::{AgentId, DomainId, EscrowId},
    settlement::Source,
};
use comity_replica::Notice;
use comity_runtime as runtime;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use utoipa::ToSchema;

/// After so long without an event a follower is told that all is well.
pub const PULSE: Duration = Duration::from_secs(15);
/// Followers on one node.
const FOLLOWERS: usize = 256;
/// Followers of one principal.
const OF_ONE: usize = 8;
/// Fields that hold minor units: a number would lose digits beyond 2^53 on the way.
const MONEY: [&str; 13] = [
    "amount",
    "gross",
    "fee",
    "returned",
    "supply_cap",
    "milestones",
    "supply",
    "reserve",
    "held",
    "wrapped",
    "committed",
    "promised",
    "yes",
];

/// One event.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = DomainEvent)]
pub struct Told {
    /// Its number in the domain's log: the same on every node, and what a follower goes on after.
    pub leaf: u64,
    /// Raft log index of its entry.
    pub log_index: u64,
    /// Ledger time, ms.
    pub stamp_ms: u64,
    /// What happened, in snake case.
    #[serde(rename = "type")]
    pub kind: String,
    /// What is to be known of it.
    #[schema(value_type = Object)]
    pub data: Value,
    /// The postings that belong to it, as far as the reader may see them.
    pub postings: Vec<Posting>,
}

/// One side of a posting.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Posting {
    /// An agent, or what kind of the domain's own accounts.
    pub account: String,
    /// Asset code.
    #[schema(value_type = shape::AssetCodeText)]
    pub code: AssetCode,
    /// Issuing domain.
    #[schema(value_type = shape::DomainIdText)]
    pub issuer: DomainId,
    /// Added to the account; zero when something was taken.
    pub credit: Minor,
    /// Taken from it.
    pub debit: Minor,
}

/// Who follows now, so that there are never too many.
#[derive(Default)]
pub struct Followers(Mutex<BTreeMap<Principal, usize>>);

/// A follower's place; it is free again when this goes.
struct Place(Arc<Node>, Principal);

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.0.outlets().followers.0.lock();
        if let Some(count) = all.get_mut(&self.1) {
            *count -= 1;
        }
        all.retain(|_, count| *count > 0);
    }
}

impl Place {
    fn take(node: &Arc<Node>, who: Principal) -> Result<Place, ServiceError> {
        let mut all = node.outlets().followers.0.lock();
        let (in_all, own) = (all.values().sum::<usize>(), all.entry(who).or_default());
        if in_all >= FOLLOWERS || *own >= OF_ONE {
            let next = "close a stream, or ask another node of the domain";
            let detail = format!("there are {in_all} event streams here, {own} of them yours");
            return Err(ServiceError::new(Kind::Busy, "too_many_event_streams", detail, next));
        }
        *own += 1;
        drop(all);
        Ok(Place(node.clone(), who))
    }
}

/// What a follower hears next.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// An event.
    Event(Told),
    /// Nothing for it up to and including this leaf, if there is one.
    Nothing(Option<u64>),
    /// All that there was.
    End,
}

/// One who follows.
pub struct Feed {
    node: Arc<Node>,
    who: Principal,
    /// The first leaf that was not looked at.
    next: u64,
    ready: VecDeque<Told>,
    notices: Receiver<Notice>,
    /// Goes on after the last event of now.
    stays: bool,
    _place: Option<Place>,
}

impl Feed {
    /// Begins behind a leaf, or with what happens from now on.
    ///
    /// # Errors
    /// `too_many_event_streams`; `no_such_event` behind the end of the log.
    pub fn open(node: &Arc<Node>, who: Principal, after: Option<u64>, stays: bool) -> Result<Feed, ServiceError> {
        // First, so that nothing that happens meanwhile is missed.
        let notices = node.replica().subscribe();
        let count = node.replica().read_stale(|ledger, _| ledger.event_count());
        let next = after.map_or(count, |leaf| leaf.saturating_add(1));
        if next > count {
            let detail = format!("there are {count} events here, numbered from 0");
            return Err(ServiceError::bad_input("no_such_event", detail));
        }
        let place = Some(Place::take(node, who)?);
        Ok(Feed { node: node.clone(), who, next, ready: VecDeque::new(), notices, stays, _place: place })
    }

    /// For a webhook, which has a place of its own: from a leaf on, for as long as the node runs.
    pub(super) fn from(node: &Arc<Node>, who: Principal, next: u64) -> Feed {
        let notices = node.replica().subscribe();
        Feed { node: node.clone(), who, next, ready: VecDeque::new(), notices, stays: true, _place: None }
    }

    /// The last leaf that the follower needs no more.
    pub fn seen(&self) -> Option<u64> {
        let next = self.ready.front().map_or(self.next, |told| told.leaf);
        next.checked_sub(1)
    }

    /// How many events there are now.
    pub fn count(&self) -> u64 {
        self.node.replica().read_stale(|ledger, _| ledger.event_count())
    }

    /// The next thing to say.
    ///
    /// # Errors
    /// As [`audit::leaves`].
    pub async fn next(&mut self) -> Result<News, ServiceError> {
        let began = runtime::now();
        loop {
            if let Some(told) = self.ready.pop_front() {
                return Ok(News::Event(told));
            }
            let left = PULSE.saturating_sub(runtime::now() - began);
            if left.is_zero() {
                return Ok(News::Nothing(self.seen()));
            }
            if self.next < self.count() {
                self.read().await?;
                continue;
            }
            if !self.stays {
                return Ok(News::End);
            }
            // Told of too much at once it looks at the log itself.
            if let Ok(Err(RecvError::Closed)) = runtime::timeout(left, self.notices.recv()).await {
                return Ok(News::End);
            }
        }
    }

    async fn read(&mut self) -> Result<(), ServiceError> {
        let below = self.count().min(self.next.saturating_add(audit::LEAVES_MAX));
        for bytes in audit::leaves(&self.node, self.next, below).await? {
            let leaf = self.next;
            self.next += 1;
            // What cannot be read would be a defect of this program; the next event is no less true for it.
            let Ok(event) = Event::from_bytes(&bytes) else { continue };
            let told = self.node.replica().read_stale(|ledger, _| shown(ledger, self.who, leaf, &event));
            self.ready.extend(told);
        }
        Ok(())
    }
}

/// An event as `who` may see it, if it may.
pub fn shown(ledger: &Ledger, who: Principal, leaf: u64, event: &Event) -> Option<Told> {
    let may = match who {
        Principal::Operator => true,
        _ if is_public(&event.kind) => true,
        Principal::Agent(agent) => {
            event.agents().any(|of| of == agent) || concerned(ledger, &event.kind).contains(&agent)
        }
        Principal::Newcomer => false,
    };
    let own = |kind: &AccountKind| {
        who == Principal::Operator
            || matches!((kind, who), (AccountKind::Agent(of), Principal::Agent(agent)) if *of == agent)
    };
    let postings = event.legs.iter().filter(|leg| own(&leg.account.kind)).filter_map(|leg| {
        let asset = ledger.asset(leg.account.asset)?.id;
        let minor = |delta: i128| Minor(u64::try_from(delta).unwrap_or_default());
        let (credit, debit) = (minor(leg.delta), minor(-leg.delta));
        Some(Posting { account: account(&leg.account.kind), code: asset.code, issuer: asset.issuer, credit, debit })
    });
    may.then(|| {
        let (kind, data) = words(&event.kind);
        let Event { log_index, stamp_ms, .. } = *event;
        Told { leaf, log_index, stamp_ms, kind, data, postings: postings.collect() }
    })
}

fn account(kind: &AccountKind) -> String {
    match kind {
        AccountKind::Agent(agent) => agent.to_string(),
        AccountKind::Escrow(escrow) => format!("escrow/{escrow}"),
        AccountKind::InFlight(transfer) => format!("in_flight/{transfer}"),
        AccountKind::Peer(domain) => format!("peer/{domain}"),
        AccountKind::Referral(agent) => format!("referral/{agent}"),
        AccountKind::Treasury => "treasury".to_owned(),
        AccountKind::Faucet => "faucet".to_owned(),
        AccountKind::Bonds => "bonds".to_owned(),
        AccountKind::Issuance => "issuance".to_owned(),
    }
}

/// What the domain shows of itself to everybody.
const fn is_public(kind: &EventKind) -> bool {
    use EventKind::{AssetKnown, ClockStalled, DomainBegan, FenceLifted, KeyChanged, PolicyAnnounced, RosterChanged};
    matches!(
        kind,
        DomainBegan { .. }
            | RosterChanged { .. }
            | AssetKnown { .. }
            | PolicyAnnounced { .. }
            | ClockStalled { .. }
            | FenceLifted { .. }
            | KeyChanged { .. }
    )
}

/// Agents whose business it is, beside those whose balance it changed.
fn concerned(ledger: &Ledger, kind: &EventKind) -> Vec<AgentId> {
    use EventKind as E;
    let paid_by = |source: &Source| payers(ledger, source);
    match kind {
        E::AgentRegistered { agent, .. }
        | E::KeyRotated { agent, .. }
        | E::AgentRetired { agent }
        | E::FaucetClaimed { agent }
        | E::ReferredFromElsewhere { agent, .. } => vec![*agent],
        E::NameHeld { owner, .. } | E::NameFreed { owner, .. } => vec![*owner],
        E::EscrowLocked { escrow, .. }
        | E::EscrowAccepted { escrow, .. }
        | E::EscrowSubmitted { escrow, .. }
        | E::EscrowPaid { escrow, .. }
        | E::EscrowDisputed { escrow, .. }
        | E::EscrowWaived { escrow, .. }
        | E::BondSettled { escrow, .. }
        | E::EscrowPayoutDone { escrow, .. }
        | E::EscrowShareFronted { escrow, .. } => parties(ledger, escrow),
        E::TransferBegun { source, .. } => paid_by(source),
        E::TransferDecided { transfer, .. } | E::TransferClosed { transfer, .. } => {
            ledger.outgoing_transfer(transfer).map(|record| paid_by(&record.prepare.source)).unwrap_or_default()
        }
        E::TransferVoted { origin, transfer, .. } | E::TransferFinished { origin, transfer, .. } => {
            let record = ledger.incoming_transfer(*origin, *transfer);
            record
                .and_then(|record| record.prepare.as_ref())
                .map(|asked| vec![asked.recipient.agent])
                .unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// Whose money a transfer takes along.
pub(super) fn payers(ledger: &Ledger, source: &Source) -> Vec<AgentId> {
    match source {
        Source::Agent(agent) | Source::Referral { agent, .. } => vec![*agent],
        Source::Escrow { escrow, .. } => parties(ledger, escrow),
    }
}

fn parties(ledger: &Ledger, escrow: &EscrowId) -> Vec<AgentId> {
    let Some(escrow) = ledger.escrow(escrow) else { return Vec::new() };
    let arbiter = escrow.terms.arbiter.map(|arbiter| arbiter.party.agent);
    let payees = escrow.terms.payees.iter().map(|payee| payee.party.agent);
    [escrow.terms.payer].into_iter().chain(payees).chain(arbiter).collect()
}

/// An event under its name: money as texts, outcomes by name.
pub(super) fn in_json(kind: &EventKind) -> Value {
    // Every event has a JSON form: its names are texts, and it holds no maps.
    let mut value = serde_json::to_value(kind).unwrap_or_default();
    tidy(&mut value, false);
    value
}

/// The name of an event in snake case, and its fields.
pub(super) fn words(kind: &EventKind) -> (String, Value) {
    let (name, fields) = match in_json(kind) {
        Value::Object(tagged) => tagged.into_iter().next().unwrap_or_default(),
        Value::String(name) => (name, Value::Object(Map::new())),
        _ => Default::default(),
    };
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    (snake, fields)
}

fn tidy(value: &mut Value, is_money: bool) {
    match value {
        Value::Number(number) if is_money => *value = Value::String(number.to_string()),
        Value::Array(all) => all.iter_mut().for_each(|one| tidy(one, is_money)),
        Value::Object(fields) => {
            // A vote: yes with the fee, or no with an outcome.
            for (from, to) in [("Ok", "yes"), ("Err", "no")] {
                if let Some(inner) = fields.remove(from) {
                    fields.insert(to.to_owned(), inner);
                }
            }
            for (name, field) in fields {
                let code = field.as_u64().filter(|_| ["reason", "outcome", "no"].contains(&name.as_str()));
                match code.and_then(|code| u16::try_from(code).ok()).and_then(Outcome::from_code) {
                    Some(outcome) => *field = outcome.name().into(),
                    None => tidy(field, is_money || MONEY.contains(&name.as_str())),
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::ids::{Hash, TransferId};
    use serde_json::json;

    #[test]
    fn money_is_text_whatever_its_size_and_outcomes_have_names() {
        let paid = EventKind::EscrowPaid {
            escrow: EscrowId([1; 16]),
            milestone: 2,
            gross: u64::MAX,
            fee: 1,
            returned: 0,
            cause: comity_ledger::event::Cause::Release,
        };
        let (kind, data) = words(&paid);
        assert_eq!(kind, "escrow_paid");
        let expected = json!({ "escrow": "01".repeat(16), "milestone": 2, "gross": "18446744073709551615", "fee": "1", "returned": "0", "cause": "Release" });
        assert_eq!(data, expected);
        let voted = |verdict| EventKind::TransferVoted {
            origin: DomainId([1; 32]),
            transfer: TransferId([2; 16]),
            verdict,
            evidence: Hash([3; 32]),
        };
        assert_eq!(words(&voted(Ok(7))).1["verdict"], json!({ "yes": "7" }));
        let no = Outcome::NotInitialized;
        assert_eq!(words(&voted(Err(no.code()))).1["verdict"], json!({ "no": no.name() }));
        assert_eq!(words(&EventKind::FaucetFunded), ("faucet_funded".to_owned(), json!({})));
    }
}
