//! `delegate`: work handed to the first agent that does it. The node does it all; this tells what happens.

use super::{
    args::{DelegateArgs, DelegateCommand},
    context::{Context, DomainView},
    money::bad_text,
    output::{field, table},
};
use crate::{
    dev::processes::pause,
    service::error::{Kind, ServiceError},
    signer::fresh_id,
    storage::files,
};
use comity_proto::limits::TASK_BYTES_MAX;
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::{path::Path, time::Duration};

/// A node that is not there is asked again for so long: it may be starting again.
const GONE: Duration = Duration::from_secs(120);

/// `delegate …`
pub(super) fn delegate(context: &Context, command: &DelegateCommand) -> Result<(), ServiceError> {
    match command {
        DelegateCommand::Start(args) => start(context, args),
        DelegateCommand::Show { id } => {
            let answer: Value = context.client.get(&format!("/api/v1/delegations/{id}"))?;
            let domain = context.domain()?;
            context.output.show(&answer, |answer| {
                let told: String = lines(answer, 0).iter().map(|line| format!("{line}\n")).collect();
                told + &end(&domain, answer)
            });
            Ok(())
        }
        DelegateCommand::List => {
            let (answer, domain): (Value, _) = (context.client.get("/api/v1/delegations")?, context.domain()?);
            context.output.show(&answer, |answer| rows(&domain, answer));
            Ok(())
        }
        DelegateCommand::Cancel { id, .. } => {
            let answer: Value = context.client.post(&format!("/api/v1/delegations/{id}/cancel"), &json!({}))?;
            context.output.show(&answer, |_| format!("delegation {id} hires nobody else"));
            Ok(())
        }
        DelegateCommand::Denied => {
            let answer: Value = context.client.get("/api/v1/delegations/denied")?;
            context.output.show(&answer, denied);
            Ok(())
        }
        DelegateCommand::Allow { agent, .. } => {
            let agent = context.agent(agent)?;
            context.client.post_for_nothing(&format!("/api/v1/delegations/denied/{agent}/allow"))?;
            context.output.show(&json!({ "agent": agent }), |_| format!("{agent} may be hired again"));
            Ok(())
        }
    }
}

fn start(context: &Context, args: &DelegateArgs) -> Result<(), ServiceError> {
    let domain = context.domain()?;
    let schema = args.schema.as_deref().map(schema).transpose()?;
    let body = json!({
        "from": args.from, "capability": args.capability, "body": BASE64.encode(&words_or_file(&args.task)?),
        "max_price": args.max_price, "schema": schema, "timeout_s": args.timeout, "on_silence": args.on_silence,
        "review_minutes": args.review_minutes, "arbiter": args.arbiter,
    });
    let key = args.key.clone().unwrap_or_else(|| fresh_id().to_string());
    let mut answer: Value = context.client.post_with_key("/api/v1/delegations", &body, Some(&key))?;
    let id = field(&answer, "delegation");
    if args.detach {
        context.output.show(&answer, |_| format!("delegation {id}\nnext   comity delegate show {id}"));
        return Ok(());
    }
    let mut told = 0;
    loop {
        for line in lines(&answer, told) {
            if !context.output.json {
                println!("{line}");
            }
        }
        told = answer["lines"].as_array().map_or(0, Vec::len).max(told);
        if !matches!(answer["state"].as_str(), Some("looking" | "hiring")) {
            break;
        }
        answer = later(context, &id, &answer["version"])?;
    }
    if answer["state"] != "done" {
        let next = format!("see what happened with each candidate: comity delegate show {id}");
        return Err(ServiceError::new(Kind::Refused, "not_delegated", field(&answer, "why"), next));
    }
    context.output.show(&answer, |answer| end(&domain, answer));
    Ok(())
}

/// The next change. The delegation goes on in the node, which may be starting again.
fn later(context: &Context, id: &str, version: &Value) -> Result<Value, ServiceError> {
    let path = format!("/api/v1/delegations/{id}?version={version}&wait_ms=20000");
    let begun = comity_runtime::now();
    loop {
        match context.client.get(&path) {
            Err(error) if error.kind == Kind::Unavailable && begun.elapsed() < GONE => {
                pause(Duration::from_millis(500));
            }
            answer => return answer,
        }
    }
}

fn schema(path: &Path) -> Result<Value, ServiceError> {
    let bytes = files::read(path).map_err(|error| ServiceError::bad_input("bad_file", error.to_string()))?;
    let read = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    read.ok_or_else(|| bad_text("file with a JSON Schema", &path.display().to_string()))
}

fn words_or_file(text: &str) -> Result<Vec<u8>, ServiceError> {
    let bytes = files::read_up_to(Path::new(text), TASK_BYTES_MAX as u64);
    match bytes {
        Ok(bytes) => Ok(bytes.unwrap_or_else(|| text.as_bytes().to_vec())),
        // Words need not be able to name a file.
        Err(error) if error.kind() != std::io::ErrorKind::InvalidData => Ok(text.as_bytes().to_vec()),
        Err(error) => Err(ServiceError::bad_input("bad_file", error.to_string())),
    }
}

/// What happened, from a line on.
fn lines(answer: &Value, from: usize) -> Vec<String> {
    let all = answer["lines"].as_array().into_iter().flatten().skip(from);
    let first = answer["lines"][0]["at_ms"].as_u64().unwrap_or_default();
    all.map(|line| {
        let seconds = line["at_ms"].as_u64().unwrap_or_default().saturating_sub(first) as f64 / 1000.0;
        format!("{seconds:>7.1} s  {:<17} {}", field(line, "what"), field(line, "detail"))
    })
    .collect()
}

fn end(domain: &DomainView, answer: &Value) -> String {
    let result = BASE64.decode(answer["result"].as_str().unwrap_or_default().as_bytes()).unwrap_or_default();
    let paid = format!(
        "delegation {} {}: paid {}",
        field(answer, "delegation"),
        field(answer, "state"),
        domain.show(&field(answer, "paid"))
    );
    if result.is_empty() { paid } else { format!("{paid}\n{}", String::from_utf8_lossy(&result)) }
}

fn rows(domain: &DomainView, answer: &Value) -> String {
    let rows = answer["delegations"].as_array().into_iter().flatten().map(|one| {
        let attempts = one["attempts"].as_array().map_or(0, Vec::len).to_string();
        let state =
            if one["waits_for_its_token"] == true { "waits for its token".to_owned() } else { field(one, "state") };
        let paid = domain.show(&field(one, "paid"));
        vec![field(one, "delegation"), field(one, "capability"), state, attempts, paid, field(one, "agent")]
    });
    table(&["DELEGATION", "CAPABILITY", "STATE", "HIRED", "PAID", "AGENT"], rows)
}

fn denied(answer: &Value) -> String {
    let denied = answer["denied"].as_array().into_iter().flatten();
    let denied = denied.map(|one| vec![field(one, "agent"), "hired no more".to_owned(), field(one, "why")]);
    let forged = answer["forged"].as_array().into_iter().flatten().map(|one| {
        let alert = if one["alert"] == true { ", again and again" } else { "" };
        let what = format!("{} false claims{alert}", field(one, "count"));
        vec![field(one, "claimed"), what, field(one, "why")]
    });
    table(&["AGENT", "WHAT", "WHY"], denied.chain(forged))
}
