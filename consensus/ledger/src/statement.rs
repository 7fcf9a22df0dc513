//! What a domain tells a peer about the assets that lie between them, and the equation that two statements must fulfil.
//!
//! ```text
//! at the issuer                         at the holder
//! peer/<holder> + held reserve     =    |issuance/<asset>| + D
//! ```
//! D sums the transfers that are committed and posted on one side only: decided by their origin, still a mere promise at
//! their participant. Both statements name their unfinished transfers, so D is computed from the two, never believed.
//! A figure that a domain cannot know is `None`: nothing is shown as zero when it is unknown.

use crate::{
    account::{AccountKey, AssetIndex},
    settlement::{IncomingState, OutgoingState, across::backing_id, record::Settlement},
    state::Ledger,
};
use alloc::{collections::BTreeMap, vec::Vec};
use comity_proto::{
    amount::AssetId,
    ids::{DomainId, Hash, TransferId},
    settlement::Prepare,
};
use serde::{Deserialize, Serialize};

/// Says which form of statement this is; another one is refused.
pub const STATEMENT_VERSION: u8 = 1;

/// One domain's view of what lies between it and one peer. Signed by a node in context `Statement`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupplyStatement {
    /// [`STATEMENT_VERSION`].
    pub version: u8,
    /// Who speaks.
    pub domain: DomainId,
    /// About whom.
    pub peer: DomainId,
    /// The speaker's incarnation.
    pub incarnation: u64,
    /// Whether the speaker issues anything at all.
    pub standing: Standing,
    /// Events in the speaker's log when this was taken.
    pub log_size: u64,
    /// Merkle root over them.
    pub log_root: Hash,
    /// The speaker's ledger time, ms since the Unix epoch; never compared with another clock.
    pub stamp_ms: u64,
    /// One line per asset issued by either of the two, ascending, each once.
    pub assets: Vec<AssetStatement>,
}

/// Whether a domain issues assets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It does.
    Issuer,
    /// It issues nothing and points to the issuers: its supply is no figure, not zero.
    Federated,
}

/// One asset in a statement. `None` is "not mine to know".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssetStatement {
    /// Which.
    pub asset: AssetId,
    /// Issuer only: all units that exist, minor units.
    #[serde(with = "crate::text_amount::known")]
    pub supply: Option<u64>,
    /// Issuer only: the reserve behind the peer's wrapped units.
    #[serde(with = "crate::text_amount::known")]
    pub reserve: Option<u64>,
    /// Issuer only: reserve held for yes votes to the peer.
    #[serde(with = "crate::text_amount::known")]
    pub held: Option<u64>,
    /// Holder only: wrapped units that exist here.
    #[serde(with = "crate::text_amount::known")]
    pub wrapped: Option<u64>,
    /// Transfers decided commit here and not yet acknowledged by the peer, ascending by id.
    #[serde(with = "crate::text_amount::each")]
    pub committed: Vec<(TransferId, u64)>,
    /// Transfers of the peer that we voted yes on and that are not decided here, ascending by id.
    #[serde(with = "crate::text_amount::each")]
    pub promised: Vec<(TransferId, u64)>,
}

/// Why two statements do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discrepancy {
    /// They are not two views of one pair of domains.
    NotAPair,
    /// One of them is of a version this program does not speak.
    Version,
    /// A closing statement names a transfer that is not posted on both sides.
    Unfinished {
        /// Which asset.
        asset: AssetId,
    },
    /// The issuer knows an asset differently from the holder, or does not state its reserve.
    FigureMissing {
        /// Which asset.
        asset: AssetId,
    },
    /// More wrapped units than reserve: money was made.
    Unbacked {
        /// Which asset.
        asset: AssetId,
        /// Minor units.
        missing: u128,
    },
    /// More reserve than wrapped units and named transfers: money was lost, or the statements were taken while a transfer
    /// was being posted. Ask again; what stays is real.
    Unexplained {
        /// Which asset.
        asset: AssetId,
        /// Reserve and held reserve less wrapped units.
        difference: u128,
        /// What the named transfers account for.
        one_sided: u128,
    },
}

/// Why bytes are no statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatementError {
    /// They do not decode.
    Malformed,
    /// They decode, but are not the one encoding.
    NotCanonical,
    /// Another version.
    UnknownVersion(u8),
}

