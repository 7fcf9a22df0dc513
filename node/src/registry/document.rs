//! The members of a registry card, and how a node makes one from its ledger and its operator's words.
//!
//! | member | what | part of the version |
//! |---|---|---|
//! | `schema`, `domain`, `key`, `nickname` | which form, and who | yes |
//! | `policy`, `policy_hash`, `fees` | the rules in force | yes |
//! | `capabilities`, `endpoints` | what it does, and where | yes |
//! | `parent` | the domain that this one stands under, null where it is its own; its treaty says so | yes |
//! | `operator`, `peers` | what the operator chose to say | yes |
//! | `supply` | per asset; null where the figure is not this domain's to know | |
//! | `checkpoint` | head of the event log, signed; null where this node may not sign one | |
//! | `revocations` | node certificates taken back: a list signed by the root key, null while there is none | |
//! | `roster`, `sequence`, `issued_at_ms`, `expires_at_ms` | of this edition | |
//! | `version`, `signatures` | hash of the above, and the proof | |

use super::{json::canonical, profile::Profile};
use crate::node::Node;
use comity_ledger::Ledger;
use comity_proto::{
    envelope::Signed as _,
    ids::Hash,
    jws,
    keys::SecretKey,
    planted::{Plant, planted},
    policy::Policy,
};
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Form of the document.
pub const SCHEMA: &str = "comity/registry-card/1";
/// What the version does not cover.
pub const MOVING: [&str; 9] = [
    "supply",
    "checkpoint",
    "roster",
    "revocations",
    "sequence",
    "issued_at_ms",
    "expires_at_ms",
    "version",
    "signatures",
];
/// What every node of this program does for other domains.
const CAPABILITIES: [&str; 6] =
    ["escrow", "transfer.two-phase", "treaty", "task.relay", "audit.checkpoint", "audit.cosignature"];
/// Assets with figures; what is more is counted.
const ASSETS_SHOWN: usize = 16;

/// The policy in JSON: amounts are strings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "twins of the fields of comity_proto::policy::Policy")]
pub struct PolicyView {
    pub version: u64,
    pub escrow_fee_bps: u16,
    pub transfer_fee_bps: u16,
    pub referral_level1_bps: u16,
    pub referral_level2_bps: u16,
    pub faucet_grant: String,
    pub faucet_claims_per_hour: u32,
    pub faucet_claims_per_token: u32,
    pub faucet_stays_home: bool,
    pub name_fee_per_year: String,
    pub dispute_bond: String,
    pub decide_within_ms: u64,
}

impl From<&Policy> for PolicyView {
    fn from(policy: &Policy) -> PolicyView {
        PolicyView {
            version: policy.version,
            escrow_fee_bps: policy.escrow_fee_bps,
            transfer_fee_bps: policy.transfer_fee_bps,
            referral_level1_bps: policy.referral_level1_bps,
            referral_level2_bps: policy.referral_level2_bps,
            faucet_grant: policy.faucet_grant.to_string(),
            faucet_claims_per_hour: policy.faucet_claims_per_hour,
            faucet_claims_per_token: policy.faucet_claims_per_token,
            faucet_stays_home: policy.faucet_stays_home,
            name_fee_per_year: policy.name_fee_per_year.to_string(),
            dispute_bond: policy.dispute_bond.to_string(),
            decide_within_ms: policy.decide_within_ms,
        }
    }
}

impl PolicyView {
    /// The policy, to compute its hash; `None` when an amount is no number.
    pub fn policy(&self) -> Option<Policy> {
        Some(Policy {
            version: self.version,
            escrow_fee_bps: self.escrow_fee_bps,
            transfer_fee_bps: self.transfer_fee_bps,
            referral_level1_bps: self.referral_level1_bps,
            referral_level2_bps: self.referral_level2_bps,
            faucet_grant: self.faucet_grant.parse().ok()?,
            faucet_claims_per_hour: self.faucet_claims_per_hour,
            faucet_claims_per_token: self.faucet_claims_per_token,
            faucet_stays_home: self.faucet_stays_home,
            name_fee_per_year: self.name_fee_per_year.parse().ok()?,
            dispute_bond: self.dispute_bond.parse().ok()?,
            decide_within_ms: self.decide_within_ms,
        })
    }
}

/// Hash over everything that only the operator moves, in hex.
pub fn version_of(document: &Value) -> String {
    let mut stable = document.clone();
    if let Some(members) = stable.as_object_mut() {
        members.retain(|name, _| !MOVING.contains(&name.as_str()));
    }
    HEXLOWER.encode(&Hash::of_parts("comity/v1/registry-card-version", &[&canonical(&stable)]).0)
}

