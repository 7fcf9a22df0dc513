//! Plays `scripts/*.txt`: what people and time do to a ledger, readable without this program.
//!
//! A line is a step; the lines behind it that begin with `->` are its answer. `COMITY_BLESS=1` writes the answers that
//! the ledger gives into the files, to be read as a diff. The words of a step are in `scripts/README.txt`.

mod hostile;
mod script;
mod support;

use comity_ledger::Outcome;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn files(folder: &str, ends: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.is_file() && path.to_string_lossy().ends_with(ends));
    files.sort();
    files
}

fn scripts() -> Vec<PathBuf> {
    files("scripts", ".txt").into_iter().filter(|path| !path.ends_with("README.txt")).collect()
}

#[test]
fn every_script_ends_as_it_says() {
    let bless = std::env::var_os("COMITY_BLESS").is_some();
    let mut wrong = String::new();
    for path in scripts() {
        let before = fs::read_to_string(&path).expect("a readable script");
        let (after, _) = script::play(&path.display().to_string(), &before);
        if before == after {
            continue;
        }
        if bless {
            fs::write(&path, &after).expect("a writable script");
            continue;
        }
        for (n, (old, new)) in
            before.lines().zip(after.lines()).enumerate().filter(|(_, (old, new))| old != new).take(5)
        {
            wrong.push_str(&format!("{}:{}\n  - {old}\n  + {new}\n", path.display(), n + 1));
        }
        wrong.push_str(&format!(
            "{}: {} lines, now {}\n",
            path.display(),
            before.lines().count(),
            after.lines().count()
        ));
    }
    assert!(wrong.is_empty(), "COMITY_BLESS=1 accepts this:\n{wrong}");
}

/// Limits too large to reach by playing: asserted where the count can be set, as the whole answer to a command.
fn asked_with_the_count_set() -> Vec<Outcome> {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/apply/gate_tests.rs")).expect("a file");
    let asserted = text.lines().filter(|line| line.trim_start().starts_with("assert_eq!(ask(&mut ledger, "));
    let variants = asserted.filter_map(|line| line.split_once("[Outcome::")?.1.strip_suffix("]);").map(str::to_owned));
    let variants: Vec<String> = variants.collect();
    assert!(variants.len() >= 5, "the assertions were not understood: {variants:?}");
    let named = |name: &String| Outcome::ALL.iter().copied().find(|outcome| format!("{outcome:?}") == *name);
    variants.iter().filter_map(named).collect()
}

/// A small generator: the same numbers on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// What two operators may do, in any order, while words between their domains are lost, doubled and late.
fn any_treaty_history(seed: u64) -> String {
    let mut chance = Chance(seed);
    let mut text =
        String::from("genesis\nin beta\ngenesis\nin alpha\noperator invites i0\nin beta\noperator accepts i0\ntalk\n");
    for step in 1..=chance.below(40) {
        let (own, other) = if chance.below(2) == 0 { ("alpha", "beta") } else { ("beta", "alpha") };
        text.push_str(&format!("in {own}\n"));
        let line = match chance.below(13) {
            0 => format!("operator invites i{step} cap {step}.00\nin {other}\noperator accepts i{step} cap {step}.00"),
            1 => format!("operator proposes {other} cap {step}.00"),
            2 | 3 => format!("operator approves {other}"),
            4 => format!("operator denies {other}"),
            5 => format!("operator suspends {other}"),
            6 => format!("operator resumes {other}"),
            7 if chance.below(4) == 0 => format!("operator drains {other}"),
            8 if chance.below(4) == 0 => format!("operator revokes {other}"),
            9 => "talk".into(),
            10 => "repeats".into(),
            _ => "tells".into(),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text + "talk\nin alpha\ntreaty beta\nin beta\ntreaty alpha\n"
}

#[test]
fn whatever_two_operators_do_and_whatever_is_lost_both_sides_see_the_same_treaty_once_they_have_talked() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..400 {
        let text = any_treaty_history(seed);
        let (after, _) = script::play(&format!("seed {seed}"), &text);
        let answers: Vec<&str> = after.lines().filter_map(|line| line.strip_prefix("-> ")).collect();
        let [.., alpha, beta] = answers.as_slice() else { panic!("two looks at the end") };
        // Which of the two has signed alone is told from each side in its own words.
        let plain = |answer: &str| {
            let said = answer.split(", answered").next().unwrap_or_default();
            said.replace("one-way", "half").replace("pending", "half")
        };
        assert_eq!(plain(alpha), plain(beta), "seed {seed}:\n{after}");
        seen.insert(plain(alpha).split(',').next().unwrap_or_default().to_owned());
    }
    assert!(seen.len() >= 5, "the histories end in too few states: {seen:?}");
}

#[test]
fn every_outcome_was_given_by_a_ledger_to_a_script_or_a_hostile_peer() {
    let mut given = hostile::outcomes();
    given.extend(asked_with_the_count_set());
    for path in scripts() {
        let text = fs::read_to_string(&path).expect("a readable script");
        given.extend(script::play(&path.display().to_string(), &text).1);
    }
    let missing: Vec<&str> =
        Outcome::ALL.iter().filter(|outcome| !given.contains(outcome)).map(|outcome| outcome.name()).collect();
    assert!(missing.is_empty(), "no ledger gave {missing:?}");
}
