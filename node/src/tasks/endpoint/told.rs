//! What an A2A server tells of a task, made into the events of the mesh's task. Pure.
//!
//! Words about the work are passed on as they come. The result is passed on when the task has ended: until then a server
//! may put another artifact in the place of one that it has told.

use crate::{doors::a2a::EXTENSION, registry::json};
use bytes::Bytes;
use comity_proto::limits::RESULT_BYTES_MAX;
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What an artifact is called, and its parts.
type Artifact = (String, Vec<Value>);

/// Parts of a result that is still told.
const PARTS_MAX: usize = 65_536;
/// What a part can hold, one of them.
const CONTENTS: [&str; 4] = ["text", "raw", "url", "data"];

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The work has begun.
    Accepted,
    /// Words about it.
    Progress(Bytes),
    /// It is done: the result, and the envelope of a demand for payment or nothing.
    Done(Bytes, Bytes),
    /// There is no result.
    Failed(String),
}

/// One task as far as it was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The server's own name for it.
    pub(super) task: Option<String>,
    accepted: bool,
    said: BTreeSet<String>,
    artifacts: Vec<Artifact>,
    demand: Bytes,
}

impl Told {
    /// Takes an answer or an update in.
    pub(super) fn hear(&mut self, answer: &Value) -> Vec<Heard> {
        let mut heard = Vec::new();
        for told in ["message", "task", "statusUpdate"] {
            self.demanded(&answer[told]);
        }
        if answer["message"].is_object() {
            self.begin(&mut heard);
            let parts = answer["message"]["parts"].as_array().cloned().unwrap_or_default();
            heard.push(self.done(&parts));
        } else if answer["task"].is_object() {
            let task = &answer["task"];
            self.named(&task["id"]);
            if let Some(all) = task["artifacts"].as_array().filter(|all| !all.is_empty()) {
                self.artifacts = all.iter().map(artifact).collect();
            }
            self.status(&task["status"], &mut heard);
        } else if answer["statusUpdate"].is_object() {
            self.named(&answer["statusUpdate"]["taskId"]);
            self.status(&answer["statusUpdate"]["status"], &mut heard);
        } else if answer["artifactUpdate"].is_object() {
            let update = &answer["artifactUpdate"];
            self.named(&update["taskId"]);
            self.begin(&mut heard);
            self.add(artifact(&update["artifact"]), update["append"] == true);
        } else {
            heard.push(Heard::Failed("its answer is none of A2A 1.0".to_owned()));
        }
        if self.artifacts.iter().map(|(_, parts)| parts.len()).sum::<usize>() > PARTS_MAX {
            heard.push(Heard::Failed("its result has too many parts".to_owned()));
        }
        heard
    }

    /// A name that can stand in an address.
    fn named(&mut self, id: &Value) {
        let plain = |id: &&str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:~".contains(c);
            !id.is_empty() && id.len() <= 128 && id.chars().all(allowed)
        };
        if let Some(id) = id.as_str().filter(plain) {
            self.task = Some(id.to_owned());
        }
    }

    /// A demand for payment that its worker signed; whoever pays judges it.
    fn demanded(&mut self, told: &Value) {
        let envelope = told["metadata"][EXTENSION]["paymentRequest"]["envelope"].as_str();
        if let Some(envelope) = envelope.and_then(|text| BASE64.decode(text.as_bytes()).ok()) {
            self.demand = envelope.into();
        }
    }

    fn begin(&mut self, heard: &mut Vec<Heard>) {
        if !std::mem::replace(&mut self.accepted, true) {
            heard.push(Heard::Accepted);
        }
    }

    fn add(&mut self, (name, parts): Artifact, append: bool) {
        match self.artifacts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) if append => known.extend(parts),
            Some((_, known)) => *known = parts,
            None => self.artifacts.push((name, parts)),
        }
    }

    fn status(&mut self, status: &Value, heard: &mut Vec<Heard>) {
        let state = status["state"].as_str().unwrap_or_default().trim_start_matches("TASK_STATE_");
        let parts = status["message"]["parts"].as_array().cloned().unwrap_or_default();
        let words = joined(&parts);
        let told = String::from_utf8_lossy(&words).into_owned();
        match state {
            "SUBMITTED" | "" => {}
            "WORKING" => {
                self.begin(heard);
                let name = status["message"]["messageId"].as_str().unwrap_or_default();
                if !words.is_empty() && self.said.insert(name.to_owned()) {
                    heard.push(Heard::Progress(words));
                }
            }
            "COMPLETED" => {
                self.begin(heard);
                heard.push(self.done(&parts));
            }
            "INPUT_REQUIRED" | "AUTH_REQUIRED" => {
                heard.push(Heard::Failed(format!("the worker asks for more, which a task cannot carry: {told}")));
            }
            ended => heard.push(Heard::Failed(match told.is_empty() {
                true => format!("the worker says {}", ended.to_lowercase()),
                false => told,
            })),
        }
    }

    /// The result: all artifacts in order, or without any what was said at the end.
    fn done(&self, last_words: &[Value]) -> Heard {
        let parts: Vec<Value> = match self.artifacts.is_empty() {
            true => last_words.to_vec(),
            false => self.artifacts.iter().flat_map(|(_, parts)| parts.iter().cloned()).collect(),
        };
        let result = joined(&parts);
        if result.len() > RESULT_BYTES_MAX {
            return Heard::Failed(format!("its result has over {RESULT_BYTES_MAX} bytes"));
        }
        Heard::Done(result, self.demand.clone())
    }
}

fn artifact(told: &Value) -> Artifact {
    let name = told["artifactId"].as_str().unwrap_or_default().to_owned();
    (name, told["parts"].as_array().cloned().unwrap_or_default())
}

