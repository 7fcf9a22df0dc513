//! How a domain begins: its keys, its first roster, its genesis, and the certificates of its nodes.

use bytes::Bytes;
use comity_proto::{
    amount::{AssetCode, AssetId},
    command::Verb,
    envelope::Signed as _,
    export::{Audience, ExportRule},
    identity::{Genesis, NodeCertificate, Roles, Roster},
    ids::{DomainId, Hash, PublicKey},
    keys::SecretKey,
    limits::{SECOND_MS, SUPPLY_MAX, YEAR_MS},
    policy::Policy,
    reject::Reject,
    roots::RootKey,
    text::{Nickname, Reason},
    treaty::{ExposureCap, TreatyDocument, TreatyParty},
};

/// Code of the asset that every domain starts with.
pub const ASSET_CODE: &str = "USD";
/// Its decimals.
pub const ASSET_SCALE: u8 = 6;
/// How long a node's certificate holds.
const CERTIFICATE_MS: u64 = YEAR_MS;
/// Certificates are valid a little before they were made: clocks of two machines differ.
const CERTIFICATE_BACKDATE_MS: u64 = 3600 * SECOND_MS;

/// A fresh secret key.
pub fn fresh_key() -> SecretKey {
    let mut seed = [0; 32];
    comity_runtime::entropy(&mut seed);
    SecretKey::from_seed(&seed)
}

/// The policy that a domain starts with; fees and shares as the design fixes them.
pub fn first_policy() -> Policy {
    Policy {
        version: 1,
        escrow_fee_bps: 100,
        transfer_fee_bps: 50,
        referral_level1_bps: 1_500,
        referral_level2_bps: 500,
        faucet_grant: 1_000_000,
        faucet_claims_per_hour: 1_000,
        faucet_claims_per_token: 1_000,
        faucet_stays_home: false,
        name_fee_per_year: 1_000_000,
        dispute_bond: 0,
        decide_within_ms: 10 * SECOND_MS,
    }
}

/// What a domain begins with.
pub struct Founding {
    /// Fees and limits.
    pub policy: Policy,
    /// Most that it ever issues of its own asset, minor units; 0: nothing, its agents use the money of others.
    pub supply_cap: u64,
}

impl Founding {
    /// A domain without money of its own.
    pub fn federated() -> Founding {
        Founding { policy: first_policy(), supply_cap: 0 }
    }
}

impl From<Policy> for Founding {
    fn from(policy: Policy) -> Founding {
        Founding { policy, supply_cap: SUPPLY_MAX }
    }
}

/// Those who may sign for a domain as a whole.
pub struct DomainKeys {
    /// Certifies nodes and rosters.
    pub root: RootKey,
    /// Signs the operator's commands.
    pub operator: SecretKey,
}

impl DomainKeys {
    /// Fresh ones.
    pub fn fresh() -> DomainKeys {
        DomainKeys { root: fresh_key().into(), operator: fresh_key() }
    }

    /// The domain's id.
    pub fn domain(&self) -> DomainId {
        self.root.domain()
    }

    /// The envelope that makes a node a member of the domain.
    pub fn certify(&self, node: PublicKey, roles: Roles, serial: u64, now_ms: u64) -> Bytes {
        self.certify_from(node, roles, serial, now_ms, now_ms)
    }

    /// The same, good from a time on that may lie before now.
    pub fn certify_from(&self, node: PublicKey, roles: Roles, serial: u64, from_ms: u64, now_ms: u64) -> Bytes {
        let certificate = NodeCertificate {
            domain: self.domain(),
            node,
            roles,
            not_before_ms: from_ms.saturating_sub(CERTIFICATE_BACKDATE_MS),
            not_after_ms: now_ms.saturating_add(CERTIFICATE_MS),
            serial,
        };
        certificate.seal(&self.root)
    }

    /// The envelope of a roster of voters with one key each; they are put in order.
    pub fn roster(&self, epoch: u64, voters: &[PublicKey]) -> Bytes {
        let mut voters = voters.to_vec();
        voters.sort();
        voters.dedup();
        self.roster_of(epoch, (voters, Vec::new()))
    }

    /// The envelope of a roster of these keys, in order, and whose each is.
    pub fn roster_of(&self, epoch: u64, (voters, seats): (Vec<PublicKey>, Vec<u8>)) -> Bytes {
        Roster { domain: self.domain(), epoch, voters, seats }.seal(&self.root)
    }

    /// The envelope that begins the domain's log.
    ///
    /// # Errors
    /// A nickname that is none.
    pub fn genesis(&self, nickname: &str, roster: Bytes, founding: impl Into<Founding>) -> Result<Bytes, Reject> {
        let Founding { policy, supply_cap } = founding.into();
        let genesis = Genesis {
            domain: self.domain(),
            domain_key: self.root.first(),
            nickname: Nickname::new(nickname)?,
            operator_key: self.operator.public(),
            asset_code: AssetCode::new(ASSET_CODE)?,
            asset_scale: ASSET_SCALE,
            supply_cap,
            policy,
            roster,
            incarnation: 1,
        };
        Ok(genesis.seal(&self.root))
    }
}

/// A domain whose keys are at hand: of a demonstration, a measurement or a simulation.
#[derive(Clone, Copy)]
pub struct KnownDomain<'a> {
    /// Its secrets.
    pub keys: &'a DomainKeys,
    /// What it calls itself.
    pub nickname: &'a str,
    /// Digest of the policy that it was founded with.
    pub policy: Hash,
    /// Envelope of its roster.
    pub roster: &'a Bytes,
}

impl KnownDomain<'_> {
    fn part(&self, other: &KnownDomain<'_>, cap: u64) -> Result<TreatyParty, Reject> {
        let asset = AssetId { issuer: other.keys.domain(), code: AssetCode::new(ASSET_CODE)? };
        let (key, nickname) = (self.keys.root.first(), Nickname::new(self.nickname)?);
        Ok(TreatyParty {
            key,
            nickname,
            caps: vec![ExposureCap { asset, cap, majority_above: None }],
            policy: self.policy,
        })
    }

    /// How its operator lets the agents of `peer` and its own see and hire each other.
    ///
    /// # Errors
    /// A reason that is none.
    pub fn admits(&self, peer: &KnownDomain<'_>) -> Result<Verb, Reject> {
        let rule = ExportRule::all(Audience::Peer(peer.keys.domain()));
        Ok(Verb::ChangeExport { rule, withdrawn: false, reason: Reason::new("they work together")? })
    }

    /// The first treaty with `peer`, signed by both, as this side brings it into its ledger. Each accepts so much of the
    /// other's first asset.
    ///
    /// # Errors
    /// A nickname that is none.
    pub fn treaty_with(&self, peer: &KnownDomain<'_>, cap: u64) -> Result<Verb, Reject> {
        let document = TreatyDocument::between(self.part(peer, cap)?, peer.part(self, cap)?, None);
        Ok(Verb::ApproveTreaty {
            document: document.seal(&self.keys.root),
            countersigned: document.seal(&peer.keys.root),
            roster: peer.roster.clone(),
        })
    }
}
