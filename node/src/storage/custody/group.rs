//! Group commit: one flush for all that came while the one before was under way.
//!
//! Whoever comes puts its work into the queue and waits for its turn. The first to have it does the work of everybody in
//! the queue, in the order in which they came, in one transaction; the others find theirs done. All of them wait on threads
//! that may block.

use super::{ACCOUNTS, Tables, WISHES, other};
use parking_lot::Mutex;
use redb::{Database, Durability};
use std::{
    io, mem,
    sync::{Arc, atomic::AtomicU64},
};

/// Does the work in a transaction. What it gives tells the waiting caller how that ended, once it is committed or not.
type Work = Box<dyn FnOnce(&mut Tables<'_>) -> io::Result<Tell> + Send>;
type Tell = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    work: Vec<Work>,
    /// Whether any of it must be on the disk before its caller hears of it.
    flush: bool,
}

/// Who waits for a transaction, and whose turn it is.
#[derive(Default)]
pub(super) struct Group {
    queue: Mutex<Queue>,
    turn: Mutex<()>,
    swept_ms: AtomicU64,
}

impl Group {
    /// Does `work` in a transaction, with others'. An error of anyone's undoes them all, and each of them hears of it.
    ///
    /// # Errors
    /// The database's.
    pub(super) fn run<T: Send + 'static>(
        &self,
        database: &Database,
        durability: Durability,
        work: impl FnOnce(&mut Tables<'_>) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let place = Arc::new(Mutex::new(None));
        let own = place.clone();
        let work: Work = Box::new(move |tables| {
            let done = work(tables)?;
            Ok(Box::new(move || *own.lock() = Some(done)))
        });
        {
            let mut queue = self.queue.lock();
            queue.work.push(work);
            queue.flush |= matches!(durability, Durability::Immediate);
        }
        let turn = self.turn.lock();
        if let Some(done) = place.lock().take() {
            return Ok(done);
        }
        let queue = mem::take(&mut *self.queue.lock());
        let told = self.commit(database, queue);
        told.map(|told| told.into_iter().for_each(|tell| tell()))?;
        drop(turn);
        place.lock().take().ok_or_else(|| other("a transaction of others failed, and this with it: ask again"))
    }

    fn commit(&self, database: &Database, queue: Queue) -> io::Result<Vec<Tell>> {
        let mut writing = database.begin_write().map_err(other)?;
        let durability = if queue.flush { Durability::Immediate } else { Durability::None };
        writing.set_durability(durability).map_err(other)?;
        let done = {
            let accounts = writing.open_table(ACCOUNTS).map_err(other)?;
            let wishes = writing.open_table(WISHES).map_err(other)?;
            let mut tables = Tables { swept_ms: &self.swept_ms, accounts, wishes };
            queue.work.into_iter().map(|work| work(&mut tables)).collect::<io::Result<Vec<_>>>()?
        };
        writing.commit().map_err(other)?;
        Ok(done)
    }
}
