//! What the store's single writer writes: all rows of a group in one transaction, table by table.

use std::ops::Bound;

use comity_ledger::{
    event::Event,
    merkle::{self, Node},
};
use comity_proto::{
    ids::Hash,
    planted::{Plant, planted},
};
use redb::{CursorError, Database, Durability, Key, ReadableTable, Table, Value, WriteTransaction};

use super::{
    Applied, EVENTS, EVIDENCE, EventKey, GAP_FROM, GAP_TO, HISTORY, LEAVES, MARKS, NODES, StoreError, StoredEvent,
    Work, concerns,
    rows::{event_value, history_agent, history_key, node_key},
};

/// From so many rows on, a run goes in through one gap of its table.
const RUN_MIN: usize = 4;

/// Writes all of the group, or nothing.
pub(super) fn write_group(database: &Database, group: &[Work], durable: bool) -> Result<(), StoreError> {
    if group.is_empty() && !durable {
        return Ok(());
    }
    let mut transaction = database.begin_write()?;
    transaction
        .set_durability(if durable { Durability::Immediate } else { Durability::None })
        .map_err(|error| StoreError::Failed(error.to_string()))?;
    transaction.set_quick_repair(durable);
    // What was applied between two marks is written together.
    for some in group.chunk_by(|a, b| matches!((a, b), (Work::Write(_), Work::Write(_)))) {
        match some {
            [Work::Fill(fetched)] => fill_rows(&transaction, fetched)?,
            [Work::Jump(leaves)] => note_jump(&transaction, *leaves)?,
            applied => write_applied(&transaction, applied)?,
        }
    }
    transaction.commit()?;
    Ok(())
}

/// One event with its canonical bytes.
struct EventRow<'a> {
    leaf: u64,
    event: &'a Event,
    bytes: &'a [u8],
}

impl Applied {
    fn rows(&self) -> impl Iterator<Item = EventRow<'_>> {
        let events = (self.first_leaf..).zip(self.events.iter()).zip(self.encoded.iter());
        let rows = events.map(|((leaf, event), bytes)| EventRow { leaf, event, bytes });
        rows.filter(|row| !(planted(Plant::LostRow) && row.leaf % 7 == 6))
    }
}

fn write_applied(transaction: &WriteTransaction, group: &[Work]) -> Result<(), StoreError> {
    let applied = || {
        group.iter().filter_map(|work| match work {
            Work::Write(applied) => Some(applied),
            _ => None,
        })
    };
    write_events(transaction, &applied().flat_map(Applied::rows).collect::<Vec<_>>())?;
    write_nodes(transaction, applied().flat_map(|applied| applied.nodes.iter().copied()).collect())?;
    if applied().any(|applied| !applied.evidence.is_empty()) {
        let mut evidence = transaction.open_table(EVIDENCE)?;
        for (digest, bytes) in applied().flat_map(|applied| &applied.evidence) {
            evidence.insert(digest.0.as_slice(), &bytes[..])?;
        }
    }
    Ok(())
}

