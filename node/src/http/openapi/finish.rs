//! What is alike in every operation, put into the description of all of them.

use super::super::problem::Problem;
use serde_json::{Map, Value, json};
use utoipa::{PartialSchema as _, openapi::OpenApi};

/// Where the routes are.
const BASE: &str = "/api/v1/";
const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];
const PROBLEM: &str = "application/problem+json";

const ABOUT: &str = "The native API of a Comity node. Amounts are decimal strings of minor units. Every refusal is a problem \
document (RFC 9457): `code` names the rule, `changed` says whether anything changed, `next` what to do. A token opens a \
door of the node, never an account: money moves by signature, or by the custodial account's own token.";

/// Refusals: status, name, and when.
const REFUSALS: [(&str, &str, &str); 11] = [
    ("400", "BadInput", "The request itself is malformed."),
    ("401", "Unauthenticated", "No credentials, or wrong ones."),
    ("403", "Forbidden", "Known, but not allowed."),
    ("404", "NotFound", "Nothing of that name here."),
    ("409", "Conflict", "It clashes with what is already recorded, or this node is not the one to ask."),
    ("413", "TooLarge", "Over a limit of size."),
    ("422", "Refused", "Understood, and refused by a rule of the ledger."),
    ("429", "Busy", "Over a rate or a queue's length; see `Retry-After`."),
    ("500", "Internal", "A defect of this node."),
    ("503", "Unavailable", "This node cannot answer now: no leader, no majority, peer away; see `Retry-After`."),
    ("504", "Unknown", "No answer in time: it may or may not have happened. Ask again with the same request id."),
];

/// What the routes are about, by the first name in their address.
const TAGS: [(&str, &str); 33] = [
    ("accounts", "Balances."),
    ("agents", "Agents at home in this domain."),
    ("audit", "What this node checked of the histories of others."),
    ("bridge", "Gateways between meshes."),
    ("bundles", "SPIFFE bundles of domains."),
    ("cards", "What agents say of themselves."),
    ("commands", "Signed commands: how money moves."),
    ("contexts", "What the names in linked data mean."),
    ("custody", "Accounts of agents that cannot sign."),
    ("delegations", "Work handed to the first agent that does it."),
    ("discover", "Search among agents of all domains."),
    ("domain", "This domain."),
    ("domains", "Cards of other domains."),
    ("drift", "What treaty partners disagree about."),
    ("endpoints", "Agents' own A2A servers."),
    ("escrows", "Money put aside for work."),
    ("events", "What happens, as it happens."),
    ("exports", "What other domains may see and hire."),
    ("federation", "What other domains read."),
    ("join-tokens", "One more node for this domain."),
    ("keyring", "Keys that act for the domain."),
    ("ledger", "The event log, its proofs, and restores."),
    ("licences", "How much a peer may ask."),
    ("metrics", "What an operator watches."),
    ("names", "Registered names."),
    ("payment-requests", "Signed demands of payees."),
    ("peers", "Treaties with other domains."),
    ("raft", "Replicas of this domain."),
    ("schemas", "Forms of documents that others make."),
    ("subnet", "Domains under a domain."),
    ("tasks", "Work, given and taken."),
    ("transfers", "Money between domains."),
    ("webhooks", "What happens, posted to an address."),
];

/// What a name in braces stands for, and the form that it has.
const PLACES: [(&str, &str, Option<&str>); 10] = [
    ("agent", "An agent's id; where agents are looked up, also a unique prefix of it or a registered name.", None),
    ("change", "What to do: deny, suspend, resume, drain or revoke, as far as the thing knows it.", None),
    ("delegation", "A delegation's id.", Some("ShortIdText")),
    ("domain", "A domain's id.", Some("DomainIdText")),
    ("escrow", "An escrow's id, or a unique prefix of it.", None),
    ("index", "An event's number in the log of its domain.", None),
    ("name", "A registered name.", None),
    ("task", "A task's id.", Some("ShortIdText")),
    ("transfer", "A transfer's id, or a unique prefix of it.", None),
    ("webhook", "A webhook's id.", Some("ShortIdText")),
];

