//! `replay`: the same universe again, byte for byte.

use std::time::Duration;

use super::{
    COMMIT, System,
    args::ReplayArgs,
    files::{self, Problem},
    held::held,
    output::{item, line, moment},
    summary,
};
use crate::record::{Record, Verdict};

/// A universe that did not repeat.
const DIFFERS: u8 = 1;

pub(super) fn replay(system: System, args: &ReplayArgs) -> Result<u8, Problem> {
    let kept = files::record(&args.record)?;
    files::same_commit(&kept, args.any_commit)?;
    let name = args.record.display().to_string();
    let command = ["comity-sim", "replay", &name];
    let last = summary::last_words(&kept.plan, &command, (true, false));
    (system.last_words)(last, Verdict::Crashed.exit_code());
    summary::head(&kept.plan);
    let again = held(system, &kept.plan, Duration::from_secs(args.max_wall_s), |_| {})?;
    if let Some(out) = &args.out {
        files::write_json(out, &again)?;
    }
    summary::verdict(&again, &command);
    match difference(&kept, &again)? {
        None => {
            line(format_args!(
                "the same, byte for byte: every event, state and figure of {name} but the real time it took"
            ));
            Ok(again.verdict.exit_code())
        }
        Some(difference) => {
            item("DIFFERS", difference);
            if kept.commit != COMMIT {
                item("", format_args!("the record is of commit {}, this program is {COMMIT}", kept.commit));
            }
            Ok(DIFFERS)
        }
    }
}

/// In what two records differ, apart from the real time they took and the program that made them.
pub(super) fn difference(one: &Record, other: &Record) -> Result<Option<String>, Problem> {
    let bytes = |record: &Record| serde_json::to_vec(&Record { wall_ms: 0, commit: String::new(), ..record.clone() });
    if bytes(one)? == bytes(other)? {
        return Ok(None);
    }
    Ok(Some(first_difference(one, other)))
}

/// Where two runs began to differ, as near as their marks tell.
fn first_difference(one: &Record, other: &Record) -> String {
    if one.digest == other.digest {
        let told = one.timeline.iter().zip(&other.timeline).find(|(a, b)| a != b);
        return match told {
            Some((a, _)) => format!("the events are the same, but what is told of them differs at {}", moment(a.at_ms)),
            None => "the events are the same, but the records are not".to_owned(),
        };
    }
    // The longer run keeps every second mark when it has too many.
    let every = one.marks_every.max(other.marks_every);
    let spread = |record: &Record| {
        let step = (every / record.marks_every.max(1)).max(1) as usize;
        record.marks.iter().skip(step - 1).step_by(step).copied().collect::<Vec<u64>>()
    };
    let (a, b) = (spread(one), spread(other));
    let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count() as u64;
    let told = one.timeline.iter().zip(&other.timeline).find(|(a, b)| a != b);
    let near = told.map(|(a, b)| format!("; what is told differs first at {}", moment(a.at_ms.min(b.at_ms))));
    format!(
        "digest {:016x} against {:016x}: the first difference lies between event {} and event {}{}",
        one.digest,
        other.digest,
        same * every,
        (same + 1) * every,
        near.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan::Plan, scenario};

    fn record(marks: &[u64], marks_every: u64, digest: u64) -> Record {
        Record {
            verdict: Verdict::Held,
            commit: "a".to_owned(),
            plan: Plan::draw(7, &scenario::named("two-domains").expect("it is shipped")),
            digest,
            marks: marks.to_vec(),
            marks_every,
            events: 100,
            virtual_ms: 1,
            wall_ms: 1,
            failure: None,
            timeline: Vec::new(),
            reached: Default::default(),
        }
    }

    #[test]
    fn real_time_and_program_do_not_count() {
        let other = Record { wall_ms: 9, commit: "b".to_owned(), ..record(&[1], 10, 5) };
        assert_eq!(difference(&record(&[1], 10, 5), &other).ok(), Some(None));
    }

    #[test]
    fn the_first_difference_is_told_also_when_marks_are_spread_differently() {
        let told = |a: &Record, b: &Record| difference(a, b).ok().flatten().unwrap_or_default();
        let both = told(&record(&[1, 2, 3], 10, 5), &record(&[1, 2, 4], 10, 6));
        assert!(both.contains("between event 20 and event 30"), "{both}");
        let spread = told(&record(&[1, 2, 3, 4], 10, 5), &record(&[2, 9], 20, 6));
        assert!(spread.contains("between event 20 and event 40"), "{spread}");
    }
}
