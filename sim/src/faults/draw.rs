//! Which faults a seed draws.

use super::{Fault, KINDS, Keep, NAMED, Part, State, When, Who};
use crate::{
    adversary::Play,
    plan::PlannedFault,
    scenario::Scenario,
    world::{Chance, HostId},
};

/// Draws the faults of a universe: first which kinds are on, then what happens when.
pub fn draw(seed: u64, scenario: &Scenario) -> Vec<PlannedFault> {
    let chaos = &scenario.chaos;
    let mut chance = Chance::stream(seed, "faults");
    let allowed = KINDS.iter().map(|kind| kind.name);
    let usual = |kind: &str| chaos.kinds.is_empty() && !NAMED.contains(&kind);
    let allowed = allowed.filter(|kind| usual(kind) || chaos.kinds.iter().any(|own| own == kind));
    let on: Vec<&str> = allowed.filter(|_| chance.ratio(chaos.share)).collect();
    let from = scenario.phases.warm_s * 1_000;
    let to = from + scenario.phases.chaos_s * 1_000;
    let mut drawing = Drawing { chance, sizes: scenario.domains.iter().map(|domain| domain.nodes).collect() };
    let mut at_ms = from;
    let mut faults = Vec::new();
    if drawing.hosts() < 2 || chaos.every_ms == 0 || on.is_empty() {
        return faults;
    }
    loop {
        at_ms += 1 + drawing.chance.tail(chaos.every_ms);
        let Some(kind) = drawing.chance.pick(&on).copied().filter(|_| at_ms < to) else { break };
        let mean = (6_000.0 * chaos.strength) as u64;
        let (fault, when) = drawing.one(kind);
        let usual = 200 + drawing.chance.tail(mean);
        let (at_ms, for_ms) = match kind {
            "outage" => (at_ms, 15_000 + drawing.chance.tail(mean * 3)),
            "slow-pair" | "replace-voter" => (at_ms, to),
            "start-skew" => (0, to),
            "wall-jump" => (at_ms, 2_000 + usual),
            // A liar needs time to be believed.
            _ if Play::named(kind).is_some() => (at_ms, 5_000 + usual),
            _ => (at_ms, usual),
        };
        faults.push(PlannedFault { number: faults.len() as u32 + 1, at_ms, for_ms, when, fault });
    }
    faults
}

/// What is known of the universe while its faults are drawn.
struct Drawing {
    chance: Chance,
    /// Nodes of each domain.
    sizes: Vec<usize>,
}

impl Drawing {
    fn hosts(&self) -> HostId {
        self.sizes.iter().sum::<usize>() as HostId
    }

    fn host(&mut self) -> HostId {
        self.chance.below(u64::from(self.hosts())) as HostId
    }

    fn two(&mut self) -> (HostId, HostId) {
        let (hosts, one) = (self.hosts(), self.host());
        let step = 1 + self.chance.below(u64::from(hosts) - 1) as HostId;
        (one, (one + step) % hosts)
    }

    fn domain(&mut self) -> usize {
        self.chance.below(self.sizes.len() as u64) as usize
    }

    fn some_hosts(&mut self) -> Vec<HostId> {
        (0..self.hosts()).filter(|_| self.chance.ratio(0.5)).collect()
    }

    /// Some hosts and not all: `host` alone where the draw was none or everybody.
    fn side(&mut self, host: HostId) -> Vec<HostId> {
        let drawn = self.some_hosts();
        if drawn.is_empty() || drawn.len() as HostId == self.hosts() { vec![host] } else { drawn }
    }

    /// A side with somebody on it, and somebody on the other one, whichever side `bridge` is on.
    fn side_beside(&mut self, bridge: HostId) -> Vec<HostId> {
        let drawn = self.some_hosts();
        let others = drawn.iter().filter(|host| **host != bridge).count() as HostId;
        if others == 0 || others == self.hosts() - 1 { vec![(bridge + 1) % self.hosts()] } else { drawn }
    }

    fn share(&mut self, most: f64) -> f64 {
        most * self.chance.between(1, 100) as f64 / 100.0
    }

