//! `keyring …`: on the data directory alone; a running node is only told to look again.

use super::{
    args::{Cli, KeyArgs, KeyKind, KeyringCommand, PassphraseArgs},
    context::Context,
    node::keys_not_seen,
    output::{Output, field},
    root_key::RootRotation,
    rotation::{self, Rotation},
};
use crate::{
    config,
    home::{Home, ROOT_FILE},
    keyring::{
        passphrase,
        renewal::Certificates,
        request,
        revocation::{self, REVOCATIONS_FILE},
        root::with_links,
        sealed,
    },
    service::error::{Kind, ServiceError},
    storage::files::{self, Access, NewFile},
};
use comity_proto::{identity::NodeCertificate, keys::SecretKey, limits::DAY_MS, roots::RootKey};
use serde_json::{Value, json};
use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

const OPEN: &str = "passphrase of the root key: ";

pub(super) fn keyring(cli: &Cli, command: &KeyringCommand) -> Result<(), ServiceError> {
    let output = Output { json: cli.json };
    let dir = config::data_dir(cli.data.as_deref())?;
    match command {
        KeyringCommand::Show => show(cli, &dir, output),
        KeyringCommand::Encrypt(args) => encrypt(&dir, args, output),
        KeyringCommand::Request { out, key } => {
            let (text, node) = match key {
                KeyKind::Node => rotation::request(&dir)?,
                _ => {
                    let home = Home::load(&dir)?;
                    (request::ask(&home.node, home.domain(), comity_runtime::wall_ms()), home.node.public())
                }
            };
            hand_out(out.as_deref(), &text, &json!({ "request": text, "node": node }), output)
        }
        KeyringCommand::Certify { request, root, passphrase, out } => {
            let root = root_key(&root.clone().unwrap_or_else(|| dir.join(ROOT_FILE)), passphrase)?;
            let asked = words_of(request)?;
            let (text, node) = request::certify(&root, &asked, comity_runtime::wall_ms())?;
            hand_out(out.as_deref(), &text, &json!({ "certificate": text, "node": node }), output)
        }
        KeyringCommand::Prepare { certificate, of } => {
            match of.key {
                KeyKind::Certificate => prepare(&dir, certificate.as_ref(), of)?,
                KeyKind::Root => RootRotation::of(cli, of)?.prepare()?,
                _ => Rotation::of(cli, of)?.prepare(certificate.as_ref())?,
            }
            show(cli, &dir, output)
        }
        KeyringCommand::Activate(of) => {
            match of.key {
                KeyKind::Certificate => activate(&dir)?,
                KeyKind::Root => RootRotation::of(cli, of)?.activate()?,
                _ => Rotation::of(cli, of)?.activate()?,
            }
            tell(cli, None)?;
            show(cli, &dir, output)
        }
        KeyringCommand::Retire(of) => {
            match of.key {
                KeyKind::Certificate => Certificates::of(&dir)?.retire()?,
                KeyKind::Root => RootRotation::of(cli, of)?.retire()?,
                _ => Rotation::of(cli, of)?.retire()?,
            }
            show(cli, &dir, output)
        }
        KeyringCommand::Svid { out, hours } => super::svid::svid(cli, out, *hours),
        KeyringCommand::Bundle { domain, out, pem } => {
            super::svid::bundle(cli, domain.as_deref(), out.as_deref(), *pem)
        }
        KeyringCommand::Revoke { what, of } => {
            if of.reason.trim().is_empty() {
                return Err(ServiceError::bad_input("reason_missing", "say why: it is logged"));
            }
            match of.key {
                KeyKind::Certificate => {
                    let serial =
                        what.parse().map_err(|_| ServiceError::bad_input("bad_serial", format!("`{what}`")))?;
                    revoke(&dir, serial, &root_key(&of.root_in(&dir), &of.passphrase)?)?;
                    tell(cli, Some(&of.reason))?;
                }
                KeyKind::Root => RootRotation::of(cli, of)?.revoke(what)?,
                _ => Rotation::of(cli, of)?.revoke(what)?,
            }
            show(cli, &dir, output)
        }
    }
}

fn revoke(dir: &Path, serial: u64, root: &RootKey) -> Result<(), ServiceError> {
    let home = Home::load(dir)?;
    if Certificates::of(dir)?.in_use.serial == serial {
        let detail = format!("serial {serial} is the certificate that this node shows");
        let next = "prepare and activate another one first, or run this on another voter";
        return Err(ServiceError::new(Kind::Conflict, "own_certificate", detail, next));
    }
    let before = revocation::read(&home.domain(), home.revocations.as_ref())?;
    let list = revocation::add(root, home.domain(), before, serial)?;
    files::write(&dir.join(REVOCATIONS_FILE), &list, Access::Public).map_err(|error| unreadable(&error))
}

