//! Minor units as serde writes them: a decimal string where text is read, which a number of JSON beyond 2^53 would not
//! survive; in the ledger's own bytes a number.

use alloc::{string::String, vec::Vec};
use comity_proto::ids::TransferId;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

struct Units(u64);

impl Serialize for Units {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(&self.0) } else { serializer.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Units {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Units, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer).map(Units);
        }
        let text = String::deserialize(deserializer)?;
        text.parse().map(Units).map_err(|_| D::Error::custom("minor units are a decimal string"))
    }
}

/// Of a figure that may be unknown.
pub(crate) mod known {
    use super::{Deserialize, Deserializer, Serialize, Serializer, Units};

    pub(crate) fn serialize<S: Serializer>(units: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        units.map(Units).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
        Ok(Option::<Units>::deserialize(deserializer)?.map(|units| units.0))
    }
}

/// Of transfers, each with its amount.
pub(crate) mod each {
    use super::{Deserialize, Deserializer, Serializer, TransferId, Units, Vec};

    pub(crate) fn serialize<S: Serializer>(all: &[(TransferId, u64)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(|(transfer, units)| (transfer, Units(*units))))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<(TransferId, u64)>, D::Error> {
        let all = Vec::<(TransferId, Units)>::deserialize(deserializer)?;
        Ok(all.into_iter().map(|(transfer, units)| (transfer, units.0)).collect())
    }
}