/// The whole description.
pub(super) fn finished(routes: OpenApi) -> Value {
    let mut document = json!(routes);
    document["info"] = json!({
        "title": "Comity",
        "version": env!("CARGO_PKG_VERSION"),
        "description": ABOUT,
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    });
    document["servers"] = json!([{ "url": "/", "description": "The node that serves this description." }]);
    document["security"] = json!([{ "bearer": [] }, { "signature": [] }]);
    document["components"]["securitySchemes"] = json!({
        "bearer": {
            "type": "http", "scheme": "bearer",
            "description": "A token of the operator, of newcomers, of an agent's session, of a custodial account, or of whoever watches (metrics alone).",
        },
        "licence": { "type": "http", "scheme": "bearer", "description": "The token of a licence of another domain." },
        "signature": {
            "type": "apiKey", "in": "header", "name": "Signature",
            "description": "An agent signs the request with its key (RFC 9421, ed25519, tag `comity-request`, `keyid` its id, \
                `created` within a minute, a `nonce`) over @method, @target-uri and, with a body, content-digest.",
        },
        "svid": { "type": "mutualTLS", "description": "An X.509-SVID of another domain's node, over HTTPS." },
    });
    document["components"]["schemas"]["Problem"] = json!(Problem::schema());
    for (_, name, description) in REFUSALS {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        document["components"]["responses"][name] =
            json!({ "description": description, "content": { PROBLEM: { "schema": schema } } });
    }
    let mut tags = Vec::new();
    for (path, item) in members(&mut document["paths"]) {
        let place = path.strip_prefix(BASE).unwrap_or(path.trim_start_matches('/')).to_owned();
        let tag = place.split('/').next().unwrap_or_default().to_owned();
        for (method, operation) in members(item).filter(|(method, _)| METHODS.contains(&method.as_str())) {
            finish(method, &place, &tag, operation);
        }
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    let about = |name: &String| TAGS.iter().find(|(known, _)| known == name).map(|(_, about)| *about);
    let tag = |name: &String| json!({ "name": name, "description": about(name).unwrap_or("About this node.") });
    document["tags"] = tags.iter().map(tag).collect();
    document
}

fn members(value: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    value.as_object_mut().into_iter().flat_map(Map::iter_mut)
}

fn finish(method: &str, place: &str, tag: &str, operation: &mut Value) {
    let words = place.replace(['{', '}', '.'], "").replace(['/', '-'], "_");
    operation["operationId"] = format!("{method}_{words}").into();
    operation["tags"] = json!([tag]);
    let named: Vec<&str> = place.split(['{', '}']).skip(1).step_by(2).collect();
    if !named.is_empty() && operation["parameters"].is_null() {
        operation["parameters"] = json!([]);
    }
    for name in &named {
        let known = PLACES.iter().find(|(known, ..)| known == name);
        let (about, form) = known.map_or(("", None), |(_, about, form)| (*about, *form));
        let schema = match form {
            Some(form) => json!({ "$ref": format!("#/components/schemas/{form}") }),
            None => json!({ "type": "string" }),
        };
        let place = json!({ "name": name, "in": "path", "required": true, "description": about, "schema": schema });
        operation["parameters"].as_array_mut().into_iter().for_each(|all| all.push(place.clone()));
    }
    let is_public = operation["security"].as_array().is_some_and(|all| all.iter().any(|one| *one == json!({})));
    let reads_body = !operation["requestBody"].is_null();
    if let Some(body) = operation.get_mut("requestBody") {
        body["required"] = true.into();
    }
    for (status, name, _) in REFUSALS {
        let possible = match status {
            "401" | "403" => !is_public || reads_body,
            "404" => !named.is_empty() || reads_body,
            "413" => reads_body,
            "400" | "409" | "422" | "429" => !is_public || reads_body,
            _ => true,
        };
        if possible {
            operation["responses"][status] = json!({ "$ref": format!("#/components/responses/{name}") });
        }
    }
    let summary = operation["summary"].clone();
    for (_, response) in members(&mut operation["responses"]) {
        if response["$ref"].is_null() && response["description"].as_str().unwrap_or_default().is_empty() {
            response["description"] = summary.clone();
        }
    }
}
