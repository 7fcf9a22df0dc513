//! Breadth first over all states: the shortest way to whatever is wrong is found first.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{BuildHasherDefault, DefaultHasher},
    time::Instant,
};

use comity_proto::{settlement::SettlementMessage, treaty::TreatyStanding};

use super::{
    Bounds, Story, Summary,
    heal::heal,
    state::{Home, Leader, LedgerId, MessageId, State, Step, bits},
    tables::{AMOUNT, Input, Tables},
};
use crate::core::pair;

/// A broken claim and the shortest way to it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The claim and what was seen.
    pub what: String,
    /// The steps from the first state, in words.
    pub way: Vec<String>,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.what)?;
        for (number, step) in (1..).zip(&self.way) {
            writeln!(f, "  {number:>3}. {step}")?;
        }
        Ok(())
    }
}

struct Search {
    tables: Tables,
    bounds: Bounds,
    /// Each state with where it was reached from and how, in the order of reaching.
    states: Vec<(State, u32, Step)>,
    /// Where each state stands in that row.
    known: HashMap<State, u32, BuildHasherDefault<DefaultHasher>>,
    healed: HashMap<([LedgerId; 2], [bool; 2]), bool>,
    transitions: u64,
    heal_rounds: u32,
}

/// Explores a story.
///
/// # Errors
/// The first claim that is broken, with the way to it.
pub fn search(story: Story, bounds: Bounds) -> Result<Summary, Found> {
    let began = Instant::now();
    let wrong = |what: String| Found { what, way: Vec::new() };
    let tables = Tables::new(story).map_err(wrong)?;
    let mut search = Search {
        tables,
        bounds,
        states: Vec::new(),
        known: HashMap::default(),
        healed: HashMap::new(),
        transitions: 0,
        heal_rounds: 0,
    };
    let home = Home { log: 0, follower: 0, leader: Leader::UpToDate, late: false };
    let first = State { homes: [home; 2], under_way: 0, twice: 0, cut: false };
    search.states.push((first, 0, Step::Start));
    search.known.insert(first, 0);
    let (mut at, mut depth, mut level_ends, mut ends, mut complete) = (0, 0, 1, 0, true);
    let mut steps = Vec::new();
    while at < search.states.len() {
        if at == level_ends {
            depth += 1;
            level_ends = search.states.len();
        }
        if search.states.len() > bounds.states_max {
            complete = false;
            break;
        }
        let (state, ..) = search.states[at];
        steps.clear();
        let seen = search.check(&state).and_then(|ended| {
            ends += usize::from(ended);
            search.steps(&state, &mut steps)
        });
        seen.map_err(|what| Found { what, way: search.way(at) })?;
        for (step, next) in steps.drain(..) {
            search.transitions += 1;
            if let Entry::Vacant(vacant) = search.known.entry(next) {
                vacant.insert(search.states.len() as u32);
                search.states.push((next, at as u32, step));
            }
        }
        at += 1;
    }
    Ok(Summary {
        story,
        bounds,
        states: search.states.len(),
        transitions: search.transitions,
        depth,
        ledgers: [search.tables.ledgers[0].len(), search.tables.ledgers[1].len()],
        messages: search.tables.messages.len(),
        applied: search.tables.applied,
        ends,
        heal_rounds: search.heal_rounds,
        complete,
        took: began.elapsed(),
    })
}

impl Search {
    /// Checks one state; says whether everything has ended in it.
    fn check(&mut self, state: &State) -> Result<bool, String> {
        let ids = state.homes.map(|home| home.log);
        self.tables.check(ids[0], ids[1])?;
        self.words_are_true(state)?;
        let late = state.homes.map(|home| home.late);
        let ended = match self.healed.get(&(ids, late)) {
            Some(ended) => *ended,
            None => {
                let rounds = heal(&mut self.tables, ids, late)?;
                self.heal_rounds = self.heal_rounds.max(rounds);
                self.healed.insert((ids, late), rounds == 0);
                rounds == 0
            }
        };
        let begun = (0..2).all(|domain| {
            let ledger = &self.tables.ledgers[domain][usize::from(ids[domain])];
            !self.tables.begins(domain) || ledger.outgoing().any(|(_, record)| record.prepare.amount == AMOUNT)
        });
        Ok(ended && begun)
    }

