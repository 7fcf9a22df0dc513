//! Refusals in the protocol's form: one table for the codes of JSON-RPC, of HTTP and of `google.rpc.Status`.

use crate::service::error::{Changed, Kind, ServiceError};
use serde_json::{Map, Value, json};

/// Domain of the reasons that the protocol names.
const DOMAIN: &str = "a2a-protocol.org";
const INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// No JSON that two readers read alike.
    Parse,
    InvalidRequest,
    MethodNotFound,
    InvalidParams,
    TaskNotFound,
    TaskNotCancelable,
    UnsupportedOperation,
    ContentTypeNotSupported,
    VersionNotSupported,
    /// A rule of the node, by its own name.
    Rule(Kind),
}

/// A refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Wrong {
    pub(super) what: What,
    reason: String,
    message: String,
    metadata: Map<String, Value>,
}

impl What {
    /// Codes of JSON-RPC and HTTP, the status of gRPC, and the reason.
    const fn codes(self) -> (i32, u16, &'static str, &'static str) {
        match self {
            What::Parse => (-32700, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
            What::InvalidRequest => (-32600, 400, "INVALID_ARGUMENT", "INVALID_REQUEST"),
            What::MethodNotFound => (-32601, 404, "NOT_FOUND", "METHOD_NOT_FOUND"),
            What::InvalidParams | What::Rule(Kind::BadInput) => (-32602, 400, "INVALID_ARGUMENT", "INVALID_PARAMS"),
            What::TaskNotFound => (-32001, 404, "NOT_FOUND", "TASK_NOT_FOUND"),
            What::TaskNotCancelable => (-32002, 400, "FAILED_PRECONDITION", "TASK_NOT_CANCELABLE"),
            What::UnsupportedOperation => (-32004, 400, "FAILED_PRECONDITION", "UNSUPPORTED_OPERATION"),
            What::ContentTypeNotSupported => (-32005, 400, "INVALID_ARGUMENT", "CONTENT_TYPE_NOT_SUPPORTED"),
            What::VersionNotSupported => (-32009, 400, "FAILED_PRECONDITION", "VERSION_NOT_SUPPORTED"),
            What::Rule(Kind::Unauthenticated) => (-32600, 401, "UNAUTHENTICATED", ""),
            What::Rule(Kind::Forbidden) => (-32600, 403, "PERMISSION_DENIED", ""),
            What::Rule(Kind::NotFound) => (-32602, 404, "NOT_FOUND", ""),
            What::Rule(Kind::Conflict) => (-32602, 409, "ALREADY_EXISTS", ""),
            What::Rule(Kind::Refused) => (-32602, 400, "FAILED_PRECONDITION", ""),
            What::Rule(Kind::TooLarge) => (-32602, 413, "OUT_OF_RANGE", ""),
            What::Rule(Kind::Busy) => (-32603, 429, "RESOURCE_EXHAUSTED", ""),
            What::Rule(Kind::Unavailable) => (-32603, 503, "UNAVAILABLE", ""),
            What::Rule(Kind::Unknown) => (-32603, 504, "DEADLINE_EXCEEDED", ""),
            What::Rule(Kind::Internal) => (-32603, 500, "INTERNAL", "INTERNAL_ERROR"),
        }
    }
}

impl Wrong {
    pub(super) fn new(what: What, message: impl Into<String>) -> Wrong {
        let reason = what.codes().3.to_owned();
        Wrong { what, reason, message: message.into(), metadata: Map::new() }
    }

    /// The same, with the rule's own name.
    pub(super) fn of_rule(what: What, code: &str, message: impl Into<String>) -> Wrong {
        let mut wrong = Wrong::new(what, message);
        wrong.metadata.insert("code".to_owned(), code.into());
        wrong
    }

    /// Bytes that are no message.
    pub fn unreadable(code: &str, detail: &str) -> Wrong {
        Wrong::of_rule(What::Parse, code, format!("{code}: {detail}"))
    }

    /// A body that nobody reads to its end.
    pub fn too_large(code: &str, detail: &str) -> Wrong {
        Wrong::of_rule(What::Rule(Kind::TooLarge), code, format!("{code}: {detail}"))
    }

    /// A body of another media type.
    pub fn content_type() -> Wrong {
        Wrong::new(What::ContentTypeNotSupported, "send `Content-Type: application/json`")
    }

    /// HTTP's status.
    pub fn status(&self) -> u16 {
        self.what.codes().1
    }

    fn details(&self) -> Value {
        json!([{ "@type": INFO, "reason": self.reason, "domain": DOMAIN, "metadata": self.metadata }])
    }

    /// The body of an HTTP answer.
    pub fn body(&self) -> Value {
        let (_, code, status, _) = self.what.codes();
        json!({ "error": { "code": code, "status": status, "message": self.message, "details": self.details() } })
    }

    /// The `error` of a JSON-RPC answer.
    pub(super) fn rpc(&self) -> Value {
        json!({ "code": self.what.codes().0, "message": self.message, "data": self.details() })
    }
}

impl From<ServiceError> for Wrong {
    fn from(error: ServiceError) -> Wrong {
        let what = match error.code.as_str() {
            "unknown_task" => What::TaskNotFound,
            "task_ended" => What::TaskNotCancelable,
            _ => What::Rule(error.kind),
        };
        let mut wrong = Wrong::of_rule(what, &error.code, format!("{}: {}", error.code, error.detail));
        if wrong.reason.is_empty() {
            wrong.reason = error.code.to_ascii_uppercase();
        }
        let changed = if error.changed == Changed::No { "no" } else { "unknown" };
        wrong.metadata.insert("changed".to_owned(), changed.into());
        wrong.metadata.insert("next".to_owned(), error.next.into());
        wrong
    }
}
