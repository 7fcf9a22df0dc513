//! What most commands need: the node's API, the domain that it belongs to, the local keys.

use super::{args::Cli, client::Client, output::Output};
use crate::{
    config::{self, CONFIG_FILE, Config},
    home,
    service::error::{Kind, ServiceError},
    signer::{SignedBatch, Signer},
    spiffe,
    storage::files,
    wallet::Wallet,
};
use comity_proto::{
    amount::{AssetCode, AssetId, format_amount, parse_amount},
    command::{Party, Verb},
    ids::{AgentId, DomainId, PublicKey},
};
use data_encoding::BASE64;
use rustls::pki_types::CertificateDer;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A command's surroundings.
pub struct Context {
    /// How to print.
    pub output: Output,
    /// The data directory.
    pub data: PathBuf,
    /// The node.
    pub client: Client,
    /// Local keys.
    pub wallet: Wallet,
}

/// `GET /api/v1/domain`.
#[derive(Clone, Debug, Deserialize)]
pub struct DomainView {
    /// Its id.
    pub domain: DomainId,
    /// Its root key.
    pub key: PublicKey,
    /// Display only.
    pub nickname: String,
    /// Code of its own first asset.
    pub asset: AssetCode,
    /// Decimals of it.
    pub scale: u8,
    /// Domains that it has a treaty with.
    pub peers: Vec<PeerName>,
}

/// A peer's nickname on this side.
#[derive(Clone, Debug, Deserialize)]
pub struct PeerName {
    /// Its id.
    pub domain: DomainId,
    /// Display only.
    pub nickname: String,
}

impl DomainView {
    /// The asset that amounts on the command line are in.
    pub fn native(&self) -> AssetId {
        AssetId { issuer: self.domain, code: self.asset }
    }

    /// `1.50` to minor units.
    ///
    /// # Errors
    /// `bad_amount` with the reason.
    pub fn amount(&self, text: &str) -> Result<u64, ServiceError> {
        parse_amount(text, self.scale)
            .map_err(|error| ServiceError::bad_input("bad_amount", format!("`{text}`: {error}")))
    }

    /// Minor units, as they stand in JSON, to `1.50`.
    pub fn show(&self, minor: &str) -> String {
        minor.parse().map_or_else(|_| minor.to_owned(), |minor| format_amount(minor, self.scale))
    }

    /// A peer or this domain by nickname or id.
    ///
    /// # Errors
    /// `unknown_domain`.
    pub fn resolve(&self, name: &str) -> Result<DomainId, ServiceError> {
        if name == self.nickname {
            return Ok(self.domain);
        }
        let named = self.peers.iter().find(|peer| peer.nickname == name).map(|peer| peer.domain);
        named.or_else(|| name.parse().ok()).ok_or_else(|| ServiceError::not_found("domain", name))
    }
}

impl Context {
    /// From the command line and the data directory.
    ///
    /// # Errors
    /// `no_node_here` when neither `--api` nor a data directory names a node.
    pub fn of(cli: &Cli) -> Result<Context, ServiceError> {
        let data = config::data_dir(cli.data.as_deref())?;
        let base = match &cli.api {
            Some(url) => url.clone(),
            None => format!("http://{}", configured(&data)?.http),
        };
        let token = match std::env::var("COMITY_TOKEN") {
            Ok(token) => token,
            Err(_) => home::operator_token(&data)?,
        };
        let client = match base.starts_with("https://") {
            true => Client::secure(base, token, &authorities(cli.bundle.as_deref(), &data)?),
            false => Client::new(base, token),
        };
        Ok(Context { output: Output { json: cli.json }, client, wallet: Wallet::of(&data), data })
    }

    /// The domain behind the node.
    ///
    /// # Errors
    /// `node_unreachable`.
    pub fn domain(&self) -> Result<DomainView, ServiceError> {
        self.client.get("/api/v1/domain")
    }

