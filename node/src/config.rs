//! What a node is told in its data directory's `config.toml`. Unknown keys are refused by name.

use crate::service::error::ServiceError;
use comity_proto::ids::{AgentId, DomainId};
use serde::{Deserialize, Serialize};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Where the REST API listens unless told otherwise.
pub const HTTP_DEFAULT: &str = "127.0.0.1:7400";
/// Where the mesh listens unless told otherwise.
pub const MESH_DEFAULT: &str = "127.0.0.1:7401";
/// The file's name inside the data directory.
pub const CONFIG_FILE: &str = "config.toml";

/// One node's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Nickname of the domain; display only, the id is the hash of its key.
    pub domain: String,
    /// REST address.
    pub http: SocketAddr,
    /// Mesh address.
    pub mesh: SocketAddr,
    /// Mesh addresses of other nodes to greet first, `host:port`.
    #[serde(default)]
    pub bootstrap: Vec<String>,
    /// Find other nodes on the local network by multicast; off by default, it is not authenticated.
    #[serde(default)]
    pub mdns: bool,
    /// Timing of the consensus; the defaults suit a LAN and a busy laptop.
    #[serde(default)]
    pub raft: RaftTiming,
    /// Sizes of the log; the defaults suit everybody who does not measure otherwise.
    #[serde(default, skip_serializing_if = "LogSizes::is_default")]
    pub log: LogSizes,
    /// Holds incoming votes back for so long before they are handled; 0 except to demonstrate recovery.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hold_votes_ms: u64,
    /// Seconds between two looks at each peer's checkpoint; 0 looks never.
    #[serde(default = "witness_default")]
    pub witness_every_s: u64,
    /// Whether transfers to a peer are refused while it and this domain disagree about each other.
    #[serde(default = "yes")]
    pub drift_quarantine: bool,
    /// Seconds after which the domain card is signed again for its figures; 0 makes no card.
    #[serde(default = "card_default")]
    pub card_every_s: u64,
    /// Minor units that an agent whose key this node keeps may spend in a day (UTC), when it came with the admission token.
    #[serde(default = "custody_default", skip_serializing_if = "is_custody_default")]
    pub custody_per_day: u64,
    /// The agent of this domain that rules disputes of escrows made through A2A-SE, whose clients cannot name one; without
    /// it such a dispute goes back to the payer after an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange_arbiter: Option<AgentId>,
    /// Names by which clients call this node's door, `host` or `host:port`, besides its own address and localhost: a
    /// request under another name is refused, because it may be a page in somebody's browser.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub door_names: Vec<String>,
    /// Hosts inside this node's network, `host` or `host:port`, to which webhooks may point; others are refused there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub webhook_hosts: Vec<String>,
    /// Hosts inside this node's network, `host` or `host:port`, where agents may have A2A servers of their own; others are
    /// refused there, unless the operator names one itself (`comity endpoint set`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoint_hosts: Vec<String>,
    /// Domains whose gateways this node hears: it takes cards and words of others through them, and sends words to others.
    /// They read what they pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<DomainId>,
    /// The HTTPS door; without it there is the one for this machine alone (`http`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<Https>,
    /// Pairs of other domains between which this node is the gateway of two meshes; with any, it tells nobody of one domain
    /// about another one but for these pairs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bridge: Vec<BridgeRule>,
    /// The voters with which the domain is founded; empty for a domain of one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub founders: Vec<Founder>,
}

/// The heartbeat of checkpoints while a log is quiet.
const WITNESS_EVERY_S: u64 = 10;

const fn yes() -> bool {
    true
}

fn witness_default() -> u64 {
    WITNESS_EVERY_S
}

/// Every edition goes to the whole mesh: the figures on it say how old they are.
const CARD_EVERY_S: u64 = 600;

const fn card_default() -> u64 {
    CARD_EVERY_S
}

/// 100.00 of an asset with six decimals.
const CUSTODY_PER_DAY: u64 = 100_000_000;

const fn custody_default() -> u64 {
    CUSTODY_PER_DAY
}

fn is_custody_default(value: &u64) -> bool {
    *value == CUSTODY_PER_DAY
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Raft's clock, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RaftTiming {
    /// Between heartbeats; also the deadline of one append.
    pub heartbeat_ms: u64,
    /// Shortest silence before an election.
    pub election_min_ms: u64,
    /// Longest silence before an election.
    pub election_max_ms: u64,
}

impl Default for RaftTiming {
    fn default() -> Self {
        RaftTiming { heartbeat_ms: 250, election_min_ms: 1_500, election_max_ms: 3_000 }
    }
}

