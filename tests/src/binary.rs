//! The program under test: built once per test program, into the folder that the tests themselves were built into.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

static COMITY: OnceLock<PathBuf> = OnceLock::new();

/// Variables in which cargo describes the package that is built or run.
const OF_A_PACKAGE: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_NAME", "CARGO_BIN_"];

/// The path of the binary `comity`, of the same profile as this test.
///
/// # Panics
/// When it does not build.
pub fn comity() -> &'static Path {
    COMITY.get_or_init(build)
}

fn build() -> PathBuf {
    // A test lies in TARGET/PROFILE/deps/.
    let test = std::env::current_exe().expect("a test has a path");
    let profile_dir = test.ancestors().nth(2).expect("TARGET/PROFILE/deps/TEST").to_owned();
    let target = profile_dir.parent().expect("TARGET/PROFILE").to_owned();
    let mut cargo = Command::new(env!("CARGO"));
    // Both packages are named so that their dependencies get the same features as for this test: nothing is built twice.
    cargo.args(["build", "--quiet", "-p", "comity-node", "-p", "comity-tests", "--bin", "comity", "--target-dir"]);
    cargo.arg(&target);
    if cfg!(feature = "conformance") {
        cargo.args(["--features", "comity-tests/conformance"]);
    }
    // A test is told its own package in these, and a build script that reads them (ring's) would take that for a change:
    // everything above it would be built again, now and by whoever builds next.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OF_A_PACKAGE.iter().any(|beginning| name.starts_with(beginning))) {
            cargo.env_remove(name);
        }
    }
    if profile_dir.file_name().is_some_and(|name| name == "release") {
        cargo.arg("--release");
    }
    let ended = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo starts");
    assert!(ended.success(), "the binary comity does not build");
    profile_dir.join(format!("comity{}", std::env::consts::EXE_SUFFIX))
}
