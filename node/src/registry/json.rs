//! JSON that can be signed: read strictly, written canonically (RFC 8785).
//!
//! Two readers must never see two documents in the same bytes. So a member named twice is refused, and every number is a
//! whole one that any reader holds exactly: money and positions are strings of digits.

use comity_proto::limits::DOMAIN_DOCUMENT_BYTES_MAX;
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::{cell::RefCell, fmt};

/// Objects and lists inside each other.
pub const DEPTH_MAX: usize = 8;
/// Largest whole number that every reader of JSON holds exactly.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;

/// Why bytes are no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadJson {
    /// Found before anything is read.
    #[error("longer than {DOMAIN_DOCUMENT_BYTES_MAX} bytes")]
    TooLarge,
    /// Not JSON, or something behind it.
    #[error("no JSON: {0}")]
    NotJson(String),
    /// One reader takes the first, another the last.
    #[error("`{0}` stands twice in one object")]
    DuplicateKey(String),
    /// More than the reader allows: [`DEPTH_MAX`] in a document.
    #[error("too many objects and lists inside each other")]
    TooDeep,
    /// A fraction, or beyond [`NUMBER_MAX`].
    #[error("the number {0} is not a whole one below 2^53")]
    Number(String),
}

impl BadJson {
    /// Stable name.
    pub const fn code(&self) -> &'static str {
        match self {
            BadJson::TooLarge => "card_too_large",
            BadJson::NotJson(_) => "not_json",
            BadJson::DuplicateKey(_) => "duplicate_key",
            BadJson::TooDeep => "too_deep",
            BadJson::Number(_) => "bad_number",
        }
    }
}

/// Reads a document.
///
/// # Errors
/// See [`BadJson`].
pub fn parse(bytes: &[u8]) -> Result<Value, BadJson> {
    if bytes.len() > DOMAIN_DOCUMENT_BYTES_MAX {
        return Err(BadJson::TooLarge);
    }
    parse_within(bytes, DEPTH_MAX)
}

/// Reads any JSON as strictly, to its own depth; the caller has bounded its length.
///
/// # Errors
/// See [`BadJson`].
pub fn parse_within(bytes: &[u8], depth_max: usize) -> Result<Value, BadJson> {
    read(bytes, depth_max, false)
}

/// The same for JSON that is no document of ours, where numbers may be broken. A whole one is still refused if a reader
/// could round it, however it is written.
///
/// # Errors
/// See [`BadJson`].
pub fn parse_with_fractions(bytes: &[u8], depth_max: usize) -> Result<Value, BadJson> {
    read(bytes, depth_max, true)
}

/// The same rules for a value that did not come as text.
///
/// # Errors
/// See [`BadJson`].
pub fn checked(value: Value, depth_max: usize) -> Result<Value, BadJson> {
    let wrong = RefCell::new(None);
    let strict = Strict { depth: 0, depth_max, fractions: true, wrong: &wrong };
    let read: Result<Value, serde_json::Error> = strict.deserialize(value);
    read.map_err(|error| wrong.into_inner().unwrap_or_else(|| BadJson::NotJson(error.to_string())))
}

fn read(bytes: &[u8], depth_max: usize, fractions: bool) -> Result<Value, BadJson> {
    let wrong = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let strict = Strict { depth: 0, depth_max, fractions, wrong: &wrong };
    let read = strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| wrong.into_inner().unwrap_or_else(|| BadJson::NotJson(error.to_string())))
}

/// The one form of a document: what is signed and hashed.
pub fn canonical(value: &Value) -> Vec<u8> {
    // A value in memory with texts for keys always has a canonical form; empty bytes would fit no signature.
    serde_json_canonicalizer::to_vec(value).unwrap_or_default()
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    depth_max: usize,
    fractions: bool,
    wrong: &'a RefCell<Option<BadJson>>,
}

