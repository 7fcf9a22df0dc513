//! `export`.

use super::{
    args::{ExportCommand, ExportRuleArgs},
    context::Context,
    output::{field, table},
    peer::named,
};
use crate::service::error::ServiceError;
use serde_json::{Value, json};

/// `export …`
pub(super) fn export(context: &Context, command: &ExportCommand) -> Result<(), ServiceError> {
    match command {
        ExportCommand::Add(rule) => change(context, "/api/v1/exports", rule),
        ExportCommand::Remove(rule) => change(context, "/api/v1/exports/remove", rule),
        ExportCommand::List => {
            let answer: Value = context.client.get("/api/v1/exports")?;
            context.output.show(&answer, |answer| rules(answer["exports"].as_array().map_or(&[], Vec::as_slice)));
            Ok(())
        }
        ExportCommand::Preview { peer } => {
            let path = format!("/api/v1/exports/preview/{}", named(context, peer)?);
            let answer: Value = context.client.get(&path)?;
            context.output.show(&answer, preview);
            Ok(())
        }
    }
}

fn change(context: &Context, path: &str, rule: &ExportRuleArgs) -> Result<(), ServiceError> {
    let peer = if rule.peer == "everyone" { None } else { Some(named(context, &rule.peer)?) };
    let agent = rule.agent.as_deref().map(|agent| context.agent(agent)).transpose()?;
    let body = json!({
        "peer": peer,
        "agent": agent.map(|agent| agent.to_string()),
        "capability": rule.capability,
        "direction": rule.direction.name(),
        "reason": rule.reason,
    });
    let answer: Value = context.client.post(path, &body)?;
    context.output.show(&answer, |answer| {
        let done = if answer["withdrawn"] == true { "withdrawn" } else { "admitted" };
        format!("{done}\n{}", rules(std::slice::from_ref(answer)))
    });
    Ok(())
}

fn rules(rules: &[Value]) -> String {
    let or =
        |rule: &Value, name: &str, all: &str| if rule[name].is_null() { all.to_owned() } else { field(rule, name) };
    let rows = rules.iter().map(|rule| {
        let counts = if rule["dormant"].is_null() { "yes".to_owned() } else { field(rule, "dormant") };
        vec![
            or(rule, "peer_name", "everyone"),
            field(rule, "direction"),
            or(rule, "capability", "all"),
            counts,
            or(rule, "agent", "all"),
        ]
    });
    table(&["PEER", "DIRECTION", "CAPABILITY", "COUNTS", "AGENT"], rows)
}

fn preview(answer: &Value) -> String {
    let list = |value: &Value| {
        let texts: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if texts.is_empty() { "-".to_owned() } else { texts.join(" ") }
    };
    let yes = |value: &Value| if *value == true { "yes" } else { "no" }.to_owned();
    let agents = answer["agents"].as_array().into_iter().flatten();
    let rows = agents.map(|agent| {
        let (seen, hires) = (yes(&agent["seen"]), yes(&agent["hires"]));
        vec![field(agent, "name"), seen, list(&agent["hired_for"]), hires, field(agent, "agent")]
    });
    let shown = table(&["NAME", "SEEN", "HIRED FOR", "HIRES", "AGENT"], rows);
    match answer["dormant"].as_str() {
        Some(why) => format!("rules for {} do not count now: {why}\n{shown}", field(answer, "peer_name")),
        None => shown,
    }
}
