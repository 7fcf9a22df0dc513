//! JSON-RPC 2.0 as this protocol uses it: one message in a body, an answer or none.

use serde_json::{Value, json};

pub(super) const INVALID_REQUEST: i32 = -32600;
pub(super) const METHOD_NOT_FOUND: i32 = -32601;
pub(super) const INVALID_PARAMS: i32 = -32602;
pub(super) const RESOURCE_NOT_FOUND: i32 = -32002;
/// A header says something else than the body.
pub(super) const HEADER_MISMATCH: i32 = -32020;
/// The client lacks what the answer would need.
pub(super) const MISSING_CAPABILITY: i32 = -32021;
/// A revision that is not spoken here.
pub(super) const UNSUPPORTED_VERSION: i32 = -32022;

/// Why there is no result.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wrong {
    pub(super) code: i32,
    pub(super) message: String,
    pub(super) data: Value,
}

impl Wrong {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Wrong {
        Wrong { code, message: message.into(), data: Value::Null }
    }

    /// The HTTP status that the later revision gives to an answer with this code.
    pub(super) fn status(&self) -> u16 {
        match self.code {
            METHOD_NOT_FOUND => 404,
            MISSING_CAPABILITY => 400,
            _ => 200,
        }
    }
}

/// What a body holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    /// Wants an answer.
    Request(Request),
    /// A notification.
    Silent,
    /// The client's answer to a question.
    Answer(Value),
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) id: Value,
    pub(super) method: String,
    pub(super) params: Value,
}

/// Reads one message.
pub(super) fn read(mut message: Value) -> Result<Message, Wrong> {
    let invalid = |text: &str| Wrong::new(INVALID_REQUEST, text);
    if !message.is_object() {
        return Err(invalid("one JSON-RPC message is an object; batches are not taken"));
    }
    if message["jsonrpc"] != "2.0" {
        return Err(invalid("`jsonrpc` is not \"2.0\""));
    }
    let (id, params) = (message["id"].take(), message["params"].take());
    let Some(method) = message["method"].as_str() else {
        let answers = message.get("result").is_some() || message.get("error").is_some();
        message["id"] = id;
        return if answers { Ok(Message::Answer(message)) } else { Err(invalid("no `method`")) };
    };
    if id.is_null() {
        return Ok(Message::Silent);
    }
    if !(id.is_string() || id.is_i64() || id.is_u64()) {
        return Err(invalid("an id is a string or a whole number"));
    }
    if !(params.is_object() || params.is_null()) {
        return Err(Wrong::new(INVALID_PARAMS, "`params` is no object"));
    }
    Ok(Message::Request(Request { id, method: method.to_owned(), params }))
}

/// The envelope of an answer.
pub(super) fn answer(id: &Value, result: Result<Value, Wrong>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(wrong) => {
            let mut error = json!({ "code": wrong.code, "message": wrong.message });
            if !wrong.data.is_null() {
                error["data"] = wrong.data;
            }
            json!({ "jsonrpc": "2.0", "id": id, "error": error })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wants_an_answer_is_told_from_what_does_not() {
        let request = json!({ "jsonrpc": "2.0", "id": 7, "method": "ping" });
        assert!(matches!(read(request), Ok(Message::Request(request)) if request.id == 7 && request.method == "ping"));
        let silent = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(read(silent), Ok(Message::Silent));
        let answer = json!({ "jsonrpc": "2.0", "id": 7, "result": {} });
        assert!(matches!(read(answer), Ok(Message::Answer(answer)) if answer["id"] == 7));
        for invalid in [
            json!([]),
            json!({ "id": 7, "method": "ping" }),
            json!({ "jsonrpc": "2.0", "id": {}, "method": "ping" }),
            json!({ "jsonrpc": "2.0", "id": 7 }),
        ] {
            assert_eq!(read(invalid.clone()).unwrap_err().code, INVALID_REQUEST, "{invalid}");
        }
        let list = json!({ "jsonrpc": "2.0", "id": "a", "method": "ping", "params": [1] });
        assert_eq!(read(list).unwrap_err().code, INVALID_PARAMS);
    }
}