impl Strict<'_> {
    fn refuse<E: de::Error>(&self, reason: BadJson) -> E {
        let error = E::custom(&reason);
        *self.wrong.borrow_mut() = Some(reason);
        error
    }

    fn deeper<E: de::Error>(&self) -> Result<Self, E> {
        match self.depth + 1 {
            depth if depth > self.depth_max => Err(self.refuse(BadJson::TooDeep)),
            depth => Ok(Strict { depth, ..*self }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        if value > NUMBER_MAX { Err(self.refuse(BadJson::Number(value.to_string()))) } else { Ok(value.into()) }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        let fits = value.unsigned_abs() <= NUMBER_MAX;
        if fits { Ok(value.into()) } else { Err(self.refuse(BadJson::Number(value.to_string()))) }
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        // Below 2^53 a broken number is told from its neighbours by every reader alike.
        if self.fractions && value.abs() < (NUMBER_MAX + 1) as f64 {
            return Ok(value.into());
        }
        Err(self.refuse(BadJson::Number(value.to_string())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inside = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(self.refuse(BadJson::DuplicateKey(name)));
            }
            let value = members.next_value_seed(inside)?;
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::PathBuf};

    #[test]
    fn what_two_readers_could_read_differently_is_refused_by_name() {
        let code = |text: &str| parse(text.as_bytes()).unwrap_err().code();
        assert_eq!(code(r#"{"a":1,"b":{"c":1,"c":2}}"#), "duplicate_key");
        assert_eq!(code(r#"{"a":1,"\u0061":2}"#), "duplicate_key");
        for number in ["1.5", "1e2", "9007199254740992", "-9007199254740992", "18446744073709551616"] {
            assert_eq!(code(&format!("[{number}]")), "bad_number", "{number}");
        }
        assert_eq!(parse(b"[9007199254740991,-9007199254740991]").unwrap()[0], NUMBER_MAX);
        assert_eq!(code(&format!("{}{}", "[".repeat(9), "]".repeat(9))), "too_deep");
        assert!(parse(format!("{}{}", "[".repeat(8), "]".repeat(8)).as_bytes()).is_ok());
        assert_eq!(code(&" ".repeat(DOMAIN_DOCUMENT_BYTES_MAX + 1)), "card_too_large");
        for text in ["", "{", "{} {}", "{\"a\":01}", "'a'", "\"\\ud800\"", "nul"] {
            assert_eq!(code(text), "not_json", "{text}");
        }
    }

    #[test]
    fn broken_numbers_pass_only_where_they_may() {
        assert_eq!(parse_with_fractions(b"[0.5,60.0]", 1).unwrap()[0], 0.5);
        for number in ["9007199254740993", "9007199254740993.0", "-1e16", "1e400"] {
            assert!(parse_with_fractions(number.as_bytes(), 1).is_err(), "{number}");
        }
        assert_eq!(parse_within(b"0.5", 1).unwrap_err().code(), "bad_number");
        let value = serde_json::json!([0.5, { "a": 9_007_199_254_740_993.0 }]);
        assert_eq!(checked(value.clone(), 2).unwrap_err().code(), "bad_number");
        assert_eq!(checked(value, 1).unwrap_err().code(), "too_deep");
    }

    /// The vectors of RFC 8785's author, in the folder that `COMITY_VECTORS` names, else beside the workspace; without
    /// them the test says `skipped`. Those with fractions are read as serde reads them: here they are refused.
    #[test]
    fn the_vectors_of_rfc_8785_come_out_byte_for_byte() {
        let folder = std::env::var_os("COMITY_VECTORS").map_or_else(
            || fs::canonicalize(env!("CARGO_MANIFEST_DIR")).unwrap().join("../../shared/vectors"),
            PathBuf::from,
        );
        for name in ["arrays", "french", "structures", "unicode", "values", "weird"] {
            let file = |kind: &str| fs::read(folder.join(format!("jcs/{name}.{kind}.json")));
            let (Ok(input), Ok(output)) = (file("input"), file("output")) else {
                println!("skipped: jcs/{name}");
                continue;
            };
            let value = match parse(&input) {
                Err(BadJson::Number(_)) => serde_json::from_slice(&input).unwrap(),
                read => read.unwrap(),
            };
            assert_eq!(canonical(&value), output.trim_ascii(), "{name}");
        }
    }
}
