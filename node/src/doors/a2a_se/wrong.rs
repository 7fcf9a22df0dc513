//! Refusals in the protocol's envelope: its own codes where it has one, else the rule's name in capitals. What to do next and
//! whether anything changed stand in `details`.

use crate::service::error::{Changed, Kind, ServiceError};
use serde_json::{Value, json};

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    status: u16,
    code: String,
    message: String,
    rule: String,
    changed: Changed,
    next: String,
}

/// Codes of the protocol for rules of the node: rule, status, code.
const CODES: [(&str, u16, &str); 13] = [
    ("idempotency_key_reused", 409, "IDEMPOTENCY_CONFLICT"),
    ("insufficient_funds", 400, "INSUFFICIENT_BALANCE"),
    ("amount_zero", 400, "INVALID_AMOUNT"),
    ("amount_overflow", 400, "INVALID_AMOUNT"),
    ("bad_amount", 400, "INVALID_AMOUNT"),
    ("bad_number", 400, "INVALID_AMOUNT"),
    ("self_dealing", 400, "SELF_ESCROW"),
    ("agent_retired", 400, "PROVIDER_INACTIVE"),
    ("unknown_escrow", 404, "ESCROW_NOT_FOUND"),
    ("unknown_agent", 404, "ACCOUNT_NOT_FOUND"),
    ("unknown_card", 404, "ACCOUNT_NOT_FOUND"),
    ("spending_limit", 403, "SPENDING_LIMIT"),
    ("not_authorised", 403, "NOT_AUTHORIZED"),
];

impl Wrong {
    fn new(status: u16, code: &str, rule: &str, message: impl Into<String>, next: &str) -> Wrong {
        Wrong {
            status,
            code: code.to_owned(),
            message: message.into(),
            rule: rule.to_owned(),
            changed: Changed::No,
            next: next.to_owned(),
        }
    }

    /// A malformed call.
    pub fn invalid(rule: &str, message: impl Into<String>) -> Wrong {
        Wrong::new(400, "INVALID_REQUEST", rule, message, "correct the request and send it again")
    }

    /// A body that nobody reads.
    pub fn unreadable(status: u16, rule: &str, message: impl Into<String>) -> Wrong {
        let code = CODES.iter().find(|(of, ..)| *of == rule).map_or("INVALID_REQUEST", |(.., code)| code);
        Wrong::new(status, code, rule, message, "send JSON without doubled names, whole numbers below 2^53 only")
    }

    /// A signature that does not fit the request.
    pub fn bad_signature() -> Wrong {
        let next = "sign timestamp, method, path and body with the account's token, by a clock that is right";
        Wrong::new(401, "INVALID_API_KEY", "bad_request_signature", "the request's signature does not fit it", next)
    }

    /// A path of the protocol that is not served.
    pub(super) fn not_supported(path: &str, why: &str) -> Wrong {
        Wrong::new(501, "NOT_SUPPORTED", "not_supported", format!("{path} is not served here: {why}"), why)
    }

    /// A field that could only be ignored.
    pub(super) fn no_field(field: &str, why: &str) -> Wrong {
        let message = format!("`{field}` is not supported here: {why}");
        Wrong::new(400, "NOT_SUPPORTED", "not_supported", message, "leave it out, if you can do without")
    }

    /// No path of the protocol.
    pub(super) fn no_path(method: &str, path: &str) -> Wrong {
        Wrong::new(404, "NOT_FOUND", "unknown_path", format!("there is no {method} {path}"), "see the protocol's paths")
    }

    /// Something only this door's form of a call can have wrong.
    pub(super) fn of_form(code: &str, rule: &str, message: impl Into<String>, next: &str) -> Wrong {
        Wrong::new(400, code, rule, message, next)
    }

    /// The same refusal of a state by the name that the protocol has for it.
    pub(super) fn named(mut self, rule: &str, code: &str) -> Wrong {
        if self.rule == rule {
            code.clone_into(&mut self.code);
        }
        self
    }

    /// HTTP's status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The envelope.
    pub fn body(&self, request_id: &str) -> Value {
        let changed = if self.changed == Changed::No { "no" } else { "unknown" };
        json!({ "error": {
            "code": self.code, "message": self.message, "request_id": request_id,
            "details": { "rule": self.rule, "changed": changed, "next": self.next },
        } })
    }
}

fn general(kind: Kind, rule: &str) -> (u16, String) {
    let (status, code) = match kind {
        Kind::BadInput => (400, "INVALID_REQUEST"),
        Kind::Unauthenticated => (401, "INVALID_API_KEY"),
        Kind::Forbidden => (403, "NOT_AUTHORIZED"),
        Kind::Busy => (429, "RATE_LIMITED"),
        Kind::TooLarge => (413, "INVALID_REQUEST"),
        Kind::NotFound => (404, ""),
        Kind::Conflict => (409, ""),
        Kind::Refused => (400, ""),
        Kind::Unavailable => (503, ""),
        Kind::Unknown => (504, ""),
        Kind::Internal => (500, ""),
    };
    (status, if code.is_empty() { rule.to_ascii_uppercase() } else { code.to_owned() })
}

impl From<ServiceError> for Wrong {
    fn from(error: ServiceError) -> Wrong {
        let known = CODES.iter().find(|(rule, ..)| *rule == error.code);
        let (status, code) = match known {
            Some((_, status, code)) => (*status, (*code).to_owned()),
            None => general(error.kind, &error.code),
        };
        Wrong { status, code, message: error.detail, rule: error.code, changed: error.changed, next: error.next }
    }
}
