//! From two ledgers alone, with nothing under way: a fair network ends everything.

use comity_ledger::{Ledger, check};
use comity_proto::entry::EntryItem;

use super::{
    state::LedgerId,
    tables::{Tables, stamp_of},
};
use crate::core::pair;

/// Looks after which everything must have ended. A look is a retry of both sides with all that follows from it.
const LOOKS_MAX: u32 = 16;
/// How far the clocks go on from one look to the next.
const LOOK_MS: u64 = 5_000;

/// How many looks it takes.
///
/// # Errors
/// What has not ended, or what is wrong once it has.
pub(super) fn heal(tables: &mut Tables, ids: [LedgerId; 2], late: [bool; 2]) -> Result<u32, String> {
    let mut pair = [0, 1].map(|domain| tables.ledgers[domain][usize::from(ids[domain])].clone());
    for look in 0..=LOOKS_MAX {
        if pair.iter().all(|ledger| ledger.in_doubt().is_empty()) {
            pair::check(&pair[0], &pair[1]).map_err(|wrong| format!("healed: {wrong}"))?;
            return Ok(look);
        }
        let mut queue = Vec::new();
        for domain in 0..2 {
            let now_ms = stamp_of(late[domain]) + u64::from(look) * LOOK_MS;
            if pair[domain].pulse_due(now_ms) {
                let owed = apply(&mut pair[domain], now_ms, check(&EntryItem::Pulse), tables);
                queue.extend(owed.into_iter().map(|owed| (domain, owed)));
            }
            queue.extend(pair[domain].owed_all().into_iter().map(|owed| (domain, owed)));
        }
        let mut answers = 0;
        while let Some((from, owed)) = queue.pop() {
            answers += 1;
            if answers > 1_000 {
                return Err("liveness: two ledgers answer each other without an end".to_owned());
            }
            let Some(letter) = tables.letter(from, owed) else { continue };
            let to = 1 - from;
            let now_ms = stamp_of(late[to]) + u64::from(look) * LOOK_MS;
            let owed = apply(&mut pair[to], now_ms, letter.open(&tables.cast), tables);
            queue.extend(owed.into_iter().map(|owed| (to, owed)));
        }
    }
    Err(format!(
        "liveness: after {LOOKS_MAX} looks of a fair network there is still in doubt: {:?} and {:?}",
        pair[0].in_doubt(),
        pair[1].in_doubt()
    ))
}

fn apply(
    ledger: &mut Ledger,
    now_ms: u64,
    item: comity_ledger::CheckedItem,
    tables: &mut Tables,
) -> Vec<comity_ledger::Owed> {
    let index = ledger.log_index() + 1;
    let applied = ledger.apply(index, now_ms, vec![item]);
    tables.keep(applied.evidence);
    applied.owed
}