    /// Nobody says a decision that its own log has not made.
    fn words_are_true(&self, state: &State) -> Result<(), String> {
        for id in bits(state.under_way) {
            let message = &self.tables.messages[usize::from(id)];
            let SettlementMessage::Decision(said) = &message.said else { continue };
            let origin = usize::from(message.from);
            let log = &self.tables.ledgers[origin][usize::from(state.homes[origin].log)];
            let decided = log.outgoing_transfer(&said.transfer).and_then(pair::decision);
            if decided != Some(said.commit) {
                let (said, transfer) = (said.commit, said.transfer);
                return Err(format!("decisions: {transfer} is said to be {said}, its log says {decided:?}"));
            }
        }
        Ok(())
    }

    fn steps(&mut self, state: &State, steps: &mut Vec<(Step, State)>) -> Result<(), String> {
        self.network(state, steps)?;
        for domain in 0..2 {
            self.own(state, domain, steps)?;
            if self.bounds.leaders {
                leaders(state, domain, self.bounds.forgetful, steps);
            }
        }
        if self.bounds.partition {
            let step = if state.cut { Step::Mend } else { Step::Cut };
            steps.push((step, State { cut: !state.cut, ..*state }));
        }
        Ok(())
    }

    fn network(&mut self, state: &State, steps: &mut Vec<(Step, State)>) -> Result<(), String> {
        let Bounds { copies, in_flight, .. } = self.bounds;
        for id in bits(state.under_way) {
            let mut lost = *state;
            lost.take(id);
            let to = 1 - usize::from(self.tables.messages[usize::from(id)].from);
            if !state.cut && state.homes[to].leader != Leader::Nobody {
                self.apply(&lost, to, Step::Deliver(id), Input::Message(id), steps)?;
            }
            if copies > 1 && state.twice & (1 << id) == 0 && state.in_flight() < in_flight {
                steps.push((Step::Duplicate(id), State { twice: state.twice | 1 << id, ..*state }));
            }
            steps.push((Step::Lose(id), lost));
        }
        Ok(())
    }

    /// What a domain does by itself.
    fn own(&mut self, state: &State, domain: usize, steps: &mut Vec<(Step, State)>) -> Result<(), String> {
        let home = state.homes[domain];
        let name = domain as u8;
        if !home.late {
            let mut next = *state;
            next.homes[domain].late = true;
            steps.push((Step::Tick(name), next));
        }
        if home.leader == Leader::Nobody {
            return Ok(());
        }
        let view = if home.leader == Leader::Behind { home.follower } else { home.log };
        let (copies, in_flight) = (self.bounds.copies, self.bounds.in_flight);
        for id in bits(self.tables.owed_all(domain, view)?) {
            let mut next = *state;
            next.send(id, copies, in_flight);
            if next != *state {
                steps.push((Step::Retry(id), next));
            }
        }
        let ledger = &self.tables.ledgers[domain][usize::from(home.log)];
        let mut inputs = Vec::new();
        if ledger.pulse_due(super::tables::stamp_of(home.late)) {
            inputs.push((Step::Pulse(name), Input::Pulse));
        }
        if self.tables.begins(domain) && !home.late {
            inputs.push((Step::Begin(name), Input::Begin));
            inputs.push((Step::Again(name), Input::Again));
        }
        if self.bounds.suspend
            && self.tables.votes(domain)
            && ledger.treaties().all(|treaty| treaty.standing() == TreatyStanding::Active)
        {
            inputs.push((Step::Suspend(name), Input::Suspend));
        }
        inputs.into_iter().try_for_each(|(step, input)| self.apply(state, domain, step, input, steps))
    }

