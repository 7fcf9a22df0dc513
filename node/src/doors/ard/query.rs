//! What is asked for: words, and constraints on what an entry says.

use super::{
    entry::{AGENT_CARD, tags, urn},
    wrong::Wrong,
};
use comity_proto::{card::AgentCard, ids::AgentId};
use serde_json::{Map, Value};

/// Characters of a need, and of an expression.
const TEXT_CHARS_MAX: usize = 512;
/// Words of a need that are looked at.
const TERMS_MAX: usize = 16;
/// Values of one constraint.
const VALUES_MAX: usize = 32;
/// Words that tell no agent from another.
const COMMON: [&str; 24] = [
    "a", "an", "and", "agent", "agents", "can", "find", "for", "hire", "i", "in", "is", "me", "my", "need", "of", "on",
    "that", "the", "to", "want", "which", "who", "with",
];

/// What a word is worth, by where it stands: as a word of a capability, of the name, of the description; and as the
/// beginning of one.
const CAPABILITY: u32 = 100;
const NAME: u32 = 80;
const DESCRIPTION: u32 = 60;
const BEGINNING: u32 = 40;
/// Shortest beginning that counts.
const BEGINNING_CHARS: usize = 3;

/// Something that an entry says of itself, and that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Identifier,
    DisplayName,
    Type,
    Publisher,
    Capabilities,
    Tags,
}

impl Field {
    pub(super) fn named(name: &str) -> Result<Field, Wrong> {
        Ok(match name {
            "identifier" => Field::Identifier,
            "displayName" => Field::DisplayName,
            "type" | "mediaType" => Field::Type,
            "publisher" | "publisherId" => Field::Publisher,
            "capabilities" => Field::Capabilities,
            "tags" => Field::Tags,
            other => {
                let known = "identifier, displayName, type, publisher, capabilities, tags";
                return Err(Wrong::invalid(format!("`{other}` is no field that can be asked for; {known} are")));
            }
        })
    }

    pub(super) fn values(self, card: &AgentCard) -> Vec<String> {
        let capabilities = || card.capabilities.iter().map(ToString::to_string).collect::<Vec<_>>();
        match self {
            Field::Identifier => vec![urn(&card.home, &card.agent)],
            Field::DisplayName => vec![card.name.to_string()],
            Field::Type => vec![AGENT_CARD.to_owned()],
            Field::Publisher => vec![card.home.to_string()],
            Field::Capabilities => capabilities(),
            Field::Tags => tags(&capabilities()),
        }
    }
}

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Query {
    terms: Vec<String>,
    filter: Vec<(Field, Vec<String>)>,
}

/// An object of known members.
pub(super) fn object<'a>(value: &'a Value, what: &str, known: &[&str]) -> Result<&'a Map<String, Value>, Wrong> {
    let object = value.as_object().ok_or_else(|| Wrong::invalid(format!("{what} is no object")))?;
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Wrong::invalid(format!("{what} has a member `{name}`; it may have {}", known.join(", ")))),
        None => Ok(object),
    }
}

/// A whole number from 1 to `most`; also as text, which is how it comes in a query.
pub(super) fn size(value: Option<&Value>, usual: u64, most: u64, name: &str) -> Result<usize, Wrong> {
    let read = match value {
        None => Some(usual),
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_u64(),
    };
    let fits = read.filter(|size| (1..=most).contains(size)).and_then(|size| usize::try_from(size).ok());
    fits.ok_or_else(|| Wrong::invalid(format!("`{name}` is a whole number from 1 to {most}")))
}

/// The last entry of the page before.
pub(super) fn token(value: Option<&Value>) -> Result<Option<(u8, AgentId)>, Wrong> {
    let Some(value) = value else { return Ok(None) };
    let read = value.as_str().and_then(|text| text.split_once('.'));
    let place = read.and_then(|(score, agent)| Some((score.parse().ok()?, agent.parse().ok()?)));
    place.map(Some).ok_or_else(|| Wrong::invalid("`pageToken` is none of this registry"))
}

/// Lower-case words of letters and digits.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// A field and its value, without quotes.
fn clause(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let value = value.trim();
    let quoted = ['\'', '"'].into_iter().find_map(|mark| value.strip_prefix(mark)?.strip_suffix(mark));
    Some((name.trim(), quoted.unwrap_or(value)))
}

