//! Agentic Resource Discovery (v0.9, and what its later draft adds): this node as a registry whose index is the mesh.
//!
//! ```text
//! /.well-known/ai-catalog.json, ard.json   what this domain publishes: the registry, the node's own agent, its public agents
//! POST /search, POST /explore, GET /agents, GET /agents/URN   every agent that the mesh knows, by verified cards alone
//! ```
//! An entry's publisher is the id of the agent's home, which is the hash of its root key: nobody can name itself into another
//! one's namespace. Nobody else is asked: what the others know has come by gossip and repair already, so `federation: auto`
//! is answered here, and `referrals` names the doors that other domains' signed cards do.
//!
//! Absent: JSON-LD contexts, semantic relevance (words are compared), ingestion of files from other sites.

mod entry;
mod query;
mod wrong;

pub use wrong::Wrong;

use crate::{
    node::Node,
    registry::json,
    service::cards::{self, CardView},
};
use bytes::Bytes;
use comity_proto::ids::{AgentId, Hash};
use query::{Field, Query};
use serde_json::{Map, Value, json};
use std::{cmp::Reverse, collections::BTreeMap};
use wrong::What;

/// Entries of one answer.
const PAGE_MAX: u64 = 100;
const SEARCH_PAGE: u64 = 10;
const LIST_PAGE: u64 = 20;
/// Agents that stand in the catalogue; more are found by asking the registry in it.
const CATALOGUE_MAX: usize = 500;
/// Registries that an answer refers to.
const REFERRALS_MAX: usize = 20;
/// Kinds of buckets in one request, and buckets of one kind.
const FACETS_MAX: usize = 8;
const BUCKETS_MAX: u64 = 100;
const BUCKETS: u64 = 20;

/// A document, and the tag under which a client may keep it.
pub struct Document {
    /// As it is served.
    pub bytes: Bytes,
    /// With quotes.
    pub etag: String,
}

impl Document {
    fn of(value: &Value) -> Document {
        let bytes: Bytes = json::canonical(value).into();
        Document { etag: format!("\"{}\"", Hash::of(&bytes)), bytes }
    }
}

/// Who looks, and under which name this door is called.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// The node.
    pub node: &'a Node,
    /// `http://HOST` as the caller reaches it.
    pub base: &'a str,
    /// Whether cards that are not public are shown too: to whoever has a token.
    pub all: bool,
}

/// What this domain publishes.
pub fn catalogue(look: Look<'_>) -> Document {
    let own = look.node.domain();
    let agents = cards::ranked(look.node, false, |card| (card.home == own).then_some(()));
    let mut entries = vec![entry::registry(look), entry::node(look)];
    entries.extend(agents.iter().take(CATALOGUE_MAX).filter_map(|(_, agent)| shown(look, *agent)));
    let nickname = &look.node.home().config.domain;
    Document::of(&json!({
        "specVersion": "1.0", "host": { "displayName": nickname, "identifier": entry::identity(&own) }, "entries": entries,
    }))
}

fn shown(look: Look<'_>, agent: AgentId) -> Option<Value> {
    let card: CardView = cards::get(look.node, agent).ok()?;
    Some(entry::agent(look, &card))
}

/// Agents for a need, the best first.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn search(look: Look<'_>, body: &Value) -> Result<Value, Wrong> {
    let body = query::object(body, "the body", &["query", "federation", "pageSize", "pageToken"])?;
    let query = Query::read(body.get("query"), true)?;
    let federation = match body.get("federation") {
        None => "auto",
        Some(Value::String(mode)) if matches!(mode.as_str(), "auto" | "referrals" | "none") => mode,
        Some(_) => return Err(Wrong::invalid("`federation` is auto, referrals or none")),
    };
    let size = query::size(body.get("pageSize"), SEARCH_PAGE, PAGE_MAX, "pageSize")?;
    let after = query::token(body.get("pageToken"))?.map(|(score, agent)| (Reverse(score), agent));
    let mut found: Vec<(Reverse<u8>, AgentId)> = ranked(look, &query);
    found.sort_unstable();
    let left: Vec<_> = found.into_iter().filter(|place| after.is_none_or(|after| *place > after)).collect();
    let page = left.get(..size).unwrap_or(&left);
    let result = |(Reverse(score), agent): &(Reverse<u8>, AgentId)| {
        let mut entry = shown(look, *agent)?;
        entry["score"] = json!(score);
        entry["source"] = format!("{}/", look.base).into();
        Some(entry)
    };
    let mut answer = json!({ "results": page.iter().filter_map(result).collect::<Vec<_>>() });
    if let (Some((Reverse(score), agent)), true) = (page.last(), left.len() > size) {
        answer["pageToken"] = format!("{score}.{agent}").into();
    }
    if federation == "referrals" {
        answer["referrals"] = entry::referrals(look, REFERRALS_MAX).into();
    }
    Ok(answer)
}

