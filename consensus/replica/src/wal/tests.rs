//! What a log must keep through power cuts, full disks and damage.

use std::collections::BTreeMap;

use comity_runtime::disk::memory::{CrashPlan, MemoryDisk, Tear};
use futures::FutureExt;

use super::*;

mod damage;
mod power_cut;

/// What a log holds, for comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Model {
    entries: BTreeMap<u64, Vec<u8>>,
    vote: Option<Vec<u8>>,
    purged: Option<(u64, Vec<u8>)>,
}

/// One call.
#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Vec<u8>>),
    Vote(Vec<u8>),
    Committed(Vec<u8>),
    /// From the entry this many before the last (0: the last).
    Truncate(u64),
    /// Up to the entry this many before the last.
    Purge(u64),
}

impl Model {
    fn next_index(&self) -> u64 {
        let last = self.entries.keys().next_back().copied().or(self.purged.as_ref().map(|(index, _)| *index));
        last.map_or(0, |last| last + 1)
    }

    /// The states that may be on disk while the step is not acknowledged: none of it, or a part, or all (last).
    fn after(&self, step: &Step) -> Vec<Model> {
        let mut states = vec![self.clone()];
        let mut model = self.clone();
        let last = self.next_index().saturating_sub(1);
        match step {
            Step::Append(payloads) => {
                for payload in payloads {
                    model.entries.insert(model.next_index(), payload.clone());
                    states.push(model.clone());
                }
            }
            Step::Vote(vote) => model.vote = Some(vote.clone()),
            Step::Committed(_) => {}
            Step::Truncate(back) => {
                model.entries.split_off(&last.saturating_sub(*back));
            }
            Step::Purge(back) => {
                let upto = last.saturating_sub(*back);
                if self.purged.as_ref().is_none_or(|(purged, _)| *purged < upto) {
                    model.purged = Some((upto, vec![7; 9]));
                    model.entries = model.entries.split_off(&(upto + 1));
                }
            }
        }
        states.push(model);
        states
    }
}

/// Carries a step out; pends only while flushes are held back.
async fn carry_out(wal: &mut Wal, model: &Model, step: &Step) -> Result<(), WalError> {
    let last = model.next_index().saturating_sub(1);
    match step {
        Step::Append(payloads) => {
            let payloads = payloads.iter().map(|payload| Bytes::from(payload.clone()));
            wal.append(&(model.next_index()..).zip(payloads).collect::<Vec<_>>()).await
        }
        Step::Vote(vote) => wal.save_vote(vote).await,
        Step::Committed(mark) => {
            wal.note_committed(Some(mark));
            Ok(())
        }
        Step::Truncate(back) => wal.truncate(last.saturating_sub(*back)).await,
        Step::Purge(back) => wal.purge(last.saturating_sub(*back), &[7; 9]).await,
    }
}

/// Carries out a step that must succeed at once.
fn run(wal: &mut Wal, model: &mut Model, step: Step) {
    carry_out(wal, model, &step).now_or_never().expect("nothing is held back").expect("the step succeeds");
    *model = model.after(&step).pop().expect("there is a last state");
}

fn append(payload: &[u8]) -> Step {
    Step::Append(vec![payload.to_vec()])
}

fn read(wal: &Wal) -> Model {
    let index = wal.index();
    let index = index.lock();
    let entry = |at: u64| (at, index.get(at).expect("present").read().expect("readable").to_vec());
    Model {
        entries: index.range().map(entry).collect(),
        vote: wal.vote().map(<[u8]>::to_vec),
        purged: wal.purged().map(|(index, id)| (index, id.to_vec())),
    }
}

const SEGMENT: u64 = 4096;

fn config() -> WalConfig {
    WalConfig { segment_bytes: SEGMENT, salt: 0x5eed }
}

fn open(disk: &MemoryDisk) -> Result<Wal, WalError> {
    Wal::open(Arc::new(disk.clone()), config())
}

/// A log with five entries and a vote, each flushed by itself.
fn small_log() -> (MemoryDisk, Wal, Model) {
    let disk = MemoryDisk::new();
    let (mut wal, mut model) = (open(&disk).unwrap(), Model::default());
    for payload in [b"zero".as_slice(), b"one", b"two", b"three", b"four"] {
        run(&mut wal, &mut model, append(payload));
    }
    run(&mut wal, &mut model, Step::Vote(b"a vote".to_vec()));
    (disk, wal, model)
}

