//! The abstract model of one transfer: every sound variant must pass it and every broken one must fail.
//!
//! It says why the protocol is as it is; that the ledger keeps to it is shown by the tests of `settlement`.

use std::process::Command;

#[test]
fn the_model_accepts_the_protocol_and_catches_every_broken_variant() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/model/transfer_model.py");
    match Command::new("python3").arg(script).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
            assert!(said.contains("all cases as expected"), "{said}");
        }
        Err(error) => println!("skipped: python3 does not start ({error})"),
    }
}