    fn keeps(&mut self) -> Keep {
        match self.chance.below(4) {
            0 => Keep::Nothing,
            1 => Keep::Everything,
            2 => self.prefix(),
            _ => self.sectors(),
        }
    }

    fn prefix(&mut self) -> Keep {
        Keep::Prefix { bytes: self.chance.below(20_000), names: self.chance.below(4) as usize }
    }

    fn sectors(&mut self) -> Keep {
        Keep::Sectors { share: self.share(1.0), names: self.chance.below(4) as usize }
    }

    fn one(&mut self, kind: &str) -> (Fault, Option<When>) {
        let drawn = self
            .of_settlement(kind)
            .or_else(|| self.of_network(kind).or_else(|| self.of_process(kind)).map(|fault| (fault, None)))
            .or_else(|| self.of_disk(kind).or_else(|| self.of_clock(kind)).map(|fault| (fault, None)));
        drawn.unwrap_or_else(|| (self.of_people(kind), None))
    }

    fn of_settlement(&mut self, kind: &str) -> Option<(Fault, Option<When>)> {
        let keeps = self.keeps();
        let fault = match kind {
            "origin-crash" => Fault::Crash { host: Who::Part(Part::OriginLeader), keeps },
            "participant-crash" => Fault::Crash { host: Who::Part(Part::ParticipantLeader), keeps },
            "settlement-pause" => Fault::Pause { host: Who::Part(Part::Seen) },
            "cut-between" => {
                Fault::CutBetween { one: Who::Part(Part::OriginLeader), other: Who::Part(Part::ParticipantLeader) }
            }
            _ => return None,
        };
        let state = self.chance.pick(&State::ALL).copied().unwrap_or(State::Begun);
        Some((fault, Some(When { skip: self.chance.below(4) as u32, ..When::at(state) })))
    }

    fn of_network(&mut self, kind: &str) -> Option<Fault> {
        let (one, other) = self.two();
        let host = one;
        Some(match kind {
            "partition" => Fault::Partition { side: self.side(host) },
            "isolate" => Fault::Isolate { host: host.into() },
            "split-domains" => {
                let some = self.domain();
                let drawn: Vec<usize> = (0..=some).filter(|_| self.chance.ratio(0.7)).collect();
                let is_side = !drawn.is_empty() && drawn.len() < self.sizes.len();
                Fault::SplitDomains { side: if is_side { drawn } else { vec![some] } }
            }
            "bridge" => Fault::Bridge { bridge: host, side: self.side_beside(host) },
            "one-way" => Fault::OneWay { from: one, to: other },
            "leader-cut" => Fault::LeaderCut { domain: self.domain() },
            "flap" => Fault::Flap { one, other, every_ms: self.chance.between(50, 1_500) },
            "swizzle" => {
                let mut clog = self.side(host);
                self.chance.shuffle(&mut clog);
                let mut free = clog.clone();
                self.chance.shuffle(&mut free);
                Fault::Swizzle { clog, free }
            }
            "clog" => Fault::Clog { from: one, to: other, bytes_per_s: self.chance.between(500, 50_000) },
            "spike" => Fault::Spike { host, extra_ms: self.chance.between(20, 2_000) },
            "slow-pair" => Fault::SlowPair { one, other, extra_ms: self.chance.between(20, 400) },
            "loss" => Fault::Loss { host, share: self.share(0.4) },
            "split-reads" => Fault::SplitReads { host, share: self.share(1.0) },
            "corrupt" => Fault::Corrupt { from: one, to: other, share: self.share(0.05) },
            "reset" => Fault::Reset { one, other },
            "black-hole" => Fault::BlackHole { host },
            _ => return None,
        })
    }