/// How much of the log is kept, and when it is replaced by a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSizes {
    /// Bytes reserved per segment, 4 KiB to 1 GiB.
    pub segment_bytes: u64,
    /// A snapshot is made after this many entries.
    pub snapshot_every: u64,
    /// Entries kept behind a snapshot, so that a member that was away briefly needs none.
    pub keep_entries: u64,
}

impl LogSizes {
    fn is_default(&self) -> bool {
        *self == LogSizes::default()
    }
}

impl Default for LogSizes {
    fn default() -> Self {
        LogSizes { segment_bytes: 32 << 20, snapshot_every: 20_000, keep_entries: 5_000 }
    }
}

/// The same API for other machines, over TLS with an X.509-SVID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Https {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Host names and addresses by which clients call it, besides the address itself.
    #[serde(default)]
    pub names: Vec<String>,
    /// How long one SVID holds, seconds; the next one is made at half of it.
    #[serde(default = "svid_life_default")]
    pub svid_life_s: u64,
}

/// What SPIFFE's own server uses by default.
const SVID_LIFE_S: u64 = 3_600;

const fn svid_life_default() -> u64 {
    SVID_LIFE_S
}

impl Https {
    /// Everything by which clients call it.
    pub fn names(&self) -> Vec<String> {
        let ip = self.listen.ip();
        let own = (!ip.is_unspecified()).then(|| ip.to_string());
        let local = ip.is_loopback().then(|| "localhost".to_owned());
        own.into_iter().chain(local).chain(self.names.iter().cloned()).collect()
    }
}

/// What passes through this node: public cards, words of settlement and about treaties, in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeRule {
    /// Ids of two domains that do not reach each other.
    pub between: (DomainId, DomainId),
}

/// Pairs that one gateway may have.
const BRIDGES_MAX: usize = 64;

/// A voter of a new domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Founder {
    /// Node key, `did:key:…`.
    pub key: String,
    /// Mesh address, `host:port`.
    pub mesh: SocketAddr,
}

impl Config {
    /// A domain of one with default timing.
    pub fn alone(domain: &str, http: SocketAddr, mesh: SocketAddr) -> Config {
        Config {
            domain: domain.to_owned(),
            http,
            mesh,
            bootstrap: Vec::new(),
            mdns: false,
            raft: RaftTiming::default(),
            log: LogSizes::default(),
            hold_votes_ms: 0,
            witness_every_s: WITNESS_EVERY_S,
            drift_quarantine: true,
            card_every_s: CARD_EVERY_S,
            custody_per_day: CUSTODY_PER_DAY,
            exchange_arbiter: None,
            door_names: Vec::new(),
            webhook_hosts: Vec::new(),
            endpoint_hosts: Vec::new(),
            gateways: Vec::new(),
            https: None,
            bridge: Vec::new(),
            founders: Vec::new(),
        }
    }

    /// Reads the text of a configuration file.
    ///
    /// # Errors
    /// `bad_config` with line, column and the rule, as the parser words them.
    pub fn parse(text: &str) -> Result<Config, ServiceError> {
        let config: Config = toml::from_str(text).map_err(|error| {
            ServiceError::bad_input("bad_config", format!("{CONFIG_FILE}: {}", error.to_string().trim()))
        })?;
        config.check()
    }

    /// The text of this configuration.
    pub fn to_text(&self) -> String {
        // Plain structures of strings and numbers always serialise.
        toml::to_string_pretty(self).unwrap_or_default()
    }

    fn check(self) -> Result<Config, ServiceError> {
        let raft = self.raft;
        let ordered = raft.heartbeat_ms > 0
            && raft.heartbeat_ms * 3 <= raft.election_min_ms
            && raft.election_min_ms < raft.election_max_ms;
        if !ordered {
            return Err(ServiceError::bad_input(
                "bad_config",
                format!(
                    "{CONFIG_FILE}: [raft] needs heartbeat_ms * 3 <= election_min_ms < election_max_ms, not {}, {}, {}",
                    raft.heartbeat_ms, raft.election_min_ms, raft.election_max_ms
                ),
            ));
        }
        if let Some(https) = self.https.as_ref().filter(|https| !(10..=86_400).contains(&https.svid_life_s)) {
            let rule = format!("[https] needs svid_life_s from 10 to 86400, not {}", https.svid_life_s);
            return Err(ServiceError::bad_input("bad_config", format!("{CONFIG_FILE}: {rule}")));
        }
        let is_no_pair = |rule: &BridgeRule| rule.between.0 == rule.between.1;
        if self.bridge.len() > BRIDGES_MAX || self.bridge.iter().any(is_no_pair) {
            let rule = format!("[[bridge]] needs two different domains in each, and at most {BRIDGES_MAX} of them");
            return Err(ServiceError::bad_input("bad_config", format!("{CONFIG_FILE}: {rule}")));
        }
        if self.gateways.len() > BRIDGES_MAX {
            let rule = format!("gateways may name {BRIDGES_MAX} domains at most");
            return Err(ServiceError::bad_input("bad_config", format!("{CONFIG_FILE}: {rule}")));
        }
        let log = self.log;
        if !(4 << 10..=1 << 30).contains(&log.segment_bytes) || log.snapshot_every == 0 || log.keep_entries == 0 {
            let rule = "[log] needs segment_bytes from 4096 to 1073741824, and snapshot_every and keep_entries above 0";
            return Err(ServiceError::bad_input("bad_config", format!("{CONFIG_FILE}: {rule}, not {log:?}")));
        }
        Ok(self)
    }
}