/// Byte offsets of the records of a segment, found by their checksums.
fn record_offsets(disk: &MemoryDisk, name: &str) -> Vec<u64> {
    let bytes = disk.content(name).unwrap();
    let salt = record::read_u64(&bytes, 24);
    let mut offsets = Vec::new();
    let mut at = SEGMENT_HEADER_BYTES;
    while let Some(found) = record::parse(&bytes[(at as usize).min(bytes.len())..], salt) {
        offsets.push(at);
        at += found.size();
    }
    offsets
}

#[test]
fn everything_is_there_after_a_restart() {
    let (disk, mut wal, mut model) = small_log();
    run(&mut wal, &mut model, Step::Committed(b"mark".to_vec()));
    run(&mut wal, &mut model, Step::Append(vec![vec![1; 3000], vec![2; 3000], vec![]]));
    run(&mut wal, &mut model, Step::Truncate(0));
    run(&mut wal, &mut model, Step::Purge(3));
    drop(wal);
    let wal = open(&disk).unwrap();
    assert_eq!(read(&wal), model);
    assert_eq!(wal.committed(), Some(b"mark".as_slice()));
    assert_eq!(wal.purged().unwrap().0, 3);
}

#[test]
fn segments_behind_the_purge_mark_are_removed_and_the_mark_survives() {
    let disk = MemoryDisk::new();
    let (mut wal, mut model) = (open(&disk).unwrap(), Model::default());
    run(&mut wal, &mut model, Step::Vote(b"early".to_vec()));
    for _ in 0..20 {
        run(&mut wal, &mut model, append(&[5; 900]));
    }
    let before = disk.list().unwrap().len();
    run(&mut wal, &mut model, Step::Purge(1));
    let after = disk.list().unwrap();
    assert!(before >= 5 && after.len() <= 2, "{before} files, then {after:?}");
    disk.crash(CrashPlan::lose_all());
    drop(wal);
    let mut wal = open(&disk).unwrap();
    assert_eq!(read(&wal), model);
    assert_eq!(wal.vote(), Some(b"early".as_slice()), "the vote outlives its segment");
    run(&mut wal, &mut model, Step::Purge(0));
    run(&mut wal, &mut model, append(b"next"));
    drop(wal);
    assert_eq!(read(&open(&disk).unwrap()), model);
}

#[test]
fn an_entry_must_follow_the_last_one() {
    let (_disk, mut wal, _) = small_log();
    let skipped = wal.append(&[(6, Bytes::new())]).now_or_never().unwrap();
    assert_eq!(skipped, Err(WalError::OutOfOrder { expected: 5, got: 6 }));
    let hole = wal.append(&[(5, Bytes::new()), (7, Bytes::new())]).now_or_never().unwrap();
    assert_eq!(hole, Err(WalError::OutOfOrder { expected: 6, got: 7 }));
    wal.append(&[(5, Bytes::new())]).now_or_never().unwrap().unwrap();
    wal.purge(100, b"").now_or_never().unwrap().unwrap();
    let before = wal.append(&[(6, Bytes::new())]).now_or_never().unwrap();
    assert_eq!(before, Err(WalError::OutOfOrder { expected: 101, got: 6 }));
}

#[test]
fn a_batch_larger_than_a_segment_gets_its_own() {
    let (disk, mut wal, mut model) = small_log();
    run(&mut wal, &mut model, Step::Append(vec![vec![3; 10_000]; 3]));
    run(&mut wal, &mut model, append(b"behind"));
    drop(wal);
    assert_eq!(read(&open(&disk).unwrap()), model);
}

#[test]
fn a_record_over_the_limit_is_refused_and_changes_nothing() {
    let (_disk, mut wal, model) = small_log();
    let huge = Bytes::from(vec![0; PAYLOAD_BYTES_MAX as usize]);
    let refused = wal.append(&[(5, huge)]).now_or_never().unwrap();
    assert!(matches!(refused, Err(WalError::TooLarge { limit: PAYLOAD_BYTES_MAX, .. })));
    assert_eq!(read(&wal), model);
}

#[test]
fn one_batch_costs_one_flush() {
    let (disk, mut wal, mut model) = small_log();
    let before = disk.stats();
    run(&mut wal, &mut model, Step::Append(vec![vec![9; 10]; 20]));
    let after = disk.stats();
    assert_eq!((after.syncs - before.syncs, after.directory_syncs), (1, before.directory_syncs));
}
