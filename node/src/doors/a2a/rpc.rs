//! The JSON-RPC 2.0 binding: one call in a body; its answer, or a stream of answers under the same id.

use super::wrong::{What, Wrong};
use serde_json::{Value, json};

/// A call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Answered under this id.
    pub id: Value,
    /// Name of the operation.
    pub method: String,
    /// Its parameters.
    pub params: Value,
}

/// Reads a call.
///
/// # Errors
/// The refusal, and the id under which it is told.
pub fn read(mut body: Value) -> Result<Call, (Value, Wrong)> {
    if !body.is_object() {
        return Err((Value::Null, Wrong::new(What::InvalidRequest, "one call is an object; batches are not taken")));
    }
    let id = body["id"].take();
    let is_id = id.is_string() || id.is_i64() || id.is_u64();
    let invalid = |text: &str| {
        let told = if is_id { id.clone() } else { Value::Null };
        Err((told, Wrong::new(What::InvalidRequest, text)))
    };
    if body["jsonrpc"] != "2.0" {
        return invalid("`jsonrpc` is not \"2.0\"");
    }
    if !is_id {
        return invalid("an id is a string or a whole number");
    }
    let Some(method) = body["method"].as_str().map(str::to_owned) else { return invalid("no `method`") };
    match body["params"].take() {
        params @ Value::Object(_) => Ok(Call { id, method, params }),
        Value::Null => Ok(Call { id, method, params: json!({}) }),
        _ => Err((id, Wrong::new(What::InvalidParams, "`params` is no object"))),
    }
}

/// The envelope of an answer.
pub fn answer(id: &Value, result: Result<Value, Wrong>) -> Value {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(wrong) => json!({ "jsonrpc": "2.0", "id": id, "error": wrong.rpc() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_from_what_is_none() {
        let call = read(json!({ "jsonrpc": "2.0", "id": "a", "method": "GetTask", "params": { "id": "t" } })).unwrap();
        assert_eq!((call.id, call.method.as_str(), call.params), (json!("a"), "GetTask", json!({ "id": "t" })));
        for (body, id) in [
            (json!([]), Value::Null),
            (json!({ "jsonrpc": "2.0", "method": "GetTask" }), Value::Null),
            (json!({ "jsonrpc": "2.0", "id": {}, "method": "GetTask" }), Value::Null),
            (json!({ "id": 7, "method": "GetTask" }), json!(7)),
            (json!({ "jsonrpc": "2.0", "id": 7 }), json!(7)),
        ] {
            let (told, wrong) = read(body.clone()).unwrap_err();
            assert_eq!((told, wrong.what), (id, What::InvalidRequest), "{body}");
        }
        let list = json!({ "jsonrpc": "2.0", "id": 7, "method": "GetTask", "params": [1] });
        assert_eq!(read(list).unwrap_err().1.what, What::InvalidParams);
    }
}