/// The data directory: the one asked for, or the platform's own.
///
/// # Errors
/// `no_data_directory` when the platform names none.
pub fn data_dir(asked: Option<&Path>) -> Result<PathBuf, ServiceError> {
    if let Some(path) = asked {
        return Ok(path.to_owned());
    }
    directories::ProjectDirs::from("", "", "comity")
        .map(|dirs| dirs.data_dir().to_owned())
        .ok_or_else(|| ServiceError::bad_input("no_data_directory", "this account has no home; name one with --data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone() -> Config {
        Config::alone("acme", HTTP_DEFAULT.parse().unwrap(), MESH_DEFAULT.parse().unwrap())
    }

    #[test]
    fn a_configuration_survives_its_own_text() {
        let config = alone();
        assert_eq!(Config::parse(&config.to_text()).unwrap(), config);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let text = format!("colour = \"red\"\n{}", alone().to_text());
        let error = Config::parse(&text).unwrap_err();
        assert_eq!(error.code, "bad_config");
        assert!(error.detail.contains("line 1") && error.detail.contains("colour"), "{}", error.detail);
    }

    #[test]
    fn a_log_of_impossible_sizes_is_refused() {
        for log in [
            LogSizes { segment_bytes: 4095, ..LogSizes::default() },
            LogSizes { snapshot_every: 0, ..LogSizes::default() },
            LogSizes { keep_entries: 0, ..LogSizes::default() },
        ] {
            let config = Config { log, ..alone() };
            assert_eq!(Config::parse(&config.to_text()).unwrap_err().code, "bad_config", "{log:?}");
        }
        let small = LogSizes { segment_bytes: 4096, snapshot_every: 1, keep_entries: 1 };
        let config = Config { log: small, ..alone() };
        assert_eq!(Config::parse(&config.to_text()).unwrap(), config);
    }

    #[test]
    fn an_https_door_has_names_and_lives_of_certificates_within_bounds() {
        let text = |more: &str| format!("{}\n[https]\nlisten = \"127.0.0.1:7443\"\n{more}", alone().to_text());
        let https = Config::parse(&text("names = [\"acme.example\"]")).unwrap().https.unwrap();
        assert_eq!(https.names(), ["127.0.0.1", "localhost", "acme.example"]);
        let open = Https { listen: "0.0.0.0:7443".parse().unwrap(), ..https };
        assert_eq!(open.names(), ["acme.example"]);
        for life in [9, 86_401] {
            assert_eq!(Config::parse(&text(&format!("svid_life_s = {life}"))).unwrap_err().code, "bad_config");
        }
    }

    #[test]
    fn a_bridge_stands_between_two_different_domains() {
        let (one, other) = (DomainId([1; 32]), DomainId([2; 32]));
        let text = |one, other| format!("{}\n[[bridge]]\nbetween = [\"{one}\", \"{other}\"]\n", alone().to_text());
        let config = Config::parse(&text(one, other)).unwrap();
        assert_eq!(config.bridge, [BridgeRule { between: (one, other) }]);
        assert_eq!(Config::parse(&config.to_text()).unwrap(), config);
        assert_eq!(Config::parse(&text(one, one)).unwrap_err().code, "bad_config");
        let many = Config { bridge: vec![BridgeRule { between: (one, other) }; BRIDGES_MAX + 1], ..alone() };
        assert_eq!(Config::parse(&many.to_text()).unwrap_err().code, "bad_config");
        let chosen = Config { gateways: vec![one; BRIDGES_MAX], ..config };
        assert_eq!(Config::parse(&chosen.to_text()).unwrap(), chosen);
        let many = Config { gateways: vec![one; BRIDGES_MAX + 1], ..chosen };
        assert_eq!(Config::parse(&many.to_text()).unwrap_err().code, "bad_config");
    }

    #[test]
    fn an_election_shorter_than_three_heartbeats_is_refused() {
        let mut config = alone();
        config.raft.election_min_ms = config.raft.heartbeat_ms;
        assert_eq!(Config::parse(&config.to_text()).unwrap_err().code, "bad_config");
    }
}
