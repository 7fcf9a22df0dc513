//! A run from its first step to its verdict: stretches of trouble, each followed by a heal.

use std::collections::BTreeMap;

use super::{
    Options,
    faults::{Kind, Mood},
    network::Way,
    world::{Event, World},
};
use crate::core::pair;

/// How long trouble lasts before a heal, us.
const STRETCH_US: u64 = 600_000_000;
/// How long a heal is given to end every transfer, us. Far above what is asked for: the report says how long it took.
const HEAL_US: u64 = 60_000_000;
/// How long the end of a run waits for shares of escrows that are tried again with growing pauses, us.
const PAYOUTS_US: u64 = 1_500_000_000;
/// Steps between two looks at whole ledgers.
const WHOLE_EVERY: u64 = 20_000;

/// What a run saw.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was run.
    pub options: Options,
    /// Steps: entries, packets, requests and faults.
    pub steps: u64,
    /// Universe time at the end, us.
    pub virtual_us: u64,
    /// How often each thing happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// Transfers begun, committed and aborted; of the committed those with two participants.
    pub transfers: [u64; 4],
    /// The longest that a transfer stayed in doubt after a heal, us.
    pub doubt_us: u64,
    /// Heals.
    pub heals: u64,
    /// Fingerprint of everything that happened.
    pub digest: u64,
}

/// A broken claim.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// The claim and what was seen.
    pub what: String,
    /// At which step.
    pub step: u64,
    /// Universe time, us.
    pub at_us: u64,
}

/// Runs a universe to its end.
///
/// # Errors
/// The first claim that was broken.
pub fn run(options: Options) -> Result<Report, Wrong> {
    let mut world = World::new(options).map_err(|what| Wrong { what, step: 0, at_us: 0 })?;
    let (mut doubt_us, mut heals) = (0, 0);
    let ended = stretches(&mut world, &mut doubt_us, &mut heals);
    match ended {
        Ok(()) => Ok(Report {
            options,
            steps: world.steps,
            virtual_us: world.now_us,
            transfers: world.watch.counts,
            counts: world.counts,
            doubt_us,
            heals,
            digest: world.digest,
        }),
        Err(what) => Err(Wrong { what, step: world.steps, at_us: world.now_us }),
    }
}

fn stretches(world: &mut World, doubt_us: &mut u64, heals: &mut u64) -> Result<(), String> {
    while world.steps < world.options.steps {
        world.mood = Mood::draw(&mut world.chances.faults);
        world.healing = false;
        let first = world.chances.faults.tail(world.mood.every_us);
        world.after(first, Event::Fault);
        let until = world.now_us + STRETCH_US;
        let mut whole = world.steps + WHOLE_EVERY;
        while world.now_us < until && world.steps < world.options.steps {
            world.step()?;
            if world.steps >= whole {
                whole = world.steps + WHOLE_EVERY;
                world.look_at_everything()?;
            }
        }
        *doubt_us = (*doubt_us).max(world.heal()?);
        *heals += 1;
        world.look_at_everything()?;
    }
    let until = world.now_us + PAYOUTS_US;
    while world.now_us < until {
        world.step()?;
    }
    world.look_at_everything()?;
    world.watch.all_ended()
}

impl World {
    /// Everything is well from here on; every transfer must end. Says how long that took, us.
    fn heal(&mut self) -> Result<u64, String> {
        self.healing = true;
        self.network.mend();
        for domain in 0..self.domains.len() {
            for replica in 0..self.domains[domain].replicas.len() {
                self.domains[domain].replicas[replica].skew_ms = 0;
                self.restart(domain, replica)?;
                self.reconnect(domain, replica);
            }
            self.elect(domain);
            for peer in (0..self.domains.len()).filter(|peer| *peer != domain) {
                self.set_treaty(domain, peer, true);
            }
        }
        let began = self.now_us;
        while self.now_us < began + HEAL_US {
            if self.domains.iter().all(|domain| domain.foremost().in_doubt().is_empty()) {
                return Ok(self.now_us - began);
            }
            let until = self.now_us + 100_000;
            while self.now_us < until {
                self.step()?;
            }
        }
        let open: Vec<_> = self.domains.iter().flat_map(|domain| domain.foremost().in_doubt()).collect();
        Err(format!(
            "liveness: {} transfers are in doubt a minute after all is well, first {:?}",
            open.len(),
            open.first()
        ))
    }

    /// Whole ledgers: replicas of one domain byte for byte, domains against each other.
    fn look_at_everything(&self) -> Result<(), String> {
        for domain in &self.domains {
            domain.agree()?;
        }
        for (number, a) in self.domains.iter().enumerate() {
            for b in &self.domains[number + 1..] {
                pair::check(a.foremost(), b.foremost())?;
            }
        }
        Ok(())
    }

