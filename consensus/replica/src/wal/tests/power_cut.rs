//! The power goes: at every byte, with every subset of sectors, after every operation.

use super::*;

/// Repeatable numbers for the random walks (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        segment::salt(self.0, 0) % bound
    }
}

/// Opens what a crash left, demands one of the `allowed` states, and demands that it is final: a second crash
/// keeps it, and the log goes on from it.
fn check_recovery(disk: &MemoryDisk, allowed: &[Model], context: &str) -> Model {
    let wal = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    let mut model = read(&wal);
    assert!(allowed.contains(&model), "{context}: found {model:?}");
    let found = model.clone();
    disk.crash(CrashPlan::lose_all());
    drop(wal);
    let mut wal = open(disk).unwrap_or_else(|error| panic!("{context}, opened again: {error}"));
    assert_eq!(read(&wal), model, "{context}: what was recovered was not durable");
    run(&mut wal, &mut model, append(b"goes on"));
    run(&mut wal, &mut model, Step::Vote(b"and on".to_vec()));
    drop(wal);
    let wal = open(disk).unwrap_or_else(|error| panic!("{context}, after new writes: {error}"));
    assert_eq!(read(&wal), model, "{context}: after new writes");
    found
}

/// A log in which `step` is written but its flush is held back.
fn with_step_in_flight(step: &Step) -> (MemoryDisk, Vec<Model>) {
    let (disk, mut wal, model) = small_log();
    disk.hold_syncs(true);
    let mut call = Box::pin(carry_out(&mut wal, &model, step));
    assert!(call.as_mut().now_or_never().is_none(), "the flush is held back");
    drop(call);
    let copy = disk.fork();
    copy.hold_syncs(false);
    (copy, model.after(step))
}

#[test]
fn a_cut_at_every_byte_of_the_last_two_records_keeps_what_was_acknowledged() {
    let table = [
        Step::Append(vec![b"fifth entry".to_vec(), b"the sixth, which is a little longer".to_vec()]),
        Step::Append(vec![vec![], vec![0; 40]]),
        Step::Vote(b"another vote".to_vec()),
        Step::Truncate(2),
        Step::Purge(1),
    ];
    for step in table {
        let (disk, allowed) = with_step_in_flight(&step);
        let bytes = disk.pending_bytes();
        let mut last = 0;
        for cut in 0..=bytes {
            let disk = disk.fork();
            disk.crash(CrashPlan { writes: Tear::Bytes(cut), directory_changes: 0 });
            let found = check_recovery(&disk, &allowed, &format!("{step:?} cut at byte {cut}"));
            let now = allowed.iter().position(|state| *state == found).unwrap();
            assert!(now >= last, "{step:?}: more bytes, fewer records at {cut}");
            last = now;
        }
        assert_eq!(allowed[last], *allowed.last().unwrap(), "{step:?}: all of its bytes are all of it");
    }
}

#[test]
fn any_subset_of_unflushed_sectors_keeps_what_was_acknowledged() {
    let step = Step::Append(vec![vec![1; 700], vec![2; 20], vec![3; 30], vec![4; 900]]);
    let (disk, allowed) = with_step_in_flight(&step);
    let sectors = disk.pending_changes();
    assert!((4..=12).contains(&sectors), "{sectors} sectors");
    let mut kept_whole = 0;
    for subset in 0u32..1 << sectors {
        let disk = disk.fork();
        let mut keep = |position: usize| subset & (1 << position) != 0;
        disk.crash(CrashPlan { writes: Tear::Sectors(&mut keep), directory_changes: 0 });
        let found = check_recovery(&disk, &allowed, &format!("sectors {subset:b}"));
        kept_whole += u32::from(found == *allowed.last().unwrap());
    }
    assert_eq!(kept_whole, 1, "only with all sectors the batch is whole");
}

#[test]
fn a_whole_record_behind_a_torn_one_never_comes_back() {
    let step = Step::Append(vec![vec![1; 984], vec![2; 984], vec![3; 984]]);
    let (disk, allowed) = with_step_in_flight(&step);
    let changes = disk.pending_changes();
    // The first record is torn, the others survive in full.
    disk.crash(CrashPlan { writes: Tear::Sectors(&mut |at| at > 1 && at < changes), directory_changes: 0 });
    let mut wal = open(&disk).unwrap();
    let mut model = read(&wal);
    assert_eq!(model, allowed[0]);
    // Now a record of the same size and number lies where the torn one was.
    run(&mut wal, &mut model, append(&[9; 984]));
    disk.crash(CrashPlan::lose_all());
    drop(wal);
    assert_eq!(read(&open(&disk).unwrap()), model);
}

#[test]
fn a_process_that_dies_before_its_flush_leaves_nothing_half_durable() {
    // The bytes are in the kernel's cache, the process dies, the next one reads them, then the power goes.
    let step = append(b"only in the cache");
    let (disk, mut wal, model) = small_log();
    let whole = model.after(&step).pop().unwrap();
    disk.hold_syncs(true);
    assert!(carry_out(&mut wal, &model, &step).now_or_never().is_none());
    disk.hold_syncs(false);
    disk.restart_process();
    drop(wal);
    let wal = open(&disk).unwrap();
    assert_eq!(read(&wal), whole, "the next process sees the record");
    disk.crash(CrashPlan::lose_all());
    drop(wal);
    assert_eq!(read(&open(&disk).unwrap()), whole, "so it must have made it durable");
}

