//! Counts the fields of a protobuf message without building it.
//!
//! Two bytes on the wire can ask for a struct of some hundred bytes, so a list is counted before it is allocated.

use crate::reject::{Reject, within};

/// Refuses a message that has field `number` more than `max` times at its top level. What is malformed is left for the
/// decoder to name.
pub(crate) fn at_most(bytes: &[u8], number: u64, max: usize, limit: &'static str) -> Result<(), Reject> {
    within(count(bytes, number), max, limit)
}

/// The same for a list one level down: `number` inside the top-level field `outer`.
pub(crate) fn at_most_inside(
    mut bytes: &[u8],
    outer: u64,
    number: u64,
    max: usize,
    limit: &'static str,
) -> Result<(), Reject> {
    let mut found = 0usize;
    while let Some(field) = next(bytes) {
        if field.number == outer {
            found = found.saturating_add(count(field.body, number));
        }
        bytes = field.rest;
    }
    within(found, max, limit)
}

/// The top-level fields. Ends where the bytes make no sense.
pub(crate) fn fields(mut bytes: &[u8]) -> impl Iterator<Item = Field<'_>> {
    core::iter::from_fn(move || {
        let field = next(bytes)?;
        bytes = field.rest;
        Some(field)
    })
}

fn count(mut bytes: &[u8], number: u64) -> usize {
    let mut count = 0usize;
    while let Some(field) = next(bytes) {
        if field.number == number {
            count = count.saturating_add(1);
        }
        bytes = field.rest;
    }
    count
}

pub(crate) struct Field<'a> {
    pub(crate) number: u64,
    /// Of a length-delimited field; empty for others.
    pub(crate) body: &'a [u8],
    /// All its bytes, the tag included.
    pub(crate) whole: &'a [u8],
    rest: &'a [u8],
}

/// The first field. `None` at the end or where the bytes make no sense.
fn next(bytes: &[u8]) -> Option<Field<'_>> {
    let (tag, rest) = varint(bytes)?;
    let (body, rest): (&[u8], &[u8]) = match tag & 7 {
        0 => (&[], varint(rest)?.1),
        1 => (&[], rest.get(8..)?),
        2 => {
            let (length, body) = varint(rest)?;
            body.split_at_checked(usize::try_from(length).ok()?)?
        }
        5 => (&[], rest.get(4..)?),
        _ => return None,
    };
    let whole = bytes.get(..bytes.len().checked_sub(rest.len())?)?;
    Some(Field { number: tag >> 3, body, whole, rest })
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        let shift = u32::try_from(index.checked_mul(7)?).ok()?;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index.checked_add(1)?..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_counted_before_it_is_built() {
        let mut bytes = alloc::vec![0x08, 0x96, 0x01];
        bytes.extend([0x12, 0x00].repeat(300));
        bytes.extend([0x1d, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8, 0x12, 0x01, 0xff]);
        assert_eq!(count(&bytes, 2), 301);
        assert_eq!(at_most(&bytes, 2, 301, "items"), Ok(()));
        assert_eq!(at_most(&bytes, 2, 300, "items"), Err(Reject::TooLarge { limit: "items", max: 300 }));
        assert_eq!(at_most_inside(&[0x12, 4, 0x0a, 0, 0x0a, 0], 2, 1, 2, "items"), Ok(()));
        assert_eq!(
            at_most_inside(&[0x12, 4, 0x0a, 0, 0x0a, 0, 0x12, 2, 0x0a, 0], 2, 1, 2, "items"),
            Err(Reject::TooLarge { limit: "items", max: 2 })
        );
        bytes.extend([0x12, 0x7f]);
        assert_eq!(count(&bytes, 2), 301, "a field that is cut off ends the count");
        assert_eq!(count(&[0xff; 20], 2), 0);
    }
}
