//! Custodial accounts and what was signed for them: two redb tables in a directory of their own.
//!
//! One transaction, one flush: what a wish may cost and the signed bytes are on the disk together, or neither is. Whoever
//! comes while a flush is under way shares the next one with all others that came.

mod group;

use super::disk::DirDisk;
use crate::custody::{Account, Answer, Limits, OverLimit, REMEMBERED_MIN_MS, REMEMBERED_MS, Spent, Wish, WishKey};
use comity_proto::ids::AgentId;
use comity_replica::redb_disk::RedbDisk;
use comity_runtime::disk::Disk;
use group::Group;
use redb::{
    Database, Durability, ReadTransaction, ReadableDatabase as _, ReadableTable, ReadableTableMetadata as _, Table,
    TableDefinition, WriteTransaction,
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// File in the directory.
const FILE: &str = "custody.redb";
/// Pause between two looks through all wishes.
const SWEEP_MS: u64 = 60_000;
/// Memory for pages.
const CACHE_BYTES: usize = 1 << 20;

type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;
/// Digest of a token to [`Account`].
const ACCOUNTS: Rows = TableDefinition::new("accounts");
/// Digests of token and idempotency key to [`Wish`].
const WISHES: Rows = TableDefinition::new("wishes");

/// What came of a reservation.
pub enum Reserved {
    /// Counted, signed and kept.
    New(Wish),
    /// It was there already.
    Known(Wish),
    /// No room.
    Full,
    /// Over the token's limit.
    Over(OverLimit),
}

/// The tables.
pub struct CustodyDisk {
    database: Database,
    group: Group,
}

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

fn bytes<T: Serialize>(row: &T) -> io::Result<Vec<u8>> {
    postcard::to_allocvec(row).map_err(other)
}

fn row<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    postcard::from_bytes(bytes).map_err(other)
}

fn place(key: &WishKey) -> [u8; 64] {
    let mut place = [0; 64];
    place[..32].copy_from_slice(&key.token);
    place[32..].copy_from_slice(&key.key);
    place
}

fn find<T: DeserializeOwned>(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
) -> io::Result<Option<T>> {
    table.get(key).map_err(other)?.map(|found| row(found.value())).transpose()
}

impl CustodyDisk {
    /// Opens the tables in a directory, creating both.
    ///
    /// # Errors
    /// The disk's, or the database's with its words.
    pub fn open(dir: &Path) -> io::Result<CustodyDisk> {
        let disk: Arc<dyn Disk> = Arc::new(DirDisk::open(dir).map_err(other)?);
        CustodyDisk::on(&disk)
    }

    /// As [`CustodyDisk::open`], on any disk.
    ///
    /// # Errors
    /// As there.
    pub fn on(disk: &Arc<dyn Disk>) -> io::Result<CustodyDisk> {
        let backend = RedbDisk::open(disk, FILE).map_err(other)?;
        let database = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend).map_err(other)?;
        let begun = database.begin_write().map_err(other)?;
        begun.open_table(ACCOUNTS).map_err(other)?;
        begun.open_table(WISHES).map_err(other)?;
        begun.commit().map_err(other)?;
        Ok(CustodyDisk { database, group: Group::default() })
    }

    fn reading(&self) -> io::Result<ReadTransaction> {
        self.database.begin_read().map_err(other)
    }

    fn writing(&self) -> io::Result<WriteTransaction> {
        self.database.begin_write().map_err(other)
    }

    /// Digests of tokens, and whose they are.
    ///
    /// # Errors
    /// The database's.
    pub fn accounts(&self) -> io::Result<Vec<([u8; 32], AgentId)>> {
        let table = self.reading()?.open_table(ACCOUNTS).map_err(other)?;
        let mut accounts = Vec::new();
        for found in table.iter().map_err(other)? {
            let (token, account) = found.map_err(other)?;
            let account: Account = row(account.value())?;
            accounts.extend(token.value().try_into().map(|token| (token, account.agent)));
        }
        Ok(accounts)
    }

    /// One account.
    ///
    /// # Errors
    /// The database's.
    pub fn account(&self, token: &[u8; 32]) -> io::Result<Option<Account>> {
        find(&self.reading()?.open_table(ACCOUNTS).map_err(other)?, token)
    }

    /// One wish.
    ///
    /// # Errors
    /// The database's.
    pub fn wish(&self, key: &WishKey) -> io::Result<Option<Wish>> {
        find(&self.reading()?.open_table(WISHES).map_err(other)?, &place(key))
    }

    /// Keeps an account, unless there are `max`.
    ///
    /// # Errors
    /// The database's.
    pub fn keep(&self, token: &[u8; 32], account: &Account, max: u64) -> io::Result<bool> {
        let writing = self.writing()?;
        {
            let mut table = writing.open_table(ACCOUNTS).map_err(other)?;
            if table.len().map_err(other)? >= max {
                return Ok(false);
            }
            table.insert(token.as_slice(), bytes(account)?.as_slice()).map_err(other)?;
        }
        writing.commit().map_err(other)?;
        Ok(true)
    }

    /// Removes an account.
    ///
    /// # Errors
    /// The database's.
    pub fn forget(&self, token: &[u8; 32]) -> io::Result<()> {
        let writing = self.writing()?;
        writing.open_table(ACCOUNTS).map_err(other)?.remove(token.as_slice()).map_err(other)?;
        writing.commit().map_err(other)
    }

    /// Counts, signs and keeps, in one transaction. A token without an account is nobody's to count against.
    ///
    /// # Errors
    /// The database's.
    pub fn reserve(
        &self,
        key: WishKey,
        now_ms: u64,
        max: u64,
        count: impl FnOnce(&mut Spent, &Limits) -> Result<(), OverLimit> + Send + 'static,
        sign: impl FnOnce() -> Wish + Send + 'static,
    ) -> io::Result<Reserved> {
        let work = move |tables: &mut Tables<'_>| tables.reserve(&key, now_ms, max, count, sign);
        self.group.run(&self.database, Durability::Immediate, work)
    }

    /// Keeps an answer, once. It is on the disk with the next reservation, not before: should a power cut take it, the ledger
    /// still has it for whoever asks again, and what a refusal gives back stays counted until then.
    ///
    /// # Errors
    /// The database's.
    pub fn settle(&self, key: WishKey, answer: Answer) -> io::Result<()> {
        let work = move |tables: &mut Tables<'_>| tables.settle(&key, answer);
        self.group.run(&self.database, Durability::None, work)
    }
}

