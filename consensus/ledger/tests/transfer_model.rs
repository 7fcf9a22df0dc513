//! The abstract models of one transfer, with one participant and with two: every sound variant must pass it and every broken one must fail.
//!
//! It says why the protocol is as it is; that the ledger keeps to it is shown by the tests of `settlement`.

use std::process::Command;

#[test]
fn the_model_accepts_the_protocol_and_catches_every_broken_variant() {
    every_case_is_as_expected("transfer_model.py");
}

#[test]
fn the_model_with_two_participants_accepts_the_protocol_and_catches_every_broken_variant() {
    every_case_is_as_expected("across_model.py");
}

fn every_case_is_as_expected(model: &str) {
    let script = format!("{}/tests/model/{model}", env!("CARGO_MANIFEST_DIR"));
    match Command::new("python3").arg(script).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
            assert!(said.contains("all cases as expected"), "{said}");
        }
        Err(error) => println!("skipped: python3 does not start ({error})"),
    }
}
