//! `payment_request`, version 1: a payee's signed demand for a release, as JSON that any software reads and checks.
//!
//! ```text
//! { "type": "payment_request", "version": 1, "action": "release", "task", "escrow", "milestone" where there are some,
//!   "payee": { "domain", "agent" }, "asset": { "issuer", "code" }, "amount": "MINOR UNITS", "resultSha256",
//!   "key", "signatures": [{ "protected", "signature" }] }
//! ```
//! Signed as a registry card is: a detached JWS (EdDSA) over the canonical form (RFC 8785) of everything but `signatures`.
//! The key inside only says which one to hold against the agent that was hired. An agent that speaks this program's own
//! envelopes may send one instead ([`PaymentRequest`]): it says the same. What follows from a demand is not decided here.

use crate::registry::{document, json, signature_of};
use bytes::Bytes;
use comity_proto::{
    amount::AssetId,
    command::Party,
    envelope::Signed as _,
    ids::{EscrowId, Hash, PublicKey, TaskId},
    jws,
    keys::SecretKey,
    limits::IDENTITY_BYTES_MAX,
    task::{PAYMENT_REQUEST_VERSION, PaymentRequest},
};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The form in words for programs: JSON Schema 2020-12.
pub const SCHEMA: &str = include_str!("payment_request.schema.json");

const TYPE: &str = "payment_request";
const RELEASE: &str = "release";
const DEPTH_MAX: usize = 4;
const BYTES_MAX: usize = 4 * IDENTITY_BYTES_MAX;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Form {
    #[serde(rename = "type")]
    kind: String,
    version: u32,
    action: String,
    task: TaskId,
    escrow: EscrowId,
    #[serde(skip_serializing_if = "Option::is_none")]
    milestone: Option<u16>,
    payee: Party,
    asset: AssetId,
    amount: String,
    result_sha256: Hash,
    key: PublicKey,
    signatures: Value,
}

/// A demand whose signature is by the key that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    said: PaymentRequest,
    key: PublicKey,
    shown: Value,
}

/// Why bytes are no demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Who it says is to be paid, if that can be read.
    pub claimed: Option<Party>,
    /// In words.
    pub why: String,
}

impl Demand {
    /// What is demanded.
    pub fn get(&self) -> &PaymentRequest {
        &self.said
    }

    /// Who signed.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// As JSON, with the signature or the envelope that proves it.
    pub fn shown(&self) -> &Value {
        &self.shown
    }
}

fn form(said: &PaymentRequest, key: &PublicKey) -> Value {
    let form = Form {
        kind: TYPE.to_owned(),
        version: PAYMENT_REQUEST_VERSION,
        action: RELEASE.to_owned(),
        task: said.task_id,
        escrow: said.escrow_id,
        milestone: said.milestone,
        payee: said.payee,
        asset: said.asset,
        amount: said.amount.to_string(),
        result_sha256: said.result_hash,
        key: *key,
        signatures: Value::Null,
    };
    json!(form)
}

/// Signs a demand; gives the bytes that travel.
pub fn sign(said: &PaymentRequest, key: &SecretKey) -> Bytes {
    json::canonical(&document::signed(form(said, &key.public()), key)).into()
}

/// Reads a demand in either form and checks its signature.
///
/// # Errors
/// What is [`Wrong`] with it.
pub fn open(bytes: &Bytes) -> Result<Demand, Wrong> {
    if bytes.first() == Some(&b'{') {
        if bytes.len() > BYTES_MAX {
            return Err(Wrong { claimed: None, why: format!("it has over {BYTES_MAX} bytes") });
        }
        let read = json::parse_within(bytes, DEPTH_MAX);
        return read.map_err(|bad| Wrong { claimed: None, why: bad.to_string() }).and_then(of_document);
    }
    let opened = PaymentRequest::open(bytes).map_err(|reject| Wrong { claimed: None, why: reject.to_string() })?;
    let mut shown = form(opened.get(), opened.key());
    if let Some(members) = shown.as_object_mut() {
        members.remove("signatures");
    }
    shown["envelope"] = BASE64.encode(bytes).into();
    Ok(Demand { said: opened.get().clone(), key: *opened.key(), shown })
}

