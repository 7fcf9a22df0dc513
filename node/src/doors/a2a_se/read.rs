//! What a call carries: path, query, key and body, each read strictly. A field that this node could only ignore is refused.

use super::wrong::Wrong;
use crate::service::{custody::Asked, principal::fresh_token};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// One call, as HTTP brought it.
#[derive(Clone, Debug)]
pub struct Call {
    /// GET, POST, PUT or DELETE.
    pub method: String,
    /// Behind the version.
    pub path: String,
    /// In order.
    pub query: Vec<(String, String)>,
    /// `Idempotency-Key`, if there was one.
    pub key: Option<String>,
    /// `null` without one.
    pub body: Value,
}

impl Call {
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Wrong> {
        serde_json::from_value(self.body.clone()).map_err(|error| Wrong::invalid("bad_body", error.to_string()))
    }

    /// The wish behind this call. Without a key of the client's it is a fresh one.
    pub(super) fn asked(&self) -> Result<Asked, Wrong> {
        let key = self.key.clone().unwrap_or_else(fresh_token);
        Ok(Asked::new(&key, &format!("a2a-se {}", self.path), self.body.to_string().as_bytes())?)
    }

    /// Values of the named parameters; any other one is refused.
    pub(super) fn parameters<const N: usize>(&self, names: [&str; N]) -> Result<[Option<&str>; N], Wrong> {
        if let Some((name, _)) = self.query.iter().find(|(name, _)| !names.contains(&name.as_str())) {
            return Err(Wrong::invalid("bad_parameter", format!("no parameter is called `{name}`")));
        }
        let value = |name: &str| self.query.iter().find(|(named, _)| named == name).map(|(_, value)| value.as_str());
        Ok(names.map(value))
    }
}

/// `limit` and `offset` of a list.
pub(super) fn page(limit: Option<&str>, offset: Option<&str>) -> Result<(usize, usize), Wrong> {
    let number = |text: Option<&str>, default: usize, bounds: std::ops::RangeInclusive<usize>| {
        let read = text.map_or(Some(default), |text| text.parse().ok()).filter(|number| bounds.contains(number));
        read.ok_or_else(|| Wrong::invalid("bad_parameter", format!("limit and offset are numbers, {bounds:?}")))
    };
    Ok((number(limit, LIMIT, 1..=LIMIT_MAX)?, number(offset, 0, 0..=OFFSET_MAX)?))
}

const LIMIT: usize = 50;
const LIMIT_MAX: usize = 200;
const OFFSET_MAX: usize = 1_000_000;
