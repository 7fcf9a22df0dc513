//! Looks at everything many times a virtual second: oracles, and what the timeline tells.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use comity_ledger::{AccountKind, Event, EventKind};
use comity_node::node::Node;
use parking_lot::Mutex;

use crate::{
    faults::Conductor,
    hosts::{Hosts, OBSERVER},
    observe::{self, DealKey, Seen, SharedSeen},
    oracles::{self, Oracle, Phase, View},
    plan::Plan,
    record::{Failure, Happening, What},
    workload::{Answer, History},
    world::{HostId, TimeNs},
};

/// Time between two lines about the books of a domain.
const BOOKS_EVERY: TimeNs = 5_000_000_000;

/// The oracles and the timeline of a run.
pub(super) struct Watch {
    pub(super) hosts: Hosts,
    pub(super) plan: Plan,
    pub(super) history: History,
    seen: SharedSeen,
    oracles: Vec<Box<dyn Oracle>>,
    roles: BTreeMap<HostId, (&'static str, u64)>,
    up: BTreeSet<HostId>,
    deals: BTreeMap<DealKey, &'static str>,
    books_at: TimeNs,
    reached: BTreeMap<String, u64>,
    pub(super) timeline: Vec<Happening>,
    pub(super) phase: Phase,
    /// Conducts the faults, once the hosts are founded.
    pub(super) conductor: Option<Conductor>,
}

impl Watch {
    pub(super) fn new(hosts: &Hosts, plan: &Plan, history: &History) -> Watch {
        let seen: SharedSeen = Arc::new(Mutex::new(Seen::new(plan.scenario.domains.len())));
        let (heard, universe) = (seen.clone(), hosts.universe.clone());
        let machines = hosts.clone();
        hosts.at_boot(Arc::new(move |host, node| {
            let (boot, domain) = machines.with(host, |machine| (machine.boots, machine.domain));
            observe::watch(&heard, &universe, OBSERVER, (host, boot, domain), node);
        }));
        Watch {
            hosts: hosts.clone(),
            plan: plan.clone(),
            history: history.clone(),
            seen,
            oracles: oracles::of(&plan.scenario),
            roles: BTreeMap::new(),
            up: BTreeSet::new(),
            deals: BTreeMap::new(),
            books_at: 0,
            reached: BTreeMap::new(),
            timeline: Vec::new(),
            phase: Phase::Warm,
            conductor: None,
        }
    }

    /// Adds a line to the timeline.
    pub(super) fn tell(&mut self, what: What) {
        let at_ms = self.hosts.universe.now() / 1_000_000;
        self.timeline.push(Happening { at_ms, what });
    }

    /// Asks every oracle; the first broken claim.
    pub(super) fn look(&mut self) -> Option<Failure> {
        let now = self.hosts.universe.now();
        let ids = || self.hosts.domains().iter().map(|domain| domain.id()).collect();
        let stores = |domain, leaf| self.stored(domain, leaf);
        self.seen.lock().take_in(now, ids, stores);
        self.tell_hosts();
        self.tell_deals();
        self.tell_books(now);
        self.count();
        let is_audit = self.phase == Phase::Audit;
        let broken = self.ask(now, |oracle, view| if is_audit { oracle.audit(view) } else { oracle.look(view) });
        broken.or_else(|| self.begin_anew(now))
    }

