//! The order of a run: set up, break, go quiet, heal a core, heal all, audit.

use std::{
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;

use super::{waiting::who_waits, watch::Watch};
use crate::{
    faults::Conductor,
    hosts::{Hosts, OBSERVER},
    net::Network,
    oracles::Phase,
    plan::Plan,
    record::{Failure, Record, Verdict, What},
    workload::{self, History},
    world::{HostId, TimeNs, Universe},
};

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

/// Hears of progress once per virtual second, and may stop the run.
pub type Listener = Box<dyn FnMut(Progress) -> ControlFlow<()> + Send>;

/// The failure of a run that was stopped by its listener.
const OUT_OF_TIME: &str = "out-of-time";

/// Runs a universe to its end.
pub fn run(plan: &Plan, commit: &str, progress: Listener) -> Record {
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
        Ok(Ok(Some(failure))) if failure.oracle == OUT_OF_TIME => (Verdict::NoProgress, Some(failure)),
        Ok(Ok(Some(failure))) => (Verdict::Wrong, Some(failure)),
        Ok(Err(stuck)) => {
            let _outside = comity_runtime::enter(universe.world(OBSERVER));
            let seen = format!("{stuck}\n{}", who_waits(&hosts, &history));
            (Verdict::NoProgress, failed("progress", "time passes and somebody can run", seen))
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
        reached: watch.reached(),
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

async fn tell(watch: Shared, mut progress: Listener) -> Option<Failure> {
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
        let (count, above) = (scenario.load.agents, scenario.majority_above);
        comity_runtime::spawn(async move { workload::prepare(&hosts, &history, count, above).await })
    };
    let mut agents = Some(agents);
    if scenario.witnesses {
        comity_runtime::spawn(workload::auditors(hosts.clone(), history.clone()));
    }
    let telling = watch.clone();
    let conductor = Conductor::begin(&hosts, &plan, Arc::new(move |what| telling.lock().tell(what)));
    (0..hosts.count()).for_each(|host| hosts.power_on(host));
    watch.lock().conductor = Some(conductor.clone());
    let mut until = 0;
    for (phase, seconds) in ends {
        until += seconds * SECOND;
        watch.lock().phase = phase;
        watch.lock().tell(What::Phase { name: phase.name().to_owned() });
        match phase {
            Phase::Core => conductor.heal(&hosts.core().concat()),
            Phase::Heal => conductor.heal_all(),
            _ => {}
        }
        if phase == Phase::Chaos
            && let Some(ready) = agents.take()
        {
            let (hosts, history, load) = (hosts.clone(), history.clone(), scenario.load);
            comity_runtime::spawn(async move {
                if let Ok(Ok(agents)) = ready.await {
                    workload::traffic(hosts, history, agents, load, (until, of_ms * 1_000_000)).await;
                }
            });
        }
        if let Some(failure) = pass(&watch, until, of_ms, &mut progress).await {
            return Some(failure);
        }
    }
    watch.lock().phase = Phase::Audit;
    watch.lock().tell(What::Phase { name: Phase::Audit.name().to_owned() });
    watch.lock().look()
}

/// Lets time pass until `until`, looking all the while.
async fn pass(watch: &Shared, until: TimeNs, of_ms: u64, progress: &mut Listener) -> Option<Failure> {
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
            let virtual_ms = now / 1_000_000;
            let phase = watch.lock().phase;
            if progress(Progress { virtual_ms, of_ms, phase }).is_break() {
                return Some(Failure {
                    oracle: OUT_OF_TIME.to_owned(),
                    claim: "a universe ends within the real time that it was given".to_owned(),
                    at_ms: virtual_ms,
                    detail: who_waits(&hosts, &watch.lock().history),
                });
            }
        }
    }
    None
}

fn found(hosts: &Hosts, plan: &Plan) -> Result<(), String> {
    let scenario = &plan.scenario;
    if scenario.witnesses {
        hosts.let_witness();
    }
    if scenario.domain_cards {
        hosts.let_show_cards();
    }
    let mut first = 0;
    let total: usize = scenario.domains.iter().map(|domain| domain.nodes).sum();
    for domain in &scenario.domains {
        let own = first..first + domain.nodes as HostId;
        let neighbours: Vec<HostId> = (0..total as HostId).filter(|host| !own.contains(host)).collect();
        hosts
            .found(&domain.name, domain.nodes, (scenario.raft, scenario.log), &neighbours)
            .map_err(|error| error.to_string())?;
        first = own.end;
    }
    scenario.gateways.iter().for_each(|gateway| hosts.let_pass(gateway));
    for link in &scenario.links {
        let of =
            |name: &String| hosts.domains().iter().filter(|d| d.name == *name).flat_map(|d| d.hosts.clone()).collect();
        let (some, others): (Vec<HostId>, Vec<HostId>) = (of(&link.between[0]), of(&link.between[1]));
        for (from, to) in some.iter().flat_map(|a| others.iter().map(move |b| (*a, *b))).filter(|(a, b)| a != b) {
            hosts.network.change(from, to, |_, state, _| state.profile = link.profile);
            hosts.network.change(to, from, |_, state, _| state.profile = link.profile);
        }
    }
    Ok(())
}