#[test]
fn the_last_batch_is_written_again_at_open_because_a_failed_flush_may_have_marked_it_clean() {
    let (disk, mut wal, model) = small_log();
    disk.fail_next_syncs(1);
    let step = append(b"clean but not durable");
    assert!(carry_out(&mut wal, &model, &step).now_or_never().unwrap().is_err());
    drop(wal);
    // The process restarts, the machine does not: reads still come from the cache.
    disk.restart_process();
    let wal = open(&disk).unwrap();
    let found = read(&wal);
    assert_eq!(found, model.after(&step).pop().unwrap());
    disk.crash(CrashPlan::lose_all());
    drop(wal);
    assert_eq!(read(&open(&disk).unwrap()), found);
}

/// A script that grows over several segments, truncates, purges and removes some.
fn script() -> Vec<Step> {
    let mut steps = vec![Step::Vote(b"first".to_vec())];
    for round in 0..6u8 {
        steps.push(Step::Append(vec![vec![round; 700], vec![round + 100; 500]]));
        steps.push(Step::Committed(vec![round; 3]));
        steps.push(append(&[round; 300]));
        match round {
            2 => steps.push(Step::Truncate(1)),
            3 => steps.push(Step::Purge(3)),
            4 => steps.push(Step::Vote(b"second".to_vec())),
            5 => steps.push(Step::Purge(0)),
            _ => {}
        }
    }
    steps.push(append(b"after everything was purged"));
    steps
}

#[test]
fn a_cut_after_every_disk_operation_keeps_what_was_acknowledged() {
    let mut chance = Chance(7);
    let mut cuts = 0;
    for operations in 0.. {
        let disk = MemoryDisk::new();
        disk.cut_power_after(operations);
        let (mut model, mut allowed) = (Model::default(), vec![Model::default()]);
        let mut finished = false;
        if let Ok(mut wal) = open(&disk) {
            finished = script().iter().all(|step| {
                allowed = model.after(step);
                let done = carry_out(&mut wal, &model, step).now_or_never().unwrap().is_ok();
                if done {
                    model = allowed.pop().unwrap();
                    allowed = vec![model.clone()];
                }
                done
            });
        }
        for tear in 0..6 {
            let disk = disk.fork();
            let names = chance.below(disk.pending_names() as u64 + 1) as usize;
            let bytes = chance.below(disk.pending_bytes() + 1);
            let mut some = |_: usize| chance.below(2) == 0;
            let (writes, directory_changes) = match tear {
                0 => (Tear::Lost, 0),
                1 => (Tear::Kept, usize::MAX),
                2 => (Tear::Kept, 0),
                3 => (Tear::Bytes(bytes), names),
                _ => (Tear::Sectors(&mut some), names),
            };
            disk.crash(CrashPlan { writes, directory_changes });
            check_recovery(&disk, &allowed, &format!("cut after operation {operations}, tear {tear}"));
            cuts += 1;
        }
        if finished {
            break;
        }
    }
    assert!(cuts > 300, "only {cuts} cuts");
}

#[test]
fn a_random_walk_of_calls_and_crashes_keeps_exactly_what_was_acknowledged() {
    for seed in 0..150 {
        let mut chance = Chance(seed);
        let disk = MemoryDisk::new();
        let mut model = Model::default();
        for life in 0..6 {
            let mut wal = open(&disk).unwrap_or_else(|error| panic!("seed {seed} life {life}: {error}"));
            assert_eq!(read(&wal), model, "seed {seed} life {life}");
            let mut allowed = vec![model.clone()];
            disk.cut_power_after(20 + chance.below(120));
            loop {
                let step = random_step(&mut chance);
                allowed = model.after(&step);
                if carry_out(&mut wal, &model, &step).now_or_never().unwrap().is_err() {
                    break;
                }
                model = allowed.pop().unwrap();
            }
            let directory_changes = chance.below(disk.pending_names() as u64 + 1) as usize;
            let mut some = |_: usize| chance.below(3) > 0;
            disk.crash(CrashPlan { writes: Tear::Sectors(&mut some), directory_changes });
            drop(wal);
            let wal = open(&disk).unwrap_or_else(|error| panic!("seed {seed} life {life}: {error}"));
            let found = read(&wal);
            assert!(allowed.contains(&found), "seed {seed} life {life}: {found:?}");
            model = found;
        }
    }
}

fn random_step(chance: &mut Chance) -> Step {
    match chance.below(12) {
        0..=5 => {
            let count = 1 + chance.below(4);
            let payload = |_| vec![chance.below(256) as u8; chance.below(1200) as usize];
            Step::Append((0..count).map(payload).collect())
        }
        6 | 7 => Step::Vote(vec![chance.below(256) as u8; 12]),
        8 => Step::Committed(vec![chance.below(256) as u8; 8]),
        9 => Step::Truncate(chance.below(5)),
        _ => Step::Purge(chance.below(12)),
    }
}
