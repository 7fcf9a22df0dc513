//! `snapshot …` and `ledger reconcile`.

use super::{
    args::{Cli, RestoreArgs},
    context::Context,
    output::{Output, field, table},
};
use crate::{
    config,
    home::Home,
    keyring::passphrase,
    service::{
        error::{Kind, ServiceError},
        restore as service,
    },
};
use serde_json::{Value, json};
use std::path::Path;

/// `snapshot save`
pub(super) fn save(context: &Context, name: Option<&str>) -> Result<(), ServiceError> {
    let answer: Value = context.client.post("/api/v1/snapshots", &json!({ "name": name }))?;
    context.output.show(&answer, |answer| {
        format!("{}\nthe ledger up to entry {}", field(answer, "snapshot"), field(answer, "log_index"))
    });
    Ok(())
}

fn lines(answer: &Value) -> String {
    let peers: Vec<&str> = answer["peers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let peers = if peers.is_empty() { "none".to_owned() } else { peers.join(", ") };
    let text = |name: &str| field(answer, name);
    let rows = [
        ("domain", format!("{} {}", text("nickname"), text("domain"))),
        ("entry", format!("{} at {} ms, {} events", text("log_index"), text("stamp_ms"), text("events"))),
        ("agents", text("agents")),
        ("peers", peers),
        ("incarnation", text("incarnation")),
        ("digest", text("digest")),
    ];
    rows.map(|(name, text)| format!("{name:<11} {text}\n")).concat()
}

/// `snapshot inspect`
pub(super) fn inspect(snapshot: &Path, output: Output) -> Result<(), ServiceError> {
    output.show(&json!(service::inspect(snapshot)?), lines);
    Ok(())
}

/// `snapshot restore`
pub(super) fn restore(cli: &Cli, args: &RestoreArgs) -> Result<(), ServiceError> {
    let mut home = Home::load(&config::data_dir(cli.data.as_deref())?)?;
    if home.root_state() == "sealed"
        && let Some(words) =
            passphrase::find(args.passphrase.passphrase_file.as_deref(), "passphrase of the root key: ")?
    {
        home.unseal(&words)?;
    }
    let (view, kept) = service::restore(&home, &args.snapshot, comity_runtime::wall_ms())?;
    let mut answer = json!(view);
    answer["kept"] = json!(kept);
    Output { json: cli.json }.show(&answer, |answer| {
        format!(
            "{}\nWhat was here is kept in {}.\nOther nodes of this domain join again with an empty directory.\n\
             next   comity up, then comity ledger reconcile",
            lines(answer),
            field(answer, "kept")
        )
    });
    Ok(())
}

/// `ledger reconcile`
pub(super) fn show(context: &Context) -> Result<(), ServiceError> {
    let answer: Value = context.client.get("/api/v1/ledger/reconcile")?;
    context.output.show(&answer, |answer| {
        if answer["fenced"] != true {
            return "no fence: this ledger agrees with every peer, or was never restored".to_owned();
        }
        let peers = answer["peers"].as_array().into_iter().flatten();
        let row = |peer: &Value| {
            let list = |name: &str| peer[name].as_array().cloned().unwrap_or_default();
            let state = match (peer["agreed"] == true, peer["passes"].as_u64()) {
                (true, _) => "agrees",
                (_, Some(0) | None) => "not heard yet",
                _ => "differs",
            };
            let transfers = list("differences")
                .iter()
                .map(|line| format!("{} {}", field(line, "transfer"), field(line, "why")))
                .collect::<Vec<_>>();
            let assets = list("unbalanced")
                .iter()
                .map(|line| format!("{} short {}", field(line, "asset"), field(line, "short")))
                .collect::<Vec<_>>();
            vec![field(peer, "name"), state.to_owned(), transfers.join("; "), assets.join("; ")]
        };
        table(&["PEER", "STATE", "TRANSFERS", "FIGURES"], peers.map(row))
    });
    Ok(())
}

/// `ledger reconcile --settle`
pub(super) fn settle(context: &Context, peer: &str, reason: &str) -> Result<(), ServiceError> {
    let peer = context.domain()?.resolve(peer)?;
    let body = json!({ "peer": peer, "reason": reason });
    let answer: Value = context.client.post("/api/v1/ledger/reconcile/settle", &body)?;
    if answer["success"] != true {
        let code = field(&answer, "outcome");
        let next = "see `comity ledger reconcile`; the treasury must be able to bear what is short";
        return Err(ServiceError::new(Kind::Refused, code, "the ledger refused it", next));
    }
    context.output.show(&answer, |_| "what no evidence settled is upon the treasury now".to_owned());
    Ok(())
}
