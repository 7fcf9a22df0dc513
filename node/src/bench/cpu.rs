//! Whose processor time it was: ours, or that of the neighbours on this machine.
//!
//! A figure measured beside a busy neighbour says nothing: with both cores taken, the same flush of 0.1 ms waits 4 ms for
//! its turn. So every figure carries the share of the machine that others used while it was taken.
//!
//! Read from `/proc`; where there is none, the shares are unknown and shown as such.

use std::{collections::BTreeMap, fs};

/// Ticks of `/proc` per second. The kernel's `USER_HZ`, 100 on every Linux that Rust's standard library supports.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time since boot, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuClock {
    /// Used by anybody, time stolen by the hypervisor included.
    busy: u64,
    /// Used or idle: all there was.
    total: u64,
    /// Used by this process and everything it started.
    own: u64,
}

/// Processor time between two readings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CpuShare {
    /// Used by this process and everything it started, in microseconds.
    pub own_us: u64,
    /// Used by others, as a part of all processors: 0.0 to 1.0.
    pub foreign: f64,
}

impl CpuClock {
    /// Now; `None` where the system does not tell.
    pub fn read() -> Option<CpuClock> {
        let (busy, total) = machine(&fs::read_to_string("/proc/stat").ok()?)?;
        let mut table = BTreeMap::new();
        for entry in fs::read_dir("/proc").ok()?.flatten() {
            // Processes come and go while we look.
            let Ok(text) = fs::read_to_string(entry.path().join("stat")) else { continue };
            if let Some(process) = Process::parse(&text) {
                table.insert(process.id, process);
            }
        }
        let own = of_family(&table, std::process::id());
        Some(CpuClock { busy, total, own })
    }

    /// What was used since `earlier`.
    pub fn since(&self, earlier: &CpuClock) -> CpuShare {
        let (busy, own) = (self.busy.saturating_sub(earlier.busy), self.own.saturating_sub(earlier.own));
        let total = self.total.saturating_sub(earlier.total).max(1);
        let foreign = busy.saturating_sub(own) as f64 / total as f64;
        CpuShare { own_us: own * (1_000_000 / TICKS_PER_SECOND), foreign }
    }
}

/// Busy and total ticks of the first line of `/proc/stat`.
fn machine(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal (guest time is part of user).
    let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks[..] else { return None };
    let busy = user + nice + system + irq + softirq + steal;
    Some((busy, busy + idle + iowait))
}

struct Process {
    id: u32,
    parent: u32,
    /// Own time and that of ended children it has waited for.
    ticks: u64,
}

impl Process {
    /// One `/proc/<id>/stat`. The name in parentheses may itself hold spaces and parentheses.
    fn parse(stat: &str) -> Option<Process> {
        let (head, tail) = stat.rsplit_once(')')?;
        let id = head.split(' ').next()?.parse().ok()?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let parent = fields.get(1)?.parse().ok()?;
        let ticks = fields.get(11..15)?.iter().map_while(|field| field.parse::<u64>().ok()).sum();
        Some(Process { id, parent, ticks })
    }
}

/// Ticks of a process and its living descendants; ended ones are counted by the parent that waited for them.
fn of_family(table: &BTreeMap<u32, Process>, root: u32) -> u64 {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for process in table.values() {
        children.entry(process.parent).or_default().push(process.id);
    }
    let (mut sum, mut open) = (0, vec![root]);
    while let Some(id) = open.pop() {
        sum += table.get(&id).map_or(0, |process| process.ticks);
        open.extend(children.get(&id).into_iter().flatten());
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_everything_a_process_started() {
        let lines = [
            "10 (comity) S 1 10 10 0 -1 0 1 2 3 4 100 20 7 3 20 0",
            "11 (sh -c (x) y) S 10 10 10 0 -1 0 1 2 3 4 5 5 0 0 20 0",
            "12 (postgres) S 11 10 10 0 -1 0 1 2 3 4 40 10 30 0 20 0",
            "13 (stranger) S 1 10 10 0 -1 0 1 2 3 4 900 0 0 0 20 0",
        ];
        let table = lines.iter().filter_map(|line| Process::parse(line)).map(|p| (p.id, p)).collect();
        assert_eq!(of_family(&table, 10), 130 + 10 + 80);
        assert_eq!(of_family(&table, 12), 80);
    }

    #[test]
    fn the_foreign_share_is_what_is_busy_and_not_ours() {
        let stat = "cpu  100 0 50 800 40 5 5 0 0 0\ncpu0 1 2 3\n";
        assert_eq!(machine(stat), Some((160, 1000)));
        let before = CpuClock { busy: 0, total: 0, own: 0 };
        let after = CpuClock { busy: 160, total: 1000, own: 60 };
        assert_eq!(after.since(&before), CpuShare { own_us: 600_000, foreign: 0.1 });
        assert_eq!(machine("intr 5"), None);
    }
}
