//! What the operator adds to the card by choice. All of it is optional, and whatever is not said is null on the card.

use crate::service::error::ServiceError;
use comity_proto::{
    ids::DomainId,
    text::{Endpoint, Reason},
};
use serde::{Deserialize, Serialize};

/// The file's name inside the data directory.
pub const PROFILE_FILE: &str = "card.toml";
/// Addresses of one kind: as many as fit a card beside everything else.
pub const ADDRESSES_MAX: usize = 8;
/// Peers that a card names.
pub const PEERS_MAX: usize = 16;

/// The operator's words. The highest edition counts, wherever in the domain it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// Counts up with each edit.
    pub edition: u64,
    /// How people reach the operator.
    pub contact: Option<String>,
    /// Degrees north, such as `52.5200`.
    pub latitude: Option<String>,
    /// Degrees east, such as `13.4050`.
    pub longitude: Option<String>,
    /// Where an auditor of the operator's choice publishes what it found.
    pub external_auditor_endpoint: Option<String>,
    /// Addresses of public doors.
    pub endpoints: Vec<String>,
    /// Peers that the card names.
    pub peers: Vec<DomainId>,
}

impl Profile {
    /// Reads the file.
    ///
    /// # Errors
    /// `bad_card_profile` with line and rule.
    pub fn parse(text: &str) -> Result<Profile, ServiceError> {
        let wrong = |error: toml::de::Error| bad(format!("{PROFILE_FILE}: {}", error.to_string().trim()));
        let profile: Profile = toml::from_str(text).map_err(wrong)?;
        profile.check()
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        // Plain structures of strings and numbers always serialise.
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// Whether it can stand on a card.
    ///
    /// # Errors
    /// `bad_card_profile` naming the field.
    pub fn check(self) -> Result<Profile, ServiceError> {
        degrees("latitude", self.latitude.as_deref(), 90)?;
        degrees("longitude", self.longitude.as_deref(), 180)?;
        if self.latitude.is_some() != self.longitude.is_some() {
            return Err(bad("latitude and longitude stand together or not at all"));
        }
        let contact = self.contact.as_deref().map_or(Ok(()), |text| Reason::new(text).map(|_| ()));
        contact.map_err(|reject| bad(format!("contact: {reject}")))?;
        for address in self.endpoints.iter().chain(&self.external_auditor_endpoint) {
            Endpoint::new(address).map_err(|reject| bad(format!("`{address}`: {reject}")))?;
        }
        if self.endpoints.len() > ADDRESSES_MAX || self.peers.len() > PEERS_MAX {
            return Err(bad(format!("at most {ADDRESSES_MAX} endpoints and {PEERS_MAX} peers")));
        }
        Ok(self)
    }
}

fn bad(detail: impl Into<String>) -> ServiceError {
    ServiceError::bad_input("bad_card_profile", detail)
}

/// Digits with a point, as maps write them; a string, because a card holds whole numbers only.
fn degrees(name: &str, text: Option<&str>, most: u32) -> Result<(), ServiceError> {
    let Some(text) = text else { return Ok(()) };
    let plain = text.len() <= 12 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    let within = text.parse::<f64>().is_ok_and(|degrees| degrees.abs() <= f64::from(most));
    if plain && within { Ok(()) } else { Err(bad(format!("{name}: `{text}` is not -{most} to {most} degrees"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> Profile {
        Profile {
            edition: 3,
            contact: Some("noc@acme.example".to_owned()),
            latitude: Some("52.5200".to_owned()),
            longitude: Some("-13.4050".to_owned()),
            endpoints: vec!["https://acme.example".to_owned()],
            peers: vec![DomainId([7; 32])],
            ..Profile::default()
        }
    }

    #[test]
    fn a_profile_survives_its_own_text_and_nothing_is_a_profile_too() {
        assert_eq!(Profile::parse(&berlin().to_text()).unwrap(), berlin());
        assert_eq!(Profile::parse("").unwrap(), Profile::default());
    }

    #[test]
    fn what_cannot_stand_on_a_card_is_refused_by_field() {
        let text = |text: &str| Some(text.to_owned());
        let table = [
            ("latitude", Profile { latitude: text("91"), ..berlin() }),
            ("longitude", Profile { longitude: text("1e2"), ..berlin() }),
            ("latitude", Profile { latitude: text("NaN"), ..berlin() }),
            ("together", Profile { latitude: None, ..berlin() }),
            ("contact", Profile { contact: text("a\u{202E}b"), ..berlin() }),
            ("a b", Profile { endpoints: vec!["a b".to_owned()], ..berlin() }),
            ("peers", Profile { peers: vec![DomainId([1; 32]); PEERS_MAX + 1], ..berlin() }),
        ];
        for (field, profile) in table {
            let error = profile.check().unwrap_err();
            assert!(error.code == "bad_card_profile" && error.detail.contains(field), "{field}: {error}");
        }
        assert_eq!(Profile::parse("colour = \"red\"").unwrap_err().code, "bad_card_profile");
    }
}
