//! Which crate may depend on which: our own arrows, and a closed list of everything else.

use crate::tree::{Breach, found_at, metadata, none};
use std::collections::{BTreeMap, BTreeSet};

/// What one crate may name in its `Cargo.toml`. A crate that is missing here may depend on nothing.
struct Allowed {
    name: &'static str,
    /// Our crates, for every kind of dependency.
    ours: &'static [&'static str],
    /// Crates of others in `[dependencies]` and `[build-dependencies]`.
    others: &'static [&'static str],
    /// Crates of others in `[dev-dependencies]` only.
    dev: &'static [&'static str],
}

const ALLOWED: &[Allowed] = &[
    Allowed {
        name: "comity-proto",
        ours: &[],
        others: &[
            "prost",
            "bytes",
            "ed25519-dalek",
            "sha2",
            "data-encoding",
            "serde",
            "thiserror",
            // Only for the simulator: a cell without std.
            "once_cell",
            "protox",
            "prost-build",
        ],
        dev: &["serde_json", "proptest"],
    },
    Allowed {
        name: "comity-ledger",
        ours: &["comity-proto"],
        others: &["serde", "postcard", "sha2", "bytes"],
        dev: &["proptest", "criterion", "serde_json", "ed25519-dalek", "mimalloc"],
    },
    Allowed { name: "comity-runtime", ours: &[], others: &["futures", "bytes", "parking_lot"], dev: &[] },
    Allowed {
        name: "comity-replica",
        ours: &["comity-proto", "comity-ledger", "comity-runtime"],
        others: &[
            "openraft",
            "redb",
            "crc32c",
            "tokio",
            "futures",
            "bytes",
            "parking_lot",
            "serde",
            "postcard",
            "prost",
            "tracing",
            "thiserror",
            "rand",
        ],
        dev: &["tempfile", "tokio", "proptest"],
    },
    // An auditor builds this alone: nothing of a node, nothing that runs or listens.
    Allowed {
        name: "comity-verify",
        ours: &["comity-proto", "comity-ledger"],
        others: &["bytes", "clap"],
        dev: &["proptest"],
    },
    Allowed {
        name: "comity-node",
        ours: &["comity-proto", "comity-ledger", "comity-runtime", "comity-replica", "comity-verify"],
        others: &[
            "libp2p",
            "libp2p-gossipsub",
            "libp2p-stream",
            "tokio",
            "axum",
            // OpenAPI from code.
            "utoipa",
            "utoipa-axum",
            "bip39",
            "clap",
            "comfy-table",
            "indicatif",
            "serde",
            "serde_json",
            // The root key at rest.
            "argon2",
            "chacha20poly1305",
            // Canonical JSON (RFC 8785).
            "serde_json_canonicalizer",
            // HTTPS with X.509-SVIDs.
            "rcgen",
            "rustls",
            "rustls-webpki",
            "tokio-rustls",
            "directories",
            "ureq",
            "tracing",
            "tracing-subscriber",
            "fs4",
            "mimalloc",
            "rustix",
            "futures",
            "bytes",
            "parking_lot",
            // OpenMetrics.
            "prometheus-client",
            "getrandom",
            "rand",
            "ed25519-dalek",
            "sha2",
            "data-encoding",
            "prost",
            // A2A over gRPC: its schema, its messages as JSON, its frames.
            "protox",
            "prost-reflect",
            "tonic",
            "postcard",
            "thiserror",
            "toml",
            "redb",
            "hdrhistogram",
            "tokio-postgres",
        ],
        dev: &["tempfile", "proptest"],
    },
    Allowed {
        name: "comity-sim",
        ours: &["comity-proto", "comity-ledger", "comity-runtime", "comity-replica", "comity-node"],
        others: &[
            "libp2p",
            "bytes",
            "clap",
            "futures",
            "indicatif",
            "parking_lot",
            "plotters",
            "rand",
            "rand_xoshiro",
            "rustix",
            // A run's thread is confined to a few system calls.
            "libc",
            "seccompiler",
            "serde",
            "serde_json",
            "sha2",
            "strsim",
            "tempfile",
            "thiserror",
            // Channels only: they need no runtime.
            "tokio",
            "toml",
            "tracing",
            "tracing-subscriber",
        ],
        dev: &["proptest"],
    },
    // Stand-ins for two crates of others: whatever they depended on would be a dependency of all of libp2p.
    Allowed { name: "futures-timer", ours: &["comity-runtime"], others: &[], dev: &[] },
    Allowed { name: "web-time", ours: &["comity-runtime"], others: &[], dev: &[] },
    Allowed {
        name: "comity-tests",
        ours: &[
            "comity-proto",
            "comity-ledger",
            "comity-runtime",
            "comity-replica",
            "comity-verify",
            "comity-node",
            "comity-sim",
        ],
        others: &[
            "tempfile",
            "serde_json",
            "tokio",
            "ureq",
            // Clients of the doors that are not the product's: of HTTPS, and of gRPC frame by frame.
            "rustls",
            "h2",
            "bytes",
            "ed25519-dalek",
            "proptest",
            "clap",
            "proc-macro2",
            "data-encoding",
        ],
        dev: &[],
    },
];

/// One line of a `Cargo.toml`.
struct Dependency {
    crate_name: String,
    wants: String,
    dev: bool,
    version: String,
}

fn dependencies(metadata: &serde_json::Value) -> Vec<Dependency> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut all = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            all.push(Dependency {
                crate_name: text(&package["name"]),
                wants: text(&dependency["name"]),
                dev: dependency["kind"] == "dev",
                version: text(&dependency["req"]),
            });
        }
    }
    assert!(all.iter().all(|d| !d.crate_name.is_empty() && !d.wants.is_empty()), "cargo metadata changed its shape");
    all
}

