//! `card domain …`.

use super::{
    args::{Cli, DomainCardCommand, EditArgs, VerifyCardArgs},
    context::{Context, DomainView},
    output::{Output, field},
};
use crate::{
    registry::{
        Judged, Wrong,
        json::{canonical, parse},
        verify as judge,
    },
    service::error::{Kind, ServiceError},
    storage::files::{self, NewFile},
};
use comity_proto::{
    amount::format_amount,
    ids::DomainId,
    limits::{DAY_MS, DOMAIN_DOCUMENT_BYTES_MAX},
};
use serde_json::{Value, json};
use std::{io::Write as _, path::Path};

/// `card domain show | edit`; `verify` needs no context.
pub(super) fn domain(context: &Context, own: &DomainView, command: &DomainCardCommand) -> Result<(), ServiceError> {
    match command {
        DomainCardCommand::Show { domain, out } => {
            let domain = domain.as_ref().map_or(Ok(own.domain), |name| own.resolve(name))?;
            let answer: Value = context.client.get(&format!("/api/v1/domains/{domain}/card"))?;
            if let Some(path) = out {
                save(path, &canonical(&answer["card"])).map_err(|error| {
                    let next = "name a file that can be written";
                    ServiceError::new(Kind::Internal, "cannot_write", error.to_string(), next)
                })?;
            }
            context.output.show(&answer, |answer| {
                let heard =
                    format!("{}, {} s ago", field(answer, "path"), answer["age_ms"].as_u64().unwrap_or(0) / 1_000);
                let saved = out.as_ref().map_or(String::new(), |path| format!("\nsaved      {}", path.display()));
                format!("{}\nheard      {heard}{saved}", card(&answer["card"]))
            });
        }
        DomainCardCommand::Edit(args) => edit(context, own, args)?,
        DomainCardCommand::Verify(_) => {}
    }
    Ok(())
}

fn save(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = NewFile::create(path)?;
    file.write_all(bytes)?;
    file.finish()
}

fn edit(context: &Context, own: &DomainView, args: &EditArgs) -> Result<(), ServiceError> {
    let ids = |names: &[String]| names.iter().map(|name| own.resolve(name)).collect::<Result<Vec<DomainId>, _>>();
    let body = json!({
        "contact": args.contact, "latitude": args.latitude, "longitude": args.longitude,
        "external_auditor_endpoint": args.auditor,
        "endpoints": (!args.endpoints.is_empty()).then_some(&args.endpoints),
        "show": ids(&args.show)?, "hide": ids(&args.hide)?,
    });
    let answer: Value = context.client.post("/api/v1/domain/card", &body)?;
    context.output.show(&answer, card);
    Ok(())
}

/// `card domain verify FILE`: nothing is asked of anybody when the domain is named by its id.
pub(super) fn verify(cli: &Cli, args: &VerifyCardArgs) -> Result<(), ServiceError> {
    let bytes = read(&args.file)?;
    let domain = expected(cli, args, &bytes)?;
    let holds = |path: &Path, bytes: &[u8]| judge(bytes, &domain).map_err(|wrong| refused(path, &wrong));
    let judged = holds(&args.file, &bytes)?;
    if let Some(path) = &args.against {
        let kept = holds(path, &read(path)?)?;
        judged.supersedes(&kept).map_err(|wrong| refused(&args.file, &wrong))?;
    }
    Output { json: cli.json }.show(&view(&judged), |_| {
        let by = if judged.signer == judged.root { "the root key" } else { "a voter" };
        format!(
            "{}\nsigned     by {by}, {}, roster {}\n{}",
            card(&judged.document),
            judged.signer,
            judged.roster_epoch,
            if is_stale(&judged) { "holds, but has expired: ask for a newer one" } else { "holds" }
        )
    });
    Ok(())
}

fn is_stale(judged: &Judged) -> bool {
    comity_runtime::wall_ms() >= judged.expires_at_ms
}

fn view(judged: &Judged) -> Value {
    json!({
        "holds": true, "domain": judged.domain, "sequence": judged.sequence, "version": judged.version,
        "signer": judged.signer, "roster_epoch": judged.roster_epoch, "stale": is_stale(judged),
        "card": judged.document,
    })
}

/// Which domain the reader expects: named, or one whose key this node has pinned. Never just the one that the card says.
fn expected(cli: &Cli, args: &VerifyCardArgs, bytes: &[u8]) -> Result<DomainId, ServiceError> {
    if let Some(domain) = args.domain.as_ref().and_then(|text| text.parse().ok()) {
        return Ok(domain);
    }
    let no_root = |detail: String| {
        let next = "name the domain that you expect by its id: --domain ID";
        ServiceError::new(Kind::BadInput, "no_trust_root", detail, next)
    };
    let own = Context::of(cli).and_then(|context| context.domain());
    let own = own.map_err(|error| {
        no_root(format!("a card vouches for no domain by itself, and no node says which are pinned: {error}"))
    })?;
    if let Some(name) = &args.domain {
        return own.resolve(name);
    }
    let document = parse(bytes).map_err(|bad| refused(&args.file, &bad.into()))?;
    let said = field(&document, "domain");
    let pinned = own.peers.iter().map(|peer| peer.domain).chain([own.domain]).find(|domain| domain.to_string() == said);
    pinned
        .ok_or_else(|| no_root(format!("the card says that it is of {said}, and this node has pinned no such domain")))
}

