//! A healed majority goes on alone, and so does everybody together.

use crate::{
    hosts::Hosts,
    oracles::{Oracle, Phase, View},
    world::{HostId, TimeNs},
};

/// How long a domain has to its next committed entry once everything is healed, or its core is up: for the core it is so
/// much after the longest time that an election or two take.
const ALL_WITHIN: TimeNs = 10_000_000_000;
const CORE_WITHIN: TimeNs = 2_000_000_000;

/// What of a domain is watched.
#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    /// Since when it is well without a break, and what was committed then.
    since: Option<(TimeNs, u64)>,
    /// It has gone on.
    moved: bool,
}

/// By domain: the core alone, then everybody.
#[derive(Default)]
pub(super) struct Core {
    core: Vec<Watched>,
    all: Vec<Watched>,
}

impl Oracle for Core {
    fn name(&self) -> &'static str {
        "core-goes-on"
    }

    fn claim(&self) -> &'static str {
        "a majority of a domain that is up and connected commits again within ten seconds, whatever the others do"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        if view.plan.scenario.load.agents == 0 {
            return Ok(());
        }
        let domains = view.seen.committed.len();
        match view.phase {
            Phase::Core => {
                self.core.resize(domains, Watched::default());
                let within = view.settle_ms() * 1_000_000 + CORE_WITHIN;
                for (domain, core) in view.hosts.core().into_iter().enumerate() {
                    let is_well = is_well(view, domain, &core);
                    let late = self.core[domain].look(view, domain, is_well, within);
                    late.map_err(|told| format!("{told}, although hosts {core:?} are up and connected"))?;
                }
            }
            Phase::Heal if view.everything_is_healed() => {
                self.all.resize(domains, Watched::default());
                for (domain, watched) in self.all.iter_mut().enumerate() {
                    watched.look(view, domain, true, ALL_WITHIN)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Watched {
    fn look(&mut self, view: &View<'_>, domain: usize, is_well: bool, within: TimeNs) -> Result<(), String> {
        let newest = view.seen.committed[domain].newest();
        let known = self.since.filter(|_| is_well);
        self.since = known.or(is_well.then_some((view.now, newest)));
        let Some((since, before)) = self.since else { return Ok(()) };
        self.moved |= newest > before;
        if !self.moved && view.now > since + within {
            let since_ms = since / 1_000_000;
            let stand = standing(view, domain);
            return Err(format!(
                "domain {domain} has committed nothing since entry {before} at {since_ms} ms: {stand}"
            ));
        }
        Ok(())
    }
}

/// Whether every host of a core is up. A domain one of whose members lost its disk is not judged: who is to vote for its
/// replacement may be outside of the core.
fn is_well(view: &View<'_>, domain: usize, core: &[HostId]) -> bool {
    let hosts: &Hosts = view.hosts;
    hosts.domains()[domain].hosts.iter().all(|host| view.keeps_its_disk(*host))
        && core.iter().all(|host| hosts.node(*host).is_some())
}

/// How consensus stands at every host of a domain.
fn standing(view: &View<'_>, domain: usize) -> String {
    let hosts = view.hosts.domains().get(domain).map(|domain| domain.hosts.clone()).unwrap_or_default();
    let lines = hosts.iter().map(|host| match view.seen.logs.get(host).filter(|_| view.hosts.node(*host).is_some()) {
        Some(log) => format!("host {host} {:?}", log.sight),
        None => format!("host {host} is down"),
    });
    lines.collect::<Vec<_>>().join("; ")
}
