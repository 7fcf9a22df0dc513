//! `subnet`: domains under a domain.

use super::{
    args::{SubnetCommand, SubnetLimits},
    context::{Context, DomainView},
    output::{field, table},
    peer::{minor, named, one},
};
use crate::service::error::ServiceError;
use serde_json::{Value, json};

/// `subnet …`
pub(super) fn subnet(context: &Context, command: &SubnetCommand) -> Result<(), ServiceError> {
    let domain = context.domain()?;
    match command {
        SubnetCommand::List => context.output.show(&all(context)?, |all| list(&domain, all)),
        SubnetCommand::Health => context.output.show(&all(context)?, health),
        SubnetCommand::Show { peer } => {
            let id = named(context, peer)?;
            let all = all(context)?;
            let found = all["children"].as_array().into_iter().flatten().find(|child| child["domain"] == id.as_str());
            let found = found.cloned().ok_or_else(|| ServiceError::not_found("child", peer))?;
            context.output.show(&found, |child| child_lines(&domain, child));
        }
        SubnetCommand::Offer(limits) => propose(context, &domain, "below", limits)?,
        SubnetCommand::Join(limits) => propose(context, &domain, "above", limits)?,
        SubnetCommand::Part { peer } => {
            let path = format!("/api/v1/subnet/{}", named(context, peer)?);
            one(context, &domain, &context.client.post(&path, &json!({ "place": "apart" }))?);
        }
    }
    Ok(())
}

fn all(context: &Context) -> Result<Value, ServiceError> {
    context.client.get("/api/v1/subnet")
}

fn propose(context: &Context, domain: &DomainView, place: &str, limits: &SubnetLimits) -> Result<(), ServiceError> {
    let SubnetLimits { peer, cap_max, capabilities } = limits;
    let path = format!("/api/v1/subnet/{}", named(context, peer)?);
    let cap_max = minor(domain, cap_max.as_deref())?;
    let body = json!({ "place": place, "cap_max": cap_max, "capabilities": capabilities });
    one(context, domain, &context.client.post(&path, &body)?);
    Ok(())
}

/// What a child keeps, in words.
pub(super) fn limits(domain: &DomainView, charter: &Value) -> String {
    let cap = match field(charter, "cap_max").as_str() {
        "-" => "others' paper as it likes".to_owned(),
        cap => format!("up to {} of each other domain's paper", domain.show(cap)),
    };
    let names = charter["capabilities"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let names: Vec<&str> = names.collect();
    let exports =
        if names.is_empty() { "exports as it likes".to_owned() } else { format!("exports {}", names.join(", ")) };
    format!("{cap}, {exports}")
}

fn list(domain: &DomainView, all: &Value) -> String {
    let parent = &all["parent"];
    let above = match parent.is_null() {
        true => "this domain stands under nobody".to_owned(),
        false => format!(
            "under {} {}: {}",
            field(parent, "nickname"),
            field(parent, "domain"),
            limits(domain, &parent["charter"])
        ),
    };
    let row = |child: &Value| {
        let text = |name| field(child, name);
        vec![text("nickname"), text("state"), limits(domain, &child["charter"]), text("domain")]
    };
    let rows = all["children"].as_array().into_iter().flatten().map(row);
    format!("{above}\n{}", table(&["CHILD", "STATE", "LIMITS", "DOMAIN"], rows))
}

fn age(child: &Value, name: &str) -> String {
    child[name].as_u64().map_or_else(|| "-".to_owned(), |ms| format!("{} s", ms / 1000))
}

fn drift(child: &Value) -> String {
    let names: Vec<&str> = child["drift"].as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

fn health(all: &Value) -> String {
    let row = |child: &Value| {
        let text = |name| field(child, name);
        let seen = age(child, "last_seen_ms");
        vec![
            text("nickname"),
            text("state"),
            text("alive"),
            seen,
            text("in_doubt"),
            age(child, "in_doubt_ms"),
            drift(child),
        ]
    };
    let header = ["CHILD", "STATE", "NODES", "SEEN", "IN DOUBT", "SINCE", "DRIFT"];
    table(&header, all["children"].as_array().into_iter().flatten().map(row))
}

fn child_lines(domain: &DomainView, child: &Value) -> String {
    let text = |name| field(child, name);
    [
        format!("child        {}  {}", text("nickname"), text("domain")),
        format!("state        {}", text("state")),
        format!("limits       {}", limits(domain, &child["charter"])),
        format!("seen         {} ago, {} nodes alive", age(child, "last_seen_ms"), text("alive")),
        format!("in doubt     {}, oldest {}", text("in_doubt"), age(child, "in_doubt_ms")),
        format!("drift        {}", drift(child)),
        format!("held         {} of its paper", domain.show(&text("held"))),
    ]
    .join("\n")
}