fn ranked(look: Look<'_>, query: &Query) -> Vec<(Reverse<u8>, AgentId)> {
    cards::ranked(look.node, look.all, |card| query.score(card).map(Reverse))
}

/// How many agents there are of each kind.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn explore(look: Look<'_>, body: &Value) -> Result<Value, Wrong> {
    let body = query::object(body, "the body", &["query", "resultType"])?;
    let query = Query::read(body.get("query"), false)?;
    let wanted = body.get("resultType").and_then(|kind| kind["facets"].as_array());
    let wanted = wanted.ok_or_else(|| Wrong::invalid("`resultType.facets` is missing, or no list"))?;
    if wanted.is_empty() || wanted.len() > FACETS_MAX {
        return Err(Wrong::invalid(format!("`resultType.facets` has from 1 to {FACETS_MAX} members")));
    }
    let mut facets = Map::new();
    for facet in wanted {
        let facet = query::object(facet, "a facet", &["field", "limit", "minCount"])?;
        let name = facet.get("field").and_then(Value::as_str).unwrap_or_default();
        let field = Field::named(name)?;
        let limit = query::size(facet.get("limit"), BUCKETS, BUCKETS_MAX, "limit")?;
        let least = query::size(facet.get("minCount"), 1, u64::from(u32::MAX), "minCount")?;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let matching = |card: &_| query.score(card).map(|_| field.values(card));
        for (values, _) in cards::ranked(look.node, look.all, matching) {
            for value in values {
                *counts.entry(value).or_default() += 1;
            }
        }
        let mut buckets: Vec<(Reverse<usize>, String)> =
            counts.into_iter().map(|(value, count)| (Reverse(count), value)).collect();
        buckets.sort_unstable();
        let other: usize = buckets.iter().skip(limit).map(|(Reverse(count), _)| count).sum();
        let buckets = buckets.into_iter().take(limit).filter(|(Reverse(count), _)| *count >= least);
        let buckets: Vec<Value> =
            buckets.map(|(Reverse(count), value)| json!({ "value": value, "count": count })).collect();
        facets.insert(name.to_owned(), json!({ "buckets": buckets, "otherCount": other }));
    }
    Ok(json!({ "resultType": "facets", "facets": facets }))
}

/// All agents, page by page, in the order of their ids.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn list(look: Look<'_>, params: &BTreeMap<String, String>) -> Result<Document, Wrong> {
    let known = ["filter", "pageSize", "pageToken"];
    if let Some(name) = params.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(Wrong::invalid(format!("`{name}` is not supported; {} are", known.join(", "))));
    }
    let text = |name: &str| params.get(name).map(|text| Value::from(text.as_str()));
    let query = Query::of_expression(params.get("filter").map(String::as_str).unwrap_or_default())?;
    let size = query::size(text("pageSize").as_ref(), LIST_PAGE, PAGE_MAX, "pageSize")?;
    let after = query::token(text("pageToken").as_ref())?.map(|(_, agent)| agent);
    let found = ranked(look, &query);
    let total = found.len();
    let left: Vec<AgentId> =
        found.into_iter().map(|(_, agent)| agent).filter(|agent| after.is_none_or(|after| *agent > after)).collect();
    let page = left.get(..size).unwrap_or(&left);
    let items: Vec<Value> = page.iter().filter_map(|agent| shown(look, *agent)).collect();
    let mut answer = json!({ "items": items, "total": total });
    if let (Some(agent), true) = (page.last(), left.len() > size) {
        answer["pageToken"] = format!("0.{agent}").into();
    }
    Ok(Document::of(&answer))
}

/// One agent by its URN.
///
/// # Errors
/// `INVALID_ARGUMENT` for what is no URN of the form, `NOT_FOUND`.
pub fn get(look: Look<'_>, urn: &str) -> Result<Document, Wrong> {
    let parts = entry::read_urn(urn).ok_or_else(|| Wrong::invalid(format!("`{urn}` is no urn:air: identifier")))?;
    let absent = || Wrong::new(What::NotFound, format!("no agent is called {urn}"));
    let agent: AgentId = parts.name.parse().map_err(|_| absent())?;
    let mut found = cards::ranked(look.node, look.all, |card| (card.agent == agent).then_some(()));
    let (_, agent) = found.pop().ok_or_else(absent)?;
    let entry = shown(look, agent).filter(|entry| entry["identifier"] == urn).ok_or_else(absent)?;
    Ok(Document::of(&entry))
}
