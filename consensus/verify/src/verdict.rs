//! One entry for every kind of document: what it turned out to be, with everything in it judged.

use crate::{
    chain::{Chain, Judged},
    decisions::{self, TwoDecisions},
    document::{Extension, Head, Inclusion, Kind, Other, Reader},
    export::{Report, verify_history},
    proof::{self, Refused},
    wrong::{Place, Rule, Wrong},
};
use comity_ledger::{Event, checkpoint::Checkpoint};
use std::io::Read;

/// What a document turned out to be.
#[derive(Debug)]
pub enum Verdict {
    /// A whole history.
    History(Report),
    /// A checkpoint alone: its signature, and that nothing speaks against the older one.
    Checkpoint {
        /// What was signed, by whom.
        judged: Judged,
        /// Events in the older checkpoint, if one was given.
        against: Option<u64>,
    },
    /// The newer checkpoint extends the older one that the file brings.
    Extension {
        /// The newer checkpoint.
        newer: Judged,
        /// The older one, as the domain signs it now.
        older: Judged,
        /// Whether it is the one that was given.
        against: bool,
    },
    /// The domain signed two histories: whoever holds this needs to believe nobody.
    Equivocation {
        /// One of them.
        first: Judged,
        /// The other one.
        second: Judged,
    },
    /// One event is in the signed tree.
    Inclusion {
        /// What was signed, by whom.
        judged: Judged,
        /// Number of the event.
        index: u64,
        /// What it says.
        event: Box<Event>,
    },
    /// The domain signed two ends of one transfer.
    TwoDecisions(TwoDecisions),
}

/// Judges a document of any kind; `against` is a checkpoint that it must extend.
///
/// # Errors
/// The first thing that is wrong: in the head, at an event by its index, or at the end.
pub fn verify(input: impl Read, against: Option<&Judged>) -> Result<Verdict, Wrong> {
    let mut name = Vec::with_capacity(decisions::NAME.len());
    let mut input = input;
    let length = u64::try_from(decisions::NAME.len()).unwrap_or(u64::MAX);
    let read = input.by_ref().take(length).read_to_end(&mut name);
    read.map_err(|error| head_wrong(Rule::Unreadable, error.to_string()))?;
    if name == decisions::NAME {
        return match against {
            Some(_) => Err(head_wrong(Rule::OtherSize, "two decisions prove themselves; nothing is held against them")),
            None => decisions::verify(input).map(Verdict::TwoDecisions),
        };
    }
    let (head, reader) = Reader::open(name.as_slice().chain(input))?;
    let judged = head.judge()?;
    if head.kind == Kind::Equivocation {
        return verify_equivocation(&head, judged, reader.other()?, against);
    }
    let older = against.map(|older| *older.checkpoint());
    if let Some(older) = &older {
        proof::comparable(older, judged.checkpoint()).map_err(|refused| incomparable(&refused))?;
    }
    match head.kind {
        Kind::History => verify_history(reader, &judged, older.as_ref()).map(Verdict::History),
        Kind::Extension => verify_extension(&head, judged, reader.extension()?, against),
        Kind::Inclusion => verify_inclusion(judged, reader.inclusion()?, older.as_ref()),
        Kind::Checkpoint | Kind::Equivocation => {
            reader.end()?;
            Ok(Verdict::Checkpoint { judged, against: older.map(|older| older.size) })
        }
    }
}

/// The signed checkpoint in the head of a document, which is not read further.
///
/// # Errors
/// What is wrong with it.
pub fn checkpoint_of(input: impl Read) -> Result<Judged, Wrong> {
    Reader::open(input)?.0.judge()
}

fn head_wrong(rule: Rule, detail: impl Into<String>) -> Wrong {
    Wrong::new(Place::Head, rule, detail)
}

fn incomparable(refused: &Refused) -> Wrong {
    let rule = match refused {
        Refused::OtherDomain => Rule::OtherDomain,
        Refused::SameSizeOtherRoot { .. } => Rule::SameSizeOtherRoot,
        Refused::Shrunk { .. } => Rule::Shrunk,
        _ => Rule::Proof,
    };
    head_wrong(rule, format!("{}: {refused}", refused.name()))
}

