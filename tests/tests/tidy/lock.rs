//! `Cargo.lock`: crates whose older versions were dangerous, and one version of each crate we name ourselves.
//!
//! Advisory databases knew none of the gossipsub and yamux crashes when this was written, so the floors stand here.

use crate::tree::{Breach, Tree, none};
use std::collections::{BTreeMap, BTreeSet};

/// `[[package]]` of a lock file.
struct Locked {
    name: String,
    version: String,
    /// A package without a source is ours.
    ours: bool,
    /// Entries as written: a name, or a name and a version where the name alone is ambiguous.
    dependencies: Vec<String>,
    line: usize,
}

enum Must {
    /// Every version in the lock is this one or newer.
    AtLeast(&'static str),
    /// Only this version is in the lock.
    Exactly(&'static str),
}

struct Floor {
    name: &'static str,
    must: Must,
    /// A crate that must be in the lock; the others count only when they are.
    required: bool,
    reason: &'static str,
}

const FLOORS: &[Floor] = &[
    floor(
        "libp2p-gossipsub",
        Must::AtLeast("0.50.1"),
        true,
        "GHSA-vrx6-jcp8-vm7m and three older remote crashes by PRUNE and GRAFT",
    ),
    floor(
        "yamux",
        Must::AtLeast("0.13.10"),
        true,
        "GHSA-vxx9-2994-q338, GHSA-4w32-2493-32g7: remote panics; the 0.12 line stays open",
    ),
    floor("libp2p-quic", Must::AtLeast("0.13.1"), false, "GHSA-5hq8-qhww-jm7q: a certificate failure panics"),
    floor(
        "openraft",
        Must::Exactly("0.9.25"),
        true,
        "older: commit without a quorum (1802); 0.10 is alpha with an open crash",
    ),
    floor(
        "ed25519-dalek",
        Must::AtLeast("3.0.0"),
        true,
        "one major with libp2p-identity: two would verify differently",
    ),
    floor("redb", Must::AtLeast("4.4.0"), true, "older: crash on resize, silent roll-back after repair"),
    floor("rustls", Must::AtLeast("0.23.18"), false, "RUSTSEC-2024-0399 and older: remote panic, endless loop"),
    floor("rustls-webpki", Must::AtLeast("0.103.0"), false, "older lines get no fixes of name constraint checks"),
    floor("quinn-proto", Must::AtLeast("0.11.9"), false, "older: remote panics of an endpoint"),
    floor("hickory-proto", Must::AtLeast("0.25.0"), false, "RUSTSEC-2025-0006: DNSSEC validation mistakes"),
    floor(
        "negentropy",
        Must::AtLeast("0.5.3"),
        false,
        "0.5.2: memory exhaustion; 0.5.3: syncs that end with items missing",
    ),
    floor("prost", Must::AtLeast("0.14.4"), true, "the version our golden bytes were made with; recursion limit on"),
    floor("curve25519-dalek", Must::AtLeast("4.1.3"), true, "RUSTSEC-2024-0344: timing of scalar subtraction"),
    floor("tokio", Must::AtLeast("1.44.2"), true, "RUSTSEC-2025-0023: unsound broadcast channel"),
    floor("crossbeam-channel", Must::AtLeast("0.5.15"), false, "RUSTSEC-2025-0024: double free on drop"),
    floor("ring", Must::AtLeast("0.17.12"), false, "RUSTSEC-2025-0009: panic with overflow checks on"),
    floor("snow", Must::AtLeast("0.9.5"), true, "RUSTSEC-2024-0011: unauthenticated nonce increment"),
    floor("idna", Must::AtLeast("1.0.0"), false, "RUSTSEC-2024-0421: two spellings of one host name"),
    floor("h2", Must::AtLeast("0.4.4"), false, "RUSTSEC-2024-0332: CONTINUATION flood"),
    floor("tracing-subscriber", Must::AtLeast("0.3.20"), true, "RUSTSEC-2025-0055: terminal escapes in logged input"),
];

const fn floor(name: &'static str, must: Must, required: bool, reason: &'static str) -> Floor {
    Floor { name, must, required, reason }
}

/// Reads what cargo writes: `key = "value"` lines and one list per package.
fn parse(lock: &str) -> Vec<Locked> {
    let mut packages: Vec<Locked> = Vec::new();
    let quoted = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
    for (number, line) in lock.lines().enumerate() {
        if line == "[[package]]" {
            let (name, version, dependencies) = (String::new(), String::new(), Vec::new());
            packages.push(Locked { name, version, ours: true, dependencies, line: number + 1 });
        }
        let Some(package) = packages.last_mut() else { continue };
        match line.split_once(" = ").map_or(line, |(key, _)| key) {
            "name" => package.name = quoted(line),
            "version" => package.version = quoted(line),
            "source" => package.ours = false,
            _ if line.starts_with(" \"") => package.dependencies.push(quoted(line)),
            _ => {}
        }
    }
    packages
}

/// Compares release numbers; a pre-release is older than its release.
fn order(version: &str) -> (Vec<u64>, bool) {
    let plain = version.split('+').next().unwrap_or_default();
    let (numbers, pre) = plain.split_once('-').map_or((plain, false), |(numbers, _)| (numbers, true));
    (numbers.split('.').map(|n| n.parse().unwrap_or(0)).collect(), !pre)
}

fn below_floor(lock: &str, floors: &[Floor]) -> Vec<Breach> {
    let packages = parse(lock);
    let mut breaches = Vec::new();
    for floor in floors {
        let found: Vec<&Locked> = packages.iter().filter(|p| p.name == floor.name).collect();
        if found.is_empty() && floor.required {
            let rule = format!("{} is missing; its floor guards nothing ({})", floor.name, floor.reason);
            breaches.push(Breach::new("Cargo.lock", 0, rule, "if it was replaced, replace its line in tidy/lock.rs"));
        }
        for package in found {
            let (good, wanted) = match floor.must {
                Must::AtLeast(min) => (order(&package.version) >= order(min), format!(">= {min}")),
                Must::Exactly(only) => (package.version == only, format!("= {only}")),
            };
            if !good {
                let rule = format!("{} {} must be {wanted}: {}", floor.name, package.version, floor.reason);
                breaches.push(Breach::new(
                    "Cargo.lock",
                    package.line,
                    rule,
                    "cargo update -p <crate> --precise <version>",
                ));
            }
        }
    }
    breaches
}

fn several_versions(lock: &str) -> Vec<Breach> {
    let packages = parse(lock);
    let mut used: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages.iter().filter(|p| p.ours) {
        for dependency in &package.dependencies {
            let (name, version) = dependency.split_once(' ').unwrap_or((dependency, ""));
            used.entry(name).or_default().insert(version);
        }
    }
    let several = used.into_iter().filter(|(_, versions)| versions.len() > 1);
    several
        .map(|(name, versions)| {
            let rule = format!("our crates use {name} in the versions {versions:?}");
            Breach::new("Cargo.lock", 0, rule, "keep one version in the workspace's table")
        })
        .collect()
}

fn lock() -> String {
    let mut tree = Tree::workspace();
    tree.files.remove("Cargo.lock").expect("the lock file is committed")
}

#[test]
fn no_security_relevant_crate_is_below_its_floor() {
    let lock = lock();
    assert!(parse(&lock).iter().any(|p| p.ours && p.dependencies.len() > 10), "the lock file was not understood");
    none(below_floor(&lock, FLOORS));
}

#[test]
fn our_crates_share_one_version_of_what_they_name() {
    none(several_versions(&lock()));
}

const SAMPLE: &str = r#"
[[package]]
name = "comity-node"
version = "0.1.0"
dependencies = [
 "rand 0.8.5",
 "yamux",
]

[[package]]
name = "comity-tests"
version = "0.1.0"
dependencies = [
 "rand 0.9.0",
]

[[package]]
name = "yamux"
version = "0.12.1"
source = "registry"

[[package]]
name = "yamux"
version = "0.13.10"
source = "registry"

[[package]]
name = "openraft"
version = "0.9.26"
source = "registry"
"#;

#[test]
fn each_version_below_its_floor_is_a_failure_of_its_own() {
    let floors = [
        floor("yamux", Must::AtLeast("0.13.10"), true, "panics"),
        floor("openraft", Must::Exactly("0.9.25"), true, "pinned"),
        floor("redb", Must::AtLeast("4.4.0"), true, "required"),
        floor("negentropy", Must::AtLeast("0.5.3"), false, "only if present"),
    ];
    let breaches = below_floor(SAMPLE, &floors);
    let rules: Vec<&str> = breaches.iter().map(|b| b.rule.split(':').next().unwrap_or_default()).collect();
    assert_eq!(rules.len(), 3, "{rules:?}");
    assert_eq!(rules[0], "yamux 0.12.1 must be >= 0.13.10");
    assert_eq!(rules[1], "openraft 0.9.26 must be = 0.9.25");
    assert!(rules[2].starts_with("redb is missing"));
}

#[test]
fn two_locked_versions_behind_our_own_crates_are_found() {
    let breaches = several_versions(SAMPLE);
    assert_eq!(breaches.len(), 1);
    assert!(breaches[0].rule.contains("rand"), "{breaches:?}");
}

#[test]
fn versions_compare_as_numbers_and_pre_releases_come_first() {
    assert!(order("0.50.1") > order("0.9.25"));
    assert!(order("4.4.0-rc.1") < order("4.4.0"));
    assert!(order("1.1.3+spec-1.1.0") == order("1.1.3"));
}
