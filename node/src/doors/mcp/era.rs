//! Which revision of the protocol a request speaks. Up to 2025-11-25 a client says so once, in `initialize`; since
//! 2026-07-28 every request says so itself, twice: in its body and in headers that a proxy can route by.

use super::rpc::{self, Request, Wrong};
use data_encoding::BASE64;
use serde_json::{Value, json};

/// The revision whose requests stand alone.
pub(super) const MODERN: &str = "2026-07-28";
/// Revisions with `initialize`, newest first.
pub(super) const LEGACY: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// What the request's headers say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    /// `MCP-Protocol-Version`.
    pub version: Option<&'a str>,
    /// `Mcp-Method`.
    pub method: Option<&'a str>,
    /// `Mcp-Name`.
    pub name: Option<&'a str>,
    /// Whether the client takes an answer as a stream of events.
    pub streams: bool,
}

/// A kind of revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// With `initialize`.
    Legacy,
    /// Each request alone.
    Modern,
}

/// All revisions, newest first.
pub(super) fn supported() -> Value {
    std::iter::once(MODERN).chain(LEGACY).collect()
}

fn unsupported(requested: &str) -> Wrong {
    let data = json!({ "requested": requested, "supported": supported() });
    Wrong { data, ..Wrong::new(rpc::UNSUPPORTED_VERSION, "Unsupported protocol version") }
}

fn mismatch(text: String) -> Wrong {
    Wrong::new(rpc::HEADER_MISMATCH, text)
}

/// Judges what a request says of its revision.
pub(super) fn of(request: &Request, headers: Headers<'_>) -> Result<Era, Wrong> {
    let meta = &request.params["_meta"];
    // The later revision has no such method: whoever says to speak it is told so.
    if request.method == "initialize" && meta[VERSION] != MODERN {
        return Ok(Era::Legacy);
    }
    let Some(said) = meta[VERSION].as_str() else {
        return match headers.version {
            Some(MODERN) => Err(missing(VERSION)),
            _ if request.method == "server/discover" => Err(missing(VERSION)),
            Some(version) if !LEGACY.contains(&version) => Err(unsupported(version)),
            _ => Ok(Era::Legacy),
        };
    };
    match headers.version {
        Some(version) if version == said => {}
        Some(version) => return Err(mismatch(format!("MCP-Protocol-Version is {version}, the body says {said}"))),
        None => return Err(mismatch("the body names a revision, the header MCP-Protocol-Version does not".to_owned())),
    }
    if said != MODERN {
        return Err(unsupported(said));
    }
    if !meta[CAPABILITIES].is_object() {
        return Err(missing(CAPABILITIES));
    }
    agree("Mcp-Method", headers.method, &request.method)?;
    match named(request) {
        Some(name) => agree("Mcp-Name", headers.name, name).map(|()| Era::Modern),
        None => Ok(Era::Modern),
    }
}

fn missing(field: &str) -> Wrong {
    Wrong::new(rpc::INVALID_PARAMS, format!("`_meta` lacks or misspells {field}"))
}

/// What a proxy may route by, besides the method.
fn named(request: &Request) -> Option<&str> {
    let field = match request.method.as_str() {
        "tools/call" | "prompts/get" => "name",
        "resources/read" => "uri",
        _ => return None,
    };
    request.params[field].as_str()
}

fn agree(header: &str, value: Option<&str>, body: &str) -> Result<(), Wrong> {
    let Some(value) = value else { return Err(mismatch(format!("{header} is missing"))) };
    let value = value.trim_matches([' ', '\t']);
    let encoded = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    let plain = match encoded {
        Some(text) => BASE64.decode(text.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok()),
        None => Some(value.to_owned()),
    };
    match plain {
        Some(plain) if plain == body => Ok(()),
        _ => Err(mismatch(format!("{header} is `{value}`, the body says `{body}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, params: Value) -> Request {
        Request { id: json!(1), method: method.to_owned(), params }
    }

    fn modern(method: &str, version: &str) -> Request {
        request(method, json!({ "name": "deliver", "_meta": { VERSION: version, CAPABILITIES: {} } }))
    }

    const SAID: Headers<'_> =
        Headers { version: Some(MODERN), method: Some("tools/call"), name: Some("deliver"), streams: false };

    #[test]
    fn a_request_that_says_its_revision_twice_is_modern() {
        let call = modern("tools/call", MODERN);
        assert_eq!(of(&call, SAID), Ok(Era::Modern));
        assert_eq!(of(&call, Headers { name: Some("=?base64?ZGVsaXZlcg==?="), ..SAID }), Ok(Era::Modern));
        let code = |headers| of(&call, headers).unwrap_err().code;
        for headers in [
            Headers::default(),
            Headers { version: Some("2025-11-25"), ..SAID },
            Headers { method: None, ..SAID },
            Headers { method: Some("tools/list"), ..SAID },
            Headers { name: None, ..SAID },
            Headers { name: Some("transfer"), ..SAID },
        ] {
            assert_eq!(code(headers), rpc::HEADER_MISMATCH, "{headers:?}");
        }
        let begins = Headers { method: Some("initialize"), name: None, ..SAID };
        assert_eq!(of(&modern("initialize", MODERN), begins), Ok(Era::Modern));
        assert_eq!(of(&request("initialize", Value::Null), Headers::default()), Ok(Era::Legacy));
        let bare = request("tools/call", json!({ "name": "deliver", "_meta": { VERSION: MODERN } }));
        assert_eq!(of(&bare, SAID).unwrap_err().code, rpc::INVALID_PARAMS);
    }

    #[test]
    fn without_a_revision_in_the_body_a_request_is_legacy_if_its_header_allows() {
        let list = request("tools/list", Value::Null);
        let with = |version| of(&list, Headers { version, ..Headers::default() });
        assert_eq!((with(None), with(Some("2025-06-18"))), (Ok(Era::Legacy), Ok(Era::Legacy)));
        assert_eq!(with(Some("1999-01-01")).unwrap_err().code, rpc::UNSUPPORTED_VERSION);
        assert_eq!(with(Some(MODERN)).unwrap_err().code, rpc::INVALID_PARAMS);
        let discover = request("server/discover", Value::Null);
        assert_eq!(of(&discover, Headers::default()).unwrap_err().code, rpc::INVALID_PARAMS);
    }

    #[test]
    fn a_revision_that_is_not_spoken_is_refused_with_those_that_are() {
        let future = modern("tools/call", "2030-01-01");
        let wrong = of(&future, Headers { version: Some("2030-01-01"), ..SAID }).unwrap_err();
        assert_eq!(wrong.code, rpc::UNSUPPORTED_VERSION);
        assert_eq!(wrong.data["supported"][0], MODERN);
    }
}
