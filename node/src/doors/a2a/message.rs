//! A message of a client: checked, and made into the input of a task. What the task does not carry, the note keeps.
//!
//! The input of a task is bytes, and an escrow's terms hold their hash. A message of one part is that part's bytes: the
//! words, the file, or canonical JSON (RFC 8785). Any other message is canonical JSON of all parts, `{"parts": […]}`.

use super::{
    EXTENSION,
    card::INPUT_MODES,
    wrong::{What, Wrong},
};
use crate::registry::json;
use bytes::Bytes;
use comity_proto::{
    ids::{Hash, TaskId},
    limits::{TASK_BYTES_MAX, TASK_NOTE_BYTES_MAX},
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use serde_json::{Map, Value, json};

/// Parts of one message.
const PARTS_MAX: usize = 64;
/// Characters of a context's name.
const CONTEXT_CHARS_MAX: usize = 128;
/// What a part can hold, one of them.
const CONTENTS: [&str; 4] = ["text", "raw", "data", "url"];

/// A message that was understood.
pub(super) struct Said {
    /// The client's own name for it: the same one again is the same wish.
    pub(super) id: String,
    /// What it belongs to, if the client says.
    pub(super) context: Option<String>,
    /// The task that it is about, if it is no new one.
    pub(super) task: Option<TaskId>,
    /// The input of the task.
    pub(super) body: Bytes,
    /// What stands under the extension in its metadata.
    pub(super) payment: Value,
    form: &'static str,
    /// The message without its parts.
    shell: Map<String, Value>,
    /// Of a single part: everything but its content.
    part: Map<String, Value>,
}

fn bad(text: impl Into<String>) -> Wrong {
    Wrong::new(What::InvalidParams, text)
}

impl Said {
    pub(super) fn read(message: &Value) -> Result<Said, Wrong> {
        let Some(message) = message.as_object() else { return Err(bad("`message` is missing")) };
        let text = |name: &str| match message.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
            Some(_) => Err(bad(format!("`message.{name}` is no text"))),
        };
        let id = text("messageId")?.ok_or_else(|| bad("`message.messageId` is missing"))?;
        if text("role")?.as_deref() != Some("ROLE_USER") {
            return Err(bad("`message.role` is not ROLE_USER"));
        }
        let context = text("contextId")?;
        if context.as_ref().is_some_and(|context| context.len() > CONTEXT_CHARS_MAX) {
            return Err(bad(format!("`message.contextId` has over {CONTEXT_CHARS_MAX} characters")));
        }
        let task = text("taskId")?.map(|text| task_id(&text)).transpose()?;
        let parts = message.get("parts").and_then(Value::as_array).filter(|parts| !parts.is_empty());
        let parts = parts.ok_or_else(|| bad("`message.parts` is missing or empty"))?;
        if parts.len() > PARTS_MAX {
            return Err(bad(format!("over {PARTS_MAX} parts")));
        }
        let (form, body, part) = body_of(parts)?;
        if body.len() > TASK_BYTES_MAX {
            return Err(Wrong::of_rule(What::InvalidParams, "task_too_large", format!("over {TASK_BYTES_MAX} bytes")));
        }
        let payment = message.get("metadata").map_or(Value::Null, |metadata| metadata[EXTENSION].clone());
        let mut shell = message.clone();
        for told_apart in ["parts", "contextId", "taskId"] {
            shell.remove(told_apart);
        }
        Ok(Said { id, context, task, body, payment, form, shell, part })
    }

    /// What the node keeps beside the task.
    pub(super) fn note(&self, context: &str) -> Result<Bytes, Wrong> {
        let note = json!({ "context": context, "form": self.form, "message": self.shell, "part": self.part });
        let note = note.to_string();
        if note.len() > TASK_NOTE_BYTES_MAX {
            let text = format!("the message has over {TASK_NOTE_BYTES_MAX} bytes beside its content");
            return Err(Wrong::of_rule(What::InvalidParams, "message_too_large", text));
        }
        Ok(note.into())
    }
}

