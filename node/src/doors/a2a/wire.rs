//! The gRPC binding: messages of protocol buffers, to and from the JSON in which this door works.
//!
//! That JSON is the one of protocol buffers already, so nothing is mapped by hand: the schema (`node/schema/a2a.proto`) says
//! how each message reads. One service speaks for all agents; a call's `tenant` says which one is meant.

use super::wrong::{What, Wrong};
use crate::registry::json;
use bytes::Buf;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::{Value, value};
use std::sync::LazyLock;

/// Name of the service, as it stands in the path of a call.
const SERVICE: &str = "lf.a2a.v1.A2AService";

/// Objects and lists inside each other: no more than the readers of bytes let pass.
const DEPTH_MAX: usize = 64;

static SCHEMA: LazyLock<Option<DescriptorPool>> = LazyLock::new(|| {
    let bytes: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/a2a.binpb"));
    DescriptorPool::decode(bytes).ok()
});

/// A method of the service: an operation of the door under the same name.
#[derive(Clone, Debug)]
pub struct Method {
    /// The operation.
    pub name: String,
    /// Whether it answers with a stream.
    pub streams: bool,
    input: MessageDescriptor,
    output: MessageDescriptor,
}

impl Method {
    /// By its name in a path.
    pub fn named(name: &str) -> Option<Method> {
        let service = SCHEMA.as_ref()?.get_service_by_name(SERVICE)?;
        let method = service.methods().find(|method| method.name() == name)?;
        Some(Method {
            name: name.to_owned(),
            streams: method.is_server_streaming(),
            input: method.input(),
            output: method.output(),
        })
    }

    /// Reads the parameters of a call.
    ///
    /// # Errors
    /// Bytes that are no such message, and numbers that the other bindings refuse.
    pub fn read(&self, bytes: impl Buf) -> Result<Value, Wrong> {
        let unreadable = |why: String| Wrong::unreadable("not_protobuf", &why);
        let message =
            DynamicMessage::decode(self.input.clone(), bytes).map_err(|error| unreadable(error.to_string()))?;
        let read = message.serialize_with_options(value::Serializer, &Default::default());
        let read = read.map_err(|error| unreadable(error.to_string()))?;
        json::checked(read, DEPTH_MAX).map_err(|bad| Wrong::unreadable(bad.code(), &bad.to_string()))
    }

    /// Writes an answer.
    ///
    /// # Errors
    /// An answer that is no such message: a defect of this door.
    pub fn write(&self, answer: &Value) -> Result<Vec<u8>, Wrong> {
        let written = DynamicMessage::deserialize(self.output.clone(), answer);
        let defect =
            |error: serde_json::Error| Wrong::new(What::Rule(crate::service::error::Kind::Internal), error.to_string());
        written.map(|message| message.encode_to_vec()).map_err(defect)
    }
}

/// `google.rpc.Status`, of which gRPC keeps the bytes in a header.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct ErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: std::collections::BTreeMap<String, String>,
}

/// The codes of gRPC in their order.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// A refusal as gRPC tells it.
pub struct Refusal {
    /// By number.
    pub code: i32,
    /// In words.
    pub message: String,
    /// Bytes of `google.rpc.Status`.
    pub details: Vec<u8>,
}

impl From<&Wrong> for Refusal {
    fn from(wrong: &Wrong) -> Refusal {
        let error = &wrong.body()["error"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let info = &error["details"][0];
        let metadata = info["metadata"].as_object().into_iter().flatten();
        let told = ErrorInfo {
            reason: text(&info["reason"]),
            domain: text(&info["domain"]),
            metadata: metadata.map(|(name, value)| (name.clone(), text(value))).collect(),
        };
        let place = CODES.iter().position(|name| error["status"] == *name);
        let code = place.and_then(|place| i32::try_from(place).ok()).unwrap_or(2);
        let message = text(&error["message"]);
        let details = vec![Any { type_url: text(&info["@type"]), value: told.encode_to_vec() }];
        let details = Status { code, message: message.clone(), details }.encode_to_vec();
        Refusal { code, message, details }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_method_is_an_operation_and_two_stream() {
        let service = SCHEMA.as_ref().unwrap().get_service_by_name(SERVICE).unwrap();
        let methods: Vec<Method> = service.methods().map(|method| Method::named(method.name()).unwrap()).collect();
        let streams: Vec<&str> = methods.iter().filter(|method| method.streams).map(|m| m.name.as_str()).collect();
        assert_eq!((methods.len(), streams), (11, vec!["SendStreamingMessage", "SubscribeToTask"]));
        assert!(Method::named("sendMessage").is_none());
    }

    #[test]
    fn what_the_door_says_survives_the_wire() {
        let event = |method: &str, said: Value| {
            let method = Method::named(method).unwrap();
            let bytes = method.write(&said).unwrap();
            let back = DynamicMessage::decode(method.output.clone(), &bytes[..]).unwrap();
            assert_eq!(serde_json::to_value(&back).unwrap(), said);
        };
        let status = json!({ "state": "TASK_STATE_COMPLETED", "timestamp": "2026-11-22T02:05:06.789Z" });
        let parts = json!([{ "text": "a" }, { "raw": "/+8=" }, { "data": { "k": [1.5, null, "x"] } }]);
        let artifact = json!({ "artifactId": "result", "parts": parts });
        let task = json!({ "id": "t", "contextId": "c", "status": status, "artifacts": [artifact] });
        event("GetTask", task.clone());
        event("SendMessage", json!({ "task": task }));
        let update = json!({ "taskId": "t", "contextId": "c", "artifact": artifact, "append": true });
        event("SubscribeToTask", json!({ "artifactUpdate": update }));
        event("DeleteTaskPushNotificationConfig", json!({}));
        assert!(Method::named("GetTask").unwrap().write(&json!({ "colour": "red" })).is_err());
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let method = Method::named("SendMessage").unwrap();
        let code =
            |bytes: &[u8]| method.read(bytes).unwrap_err().body()["error"]["details"][0]["metadata"]["code"].clone();
        assert_eq!(code(&[0xff]), "not_protobuf");
        let said = |number: f64| {
            let mut message = DynamicMessage::new(method.input.clone());
            let metadata = json!({ "metadata": { "n": number } });
            message
                .merge(&DynamicMessage::deserialize(method.input.clone(), &metadata).unwrap().encode_to_vec()[..])
                .unwrap();
            message.encode_to_vec()
        };
        assert_eq!(method.read(&said(0.5)[..]).unwrap()["metadata"]["n"], 0.5);
        assert_eq!(code(&said(9_007_199_254_740_993.0)), "bad_number");
    }

    #[test]
    fn a_refusal_has_its_number_and_its_details() {
        let told = Refusal::from(&Wrong::new(What::TaskNotFound, "no such task"));
        assert_eq!((told.code, told.message.as_str()), (5, "no such task"));
        let status = Status::decode(&told.details[..]).unwrap();
        let info = ErrorInfo::decode(&status.details[0].value[..]).unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("TASK_NOT_FOUND", "a2a-protocol.org"));
        assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.ErrorInfo");
    }
}