/// Where a breach of this crate is shown.
fn manifest_of(crate_name: &str) -> String {
    let folder = match crate_name.strip_prefix("comity-").unwrap_or(crate_name) {
        inner @ ("runtime" | "ledger" | "replica" | "verify") => format!("consensus/{inner}"),
        stand_in @ ("futures-timer" | "web-time") => format!("sim/patches/{stand_in}"),
        outer => outer.to_owned(),
    };
    format!("{folder}/Cargo.toml")
}

fn wrong_arrows(dependencies: &[Dependency]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for d in dependencies.iter().filter(|d| d.wants.starts_with("comity-")) {
        let allowed =
            ALLOWED.iter().find(|a| a.name == d.crate_name).is_some_and(|a| a.ours.contains(&d.wants.as_str()));
        if !allowed {
            let rule = format!("{} may not depend on {}", d.crate_name, d.wants);
            let remedy = "proto <- ledger <- replica <- node <- sim, ledger <- verify <- node, runtime <- replica, node, sim and its patches, tests see all";
            breaches.push(Breach::new(&manifest_of(&d.crate_name), 0, rule, remedy));
        }
    }
    breaches
}

fn unlisted_crates(dependencies: &[Dependency]) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for d in dependencies.iter().filter(|d| !d.wants.starts_with("comity-")) {
        let allowed = ALLOWED
            .iter()
            .find(|a| a.name == d.crate_name)
            .is_some_and(|a| a.others.contains(&d.wants.as_str()) || (d.dev && a.dev.contains(&d.wants.as_str())));
        if !allowed {
            let rule = format!("{} is not on the list of {}", d.wants, d.crate_name);
            let remedy = "do without it, or add it to ALLOWED in tests/tests/tidy/arrows.rs and say why in the commit";
            breaches.push(Breach::new(&manifest_of(&d.crate_name), 0, rule, remedy));
        }
    }
    breaches
}

/// All our crates ask for the same version of a crate: the one of the workspace's table.
fn two_versions(dependencies: &[Dependency]) -> Vec<Breach> {
    let mut asked: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for d in dependencies.iter().filter(|d| !d.wants.starts_with("comity-")) {
        asked.entry(&d.wants).or_default().insert(&d.version);
    }
    let several = asked.into_iter().filter(|(_, versions)| versions.len() > 1);
    several
        .map(|(name, versions)| {
            let rule = format!("{name} is asked for in {versions:?}");
            Breach::new("Cargo.toml", 0, rule, "write `workspace = true` and keep one version in the workspace's table")
        })
        .collect()
}

#[test]
fn crates_depend_on_each_other_only_along_the_arrows() {
    let all = dependencies(&metadata());
    assert!(all.iter().any(|d| d.crate_name == "comity-ledger" && d.wants == "comity-proto"), "no arrow was read");
    none(wrong_arrows(&all));
}

#[test]
fn every_crate_uses_only_crates_on_its_list() {
    none(unlisted_crates(&dependencies(&metadata())));
}

#[test]
fn a_crate_of_others_is_asked_for_in_one_version() {
    none(two_versions(&dependencies(&metadata())));
}

fn made_up(lines: &[(&str, &str, bool, &str)]) -> Vec<Dependency> {
    let line = |(name, wants, dev, version): &(&str, &str, bool, &str)| Dependency {
        crate_name: name.to_string(),
        wants: wants.to_string(),
        dev: *dev,
        version: version.to_string(),
    };
    lines.iter().map(line).collect()
}

#[test]
fn an_arrow_that_points_back_is_found() {
    let all = made_up(&[
        ("comity-ledger", "comity-proto", false, "*"),
        ("comity-proto", "comity-ledger", true, "*"),
        ("comity-runtime", "comity-proto", false, "*"),
        ("comity-node", "comity-tests", true, "*"),
        ("comity-sim", "comity-node", false, "*"),
        ("comity-node", "comity-sim", true, "*"),
        ("comity-node", "comity-verify", false, "*"),
        ("comity-verify", "comity-replica", true, "*"),
        ("web-time", "comity-runtime", false, "*"),
        ("web-time", "comity-proto", false, "*"),
        ("comity-stranger", "comity-proto", false, "*"),
    ]);
    let expected = [
        ("proto/Cargo.toml", 0),
        ("consensus/runtime/Cargo.toml", 0),
        ("node/Cargo.toml", 0),
        ("node/Cargo.toml", 0),
        ("consensus/verify/Cargo.toml", 0),
        ("sim/patches/web-time/Cargo.toml", 0),
        ("stranger/Cargo.toml", 0),
    ];
    found_at(&wrong_arrows(&all), &expected);
}

#[test]
fn a_crate_that_is_not_on_the_list_is_found() {
    let all = made_up(&[
        ("comity-proto", "serde_json", true, "^1"),
        ("comity-proto", "serde_json", false, "^1"),
        ("comity-ledger", "rand", false, "^0.8"),
        ("comity-node", "tokio", false, "^1"),
        ("comity-sim", "axum", false, "^0.8"),
        ("futures-timer", "libc", false, "^0.2"),
    ]);
    let expected = [
        ("proto/Cargo.toml", 0),
        ("consensus/ledger/Cargo.toml", 0),
        ("sim/Cargo.toml", 0),
        ("sim/patches/futures-timer/Cargo.toml", 0),
    ];
    found_at(&unlisted_crates(&all), &expected);
}

#[test]
fn two_versions_of_one_crate_are_found() {
    let all = made_up(&[("comity-node", "rand", false, "^0.8"), ("comity-tests", "rand", false, "^0.9")]);
    assert_eq!(two_versions(&all).len(), 1);
    assert_eq!(two_versions(&all[..1]).len(), 0);
}
