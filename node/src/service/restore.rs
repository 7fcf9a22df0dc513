//! Backups of the ledger, and what a restored one and its peers still differ in.

use super::{
    books::{name_of, read},
    commands,
    error::{Kind, ServiceError},
    peers, shape,
};
use crate::{
    home::Home,
    keyring::rotation::PLACE,
    node::{Node, raft_id},
    storage::{
        disk::DirDisk,
        files::{self, Access},
        layout::DataDir,
    },
};
use bytes::Bytes;
use comity_ledger::{Ledger, Outcome};
use comity_proto::{
    amount::AssetId,
    command::Verb,
    envelope::Signed as _,
    identity::Roster,
    ids::{DomainId, TransferId},
    text::Reason,
};
use comity_replica::{
    NodeInfo,
    backup::{self, BackupError},
};
use comity_runtime::disk::Disk;
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use utoipa::ToSchema;

/// Where a node keeps its snapshots, below its data directory.
const SNAPSHOTS: &str = "snapshots";

/// What is in a snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct SnapshotView {
    /// Whose ledger.
    pub domain: DomainId,
    /// Display only.
    pub nickname: String,
    /// Under which it was saved.
    pub incarnation: u64,
    /// Of the last entry in it.
    pub log_index: u64,
    /// Ledger time of that entry, ms.
    pub stamp_ms: u64,
    /// Events up to it.
    pub events: u64,
    /// Agents at home.
    pub agents: usize,
    /// Domains that must agree before a restored copy trades.
    pub peers: Vec<String>,
    /// SHA-256 of its canonical form.
    pub digest: String,
}

/// How far a restored ledger and one peer agree.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ReconcileView {
    /// Which peer.
    #[schema(value_type = shape::DomainIdText)]
    pub peer: DomainId,
    /// What this side calls it.
    pub name: String,
    /// Nothing differs.
    pub agreed: bool,
    /// How often it has told everything.
    pub passes: u32,
    /// Transfers that could not be taken over.
    pub differences: Vec<DifferenceView>,
    /// Assets whose figures differ.
    pub unbalanced: Vec<UnbalancedView>,
}

/// One transfer that could not be taken over.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DifferenceView {
    /// Who began it.
    #[schema(value_type = shape::DomainIdText)]
    pub origin: DomainId,
    /// Its id there.
    #[schema(value_type = shape::ShortIdText)]
    pub transfer: TransferId,
    /// Why not: an outcome.
    pub why: &'static str,
}

/// One asset whose figures differ.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct UnbalancedView {
    /// Which.
    #[schema(value_type = Object)]
    pub asset: AssetId,
    /// Minor units that are missing here; with a minus, too many.
    pub short: String,
}

/// Saves the ledger as it stands below the node's data directory; gives the path.
///
/// # Errors
/// `bad_snapshot_name`, `snapshot_exists`, `snapshot_failed`.
pub async fn save(node: &Node, name: Option<&str>) -> Result<(PathBuf, u64), ServiceError> {
    let index = node.replica().read_stale(|ledger, _| ledger.log_index());
    let name = name.map_or_else(|| format!("{index:020}"), str::to_owned);
    let fits = !name.is_empty() && name.len() <= 64;
    if !fits || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_') {
        return Err(ServiceError::bad_input("bad_snapshot_name", "letters, digits, `-` and `_`, at most 64"));
    }
    let path = node.home().dir.join(SNAPSHOTS).join(&name);
    if path.exists() {
        let detail = format!("{} is there already", path.display());
        return Err(ServiceError::new(Kind::Conflict, "snapshot_exists", detail, "choose another name"));
    }
    let disk = DirDisk::open(&path).map_err(|error| failed(&error))?;
    let index = node.replica().save_to(Arc::new(disk)).await.map_err(|error| failed(&error))?;
    Ok((path, index))
}

fn failed(error: &dyn std::fmt::Display) -> ServiceError {
    ServiceError::new(Kind::Internal, "snapshot_failed", error.to_string(), "mend what it names, then try again")
}

fn unreadable(path: &Path, error: &BackupError) -> ServiceError {
    let detail = format!("{}: {error}", path.display());
    ServiceError::new(Kind::BadInput, "bad_snapshot", detail, "name the directory that `comity snapshot save` printed")
}

fn open(path: &Path) -> Result<DirDisk, ServiceError> {
    // Opening a disk makes its directory; a wrong path must not.
    if !path.is_dir() {
        return Err(unreadable(path, &BackupError::Nothing));
    }
    DirDisk::open(path).map_err(|error| unreadable(path, &error.into()))
}

/// What is in a saved snapshot.
///
/// # Errors
/// `bad_snapshot`.
pub fn inspect(path: &Path) -> Result<SnapshotView, ServiceError> {
    let ledger = backup::read(&open(path)?).map_err(|error| unreadable(path, &error))?;
    view(path, &ledger)
}

fn view(path: &Path, ledger: &Ledger) -> Result<SnapshotView, ServiceError> {
    let domain = ledger.domain().ok_or_else(|| unreadable(path, &BackupError::Nothing))?;
    let agreed = ledger.treaties().filter(|treaty| treaty.agreed.is_some());
    Ok(SnapshotView {
        domain: domain.id,
        nickname: domain.nickname.to_string(),
        incarnation: domain.incarnation,
        log_index: ledger.log_index(),
        stamp_ms: ledger.stamp_ms(),
        events: ledger.event_count(),
        agents: ledger.agents().count(),
        peers: agreed.map(|treaty| treaty.nickname.to_string()).collect(),
        digest: ledger.digest().to_string(),
    })
}

