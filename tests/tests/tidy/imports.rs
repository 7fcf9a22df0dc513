//! Which folder may name what. The compiler sees crates; these rules see folders.

use crate::tokens::{CodePath, is_punct, is_test_file, lex, line_of, paths, without_tests};
use crate::tree::{Breach, Tree, found_at, none};
use proc_macro2::TokenTree;

/// Inside `folder`, except below `except`, code outside of tests names none of `paths`.
struct Ban {
    folder: &'static str,
    except: &'static [&'static str],
    /// `a::b` bans that path and all below it; a first segment ending in `*` bans every crate with that beginning.
    paths: &'static [&'static str],
    reason: &'static str,
}

const CORE: &[&str] = &["std", "HashMap", "HashSet", "hashbrown", "tokio", "rand", "getrandom", "log", "tracing"];

const BANS: &[Ban] = &[
    Ban { folder: "proto/src", except: &[], paths: CORE, reason: "what may be said has no world: core and alloc only" },
    Ban { folder: "consensus/ledger/src", except: &[], paths: CORE, reason: "the ledger is pure: core and alloc only" },
    Ban {
        folder: "consensus/replica/src",
        except: &[],
        paths: &[
            "tokio::time",
            "tokio::fs",
            "tokio::net",
            "tokio::spawn",
            "tokio::task::spawn",
            "tokio::task::spawn_blocking",
            "tokio::task::spawn_local",
            "tokio::task::JoinSet",
            "tokio::runtime",
            "std::fs",
            "std::net",
            "std::thread",
            "std::time::Instant",
            "std::time::SystemTime",
            "libp2p*",
            "axum",
        ],
        reason: "the simulator boots this code: ask comity_runtime, Disk and Links",
    },
    Ban {
        folder: "consensus/verify/src",
        except: &[],
        paths: &["std::net", "std::thread", "std::time", "std::process::Command", "HashMap", "HashSet"],
        reason: "the verifier reads one stream and judges it: it asks nobody and nothing else",
    },
    Ban {
        folder: "consensus/runtime/src",
        except: &[],
        paths: &["std::fs", "std::net", "std::thread", "std::time::Instant", "std::time::SystemTime", "tokio"],
        reason: "runtime only forwards: the node and the simulator bring the world",
    },
    Ban {
        folder: "node/src",
        except: &["node/src/mesh", "node/src/compose.rs"],
        paths: &["libp2p*"],
        reason: "only the mesh (and the composition that hands it a transport) knows libp2p",
    },
    Ban {
        folder: "node/src",
        except: &["node/src/storage", "node/src/bench"],
        paths: &["std::fs", "tokio::fs", "OpenOptions", "File::open", "File::create"],
        reason: "only storage opens files (benches excepted: they run databases of others)",
    },
    Ban {
        folder: "node/src",
        except: &["node/src/http"],
        paths: &["axum", "hyper", "tower", "tonic"],
        reason: "only the HTTP door knows HTTP types",
    },
    Ban {
        folder: "node/src",
        except: &["node/src/metrics"],
        paths: &["prometheus_client"],
        reason: "a metric stands in the one table, or nowhere",
    },
    Ban {
        folder: "node/src/service",
        except: &[],
        paths: &["axum", "clap", "rmcp", "comfy_table", "indicatif"],
        reason: "a service function is shared by every door and knows none",
    },
    Ban {
        folder: "node/src",
        except: &[
            "node/src/spiffe",
            "node/src/http",
            "node/src/cli",
            "node/src/service/federation.rs",
            "node/src/webhook.rs",
        ],
        paths: &["rcgen", "rustls", "webpki", "tokio_rustls"],
        reason: "TLS is of the HTTPS door, of webhooks and of commands: nothing that the simulator boots reaches it",
    },
    Ban {
        folder: "sim/src",
        // The walk through every state is no run: nothing in it is drawn, and it tells how long it took.
        except: &["sim/src/cli", "sim/src/main.rs", "sim/src/symbols.rs", "sim/src/core/exhaustive"],
        paths: &[
            "std::fs",
            "std::net::TcpStream",
            "std::net::TcpListener",
            "std::net::UdpSocket",
            "std::thread",
            "std::process",
            "std::env",
            "std::time::Instant",
            "std::time::SystemTime",
            "tokio::time",
            "tokio::fs",
            "tokio::net",
            "tokio::spawn",
            "tokio::task",
            "tokio::runtime",
        ],
        reason: "a run is one thread in virtual time: only the command line touches the real machine",
    },
    Ban {
        folder: "sim/src/oracles",
        except: &[],
        paths: &["comity_ledger::apply"],
        reason: "an oracle looks; if it judged with `apply` it would share the mistake it should find",
    },
    Ban {
        folder: "sim/patches",
        except: &[],
        paths: &["std::thread", "std::time::Instant", "std::time::SystemTime", "tokio"],
        reason: "a stand-in asks comity_runtime for every clock and timer",
    },
];

