//! `ledger`.

use super::{
    args::LedgerCommand,
    audit,
    context::Context,
    output::{field, table},
    restore,
};
use crate::service::error::ServiceError;
use serde_json::Value;

/// `ledger …`
pub(super) fn ledger(context: &Context, command: &LedgerCommand) -> Result<(), ServiceError> {
    match command {
        LedgerCommand::Digest => {
            let answer: Value = context.client.get("/api/v1/ledger/digest")?;
            context.output.show(&answer, |answer| {
                format!("{} at applied index {}", field(answer, "digest"), field(answer, "applied_index"))
            });
        }
        LedgerCommand::Statement { peer } => {
            let peer = context.domain()?.resolve(peer)?;
            let answer: Value = context.client.get(&format!("/api/v1/ledger/statement/{peer}"))?;
            context
                .output
                .show(&answer, |answer| serde_json::to_string_pretty(answer).unwrap_or_else(|_| answer.to_string()));
        }
        LedgerCommand::Events { last } => {
            let answer: Value = context.client.get(&format!("/api/v1/ledger/events?last={last}"))?;
            context.output.show(&answer, |answer| {
                let rows = answer["events"].as_array().into_iter().flatten();
                let row = |event: &Value| vec![field(event, "leaf"), field(event, "stamp_ms"), field(event, "what")];
                table(&["LEAF", "STAMP", "WHAT"], rows.map(row))
            });
        }
        LedgerCommand::Reconcile { settle: None, .. } => restore::show(context)?,
        LedgerCommand::Reconcile { settle: Some(peer), reason } => {
            restore::settle(context, peer, reason.as_deref().unwrap_or_default())?;
        }
        LedgerCommand::Export { file } => audit::export(context, file)?,
        LedgerCommand::Checkpoint { file } => audit::checkpoint(context, file)?,
        LedgerCommand::Extension { since, file } => audit::extension(context, since, file)?,
        LedgerCommand::Verify(args) => audit::verify(args, context.output)?,
    }
    Ok(())
}