    pub(super) fn crash(&mut self, domain: usize, replica: usize) {
        if !self.domains[domain].replicas[replica].up {
            return;
        }
        let led = self.domains[domain].leader == Some(replica);
        self.domains[domain].crash(replica, &mut self.chances.domain);
        let down_us = self.chances.faults.tail(self.mood.lasts_us);
        self.after(down_us, Event::Restart { domain, replica });
        if led {
            let us = 1_500_000 + self.chances.domain.below(1_500_000);
            self.after(us, Event::Elect { domain });
        }
    }

    pub(super) fn restart(&mut self, domain: usize, replica: usize) -> Result<(), String> {
        if self.domains[domain].replicas[replica].up {
            return Ok(());
        }
        self.domains[domain].restart(replica, &mut self.chances.domain)?;
        self.wake(domain, replica);
        Ok(())
    }

    pub(super) fn reconnect(&mut self, domain: usize, replica: usize) {
        let home = &mut self.domains[domain];
        home.replicas[replica].isolated = false;
        home.replicas[replica].leads = home.leader == Some(replica);
        self.wake(domain, replica);
    }

    pub(super) fn fault(&mut self) {
        if self.healing {
            return;
        }
        let us = self.chances.faults.tail(self.mood.every_us);
        self.after(us, Event::Fault);
        let domains = self.domains.len() as u64;
        let domain = self.chances.faults.below(domains) as usize;
        let peer = (domain + self.chances.faults.between(1, domains - 1) as usize) % self.domains.len();
        let replica = self.chances.faults.below(self.domains[domain].replicas.len() as u64) as usize;
        let lasts_us = self.chances.faults.tail(self.mood.lasts_us);
        let Some(kind) = self.chances.faults.pick(&self.mood.kinds).copied() else { return };
        self.count("fault");
        match kind {
            Kind::CrashLeader | Kind::CrashBeforeSend => {
                if let Some(leader) = self.domains[domain].leader {
                    self.crash(domain, leader);
                }
            }
            Kind::CrashAny => self.crash(domain, replica),
            Kind::CrashAll => (0..self.domains[domain].replicas.len()).for_each(|replica| self.crash(domain, replica)),
            Kind::Depose => self.depose(domain, lasts_us.min(3_000_000)),
            Kind::Isolate => self.isolate(domain, replica, lasts_us),
            Kind::Partition => {
                let both = self.chances.faults.below(2) == 0;
                self.spoil(domain, peer, lasts_us, |way, _| way.cut = true);
                if both {
                    self.spoil(peer, domain, lasts_us, |way, _| way.cut = true);
                }
            }
            Kind::Weather => self.spoil(domain, peer, lasts_us, |way, chance| {
                way.loss = chance.below(60) as f64 / 100.0;
                way.duplicate = chance.below(60) as f64 / 100.0;
                way.delay_us = chance.between(1_000, 2_000_000);
                way.jitter_us = chance.between(1_000, 3_000_000);
            }),
            Kind::Clock => {
                let far = self.chances.faults.between(1_000, 1_200_000) as i64;
                let ahead = self.chances.faults.below(2) == 0;
                self.domains[domain].replicas[replica].skew_ms = if ahead { far } else { -far };
                self.after(lasts_us, Event::Clock { domain, replica });
            }
            Kind::Suspend => {
                self.set_treaty(domain, peer, false);
                self.after(lasts_us, Event::Resume { domain, peer });
            }
        }
    }

    fn spoil(&mut self, from: usize, to: usize, lasts_us: u64, how: impl FnOnce(&mut Way, &mut crate::world::Chance)) {
        how(self.network.way(from, to), &mut self.chances.faults);
        self.after(lasts_us, Event::Mend { from, to });
    }

    fn depose(&mut self, domain: usize, unaware_us: u64) {
        let Some(old) = self.domains[domain].leader.take() else { return };
        let boot = self.domains[domain].replicas[old].boot;
        self.after(unaware_us, Event::Learn { domain, replica: old, boot });
        self.elect(domain);
    }

    fn isolate(&mut self, domain: usize, replica: usize, lasts_us: u64) {
        self.domains[domain].replicas[replica].isolated = true;
        self.after(lasts_us, Event::Reconnect { domain, replica });
        if self.domains[domain].leader == Some(replica) {
            let us = 1_500_000 + self.chances.domain.below(1_500_000);
            self.after(us, Event::Elect { domain });
        }
    }
}
