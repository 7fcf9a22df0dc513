//! The tools, as a model sees them: names, what each does, and its arguments.

use serde_json::{Map, Value, json};

/// The argument that every tool with an effect requires.
pub(super) const KEY: &str = "idempotency_key";
const KEY_TEXT: &str = "Required. A name of your own for this one wish, 1 to 128 printable characters without spaces. Use a \
    fresh one for each new wish. If an answer did not come, repeat the same call with the SAME key: the wish is then done \
    once. Never choose a new key for a retry, it would be done twice.";

/// What kind of JSON an argument is.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Texts,
    Whole,
    Flag,
}

struct Argument {
    name: &'static str,
    kind: Kind,
    required: bool,
    text: &'static str,
}

const fn must(name: &'static str, text: &'static str) -> Argument {
    Argument { name, kind: Kind::Text, required: true, text }
}

const fn may(name: &'static str, kind: Kind, text: &'static str) -> Argument {
    Argument { name, kind, required: false, text }
}

struct Described {
    name: &'static str,
    title: &'static str,
    text: &'static str,
    arguments: &'static [Argument],
    /// Whether it changes anything, and so needs a key.
    writes: bool,
    /// Whether money leaves the caller for good.
    pays: bool,
}

const ESCROW: &str = "Escrow id, or a unique beginning of it.";
const HOME: &str = "Domain of the escrow when it is another one than this: its nickname or id.";
const AMOUNT: &str = "Decimal string such as \"5.00\", in this domain's own asset.";
const WHO: &str = "Agent id, unique beginning of it, registered name, or AGENT@DOMAIN for an agent of another domain.";

const TOOLS: &[Described] = &[
    Described {
        name: "create_escrow",
        title: "Create escrow",
        text: "Put money of yours aside for a piece of work. It is paid when you release it, and comes back if nothing is \
            delivered in time.",
        arguments: &[
            must("payee", WHO),
            must("amount", AMOUNT),
            must("task", "What is to be done, in words; the escrow keeps their SHA-256."),
            must(
                "on_silence",
                "If you do not answer a delivery in time: \"release\", \"refund\", or the payee's share in \
                basis points such as \"5000\".",
            ),
            may("deliver_minutes", Kind::Whole, "Minutes until delivery is late; 60 unless given."),
            may("review_minutes", Kind::Whole, "Minutes for you to answer a delivery; 60 unless given."),
            may("arbiter", Kind::Text, "Who rules a dispute: as payee."),
        ],
        writes: true,
        pays: false,
    },
    Described {
        name: "release_funds",
        title: "Release funds",
        text: "Pay the payee of an escrow of yours. Final.",
        arguments: &[
            must("escrow", ESCROW),
            may(
                "verified_sha256",
                Kind::Text,
                "SHA-256 in hex of the result that you checked: refused unless it is the one \
                that was delivered.",
            ),
        ],
        writes: true,
        pays: true,
    },
    Described {
        name: "dispute_escrow",
        title: "Dispute escrow",
        text: "Object to a delivery, or to the payer's refusal, inside the review window. The arbiter rules.",
        arguments: &[
            must("escrow", ESCROW),
            must("evidence", "In words; the ledger keeps their SHA-256."),
            may("home", Kind::Text, HOME),
        ],
        writes: true,
        pays: false,
    },
    Described {
        name: "get_escrow_status",
        title: "Get escrow status",
        text: "State, amounts and deadline of one escrow in which you are payer, payee or arbiter.",
        arguments: &[must("escrow", ESCROW)],
        writes: false,
        pays: false,
    },
    Described {
        name: "list_escrows",
        title: "List escrows",
        text: "Escrows of this domain in which you are payer or payee, your balances, and what your token may still spend.",
        arguments: &[],
        writes: false,
        pays: false,
    },
    Described {
        name: "register_agent",
        title: "Register agent",
        text: "With an admission token: open an account whose key this node keeps, and get its own token, shown once. With \
            an account's token: publish or renew its card, so that others find it.",
        arguments: &[
            must("nickname", "Display only."),
            may("capabilities", Kind::Texts, "What it can do, such as \"text.statistics\"; publishes a card."),
            may("description", Kind::Text, "In its own words, for the card."),
            may("price", Kind::Text, "For one task: a decimal string."),
            may("public", Kind::Flag, "Whether the card may be passed on to everybody."),
            may("referral_code", Kind::Text, "Of whoever brought it; counts when an account is opened."),
        ],
        writes: true,
        pays: false,
    },
    Described {
        name: "claim_faucet",
        title: "Claim faucet",
        text: "Take the start grant of this domain, once per agent.",
        arguments: &[],
        writes: true,
        pays: false,
    },
    Described {
        name: "deliver",
        title: "Deliver",
        text: "As the payee of an escrow: hand in a result. Give its words, or their SHA-256.",
        arguments: &[
            must("escrow", ESCROW),
            may("result", Kind::Text, "The result itself; the ledger keeps its SHA-256."),
            may("result_sha256", Kind::Text, "SHA-256 of the result in hex, instead."),
            may("home", Kind::Text, HOME),
        ],
        writes: true,
        pays: false,
    },
    Described {
        name: "refund_escrow",
        title: "Refund escrow",
        text: "As the payee of an escrow: give everything that is open back to the payer. Final.",
        arguments: &[must("escrow", ESCROW), may("home", Kind::Text, HOME)],
        writes: true,
        pays: true,
    },
    Described {
        name: "search_agents",
        title: "Search agents",
        text: "Agents anywhere in the mesh that offer a capability, with price, home and who keeps their key.",
        arguments: &[
            must("capability", "Such as \"text.statistics\"; \"text\" finds all below it."),
            may("domain", Kind::Text, "Only agents of this domain: its id."),
        ],
        writes: false,
        pays: false,
    },
    Described {
        name: "send_task",
        title: "Send task",
        text: "Send the task of an escrow to its payee and wait for what comes back. Repeat the same call with the same key \
            to wait on.",
        arguments: &[
            must("to", WHO),
            must("escrow", "Whole id of the escrow that pays for it."),
            must("capability", "Which of the worker's capabilities."),
            must("task", "The same words as in the escrow."),
            may("deadline_minutes", Kind::Whole, "No use after this; 60 unless given."),
            may("wait_seconds", Kind::Whole, "How long to wait for more, at most 25; 10 unless given."),
        ],
        writes: true,
        pays: false,
    },
    Described {
        name: "transfer",
        title: "Transfer",
        text: "Pay an agent here or in another domain at once, without an escrow. Final.",
        arguments: &[must("to", WHO), must("amount", AMOUNT), may("memo", Kind::Text, "For people.")],
        writes: true,
        pays: true,
    },
];

