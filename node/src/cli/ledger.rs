//! `ledger`, `peer`.

use super::{
    args::{LedgerCommand, PeerCommand},
    audit,
    context::Context,
    money::done,
    output::{field, table},
};
use crate::{service::error::ServiceError, storage::files};
use bytes::Bytes;
use comity_proto::{
    amount::{AssetCode, AssetId},
    command::Verb,
    ids::{DomainId, PublicKey},
    text::Nickname,
    treaty::{ExposureCap, Treaty},
};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What one operator gives another: everything that the other must pin.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeerFile {
    domain: DomainId,
    key: PublicKey,
    nickname: Nickname,
    asset: AssetCode,
    roster: String,
    addresses: Vec<String>,
}

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
        LedgerCommand::Export { file } => audit::export(context, file)?,
        LedgerCommand::Checkpoint { file } => audit::checkpoint(context, file)?,
        LedgerCommand::Extension { since, file } => audit::extension(context, since, file)?,
        LedgerCommand::Verify(args) => audit::verify(args, context.output)?,
    }
    Ok(())
}

/// `peer …`
pub(super) fn peer(context: &Context, command: &PeerCommand) -> Result<(), ServiceError> {
    let domain = context.domain()?;
    match command {
        PeerCommand::Export => {
            let answer: Value = context.client.get("/api/v1/domain/export")?;
            println!("{}", serde_json::to_string_pretty(&answer).unwrap_or_default());
        }
        PeerCommand::Add { file, cap } => {
            let text = files::read(file)
                .ok()
                .flatten()
                .ok_or_else(|| ServiceError::bad_input("bad_file", format!("{} cannot be read", file.display())))?;
            let peer: PeerFile = serde_json::from_slice(&text)
                .map_err(|error| ServiceError::bad_input("bad_peer_file", format!("{}: {error}", file.display())))?;
            let roster = BASE64
                .decode(peer.roster.as_bytes())
                .map_err(|_| ServiceError::bad_input("bad_peer_file", "the roster is not base64"))?;
            let treaty = Treaty {
                peer: peer.domain,
                peer_key: peer.key,
                nickname: peer.nickname,
                active: true,
                caps: vec![ExposureCap {
                    asset: AssetId { issuer: peer.domain, code: peer.asset },
                    cap: domain.amount(cap)?,
                }],
                roster: Bytes::from(roster),
            };
            let answer = context.submit(&context.operator(&domain)?, Verb::SetTreaty { treaty })?;
            let addresses = serde_json::json!({ "addresses": peer.addresses });
            let _: Value = context.client.post("/api/v1/mesh/greet", &addresses)?;
            done(context, &answer);
        }
        PeerCommand::List => {
            let answer: Value = context.client.get("/api/v1/peers")?;
            context.output.show(&answer, |answer| {
                let rows = answer["peers"].as_array().into_iter().flatten().map(|peer| {
                    let text = |name| field(peer, name);
                    let cap = domain.show(&text("cap"));
                    vec![
                        text("nickname"),
                        text("state"),
                        text("connected"),
                        domain.show(&text("held")),
                        cap,
                        text("domain"),
                    ]
                });
                table(&["PEER", "STATE", "NODES", "HELD", "CAP", "DOMAIN"], rows)
            });
        }
    }
    Ok(())
}
