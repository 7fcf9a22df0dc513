//! Compiles the schema with protox, a protoc in Rust: nobody has to install protoc.

use std::{error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new("schema/comity/v1");
    println!("cargo::rerun-if-changed=schema");
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, std::io::Error>>()?;
    files.retain(|path| path.extension().is_some_and(|kind| kind == "proto"));
    files.sort();
    let descriptors = protox::compile(&files, ["schema"])?;
    prost_build::Config::new()
        // Envelopes and bodies are slices of what arrived.
        .bytes(["."])
        // No order that changes from run to run.
        .btree_map(["."])
        .compile_fds(descriptors)?;
    Ok(())
}
