//! Before anything is looked at: credentials, sizes, forms.

use super::{books, post_as, raw};
use comity_node::http::BODY_BYTES_MAX;
use comity_proto::command::Verb;
use comity_tests::{agent::Agent, door::envelope, single::Single};

const JSON: Option<&str> = Some("application/json");

#[test]
fn a_door_names_what_is_wrong_with_a_request_before_it_looks_inside() {
    let node = Single::up();
    node.issue(1_000_000_000);
    let agent = Agent::registered(&node.api(), node.domain(), "agent");
    let before = books(&node);
    let batch = agent.sign(Verb::ClaimFaucet);
    let (key, body) = (batch.request_id.to_string(), envelope(&batch.envelope).to_string());
    let token = node.token("api.token");
    let almost = token.replace(&token[..1], if token.starts_with('0') { "1" } else { "0" });
    let good = Some(token.as_str());
    let own = Some(key.as_str());
    let zeros = "0".repeat(32);
    let long = vec![b' '; BODY_BYTES_MAX + 1];
    let unknown_field = body.replace('}', ",\"more\":1}");
    let table = [
        ("no token", raw(&node, "commands", None, own, JSON, body.as_bytes()), (401, "bad_token")),
        ("a wrong token", raw(&node, "commands", Some(&almost), own, JSON, body.as_bytes()), (401, "bad_token")),
        ("a short token", raw(&node, "commands", Some("x"), own, JSON, body.as_bytes()), (401, "bad_token")),
        ("no token for reading", raw(&node, "cards", None, None, JSON, body.as_bytes()), (401, "bad_token")),
        ("a body over the limit", raw(&node, "commands", good, own, JSON, &long), (413, "body_too_large")),
        ("not said to be JSON", raw(&node, "commands", good, own, None, body.as_bytes()), (400, "not_json")),
        ("not JSON", raw(&node, "commands", good, own, JSON, b"{"), (400, "bad_json")),
        ("an unknown field", raw(&node, "commands", good, own, JSON, unknown_field.as_bytes()), (400, "bad_json")),
        ("bad base64", raw(&node, "commands", good, own, JSON, b"{\"envelope\":\"%\"}"), (400, "bad_base64")),
        (
            "no idempotency key",
            raw(&node, "commands", good, None, JSON, body.as_bytes()),
            (400, "idempotency_key_missing"),
        ),
        ("another idempotency key", post_as(&node, &batch.envelope, &zeros), (400, "idempotency_key_mismatch")),
        ("no envelope at all", post_as(&node, b"", &key), (400, "wrong_length")),
        ("bytes that are no envelope", post_as(&node, b"hello", &key), (400, "malformed")),
        ("an unknown route", raw(&node, "money", good, None, JSON, b"{}"), (404, "unknown_route")),
    ];
    for (what, answer, expected) in &table {
        assert_eq!(answer.refusal(), *expected, "{what}: {answer:?}");
        assert_eq!(answer.kind, "application/problem+json", "{what}: {answer:?}");
        assert_eq!(answer.body["changed"], "no", "{what}: {answer:?}");
        assert!(!answer.body.to_string().contains(&token), "{what} leaks the token");
    }
    assert_eq!(books(&node), before);
    // The very same bytes with the right headers are taken: it was the headers that were refused.
    assert_eq!(post_as(&node, &batch.envelope, &key).status, 200);
}

#[test]
fn a_newcomer_and_an_agent_pass_no_door_of_the_operator() {
    let node = Single::up();
    let newcomer = node.api().with_token(node.token("admission.token"));
    for path in ["accounts", "transfers", "peers", "ledger/events"] {
        let refused = newcomer.get::<serde_json::Value>(&format!("/api/v1/{path}")).expect_err(path);
        assert_eq!(refused.code, "operator_only", "{path}");
    }
    let refused = newcomer.post::<serde_json::Value>("/api/v1/join-tokens", &serde_json::json!({ "hours": 1 }));
    assert_eq!(refused.expect_err("an invitation").code, "operator_only");
    let agent = Agent::registered(&newcomer, node.domain(), "agent");
    let refused = newcomer.get::<serde_json::Value>(&format!("/api/v1/accounts/{}", agent.id));
    assert_eq!(refused.expect_err("a balance").code, "not_this_agent");
}