    fn of_process(&mut self, kind: &str) -> Option<Fault> {
        let host = self.host();
        Some(match kind {
            "crash" => Fault::Crash { host: host.into(), keeps: Keep::Nothing },
            "crash-kept" => Fault::Crash { host: host.into(), keeps: Keep::Everything },
            "crash-prefix" => Fault::Crash { host: host.into(), keeps: self.prefix() },
            "crash-sectors" => Fault::Crash { host: host.into(), keeps: self.sectors() },
            "outage" => Fault::Outage { host },
            "kill" => Fault::Kill { host: host.into() },
            "start-crash" => Fault::StartCrash { host, after_ms: self.chance.between(1, 400) },
            "leader-crash" => Fault::LeaderCrash { domain: self.domain(), keeps: self.keeps() },
            "site-outage" => Fault::SiteOutage { domain: self.domain(), keeps: self.keeps() },
            "pause" => Fault::Pause { host: host.into() },
            "slow-core" => Fault::SlowCore { host, poll_us: self.chance.between(10, 1_000) },
            "restart" => Fault::Restart { host },
            "rolling-restart" => Fault::RollingRestart { domain: self.domain() },
            _ => return None,
        })
    }

    fn of_disk(&mut self, kind: &str) -> Option<Fault> {
        let host = self.host();
        Some(match kind {
            "slow-disk" => Fault::SlowDisk { host, mean_us: self.chance.between(2_000, 80_000) },
            "stalled-disk" => Fault::StalledDisk { host },
            "failed-flush" => Fault::FailedFlush { host },
            "full-disk" => Fault::FullDisk { host, spare_bytes: self.chance.below(64 << 10) },
            "read-errors" => Fault::ReadErrors { host, share: self.share(0.5) },
            "lying-disk" => Fault::LyingDisk { host },
            "bit-rot" => Fault::BitRot { host },
            "misdirected-write" => Fault::MisdirectedWrite { host },
            "phantom-write" => Fault::PhantomWrite { host },
            "old-backup" => Fault::OldBackup { host },
            "wiped-disk" => Fault::WipedDisk { host },
            "restored-domain" => {
                Fault::RestoreDomain { domain: self.domain(), after_ms: self.chance.between(2_000, 8_000) }
            }
            "older-copy" => Fault::OlderCopy { host, after_ms: self.chance.between(2_000, 10_000) },
            _ => return None,
        })
    }

    fn of_clock(&mut self, kind: &str) -> Option<Fault> {
        let host = self.host();
        let sign = if self.chance.ratio(0.5) { 1 } else { -1 };
        Some(match kind {
            "drift" => Fault::Drift { host, ppm: sign * self.chance.between(1, 1_000) as i64 },
            "wall-step" => {
                let most = *self.chance.pick(&[2_000, 60_000, 3_600_000]).unwrap_or(&2_000);
                Fault::WallStep { host, by_ms: sign * self.chance.between(100, most) as i64 }
            }
            "wall-jump" => {
                let hours = *self.chance.pick(&[24, 72, 73, 24 * 31, 24 * 400]).unwrap_or(&72);
                Fault::WallJump { host, hours: sign * hours }
            }
            "wall-freeze" => Fault::WallFreeze { host },
            "clock-lost" => Fault::ClockLost { host, back_ms: self.chance.between(1_000, 3 * 86_400_000) },
            "start-skew" => Fault::StartSkew { host, by_ms: sign * self.chance.between(100, 90_000) as i64 },
            "late-timers" => Fault::LateTimers { host, lag_ms: self.chance.between(1, 800) },
            "starve" => Fault::Starve { host },
            _ => return None,
        })
    }

    /// Between two domains; with one domain nobody is there to part from.
    fn of_treaties(&mut self, kind: &str) -> Fault {
        let domains = self.sizes.len();
        let domain = self.domain();
        if domains < 2 {
            return Fault::Idle {};
        }
        let peer = (domain + 1 + self.chance.below(domains as u64 - 1) as usize) % domains;
        match kind {
            "treaty-suspended" => Fault::SuspendTreaty { domain, peer, both: false },
            "treaty-race" => Fault::SuspendTreaty { domain, peer, both: true },
            "treaty-revoked" => Fault::RevokeTreaty { domain, peer },
            "licence-suspended" => Fault::SuspendLicence { domain, peer },
            _ => Fault::DrainTreaty { domain, peer },
        }
    }