/// A restored domain as its only node begins with it.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What is in it, under the next incarnation.
    pub view: SnapshotView,
    /// The next roster: this node alone.
    pub roster: Bytes,
}

/// Writes a snapshot to the disk that `to` opens, which is empty: the next incarnation of the domain of `home`, a roster of
/// its node alone, and fenced. Nothing is opened before everything else was judged.
///
/// # Errors
/// `bad_snapshot`, `snapshot_of_another_domain`, `no_domain_key`, `root_key_sealed`, `snapshot_failed`, or those of `to`.
pub fn restore_onto<D: Disk>(
    home: &Home,
    (path, from): (&Path, &dyn Disk),
    now_ms: u64,
    to: impl FnOnce() -> Result<D, ServiceError>,
) -> Result<Restored, ServiceError> {
    let ledger = backup::read(from).map_err(|error| unreadable(path, &error))?;
    let before = view(path, &ledger)?;
    if before.domain != home.domain() {
        let detail = format!("the snapshot is of {} and this node of {}", before.domain, home.domain());
        let next = "name the data directory of a node of that domain with --data";
        return Err(ServiceError::new(Kind::Refused, "snapshot_of_another_domain", detail, next));
    }
    let keys = home.domain_keys.as_ref().ok_or_else(|| home.no_root_key("sign the roster of a restored domain"))?;
    let to = to()?;
    let known = ledger.domain().map_or((0, 0), |domain| (domain.incarnation, domain.roster_epoch));
    // Higher than whatever the lost log reached: it counted by ones, and these count seconds.
    let above = |known: u64| known.saturating_add(1).max(now_ms / 1_000);
    let (incarnation, epoch) = (above(known.0), above(known.1));
    let roster = keys.roster(epoch, &[home.node.public()]);
    let signed = Roster::open(&roster).map_err(|reject| failed(&reject))?;
    let key = home.node.public();
    let info = NodeInfo { key, addresses: vec![crate::address::of_socket(home.config.mesh).to_string()] };
    backup::restore(from, &to, (raft_id(&key), info), |ledger| ledger.restored(incarnation, &signed))
        .map_err(|error| failed(&error))?;
    Ok(Restored { view: SnapshotView { incarnation, ..before }, roster })
}

/// Puts a snapshot in the place of the ledger in a data directory whose node does not run; see [`restore_onto`]. What was
/// there is kept beside it.
///
/// # Errors
/// Those of [`restore_onto`], `data_directory_unusable`.
pub fn restore(home: &Home, path: &Path, now_ms: u64) -> Result<(SnapshotView, PathBuf), ServiceError> {
    let from = open(path)?;
    let mut opened = None;
    let restored = restore_onto(home, (path, &from), now_ms, || {
        let data = DataDir::open(&home.dir).map_err(|error| {
            let next = "stop the node first, or name another directory with --data";
            ServiceError::new(Kind::Conflict, "data_directory_unusable", error.to_string(), next)
        })?;
        let to = data.next_ledger_disk().map_err(|error| failed(&error))?;
        opened = Some(data);
        Ok(to)
    })?;
    let kept = format!("ledger.before-{}", restored.view.incarnation);
    if let Some(data) = opened {
        data.replace_ledger(&kept).map_err(|error| failed(&error))?;
    }
    // The only voter there is begins with the key that it has now.
    let place = home.dir.join(PLACE);
    if files::read(&place).map_err(|error| failed(&error))?.is_some() {
        files::remove(&place).map_err(|error| failed(&error))?;
    }
    files::write(&home.dir.join("roster"), &restored.roster, Access::Public).map_err(|error| failed(&error))?;
    Ok((restored.view, home.dir.join(kept)))
}

/// What each peer still differs in; empty without a fence.
///
/// # Errors
/// No majority.
pub async fn reconciliation(node: &Node) -> Result<(bool, Vec<ReconcileView>), ServiceError> {
    read(node, |ledger| {
        let of = |(peer, state): (DomainId, comity_ledger::settlement::Reconciling)| {
            let differences = state.differences.iter().map(|((origin, transfer), why)| DifferenceView {
                origin: *origin,
                transfer: *transfer,
                why: why.name(),
            });
            let unbalanced = if state.passes == 0 { Vec::new() } else { ledger.unbalanced(&peer, &state.figures) };
            let unbalanced =
                unbalanced.into_iter().map(|line| UnbalancedView { asset: line.asset, short: line.short.to_string() });
            ReconcileView {
                peer,
                name: name_of(ledger, &peer),
                agreed: state.agreed,
                passes: state.passes,
                differences: differences.collect(),
                unbalanced: unbalanced.collect(),
            }
        };
        (ledger.is_fenced(), ledger.reconciliation().into_iter().map(of).collect())
    })
    .await
}

/// The operator takes upon the treasury what no evidence settles with a peer.
///
/// # Errors
/// `bad_text`, `no_domain_key`, or what the ledger refuses.
pub async fn settle(node: &Node, peer: DomainId, reason: &str) -> Result<Outcome, ServiceError> {
    let reason = Reason::new(reason)
        .map_err(|_| ServiceError::bad_input("bad_text", "the reason is too long or holds control characters"))?;
    let operator = peers::operator(node)?;
    let batch = operator.sign(Verb::SettleBooks { peer, reason }, comity_runtime::wall_ms());
    let done = commands::submit(node, batch.envelope, &batch.request_id.to_string()).await?;
    Ok(done.results.first().map_or(Outcome::Malformed, |(_, outcome)| *outcome))
}
