//! The part of JSON Schema (2020-12) by which a result is checked: `type`, `enum`, `const`, `properties`, `required`,
//! `additionalProperties`, `minProperties`, `maxProperties`, `items`, `minItems`, `maxItems`, `minLength`, `maxLength`,
//! `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `allOf`, `anyOf`, `oneOf`, `not`, and schemas that are
//! `true` or `false`. A schema with any other word that could refuse something is itself refused: nothing is passed over.
//!
//! Deliberately absent: `$ref`, `pattern`, `format`, `uniqueItems` and the rest. A schema that a worker's result must
//! meet needs few words, and each word of others would be code that decides about money.

use serde_json::{Map, Value};

/// Words that refuse nothing.
const ANNOTATIONS: [&str; 8] =
    ["$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated"];
const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "integer", "string"];
/// Words whose value is a count.
const COUNTS: [&str; 6] = ["minProperties", "maxProperties", "minItems", "maxItems", "minLength", "maxLength"];
/// Words whose value is a number.
const BOUNDS: [&str; 4] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

/// Whether this is a schema all of whose words are understood.
///
/// # Errors
/// The word that is not, in words.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let words = match schema {
        Value::Bool(_) => return Ok(()),
        Value::Object(words) => words,
        other => return Err(format!("a schema is an object, true or false, not {other}")),
    };
    words.iter().try_for_each(|(word, said)| check_word(word, said))
}

fn check_word(word: &str, said: &Value) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("`{word}` must be {what}"));
    match word {
        word if ANNOTATIONS.contains(&word) || word == "const" => Ok(()),
        word if COUNTS.contains(&word) => {
            if said.is_u64() {
                Ok(())
            } else {
                wrong("a whole number")
            }
        }
        word if BOUNDS.contains(&word) => {
            if said.is_number() {
                Ok(())
            } else {
                wrong("a number")
            }
        }
        "type" => {
            let known = |name: &Value| name.as_str().is_some_and(|name| TYPES.contains(&name));
            let all = said.as_array().map_or_else(|| known(said), |names| names.iter().all(known));
            if all { Ok(()) } else { Err(format!("`type` is one or several of {}", TYPES.join(", "))) }
        }
        "enum" => {
            if said.is_array() {
                Ok(())
            } else {
                wrong("a list")
            }
        }
        "required" => {
            let named = |names: &Vec<Value>| names.iter().all(Value::is_string);
            if said.as_array().is_some_and(named) { Ok(()) } else { wrong("a list of names") }
        }
        "properties" => match said.as_object() {
            Some(schemas) => schemas.values().try_for_each(check),
            None => wrong("an object of schemas"),
        },
        "additionalProperties" | "items" | "not" => check(said),
        "allOf" | "anyOf" | "oneOf" => match said.as_array() {
            Some(schemas) if !schemas.is_empty() => schemas.iter().try_for_each(check),
            _ => wrong("a list of schemas"),
        },
        other => Err(format!("`{other}` is not among the words that are understood here")),
    }
}

/// Whether a value meets a schema that was checked.
///
/// # Errors
/// Where it does not, and why, in words.
pub(super) fn judge(schema: &Value, value: &Value) -> Result<(), String> {
    judge_at(schema, value, "")
}

fn judge_at(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    match schema {
        Value::Bool(true) => Ok(()),
        Value::Object(words) => words.iter().try_for_each(|(word, said)| judge_word(words, word, said, value, at)),
        _ => Err(format!("{}: nothing is allowed here", place(at))),
    }
}

fn place(at: &str) -> &str {
    if at.is_empty() { "the result" } else { at }
}

fn judge_word(words: &Map<String, Value>, word: &str, said: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schemas = || said.as_array().into_iter().flatten();
    let meets = |schema: &&Value| judge_at(schema, value, at).is_ok();
    let holds = match word {
        "type" => said.as_array().map_or_else(|| is_type(said, value), |all| all.iter().any(|one| is_type(one, value))),
        "enum" => schemas().any(|one| same(one, value)),
        "const" => same(said, value),
        "allOf" => return schemas().try_for_each(|schema| judge_at(schema, value, at)),
        "anyOf" => schemas().any(|schema| meets(&schema)),
        "oneOf" => schemas().filter(meets).count() == 1,
        "not" => !meets(&said),
        _ => match value {
            Value::Object(members) => return judge_object(words, word, said, members, at),
            Value::Array(items) if word == "items" => {
                let each = |(index, item)| judge_at(said, item, &format!("{at}/{index}"));
                return items.iter().enumerate().try_for_each(each);
            }
            Value::Array(items) => within(word, said, ("minItems", "maxItems"), items.len()),
            Value::String(text) => within(word, said, ("minLength", "maxLength"), text.chars().count()),
            Value::Number(number) => in_bounds(word, said.as_f64(), number.as_f64()),
            Value::Null | Value::Bool(_) => true,
        },
    };
    if holds { Ok(()) } else { Err(format!("{} breaks `{word}`", place(at))) }
}

fn judge_object(
    words: &Map<String, Value>,
    word: &str,
    said: &Value,
    members: &Map<String, Value>,
    at: &str,
) -> Result<(), String> {
    let below = |name: &str| format!("{at}/{name}");
    match word {
        "properties" => {
            let named = said.as_object().into_iter().flatten();
            let mut there = named.filter_map(|(name, schema)| Some((name, schema, members.get(name)?)));
            there.try_for_each(|(name, schema, member)| judge_at(schema, member, &below(name)))
        }
        "additionalProperties" => {
            let listed = words.get("properties").and_then(Value::as_object);
            let is_listed = |name: &String| listed.is_some_and(|listed| listed.contains_key(name));
            let mut others = members.iter().filter(|(name, _)| !is_listed(name));
            others.try_for_each(|(name, member)| judge_at(said, member, &below(name)))
        }
        "required" => {
            let mut names = said.as_array().into_iter().flatten().filter_map(Value::as_str);
            match names.find(|name| !members.contains_key(*name)) {
                Some(name) => Err(format!("{} lacks `{name}`", place(at))),
                None => Ok(()),
            }
        }
        word if within(word, said, ("minProperties", "maxProperties"), members.len()) => Ok(()),
        word => Err(format!("{} breaks `{word}`", place(at))),
    }
}

