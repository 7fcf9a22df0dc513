//! `ledger export`, `ledger checkpoint`, `ledger extension`, `ledger verify`, `audit verify`, `audit accuse`.
//!
//! Writing asks a node, page by page; judging asks nobody.

use super::{args::VerifyArgs, context::Context, output::Output};
use crate::{
    service::error::{Kind as RefusalKind, ServiceError},
    storage::files::{self, NewFile},
};
use bytes::Bytes;
use comity_proto::ids::{DomainId, Hash, PublicKey};
use comity_verify::{
    Chain, Judged, Place, Report, Rule, Verdict, Wrong, checkpoint_of,
    document::{Extension, Head, Kind, write_event},
    verdict::{checkpoints_of, contradiction},
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

/// `GET /api/v1/ledger/extension`.
#[derive(Deserialize)]
struct Extended {
    #[serde(flatten)]
    newer: SignedCheckpoint,
    older: String,
    proof: Vec<Hash>,
}

/// `GET /api/v1/ledger/leaves`.
#[derive(Deserialize)]
struct Leaves {
    events: Vec<String>,
}

pub(super) fn from_base64(text: &str) -> Result<Bytes, ServiceError> {
    BASE64.decode(text.as_bytes()).map(Bytes::from).map_err(|error| {
        ServiceError::new(
            RefusalKind::Internal,
            "unexpected_answer",
            format!("not base64: {error}"),
            "update this client",
        )
    })
}

pub(super) fn unwritable(error: &io::Error) -> ServiceError {
    ServiceError::bad_input("file_unwritable", error.to_string())
}

fn wrong(path: &Path, wrong: &Wrong) -> ServiceError {
    let detail = format!("{}: {wrong}", path.display());
    let next = match wrong.rule {
        Rule::Unreadable => "check the path",
        Rule::Mark | Rule::Truncated | Rule::TrailingBytes => "get the file again from whoever exported it",
        _ => "keep the file, and the checkpoint that it was held against: they are the evidence",
    };
    ServiceError::new(RefusalKind::Refused, wrong.rule.name(), detail, next)
}

/// The domain's signed checkpoint, judged before anything is written.
fn head_of(answer: &SignedCheckpoint, kind: Kind) -> Result<(Head, Judged), ServiceError> {
    let chain = Chain { domain: answer.domain, root_key: answer.domain_key, roster: from_base64(&answer.roster)? };
    let head = Head { kind, chain, checkpoint: from_base64(&answer.checkpoint)? };
    let judged = head.judge().map_err(|error| wrong(Path::new("the node's checkpoint"), &error))?;
    Ok((head, judged))
}

fn ask_head(context: &Context, kind: Kind) -> Result<(Head, Judged), ServiceError> {
    head_of(&context.client.get("/api/v1/ledger/checkpoint")?, kind)
}

fn open(path: &Path) -> Result<impl io::Read + use<>, ServiceError> {
    let unreadable = |error: io::Error| wrong(path, &Wrong::new(Place::Head, Rule::Unreadable, error.to_string()));
    files::reader(path).map_err(unreadable)
}

fn written(output: Output, file: &Path, judged: &Judged, what: &str) {
    let checkpoint = judged.checkpoint();
    let document = json!({
        "file": file.display().to_string(), "domain": checkpoint.domain, "events": checkpoint.size,
        "root": checkpoint.root, "signer": judged.signer(),
    });
    output.show(&document, |_| {
        format!("{what} {} events, root {}: {}", checkpoint.size, checkpoint.root, file.display())
    });
}

/// `ledger checkpoint FILE`
pub(super) fn checkpoint(context: &Context, file: &Path) -> Result<(), ServiceError> {
    let (head, judged) = ask_head(context, Kind::Checkpoint)?;
    let mut out = NewFile::create(file).map_err(|error| unwritable(&error))?;
    head.write(&mut out).and_then(|()| out.finish()).map_err(|error| unwritable(&error))?;
    written(context.output, file, &judged, "signed checkpoint over");
    Ok(())
}

/// `ledger export FILE`: one page of events in memory at a time.
pub(super) fn export(context: &Context, file: &Path) -> Result<(), ServiceError> {
    let (head, judged) = ask_head(context, Kind::History)?;
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
    written(context.output, file, &judged, "exported");
    Ok(())
}

/// `ledger extension --since CHECKPOINT FILE`: what the node says is written also when it contradicts the kept checkpoint,
/// because then it is evidence.
pub(super) fn extension(context: &Context, since: &Path, file: &Path) -> Result<(), ServiceError> {
    let kept = checkpoint_of(open(since)?).map_err(|error| wrong(since, &error))?;
    let older = kept.checkpoint().size;
    let answer: Extended = context.client.get(&format!("/api/v1/ledger/extension?older={older}"))?;
    let (head, judged) = head_of(&answer.newer, Kind::Extension)?;
    let rest = Extension { older: from_base64(&answer.older)?, proof: answer.proof };
    let mut out = NewFile::create(file).map_err(|error| unwritable(&error))?;
    let wrote = head.write(&mut out).and_then(|()| rest.write(&mut out)).and_then(|()| out.finish());
    wrote.map_err(|error| unwritable(&error))?;
    judge(open(file)?, Some(&kept)).map_err(|error| wrong(file, &error))?;
    written(context.output, file, &judged, "proved from the kept checkpoint to");
    Ok(())
}

/// `audit accuse ONE OTHER FILE`
pub(super) fn accuse(one: &Path, other: &Path, file: &Path, output: Output) -> Result<(), ServiceError> {
    let heads = |path: &Path| checkpoints_of(open(path)?).map_err(|error| wrong(path, &error));
    let found = contradiction(&heads(one)?, &heads(other)?).map_err(|error| wrong(other, &error))?;
    let (head, rest) = found.ok_or_else(|| {
        let detail = "no two checkpoints in them are of one domain and one size with different roots";
        let next = "for checkpoints of different sizes ask the domain for `ledger extension --since` the older one";
        ServiceError::new(RefusalKind::Refused, Rule::NoContradiction.name(), detail, next)
    })?;
    let mut out = NewFile::create(file).map_err(|error| unwritable(&error))?;
    let wrote = head.write(&mut out).and_then(|()| rest.write(&mut out)).and_then(|()| out.finish());
    wrote.map_err(|error| unwritable(&error))?;
    let verdict = judge(open(file)?, None).map_err(|error| wrong(file, &error))?;
    output.show(&view(&verdict), |_| format!("{verdict}\nproof       {}", file.display()));
    Ok(())
}

/// `ledger verify FILE`, `audit verify FILE`
pub(super) fn verify(args: &VerifyArgs, output: Output) -> Result<(), ServiceError> {
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
        Verdict::Checkpoint { judged, against } => json!({
            "holds": true, "document": "checkpoint", "domain": judged.checkpoint().domain,
            "events": judged.checkpoint().size, "root": judged.checkpoint().root, "signer": judged.signer(),
            "roster_epoch": judged.roster().epoch, "against": against,
        }),
        Verdict::Extension { newer, older, against } => json!({
            "holds": true, "document": "extension", "domain": newer.checkpoint().domain, "newer": view_of(newer),
            "older": view_of(older), "against": against.then_some(older.checkpoint().size),
        }),
        Verdict::Equivocation { first, second } => json!({
            "holds": true, "document": "equivocation", "domain": first.checkpoint().domain,
            "one": view_of(first), "other": view_of(second),
        }),
        Verdict::Inclusion { judged, index, event } => json!({
            "holds": true, "document": "inclusion", "domain": judged.checkpoint().domain,
            "events": judged.checkpoint().size, "root": judged.checkpoint().root, "signer": judged.signer(),
            "index": index, "stamp_ms": event.stamp_ms, "event": event.kind,
        }),
        Verdict::TwoDecisions(two) => json!({
            "holds": true, "document": "two-decisions", "domain": two.domain, "transfer": two.transfer,
            "committed_by": two.committed_by, "aborted_by": two.aborted_by,
        }),
    }
}

/// A signed checkpoint as a part of a larger document.
fn view_of(judged: &Judged) -> Value {
    let checkpoint = judged.checkpoint();
    json!({ "events": checkpoint.size, "root": checkpoint.root, "signer": judged.signer() })
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
    let projected = report.projected.iter();
    let projected =
        projected.map(|told| json!({ "peer": told.peer, "events": told.events, "in_a_tree_of": told.size }));
    json!({
        "holds": true, "document": "history", "domain": checkpoint.domain, "events": checkpoint.size,
        "root": checkpoint.root, "signer": report.signer, "roster_epoch": report.roster_epoch,
        "entries": report.entries, "postings": report.postings, "accounts": report.accounts,
        "agents": report.agents, "assets": assets.collect::<Vec<_>>(), "against": report.against,
        "projected": projected.collect::<Vec<_>>(),
    })
}
