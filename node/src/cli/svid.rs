//! `keyring svid`, `keyring bundle`: certificates and bundles for programs of others.

use super::{
    args::Cli,
    context::Context,
    output::{Output, field},
};
use crate::{
    config,
    home::Home,
    service::error::{Kind, ServiceError},
    spiffe::{self, CHAIN_FILE, bundle, chain},
    storage::files::{self, Access},
};
use comity_proto::{envelope::Signed as _, identity::NodeCertificate};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use std::path::Path;

fn unwritten(error: &std::io::Error) -> ServiceError {
    ServiceError::bad_input("cannot_write", error.to_string())
}

/// The bundle with the authority under which this node was certified.
fn made_under(home: &Home, authority: &CertificateDer<'static>) -> Vec<u8> {
    let certificate = NodeCertificate::open(&home.certificate);
    let roots = certificate.map(|known| known.signer().keys().copied().collect());
    let roots: Vec<_> = roots.unwrap_or_else(|_| vec![home.domain_key]);
    bundle::document(&home.domain(), &roots, std::slice::from_ref(authority), 1)
}

/// An SVID of this data directory's node, made without a running one.
pub(super) fn svid(cli: &Cli, out: &Path, hours: u32) -> Result<(), ServiceError> {
    let dir = config::data_dir(cli.data.as_deref())?;
    let home = Home::load(&dir)?;
    let file = files::read(&dir.join(CHAIN_FILE)).map_err(|error| unwritten(&error))?;
    let held = file.and_then(|text| chain::Chain::parse(&text)).ok_or_else(|| {
        let next = "set [https] in config.toml and start the node with its root key, or: comity keyring request";
        let detail = format!("{} has no authority in X.509", dir.display());
        ServiceError::new(Kind::Conflict, "https_without_authority", detail, next)
    })?;
    let life_ms = u64::from(hours).saturating_mul(3_600_000);
    let names = home.config.https.as_ref().map(config::Https::names).unwrap_or_default();
    let made = spiffe::svid(&home.node, home.domain(), &names, comity_runtime::wall_ms(), life_ms)?;
    let presented = chain::pem("CERTIFICATE", &made.leaf) + &chain::pem("CERTIFICATE", &held.node);
    let files = [
        ("svid.pem", presented.into_bytes(), Access::Public),
        ("svid.key", chain::pem("PRIVATE KEY", &made.key).into_bytes(), Access::Secret),
        ("bundle.pem", chain::pem("CERTIFICATE", &held.domain).into_bytes(), Access::Public),
        ("bundle.json", made_under(&home, &held.domain), Access::Public),
    ];
    for (name, bytes, access) in &files {
        files::write(&out.join(name), bytes, *access).map_err(|error| unwritten(&error))?;
    }
    let id = spiffe::id::SpiffeId { domain: home.domain(), node: home.node.public() };
    let document = json!({ "id": id.to_string(), "hours": hours, "directory": out });
    Output { json: cli.json }.show(&document, |document| {
        format!(
            "{}\nfor {hours} h, in {}: svid.pem, svid.key, bundle.pem, bundle.json",
            field(document, "id"),
            field(document, "directory")
        )
    });
    Ok(())
}

/// The bundle of this domain or of a partner, which the node asks over the mesh.
pub(super) fn bundle(cli: &Cli, domain: Option<&str>, out: Option<&Path>, pem: bool) -> Result<(), ServiceError> {
    let context = Context::of(cli)?;
    let known = context.domain()?;
    let domain = domain.map_or(Ok(known.domain), |name| known.resolve(name))?;
    let document: Value = context.client.get(&format!("/api/v1/bundles/{domain}"))?;
    let text = match pem {
        true => {
            bundle::read(document.to_string().as_bytes())?.iter().map(|der| chain::pem("CERTIFICATE", der)).collect()
        }
        false => document.to_string(),
    };
    if let Some(path) = out {
        files::write(path, text.as_bytes(), Access::Public).map_err(|error| unwritten(&error))?;
    }
    context.output.show(&document, |_| match out {
        Some(path) => format!("bundle of {domain}: {}", path.display()),
        None => text,
    });
    Ok(())
}