impl Ban {
    fn covers(&self, path: &str) -> bool {
        let below = |folder: &str| path == folder || path.starts_with(&format!("{folder}/"));
        below(self.folder) && !self.except.iter().any(|folder| below(folder))
    }

    fn hits(&self, path: &CodePath) -> Option<&'static str> {
        self.paths.iter().copied().find(|banned| matches(banned, &path.segments))
    }
}

fn matches(banned: &str, segments: &[String]) -> bool {
    if let Some(beginning) = banned.strip_suffix('*') {
        return segments[0].starts_with(beginning);
    }
    let wanted: Vec<&str> = banned.split("::").collect();
    if wanted.len() == 1 && wanted[0].starts_with(char::is_uppercase) {
        return segments.iter().any(|segment| segment == wanted[0]);
    }
    if wanted.len() == 1 && segments.len() == 1 {
        // A lone word is a crate only where it stands in a path; as a variable or field it is not.
        return false;
    }
    let from_start = segments.iter().zip(&wanted).all(|(have, want)| have == want || have == "*");
    let glob = segments.last().is_some_and(|last| last == "*");
    from_start && (segments.len() >= wanted.len() || glob)
}

fn banned_imports(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (file, text) in tree.rust().filter(|(file, _)| !is_test_file(file)) {
        let bans: Vec<&Ban> = BANS.iter().filter(|ban| ban.covers(file)).collect();
        if bans.is_empty() {
            continue;
        }
        let Ok(tokens) = lex(text) else { continue };
        for path in paths(&without_tests(&tokens)) {
            for ban in &bans {
                if let Some(banned) = ban.hits(&path) {
                    let rule = format!("{} is out of bounds in {} ({banned})", path.segments.join("::"), ban.folder);
                    breaches.push(Breach::new(file, path.line, rule, ban.reason));
                }
            }
        }
    }
    breaches
}

fn floats(tree: &Tree) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for (file, text) in &tree.files {
        let core = file.starts_with("proto/") || file.starts_with("consensus/ledger/");
        if core && file.ends_with(".proto") {
            let wire = text.lines().enumerate().filter(|(_, line)| {
                line.trim_start().starts_with("float ") || line.trim_start().starts_with("double ")
            });
            breaches.extend(wire.map(|(number, _)| {
                Breach::new(file, number + 1, "a float on the wire", "use an integer of minor units")
            }));
        }
        if !core || !file.ends_with(".rs") || !file.contains("/src/") || is_test_file(file) {
            continue;
        }
        let Ok(tokens) = lex(text) else { continue };
        crate::tokens::each(&without_tests(&tokens), &mut |tokens, at| {
            if is_float(&tokens[at]) && !is_nested_field(tokens, at) {
                let rule = format!("{} is a float; replicas must agree to the last bit", tokens[at]);
                breaches.push(Breach::new(file, line_of(&tokens[at]), rule, "use integers"));
            }
        });
    }
    breaches
}

fn is_float(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(word) => word == "f32" || word == "f64",
        TokenTree::Literal(literal) => {
            let text = literal.to_string();
            let number = text.starts_with(|c: char| c.is_ascii_digit());
            let prefixed = text.starts_with("0x") || text.starts_with("0b") || text.starts_with("0o");
            number
                && !prefixed
                && (text.contains('.') || text.contains("f32") || text.contains("f64") || exponent(&text))
        }
        _ => false,
    }
}