    /// Asks every oracle something; the first broken claim.
    fn ask(&mut self, now: TimeNs, what: impl Fn(&mut dyn Oracle, &View<'_>) -> Result<(), String>) -> Option<Failure> {
        let seen = self.seen.lock();
        let view =
            View { now, phase: self.phase, hosts: &self.hosts, plan: &self.plan, history: &self.history, seen: &seen };
        self.oracles.iter_mut().find_map(|oracle| {
            let detail = what(oracle.as_mut(), &view).err()?;
            let (oracle, claim) = (oracle.name().to_owned(), oracle.claim().to_owned());
            Some(Failure { oracle, claim, at_ms: now / 1_000_000, detail })
        })
    }

    /// After a restore, while nobody of the domain runs: all that its lost log did was judged, and is forgotten.
    fn begin_anew(&mut self, now: TimeNs) -> Option<Failure> {
        let known = self.seen.lock().restores.len();
        for restore in self.hosts.restores().into_iter().skip(known) {
            if let Some(failure) = self.ask(now, |oracle, view| oracle.restored(view, &restore)) {
                return Some(failure);
            }
            let hosts = self.hosts.domains()[restore.domain].hosts.clone();
            self.seen.lock().restored(now, restore, &hosts);
        }
        None
    }

    /// What was reached: states of transfers, of escrows, outcomes, answers, each with its count.
    pub(super) fn reached(&self) -> BTreeMap<String, u64> {
        let mut reached = self.reached.clone();
        reached.extend(self.conductor.as_ref().map(Conductor::done).unwrap_or_default());
        for state in self.deals.values() {
            *reached.entry(format!("transfer:{state}")).or_default() += 1;
        }
        self.history.with(|calls| {
            for call in calls {
                let answer = match &call.answered {
                    Some((_, Answer::Done { .. })) => "done",
                    Some((_, Answer::Refused(_))) => "refused",
                    Some((_, Answer::Unknown(_))) => "unknown",
                    None => "open",
                };
                *reached.entry(format!("answer:{answer}")).or_default() += 1;
            }
        });
        let across =
            self.seen.lock().deals.all().filter(|(_, deal)| deal.is_across()).fold((0, 0), |sums, (_, deal)| {
                let committed = deal.decided.iter().any(|step| step.what.commit);
                (sums.0 + u64::from(committed), sums.1 + u64::from(!committed))
            });
        for (key, times) in [("across:committed", across.0), ("across:not-committed", across.1)] {
            if times > 0 {
                reached.insert(key.to_owned(), times);
            }
        }
        let judged = self.oracles.iter().flat_map(|oracle| oracle.judged()).filter(|(_, times)| *times > 0);
        judged.for_each(|(key, times)| *reached.entry((*key).to_owned()).or_default() += times);
        reached
    }

    /// An event that no replica told: all that knew it ended in the instant in which they had applied it.
    fn stored(&self, domain: usize, leaf: u64) -> Option<Event> {
        let of_domain = |(host, _): &(HostId, _)| self.hosts.with(*host, |machine| machine.domain == domain);
        let stored = |node: Arc<Node>| node.replica().events().leaf(leaf).ok().flatten();
        let found = self.hosts.nodes().into_iter().filter(of_domain).find_map(|(_, node)| stored(node))?;
        Event::from_bytes(&found.bytes).ok()
    }

    fn tell_hosts(&mut self) {
        let nodes = self.hosts.nodes();
        let up: BTreeSet<HostId> = nodes.iter().map(|(host, _)| *host).collect();
        let was = std::mem::replace(&mut self.up, up.clone());
        was.difference(&up).for_each(|host| self.tell(What::Host { host: *host, up: false }));
        up.difference(&was).for_each(|host| self.tell(What::Host { host: *host, up: true }));
        for (host, node) in nodes {
            let status = comity_node::service::domain::status(&node);
            let role = (status.role, status.term);
            if self.roles.insert(host, role) != Some(role) {
                self.tell(What::Role { host, role: role.0.to_owned(), term: role.1 });
            }
        }
    }

    fn tell_deals(&mut self) {
        let mut lines = Vec::new();
        {
            let seen = self.seen.lock();
            let name_of = |id| {
                let at = seen.ids().iter().position(|known| *known == id);
                at.and_then(|at| self.plan.scenario.domains.get(at)).map_or_else(String::new, |spec| spec.name.clone())
            };
            for (key, deal) in seen.deals.touched() {
                let state = deal.state();
                if self.deals.insert(*key, state) == Some(state) {
                    continue;
                }
                let Some(begun) = deal.begun.first() else { continue };
                lines.push(What::Transfer {
                    id: key.1.to_string(),
                    state: state.to_owned(),
                    from: name_of(key.0),
                    to: name_of(begun.what.recipient.domain),
                    amount: begun.what.amount,
                });
            }
        }
        lines.into_iter().for_each(|line| self.tell(line));
    }

    fn tell_books(&mut self, now: TimeNs) {
        if now < self.books_at {
            return;
        }
        self.books_at = now + BOOKS_EVERY;
        let mut lines = Vec::new();
        for (spec, story) in self.plan.scenario.domains.iter().zip(&self.seen.lock().stories) {
            let mut sums: BTreeMap<String, i128> = BTreeMap::new();
            for (account, balance) in story.balances() {
                *sums.entry(kind_of(account.kind).to_owned()).or_default() += balance;
            }
            lines.push(What::Books { domain: spec.name.clone(), sums });
        }
        lines.into_iter().for_each(|line| self.tell(line));
    }

    fn count(&mut self) {
        let seen = self.seen.lock();
        for domain in (0..seen.stories.len()).filter(|domain| !seen.fresh.retold.contains(domain)) {
            for (_, told) in seen.new_entries(domain) {
                for outcome in told.outcomes.iter() {
                    *self.reached.entry(format!("outcome:{}", outcome.name())).or_default() += 1;
                }
            }
            for event in seen.new_events(domain) {
                if let Some(state) = escrow_state(&event.kind) {
                    *self.reached.entry(format!("escrow:{state}")).or_default() += 1;
                }
            }
        }
    }
}

fn kind_of(kind: AccountKind) -> &'static str {
    match kind {
        AccountKind::Agent(_) => "agents",
        AccountKind::Escrow(_) => "escrows",
        AccountKind::InFlight(_) => "in-flight",
        AccountKind::Peer(_) => "peers",
        AccountKind::Referral(_) => "referrals",
        AccountKind::Treasury => "treasury",
        AccountKind::Faucet => "faucet",
        AccountKind::Bonds => "bonds",
        AccountKind::Issuance => "issuance",
    }
}

fn escrow_state(kind: &EventKind) -> Option<&'static str> {
    use comity_ledger::event::Cause;
    Some(match kind {
        EventKind::EscrowLocked { .. } => "locked",
        EventKind::EscrowAccepted { .. } => "accepted",
        EventKind::EscrowSubmitted { .. } => "submitted",
        EventKind::EscrowDisputed { .. } => "disputed",
        EventKind::EscrowWaived { .. } => "waived",
        EventKind::EscrowPayoutDone { .. } => "paid-abroad",
        EventKind::EscrowShareFronted { .. } => "fronted",
        EventKind::EscrowPaid { cause, .. } => match cause {
            Cause::Release => "released",
            Cause::NoDelivery => "refunded",
            Cause::Silence => "silent",
            Cause::Ruling => "ruled",
            Cause::NoRuling => "unruled",
            Cause::Cancel => "cancelled",
            Cause::Restored => "restored",
        },
        _ => return None,
    })
}