fn verify_extension(
    head: &Head,
    newer: Judged,
    Extension { older, proof }: Extension,
    against: Option<&Judged>,
) -> Result<Verdict, Wrong> {
    let older = head.chain.judge(&older)?;
    proof::extends(older.checkpoint(), newer.checkpoint(), &proof).map_err(|refused| incomparable(&refused))?;
    if let Some(kept) = against {
        let (kept, brought) = (kept.checkpoint(), older.checkpoint());
        if kept.size != brought.size {
            let detail = format!("it extends a tree of {} events, the checkpoint has {}", brought.size, kept.size);
            return Err(head_wrong(Rule::OtherSize, detail));
        }
        proof::comparable(kept, brought).map_err(|refused| incomparable(&refused))?;
    }
    Ok(Verdict::Extension { newer, older, against: against.is_some() })
}

/// A kept checkpoint of the same size has been held against this one before; of another size it would say nothing.
fn verify_inclusion(judged: Judged, rest: Inclusion, kept: Option<&Checkpoint>) -> Result<Verdict, Wrong> {
    let Inclusion { index, event, path } = rest;
    let size = judged.checkpoint().size;
    if let Some(kept) = kept.filter(|kept| kept.size != size) {
        let detail = format!("the event is proved to a tree of {size} events, the checkpoint has {}", kept.size);
        return Err(head_wrong(Rule::OtherSize, detail));
    }
    proof::includes(judged.checkpoint(), index, &event, &path).map_err(|refused| incomparable(&refused))?;
    let read = Event::from_bytes(&event).map_err(|error| head_wrong(Rule::Malformed, error.to_string()))?;
    if read.to_bytes() != event {
        return Err(head_wrong(Rule::NotCanonical, "its bytes are not the one encoding of what they say"));
    }
    Ok(Verdict::Inclusion { judged, index, event: Box::new(read) })
}

fn verify_equivocation(head: &Head, first: Judged, other: Other, against: Option<&Judged>) -> Result<Verdict, Wrong> {
    if against.is_some() {
        return Err(head_wrong(Rule::OtherSize, "an equivocation proves itself; nothing is held against it"));
    }
    let chain = Chain { roster: other.roster, ..head.chain.clone() };
    let second = chain.judge(&other.checkpoint)?;
    if contradict(&first, &second) {
        return Ok(Verdict::Equivocation { first, second });
    }
    let (one, two) = (first.checkpoint(), second.checkpoint());
    let detail = format!("{} events with root {}, {} with {}", one.size, one.root, two.size, two.root);
    Err(head_wrong(Rule::NoContradiction, detail))
}

/// Whether one domain signed two roots over one number of events.
#[must_use]
pub fn contradict(first: &Judged, second: &Judged) -> bool {
    matches!(proof::comparable(first.checkpoint(), second.checkpoint()), Err(Refused::SameSizeOtherRoot { .. }))
}

/// Every checkpoint that a document brings, as a head of its own: one, or two in an extension and in an equivocation.
///
/// # Errors
/// What is wrong with its form or with one of their signatures.
pub fn checkpoints_of(input: impl Read) -> Result<Vec<Head>, Wrong> {
    let (head, reader) = Reader::open(input)?;
    let first = Head { kind: Kind::Checkpoint, ..head.clone() };
    let mut found = vec![first.clone()];
    match head.kind {
        Kind::Checkpoint | Kind::History | Kind::Inclusion => {}
        Kind::Extension => found.push(Head { checkpoint: reader.extension()?.older, ..first }),
        Kind::Equivocation => {
            let Other { roster, checkpoint } = reader.other()?;
            found.push(Head { kind: Kind::Checkpoint, chain: Chain { roster, ..head.chain }, checkpoint });
        }
    }
    found.iter().try_for_each(|head| head.judge().map(|_| ()))?;
    Ok(found)
}

/// The first two checkpoints, one of each side, that contradict each other.
///
/// # Errors
/// One of them is not properly signed.
pub fn contradiction(ones: &[Head], others: &[Head]) -> Result<Option<(Head, Other)>, Wrong> {
    for one in ones {
        let first = one.judge()?;
        for other in others {
            if contradict(&first, &other.judge()?) {
                let head = Head { kind: Kind::Equivocation, ..one.clone() };
                let other = Other { roster: other.chain.roster.clone(), checkpoint: other.checkpoint.clone() };
                return Ok(Some((head, other)));
            }
        }
    }
    Ok(None)
}