impl SupplyStatement {
    /// The one encoding: what is signed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Plain fields into memory: cannot fail. Empty bytes would be refused by every reader.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// Reads the one encoding.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StatementError> {
        match bytes.first() {
            Some(&STATEMENT_VERSION) => {}
            Some(other) => return Err(StatementError::UnknownVersion(*other)),
            None => return Err(StatementError::Malformed),
        }
        let statement: SupplyStatement = postcard::from_bytes(bytes).map_err(|_| StatementError::Malformed)?;
        if statement.to_bytes() != bytes {
            return Err(StatementError::NotCanonical);
        }
        Ok(statement)
    }

    /// The line of one asset.
    #[must_use]
    pub fn asset(&self, asset: &AssetId) -> Option<&AssetStatement> {
        self.assets.iter().find(|line| line.asset == *asset)
    }
}

impl Ledger {
    /// What this domain states to and about `peer`; `None` before the genesis.
    pub fn supply_statement(&self, peer: DomainId) -> Option<SupplyStatement> {
        let domain = self.head.domain.as_ref()?;
        let own = |asset: &AssetId| asset.issuer == domain.id;
        let mut lines: BTreeMap<AssetId, AssetStatement> = BTreeMap::new();
        for (position, asset) in self.head.assets.iter().enumerate() {
            let index = AssetIndex(u32::try_from(position).ok()?);
            if own(&asset.id) || asset.id.issuer == peer {
                lines.insert(asset.id, self.asset_line(asset.id, index, peer, own(&asset.id)));
            }
        }
        let standing =
            if self.head.assets.iter().any(|asset| own(&asset.id)) { Standing::Issuer } else { Standing::Federated };
        Some(SupplyStatement {
            version: STATEMENT_VERSION,
            domain: domain.id,
            peer,
            incarnation: domain.incarnation,
            standing,
            log_size: self.head.events.size(),
            log_root: self.head.events.root(),
            stamp_ms: self.head.stamp_ms,
            assets: lines.into_values().collect(),
        })
    }

    fn asset_line(&self, asset: AssetId, index: AssetIndex, peer: DomainId, own: bool) -> AssetStatement {
        let balance = |key: AccountKey| self.accounts.get(&key).copied().unwrap_or(0);
        let issued = balance(AccountKey::issuance(index));
        let promised = promised(&self.settlement, peer, &asset);
        // What an issuer holds for yes votes is what it promised: one account per promise.
        let held = promised.iter().fold(0_u64, |sum, (_, amount)| sum.saturating_add(*amount));
        AssetStatement {
            asset,
            supply: own.then_some(issued),
            reserve: own.then(|| balance(AccountKey::peer(peer, index))),
            held: own.then_some(held),
            wrapped: (!own).then_some(issued),
            committed: committed(&self.settlement, peer, &asset),
            promised,
        }
    }
}

fn sorted(pairs: impl Iterator<Item = (TransferId, u64)>) -> Vec<(TransferId, u64)> {
    pairs.collect::<BTreeMap<_, _>>().into_iter().collect()
}

fn moves(prepare: &Prepare, asset: &AssetId) -> bool {
    prepare.asset == *asset
}

pub(crate) fn committed(settlement: &Settlement, peer: DomainId, asset: &AssetId) -> Vec<(TransferId, u64)> {
    let Some(state) = settlement.peers.get(&peer) else { return Vec::new() };
    let open = state.queues.outgoing_open.iter().filter_map(|(_, id)| settlement.outgoing.get(id));
    let mine = open.filter(|record| record.said(&peer).is_none_or(|said| !said.done));
    let mine = mine.filter(|record| moves(&record.prepare, asset));
    let mine = mine.filter_map(|record| match record.state {
        OutgoingState::Decided { commit: true, .. } => Some((record.prepare.transfer, record.prepare.amount)),
        _ => None,
    });
    // Reserve that moved behind the peer for a third domain's payment, until the peer has minted.
    let backing = state.queues.backing_open.iter().filter_map(|(_, key)| {
        let prepare = settlement.incoming.get(key)?.prepare.as_ref().filter(|prepare| moves(prepare, asset))?;
        Some((backing_id(&key.0, &key.1), prepare.amount))
    });
    sorted(mine.chain(backing))
}

