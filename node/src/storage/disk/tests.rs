use std::os::unix::fs::symlink;

use futures::future::join_all;

use super::*;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn disk() -> (tempfile::TempDir, DirDisk) {
    let dir = tempfile::tempdir().unwrap();
    let disk = DirDisk::open(dir.path().join("data")).unwrap();
    (dir, disk)
}

fn read_all(file: &dyn DiskFile) -> Vec<u8> {
    let mut all = vec![0; file.len().unwrap() as usize];
    file.read_at(0, &mut all).unwrap();
    all
}

#[test]
fn queued_writes_happen_in_the_order_of_the_calls_and_share_flushes() {
    let (_dir, disk) = disk();
    let file = disk.create("a").unwrap();
    let request =
        |round: u8| file.write_and_sync(vec![(0, Bytes::from(vec![round; 100])), (100, Bytes::from(vec![round]))]);
    let results = block_on(join_all((0..200).map(request).collect::<Vec<_>>()));
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(read_all(&*file), vec![199; 101]);
    let stats = disk.stats();
    assert_eq!((stats.requests, stats.bytes_written), (200, 200 * 101));
    assert!((1..=200).contains(&stats.syncs));
}

#[test]
fn both_faces_see_the_same_bytes() {
    let (_dir, disk) = disk();
    let file = disk.create("a").unwrap();
    file.allocate(4096).unwrap();
    assert_eq!(file.len().unwrap(), 4096);
    file.write_at(10, b"sync").unwrap();
    block_on(file.write_and_sync(vec![(14, Bytes::from_static(b" async"))])).unwrap();
    let again = disk.open("a").unwrap();
    let mut bytes = [0; 10];
    again.read_at(10, &mut bytes).unwrap();
    assert_eq!(&bytes, b"sync async");
    assert_eq!(again.read_at(4090, &mut bytes).unwrap_err().kind, DiskErrorKind::OutOfRange);
    again.set_len(12).unwrap();
    assert_eq!(file.len().unwrap(), 12);
}

#[test]
fn names_are_created_listed_renamed_and_removed() {
    let (_dir, disk) = disk();
    disk.create("b").unwrap();
    disk.create("a").unwrap().write_at(0, b"x").unwrap();
    assert_eq!(disk.create("a").unwrap_err().kind, DiskErrorKind::AlreadyExists);
    disk.rename("a", "c").unwrap();
    fs::write(disk.path().join(".foreign"), b"").unwrap();
    assert_eq!(disk.list().unwrap(), ["b", "c"]);
    disk.remove("b").unwrap();
    disk.sync_dir().unwrap();
    assert_eq!(disk.open("b").unwrap_err().kind, DiskErrorKind::NotFound);
    assert_eq!(disk.open("../data/c").unwrap_err().kind, DiskErrorKind::BadName);
}

#[test]
fn a_directory_in_use_is_refused_with_the_holders_process_id() {
    let (_dir, disk) = disk();
    let lock = disk.lock("comity.lock").unwrap();
    let error = DirDisk::open(disk.path()).unwrap().lock("comity.lock").unwrap_err();
    assert_eq!(error.kind, DiskErrorKind::InUse { holder: Some(std::process::id()) });
    assert!(error.to_string().contains(&format!("in use by process {}", std::process::id())), "{error}");
    drop(lock);
    disk.lock("comity.lock").unwrap();
}

#[test]
fn a_directory_that_cannot_be_used_is_refused_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, b"").unwrap();
    let error = DirDisk::open(&path).unwrap_err();
    assert_eq!(error.file, path.display().to_string());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_tells_the_free_space_and_poisons_queued_writes() {
    let (_dir, disk) = disk();
    symlink("/dev/full", disk.path().join("full")).unwrap();
    let file = disk.open("full").unwrap();
    let error = block_on(file.write_and_sync(vec![(0, Bytes::from_static(b"x"))])).unwrap_err();
    assert_eq!((error.kind, error.offset), (DiskErrorKind::Full, Some(0)));
    assert!(error.to_string().contains("bytes free"), "{error}");
    let again = disk.open("full").unwrap();
    assert_eq!(again.write_at(0, b"y").unwrap_err().kind, DiskErrorKind::Poisoned);
}

#[cfg(target_os = "linux")]
#[test]
fn a_failed_flush_poisons_the_file_for_every_handle() {
    let (_dir, disk) = disk();
    // The null device takes writes and refuses fdatasync.
    symlink("/dev/null", disk.path().join("null")).unwrap();
    let (file, other) = (disk.open("null").unwrap(), disk.open("null").unwrap());
    let sound = disk.create("sound").unwrap();
    let requests = [&file, &sound, &other].map(|file| file.write_and_sync(vec![(0, Bytes::from_static(b"x"))]));
    let results = block_on(join_all(requests));
    assert!(results[0].is_err() && results[1].is_ok() && results[2].is_err());
    assert_eq!(other.sync().unwrap_err().kind, DiskErrorKind::Poisoned);
}

#[test]
fn a_log_cut_at_any_byte_of_its_last_record_opens_without_it() {
    use comity_replica::wal::{Wal, WalConfig};
    let (_dir, disk) = disk();
    let disk = Arc::new(disk);
    let config = WalConfig { segment_bytes: 8192, salt: 9 };
    let name = "log-0000000001.wal";
    let mut wal = Wal::open(disk.clone(), config).unwrap();
    for index in 0..5 {
        block_on(wal.append(&[(index, Bytes::from(vec![index as u8 + 1; 50]))])).unwrap();
    }
    drop(wal);
    let whole = fs::read(disk.path().join(name)).unwrap();
    assert_eq!(whole.len(), 8192, "reserved in full");
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    for cut in end - 80..=end {
        fs::write(disk.path().join(name), &whole[..cut]).unwrap();
        let wal = Wal::open(disk.clone(), config).unwrap();
        assert_eq!(wal.index().lock().last_index(), Some(3), "cut at {cut}");
    }
}

#[test]
fn a_thousand_appends_cost_a_flush_each_and_read_back() {
    use comity_replica::wal::{Wal, WalConfig};
    let (_dir, disk) = disk();
    let disk = Arc::new(disk);
    let config = WalConfig { segment_bytes: 64 << 10, salt: 3 };
    let mut wal = Wal::open(disk.clone(), config).unwrap();
    let before = disk.stats().requests;
    for index in 0..1000u64 {
        block_on(wal.append(&[(index, Bytes::from(vec![index as u8; 200]))])).unwrap();
    }
    assert_eq!(disk.stats().requests - before, 1000);
    block_on(wal.purge(899, b"mark")).unwrap();
    drop(wal);
    let wal = Wal::open(disk, config).unwrap();
    let index = wal.index();
    let index = index.lock();
    assert_eq!(index.range(), 900..1000);
    assert!(index.range().all(|at| index.get(at).unwrap().read().unwrap() == vec![at as u8; 200]));
}