impl Query {
    /// Reads the `query` of a request.
    pub(super) fn read(value: Option<&Value>, needs_text: bool) -> Result<Query, Wrong> {
        let Some(value) = value else {
            return if needs_text { Err(Wrong::invalid("`query` is missing")) } else { Ok(Query::default()) };
        };
        let query = object(value, "`query`", &["text", "filter", "@context"])?;
        let text = match query.get("text") {
            None if needs_text => return Err(Wrong::invalid("`query.text` is missing")),
            None => "",
            Some(Value::String(text)) if text.len() <= TEXT_CHARS_MAX => text,
            Some(_) => {
                return Err(Wrong::invalid(format!("`query.text` is text of up to {TEXT_CHARS_MAX} characters")));
            }
        };
        if needs_text && text.trim().is_empty() {
            return Err(Wrong::invalid("`query.text` is empty"));
        }
        let mut terms: Vec<String> = words(text).collect();
        if terms.iter().any(|term| !COMMON.contains(&term.as_str())) {
            terms.retain(|term| !COMMON.contains(&term.as_str()));
        }
        terms.sort_unstable();
        terms.dedup();
        terms.truncate(TERMS_MAX);
        let empty = Map::new();
        let filter = match query.get("filter") {
            None => &empty,
            Some(Value::Object(filter)) => filter,
            Some(_) => return Err(Wrong::invalid("`query.filter` is no object")),
        };
        let constraint = |(name, value): (&String, &Value)| Ok((Field::named(name)?, texts(name, value)?));
        Ok(Query { terms, filter: filter.iter().map(constraint).collect::<Result<_, Wrong>>()? })
    }

    /// Reads an expression such as `type = 'application/a2a-agent-card+json' AND publisherId = 'cm1…,cm1…'`.
    pub(super) fn of_expression(text: &str) -> Result<Query, Wrong> {
        if text.len() > TEXT_CHARS_MAX {
            return Err(Wrong::invalid(format!("`filter` has over {TEXT_CHARS_MAX} characters")));
        }
        let mut query = Query::default();
        for part in text.split(" AND ").map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = clause(part)
                .filter(|(_, value)| !value.is_empty())
                .ok_or_else(|| Wrong::invalid(format!("`{part}` is not of the form: field = 'value'")))?;
            let values = value.split(',').map(|value| value.trim().to_owned()).collect();
            query.filter.push((Field::named(name)?, values));
        }
        Ok(query)
    }

    /// From 1 to 100, how well a card answers; `None` where it does not.
    pub(super) fn score(&self, card: &AgentCard) -> Option<u8> {
        let admits = |(field, wanted): &(Field, Vec<String>)| {
            let same = |value: &String, wanted: &String| match field {
                Field::DisplayName => value.eq_ignore_ascii_case(wanted),
                _ => value == wanted,
            };
            field.values(card).iter().any(|value| wanted.iter().any(|wanted| same(value, wanted)))
        };
        if !self.filter.iter().all(admits) {
            return None;
        }
        let Ok(count) = u32::try_from(self.terms.len()) else { return None };
        if count == 0 {
            return Some(100);
        }
        let capabilities: Vec<String> =
            card.capabilities.iter().flat_map(|own| words(own.as_str()).collect::<Vec<_>>()).collect();
        let (name, description) = (card.name.to_string(), card.description.to_string());
        let places: [(u32, Vec<String>); 3] =
            [(CAPABILITY, capabilities), (NAME, words(&name).collect()), (DESCRIPTION, words(&description).collect())];
        let worth = |term: &String| {
            let whole = places.iter().find(|(_, words)| words.contains(term)).map(|(worth, _)| *worth);
            let begins = |word: &String| term.len() >= BEGINNING_CHARS && word.starts_with(term.as_str());
            let part = || places.iter().any(|(_, words)| words.iter().any(begins)).then_some(BEGINNING);
            whole.or_else(part).unwrap_or(0)
        };
        let sum: u32 = self.terms.iter().map(worth).sum();
        u8::try_from(sum.div_ceil(count)).ok().filter(|score| *score > 0)
    }
}