/// A running node looks again; one that does not run will when it starts.
fn tell(cli: &Cli, reason: Option<&str>) -> Result<(), ServiceError> {
    let told = Context::of(cli)?.client.post::<Value>("/api/v1/keyring/reload", &json!({ "reason": reason }));
    match told {
        Err(error) if error.code == "node_unreachable" => Ok(()),
        other => other.map(|_| ()),
    }
}

fn activate(dir: &Path) -> Result<(), ServiceError> {
    let certificates = Certificates::of(dir)?;
    if certificates.next.as_ref().is_some_and(|next| next.node != certificates.in_use.node) {
        let detail = "what was prepared certifies the next key of this node";
        let next = "comity keyring activate --key node";
        return Err(ServiceError::new(Kind::Conflict, "certificate_of_next_key", detail, next));
    }
    certificates.activate()
}

fn prepare(dir: &Path, certificate: Option<&PathBuf>, args: &KeyArgs) -> Result<(), ServiceError> {
    let home = Home::load(dir)?;
    let now_ms = comity_runtime::wall_ms();
    let text = match certificate {
        Some(path) => words_of(path)?,
        None => {
            let root = root_key(&args.root_in(dir), &args.passphrase)?;
            request::certify(&root, &request::ask(&home.node, home.domain(), now_ms), now_ms)?.0
        }
    };
    Certificates::of(dir)?.prepare(&text, &home.domain_key, &home.node.public(), now_ms)
}

fn encrypt(dir: &Path, args: &PassphraseArgs, output: Output) -> Result<(), ServiceError> {
    let path = dir.join(ROOT_FILE);
    let file = key_file(&path)?;
    if sealed::is_sealed(&file) {
        let next = "start the node with its passphrase, or leave it so";
        return Err(ServiceError::new(Kind::Conflict, "already_sealed", path.display().to_string(), next));
    }
    let root = crate::home::load_key(&path)?.ok_or_else(|| no_root(&path))?;
    let passphrase = passphrase::choose(args.passphrase_file.as_deref())?;
    let text = sealed::seal(&root, &passphrase).map_err(|closed| refused(&path, closed))?;
    // What was written is opened before it takes the place of the only copy.
    sealed::open(text.as_bytes(), &passphrase).map_err(|closed| refused(&path, closed))?;
    files::write(&path, text.as_bytes(), Access::Secret).map_err(|error| unreadable(&error))?;
    output.show(&json!({ "sealed": true, "key": root.public(), "file": path }), |answer| {
        format!(
            "sealed {}\nnext   start the node with the passphrase where it must certify, invite or sign treaties",
            field(answer, "key")
        )
    });
    Ok(())
}

/// The root key in a file, with the links that lie beside it.
pub(super) fn root_key(path: &Path, args: &PassphraseArgs) -> Result<RootKey, ServiceError> {
    let (secret, _) = open_root(path, args)?;
    with_links(path.parent().unwrap_or(Path::new(".")), secret)
}

/// A root key alone, and the passphrase with which it was sealed.
pub(super) fn open_root(path: &Path, args: &PassphraseArgs) -> Result<(SecretKey, Option<String>), ServiceError> {
    let file = key_file(path)?;
    if !sealed::is_sealed(&file) {
        return crate::home::load_key(path)?.map(|key| (key, None)).ok_or_else(|| no_root(path));
    }
    let passphrase = passphrase::find(args.passphrase_file.as_deref(), OPEN)?.ok_or_else(|| {
        let next = "name a file with --passphrase-file, set COMITY_PASSPHRASE, or run this in a terminal";
        ServiceError::new(Kind::BadInput, "passphrase_missing", format!("{} is sealed", path.display()), next)
    })?;
    let key = sealed::open(&file, &passphrase).map_err(|closed| refused(path, closed))?;
    Ok((key, Some(passphrase)))
}

fn key_file(path: &Path) -> Result<Vec<u8>, ServiceError> {
    files::read_secret(path).map_err(|error| unreadable(&error))?.ok_or_else(|| no_root(path))
}

fn no_root(path: &Path) -> ServiceError {
    let detail = format!("there is no root key at {}", path.display());
    let next = "run this on the machine that holds it, or name its file with --root";
    ServiceError::new(Kind::NotFound, "no_domain_key", detail, next)
}

