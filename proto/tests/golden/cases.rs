//! What each golden file must be: the valid ones from the samples, the refused ones by breaking a valid one.

use crate::samples as s;
use bytes::Bytes;
use comity_proto::{
    envelope::{Context, Signed, seal},
    keys::SecretKey,
    limits::ROOT_PATH_BYTES_MAX,
    reject::Reject,
};

/// File name, content, code and field of the refusal.
pub(crate) type Refused = (&'static str, Bytes, &'static str, Option<&'static str>);

/// Reads bytes of a kind and writes them again.
pub(crate) type Again = fn(&Bytes) -> Result<Bytes, Reject>;

/// One kind of message with its golden files.
pub(crate) struct Kind {
    /// Folder name.
    pub(crate) name: &'static str,
    /// Reader and writer.
    pub(crate) again: Again,
    /// File name and content.
    pub(crate) valid: Vec<(&'static str, Bytes)>,
    /// What is refused, and how.
    pub(crate) refused: Vec<Refused>,
    /// The bytes that the typed reader sees: the payload of an envelope, or all of them.
    pub(crate) payload: fn(&Bytes) -> Bytes,
    /// Reads and writes such bytes, without a signature.
    pub(crate) read: Again,
    /// Bytes, all zero, that are just over its limit.
    pub(crate) over_limit: usize,
}

/// Number of a field that holds an id, and its name in a refusal.
pub(crate) type IdField = (u32, &'static str);

fn open_again<T: Signed>(bytes: &Bytes) -> Result<Bytes, Reject> {
    let verified = T::open(bytes)?;
    let signature = bytes.slice(bytes.len() - 64..);
    // The payload is written again from the typed message; key and signature are those that were verified.
    let mut out = Vec::new();
    field(&mut out, 1, &verified.get().encode());
    field(&mut out, 2, &verified.key().0);
    field(&mut out, 3, &signature);
    Ok(out.into())
}

pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn field(out: &mut Vec<u8>, number: u32, body: &[u8]) {
    varint(out, u64::from(number) << 3 | 2);
    varint(out, body.len() as u64);
    out.extend_from_slice(body);
}

fn payload_of(envelope: &Bytes) -> Bytes {
    let (number, _, body) = fields(envelope).remove(0);
    assert_eq!(number, 1, "an envelope begins with its payload");
    body.into()
}

/// Top-level fields as (number, whole field, body of a length-delimited one).
pub(crate) fn fields(mut bytes: &[u8]) -> Vec<(u32, Vec<u8>, Vec<u8>)> {
    fn take(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
        }
        unreachable!("a varint ends")
    }
    let mut found = vec![];
    while !bytes.is_empty() {
        let whole = bytes;
        let tag = take(&mut bytes);
        let body = match tag & 7 {
            0 => {
                take(&mut bytes);
                vec![]
            }
            _ => {
                let length = take(&mut bytes) as usize;
                let body = bytes[..length].to_vec();
                bytes = &bytes[length..];
                body
            }
        };
        found.push(((tag >> 3) as u32, whole[..whole.len() - bytes.len()].to_vec(), body));
    }
    found
}

/// The payload with one field replaced (or left out).
pub(crate) fn with(payload: &[u8], number: u32, replace: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut out = vec![];
    for (found, whole, body) in fields(payload) {
        match found == number {
            true => replace(&body).into_iter().for_each(|body| field(&mut out, number, &body)),
            false => out.extend(whole),
        }
    }
    out
}

/// The breaks that every payload can suffer; each must be refused by the rule named here.
fn broken(payload: &[u8], (id, id_name): IdField) -> Vec<Refused> {
    let first = fields(payload).remove(0).1;
    let mut non_minimal = payload.to_vec();
    non_minimal.splice(0..1, [payload[0] | 0x80, 0]);
    let mut reordered = payload[first.len()..].to_vec();
    reordered.extend(&first);
    let mut all: Vec<(&'static str, Vec<u8>, &'static str, Option<&'static str>)> = vec![
        ("unknown-field", [payload, &[0xc0, 0x0c, 1]].concat(), "not_canonical", None),
        ("trailing-byte", [payload, &[0]].concat(), "malformed", None),
        ("truncated", payload[..payload.len() - 1].to_vec(), "malformed", None),
        ("non-minimal-varint", non_minimal, "not_canonical", None),
        ("repeated-scalar", [first.as_slice(), payload].concat(), "not_canonical", None),
        ("fields-out-of-order", reordered, "not_canonical", None),
        ("id-too-short", with(payload, id, |body| Some(body[1..].to_vec())), "wrong_length", Some(id_name)),
        ("id-too-long", with(payload, id, |body| Some([body, &[0]].concat())), "wrong_length", Some(id_name)),
        ("id-missing", with(payload, id, |_| None), "wrong_length", Some(id_name)),
    ];
    // A message of one field has only one order.
    all.retain(|(name, bytes, ..)| *name != "fields-out-of-order" || bytes != payload);
    all.drain(..).map(|(name, bytes, code, field)| (name, bytes.into(), code, field)).collect()
}

/// A kind in an envelope: what is broken is signed again, so that only the rule in question can refuse it.
pub(crate) fn signed<T: Signed>(name: &'static str, valid: Vec<(&'static str, T, SecretKey)>, id: IdField) -> Kind {
    let (_, sample, key) = &valid[0];
    let payload = sample.encode();
    let good = sample.seal(key);
    let mut refused: Vec<_> = broken(&payload, id)
        .into_iter()
        .map(|(name, bytes, code, field)| (name, seal(T::CONTEXT, bytes, key), code, field))
        .collect();
    let flip = |at: usize| {
        let mut bytes = good.to_vec();
        bytes[at] ^= 1;
        Bytes::from(bytes)
    };
    let foreign = Context::ALL.into_iter().find(|context| *context != T::CONTEXT).expect("there are others");
    let envelope = |key: &[u8], signature: &[u8]| {
        let mut out = vec![];
        // An absent field is the one encoding of an empty one.
        for (number, body) in [(1, payload.as_ref()), (2, key), (3, signature)] {
            if !body.is_empty() {
                field(&mut out, number, body);
            }
        }
        Bytes::from(out)
    };
    let public = key.public().0;
    let signature = &good[good.len() - 64..];
    refused.extend([
        ("signature-bit-flipped", flip(good.len() - 1), "bad_signature", None),
        ("payload-bit-flipped", flip(10), "bad_signature", None),
        ("foreign-context", seal(foreign, payload.clone(), key), "bad_signature", None),
        ("signature-missing", envelope(&public, &[]), "wrong_length", Some("signature")),
        ("key-missing", envelope(&[], signature), "wrong_length", Some("key")),
        ("key-of-small-order", envelope(&[0; 32], signature), "bad_signature", None),
        ("envelope-unknown-field", [&good[..], &[0xc0, 0x0c, 1]].concat().into(), "not_canonical", None),
        ("envelope-truncated", good.slice(..good.len() - 1), "malformed", None),
        ("envelope-empty", Bytes::new(), "wrong_length", Some("key")),
    ]);
    if sample.check_signer(&s::key(99)).is_err() {
        refused.push(("signed-by-another", sample.seal(&s::secret(99)), "wrong_signer", None));
    }
    Kind {
        name,
        again: open_again::<T>,
        payload: payload_of,
        read: |bytes| Ok(T::decode(bytes)?.encode()),
        over_limit: T::PAYLOAD_BYTES_MAX + 129 + if T::BY_ROOT { ROOT_PATH_BYTES_MAX } else { 0 },
        valid: valid.into_iter().map(|(name, message, key)| (name, message.seal(&key))).collect(),
        refused,
    }
}

/// A kind without an envelope; broken like a payload, but without an id of its own at the top.
pub(crate) fn bare(name: &'static str, again: Again, valid: Vec<(&'static str, Bytes)>, over_limit: usize) -> Kind {
    let breaks = broken(&valid[0].1, (0, "")).into_iter().filter(|(name, ..)| !name.starts_with("id-"));
    Kind { name, again, payload: Bytes::clone, read: again, refused: breaks.collect(), over_limit, valid }
}

impl Kind {
    pub(crate) fn refusing(mut self, more: Vec<Refused>) -> Kind {
        self.refused.extend(more);
        self
    }
}