/// Both tables inside a transaction.
struct Tables<'a> {
    /// When wishes were last looked through for old ones.
    swept_ms: &'a AtomicU64,
    accounts: Table<'a, &'static [u8], &'static [u8]>,
    wishes: Table<'a, &'static [u8], &'static [u8]>,
}

impl Tables<'_> {
    fn reserve(
        &mut self,
        key: &WishKey,
        now_ms: u64,
        max: u64,
        count: impl FnOnce(&mut Spent, &Limits) -> Result<(), OverLimit>,
        sign: impl FnOnce() -> Wish,
    ) -> io::Result<Reserved> {
        if let Some(known) = find(&self.wishes, &place(key))? {
            return Ok(Reserved::Known(known));
        }
        if !self.has_room(max, now_ms)? {
            return Ok(Reserved::Full);
        }
        if let Some(mut account) = find::<Account>(&self.accounts, &key.token)? {
            if let Err(over) = count(&mut account.spent, &account.limits) {
                return Ok(Reserved::Over(over));
            }
            self.accounts.insert(key.token.as_slice(), bytes(&account)?.as_slice()).map_err(other)?;
        }
        let wish = sign();
        self.wishes.insert(place(key).as_slice(), bytes(&wish)?.as_slice()).map_err(other)?;
        Ok(Reserved::New(wish))
    }

    /// Forgets what is old enough when there are `max`; at most once in [`SWEEP_MS`], for it reads them all.
    fn has_room(&mut self, max: u64, now_ms: u64) -> io::Result<bool> {
        if self.wishes.len().map_err(other)? < max {
            return Ok(true);
        }
        if now_ms < self.swept_ms.load(Relaxed).saturating_add(SWEEP_MS) {
            return Ok(false);
        }
        self.swept_ms.store(now_ms, Relaxed);
        let before = |age_ms: u64| now_ms.saturating_sub(age_ms);
        let (old, old_if_answered) = (before(REMEMBERED_MS), before(REMEMBERED_MIN_MS));
        let is_kept = |wish: Wish| wish.made_ms >= if wish.answer.is_some() { old_if_answered } else { old };
        self.wishes.retain(|_, bytes| row(bytes).is_ok_and(is_kept)).map_err(other)?;
        Ok(self.wishes.len().map_err(other)? < max)
    }

    fn settle(&mut self, key: &WishKey, answer: Answer) -> io::Result<()> {
        let known: Option<Wish> = find(&self.wishes, &place(key))?;
        let Some(mut wish) = known.filter(|wish| wish.answer.is_none()) else { return Ok(()) };
        wish.answer = Some(answer);
        self.wishes.insert(place(key).as_slice(), bytes(&wish)?.as_slice()).map_err(other)?;
        let account: Option<Account> = find(&self.accounts, &key.token)?;
        if let Some(mut account) = account.filter(|_| !answer.success) {
            account.spent.give_back(wish.spends, wish.made_ms);
            self.accounts.insert(key.token.as_slice(), bytes(&account)?.as_slice()).map_err(other)?;
        }
        Ok(())
    }
}
