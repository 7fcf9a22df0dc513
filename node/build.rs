//! Compiles the schema of A2A with protox, a protoc in Rust: its gRPC binding reads messages by their descriptors.

use prost::Message as _;
use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=schema");
    let descriptors = protox::compile(["a2a.proto"], ["schema"])?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("a2a.binpb"), descriptors.encode_to_vec())?;
    Ok(())
}
