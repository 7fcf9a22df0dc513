//! What a universe is made of: domains with their secrets, machines with their disks.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use comity_node::{
    config::Config,
    founding::{ASSET_CODE, DomainKeys},
    home::Home,
    node::{Node, raft_id},
    registry::profile::Profile,
};
use comity_proto::{
    amount::{AssetCode, AssetId},
    ids::{DomainId, PublicKey},
    keys::SecretKey,
    roots::RootKey,
};

use crate::{
    disk::FalseDisk,
    world::{HostId, TimeNs},
};

/// A domain of the universe: what its operator holds.
pub struct Domain {
    /// Display name.
    pub name: String,
    /// Its secrets.
    pub keys: DomainKeys,
    /// The roster that it was founded with.
    pub roster: Bytes,
    /// Its hosts, the founding one first.
    pub hosts: Vec<HostId>,
}

impl Domain {
    /// Its id.
    pub fn id(&self) -> DomainId {
        self.keys.domain()
    }

    /// Its own money.
    pub fn asset(&self) -> AssetId {
        // A constant of three capital letters.
        AssetId { issuer: self.id(), code: AssetCode::new(ASSET_CODE).expect("the code is one") }
    }
}

/// One machine.
pub struct Machine {
    /// Its number.
    pub host: HostId,
    /// Which domain it belongs to.
    pub domain: usize,
    /// Its node's key; another one after it joined again, or after a rotation.
    pub key: SecretKey,
    /// The key that names its node's place: another one only after it joined again.
    pub place: PublicKey,
    /// Its disk, which outlives its node.
    pub disk: FalseDisk,
    pub(super) seed: HomeSeed,
    /// The running node, while it is up.
    pub node: Option<Arc<Node>>,
    /// How often it was started.
    pub boots: u64,
    /// Whether its supervisor starts it again when it ends by itself.
    pub is_wanted: bool,
    /// Whether an operator has it in hand: nobody else switches it on.
    pub is_in_repair: bool,
    /// Counts starts and ends: what was planned for an earlier life does not happen to a later one.
    pub life: u64,
    /// Whether an older copy stands in for its disk, while its operator has not found the newest.
    pub is_older: bool,
    /// When its disk was exchanged last for an older or the newest one, universe time.
    pub exchanged: Option<TimeNs>,
    /// Why its node did not start or ended by itself, the last time that it did.
    pub trouble: Option<String>,
}

impl Machine {
    /// Raft's number for its node.
    pub fn raft_id(&self) -> u64 {
        raft_id(&self.place)
    }
}

/// What a machine's data directory holds besides the ledger's disk.
pub(super) struct HomeSeed {
    pub(super) config: Config,
    pub(super) certificate: Bytes,
    pub(super) roster: Bytes,
    pub(super) domain_key: PublicKey,
    pub(super) founding: Option<(Bytes, RootKey, SecretKey)>,
    pub(super) revocations: Option<Bytes>,
}

impl HomeSeed {
    pub(super) fn home(&self, host: HostId, key: &SecretKey, place: PublicKey) -> Home {
        let founding = self.founding.as_ref();
        Home {
            dir: directory(host),
            config: self.config.clone(),
            node: key.clone(),
            place,
            certificate: self.certificate.clone(),
            domain_key: self.domain_key,
            roster: self.roster.clone(),
            genesis: founding.map(|(genesis, ..)| genesis.clone()),
            domain_keys: founding
                .map(|(_, root, operator)| DomainKeys { root: root.clone(), operator: operator.clone() }),
            sealed_root: None,
            operator_token: "operator".to_owned(),
            admission_token: "admission".to_owned(),
            revocations: self.revocations.clone(),
            profile: Profile::default(),
        }
    }
}

/// The name of a machine's data directory; nothing is ever written there.
pub(super) fn directory(host: HostId) -> PathBuf {
    PathBuf::from(format!("/host-{host}"))
}
