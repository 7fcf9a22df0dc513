//! All faults of a plan: each at its time or when its state is seen, and healing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::{
    Fault, Seen,
    apply::{Act, Undo},
    atlas::Damaged,
    trigger::Lookout,
};
use crate::{
    hosts::{Hosts, OBSERVER},
    plan::{Plan, PlannedFault},
    record::What,
    world::{HostId, Kind},
};

/// Told of every fault that began or ended.
pub type Tell = Arc<dyn Fn(What) + Send + Sync>;

/// Conducts the faults of one run. Clones conduct the same run.
#[derive(Clone)]
pub struct Conductor {
    hosts: Hosts,
    tell: Tell,
    damaged: Arc<Mutex<Damaged>>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Under way, by their numbers.
    active: BTreeMap<u32, (Fault, Undo)>,
    /// Wait for what they wait for.
    waiting: Vec<PlannedFault>,
    /// How often each kind was done.
    done: BTreeMap<String, u64>,
    /// Healing has begun: nothing new happens.
    is_over: bool,
}

impl Conductor {
    /// Begins to conduct the plan's faults, whose hosts have been founded and not yet switched on. Call it on the
    /// observer's host.
    pub fn begin(hosts: &Hosts, plan: &Plan, tell: Tell) -> Conductor {
        let conductor = Conductor { hosts: hosts.clone(), tell, damaged: Arc::default(), state: Arc::default() };
        let (waiting, timed): (Vec<_>, Vec<_>) = plan.faults.iter().cloned().partition(|fault| fault.when.is_some());
        if !waiting.is_empty() {
            let lookout = Lookout::new(hosts);
            conductor.state.lock().waiting = waiting;
            let watching = conductor.clone();
            hosts.universe.spawn_on(OBSERVER, async move { watching.look_out(lookout).await });
        }
        // What is so from the beginning is so before the first start.
        let (first, later): (Vec<_>, Vec<_>) = timed.into_iter().partition(|fault| fault.at_ms == 0);
        first.into_iter().for_each(|fault| conductor.do_it(fault, None));
        let timing = conductor.clone();
        hosts.universe.spawn_on(OBSERVER, async move {
            for fault in later {
                let now_ms = timing.hosts.universe.now() / 1_000_000;
                comity_runtime::sleep(Duration::from_millis(fault.at_ms.saturating_sub(now_ms))).await;
                timing.do_it(fault, None);
            }
        });
        conductor
    }

    async fn look_out(self, lookout: Lookout) {
        loop {
            let (host, seen) = lookout.next().await;
            for seen in seen {
                self.due_with(&seen).into_iter().for_each(|fault| self.do_after(fault, seen));
            }
            lookout.go_on(host);
        }
    }

    /// Takes out the faults whose time has come with what was seen.
    fn due_with(&self, seen: &Seen) -> Vec<PlannedFault> {
        let now_ms = self.hosts.universe.now() / 1_000_000;
        let mut state = self.state.lock();
        let (mut due, mut kept) = (Vec::new(), Vec::new());
        for mut fault in std::mem::take(&mut state.waiting) {
            match fault.when.as_mut().filter(|when| when.means(seen) && now_ms >= fault.at_ms) {
                Some(when) if when.skip == 0 => due.push(fault),
                Some(when) => {
                    when.skip -= 1;
                    kept.push(fault);
                }
                None => kept.push(fault),
            }
        }
        state.waiting = kept;
        due
    }

    fn do_after(&self, planned: PlannedFault, seen: Seen) {
        let after_us = planned.when.map_or(0, |when| when.after_us);
        if after_us == 0 {
            return self.do_it(planned, Some(seen));
        }
        let later = self.clone();
        comity_runtime::spawn(async move {
            comity_runtime::sleep(Duration::from_micros(after_us)).await;
            later.do_it(planned, Some(seen));
        });
    }

    fn do_it(&self, planned: PlannedFault, seen: Option<Seen>) {
        if self.state.lock().is_over {
            return;
        }
        let universe = &self.hosts.universe;
        let number = planned.number;
        let act = Act {
            hosts: self.hosts.clone(),
            until: universe.now() + planned.for_ms * 1_000_000,
            chance: universe.chance(&format!("fault {number}")),
            seen,
            damaged: self.damaged.clone(),
        };
        let undo = act.apply(&planned.fault);
        if undo.is_none() && planned.when.is_some() {
            // Nobody plays the part just now: it waits for another sighting.
            self.state.lock().waiting.push(planned);
            return;
        }
        universe.note(Kind::Fault, u64::from(number), 1);
        (self.tell)(What::FaultBegan { number, done: undo.is_some() });
        let Some(undo) = undo else { return };
        let mut state = self.state.lock();
        let kind = planned.kind();
        *state.done.entry(format!("fault:{kind}")).or_default() += 1;
        if let Some(seen) = seen {
            let place = if planned.when.is_some_and(|when| when.after_us > 0) { "after" } else { "at" };
            *state.done.entry(format!("moment:{kind} {place} {}", seen.moment())).or_default() += 1;
        }
        state.active.insert(number, (planned.fault, undo));
        drop(state);
        let ending = self.clone();
        comity_runtime::spawn(async move {
            comity_runtime::sleep(Duration::from_millis(planned.for_ms)).await;
            ending.end(number);
        });
    }

    fn end(&self, number: u32) {
        let ended = self.state.lock().active.remove(&number);
        let Some((_, undo)) = ended else { return };
        undo();
        self.hosts.universe.note(Kind::Fault, u64::from(number), 0);
        (self.tell)(What::FaultEnded { number });
    }

    /// Ends every fault that touches a core; the others stay. Nothing new begins.
    pub fn heal(&self, core: &[HostId]) {
        let ending: Vec<u32> = {
            let mut state = self.state.lock();
            state.is_over = true;
            state.waiting.clear();
            state.active.iter().filter(|(_, (fault, _))| fault.touches(core)).map(|(number, _)| *number).collect()
        };
        ending.into_iter().for_each(|number| self.end(number));
    }

    /// Ends every fault. Nothing new begins.
    pub fn heal_all(&self) {
        let ending: Vec<u32> = {
            let mut state = self.state.lock();
            state.is_over = true;
            state.waiting.clear();
            state.active.keys().copied().collect()
        };
        ending.into_iter().for_each(|number| self.end(number));
    }

    /// How often each kind was done, as `fault:<kind>`, and what else was worth counting.
    pub fn done(&self) -> BTreeMap<String, u64> {
        let mut done = self.state.lock().done.clone();
        done.extend(self.hosts.marks());
        let left = self.damaged.lock().len() as u64;
        if left > 0 {
            done.insert("damage-left".to_owned(), left);
        }
        done
    }

    /// Hosts whose disks have lost something and that have not caught up again.
    pub fn damaged(&self) -> Vec<HostId> {
        self.damaged.lock().iter().copied().collect()
    }
}