    /// An entry is in the log of a majority and the leader has applied it; the next leader may be behind by it. The
    /// leader says all that it newly owes, or dies with any part of it unsaid.
    fn apply(
        &mut self,
        state: &State,
        domain: usize,
        step: Step,
        input: Input,
        steps: &mut Vec<(Step, State)>,
    ) -> Result<(), String> {
        let home = state.homes[domain];
        let made = self.tables.next(domain, home.log, home.late, input)?;
        let log = made.ledger;
        let follower = match (self.bounds.leaders, log == home.log) {
            (false, _) => log,
            (true, true) => home.follower,
            (true, false) => home.log,
        };
        let mut said = made.owed;
        loop {
            let mut next = *state;
            let leader = if said == made.owed { Leader::UpToDate } else { Leader::Nobody };
            next.homes[domain] = Home { log, follower, leader, late: home.late };
            bits(said).for_each(|id| next.send(id, self.bounds.copies, self.bounds.in_flight));
            if next != *state {
                steps.push((if said == made.owed { step } else { Step::DiesSpeaking(domain as u8) }, next));
            }
            if said == 0 || !self.bounds.leaders {
                return Ok(());
            }
            // The next smaller part of what is owed.
            said = (said - 1) & made.owed;
        }
    }

    fn way(&self, mut at: usize) -> Vec<String> {
        let mut way = Vec::new();
        while let Some((_, from, step)) = self.states.get(at).filter(|(_, _, step)| *step != Step::Start) {
            way.push(self.words(*step));
            at = *from as usize;
        }
        way.reverse();
        way
    }

    fn words(&self, step: Step) -> String {
        let said = |id: MessageId| {
            let message = &self.tables.messages[usize::from(id)];
            let kind = match &message.said {
                SettlementMessage::Prepare(_) => "prepare".to_owned(),
                SettlementMessage::Vote(vote) => format!("vote {}", if vote.verdict.is_ok() { "yes" } else { "no" }),
                SettlementMessage::Decision(decision) => {
                    format!("decision {}", if decision.commit { "commit" } else { "abort" })
                }
                SettlementMessage::Query(_) => "query".to_owned(),
                SettlementMessage::Acknowledge(_) => "acknowledge".to_owned(),
                SettlementMessage::Refusal(refusal) => format!("refusal {}", refusal.reason),
                SettlementMessage::Backing(_) => "backing".to_owned(),
                SettlementMessage::BackingAnswer(_) => "answer to a backing".to_owned(),
                SettlementMessage::BooksAsk(_) => "question about the books".to_owned(),
                SettlementMessage::Books(_) => "page of the books".to_owned(),
                SettlementMessage::Closing(_) => "closing statement".to_owned(),
                SettlementMessage::Word(_) => "word about a decision".to_owned(),
                SettlementMessage::ClosingAnswer(_) => "answer to a closing statement".to_owned(),
            };
            format!("{kind} of domain {}", message.from)
        };
        match step {
            Step::Deliver(id) => format!("arrives: {}", said(id)),
            Step::Lose(id) => format!("is lost: {}", said(id)),
            Step::Duplicate(id) => format!("is duplicated: {}", said(id)),
            Step::Retry(id) => format!("is said again: {}", said(id)),
            other => format!("{other:?}"),
        }
    }
}

/// Leaders come and go.
fn leaders(state: &State, domain: usize, forgetful: bool, steps: &mut Vec<(Step, State)>) {
    let name = domain as u8;
    let home = state.homes[domain];
    let mut push = |step, change: Home| {
        let mut next = *state;
        next.homes[domain] = change;
        steps.push((step, next));
    };
    let behind = home.follower != home.log;
    match home.leader {
        Leader::Nobody => {
            let leader = if behind { Leader::Behind } else { Leader::UpToDate };
            push(Step::Elect(name), Home { leader, ..home });
        }
        Leader::UpToDate | Leader::Behind => {
            push(Step::Crash(name), Home { leader: Leader::Nobody, ..home });
            if forgetful && behind {
                push(Step::CrashForgetting(name), Home { leader: Leader::Nobody, log: home.follower, ..home });
            }
            if home.leader == Leader::UpToDate && behind {
                push(Step::Depose(name), Home { leader: Leader::Behind, ..home });
            }
        }
    }
    if behind {
        let leader = if home.leader == Leader::Behind { Leader::UpToDate } else { home.leader };
        push(Step::CatchUp(name), Home { follower: home.log, leader, ..home });
    }
}