    /// Kinds of people and members; the last of the table's kinds.
    fn of_people(&mut self, kind: &str) -> Fault {
        if let Some(play) = Play::named(kind) {
            return Fault::Adversary { play, domain: self.domain() };
        }
        let host = self.host();
        match kind {
            "replace-voter" => Fault::ReplaceVoter { host },
            "remove-voter" => Fault::RemoveVoter { host },
            "snapshot" => Fault::Snapshot { host: host.into() },
            "churn" => Fault::Churn { domain: self.domain(), every_ms: self.chance.between(1_000, 5_000) },
            "treaty-suspended" | "treaty-race" | "unpeer-in-doubt" | "treaty-revoked" | "licence-suspended" => {
                self.of_treaties(kind)
            }
            "export-withdrawn" => Fault::WithdrawExports { domain: self.domain() },
            "operator-key-rotated" => Fault::RotateOperator { domain: self.domain() },
            "root-key-rotated" => Fault::RotateRoot { domain: self.domain() },
            "node-key-rotated" => Fault::RotateNode { host: self.host() },
            "burst" => Fault::Burst { factor: self.chance.between(3, 20) as u32 },
            "hot-account" => Fault::HotAccount {},
            "idle" => Fault::Idle {},
            _ => Fault::Silence {},
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kind that only the list knows would be drawn as another one, for ever unseen.
    #[test]
    fn every_kind_of_the_table_is_drawn_as_itself() {
        for kind in KINDS {
            let mut drawing = Drawing { chance: Chance::stream(1, kind.name), sizes: vec![3, 3] };
            let (fault, when) = drawing.one(kind.name);
            let planned = PlannedFault { number: 1, at_ms: 0, for_ms: 1, when, fault };
            assert_eq!(planned.kind(), kind.name, "{planned:?}");
        }
    }

    /// A universe has time for a fifth of all kinds; none may be so rare that sweeps never see it.
    #[test]
    fn every_kind_is_drawn_in_some_of_sixty_universes() {
        let scenario = crate::scenario::named("two-domains").expect("it is shipped");
        let plans = (1..=60).map(|seed| crate::plan::Plan::draw(seed, &scenario));
        let drawn: std::collections::BTreeSet<&str> =
            plans.flat_map(|plan| plan.faults.iter().map(PlannedFault::kind).collect::<Vec<_>>()).collect();
        let usual = KINDS.iter().map(|kind| kind.name).filter(|name| !NAMED.contains(name));
        let never: Vec<&str> = usual.filter(|name| !drawn.contains(name)).collect();
        assert!(never.is_empty(), "{never:?}");
    }

    #[test]
    fn a_cut_has_somebody_on_either_side() {
        for seed in 0..500 {
            let mut drawing = Drawing { chance: Chance::stream(seed, "sides"), sizes: vec![1, 1, 3] };
            for kind in ["partition", "swizzle", "bridge", "split-domains"] {
                let (fault, _) = drawing.one(kind);
                let (side, all, beside) = match &fault {
                    Fault::Partition { side } | Fault::Swizzle { clog: side, .. } => (side.clone(), 5, None),
                    Fault::Bridge { side, bridge } => (side.clone(), 4, Some(*bridge)),
                    Fault::SplitDomains { side } => (side.iter().map(|domain| *domain as HostId).collect(), 3, None),
                    other => panic!("{other:?} is drawn as {kind}"),
                };
                let count = side.iter().filter(|host| Some(**host) != beside).count();
                assert!((1..all).contains(&count), "seed {seed}: {fault:?}");
            }
        }
    }

    #[test]
    fn a_fault_survives_its_own_text() {
        for kind in KINDS {
            let mut drawing = Drawing { chance: Chance::stream(2, kind.name), sizes: vec![3, 1, 5] };
            let (fault, when) = drawing.one(kind.name);
            let json = serde_json::to_string(&(&fault, when)).unwrap();
            assert_eq!(serde_json::from_str::<(Fault, Option<When>)>(&json).unwrap(), (fault.clone(), when));
            let text = toml::to_string(&fault).unwrap();
            assert_eq!(toml::from_str::<Fault>(&text).unwrap(), fault, "{text}");
        }
    }
}