fn within(word: &str, said: &Value, (least, most): (&str, &str), count: usize) -> bool {
    let (bound, count) = (said.as_u64().unwrap_or_default(), count as u64);
    !(word == least && count < bound || word == most && count > bound)
}

fn in_bounds(word: &str, bound: Option<f64>, number: Option<f64>) -> bool {
    let (Some(bound), Some(number)) = (bound, number) else { return true };
    match word {
        "minimum" => number >= bound,
        "maximum" => number <= bound,
        "exclusiveMinimum" => number > bound,
        "exclusiveMaximum" => number < bound,
        _ => true,
    }
}

fn is_type(name: &Value, value: &Value) -> bool {
    match name.as_str().unwrap_or_default() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        // 1.0 is a whole number, whatever way it is written.
        _ => value.as_f64().is_some_and(|number| value.is_number() && number.fract() == 0.0),
    }
}

/// Equal as JSON: numbers by value. They were read within 53 bits, so nothing is rounded.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let also = |(name, value): (&String, &Value)| other.get(name).is_some_and(|other| same(value, other));
            one.len() == other.len() && one.iter().all(also)
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_word_refuses_what_it_should_and_nothing_else() {
        for (schema, good, bad) in [
            (json!({ "type": "integer" }), json!([1, 1.0, -3]), json!([1.5, "1", null, true])),
            (json!({ "type": ["null", "string"] }), json!([null, "x"]), json!([0, {}])),
            (json!({ "type": "number" }), json!([0, 0.5]), json!(["0", false])),
            (json!({ "enum": [1, "a", [2]] }), json!([1.0, "a", [2.0]]), json!([2, "b", []])),
            (json!({ "const": { "a": [1] } }), json!([{ "a": [1.0] }]), json!([{ "a": [1], "b": 0 }, {}])),
            (json!({ "minimum": 1, "exclusiveMaximum": 3 }), json!([1, 2.5, "9"]), json!([0.5, 3])),
            (json!({ "maximum": 1, "exclusiveMinimum": 0 }), json!([1, 0.1]), json!([1.5, 0])),
            (json!({ "minLength": 2, "maxLength": 3 }), json!(["äö", 7]), json!(["ä", "abcd"])),
            (
                json!({ "minItems": 1, "maxItems": 2, "items": { "type": "string" } }),
                json!([["a"], 1]),
                json!([[], [1], ["a", "b", "c"]]),
            ),
            (
                json!({ "minProperties": 1, "maxProperties": 1 }),
                json!([{ "a": 1 }, []]),
                json!([{}, { "a": 1, "b": 2 }]),
            ),
            (
                json!({ "properties": { "a": { "type": "string" } }, "required": ["a"], "additionalProperties": false }),
                json!([{ "a": "x" }, "no object"]),
                json!([{}, { "a": 1 }, { "a": "x", "b": 1 }]),
            ),
            (json!({ "additionalProperties": { "type": "null" } }), json!([{ "x": null }]), json!([{ "x": 1 }])),
            (json!({ "allOf": [{ "type": "string" }, { "minLength": 1 }] }), json!(["a"]), json!(["", 1])),
            (json!({ "anyOf": [{ "type": "string" }, { "minimum": 5 }] }), json!(["a", 5]), json!([4])),
            (json!({ "oneOf": [{ "minimum": 5 }, { "maximum": 10 }] }), json!([4, 11]), json!([7])),
            (json!({ "not": { "type": "null" } }), json!([1]), json!([null])),
            (json!(true), json!([1]), json!([])),
            (json!(false), json!([]), json!([1, null])),
            (json!({ "$schema": "s", "title": "t", "default": 1 }), json!([1]), json!([])),
        ] {
            check(&schema).unwrap_or_else(|why| panic!("{schema}: {why}"));
            for value in good.as_array().unwrap() {
                assert_eq!(judge(&schema, value), Ok(()), "{schema} {value}");
            }
            for value in bad.as_array().unwrap() {
                assert!(judge(&schema, value).is_err(), "{schema} {value}");
            }
        }
    }

    #[test]
    fn a_refusal_says_where_and_why() {
        let schema = json!({ "properties": { "a": { "items": { "type": "string" } } } });
        assert_eq!(judge(&schema, &json!({ "a": ["x", 1] })), Err("/a/1 breaks `type`".to_owned()));
        assert_eq!(judge(&json!({ "required": ["n"] }), &json!({})), Err("the result lacks `n`".to_owned()));
    }

    #[test]
    fn a_schema_with_a_word_that_is_not_understood_is_refused_wherever_it_stands() {
        for schema in [
            json!({ "$ref": "#" }),
            json!({ "pattern": "^a" }),
            json!({ "properties": { "a": { "format": "date" } } }),
            json!({ "anyOf": [{ "uniqueItems": true }] }),
            json!({ "items": [{}] }),
            json!({ "type": "text" }),
            json!({ "minLength": -1 }),
            json!({ "maximum": "1" }),
            json!({ "required": [1] }),
            json!({ "enum": 1 }),
            json!({ "allOf": [] }),
            json!({ "properties": [] }),
            json!("string"),
        ] {
            assert!(check(&schema).is_err(), "{schema}");
        }
    }
}