fn read(path: &Path) -> Result<Vec<u8>, ServiceError> {
    let most = DOMAIN_DOCUMENT_BYTES_MAX as u64;
    let found = files::read_up_to(path, most).map_err(|error| match error.kind() {
        std::io::ErrorKind::InvalidData => ServiceError::bad_input("card_too_large", error.to_string()),
        _ => ServiceError::bad_input("cannot_read", error.to_string()),
    })?;
    found.ok_or_else(|| ServiceError::not_found("file", path.display()))
}

fn refused(path: &Path, wrong: &Wrong) -> ServiceError {
    let next = "do not use it; fetch the card again, or ask the domain's operator";
    ServiceError::new(Kind::Refused, wrong.code(), format!("{}: {wrong}", path.display()), next)
}

/// A card for people: a line for each thing that it says; what it does not say is not there.
fn card(document: &Value) -> String {
    let texts = |value: &Value| {
        let items = value.as_array().into_iter().flatten();
        items
            .map(|item| item.as_str().map_or_else(|| field(item, "nickname"), str::to_owned))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let operator = &document["operator"];
    let days = document["expires_at_ms"].as_u64().unwrap_or(0).saturating_sub(comity_runtime::wall_ms()) / DAY_MS;
    let place = match (operator["latitude"].as_str(), operator["longitude"].as_str()) {
        (Some(north), Some(east)) => format!("{north}, {east}"),
        _ => String::new(),
    };
    let fees = &document["fees"];
    let percent = |name: &str| format!("{} %", fees[name].as_u64().unwrap_or(0) as f64 / 100.0);
    let policy = &document["policy"];
    let mut lines = vec![
        ("domain", format!("{} {}", field(document, "nickname"), field(document, "domain"))),
        (
            "version",
            format!("{:.16}, sequence {}, {days} days left", field(document, "version"), field(document, "sequence")),
        ),
        ("policy", format!("{} {:.16}", field(policy, "version"), field(document, "policy_hash"))),
        ("fees", format!("escrow {}, transfer {}", percent("escrow_bps"), percent("transfer_bps"))),
        ("does", texts(&document["capabilities"])),
        ("mesh", texts(&document["endpoints"]["mesh"])),
        ("doors", texts(&document["endpoints"]["api"])),
        ("contact", text(&operator["contact"])),
        ("place", place),
        ("auditor", text(&operator["external_auditor_endpoint"])),
        ("under", text(&document["parent"])),
        ("peers", texts(&document["peers"])),
    ];
    lines.extend(supply(&document["supply"]).into_iter().map(|line| ("supply", line)));
    let checkpoint = &document["checkpoint"];
    if !checkpoint.is_null() {
        lines.push(("log", format!("{} events, root {:.16}", field(checkpoint, "events"), field(checkpoint, "root"))));
    }
    let said = lines.into_iter().filter(|(_, text)| !text.is_empty());
    said.map(|(name, text)| format!("{name:<10} {text}")).collect::<Vec<_>>().join("\n")
}

fn supply(supply: &Value) -> Vec<String> {
    let units = |line: &Value, name: &str| -> Option<String> {
        let minor: u64 = line[name].as_str()?.parse().ok()?;
        let scale = line["scale"].as_u64().and_then(|scale| u8::try_from(scale).ok());
        Some(scale.map_or_else(|| format!("{minor} minor units"), |scale| format_amount(minor, scale)))
    };
    let assets = supply["assets"].as_array().into_iter().flatten();
    let mut lines: Vec<String> = assets
        .map(|line| match (units(line, "supply"), units(line, "wrapped")) {
            (Some(supply), _) => format!("{supply} {} issued", field(line, "code")),
            (None, Some(wrapped)) => {
                format!("{wrapped} {} of {:.12}… held here", field(line, "code"), field(line, "issuer"))
            }
            (None, None) => format!("{}: not known", field(line, "code")),
        })
        .collect();
    if supply["standing"] == "federated" {
        let issuer = supply["issuer"].as_str().map_or_else(String::new, |issuer| format!(", see {issuer}"));
        lines.retain(|line| !line.ends_with(": not known"));
        lines.insert(0, format!("federated: this domain issues nothing{issuer}"));
    }
    lines
}
