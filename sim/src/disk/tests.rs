use bytes::Bytes;
use comity_runtime::disk::{
    Disk, DiskErrorKind,
    memory::{CrashPlan, MemoryDisk, Tear},
};

use super::FalseDisk;
use crate::world::{Policy, Universe};

fn disk() -> (Universe, FalseDisk) {
    let universe = Universe::new(5, Policy::Fifo);
    let disk = FalseDisk::new(&universe, 0);
    (universe, disk)
}

/// Writes and flushes through the asynchronous face on host 0; the time at which it was durable.
fn flush(universe: &Universe, disk: &FalseDisk, bytes: &'static [u8]) -> Result<u64, DiskErrorKind> {
    let file = match disk.open("log") {
        Ok(file) => file,
        Err(_) => disk.create("log").expect("a fresh name"),
    };
    let inside = universe.clone();
    let at = file.len().expect("an open file");
    let written = async move {
        file.write_and_sync(vec![(at, Bytes::from_static(bytes))]).await.map_err(|error| error.kind)?;
        Ok(inside.now())
    };
    universe.run(0, written).expect("time passes")
}

#[test]
fn a_flush_takes_time_and_the_next_waits_for_it() {
    let (universe, disk) = disk();
    let first = flush(&universe, &disk, b"one").unwrap();
    let second = flush(&universe, &disk, b"two").unwrap();
    assert!(first >= 100_000, "{first}");
    assert!(second >= first + 100_000, "{first} {second}");
    assert_eq!(disk.below().pending_changes(), 0);
}

#[test]
fn a_slow_disk_is_slow_and_a_stalled_one_goes_on_when_it_is_well() {
    let (universe, disk) = disk();
    flush(&universe, &disk, b"usual").unwrap();
    disk.set_mood(|mood| mood.is_stalled = true);
    let well_again = disk.clone();
    universe.spawn_on(1, async move {
        comity_runtime::sleep(std::time::Duration::from_secs(3)).await;
        well_again.set_mood(|mood| mood.is_stalled = false);
    });
    let stalled = flush(&universe, &disk, b"stalled").unwrap();
    assert!((3_000_000_000..3_100_000_000).contains(&stalled), "{stalled}");
}

#[test]
fn a_disk_that_was_put_in_while_the_old_one_stalled_goes_on_too() {
    let (universe, disk) = disk();
    disk.set_mood(|mood| mood.is_stalled = true);
    let well_again = disk.clone();
    disk.replace(MemoryDisk::new());
    universe.spawn_on(1, async move {
        comity_runtime::sleep(std::time::Duration::from_secs(3)).await;
        well_again.set_mood(|mood| mood.is_stalled = false);
    });
    assert!(flush(&universe, &disk, b"waited").unwrap() >= 3_000_000_000);
    assert_eq!(disk.below().pending_changes(), 0);
}

#[test]
fn a_lying_disk_answers_at_once_and_a_power_cut_shows_it() {
    let (universe, disk) = disk();
    flush(&universe, &disk, b"kept").unwrap();
    disk.below().sync_dir().unwrap();
    disk.set_mood(|mood| mood.is_lying = true);
    flush(&universe, &disk, b"lost").unwrap();
    assert_eq!(disk.below().content("log").unwrap(), b"keptlost");
    disk.crash(CrashPlan::lose_all());
    assert_eq!(disk.below().content("log").unwrap(), b"kept");
    assert_eq!(disk.lies(), 1);
}

#[test]
fn the_end_of_a_process_loses_nothing_that_was_written() {
    let (universe, disk) = disk();
    disk.set_mood(|mood| mood.is_lying = true);
    flush(&universe, &disk, b"cached").unwrap();
    disk.end_process();
    assert_eq!(disk.below().content("log").unwrap(), b"cached");
}

#[test]
fn a_crash_in_the_middle_of_a_flush_keeps_what_the_plan_says() {
    for (tear, left) in [(Tear::Lost, 0), (Tear::Bytes(100), 100), (Tear::Kept, 1_000)] {
        let (universe, disk) = disk();
        let file = disk.create("log").unwrap();
        disk.below().sync_dir().unwrap();
        disk.set_mood(|mood| mood.is_stalled = true);
        let _waits_for_ever = file.write_and_sync(vec![(0, Bytes::from(vec![7; 1_000]))]);
        disk.crash(CrashPlan { writes: tear, directory_changes: 0 });
        assert_eq!(disk.below().content("log").unwrap().len(), left);
        assert!(universe.digest() != 0);
    }
}

#[test]
fn a_failed_flush_and_failing_reads_are_told() {
    let (universe, disk) = disk();
    flush(&universe, &disk, b"fine").unwrap();
    disk.below().fail_next_syncs(1);
    assert_eq!(flush(&universe, &disk, b"x"), Err(DiskErrorKind::Io));
    assert_eq!(flush(&universe, &disk, b"x"), Err(DiskErrorKind::Poisoned), "no second chance for the same file");
    disk.set_mood(|mood| mood.read_errors = 1.0);
    let file = disk.open("log").unwrap();
    assert_eq!(file.read_at(0, &mut [0; 4]).unwrap_err().kind, DiskErrorKind::Io);
    disk.set_mood(|mood| mood.read_errors = 0.0);
    file.read_at(0, &mut [0; 4]).unwrap();
}
