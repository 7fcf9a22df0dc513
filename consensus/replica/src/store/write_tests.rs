use comity_ledger::{AccountKey, AssetIndex, EventKind, Leg, merkle::CompactRange};
use comity_proto::ids::AgentId;
use redb::{ReadableDatabase, TableDefinition, backends::InMemoryBackend};

use super::*;

const USD: AssetIndex = AssetIndex(0);
/// Events of each entry: runs of one row and of many.
const ENTRIES: [u32; 7] = [1, 9, 2, 40, 3, 1, 12];

fn event(log_index: u64, n: u32) -> Event {
    let agent = |n: u64| AccountKey::agent(AgentId([(n % 5) as u8; 32]), USD);
    let legs = vec![Leg::debit(agent(log_index), 7), Leg::credit(agent(u64::from(n)), 7)];
    Event { log_index, n, stamp_ms: 1_000 + log_index, kind: EventKind::FaucetFunded, legs }
}

fn applied() -> Vec<Work> {
    let mut tree = CompactRange::new();
    let entry = |(log_index, count): (u64, u32)| {
        let events: Vec<Event> = (0..count).map(|n| event(log_index, n)).collect();
        let (first_leaf, mut nodes) = (tree.size(), Vec::new());
        events.iter().for_each(|event| tree.append_to(event.leaf(), &mut nodes));
        let encoded = events.iter().collect();
        Work::Write(Applied { first_leaf, events: events.into(), encoded, nodes, evidence: Vec::new() })
    };
    (1..).zip(ENTRIES).map(entry).collect()
}

fn database() -> Database {
    let database = Database::builder().create_with_backend(InMemoryBackend::new()).expect("memory");
    write_group(&database, &[Work::Jump(0)], true).expect("tables");
    write_group(
        &database,
        &[Work::Write(Applied {
            first_leaf: 0,
            events: [].into(),
            encoded: Default::default(),
            nodes: Vec::new(),
            evidence: Vec::new(),
        })],
        true,
    )
    .expect("tables");
    database
}

/// All rows of all tables.
fn rows(database: &Database) -> Vec<(Vec<u8>, Vec<u8>)> {
    let transaction = database.begin_read().expect("readable");
    let mut rows = Vec::new();
    let mut take = |table: TableDefinition<'_, &'static [u8], &'static [u8]>| {
        for row in transaction.open_table(table).expect("a table").iter().expect("rows") {
            let (key, value) = row.expect("a row");
            rows.push((key.value().to_vec(), value.value().to_vec()));
        }
    };
    take(EVENTS);
    take(NODES);
    for row in transaction.open_table(LEAVES).expect("a table").iter().expect("rows") {
        let (key, value) = row.expect("a row");
        rows.push((key.value().to_be_bytes().to_vec(), value.value().to_vec()));
    }
    for row in transaction.open_table(HISTORY).expect("a table").iter().expect("rows") {
        rows.push((row.expect("a row").0.value().to_vec(), Vec::new()));
    }
    rows
}

#[test]
fn the_rows_do_not_depend_on_how_entries_are_grouped_or_how_often_they_are_written() {
    let alone = database();
    for work in applied() {
        write_group(&alone, &[work], false).expect("written");
    }
    let events: u32 = ENTRIES.iter().sum();
    let want = rows(&alone);
    assert!(want.len() > 4 * events as usize, "events, leaves, nodes and at least one row of history for each");
    let together = database();
    write_group(&together, &applied(), false).expect("written");
    assert_eq!(rows(&together), want);
    // As after a crash: the first entries are there, then all of the log is applied again.
    let again = database();
    write_group(&again, &applied()[..4], true).expect("written");
    write_group(&again, &applied(), true).expect("written");
    assert_eq!(rows(&again), want);
}