fn refused(path: &Path, closed: sealed::Closed) -> ServiceError {
    let next = "nothing was tried with it; give the passphrase with which it was sealed";
    ServiceError::new(Kind::Refused, closed.code(), format!("{}: {closed}", path.display()), next)
}

fn unreadable(error: &std::io::Error) -> ServiceError {
    ServiceError::bad_input("bad_data_directory", error.to_string())
}

pub(super) fn words_of(path: &Path) -> Result<String, ServiceError> {
    let bytes = files::read(path).map_err(|error| ServiceError::bad_input("cannot_read", error.to_string()))?;
    let bytes = bytes.ok_or_else(|| ServiceError::not_found("file", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

fn hand_out(out: Option<&Path>, text: &str, document: &Value, output: Output) -> Result<(), ServiceError> {
    if let Some(path) = out {
        let written = NewFile::create(path).and_then(|mut file| {
            writeln!(file, "{text}")?;
            file.finish()
        });
        written.map_err(|error| ServiceError::bad_input("cannot_write", error.to_string()))?;
    }
    output.show(document, |document| match out {
        Some(path) => format!("for node {}: {}", field(document, "node"), path.display()),
        None => text.to_owned(),
    });
    Ok(())
}

/// What the ledger says of the operator's key and of this node's, while the node runs.
fn live(cli: &Cli) -> Value {
    let asked = Context::of(cli).and_then(|context| context.client.get::<Value>("/api/v1/keyring"));
    asked.unwrap_or(Value::Null)
}

fn held(document: &Value) -> String {
    let live = &document["ledger"];
    if live.is_null() {
        return String::new();
    }
    let line = |name: &str, key: &Value, more: String| {
        key.as_str().map(|key| format!("{name:<12} {key}{more}\n")).unwrap_or_default()
    };
    let of = |name: &str, held: &Value| {
        let until =
            held["until_ms"].as_u64().map_or(" until it is retired".to_owned(), |until| format!(" until {until} ms"));
        let step = format!(" (step {})", held["serial"]);
        line(name, &held["active"], step)
            + &line("  next", &held["next"], String::new())
            + &line("  before", &held["before"], format!(", counts{until}"))
    };
    let old = live["old_certificates"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let old: Vec<&str> = old.collect();
    let waits =
        if old.is_empty() { String::new() } else { format!("  wait for   a certificate by it: {}\n", old.join(", ")) };
    let rotated = live["root"]["serial"].as_u64() > Some(0);
    let root = if rotated { of("root", &live["root"]) + &waits } else { String::new() };
    root + &of("operator", &live["operator"])
        + &of("in ledger", &live["node"])
        + &format!("keys         {}\n", keys_not_seen(live))
}

fn show(cli: &Cli, dir: &Path, output: Output) -> Result<(), ServiceError> {
    let home = Home::load(dir)?;
    let certificates = Certificates::of(dir)?;
    let view = |certificate: &NodeCertificate| {
        json!({
            "serial": certificate.serial, "not_before_ms": certificate.not_before_ms,
            "not_after_ms": certificate.not_after_ms,
        })
    };
    let document = json!({
        "domain": home.domain(), "root_key": home.root_named().unwrap_or(home.domain_key), "root": home.root_state(), "node_key": home.node.public(),
        "certificate": view(&certificates.in_use), "next": certificates.next.as_ref().map(view),
        "before": certificates.before.as_ref().map(view),
        "revoked": revocation::read(&home.domain(), home.revocations.as_ref())?.map_or(Vec::new(), |list| list.serials),
        "ledger": live(cli),
    });
    output.show(&document, |document| {
        let now_ms = comity_runtime::wall_ms();
        let line = |name: &str| {
            let certificate = &document[name];
            let days = certificate["not_after_ms"].as_u64()?.saturating_sub(now_ms) / DAY_MS;
            Some(format!("{name:<12} serial {}, {days} days left\n", field(certificate, "serial")))
        };
        format!(
            "domain       {}\nroot key     {} ({})\nnode key     {}\n{}",
            field(document, "domain"),
            field(document, "root_key"),
            field(document, "root"),
            field(document, "node_key"),
            ["certificate", "next", "before"].into_iter().filter_map(line).collect::<String>()
                + &revoked(document)
                + &held(document)
        )
    });
    Ok(())
}

fn revoked(document: &Value) -> String {
    let serials = document["revoked"].as_array().into_iter().flatten().map(ToString::to_string);
    let serials: Vec<String> = serials.collect();
    if serials.is_empty() { String::new() } else { format!("revoked      serials {}\n", serials.join(", ")) }
}
