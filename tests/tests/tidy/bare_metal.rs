//! The core builds where there is no operating system: the compiler's proof that `no_std` holds through every dependency.
//!
//! Each crate is checked alone: building the workspace at once would unify features and hide a leak. The proof needs a
//! bare-metal target (`rustup target add x86_64-unknown-none`); without one the test says so and passes.

use crate::tree::workspace_root;
use std::{path::PathBuf, process::Command};

const CORE: [&str; 2] = ["comity-proto", "comity-ledger"];

/// The first installed target without an operating system that has atomic compare-and-swap (`Arc` needs it).
fn choose(installed: &[String]) -> Option<&str> {
    let mut sorted: Vec<&str> = installed.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    sorted.into_iter().find(|target| {
        let bare = target.contains("-none-") || target.ends_with("-none");
        // These have no compare-and-swap.
        let poor =
            target.starts_with("thumbv6m") || target.starts_with("riscv32i-") || target.starts_with("riscv32imc-");
        bare && !poor
    })
}

fn installed_targets() -> Vec<String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let Ok(out) = Command::new(rustc).args(["--print", "sysroot"]).current_dir(workspace_root()).output() else {
        return Vec::new();
    };
    let library = PathBuf::from(String::from_utf8_lossy(&out.stdout).trim()).join("lib/rustlib");
    let entries = std::fs::read_dir(library).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.path().join("lib").is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Standard error of `cargo check` when it fails.
fn check(
    manifest_folder: &std::path::Path,
    package: &str,
    target: &str,
    target_dir: &std::path::Path,
) -> Result<(), String> {
    let out = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--lib", "-p", package, "--target", target, "--target-dir"])
        .arg(target_dir)
        .current_dir(manifest_folder)
        // Flags of the outer build (coverage, sanitizers) need an operating system.
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .output()
        .map_err(|error| error.to_string())?;
    if out.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&out.stderr).into_owned()) }
}

#[test]
fn proto_and_ledger_build_for_a_machine_without_an_operating_system() {
    let installed = installed_targets();
    assert!(!installed.is_empty(), "rustc did not tell where its libraries are");
    let Some(target) = choose(&installed) else {
        println!("skipped: no bare-metal target installed");
        return;
    };
    let root = workspace_root();
    for package in CORE {
        if let Err(reason) = check(&root, package, target, &root.join("target/bare")) {
            panic!("{package} does not build for {target}; something in it needs std:\n{reason}");
        }
        println!("{package} builds for {target}");
    }
}

#[test]
fn a_bare_metal_target_is_chosen_only_if_it_can_count_references() {
    let targets = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(choose(&targets(&["x86_64-unknown-linux-gnu", "wasm32-unknown-unknown"])), None);
    assert_eq!(choose(&targets(&["thumbv6m-none-eabi"])), None);
    let both = targets(&["x86_64-unknown-linux-gnu", "x86_64-unknown-none", "thumbv7em-none-eabi"]);
    assert_eq!(choose(&both), Some("thumbv7em-none-eabi"));
}

#[test]
fn a_crate_that_needs_std_does_not_build_for_a_bare_metal_target() {
    let installed = installed_targets();
    let Some(target) = choose(&installed) else {
        println!("skipped: no bare-metal target installed");
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("src")).expect("a folder for sources");
    let manifest = "[package]\nname = \"leaky\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
    std::fs::write(folder.path().join("Cargo.toml"), manifest).expect("a manifest");
    std::fs::write(folder.path().join("src/lib.rs"), "#![no_std]\nextern crate std;\n").expect("a source");
    let refused = check(folder.path(), "leaky", target, &folder.path().join("target"));
    assert!(refused.is_err_and(|reason| reason.contains("std")), "a crate with std must not pass");
}
