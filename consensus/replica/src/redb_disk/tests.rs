use comity_runtime::disk::memory::{CrashPlan, MemoryDisk, Tear};
use redb::{Database, ReadableDatabase, ReadableTableMetadata, TableDefinition};

use super::*;

const TABLE: TableDefinition<u64, &[u8]> = TableDefinition::new("rows");

fn backend(disk: &MemoryDisk) -> RedbDisk {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    RedbDisk::open(&disk, "events.redb").unwrap()
}

fn open(disk: &MemoryDisk) -> Database {
    Database::builder().create_with_backend(backend(disk)).unwrap()
}

/// Writes a batch of rows for `round` in one transaction.
fn commit(database: &Database, round: u64) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(TABLE)?;
        for row in 0..40 {
            table.insert(round * 40 + row, [round as u8; 100].as_slice())?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Whole rounds present; panics on a part of one or on wrong bytes.
fn rounds(database: &Database) -> u64 {
    let transaction = database.begin_read().unwrap();
    let Ok(table) = transaction.open_table(TABLE) else { return 0 };
    let rows = table.len().unwrap();
    assert_eq!(rows % 40, 0, "a part of a transaction survived");
    for row in 0..rows {
        let value = table.get(row).unwrap().expect("rows are consecutive");
        assert_eq!(value.value(), [(row / 40) as u8; 100]);
    }
    rows / 40
}

#[test]
fn a_commit_survives_a_crash_and_what_follows_it_does_not() {
    let disk = MemoryDisk::new();
    let database = open(&disk);
    for round in 0..3 {
        commit(&database, round).unwrap();
    }
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TABLE).unwrap().insert(999, b"not committed".as_slice()).unwrap();
    let crashed = disk.fork();
    crashed.crash(CrashPlan::lose_all());
    assert_eq!(rounds(&open(&crashed)), 3);
    drop(transaction);
}

#[test]
fn a_cut_after_every_disk_operation_keeps_whole_acknowledged_commits() {
    let mut seen = 0;
    for operations in (0..).step_by(3) {
        let disk = MemoryDisk::new();
        drop(open(&disk));
        disk.cut_power_after(operations);
        let mut acknowledged = 0;
        if let Ok(database) = Database::builder().create_with_backend(backend(&disk)) {
            while acknowledged < 6 && commit(&database, acknowledged).is_ok() {
                acknowledged += 1;
            }
        }
        for tear in 0..3u64 {
            let disk = disk.fork();
            let mut some = |position: usize| !(position as u64 * 7 + operations * 3 + tear).is_multiple_of(3);
            let writes = if tear == 0 { Tear::Lost } else { Tear::Sectors(&mut some) };
            disk.crash(CrashPlan { writes, directory_changes: 0 });
            let found = rounds(&open(&disk));
            let context = format!("cut after {operations}, tear {tear}");
            assert!((acknowledged..=acknowledged + 1).contains(&found), "{context}: {found} of {acknowledged}");
            seen += 1;
        }
        if acknowledged == 6 {
            break;
        }
    }
    assert!(seen > 20, "only {seen} crashes");
}

#[test]
fn a_failed_flush_fails_the_commit_and_all_later_ones() {
    let disk = MemoryDisk::new();
    let database = open(&disk);
    commit(&database, 0).unwrap();
    disk.fail_next_syncs(1);
    assert!(commit(&database, 1).is_err());
    assert!(commit(&database, 1).is_err());
    let crashed = disk.fork();
    crashed.crash(CrashPlan { writes: Tear::Kept, directory_changes: 0 });
    assert_eq!(rounds(&open(&crashed)), 1);
}

/// One round is durable; the flush of a second one failed, and the process was started again.
fn after_a_failed_flush() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let database = open(&disk);
    commit(&database, 0).unwrap();
    disk.fail_next_syncs(1);
    assert!(commit(&database, 1).is_err());
    drop(database);
    disk.restart_process();
    disk
}

/// The kernel forgets that the pages of a failed flush are dirty; the next process reads them, builds on them, flushes
/// with success, and loses them with the power.
#[test]
fn what_a_failed_flush_left_in_memory_is_written_anew_before_anybody_builds_on_it() {
    for later in 0..3 {
        let disk = after_a_failed_flush();
        let database = open(&disk);
        let found = rounds(&database);
        (found..found + later).for_each(|round| commit(&database, round).unwrap());
        let crashed = disk.fork();
        crashed.crash(CrashPlan::lose_all());
        assert_eq!(rounds(&open(&crashed)), found + later, "{later} rounds after the restart");
        assert_eq!(crashed.list().unwrap(), ["events.redb"]);
    }
}

/// The same with the power cut in the middle of writing anew: the old file is whole until the new one is.
#[test]
fn a_cut_while_a_file_is_written_anew_loses_no_acknowledged_commit() {
    for operations in 0u64.. {
        let disk = after_a_failed_flush();
        disk.cut_power_after(operations);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let opened = RedbDisk::open(&shared, "events.redb").is_ok();
        disk.crash(CrashPlan::lose_all());
        assert!(rounds(&open(&disk)) >= 1, "cut after {operations}");
        if opened {
            assert!(operations > 3, "only {operations} operations");
            return;
        }
    }
}

#[test]
fn a_full_disk_fails_the_commit_and_keeps_the_ones_before() {
    let disk = MemoryDisk::new();
    let database = open(&disk);
    let mut round = 0;
    commit(&database, round).unwrap();
    disk.set_capacity(Some(disk.content("events.redb").unwrap().len() as u64));
    let error = loop {
        round += 1;
        match commit(&database, round) {
            Ok(()) => assert!(round < 10_000, "the file never grew"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("no space left"), "{error}");
    let crashed = disk.fork();
    crashed.set_capacity(None);
    crashed.crash(CrashPlan::lose_all());
    assert_eq!(rounds(&open(&crashed)), round);
}