/// Parts as bytes: texts and files one after the other; a single value as canonical JSON; anything else as canonical JSON of
/// all parts.
fn joined(parts: &[Value]) -> Bytes {
    let plain = |part: &Value| match (&part["text"], &part["raw"]) {
        (Value::String(text), _) => Some(text.clone().into_bytes()),
        (_, Value::String(raw)) => BASE64.decode(raw.as_bytes()).ok(),
        _ => None,
    };
    if let Some(pieces) = parts.iter().map(plain).collect::<Option<Vec<_>>>() {
        return pieces.concat().into();
    }
    match parts {
        [only] if only.get("data").is_some() => json::canonical(&only["data"]).into(),
        several => json::canonical(&json!({ "parts": several })).into(),
    }
}

/// What an A2A server is sent of a task: the parts of the message that began it, as far as its bytes tell.
pub(super) fn parts(body: &[u8]) -> Value {
    let whole: Option<Value> = serde_json::from_slice(body).ok();
    let several = whole.as_ref().and_then(|whole| Some((whole.as_object()?.len(), whole["parts"].as_array()?)));
    if let Some((1, several)) = several.filter(|(_, several)| !several.is_empty() && several.iter().all(is_part)) {
        return json!(several);
    }
    match std::str::from_utf8(body) {
        Ok(text) => json!([{ "text": text }]),
        Err(_) => json!([{ "raw": BASE64.encode(body) }]),
    }
}

fn is_part(part: &Value) -> bool {
    part.as_object().is_some_and(|part| CONTENTS.iter().filter(|kind| part.contains_key(**kind)).count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: &str, id: &str, words: &str) -> Value {
        let message = json!({ "messageId": id, "role": "ROLE_AGENT", "parts": [{ "text": words }] });
        let status = json!({ "state": format!("TASK_STATE_{state}"), "message": message });
        json!({ "statusUpdate": { "taskId": "t-1", "contextId": "c", "status": status } })
    }

    fn piece(id: &str, words: &str, append: bool) -> Value {
        let artifact = json!({ "artifactId": id, "parts": [{ "text": words }] });
        json!({ "artifactUpdate": { "taskId": "t-1", "artifact": artifact, "append": append } })
    }

    fn done(result: &str) -> Heard {
        Heard::Done(Bytes::copy_from_slice(result.as_bytes()), Bytes::new())
    }

    #[test]
    fn words_come_as_they_are_said_and_artifacts_when_all_is_done() {
        let mut told = Told::default();
        let submitted = json!({ "task": { "id": "t-1", "status": { "state": "TASK_STATE_SUBMITTED" } } });
        assert_eq!(told.hear(&submitted), []);
        assert_eq!(told.task.as_deref(), Some("t-1"));
        let words = told.hear(&status("WORKING", "m1", "half"));
        assert_eq!(words, [Heard::Accepted, Heard::Progress(Bytes::from_static(b"half"))]);
        assert_eq!(told.hear(&status("WORKING", "m1", "half")), [], "the same words again");
        for (update, append) in [("to be", false), ("one", false), (", two", true)] {
            assert_eq!(told.hear(&piece("a", update, append)), []);
        }
        told.hear(&piece("b", "!", true));
        assert_eq!(told.hear(&status("COMPLETED", "m2", "ready")), [done("one, two!")]);
    }

    #[test]
    fn an_answer_in_one_piece_is_a_whole_task() {
        let message = json!({ "message": { "messageId": "m", "parts": [{ "data": { "b": 1, "a": 2 } }] } });
        assert_eq!(Told::default().hear(&message), [Heard::Accepted, done(r#"{"a":2,"b":1}"#)]);
        let status = json!({ "state": "TASK_STATE_COMPLETED", "message": { "parts": [{ "text": "six" }] } });
        let task = json!({ "task": { "id": "t", "status": status } });
        assert_eq!(Told::default().hear(&task), [Heard::Accepted, done("six")], "no artifact: the last words");
        let mut paid = task.clone();
        paid["task"]["metadata"] = json!({ EXTENSION: { "paymentRequest": { "envelope": "AAEC" } } });
        paid["task"]["artifacts"] = json!([{ "artifactId": "a", "parts": [{ "raw": "/+8=" }] }]);
        let result = Heard::Done(Bytes::from_static(&[0xff, 0xef]), Bytes::from_static(&[0, 1, 2]));
        assert_eq!(Told::default().hear(&paid), [Heard::Accepted, result]);
    }

    #[test]
    fn what_is_no_result_says_why() {
        for (answer, why) in [
            (status("FAILED", "m", "it broke"), "it broke"),
            (status("REJECTED", "m", ""), "the worker says rejected"),
            (status("INPUT_REQUIRED", "m", "which?"), "the worker asks for more, which a task cannot carry: which?"),
            (json!({ "kind": "task" }), "its answer is none of A2A 1.0"),
        ] {
            assert_eq!(Told::default().hear(&answer).last(), Some(&Heard::Failed(why.to_owned())), "{answer}");
        }
    }

    #[test]
    fn a_task_is_sent_as_it_was_said() {
        assert_eq!(parts(b"words"), json!([{ "text": "words" }]));
        assert_eq!(parts(&[0xff, 0xef]), json!([{ "raw": "/+8=" }]));
        assert_eq!(parts(br#"{"a":1}"#), json!([{ "text": "{\"a\":1}" }]));
        let several = json!([{ "text": "a" }, { "data": [1] }]);
        assert_eq!(parts(json!({ "parts": several }).to_string().as_bytes()), several);
        assert_eq!(parts(br#"{"parts":[{}]}"#), json!([{ "text": "{\"parts\":[{}]}" }]));
    }
}
