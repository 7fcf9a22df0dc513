//! Universe time and what happens in it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

use comity_ledger::{Applied, Outcome, check, settlement::OwedMessage};
use comity_node::settle::speech::{self, LOOK};
use comity_proto::entry::EntryItem;
use comity_replica::Stamp;
use comity_runtime::Instant;

use super::{
    Options,
    agents::{Desk, Request, Then},
    domain::{Asker, Domain},
    faults::Mood,
    network::Network,
};
use crate::{
    core::{cast::Cast, watch::Watch, wire::Letter},
    world::Chance,
};

/// How often a leader looks at its deadlines, us.
const PULSE_US: u64 = 200_000;
/// How long a client waits before it asks again under the same request id, us.
const AGAIN_US: u64 = 5_000_000;
/// How often it asks.
const TRIES_MAX: u32 = 12;
/// Between two attempts to find the leader of a domain that a packet has reached, us; and how many there are.
const LEADER_AGAIN_US: u64 = 300_000;
const LEADER_TRIES_MAX: u8 = 5;

/// What happens at a moment.
pub(super) enum Event {
    /// What waits at a leader is on the disks of a majority.
    Commit { domain: usize },
    /// A replica applies what is committed.
    Apply { domain: usize, replica: usize, boot: u64 },
    /// A leader looks at what it owes.
    Look { domain: usize, replica: usize, term: u64 },
    /// A leader looks at its deadlines.
    Pulse { domain: usize, replica: usize, term: u64 },
    /// A leader's task says something.
    Say { domain: usize, replica: usize, boot: u64, to: usize, owed: Vec<OwedMessage> },
    /// A packet reaches a domain.
    Arrive { letter: Letter, tries: u8 },
    /// A domain chooses a leader.
    Elect { domain: usize },
    /// A deposed leader hears of it.
    Learn { domain: usize, replica: usize, boot: u64 },
    /// An agent of a domain wants something.
    Want { domain: usize },
    /// A client asks, or asks again.
    Ask { request: u64 },
    /// Something goes wrong.
    Fault,
    /// A machine is switched on.
    Restart { domain: usize, replica: usize },
    /// A machine is reachable again.
    Reconnect { domain: usize, replica: usize },
    /// The way between two domains is well again.
    Mend { from: usize, to: usize },
    /// A machine's clock is right again.
    Clock { domain: usize, replica: usize },
    /// An operator accepts a peer again.
    Resume { domain: usize, peer: usize },
}

struct Due {
    at_us: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        (self.at_us, self.order) == (other.at_us, other.order)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Due) -> std::cmp::Ordering {
        (self.at_us, self.order).cmp(&(other.at_us, other.order))
    }
}

/// One chance for each kind of question.
pub(super) struct Chances {
    pub(super) network: Chance,
    pub(super) domain: Chance,
    pub(super) agents: Chance,
    pub(super) faults: Chance,
}

/// Everything.
pub(super) struct World {
    pub(super) cast: Cast,
    pub(super) options: Options,
    pub(super) now_us: u64,
    queue: BinaryHeap<Reverse<Due>>,
    order: u64,
    pub(super) domains: Vec<Domain>,
    pub(super) network: Network,
    pub(super) watch: Watch,
    pub(super) requests: BTreeMap<u64, Request>,
    pub(super) next_request: u64,
    pub(super) chances: Chances,
    pub(super) mood: Mood,
    /// Nothing goes wrong and nobody wants anything new.
    pub(super) healing: bool,
    pub(super) counts: BTreeMap<&'static str, u64>,
    pub(super) steps: u64,
    pub(super) digest: u64,
}

