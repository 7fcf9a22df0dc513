//! Damage is named with file and offset and never repaired; refusals change nothing.

use comity_runtime::disk::DiskError;

use super::*;

const FIRST: &str = "log-0000000001.wal";

fn reopen(disk: &MemoryDisk, wal: Wal) -> Result<Wal, WalError> {
    drop(wal);
    open(disk)
}

#[test]
fn a_flipped_bit_in_any_byte_of_an_acknowledged_record_stops_with_file_and_offset() {
    let (disk, wal, _) = small_log();
    drop(wal);
    let offsets = record_offsets(&disk, FIRST);
    let (record, next) = (offsets[3], offsets[4]);
    let payload_end = record + RECORD_HEADER_BYTES + 8 + b"two".len() as u64;
    for at in record..next {
        let disk = disk.fork();
        disk.flip_bit(FIRST, at, (at % 8) as u8);
        let opened = open(&disk).map(|wal| read(&wal));
        if at >= payload_end {
            assert!(opened.is_ok(), "padding carries nothing");
            continue;
        }
        let expected = WalError::Corrupt { file: FIRST.to_owned(), offset: record, damage: Damage::Record };
        assert_eq!(opened.unwrap_err(), expected, "byte {at}");
        assert_eq!(disk.pending_changes(), 0, "nothing was repaired");
    }
}