/// What the operator decides, with its version; `None` before the genesis, and while a node that just started does not know
/// who its members are: a card without addresses would be another version, and every poll of it a full answer.
pub(super) fn stable(node: &Node, profile: &Profile) -> Option<Value> {
    let addresses = mesh_addresses(node);
    if addresses.is_empty() {
        return None;
    }
    node.replica().read_stale(|ledger, _| {
        let domain = ledger.domain()?;
        let policy = ledger.policy_in_force()?;
        let peers = profile.peers.iter().filter_map(|peer| {
            let treaty = ledger.treaty(peer)?;
            treaty.is_bound().then(|| json!({ "domain": peer, "nickname": treaty.nickname.as_str() }))
        });
        let mut document = json!({
            "schema": SCHEMA, "domain": domain.id, "key": domain.key, "nickname": domain.nickname.as_str(),
            "policy": PolicyView::from(policy), "policy_hash": policy.digest(),
            "fees": { "escrow_bps": policy.escrow_fee_bps, "transfer_bps": policy.transfer_fee_bps },
            "capabilities": CAPABILITIES,
            "endpoints": { "mesh": addresses, "api": profile.endpoints },
            "operator": {
                "edition": profile.edition, "contact": profile.contact, "latitude": profile.latitude,
                "longitude": profile.longitude, "external_auditor_endpoint": profile.external_auditor_endpoint,
            },
            "peers": peers.collect::<Vec<_>>(), "parent": ledger.parent().map(|(parent, _)| parent),
        });
        document["version"] = version_of(&document).into();
        Some(document)
    })
}

/// Where the domain's nodes listen, as its consensus knows them; in order, so that all nodes say the same.
fn mesh_addresses(node: &Node) -> Vec<String> {
    let status = node.replica().status();
    let members = status.voters.into_iter().chain(status.learners);
    let mut addresses: Vec<String> = members.flat_map(|member| member.info.addresses).collect();
    addresses.sort();
    addresses.dedup();
    addresses.truncate(super::profile::ADDRESSES_MAX);
    addresses
}

/// The same with this moment's figures, signed by this node.
pub(super) fn finished(
    node: &Node,
    stable: &Value,
    sequence: u64,
    issued_at_ms: u64,
    expires_at_ms: u64,
) -> Option<Value> {
    let mut document = stable.clone();
    node.replica().read_stale(|ledger, _| {
        document["roster"] = BASE64.encode(&ledger.domain()?.roster).into();
        document["supply"] = supply(ledger);
        document["checkpoint"] = checkpoint(ledger, node.key());
        Some(())
    })?;
    let revocations = node.revoked().lock().list_of(&node.domain());
    document["revocations"] = revocations.map(|list| BASE64.encode(&list)).into();
    document["sequence"] = sequence.into();
    document["issued_at_ms"] = issued_at_ms.into();
    document["expires_at_ms"] = expires_at_ms.into();
    Some(signed(document, node.key()))
}

/// Adds the signature over everything else.
pub fn signed(mut document: Value, key: &SecretKey) -> Value {
    if let Some(members) = document.as_object_mut() {
        members.remove("signatures");
    }
    let jws::Detached { protected, signature } = jws::sign(key, &canonical(&document));
    document["signatures"] = json!([{ "protected": protected, "signature": signature }]);
    document
}

/// A domain that may issue nothing says so, instead of a supply of zero, and, where it stands under another one, whose money
/// it uses.
fn supply(ledger: &Ledger) -> Value {
    let own = |issuer| ledger.is_home(issuer);
    let (mine, theirs): (Vec<_>, Vec<_>) =
        ledger.assets().map(|(_, asset)| asset).partition(|asset| own(&asset.id.issuer));
    let issues = mine.iter().any(|asset| asset.supply_cap.is_none_or(|cap| cap > 0));
    let parent = || ledger.parent().map(|(parent, _)| parent);
    let (standing, issuer) = if issues { ("issuer", None) } else { ("federated", parent()) };
    let count = mine.len().saturating_add(theirs.len());
    let lines = mine.into_iter().chain(theirs).take(ASSETS_SHOWN).map(|asset| {
        let units = ledger.supply_of(&asset.id);
        let units = if planted(Plant::RoundedSupply) { units / 1_000 * 1_000 } else { units }.to_string();
        let (supply, wrapped) = match own(&asset.id.issuer) {
            true => (Some(units).filter(|_| issues), None),
            false => (None, Some(units)),
        };
        json!({
            "code": asset.id.code, "issuer": asset.id.issuer, "scale": asset.scale,
            "supply_cap": asset.supply_cap.map(|cap| cap.to_string()), "supply": supply, "wrapped": wrapped,
        })
    });
    let lines: Vec<Value> = lines.collect();
    let left_out = count.saturating_sub(lines.len());
    json!({ "standing": standing, "issuer": issuer, "as_of_ms": ledger.stamp_ms(), "assets": lines, "assets_left_out": left_out })
}

fn checkpoint(ledger: &Ledger, key: &SecretKey) -> Value {
    let votes = ledger.domain().is_some_and(|domain| domain.voters.contains(&key.public()));
    match ledger.checkpoint().filter(|_| votes) {
        Some(plain) => json!({
            "events": plain.size, "root": plain.root, "stamp_ms": plain.stamp_ms,
            "signed": BASE64.encode(&plain.seal(key)),
        }),
        None => Value::Null,
    }
}