impl World {
    pub(super) fn new(options: Options) -> Result<World, String> {
        let seed = options.seed;
        let mut chances = Chances {
            network: Chance::stream(seed, "core network"),
            domain: Chance::stream(seed, "core domain"),
            agents: Chance::stream(seed, "core agents"),
            faults: Chance::stream(seed, "core faults"),
        };
        let sizes: Vec<usize> = (0..options.domains).map(|_| [1, 3, 5][chances.domain.below(3) as usize]).collect();
        let cast = Cast::new(&sizes, options.agents, options.signed);
        let mut watch = Watch::new(cast.domains.iter().map(|domain| domain.id).collect());
        let mut domains = Vec::new();
        for index in 0..sizes.len() {
            let (domain, applied) = Domain::new(&cast, index, &mut chances.domain);
            watch.entry(index, domain.foremost(), &applied.events)?;
            domains.push(domain);
        }
        let mood = Mood::draw(&mut chances.faults);
        let network = Network::new(options.domains);
        let mut world = World {
            cast,
            options,
            now_us: 0,
            queue: BinaryHeap::new(),
            order: 0,
            domains,
            network,
            watch,
            requests: BTreeMap::new(),
            next_request: 0,
            chances,
            mood,
            healing: false,
            counts: BTreeMap::new(),
            steps: 0,
            digest: 0xCBF2_9CE4_8422_2325,
        };
        for domain in 0..options.domains {
            world.after(0, Event::Elect { domain });
            world.after(1_000_000, Event::Want { domain });
        }
        Ok(world)
    }