    /// Signs as the operator of this data directory.
    ///
    /// # Errors
    /// `no_operator_key` on a node that did not found its domain.
    pub fn operator(&self, domain: &DomainView) -> Result<Signer, ServiceError> {
        let key = home::load_key(&self.data.join("operator.key"))?.ok_or_else(|| {
            ServiceError::new(
                Kind::Forbidden,
                "no_operator_key",
                format!("{} does not hold the operator's key", self.data.display()),
                "run this on the node that founded the domain",
            )
        })?;
        Ok(Signer::operator(key, domain.domain))
    }

    /// Signs a verb and sends it until there is an answer, always with the same request id.
    ///
    /// # Errors
    /// The node's refusal.
    pub fn submit(&self, signer: &Signer, verb: Verb) -> Result<Value, ServiceError> {
        let batch = signer.sign(verb, comity_runtime::wall_ms());
        submit(&self.client, &batch)
    }

    /// Who an agent argument names: a local key, an id, a unique prefix, a name, or `AGENT@DOMAIN`.
    ///
    /// # Errors
    /// `unknown_agent`, `unknown_domain`.
    pub fn party(&self, domain: &DomainView, text: &str) -> Result<Party, ServiceError> {
        if let Some((agent, at)) = text.rsplit_once('@') {
            let home = domain.resolve(at)?;
            let agent = agent.parse().map_err(|_| ServiceError::not_found("agent", agent))?;
            return Ok(Party { domain: home, agent });
        }
        Ok(Party { domain: domain.domain, agent: self.agent(text)? })
    }

    /// A local agent's id: key name, full id, prefix or registered name.
    ///
    /// # Errors
    /// `unknown_agent`.
    pub fn agent(&self, text: &str) -> Result<AgentId, ServiceError> {
        if let Some(id) = self.wallet.id(text)? {
            return Ok(id);
        }
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let found: Value = self.client.get(&format!("/api/v1/agents/{text}"))?;
        let id = found.get("agent").and_then(Value::as_str).and_then(|id| id.parse().ok());
        id.ok_or_else(|| ServiceError::not_found("agent", text))
    }
}

/// Sends a signed batch; repeats it with the same id while the outcome is unknown.
///
/// # Errors
/// The node's refusal; a refusal of one of several commands stands in the answer instead.
pub fn submit(client: &Client, batch: &SignedBatch) -> Result<Value, ServiceError> {
    let body = json!({ "envelope": BASE64.encode(&batch.envelope) });
    let key = batch.request_id.to_string();
    let mut tries = 0;
    loop {
        let answer = client.post_with_key("/api/v1/commands", &body, Some(&key));
        match answer {
            Err(error) if matches!(error.kind, Kind::Unavailable | Kind::Unknown | Kind::Busy) && tries < 4 => {
                crate::dev::processes::pause(std::time::Duration::from_millis(250 << tries));
                tries += 1;
            }
            other => return other,
        }
    }
}

/// The authorities of which an HTTPS door must prove itself under one: of the bundle that was named, else of the domain
/// whose node lives in this data directory.
fn authorities(bundle: Option<&Path>, data: &Path) -> Result<Vec<CertificateDer<'static>>, ServiceError> {
    let unknown = |detail: String| {
        let next = "name its bundle with --bundle: comity keyring bundle makes one at a node of that domain";
        ServiceError::new(Kind::BadInput, "bundle_missing", detail, next)
    };
    let read = |path: &Path| files::read(path).map_err(|error| unknown(error.to_string()));
    if let Some(path) = bundle {
        let bytes = read(path)?.ok_or_else(|| unknown(format!("there is no file {}", path.display())))?;
        return spiffe::bundle::read(&bytes);
    }
    let path = data.join(spiffe::CHAIN_FILE);
    let chain = read(&path)?.and_then(|text| spiffe::chain::Chain::parse(&text));
    chain.map(|chain| vec![chain.domain]).ok_or_else(|| unknown(format!("no authority in {}", path.display())))
}

fn configured(data: &Path) -> Result<Config, ServiceError> {
    let text = files::read(&data.join(CONFIG_FILE)).ok().flatten().ok_or_else(|| {
        ServiceError::new(
            Kind::NotFound,
            "no_node_here",
            format!("{} holds no node", data.display()),
            "start one with `comity up`, or name one with --api URL",
        )
    })?;
    Config::parse(&String::from_utf8_lossy(&text))
}
