//! The order of a run: set up, break, go quiet, heal a core, heal all, audit.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;

use super::watch::Watch;
use crate::{
    faults,
    hosts::Hosts,
    net::Network,
    oracles::Phase,
    plan::Plan,
    record::{Failure, Record, Verdict, What},
    workload::{self, History},
    world::{HostId, Kind, TimeNs, Universe},
};

/// The observer's own host: it has a perfect clock and is never broken.
const OBSERVER: HostId = 1_000_000;
/// Virtual time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const SECOND: TimeNs = 1_000_000_000;

/// What a run tells while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Universe time, ms.
    pub virtual_ms: u64,
    /// Universe time at which it will end, ms.
    pub of_ms: u64,
    /// Where it stands.
    pub phase: Phase,
}

type Shared = Arc<Mutex<Watch>>;

/// Runs a universe to its end. `progress` is called once per virtual second.
pub fn run(plan: &Plan, commit: &str, progress: Box<dyn FnMut(Progress) + Send>) -> Record {
    let universe = Universe::new(plan.seed, plan.policy);
    let network = Network::new(&universe, plan.scenario.link);
    let hosts = Hosts::new(&universe, &network);
    let history = History::default();
    let watch: Shared = Arc::new(Mutex::new(Watch::new(&hosts, plan, &history)));
    let story = tell(watch.clone(), progress);
    let ended = catch_unwind(AssertUnwindSafe(|| universe.run(OBSERVER, story)));
    let at_ms = universe.now() / 1_000_000;
    let failed = |oracle: &str, claim: &str, detail: String| {
        Some(Failure { oracle: oracle.to_owned(), claim: claim.to_owned(), at_ms, detail })
    };
    let (verdict, failure) = match ended {
        Ok(Ok(None)) => (Verdict::Held, None),
        Ok(Ok(Some(failure))) => (Verdict::Wrong, Some(failure)),
        Ok(Err(stuck)) => {
            (Verdict::NoProgress, failed("progress", "time passes and somebody can run", stuck.to_string()))
        }
        Err(panic) => (Verdict::Crashed, failed("panic", "no code of ours panics", words(&*panic))),
    };
    let trace = universe.trace();
    let watch = watch.lock();
    Record {
        verdict,
        commit: commit.to_owned(),
        plan: plan.clone(),
        digest: trace.digest(),
        marks: trace.marks().to_vec(),
        marks_every: trace.marks_every(),
        events: trace.events(),
        virtual_ms: at_ms,
        wall_ms: 0,
        failure,
        timeline: watch.timeline.clone(),
        reached: BTreeMap::new(),
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

async fn tell(watch: Shared, mut progress: Box<dyn FnMut(Progress) + Send>) -> Option<Failure> {
    let (hosts, plan, history) = {
        let watch = watch.lock();
        (watch.hosts.clone(), watch.plan.clone(), watch.history.clone())
    };
    let scenario = &plan.scenario;
    if let Err(error) = found(&hosts, &plan) {
        return Some(Failure {
            oracle: "set-up".to_owned(),
            claim: "the scenario can be built".to_owned(),
            at_ms: 0,
            detail: error,
        });
    }
    let phases = scenario.phases;
    let ends = [
        (Phase::Warm, phases.warm_s),
        (Phase::Chaos, phases.chaos_s),
        (Phase::Quiet, phases.quiet_s),
        (Phase::Core, phases.core_s),
        (Phase::Heal, phases.heal_s),
    ];
    let of_ms = ends.iter().map(|(_, seconds)| seconds).sum::<u64>() * 1_000;
    let agents = {
        let (hosts, history) = (hosts.clone(), history.clone());
        let count = scenario.load.agents;
        comity_runtime::spawn(async move { workload::prepare(&hosts, &history, count).await })
    };
    let mut agents = Some(agents);
    comity_runtime::spawn(do_faults(watch.clone()));
    let mut until = 0;
    for (phase, seconds) in ends {
        until += seconds * SECOND;
        watch.lock().phase = phase;
        watch.lock().tell(What::Phase { name: phase.name().to_owned() });
        if phase == Phase::Chaos
            && let Some(ready) = agents.take()
        {
            let (hosts, history, load) = (hosts.clone(), history.clone(), scenario.load);
            comity_runtime::spawn(async move {
                if let Ok(Ok(agents)) = ready.await {
                    workload::traffic(hosts, history, agents, load, until).await;
                }
            });
        }
        if let Some(failure) = pass(&watch, until, of_ms, &mut progress).await {
            return Some(failure);
        }
    }
    watch.lock().phase = Phase::Audit;
    watch.lock().tell(What::Phase { name: Phase::Audit.name().to_owned() });
    let failure = watch.lock().look();
    failure
}

/// Lets time pass until `until`, looking all the while.
async fn pass(
    watch: &Shared,
    until: TimeNs,
    of_ms: u64,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Option<Failure> {
    let hosts = watch.lock().hosts.clone();
    let mut told = hosts.universe.now() / SECOND;
    while hosts.universe.now() < until {
        comity_runtime::sleep(LOOK_EVERY).await;
        if let Some(failure) = watch.lock().look() {
            return Some(failure);
        }
        let now = hosts.universe.now();
        if now / SECOND > told {
            told = now / SECOND;
            progress(Progress { virtual_ms: now / 1_000_000, of_ms, phase: watch.lock().phase });
        }
    }
    None
}

fn found(hosts: &Hosts, plan: &Plan) -> Result<(), String> {
    let scenario = &plan.scenario;
    let mut first = 0;
    let total: usize = scenario.domains.iter().map(|domain| domain.nodes).sum();
    for domain in &scenario.domains {
        let own = first..first + domain.nodes as HostId;
        let neighbours: Vec<HostId> = (0..total as HostId).filter(|host| !own.contains(host)).collect();
        hosts.found(&domain.name, domain.nodes, scenario.raft, &neighbours).map_err(|error| error.to_string())?;
        first = own.end;
    }
    for link in &scenario.links {
        let of =
            |name: &String| hosts.domains().iter().filter(|d| d.name == *name).flat_map(|d| d.hosts.clone()).collect();
        let (some, others): (Vec<HostId>, Vec<HostId>) = (of(&link.between[0]), of(&link.between[1]));
        for (from, to) in some.iter().flat_map(|a| others.iter().map(move |b| (*a, *b))).filter(|(a, b)| a != b) {
            hosts.network.change(from, to, |_, state, _| state.profile = link.profile);
            hosts.network.change(to, from, |_, state, _| state.profile = link.profile);
        }
    }
    (0..total as HostId).for_each(|host| hosts.power_on(host));
    Ok(())
}

/// Does every planned fault at its time and takes it back.
async fn do_faults(watch: Shared) {
    let (hosts, plan) = {
        let watch = watch.lock();
        (watch.hosts.clone(), watch.plan.clone())
    };
    for planned in plan.faults {
        let now_ms = hosts.universe.now() / 1_000_000;
        comity_runtime::sleep(Duration::from_millis(planned.at_ms.saturating_sub(now_ms))).await;
        let until = (planned.at_ms + planned.for_ms) * 1_000_000;
        let undo = faults::apply(&hosts, &planned.fault, until);
        hosts.universe.note(Kind::Fault, u64::from(planned.number), 1);
        watch.lock().tell(What::FaultBegan { number: planned.number, done: undo.is_some() });
        let Some(undo) = undo else { continue };
        let (watch, hosts) = (watch.clone(), hosts.clone());
        comity_runtime::spawn(async move {
            comity_runtime::sleep(Duration::from_millis(planned.for_ms)).await;
            undo();
            hosts.universe.note(Kind::Fault, u64::from(planned.number), 0);
            watch.lock().tell(What::FaultEnded { number: planned.number });
        });
    }
}