/// The same for a document that was read already.
///
/// # Errors
/// As [`open`].
pub fn of_document(document: Value) -> Result<Demand, Wrong> {
    let claimed = Party::deserialize(&document["payee"]).ok();
    let wrong = |why: String| Wrong { claimed, why };
    if document["type"] != TYPE || document["version"] != PAYMENT_REQUEST_VERSION {
        return Err(wrong(format!("it is no `{TYPE}` of version {PAYMENT_REQUEST_VERSION}")));
    }
    let read = Form::deserialize(&document).map_err(|error| wrong(error.to_string()))?;
    if read.action != RELEASE {
        return Err(wrong(format!("`{}` is no action that can be demanded", read.action)));
    }
    let amount: u64 =
        read.amount.parse().map_err(|_| wrong("`amount` is no decimal string of minor units".to_owned()))?;
    let said = PaymentRequest {
        task_id: read.task,
        escrow_id: read.escrow,
        milestone: read.milestone,
        payee: read.payee,
        asset: read.asset,
        amount,
        result_hash: read.result_sha256,
    };
    // Everything that is signed is understood, and there is one way to write it.
    let mut unsigned = form(&said, &read.key);
    unsigned["signatures"] = document["signatures"].clone();
    if amount == 0 || unsigned != document {
        return Err(wrong("it is not written as version 1 is".to_owned()));
    }
    let (signature, kid) = signature_of(&document).map_err(|error| wrong(error.to_string()))?;
    unsigned.as_object_mut().and_then(|members| members.remove("signatures"));
    let checked = jws::check(&read.key, &signature, &json::canonical(&unsigned));
    if kid != read.key.to_string() || checked.is_err() {
        return Err(wrong("its signature is not by the key that it names".to_owned()));
    }
    Ok(Demand { said, key: read.key, shown: document })
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::{
        amount::AssetCode,
        ids::{AgentId, DomainId},
    };

    fn said() -> PaymentRequest {
        let domain = DomainId([3; 32]);
        PaymentRequest {
            task_id: TaskId([1; 16]),
            escrow_id: EscrowId([2; 16]),
            milestone: None,
            payee: Party { domain, agent: AgentId([4; 32]) },
            asset: AssetId { issuer: domain, code: AssetCode::new("USD").unwrap() },
            amount: u64::MAX,
            result_hash: Hash([5; 32]),
        }
    }

    #[test]
    fn what_is_signed_is_read_again_in_both_forms() {
        let key = SecretKey::from_seed(&[7; 32]);
        for said in [said(), PaymentRequest { milestone: Some(0), ..said() }] {
            let demand = open(&sign(&said, &key)).unwrap();
            assert_eq!((demand.get(), demand.key()), (&said, &key.public()));
            assert_eq!(demand.shown()["amount"], "18446744073709551615");
            let native = open(&said.seal(&key)).unwrap();
            assert_eq!((native.get(), native.key()), (&said, &key.public()));
            assert_eq!(native.shown()["resultSha256"], demand.shown()["resultSha256"]);
        }
    }

    #[test]
    fn whatever_is_changed_added_or_written_otherwise_is_refused_with_the_identity_that_it_claims() {
        let key = SecretKey::from_seed(&[7; 32]);
        let good: Value = serde_json::from_slice(&sign(&said(), &key)).unwrap();
        let other = SecretKey::from_seed(&[8; 32]).public().to_string();
        let changes: [(&str, Value); 12] = [
            ("amount", "1".into()),
            ("amount", 1.into()),
            ("amount", "01".into()),
            ("amount", "0".into()),
            ("action", "refund".into()),
            ("version", 2.into()),
            ("type", "payment".into()),
            ("key", other.into()),
            ("memo", "more".into()),
            ("milestone", 1.into()),
            ("signatures", json!([])),
            ("signatures", json!([{ "protected": "e30", "signature": "" }])),
        ];
        for (name, value) in changes {
            let mut forged = good.clone();
            forged[name] = value;
            let wrong = open(&forged.to_string().into_bytes().into()).unwrap_err();
            assert_eq!(wrong.claimed, Some(said().payee), "{name}: {wrong:?}");
        }
        for bytes in ["", "{", "{}", "{\"a\":1,\"a\":1}", "no"] {
            assert!(open(&Bytes::from(bytes)).is_err(), "{bytes}");
        }
        // The signature of one key over a document that names another.
        let mut borrowed = good.clone();
        borrowed["key"] = SecretKey::from_seed(&[8; 32]).public().to_string().into();
        let signed = document::signed(borrowed, &key);
        assert!(of_document(signed).is_err());
    }

    #[test]
    fn the_schema_names_what_a_demand_has_and_nothing_else() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let with = PaymentRequest { milestone: Some(0), ..said() };
        let whole: Value = serde_json::from_slice(&sign(&with, &SecretKey::from_seed(&[7; 32]))).unwrap();
        let names = |value: &Value| value.as_object().map(|members| members.keys().cloned().collect::<Vec<_>>());
        assert_eq!(names(&schema["properties"]), names(&whole));
        assert_eq!(schema["additionalProperties"], false);
        let optional: Vec<String> = names(&whole).unwrap().into_iter().filter(|name| name != "milestone").collect();
        let mut required: Vec<String> = serde_json::from_value(schema["required"].clone()).unwrap();
        required.sort();
        assert_eq!(required, optional);
    }
}