/// `pair.0.1` reads as the number `0.1` behind a single point.
fn is_nested_field(tokens: &[TokenTree], at: usize) -> bool {
    let point = |back: usize| at >= back && is_punct(tokens.get(at - back), '.');
    point(1) && !point(2)
}

/// `1e6`, but not the `e` of a suffix such as `usize`.
fn exponent(text: &str) -> bool {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_');
    rest.strip_prefix(['e', 'E'])
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+'))
}

#[test]
fn every_folder_names_only_what_it_may() {
    none(banned_imports(&Tree::workspace()));
}

#[test]
fn proto_and_ledger_know_no_floats() {
    none(floats(&Tree::workspace()));
}

#[test]
fn a_banned_import_is_found_with_its_line() {
    let tree = Tree::of(&[
        (
            "consensus/replica/src/a.rs",
            "use tokio::sync::mpsc;\nuse tokio::{sync, time};\nfn f() { std::fs::read(x); }",
        ),
        ("consensus/replica/src/b.rs", "use std::{\n    io,\n    fs::File,\n};\nuse tokio::*;"),
        (
            "consensus/replica/src/ok.rs",
            "// std::fs\n#[cfg(test)] mod tests { use std::fs; }\nlet time = tokio::sync::f;",
        ),
        ("consensus/replica/src/a_tests.rs", "use std::fs;"),
        ("node/src/mesh/swarm.rs", "use libp2p::Swarm;"),
        ("node/src/cli/run.rs", "use libp2p_stream::Control;\nuse clap::Parser;"),
        ("node/src/storage/real.rs", "use std::fs::OpenOptions;"),
        ("node/src/keystore.rs", "use std::fs::OpenOptions;"),
        ("node/src/service/escrow.rs", "use clap::Args;"),
        ("node/src/service/agent.rs", "use axum::Json;"),
        ("proto/src/ids.rs", "use alloc::string::String;\nuse std::collections::HashMap;"),
        ("sim/src/world/executor.rs", "use std::time::Duration;\nuse std::time::Instant;"),
        ("sim/src/cli/run.rs", "use std::{fs, time::Instant};"),
        ("sim/src/oracles/books.rs", "use comity_ledger::invariants;\nuse comity_ledger::apply::apply;"),
        ("sim/patches/web-time/src/lib.rs", "pub use std::time::{Duration, SystemTime};"),
        ("consensus/ledger/src/x.rs", "fn f(rand: u8, std: u8) { rand + std }\nfn g(m: &HashMap<u8, u8>) {}"),
    ]);
    let expected = [
        ("consensus/ledger/src/x.rs", 2),
        ("consensus/replica/src/a.rs", 2),
        ("consensus/replica/src/a.rs", 3),
        ("consensus/replica/src/b.rs", 3),
        ("consensus/replica/src/b.rs", 5),
        ("node/src/cli/run.rs", 1),
        ("node/src/keystore.rs", 1),
        ("node/src/service/agent.rs", 1),
        ("node/src/service/agent.rs", 1),
        ("node/src/service/escrow.rs", 1),
        ("proto/src/ids.rs", 2),
        ("sim/patches/web-time/src/lib.rs", 1),
        ("sim/src/oracles/books.rs", 2),
        ("sim/src/world/executor.rs", 2),
    ];
    found_at(&banned_imports(&tree), &expected);
}

#[test]
fn a_float_in_the_core_is_found_as_type_number_or_wire_field() {
    let tree = Tree::of(&[
        ("proto/src/a.rs", "const A: u64 = 1_000usize as u64;\nfn f(x: f64) {}\nconst B: u8 = 0x1e;"),
        ("consensus/ledger/src/b.rs", "fn f() {\n    g(1.5, 2e3, t.0, t.0.1, 0..10)\n}"),
        ("proto/schema/comity/v1/x.proto", "message X {\n  double amount = 1;\n}"),
        ("node/src/c.rs", "fn f(x: f64) {}"),
    ]);
    let expected = [
        ("consensus/ledger/src/b.rs", 2),
        ("consensus/ledger/src/b.rs", 2),
        ("proto/schema/comity/v1/x.proto", 2),
        ("proto/src/a.rs", 2),
    ];
    found_at(&floats(&tree), &expected);
}