    pub(super) fn after(&mut self, us: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse(Due { at_us: self.now_us + us, order: self.order, event }));
    }

    /// Something that counts as a step happened.
    pub(super) fn count(&mut self, what: &'static str) {
        self.steps += 1;
        *self.counts.entry(what).or_default() += 1;
        for byte in what.bytes().chain(self.now_us.to_le_bytes()) {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    fn now_ms(&self) -> u64 {
        self.now_us / 1_000
    }

    fn instant(&self) -> Instant {
        Instant::from_ns(self.now_us * 1_000)
    }

    /// The next thing happens.
    ///
    /// # Errors
    /// The claim that it broke.
    pub(super) fn step(&mut self) -> Result<(), String> {
        let Some(Reverse(due)) = self.queue.pop() else { return Err("progress: nothing will ever happen".to_owned()) };
        self.now_us = due.at_us;
        match due.event {
            Event::Commit { domain } => self.commit(domain),
            Event::Apply { domain, replica, boot } if self.alive(domain, replica, boot) => {
                self.apply(domain, replica)?
            }
            Event::Look { domain, replica, term } => self.look(domain, replica, term),
            Event::Pulse { domain, replica, term } => self.pulse(domain, replica, term),
            Event::Say { domain, replica, boot, to, owed } if self.alive(domain, replica, boot) => {
                self.say(domain, replica, to, owed);
            }
            Event::Arrive { letter, tries } => self.arrive(letter, tries),
            Event::Elect { domain } => self.elect(domain),
            Event::Learn { domain, replica, boot } if self.alive(domain, replica, boot) => {
                let leads = self.domains[domain].leader == Some(replica);
                self.domains[domain].replicas[replica].leads = leads;
            }
            Event::Want { domain } => self.want(domain),
            Event::Ask { request } => self.ask(request),
            Event::Fault => self.fault(),
            Event::Restart { domain, replica } => self.restart(domain, replica)?,
            Event::Reconnect { domain, replica } => self.reconnect(domain, replica),
            Event::Mend { from, to } => *self.network.way(from, to) = super::network::Way::FAIR,
            Event::Clock { domain, replica } => self.domains[domain].replicas[replica].skew_ms = 0,
            Event::Resume { domain, peer } => self.set_treaty(domain, peer, true),
            Event::Apply { .. } | Event::Say { .. } | Event::Learn { .. } => {}
        }
        Ok(())
    }

    fn alive(&self, domain: usize, replica: usize, boot: u64) -> bool {
        let replica = &self.domains[domain].replicas[replica];
        replica.up && replica.boot == boot
    }

    /// Hands an item to the domain's leader. `false` when there is none that can commit.
    fn propose(&mut self, domain: usize, item: comity_ledger::CheckedItem, asker: Asker) -> bool {
        if self.domains[domain].working_leader().is_none() {
            return false;
        }
        self.domains[domain].waiting.push((item, asker));
        if !self.domains[domain].proposing {
            self.domains[domain].proposing = true;
            let us = 1_000 + self.chances.domain.tail(4_000);
            self.after(us, Event::Commit { domain });
        }
        true
    }

    fn commit(&mut self, domain: usize) {
        let now_ms = self.now_ms();
        if self.domains[domain].commit(now_ms) {
            for replica in 0..self.domains[domain].replicas.len() {
                self.wake(domain, replica);
            }
        }
    }

    /// A replica will apply what it has not applied yet, in its own time.
    pub(super) fn wake(&mut self, domain: usize, replica: usize) {
        let leads = self.domains[domain].leader == Some(replica);
        let machine = &mut self.domains[domain].replicas[replica];
        if !machine.up || machine.isolated || machine.applying {
            return;
        }
        machine.applying = true;
        let boot = machine.boot;
        let us = if leads { self.chances.domain.tail(500) } else { self.chances.domain.tail(30_000) };
        self.after(us, Event::Apply { domain, replica, boot });
    }

    fn apply(&mut self, domain: usize, replica: usize) -> Result<(), String> {
        self.domains[domain].replicas[replica].applying = false;
        while let Some((entry, applied, first)) = self.domains[domain].apply_next(replica)? {
            if first {
                self.count("entry applied");
                let ledger = &self.domains[domain].replicas[replica].ledger;
                self.watch.entry(domain, ledger, &applied.events)?;
                self.answer(domain, entry, &applied)?;
            }
            let Applied { owed, .. } = applied;
            if self.domains[domain].replicas[replica].leads && !owed.is_empty() {
                let now = self.instant();
                let said = self.domains[domain].replicas[replica].speech.fresh(owed, now);
                self.say_soon(domain, replica, said);
            }
        }
        Ok(())
    }

    fn say_soon(&mut self, domain: usize, replica: usize, said: Vec<speech::Said>) {
        let boot = self.domains[domain].replicas[replica].boot;
        for (peer, owed) in said {
            let Some(to) = self.cast.index_of(&peer) else { continue };
            let us = self.chances.domain.tail(1_000);
            self.after(us, Event::Say { domain, replica, boot, to, owed });
        }
    }

    fn look(&mut self, domain: usize, replica: usize, term: u64) {
        let now = self.instant();
        let machine = &mut self.domains[domain].replicas[replica];
        if machine.term != term {
            return;
        }
        if !machine.leads {
            machine.speech.fall_silent();
            return;
        }
        let owed = machine.ledger.owed_all();
        let said = machine.speech.due(owed, now);
        self.say_soon(domain, replica, said);
        self.after(micros(LOOK), Event::Look { domain, replica, term });
    }

    fn pulse(&mut self, domain: usize, replica: usize, term: u64) {
        let home = &self.domains[domain];
        if home.leader != Some(replica) || home.replicas[replica].term != term {
            return;
        }
        let due = match home.stamp(replica, self.now_ms()) {
            Stamp::Moves(now_ms) => home.replicas[replica].ledger.pulse_due(now_ms),
            Stamp::StandsStill(_) | Stamp::Jumped(_) => false,
        };
        if due && !home.proposing {
            self.count("pulse");
            self.propose(domain, check(&EntryItem::Pulse), None);
        }
        self.after(PULSE_US, Event::Pulse { domain, replica, term });
    }

    /// A leader's task seals a batch and hands it to the network, unless the leader dies first.
    fn say(&mut self, domain: usize, replica: usize, to: usize, owed: Vec<OwedMessage>) {
        if !self.healing && self.chances.faults.ratio(self.mood.dies_before_send) {
            self.count("leader died before it spoke");
            self.crash(domain, replica);
            return;
        }
        let home = &self.domains[domain];
        let messages: Vec<_> = owed
            .into_iter()
            .filter_map(|owed| {
                let evidence = owed.evidence().and_then(|digest| home.evidence(&digest));
                owed.said(evidence)
            })
            .collect();
        if messages.is_empty() || home.replicas[replica].isolated {
            return;
        }
        let letter = Letter::new(&self.cast, domain, to, replica, messages);
        let arrivals = self.network.send(domain, to, &mut self.chances.network);
        if arrivals.is_empty() {
            self.count("packet lost");
        }
        if arrivals.len() > 1 {
            self.count("packet doubled");
        }
        for us in arrivals {
            self.after(us, Event::Arrive { letter: letter.clone(), tries: 0 });
        }
    }

    fn arrive(&mut self, letter: Letter, tries: u8) {
        let item = letter.open(&self.cast);
        if self.propose(letter.to, item, None) {
            self.count("packet arrived");
        } else if tries < LEADER_TRIES_MAX {
            self.after(LEADER_AGAIN_US, Event::Arrive { letter, tries: tries + 1 });
        } else {
            self.count("packet found no leader");
        }
    }

    pub(super) fn elect(&mut self, domain: usize) {
        if self.domains[domain].working_leader().is_some() {
            return;
        }
        match self.domains[domain].elect(&mut self.chances.domain) {
            Some(replica) => {
                self.count("leader elected");
                let term = self.domains[domain].replicas[replica].term;
                self.after(micros(LOOK), Event::Look { domain, replica, term });
                self.after(PULSE_US, Event::Pulse { domain, replica, term });
                self.domains[domain].proposing = false;
                // What survived its last leader is committed by the new one.
                if !self.domains[domain].waiting.is_empty() {
                    self.domains[domain].proposing = true;
                    self.after(1_000, Event::Commit { domain });
                }
            }
            None => self.after(1_000_000, Event::Elect { domain }),
        }
    }

    fn want(&mut self, domain: usize) {
        if !self.healing {
            let now_ms = self.now_ms();
            let World { cast, chances, next_request, .. } = self;
            let mut desk = Desk { cast, chance: &mut chances.agents, next: next_request, now_ms };
            let (number, request) = desk.draw(domain);
            self.submit(number, request, 0);
        }
        let us = self.chances.agents.tail(self.options.request_every_ms * 1_000);
        self.after(us, Event::Want { domain });
    }

    fn submit(&mut self, number: u64, request: Request, after_us: u64) {
        self.requests.insert(number, request);
        self.after(after_us, Event::Ask { request: number });
    }

    pub(super) fn set_treaty(&mut self, domain: usize, peer: usize, active: bool) {
        let now_ms = self.now_ms();
        let World { cast, chances, next_request, .. } = self;
        let mut desk = Desk { cast, chance: &mut chances.agents, next: next_request, now_ms };
        let (number, request) = desk.treaty(domain, peer, active);
        self.submit(number, request, 0);
    }

    fn ask(&mut self, number: u64) {
        let Some(request) = self.requests.get_mut(&number) else { return };
        request.tries += 1;
        let (domain, item, last) = (request.domain, request.item.clone(), request.tries >= TRIES_MAX);
        self.count("request");
        self.propose(domain, item, Some(number));
        if last {
            self.requests.remove(&number);
        } else {
            self.after(AGAIN_US, Event::Ask { request: number });
        }
    }

    /// Clients hear what an entry made of their requests; now and then the answer is lost and they ask again.
    fn answer(&mut self, domain: usize, entry: u64, applied: &Applied) -> Result<(), String> {
        let askers: Vec<Asker> = self.domains[domain].askers(entry).to_vec();
        for (asker, outcomes) in askers.into_iter().zip(&applied.outcomes) {
            let (Some(number), Some(outcome)) = (asker, outcomes.first()) else { continue };
            let heard = self.chances.agents.below(16) != 0;
            let Some(request) = self.requests.get_mut(&number) else { continue };
            match request.answer {
                Some(before) if before != *outcome && !may_change(before, *outcome) => {
                    return Err(format!("requests: {number} was answered {before} and then {outcome}"));
                }
                _ => request.answer = Some(*outcome),
            }
            if heard {
                let then = request.then;
                self.requests.remove(&number);
                if outcome.is_success() {
                    self.follow(domain, then);
                }
            }
        }
        Ok(())
    }

    fn follow(&mut self, domain: usize, then: Then) {
        if self.healing {
            return;
        }
        let now_ms = self.now_ms();
        let World { cast, chances, next_request, .. } = self;
        let mut desk = Desk { cast, chance: &mut chances.agents, next: next_request, now_ms };
        if let Some((number, request)) = desk.go_on(domain, then) {
            let us = self.chances.agents.tail(10_000_000);
            self.submit(number, request, us);
        }
    }
}

/// A request that is over may be answered so; nothing else may change.
fn may_change(before: Outcome, now: Outcome) -> bool {
    now == Outcome::Expired || before == Outcome::Expired
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}