#[test]
fn the_message_names_file_offset_and_next_step() {
    let (disk, wal, _) = small_log();
    disk.flip_bit(FIRST, record_offsets(&disk, FIRST)[2] + 40, 1);
    let text = reopen(&disk, wal).unwrap_err().to_string();
    for part in [FIRST, &record_offsets(&disk, FIRST).last().map_or(0, |last| last + 48).to_string(), "rejoin"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn damage_at_the_end_of_an_older_segment_is_not_a_torn_tail() {
    let (disk, mut wal, mut model) = small_log();
    for _ in 0..6 {
        run(&mut wal, &mut model, append(&[1; 900]));
    }
    let last = *record_offsets(&disk, FIRST).last().unwrap();
    disk.flip_bit(FIRST, last + 100, 0);
    let expected = WalError::Corrupt { file: FIRST.to_owned(), offset: last, damage: Damage::Record };
    assert_eq!(reopen(&disk, wal).unwrap_err(), expected);
}

#[test]
fn damage_inside_the_last_flush_looks_like_a_torn_tail_and_is_cut() {
    let (disk, mut wal, mut model) = small_log();
    let before = model.clone();
    run(&mut wal, &mut model, append(b"the last flush"));
    disk.flip_bit(FIRST, *record_offsets(&disk, FIRST).last().unwrap() + 35, 3);
    assert_eq!(read(&reopen(&disk, wal).unwrap()), before);
}

#[test]
fn a_missing_segment_stops_with_its_name() {
    let (disk, mut wal, mut model) = small_log();
    for _ in 0..12 {
        run(&mut wal, &mut model, append(&[1; 900]));
    }
    drop(wal);
    for missing in [FIRST, "log-0000000002.wal"] {
        let disk = disk.fork();
        disk.remove(missing).unwrap();
        let expected = WalError::Corrupt { file: missing.to_owned(), offset: 0, damage: Damage::SegmentMissing };
        assert_eq!(open(&disk).unwrap_err(), expected);
    }
}

#[test]
fn a_damaged_segment_header_stops_unless_nothing_was_written_behind_it() {
    let (disk, mut wal, mut model) = small_log();
    let used = disk.fork();
    used.flip_bit(FIRST, 25, 2);
    let expected = WalError::Corrupt { file: FIRST.to_owned(), offset: 0, damage: Damage::SegmentHeader };
    used.crash(CrashPlan::lose_all());
    assert_eq!(open(&used).unwrap_err(), expected);
    // An interrupted start of the second segment: reserved, no header yet.
    disk.create("log-0000000002.wal").unwrap().allocate(SEGMENT).unwrap();
    disk.sync_dir().unwrap();
    run(&mut wal, &mut model, append(b"in the first"));
    wal = reopen(&disk, wal).unwrap();
    assert_eq!(read(&wal), model);
    run(&mut wal, &mut model, append(&[1; 3900]));
    assert_eq!(read(&reopen(&disk, wal).unwrap()), model);
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let (disk, wal, _) = small_log();
    disk.plant(FIRST, 8, &2u32.to_le_bytes());
    let error = reopen(&disk, wal).unwrap_err();
    assert_eq!(error, WalError::NewerVersion { file: FIRST.to_owned(), found: 2, supported: FORMAT_VERSION });
    assert!(error.to_string().contains("start the newer program"));
}

#[test]
fn stale_bytes_behind_the_end_are_never_taken_for_records() {
    let (disk, mut wal, mut model) = small_log();
    let content = disk.content(FIRST).unwrap();
    let offsets = record_offsets(&disk, FIRST);
    let end = offsets.last().unwrap() + 40;
    // An older record of this segment, whole, where the next one goes.
    disk.plant(FIRST, end, &content[offsets[2] as usize..offsets[3] as usize]);
    wal = reopen(&disk, wal).unwrap();
    assert_eq!(read(&wal), model);
    // The next number with right checksums, but of a file with another salt.
    let mut batch = Batch::default();
    batch.push(Kind::Vote, &[b"forged"]).unwrap();
    disk.plant(FIRST, end, &batch.seal(0xbad, wal.next_sequence));
    wal = reopen(&disk, wal).unwrap();
    assert_eq!(read(&wal), model);
    run(&mut wal, &mut model, append(b"x"));
    assert_eq!(read(&reopen(&disk, wal).unwrap()), model);
}

#[test]
fn a_full_disk_refuses_cleanly_and_the_log_goes_on_when_there_is_room() {
    let (disk, mut wal, mut model) = small_log();
    disk.set_capacity(Some(SEGMENT + 1000));
    let step = append(&[8; 3500]);
    for _ in 0..2 {
        let error = carry_out(&mut wal, &model, &step).now_or_never().unwrap().unwrap_err();
        assert!(error.is_full(), "{error}");
        assert!(error.to_string().contains("no space left"));
    }
    run(&mut wal, &mut model, Step::Vote(b"still fits".to_vec()));
    assert_eq!(read(&wal), model);
    assert_eq!(
        read(
            &open(&{
                let copy = disk.fork();
                copy.crash(CrashPlan::lose_all());
                copy
            })
            .unwrap()
        ),
        model
    );
    disk.set_capacity(None);
    run(&mut wal, &mut model, step);
    assert_eq!(read(&reopen(&disk, wal).unwrap()), model);
}

#[test]
fn after_a_failed_flush_nothing_is_accepted_until_a_restart() {
    let (disk, mut wal, model) = small_log();
    disk.fail_next_syncs(1);
    let first = carry_out(&mut wal, &model, &append(b"x")).now_or_never().unwrap();
    assert!(matches!(first, Err(WalError::Disk(DiskError { .. }))));
    for step in [append(b"x"), Step::Vote(vec![1]), Step::Truncate(0), Step::Purge(0)] {
        let refused = carry_out(&mut wal, &model, &step).now_or_never().unwrap();
        assert!(matches!(refused, Err(WalError::Broken { .. })), "{step:?}");
    }
    assert_eq!(read(&wal), model, "an entry that is not durable is not shown");
    disk.crash(CrashPlan::lose_all());
    assert_eq!(read(&reopen(&disk, wal).unwrap()), model);
}

#[test]
fn an_abandoned_write_breaks_the_log() {
    let (disk, mut wal, model) = small_log();
    disk.hold_syncs(true);
    assert!(carry_out(&mut wal, &model, &append(b"x")).now_or_never().is_none());
    disk.hold_syncs(false);
    let refused = wal.save_vote(b"y").now_or_never().unwrap();
    assert!(matches!(refused, Err(WalError::Broken { .. })));
}

#[test]
fn a_log_in_use_and_an_unreadable_directory_are_refused_by_name() {
    let (disk, wal, model) = small_log();
    assert!(matches!(open(&disk).unwrap_err(), WalError::InUse(_)));
    drop(wal);
    disk.deny_directory(true);
    let denied = open(&disk).unwrap_err();
    assert!(matches!(&denied, WalError::Disk(error) if error.kind == DiskErrorKind::Denied), "{denied}");
    disk.deny_directory(false);
    assert_eq!(read(&open(&disk).unwrap()), model);
}

#[test]
fn an_unreadable_sector_stops_with_file_and_offset() {
    let (disk, wal, _) = small_log();
    disk.fail_reads(FIRST, 700..701);
    let WalError::Disk(error) = reopen(&disk, wal).unwrap_err() else { panic!("a disk error") };
    assert_eq!((error.file.as_str(), error.offset), (FIRST, Some(700)));
}

#[test]
fn a_record_that_rots_while_the_log_is_open_is_not_handed_out() {
    let (disk, wal, _) = small_log();
    let offset = record_offsets(&disk, FIRST)[2];
    disk.flip_bit(FIRST, offset + 41, 4);
    let read = wal.index().lock().get(1).unwrap().read();
    let expected = WalError::Corrupt { file: FIRST.to_owned(), offset, damage: Damage::Rotted };
    assert_eq!(read.unwrap_err(), expected);
}
