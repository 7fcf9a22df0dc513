use super::*;

/// The result of a future that must not wait any more.
fn done<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing holds it back")
}

fn disk_with(content: &[u8]) -> (MemoryDisk, Arc<dyn DiskFile>) {
    let disk = MemoryDisk::new();
    let file = disk.create("a").unwrap();
    file.write_at(0, content).unwrap();
    file.sync().unwrap();
    disk.sync_dir().unwrap();
    (disk, file)
}

#[test]
fn a_crash_loses_what_was_not_flushed_and_keeps_what_was() {
    let (disk, file) = disk_with(b"durable");
    file.write_at(0, b"PENDING").unwrap();
    assert_eq!(disk.content("a").unwrap(), b"PENDING");
    disk.crash(CrashPlan::lose_all());
    assert_eq!(disk.content("a").unwrap(), b"durable");
    assert_eq!(file.read_at(0, &mut [0]).unwrap_err().kind, DiskErrorKind::Crashed);
}

#[test]
fn a_crash_can_cut_at_any_byte_or_keep_any_sectors() {
    let (disk, file) = disk_with(&[0; 2048]);
    file.write_at(0, &[9; 2048]).unwrap();
    let cut = disk.fork();
    cut.crash(CrashPlan { writes: Tear::Bytes(700), directory_changes: 0 });
    let content = cut.content("a").unwrap();
    assert!(content[..700].iter().all(|b| *b == 9) && content[700..].iter().all(|b| *b == 0));
    disk.crash(CrashPlan { writes: Tear::Sectors(&mut |position| position % 2 == 1), directory_changes: 0 });
    let content = disk.content("a").unwrap();
    assert!(content[..512].iter().all(|b| *b == 0) && content[512..1024].iter().all(|b| *b == 9));
}

#[test]
fn names_are_durable_only_after_a_directory_sync() {
    let (disk, _) = disk_with(b"x");
    done(disk.create("b").unwrap().write_and_sync(vec![])).unwrap();
    disk.rename("a", "c").unwrap();
    assert_eq!(disk.list().unwrap(), ["b", "c"]);
    let partly = disk.fork();
    partly.crash(CrashPlan { writes: Tear::Lost, directory_changes: 1 });
    assert_eq!(partly.list().unwrap(), ["a", "b"]);
    disk.crash(CrashPlan::lose_all());
    assert_eq!(disk.list().unwrap(), ["a"]);
}

#[test]
fn a_failed_flush_poisons_the_file_and_its_bytes_are_gone() {
    let (disk, file) = disk_with(b"good");
    disk.fail_next_syncs(1);
    let refused = done(file.write_and_sync(vec![(0, Bytes::from_static(b"lost"))]));
    assert_eq!(refused.unwrap_err().kind, DiskErrorKind::Io);
    assert_eq!(file.sync().unwrap_err().kind, DiskErrorKind::Poisoned);
    assert_eq!(file.write_at(0, b"more").unwrap_err().kind, DiskErrorKind::Poisoned);
    disk.crash(CrashPlan { writes: Tear::Kept, directory_changes: 0 });
    assert_eq!(disk.content("a").unwrap(), b"good");
}

#[test]
fn a_full_disk_refuses_growth_and_keeps_the_rest() {
    let (disk, file) = disk_with(&[1; 100]);
    disk.set_capacity(Some(120));
    assert_eq!(file.allocate(121).unwrap_err().kind, DiskErrorKind::Full);
    let error = file.write_at(90, &[2; 40]).unwrap_err();
    assert_eq!((error.kind, error.offset), (DiskErrorKind::Full, Some(90)));
    file.write_at(90, &[2; 30]).unwrap();
}

#[test]
fn a_held_flush_completes_when_released_and_fails_when_the_host_dies() {
    let (disk, file) = disk_with(b"....");
    disk.hold_syncs(true);
    let first = file.write_and_sync(vec![(0, Bytes::from_static(b"1"))]);
    let second = file.write_and_sync(vec![(1, Bytes::from_static(b"2"))]);
    assert!(disk.release_next());
    done(first).unwrap();
    assert_eq!(disk.held(), 1);
    disk.crash(CrashPlan::lose_all());
    assert_eq!(done(second).unwrap_err().kind, DiskErrorKind::Crashed);
}

#[test]
fn a_lock_is_exclusive_until_dropped_or_crashed() {
    let disk = MemoryDisk::new();
    let first = disk.lock("l").unwrap();
    assert!(matches!(disk.lock("l").unwrap_err().kind, DiskErrorKind::InUse { .. }));
    disk.crash(CrashPlan::lose_all());
    let _second = disk.lock("l").unwrap();
    drop(first);
    assert!(disk.lock("l").is_err(), "a dead holder frees nothing");
}

#[test]
fn read_faults_flipped_bits_and_bad_names_are_reported() {
    let (disk, file) = disk_with(&[0; 64]);
    disk.fail_reads("a", 10..12);
    assert_eq!(file.read_at(0, &mut [0; 20]).unwrap_err().offset, Some(10));
    disk.flip_bit("a", 3, 7);
    assert_eq!(disk.content("a").unwrap()[3], 128);
    for name in ["", ".hidden", "a/b", "..", "ü"] {
        assert_eq!(disk.create(name).unwrap_err().kind, DiskErrorKind::BadName, "{name}");
    }
    assert_eq!(file.read_at(60, &mut [0; 5]).unwrap_err().kind, DiskErrorKind::OutOfRange);
}

#[test]
fn the_power_goes_after_the_given_number_of_changes() {
    let (disk, file) = disk_with(b"old");
    disk.cut_power_after(3);
    file.write_at(0, b"new").unwrap();
    file.sync().unwrap();
    file.write_at(0, b"bad").unwrap();
    assert_eq!(file.sync().unwrap_err().kind, DiskErrorKind::Crashed);
    assert_eq!(disk.create("b").unwrap_err().kind, DiskErrorKind::Crashed);
    disk.crash(CrashPlan::lose_all());
    assert_eq!(disk.content("a").unwrap(), b"new");
    disk.create("b").unwrap();
}

#[test]
fn after_a_failed_flush_the_next_process_reads_bytes_that_are_not_durable() {
    let (disk, file) = disk_with(b"old");
    disk.fail_next_syncs(1);
    assert!(done(file.write_and_sync(vec![(0, Bytes::from_static(b"new"))])).is_err());
    disk.restart_process();
    assert_eq!(disk.content("a").unwrap(), b"new");
    disk.open("a").unwrap().sync().unwrap();
    disk.crash(CrashPlan { writes: Tear::Kept, directory_changes: 0 });
    assert_eq!(disk.content("a").unwrap(), b"old", "a flush that succeeds later says nothing");
}

#[test]
fn a_removed_file_takes_no_memory_once_nobody_can_reach_it() {
    let disk = MemoryDisk::new();
    let kept = |disk: &MemoryDisk| disk.state.lock().files.len();
    let file = disk.create("a").expect("a free name");
    file.write_at(0, &[7; 4_096]).expect("there is room");
    file.sync().expect("no fault");
    disk.sync_dir().expect("no fault");
    disk.remove("a").expect("it is there");
    assert_eq!(kept(&disk), 1, "a crash would bring it back");
    disk.sync_dir().expect("no fault");
    let mut read = [0; 2];
    file.read_at(0, &mut read).expect("an open file outlives its name");
    assert_eq!((read, kept(&disk)), ([7; 2], 1));
    drop(file);
    disk.sync_dir().expect("no fault");
    assert_eq!(kept(&disk), 0);
}
