//! Our verifier against vectors made by others: Wycheproof, and the twelve cases of ed25519-speccheck on which verifiers
//! differ. The files are found in the folder that `COMITY_VECTORS` names, else in `../shared/vectors` next to the
//! workspace; without them the test says `skipped`.

use comity_proto::{ids::PublicKey, keys::verify};
use data_encoding::HEXLOWER;
use serde_json::Value;
use std::{fs, path::PathBuf};

fn vectors(name: &str) -> Option<Value> {
    let folder = std::env::var_os("COMITY_VECTORS").map_or_else(
        || {
            // The crate's folder as git knows it, not a link to it.
            let here = fs::canonicalize(env!("CARGO_MANIFEST_DIR")).expect("the crate's folder");
            here.join("../../shared/vectors")
        },
        PathBuf::from,
    );
    match fs::read_to_string(folder.join(name)) {
        Ok(text) => Some(serde_json::from_str(&text).expect("JSON")),
        Err(error) => {
            println!("skipped: {name}: {error}");
            None
        }
    }
}

fn hex(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().expect("a string").as_bytes()).expect("hex")
}

/// Whether our verifier accepts; a key or signature of the wrong length is refused before it is asked.
fn accepts(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (PublicKey::try_from(key), signature.try_into()) else { return false };
    verify(&key, message, signature).is_ok()
}

#[test]
fn wycheproof_agrees() {
    let Some(file) = vectors("wycheproof-ed25519.json") else { return };
    let mut counts = (0, 0);
    for group in file["testGroups"].as_array().expect("groups") {
        let key = hex(&group["publicKey"]["pk"]);
        for case in group["tests"].as_array().expect("tests") {
            let want = case["result"] == "valid";
            let got = accepts(&key, &hex(&case["msg"]), &hex(&case["sig"]));
            assert_eq!(got, want, "case {} {}", case["tcId"], case["comment"]);
            if want { counts.0 += 1 } else { counts.1 += 1 }
        }
    }
    assert!(counts.0 > 50 && counts.1 > 50, "{counts:?}");
}

#[test]
fn of_the_twelve_edge_cases_the_strict_rule_accepts_only_the_mixed_order_ones() {
    let Some(file) = vectors("ed25519-speccheck-cases.json") else { return };
    let cases = file.as_array().expect("cases");
    let accepted: Vec<usize> = (0..cases.len())
        .filter(|n| {
            let case = &cases[*n];
            accepts(&hex(&case["pub_key"]), &hex(&case["message"]), &hex(&case["signature"]))
        })
        .collect();
    assert_eq!(cases.len(), 12);
    // 0 to 2: small order of key or nonce. 3, 4: mixed order, cofactorless equation holds only for 3. 5 to 11: S not
    // reduced, small order or not canonical.
    assert_eq!(accepted, [3]);
}

#[test]
fn a_key_of_small_order_signs_nothing() {
    // Order 1, 2, 4 and 8 (RFC 8032 encodings), with the nonce of order 1 and S = 0, which plain verification accepts.
    let mut one = [0u8; 32];
    one[0] = 1;
    let mut two = [0xffu8; 32];
    (two[0], two[31]) = (0xec, 0x7f);
    let four = [0u8; 32];
    let mut signature = [0u8; 64];
    signature[0] = 1;
    for key in [one, two, four] {
        assert!(!accepts(&key, b"pay everything", &signature));
    }
}
