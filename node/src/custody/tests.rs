use super::*;
use comity_runtime::disk::{
    Disk,
    memory::{CrashPlan, MemoryDisk},
};

const TOKEN: &str = "a token";

fn on(disk: &MemoryDisk) -> Custody {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let open = Mutex::new(Some(Arc::new(CustodyDisk::on(&disk).unwrap())));
    Custody { dir: PathBuf::new(), open }
}

fn wish(spends: u64) -> Wish {
    Wish { content: Hash::of(b"asked"), envelope: vec![7; 9], spends, made_ms: DAY_MS, answer: None }
}

fn reserve(custody: &Custody, key: &str, spends: u64) -> Result<Wish, Refused> {
    custody.reserve(&WishKey::of(TOKEN, key), DAY_MS, spends, move || wish(spends))
}

fn founded(disk: &MemoryDisk) -> Custody {
    crate::runtime::tests_world();
    let custody = on(disk);
    let limits = Limits { per_day: Some(10), total: None };
    custody.keep(TOKEN, &SecretKey::from_seed(&[5; 32]), limits).unwrap();
    custody
}

#[test]
fn what_was_counted_and_signed_survives_a_power_cut_together() {
    let disk = MemoryDisk::new();
    reserve(&founded(&disk), "one", 6).unwrap();
    disk.crash(CrashPlan::lose_all());
    let custody = on(&disk);
    let (account, key) = custody.unseal(TOKEN).unwrap();
    assert_eq!((account.spent.today, key.seed()), (6, [5; 32]));
    assert_eq!(custody.wish(&WishKey::of(TOKEN, "one")).unwrap(), Some(wish(6)));
    assert!(matches!(reserve(&custody, "two", 5), Err(Refused::OverLimit(over)) if over.spent == 6));
    assert_eq!(custody.wish(&WishKey::of(TOKEN, "two")).unwrap(), None, "what goes over is not signed");
}

#[test]
fn a_key_counts_once_and_its_first_wish_is_given_again() {
    let custody = founded(&MemoryDisk::new());
    reserve(&custody, "one", 6).unwrap();
    let again = custody.reserve(&WishKey::of(TOKEN, "one"), DAY_MS, 6, || panic!("signed twice")).unwrap();
    assert_eq!((again, custody.unseal(TOKEN).unwrap().0.spent.total), (wish(6), 6));
}

#[test]
fn a_refusal_gives_back_what_was_counted_once() {
    let custody = founded(&MemoryDisk::new());
    for key in ["one", "two"] {
        reserve(&custody, key, 5).unwrap();
    }
    let refused = Answer { outcome: 4, success: false, log_index: 9 };
    for _ in 0..2 {
        custody.settle(&WishKey::of(TOKEN, "one"), refused).unwrap();
    }
    custody.settle(&WishKey::of(TOKEN, "two"), Answer { success: true, ..refused }).unwrap();
    assert_eq!(custody.unseal(TOKEN).unwrap().0.spent.today, 5);
    assert_eq!(custody.wish(&WishKey::of(TOKEN, "one")).unwrap().unwrap().answer, Some(refused));
}

#[test]
fn many_at_once_share_flushes_and_a_limit_and_what_they_were_told_is_on_the_disk() {
    let disk = MemoryDisk::new();
    let custody = founded(&disk);
    let told: Vec<(String, bool)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..32)
            .map(|n| {
                let (custody, key) = (&custody, format!("key {n}"));
                scope.spawn(move || match reserve(custody, &key, 1) {
                    Ok(_) => (key, true),
                    Err(Refused::OverLimit(over)) if over.spent == 10 => (key, false),
                    Err(other) => panic!("{other}"),
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(told.iter().filter(|(_, counted)| *counted).count(), 10);
    disk.crash(CrashPlan::lose_all());
    let custody = on(&disk);
    for (key, counted) in told {
        assert_eq!(custody.wish(&WishKey::of(TOKEN, &key)).unwrap().is_some(), counted, "{key}");
    }
    assert_eq!(custody.unseal(TOKEN).unwrap().0.spent.today, 10);
}

#[test]
fn a_flush_that_fails_is_told_to_all_who_waited_for_it() {
    let disk = MemoryDisk::new();
    let custody = founded(&disk);
    disk.fail_next_syncs(u32::MAX);
    std::thread::scope(|scope| {
        for n in 0..8 {
            let custody = &custody;
            scope.spawn(move || {
                let told = reserve(custody, &format!("key {n}"), 1);
                assert!(matches!(told, Err(Refused::Disk(_))), "{told:?}");
            });
        }
    });
    disk.crash(CrashPlan::lose_all());
    disk.fail_next_syncs(0);
    assert_eq!(on(&disk).unseal(TOKEN).unwrap().0.spent.today, 0);
}

#[test]
fn when_room_is_short_what_is_answered_is_forgotten_first_and_nothing_of_today() {
    crate::runtime::tests_world();
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let disk = CustodyDisk::on(&disk).unwrap();
    let reserve = |key: &str, now_ms: u64, max: u64| {
        let made = move || Wish { made_ms: now_ms, ..wish(0) };
        disk.reserve(WishKey::of(TOKEN, key), now_ms, max, |_, _| Ok(()), made).unwrap()
    };
    let stands = |key: &str| disk.wish(&WishKey::of(TOKEN, key)).unwrap().is_some();
    for key in ["answered", "open", "answered later"] {
        assert!(matches!(reserve(key, if key == "answered later" { 3 * DAY_MS } else { DAY_MS }, 9), Reserved::New(_)));
    }
    let answer = Answer { outcome: 0, success: true, log_index: 1 };
    for key in ["answered", "answered later"] {
        disk.settle(WishKey::of(TOKEN, key), answer).unwrap();
    }
    assert!(matches!(reserve("one more", 3 * DAY_MS, 3), Reserved::New(_)));
    assert_eq!(["answered", "open", "answered later"].map(stands), [false, true, true]);
    assert!(matches!(reserve("and one more", 3 * DAY_MS, 3), Reserved::Full));
    // They are not all read again for each one that is refused.
    assert!(matches!(reserve("soon", 3 * DAY_MS + 59_000, 3), Reserved::Full));
    assert!(matches!(reserve("a month later", 40 * DAY_MS, 3), Reserved::New(_)));
    assert!(!stands("open"));
}

#[test]
fn an_account_that_was_forgotten_opens_no_more() {
    let custody = founded(&MemoryDisk::new());
    custody.forget(TOKEN).unwrap();
    assert!(matches!(custody.unseal(TOKEN), Err(Refused::UnknownToken)));
    assert!(matches!(custody.unseal("another"), Err(Refused::UnknownToken)));
}

#[test]
fn the_request_id_follows_from_token_and_key() {
    let id = |token: &str, key: &str| WishKey::of(token, key).request_id();
    assert_eq!(id("a", "k"), id("a", "k"));
    assert!(id("a", "k") != id("b", "k") && id("a", "k") != id("a", "l"));
}