pub(crate) fn promised(settlement: &Settlement, peer: DomainId, asset: &AssetId) -> Vec<(TransferId, u64)> {
    let Some(state) = settlement.peers.get(&peer) else { return Vec::new() };
    let open = state.queues.incoming_open.iter().filter_map(|(_, id)| settlement.incoming.get(&(peer, *id)));
    let theirs = open.filter_map(|record| match (record.state, &record.prepare) {
        (IncomingState::Voted { .. }, Some(prepare)) if moves(prepare, asset) => {
            Some((prepare.transfer, prepare.amount))
        }
        _ => None,
    });
    // What third domains pay to us in the peer's money, until it is minted.
    let across = (asset.issuer == peer).then(|| settlement.peers.iter().filter(|(origin, _)| **origin != peer));
    let across = across.into_iter().flatten().flat_map(|(origin, state)| {
        state.queues.incoming_open.iter().filter_map(|(_, id)| {
            let prepare = settlement.incoming.get(&(*origin, *id))?.prepare.as_ref()?;
            moves(prepare, asset).then(|| (backing_id(origin, id), prepare.amount))
        })
    });
    sorted(theirs.chain(across))
}

/// Committed at their origin and still a promise at their participant.
fn one_sided(origin: &AssetStatement, participant: &AssetStatement) -> u128 {
    let promised: BTreeMap<_, _> = participant.promised.iter().copied().collect();
    let both = origin.committed.iter().filter(|(id, amount)| promised.get(id) == Some(amount));
    both.fold(0, |sum, (_, amount)| sum.saturating_add(u128::from(*amount)))
}

fn named(line: &AssetStatement) -> u128 {
    line.committed.iter().fold(0, |sum, (_, amount)| sum.saturating_add(u128::from(*amount)))
}

/// Checks the supply equation for every asset that either of the two issues.
///
/// Taken at the same moment, two honest statements fulfil it exactly. A transfer that its origin names as committed and
/// that the participant no longer (or not yet) names as promised may count or not: its acknowledgement, or the vote, was
/// under way between the two moments.
pub fn verify_pair(a: &SupplyStatement, b: &SupplyStatement) -> Result<(), Discrepancy> {
    if a.version != STATEMENT_VERSION || b.version != STATEMENT_VERSION {
        return Err(Discrepancy::Version);
    }
    if a.domain != b.peer || b.domain != a.peer || a.domain == b.domain {
        return Err(Discrepancy::NotAPair);
    }
    for (issuer, holder) in [(a, b), (b, a)] {
        for line in &holder.assets {
            // Nobody wraps what the issuer never named.
            if line.asset.issuer == issuer.domain && issuer.asset(&line.asset).is_none() {
                return Err(Discrepancy::FigureMissing { asset: line.asset });
            }
        }
        for line in issuer.assets.iter().filter(|line| line.asset.issuer == issuer.domain) {
            verify_asset(line, holder.asset(&line.asset))?;
        }
    }
    Ok(())
}

/// Checks two statements that were made when nothing was open any more: the equation without D.
pub fn verify_closing(a: &SupplyStatement, b: &SupplyStatement) -> Result<(), Discrepancy> {
    let mut lines = a.assets.iter().chain(&b.assets);
    match lines.find(|line| !(line.committed.is_empty() && line.promised.is_empty())) {
        Some(line) => Err(Discrepancy::Unfinished { asset: line.asset }),
        None => verify_pair(a, b),
    }
}

fn verify_asset(issuer: &AssetStatement, holder: Option<&AssetStatement>) -> Result<(), Discrepancy> {
    let asset = issuer.asset;
    let missing = Discrepancy::FigureMissing { asset };
    let (reserve, held) = issuer.reserve.zip(issuer.held).ok_or(missing)?;
    let wrapped = match holder {
        Some(line) => line.wrapped.ok_or(missing)?,
        // The holder has never seen this asset, so nothing of it can be wrapped there.
        None => 0,
    };
    let backing = u128::from(reserve).saturating_add(u128::from(held));
    let Some(difference) = backing.checked_sub(u128::from(wrapped)) else {
        return Err(Discrepancy::Unbacked { asset, missing: u128::from(wrapped).saturating_sub(backing) });
    };
    let at_least = holder.map_or(0, |holder| one_sided(issuer, holder).saturating_add(one_sided(holder, issuer)));
    let at_most = named(issuer).saturating_add(holder.map_or(0, named));
    if difference < at_least || difference > at_most {
        return Err(Discrepancy::Unexplained { asset, difference, one_sided: at_least });
    }
    Ok(())
}

/// D as both statements name it at one moment: for showing it to people.
#[must_use]
pub fn one_sided_sum(a: &SupplyStatement, b: &SupplyStatement, asset: &AssetId) -> u128 {
    match (a.asset(asset), b.asset(asset)) {
        (Some(a), Some(b)) => one_sided(a, b).saturating_add(one_sided(b, a)),
        _ => 0,
    }
}