/// A task's id as clients write it: any text that is none names no task.
pub(super) fn task_id(text: &str) -> Result<TaskId, Wrong> {
    text.parse().map_err(|_| Wrong::new(What::TaskNotFound, format!("no task {text} here")))
}

type Body = (&'static str, Bytes, Map<String, Value>);

fn body_of(parts: &[Value]) -> Result<Body, Wrong> {
    for part in parts {
        check(part)?;
    }
    if let ([only], Some(part)) = (parts, parts[0].as_object()) {
        let plain = part.keys().all(|key| CONTENTS.contains(&key.as_str()) || key == "mediaType" || key == "filename");
        let mut rest = part.clone();
        let mut without = |name: &str| {
            rest.remove(name);
            rest.clone()
        };
        match only {
            part if !plain || !part["url"].is_null() => {}
            part if part.get("data").is_some() => {
                return Ok(("data", json::canonical(&part["data"]).into(), without("data")));
            }
            part => {
                if let Some(text) = part["text"].as_str() {
                    return Ok(("text", Bytes::copy_from_slice(text.as_bytes()), without("text")));
                }
                return Ok(("raw", base64(&part["raw"])?, without("raw")));
            }
        }
    }
    Ok(("parts", json::canonical(&json!({ "parts": parts })).into(), Map::new()))
}

fn check(part: &Value) -> Result<(), Wrong> {
    let Some(part) = part.as_object() else { return Err(bad("a part is no object")) };
    if let Some(kind) = part.get("mediaType").and_then(Value::as_str).filter(|kind| !kind.is_empty()) {
        let plain = kind.split(';').next().unwrap_or_default().trim();
        if !INPUT_MODES.iter().any(|mode| mode.eq_ignore_ascii_case(plain)) {
            let text = format!("no part of the media type {kind} is taken here; {} are", INPUT_MODES.join(", "));
            return Err(Wrong::new(What::ContentTypeNotSupported, text));
        }
    }
    let contents: Vec<&str> = CONTENTS.into_iter().filter(|name| part.contains_key(*name)).collect();
    let &[content] = &contents[..] else { return Err(bad("a part has exactly one of text, raw, url and data")) };
    match content {
        "raw" => base64(&part["raw"]).map(drop),
        "data" => Ok(()),
        text if part[text].is_string() => Ok(()),
        text => Err(bad(format!("`{text}` is no text"))),
    }
}

/// Either alphabet, with or without padding: all that JSON of protocol buffers allows.
fn base64(value: &Value) -> Result<Bytes, Wrong> {
    let text = value.as_str().ok_or_else(|| bad("`raw` is no text"))?;
    let url_safe: String = text
        .trim_end_matches('=')
        .chars()
        .map(|c| match c {
            '+' => '-',
            '/' => '_',
            c => c,
        })
        .collect();
    let bytes = BASE64URL_NOPAD.decode(url_safe.as_bytes());
    bytes.map(Bytes::from).map_err(|_| bad("`raw` is no base64"))
}

/// The context of a task: as the client named it, or of its own.
pub(super) fn context(note: &Value, task: TaskId) -> String {
    note["context"].as_str().map_or_else(|| task.to_string(), str::to_owned)
}

/// The message that began a task, as it came; one that came by another door has what the task carries.
pub(super) fn first(note: &Value, task: TaskId, body: &Bytes) -> Value {
    let mut message = note["message"].as_object().cloned().unwrap_or_default();
    message.entry("messageId").or_insert_with(|| task.to_string().into());
    message.insert("role".to_owned(), "ROLE_USER".into());
    message.insert("taskId".to_owned(), task.to_string().into());
    message.insert("contextId".to_owned(), context(note, task).into());
    message.insert("parts".to_owned(), parts(note, body));
    message.into()
}

fn parts(note: &Value, body: &Bytes) -> Value {
    let mut part = note["part"].as_object().cloned().unwrap_or_default();
    let whole = || serde_json::from_slice::<Value>(body).unwrap_or_default();
    match note["form"].as_str() {
        Some("parts") => return whole()["parts"].take(),
        Some("data") => drop(part.insert("data".to_owned(), whole())),
        Some("raw") => drop(part.insert("raw".to_owned(), BASE64.encode(body).into())),
        _ => return json!([content(body, part)]),
    }
    json!([part])
}

/// Bytes as a part: words if they are.
pub(super) fn content(bytes: &[u8], mut part: Map<String, Value>) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => part.insert("text".to_owned(), text.into()),
        Err(_) => part.insert("raw".to_owned(), BASE64.encode(bytes).into()),
    };
    part.into()
}