/// Rows come in order of their leaves, and so of their keys.
fn write_events(transaction: &WriteTransaction, rows: &[EventRow<'_>]) -> Result<(), StoreError> {
    let key = |row: &EventRow<'_>| EventKey { log_index: row.event.log_index, n: row.event.n };
    let keys: Vec<_> = rows.iter().map(|row| key(row).to_bytes()).collect();
    let values: Vec<_> = rows.iter().map(|row| event_value(row.leaf, row.bytes)).collect();
    let events: Vec<(&[u8], &[u8])> = keys.iter().zip(&values).map(|(key, value)| (&key[..], &value[..])).collect();
    put_run(&mut transaction.open_table(EVENTS)?, &events)?;
    let leaves: Vec<(u64, &[u8])> = rows.iter().zip(&keys).map(|(row, key)| (row.leaf, &key[..])).collect();
    put_run(&mut transaction.open_table(LEAVES)?, &leaves)?;
    concerns::write(transaction, rows.iter().map(|row| (row.leaf, row.event)))?;
    let of_agents =
        |(row, key): (&EventRow<'_>, _)| row.event.agents().map(|agent| history_key(&agent, key)).collect::<Vec<_>>();
    let mut history: Vec<_> = rows.iter().map(|row| (row, key(row))).flat_map(of_agents).collect();
    history.sort_unstable();
    history.dedup();
    let mut table = transaction.open_table(HISTORY)?;
    for of_agent in history.chunk_by(|a, b| history_agent(a) == history_agent(b)) {
        let of_agent: Vec<(&[u8], ())> = of_agent.iter().map(|key| (&key[..], ())).collect();
        put_run(&mut table, &of_agent)?;
    }
    Ok(())
}

fn write_nodes(transaction: &WriteTransaction, mut nodes: Vec<Node>) -> Result<(), StoreError> {
    nodes.sort_unstable_by_key(|node| (node.level, node.index));
    let mut table = transaction.open_table(NODES)?;
    for of_level in nodes.chunk_by(|a, b| a.level == b.level) {
        let keys: Vec<_> = of_level.iter().map(|node| node_key(node.level, node.index)).collect();
        let rows: Vec<(&[u8], &[u8])> =
            keys.iter().zip(of_level).map(|(key, node)| (&key[..], &node.hash.0[..])).collect();
        put_run(&mut table, &rows)?;
    }
    Ok(())
}

/// Adds rows in ascending order of their keys. Between them the table has no others, so one descent finds the gap for all
/// of them; where the log is applied again it has the same ones, which are written over.
fn put_run<'v, K: Key + 'static, V: Value + 'static>(
    table: &mut Table<'_, K, V>,
    rows: &[(K::SelfType<'v>, V::SelfType<'v>)],
) -> Result<(), StoreError> {
    let mut put = 0;
    if let [(first, _), ..] = rows
        && rows.len() >= RUN_MIN
    {
        let mut cursor = table.upper_bound_mut(Bound::Excluded(first))?;
        for (key, value) in rows {
            match cursor.insert_before(key, value) {
                Ok(()) => put += 1,
                Err(CursorError::UnorderedKey) => break,
                Err(error) => return Err(error.into()),
            }
        }
        cursor.close()?;
    }
    for (key, value) in rows.iter().skip(put) {
        table.insert(key, value)?;
    }
    Ok(())
}

/// Begins or extends the gap. Leaves behind the last stored one and before `leaves` are missing.
pub(super) fn note_jump(transaction: &WriteTransaction, leaves: u64) -> Result<(), StoreError> {
    let mut marks = transaction.open_table(MARKS)?;
    let stored = transaction.open_table(LEAVES)?.last()?.map_or(0, |(leaf, _)| leaf.value() + 1);
    let open = marks.get(GAP_FROM)?.map(|mark| mark.value());
    if stored < leaves || open.is_some() {
        marks.insert(GAP_FROM, open.unwrap_or(stored))?;
        marks.insert(GAP_TO, leaves)?;
    }
    Ok(())
}

/// Writes fetched rows and the nodes that their leaves complete.
fn fill_rows(transaction: &WriteTransaction, fetched: &[StoredEvent]) -> Result<(), StoreError> {
    for row in fetched {
        let event = Event::from_bytes(&row.bytes).map_err(|error| StoreError::Failed(error.to_string()))?;
        write_events(transaction, &[EventRow { leaf: row.leaf, event: &event, bytes: &row.bytes }])?;
        write_nodes(transaction, completed(transaction, row.leaf, merkle::leaf_hash(&row.bytes))?)?;
    }
    let mut marks = transaction.open_table(MARKS)?;
    let Some(last) = fetched.last() else { return Ok(()) };
    let to = marks.get(GAP_TO)?.map_or(0, |mark| mark.value());
    if last.leaf + 1 >= to {
        marks.remove(GAP_FROM)?;
        marks.remove(GAP_TO)?;
    } else {
        marks.insert(GAP_FROM, last.leaf + 1)?;
    }
    Ok(())
}

/// The nodes that a leaf completes: itself, and one subtree per trailing one of its number.
fn completed(transaction: &WriteTransaction, leaf: u64, hash: Hash) -> Result<Vec<Node>, StoreError> {
    let nodes = transaction.open_table(NODES)?;
    let mut made = vec![Node { level: 0, index: leaf, hash }];
    let (mut level, mut hash) = (0, hash);
    while (leaf >> level) & 1 == 1 {
        let left = nodes.get(node_key(level, (leaf >> level) - 1).as_slice())?;
        let left = left.and_then(|left| left.value().try_into().ok().map(Hash));
        let Some(left) = left else { return Err(StoreError::Failed("a Merkle node is missing".into())) };
        hash = merkle::node_hash(&left, &hash);
        level += 1;
        made.push(Node { level, index: leaf >> level, hash });
    }
    Ok(made)
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
