//! `drift scan`, `drift show`: where peers and this domain disagree about each other.

use super::{
    args::DriftCommand,
    context::Context,
    output::{field, table},
};
use crate::service::error::ServiceError;
use serde_json::{Value, json};

/// `drift …`
pub(super) fn drift(context: &Context, command: &DriftCommand) -> Result<(), ServiceError> {
    match command {
        DriftCommand::Scan { dry_run } => {
            let answer: Value = context.client.post("/api/v1/drift/scan", &json!({}))?;
            context.output.show(&answer, |answer| rows(answer, *dry_run));
        }
        DriftCommand::Show { peer } => {
            let domain = context.domain()?.resolve(peer)?;
            let answer: Value = context.client.get("/api/v1/drift")?;
            let of = |peer: &&Value| peer["domain"] == domain.to_string().as_str();
            let found = answer["peers"].as_array().into_iter().flatten().find(of).cloned();
            let found = found.ok_or_else(|| ServiceError::not_found("peer", peer))?;
            context.output.show(&found, one);
        }
    }
    Ok(())
}

fn age(peer: &Value, name: &str) -> String {
    peer[name].as_u64().map_or_else(|| "-".to_owned(), |ms| format!("{} s", ms / 1000))
}

fn components(peer: &Value, name: &str) -> String {
    let names = peer[name].as_object().into_iter().flatten().map(|(component, _)| component.as_str());
    names.collect::<Vec<_>>().join(" ")
}

fn rows(answer: &Value, is_dry: bool) -> String {
    let row = |peer: &Value| {
        let drift = components(peer, "drift");
        let state = match (drift.is_empty(), peer["judged_ms"].is_null()) {
            (false, _) => format!("drift: {drift}"),
            (true, true) => "not yet compared".to_owned(),
            (true, false) => "agreed".to_owned(),
        };
        let follows = match (field(peer, "quarantine").as_str(), is_dry) {
            ("none", _) => "-",
            (_, true) => "would refuse new transfers",
            ("in-force", false) => "refuses new transfers",
            _ => "switched off",
        };
        vec![field(peer, "nickname"), state, age(peer, "for_ms"), age(peer, "judged_ms"), follows.to_owned()]
    };
    table(
        &["PEER", "STATE", "FOR", "COMPARED", "QUARANTINE"],
        answer["peers"].as_array().into_iter().flatten().map(row),
    )
}

fn one(peer: &Value) -> String {
    let mut text = format!("peer       {}\ncompared   {}\n", field(peer, "nickname"), age(peer, "judged_ms"));
    if let Some(why) = peer["unjudged"].as_str() {
        text += &format!("last look  not judged: {why}\n");
    }
    for (component, words) in peer["drift"].as_object().into_iter().flatten() {
        text += &format!("drift      {component}: {}\n", words.as_str().unwrap_or_default());
    }
    text + &format!("quarantine {}", field(peer, "quarantine"))
}