pub(super) fn is_known(name: &str) -> bool {
    TOOLS.iter().any(|tool| tool.name == name)
}

/// Whether the tool changes anything.
pub(super) fn writes(name: &str) -> bool {
    TOOLS.iter().any(|tool| tool.name == name && tool.writes)
}

/// As `tools/list` shows them.
pub(super) fn all() -> Vec<Value> {
    TOOLS.iter().map(described).collect()
}

fn described(tool: &Described) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let key = tool.writes.then_some(Argument { name: KEY, kind: Kind::Text, required: true, text: KEY_TEXT });
    for argument in key.iter().chain(tool.arguments) {
        properties.insert(argument.name.to_owned(), schema(argument));
        if argument.required {
            required.push(argument.name);
        }
    }
    let schema = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    });
    let hints = json!({
        "readOnlyHint": !tool.writes, "destructiveHint": tool.pays, "idempotentHint": true, "openWorldHint": true,
    });
    json!({
        "name": tool.name, "title": tool.title, "description": tool.text, "inputSchema": schema, "annotations": hints,
    })
}

fn schema(argument: &Argument) -> Value {
    match argument.kind {
        Kind::Text => json!({ "type": "string", "description": argument.text }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" }, "description": argument.text }),
        Kind::Whole => json!({ "type": "integer", "minimum": 0, "description": argument.text }),
        Kind::Flag => json!({ "type": "boolean", "description": argument.text }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_with_an_effect_requires_a_key_and_none_takes_a_payer() {
        for tool in all() {
            let (name, schema) = (tool["name"].as_str().unwrap(), &tool["inputSchema"]);
            assert_eq!(schema["required"].as_array().unwrap().contains(&json!(KEY)), writes(name), "{name}");
            let properties = schema["properties"].as_object().unwrap();
            assert!(!properties.contains_key("payer") && !properties.contains_key("from"), "{name}");
        }
        assert!(KEY_TEXT.contains("SAME key"));
    }
}
