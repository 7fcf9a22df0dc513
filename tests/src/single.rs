//! One node of one's own: a domain of one, made and run by the command line.

use super::{PATIENCE, cli::ask, process::Process, wait_for, world};
use comity_node::{
    cli::client::Client,
    home::{Home, load_key},
    signer::Signer,
};
use comity_proto::{
    amount::{AssetCode, AssetId},
    command::Verb,
    ids::DomainId,
};
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU16, Ordering},
};
use tempfile::TempDir;

/// Below every system's range of ports for outgoing connections, which would take one that is free for a moment.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

/// The next port that this process gives out.
static NEXT_PORT: AtomicU16 = AtomicU16::new(PORTS.start);

/// A loopback address that no other process uses: a node that is started again after a while finds its port free. Where
/// there is only 127.0.0.1, that one.
fn own_loopback() -> Ipv4Addr {
    // Process ids have at most 22 bits.
    let own = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() | ((std::process::id() & 0x3f_ffff) << 2));
    if TcpListener::bind((own, 0)).is_ok() { own } else { Ipv4Addr::LOCALHOST }
}

/// Loopback addresses that are free now, all different, and given to nobody else by this process.
///
/// # Panics
/// When there are none.
pub fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let ip = own_loopback();
    let next = || (ip, NEXT_PORT.fetch_add(1, Ordering::Relaxed));
    let free = std::iter::repeat_with(next).take_while(|(_, port)| PORTS.contains(port));
    let free: Vec<SocketAddr> =
        free.filter(|address| TcpListener::bind(address).is_ok()).take(count).map(SocketAddr::from).collect();
    assert_eq!(free.len(), count, "no free ports");
    free
}

/// A node that was started by `comity up`.
pub struct Single {
    /// Its data directory.
    pub dir: PathBuf,
    /// REST address.
    pub http: SocketAddr,
    /// Mesh address.
    pub mesh: SocketAddr,
    /// Its process, while it runs.
    pub process: Option<Process>,
    _temporary: TempDir,
}

impl Single {
    /// Nothing but an empty directory and two free ports.
    ///
    /// # Panics
    /// Without room for a temporary directory.
    pub fn nothing() -> Single {
        world();
        let temporary = tempfile::tempdir().expect("a temporary directory");
        let addresses = free_addresses(2);
        Single {
            dir: temporary.path().join("data"),
            http: addresses[0],
            mesh: addresses[1],
            process: None,
            _temporary: temporary,
        }
    }

    /// A running domain of one.
    pub fn up() -> Single {
        let mut single = Single::nothing();
        single.start(&[]);
        single.wait_until_founded();
        single
    }

    /// A running domain of one with a nickname.
    pub fn named(name: &str) -> Single {
        Single::configured(name, "")
    }

    /// The same, looking at its peers' logs every second.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn witness(name: &str) -> Single {
        let mut single = Single::nothing();
        let (http, mesh) = (single.http.to_string(), single.mesh.to_string());
        ask(&single.dir, &["init", "--domain", name, "--http", &http, "--mesh", &mesh]);
        let config = single.dir.join("config.toml");
        let text = std::fs::read_to_string(&config).expect("a configuration");
        assert!(text.contains("witness_every_s = 10"), "{text}");
        std::fs::write(&config, text.replace("witness_every_s = 10", "witness_every_s = 1")).expect("a file");
        single.start(&[]);
        single.wait_until_founded();
        single
    }

    /// The same, with more lines in front of its configuration.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn configured(name: &str, more: &str) -> Single {
        Single::initialised(&["--domain", name], more)
    }

    /// A running domain of one that issues no money.
    pub fn federated(name: &str) -> Single {
        Single::initialised(&["--domain", name, "--federated"], "")
    }

    fn initialised(flags: &[&str], more: &str) -> Single {
        let mut single = Single::nothing();
        let (http, mesh) = (single.http.to_string(), single.mesh.to_string());
        ask(&single.dir, &[&["init", "--http", &http, "--mesh", &mesh], flags].concat());
        let file = single.dir.join("config.toml");
        let text = std::fs::read_to_string(&file).expect("a configuration");
        std::fs::write(&file, format!("{more}\n{text}")).expect("a configuration");
        single.start(&[]);
        single.wait_until_founded();
        single
    }

    /// `comity up`, with further arguments.
    ///
    /// # Panics
    /// Without room for a log file.
    pub fn start(&mut self, more: &[&str]) {
        let (data, http, mesh) = (self.dir.display().to_string(), self.http.to_string(), self.mesh.to_string());
        let mut args = vec!["--json", "--data", &data, "up", "--http", &http, "--mesh", &mesh];
        args.extend(more);
        self.process = Some(Process::start(&args, &self._temporary.path().join("node.log")));
    }

    /// Waits until it knows a leader and the genesis.
    ///
    /// # Panics
    /// When it ends, or after [`PATIENCE`].
    pub fn wait_until_founded(&mut self) {
        wait_for(&format!("the node at {}", self.http), PATIENCE, || {
            let process = self.process.as_mut().expect("it was started");
            assert!(!process.ended(), "the node ended:\n{}", process.said());
            let token = std::fs::read_to_string(self.dir.join("api.token")).ok()?;
            let api = Client::new(format!("http://{}", self.http), token.trim());
            let status: serde_json::Value = api.get("/api/v1/status").ok()?;
            (status["founded"] == true && !status["leader"].is_null()).then_some(())
        });
    }

    /// Its operator's door.
    pub fn api(&self) -> Client {
        Client::new(format!("http://{}", self.http), self.token("api.token"))
    }

    /// A token of the data directory.
    ///
    /// # Panics
    /// When there is none.
    pub fn token(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.join(name)).expect("a token").trim().to_owned()
    }

    /// Its home, as the node itself would read it.
    ///
    /// # Panics
    /// When it is damaged.
    pub fn home(&self) -> Home {
        Home::load(&self.dir).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Its domain.
    pub fn domain(&self) -> DomainId {
        self.home().domain()
    }

    /// The asset that it issues.
    pub fn asset(&self) -> AssetId {
        AssetId { issuer: self.domain(), code: AssetCode::new("USD").expect("a code") }
    }

    /// Its operator.
    ///
    /// # Panics
    /// On a node that did not found its domain.
    pub fn operator(&self) -> Signer {
        let key = load_key(&self.dir.join("operator.key")).ok().flatten().expect("the operator's key");
        Signer::operator(key, self.domain())
    }

    /// Money into the treasury and the faucet.
    ///
    /// # Panics
    /// When the node refuses.
    pub fn issue(&self, amount: u64) {
        let code = AssetCode::new("USD").expect("a code");
        for verb in [Verb::Issue { code, to: None, amount }, Verb::FundFaucet { amount: amount / 2 }] {
            let batch = self.operator().sign(verb, super::now_ms());
            comity_node::cli::context::submit(&self.api(), &batch).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    /// The data directory in text.
    pub fn data(&self) -> &Path {
        &self.dir
    }
}