fn texts(name: &str, value: &Value) -> Result<Vec<String>, Wrong> {
    let list = match value {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    let texts: Option<Vec<String>> = list.iter().map(|value| value.as_str().map(str::to_owned)).collect();
    let fits = texts.filter(|texts| (1..=VALUES_MAX).contains(&texts.len()));
    fits.ok_or_else(|| Wrong::invalid(format!("`query.filter.{name}` is text, or a list of up to {VALUES_MAX} texts")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::{
        card::AcceptedTerms,
        ids::DomainId,
        keys::SecretKey,
        text::{Capability, Description, Nickname},
    };
    use serde_json::json;

    fn card() -> AgentCard {
        AgentCard {
            agent: AgentId([1; 32]),
            home: DomainId([2; 32]),
            key: SecretKey::from_seed(&[3; 32]).public(),
            name: Nickname::new("counter").unwrap(),
            description: Description::new("Counts the words of a document").unwrap(),
            capabilities: vec![Capability::new("text.statistics").unwrap()],
            price: None,
            accepts: AcceptedTerms::default(),
            sequence: 1,
            issued_at_ms: 0,
            expires_at_ms: 1,
            retired: false,
            public: true,
            custodial: false,
            attestation: Default::default(),
        }
    }

    #[test]
    fn a_need_is_compared_word_by_word() {
        let score = |text: &str| Query::read(Some(&json!({ "text": text })), true).unwrap().score(&card());
        for (text, expected) in [
            ("text statistics", Some(100)),
            ("find me an agent for TEXT", Some(100)),
            ("counter", Some(80)),
            ("words", Some(60)),
            ("stat", Some(40)),
            ("text weather", Some(50)),
            ("st", None),
            ("weather", None),
            ("the", Some(60)),
        ] {
            assert_eq!(score(text), expected, "{text}");
        }
    }

    #[test]
    fn constraints_hold_all_and_values_any() {
        let score = |filter: Value| Query::read(Some(&json!({ "filter": filter })), false).unwrap().score(&card());
        assert_eq!(score(json!({ "type": AGENT_CARD, "tags": ["x", "text"] })), Some(100));
        assert_eq!(score(json!({ "type": AGENT_CARD, "tags": "x" })), None);
        assert_eq!(score(json!({ "displayName": "COUNTER", "publisher": DomainId([2; 32]).to_string() })), Some(100));
        let expression = format!("type = '{AGENT_CARD},other' AND displayName = \"counter\"");
        assert_eq!(Query::of_expression(&expression).unwrap().score(&card()), Some(100));
        assert_eq!(Query::of_expression("capabilities = 'text'").unwrap().score(&card()), None, "whole ones only");
        assert_eq!(Query::of_expression("").unwrap().score(&card()), Some(100));
    }

    #[test]
    fn what_is_no_query_is_refused() {
        for query in [
            json!([]),
            json!({}),
            json!({ "text": 7 }),
            json!({ "text": " " }),
            json!({ "text": "x".repeat(TEXT_CHARS_MAX + 1) }),
            json!({ "text": "x", "more": 1 }),
            json!({ "text": "x", "filter": [] }),
            json!({ "text": "x", "filter": { "colour": "red" } }),
            json!({ "text": "x", "filter": { "type": [] } }),
            json!({ "text": "x", "filter": { "type": [1] } }),
            json!({ "text": "x", "filter": { "type": vec!["x"; VALUES_MAX + 1] } }),
        ] {
            assert_eq!(Query::read(Some(&query), true).unwrap_err().status(), 400, "{query}");
        }
        for expression in ["type", "type =", "type = ''", "colour = 'red'", "= 'x'", "type > 'x'"] {
            assert_eq!(Query::of_expression(expression).unwrap_err().status(), 400, "{expression}");
        }
        for (value, most) in [(json!(0), 5), (json!(6), 5), (json!("x"), 5), (json!(1.5), 5), (json!(null), 5)] {
            assert!(size(Some(&value), 1, most, "n").is_err(), "{value}");
        }
        assert_eq!(size(Some(&json!("5")), 1, 5, "n").ok(), Some(5));
        for text in ["", "7", "x.y", "300.cm1"] {
            assert!(token(Some(&json!(text))).is_err(), "{text}");
        }
    }
}
