//! `ledger export`, `ledger checkpoint`, `ledger verify`, `audit verify`.
//!
//! Writing asks a node, page by page; judging asks nobody.

use super::{args::VerifyArgs, context::Context, output::Output};
use crate::{
    service::error::{Kind, ServiceError},
    storage::files::{self, NewFile},
};
use bytes::Bytes;
use comity_proto::ids::{DomainId, PublicKey};
use comity_verify::{
    Chain, Judged, Place, Report, Rule, Verdict, Wrong, checkpoint_of,
    document::{self, Head, write_event},
    verify as judge,
};
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{io, path::Path};

/// A long export tells how far it is, each time after so many events.
const TELL_EVERY: u64 = 100_000;

/// `GET /api/v1/ledger/checkpoint`.
#[derive(Deserialize)]
struct SignedCheckpoint {
    domain: DomainId,
    domain_key: PublicKey,
    roster: String,
    checkpoint: String,
}

/// `GET /api/v1/ledger/leaves`.
#[derive(Deserialize)]
struct Leaves {
    events: Vec<String>,
}

fn from_base64(text: &str) -> Result<Bytes, ServiceError> {
    BASE64.decode(text.as_bytes()).map(Bytes::from).map_err(|error| {
        ServiceError::new(Kind::Internal, "unexpected_answer", format!("not base64: {error}"), "update this client")
    })
}

fn unwritable(error: &io::Error) -> ServiceError {
    ServiceError::bad_input("file_unwritable", error.to_string())
}

fn wrong(path: &Path, wrong: &Wrong) -> ServiceError {
    let detail = format!("{}: {wrong}", path.display());
    let next = match wrong.rule {
        Rule::Unreadable => "check the path",
        Rule::Mark | Rule::Truncated | Rule::TrailingBytes => "get the file again from whoever exported it",
        _ => "keep the file, and the checkpoint that it was held against: they are the evidence",
    };
    ServiceError::new(Kind::Refused, wrong.rule.name(), detail, next)
}

/// The domain's signed checkpoint, judged before anything is written.
fn ask_head(context: &Context, kind: document::Kind) -> Result<(Head, Judged), ServiceError> {
    let answer: SignedCheckpoint = context.client.get("/api/v1/ledger/checkpoint")?;
    let chain = Chain { domain: answer.domain, root_key: answer.domain_key, roster: from_base64(&answer.roster)? };
    let head = Head { kind, chain, checkpoint: from_base64(&answer.checkpoint)? };
    let judged = head.judge().map_err(|error| wrong(Path::new("the node's checkpoint"), &error))?;
    Ok((head, judged))
}

fn written(context: &Context, file: &Path, judged: &Judged, what: &str) {
    let checkpoint = judged.checkpoint();
    let document = json!({
        "file": file.display().to_string(), "domain": checkpoint.domain, "events": checkpoint.size,
        "root": checkpoint.root, "signer": judged.signer(),
    });
    context.output.show(&document, |_| {
        format!("{what} {} events, root {}: {}", checkpoint.size, checkpoint.root, file.display())
    });
}

/// `ledger checkpoint FILE`
pub(super) fn checkpoint(context: &Context, file: &Path) -> Result<(), ServiceError> {
    let (head, judged) = ask_head(context, document::Kind::Checkpoint)?;
    let mut out = NewFile::create(file).map_err(|error| unwritable(&error))?;
    head.write(&mut out).and_then(|()| out.finish()).map_err(|error| unwritable(&error))?;
    written(context, file, &judged, "signed checkpoint over");
    Ok(())
}

/// `ledger export FILE`: one page of events in memory at a time.
pub(super) fn export(context: &Context, file: &Path) -> Result<(), ServiceError> {
    let (head, judged) = ask_head(context, document::Kind::History)?;
    let mut out = NewFile::create(file).map_err(|error| unwritable(&error))?;
    head.write(&mut out).map_err(|error| unwritable(&error))?;
    let size = judged.checkpoint().size;
    let (mut next, mut tell_at) = (0_u64, TELL_EVERY);
    while next < size {
        let page: Leaves = context.client.get(&format!("/api/v1/ledger/leaves?from={next}&below={size}"))?;
        for event in &page.events {
            write_event(&mut out, &from_base64(event)?).map_err(|error| unwritable(&error))?;
            next = next.saturating_add(1);
        }
        if next >= tell_at && !context.output.json {
            eprintln!("{next} of {size} events");
            tell_at = next.saturating_add(TELL_EVERY);
        }
    }
    out.finish().map_err(|error| unwritable(&error))?;
    written(context, file, &judged, "exported");
    Ok(())
}

/// `ledger verify FILE`, `audit verify FILE`
pub(super) fn verify(args: &VerifyArgs, output: Output) -> Result<(), ServiceError> {
    let open = |path: &Path| {
        let unreadable = |error: io::Error| wrong(path, &Wrong::new(Place::Head, Rule::Unreadable, error.to_string()));
        files::reader(path).map_err(unreadable)
    };
    let against = match &args.against {
        Some(path) => Some(checkpoint_of(open(path)?).map_err(|error| wrong(path, &error))?),
        None => None,
    };
    let verdict = judge(open(&args.file)?, against.as_ref()).map_err(|error| wrong(&args.file, &error))?;
    output.show(&view(&verdict), |_| format!("{verdict}\nholds"));
    Ok(())
}

fn view(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::History(report) => view_of_history(report),
        Verdict::Checkpoint { judged, against } => {
            let checkpoint = judged.checkpoint();
            json!({
                "holds": true, "document": "checkpoint", "domain": checkpoint.domain, "events": checkpoint.size,
                "root": checkpoint.root, "signer": judged.signer(), "roster_epoch": judged.roster().epoch,
                "against": against,
            })
        }
    }
}

fn view_of_history(report: &Report) -> Value {
    let checkpoint = report.checkpoint;
    let assets = report.assets.iter().map(|figures| {
        let reserves = figures.reserves.iter();
        let reserves = reserves.map(|(peer, minor)| json!({ "peer": peer, "amount": minor.to_string() }));
        json!({
            "asset": figures.asset.to_string(), "own": figures.own, "supply": figures.supply.to_string(),
            "cap": figures.cap.map(|cap| cap.to_string()), "agents": figures.agents.to_string(),
            "locked": figures.locked.to_string(), "in_flight": figures.in_flight.to_string(),
            "house": figures.house.to_string(), "reserves": reserves.collect::<Vec<_>>(),
        })
    });
    json!({
        "holds": true, "document": "history", "domain": checkpoint.domain, "events": checkpoint.size,
        "root": checkpoint.root, "signer": report.signer, "roster_epoch": report.roster_epoch,
        "entries": report.entries, "postings": report.postings, "accounts": report.accounts,
        "agents": report.agents, "assets": assets.collect::<Vec<_>>(), "against": report.against,
    })
}