/// A name for a context that the client did not name: the same on every retry.
pub(super) fn fresh_context(task_key: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Hash::of_parts("comity/v1/a2a-context", &[task_key]).first_16())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(parts: Value) -> Result<Said, Wrong> {
        Said::read(&json!({ "messageId": "m", "role": "ROLE_USER", "parts": parts, "metadata": { "k": 1 } }))
    }

    #[test]
    fn one_part_is_its_bytes_and_comes_back_as_it_was() {
        for (parts, body) in [
            (json!([{ "text": "words" }]), &b"words"[..]),
            (json!([{ "text": "words", "mediaType": "text/plain" }]), b"words"),
            (json!([{ "raw": "/+8=", "filename": "f" }]), &[0xff, 0xef]),
            (json!([{ "data": { "b": 1, "a": [0.5] } }]), br#"{"a":[0.5],"b":1}"#),
            (json!([{ "url": "https://x" }]), br#"{"parts":[{"url":"https://x"}]}"#),
            (json!([{ "text": "a" }, { "text": "b" }]), br#"{"parts":[{"text":"a"},{"text":"b"}]}"#),
            (json!([{ "text": "a", "metadata": {} }]), br#"{"parts":[{"metadata":{},"text":"a"}]}"#),
        ] {
            let said = said(parts.clone()).unwrap_or_else(|wrong| panic!("{parts}: {wrong:?}"));
            assert_eq!(said.body, body, "{parts}");
            let note: Value = serde_json::from_slice(&said.note("c").unwrap()).unwrap();
            let told = first(&note, TaskId([1; 16]), &said.body);
            assert_eq!((&told["parts"], &told["metadata"]["k"], &told["contextId"]), (&parts, &json!(1), &json!("c")));
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for parts in [
            json!([]),
            json!("text"),
            json!([{}]),
            json!(["text"]),
            json!([{ "text": 1 }]),
            json!([{ "text": "a", "url": "b" }]),
            json!([{ "raw": "?" }]),
        ] {
            assert_eq!(said(parts.clone()).err().map(|wrong| wrong.what), Some(What::InvalidParams), "{parts}");
        }
        let image = said(json!([{ "raw": "/+8=", "mediaType": "image/png" }]));
        assert_eq!(image.err().map(|wrong| wrong.what), Some(What::ContentTypeNotSupported));
        assert!(said(json!([{ "data": 1, "mediaType": "Application/JSON; charset=utf-8" }])).is_ok());
        let good = json!({ "messageId": "m", "role": "ROLE_USER", "parts": [{ "text": "a" }] });
        for (name, value) in [("messageId", json!("")), ("role", json!("ROLE_AGENT")), ("contextId", json!(7))] {
            let mut message = good.clone();
            message[name] = value;
            assert_eq!(Said::read(&message).err().map(|wrong| wrong.what), Some(What::InvalidParams), "{name}");
        }
        let mut about = good;
        about["taskId"] = json!("nothing");
        assert_eq!(Said::read(&about).err().map(|wrong| wrong.what), Some(What::TaskNotFound));
    }
}
