//! `audit list`, `audit show`, `audit events`, `audit export`, `audit tell`, `audit proof`: what this node saw as a witness.

use super::{
    args::AuditCommand,
    audit::{self, from_base64, unwritable},
    context::Context,
    output::{field, table},
};
use crate::{
    service::error::ServiceError,
    storage::files::{self, Access},
};
use comity_proto::limits::AUDIT_DOCUMENT_BYTES_MAX;
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::path::Path;

/// `audit …`
pub(super) fn audit(context: &Context, command: &AuditCommand) -> Result<(), ServiceError> {
    match command {
        AuditCommand::List => {
            let answer: Value = context.client.get("/api/v1/audit")?;
            context.output.show(&answer, rows);
            Ok(())
        }
        AuditCommand::Show { peer } => show(context, peer),
        AuditCommand::Events { peer, last } => events(context, peer, *last),
        AuditCommand::Export { peer, index, file } => export(context, peer, *index, file),
        AuditCommand::Tell { file } => tell(context, file),
        AuditCommand::Proof { peer, file } => proof(context, peer, file),
        AuditCommand::Verify(args) => audit::verify(args, context.output),
        AuditCommand::Accuse { one, other, file } => audit::accuse(one, other, file, context.output),
    }
}

fn age(peer: &Value, name: &str) -> String {
    peer[name].as_u64().map_or_else(|| "-".to_owned(), |ms| format!("{} s", ms / 1000))
}

fn rows(answer: &Value) -> String {
    let header = ["PEER", "EVENTS", "CHECKED", "COSIGNED OURS", "WHEN", "STATE", "DOMAIN"];
    let row = |peer: &Value| {
        let state = match (peer["accused"] == true, peer["size"].is_null()) {
            (true, _) => "signed two histories",
            (false, true) => "not yet seen",
            (false, false) => "consistent",
        };
        let text = |name| field(peer, name);
        let (checked, when) = (age(peer, "age_ms"), age(peer, "cosigned_age_ms"));
        vec![text("nickname"), text("size"), checked, text("cosigned_size"), when, state.to_owned(), text("domain")]
    };
    table(&header, answer["peers"].as_array().into_iter().flatten().map(row))
}

fn show(context: &Context, peer: &str) -> Result<(), ServiceError> {
    let domain = context.domain()?.resolve(peer)?;
    let list: Value = context.client.get("/api/v1/audit")?;
    let of = |peer: &&Value| peer["domain"] == domain.to_string().as_str();
    let found = list["peers"].as_array().into_iter().flatten().find(of).cloned();
    let mut found = found.ok_or_else(|| ServiceError::not_found("peer", peer))?;
    found["documents"] = context.client.get(&format!("/api/v1/audit/{domain}"))?;
    context.output.show(&found, |found| {
        let line = |label: &str, name: &str| format!("{label:<12}{}\n", field(found, name));
        let accused = if found["accused"] == true { "yes: `comity audit proof` writes it" } else { "none" };
        [
            line("domain", "domain"),
            line("events", "size"),
            line("root", "root"),
            line("signer", "signer"),
            format!("checked     {} ago\n", age(found, "age_ms")),
            line("cosigned", "cosigned_size"),
            line("projected", "projected"),
            line("in a tree", "projected_size"),
            format!("proof       {accused}\n"),
        ]
        .concat()
    });
    Ok(())
}

fn events(context: &Context, peer: &str, last: u64) -> Result<(), ServiceError> {
    let domain = context.domain()?.resolve(peer)?;
    let answer: Value = context.client.get(&format!("/api/v1/audit/{domain}/events?last={last}"))?;
    context.output.show(&answer, |answer| {
        let row = |event: &Value| {
            let text = |name| field(event, name);
            let about = ["transfer", "version", "standing"].map(|name| &event["data"][name]);
            let about = about.into_iter().find(|about| !about.is_null());
            let about = about.map(|about| about.as_str().map_or_else(|| about.to_string(), str::to_owned));
            vec![text("index"), text("kind"), about.unwrap_or_default(), text("size"), text("leaf")]
        };
        let header = ["THERE", "EVENT", "ABOUT", "IN A TREE OF", "HERE"];
        table(&header, answer["events"].as_array().into_iter().flatten().map(row))
    });
    Ok(())
}

fn export(context: &Context, peer: &str, index: u64, file: &Path) -> Result<(), ServiceError> {
    let domain = context.domain()?.resolve(peer)?;
    let answer: Value = context.client.get(&format!("/api/v1/audit/{domain}/events/{index}"))?;
    let document = from_base64(answer["document"].as_str().unwrap_or_default())?;
    files::write(file, &document, Access::Public).map_err(|error| unwritable(&error))?;
    let document = json!({ "file": file.display().to_string(), "domain": domain, "index": index });
    context.output.show(&document, |_| format!("event {index} of {domain}, proved: {}", file.display()));
    Ok(())
}

fn tell(context: &Context, file: &Path) -> Result<(), ServiceError> {
    let missing = || ServiceError::bad_input("bad_file", format!("{} cannot be read", file.display()));
    let bytes = files::read_up_to(file, AUDIT_DOCUMENT_BYTES_MAX as u64).ok().flatten().ok_or_else(missing)?;
    let answer: Value = context.client.post("/api/v1/audit/tell", &json!({ "document": BASE64.encode(&bytes) }))?;
    context.output.show(&answer, |answer| match answer["contradicts"] == true {
        true => "it contradicts what its domain signed before: the proof is kept, and every peer is told".to_owned(),
        false => "nothing contradicts it".to_owned(),
    });
    Ok(())
}

fn proof(context: &Context, peer: &str, file: &Path) -> Result<(), ServiceError> {
    let domain = context.domain()?.resolve(peer)?;
    let kept: Value = context.client.get(&format!("/api/v1/audit/{domain}"))?;
    let proof = kept["accusation"].as_str().ok_or_else(|| ServiceError::not_found("proof", peer))?;
    files::write(file, &from_base64(proof)?, Access::Public).map_err(|error| unwritable(&error))?;
    let document = json!({ "file": file.display().to_string(), "domain": domain });
    context.output.show(&document, |_| format!("the proof against {domain}: {}", file.display()));
    Ok(())
}
