//! What both sides stated at the end of a treaty, for people.

use super::{books::name_of, shape, view::Minor};
use comity_ledger::{
    Ledger,
    statement::{Discrepancy, SupplyStatement},
    treaty::Treaty,
};
use comity_proto::{
    amount::{AssetCode, AssetId},
    ids::{DomainId, Hash},
    limits::REDEMPTION_MS,
    treaty::TreatyStanding,
};
use serde::Serialize;
use utoipa::ToSchema;

/// How far the two sides of a treaty that ends have come.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ClosingView {
    /// What this domain stated; null while transfers are open here.
    pub ours: Option<StatedView>,
    /// What the peer stated; null while transfers are open there, or its statement is under way.
    pub theirs: Option<StatedView>,
    /// Whether the peer has our statement.
    pub told: bool,
    /// Whether the two fit; null while one is missing.
    pub fits: Option<bool>,
    /// Why they do not fit.
    pub difference: Option<String>,
    /// Paper goes back until then; our ledger time, ms. Null unless the treaty is drained: after a revocation none goes.
    pub redeem_until_ms: Option<u64>,
}

/// One closing statement.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StatedView {
    /// Of the speaker's ledger.
    pub incarnation: u64,
    /// Events of the speaker's log, as of the statement.
    pub log_size: u64,
    /// Merkle root over them.
    #[schema(value_type = shape::HashText)]
    pub log_root: Hash,
    /// What lies between the two.
    pub assets: Vec<StatedAssetView>,
}

/// One asset in it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StatedAssetView {
    /// Code.
    #[schema(value_type = shape::AssetCodeText)]
    pub code: AssetCode,
    /// Who issues it.
    #[schema(value_type = shape::DomainIdText)]
    pub issuer: DomainId,
    /// What people call that domain.
    pub issuer_name: String,
    /// What stands behind wrapped units there; null where the speaker is not the issuer.
    pub reserve: Option<Minor>,
    /// Wrapped units that exist at the speaker; null where it is the issuer.
    pub wrapped: Option<Minor>,
    /// Transfers that are posted on one side only.
    pub unfinished: usize,
}

/// What is known of the end of a treaty; `None` before anybody has stated.
pub(super) fn view(ledger: &Ledger, treaty: &Treaty) -> Option<ClosingView> {
    let closing = &treaty.closing;
    let ours = closing.ours.as_ref().map(|ours| stated(ledger, &ours.statement));
    let theirs = closing.theirs.as_ref().map(|theirs| stated(ledger, &theirs.statement));
    let redeems = treaty.drained_ms.filter(|_| treaty.standing() == TreatyStanding::Draining);
    (ours.is_some() || theirs.is_some()).then(|| ClosingView {
        ours,
        theirs,
        told: closing.ours.as_ref().is_some_and(|ours| !ours.untold),
        fits: closing.fits,
        difference: closing.difference().map(|why| words(ledger, &why)),
        redeem_until_ms: redeems.map(|at| at.saturating_add(REDEMPTION_MS)),
    })
}

fn stated(ledger: &Ledger, statement: &SupplyStatement) -> StatedView {
    let asset = |line: &comity_ledger::statement::AssetStatement| StatedAssetView {
        code: line.asset.code,
        issuer: line.asset.issuer,
        issuer_name: name_of(ledger, &line.asset.issuer),
        reserve: line.reserve.map(|reserve| Minor(reserve.saturating_add(line.held.unwrap_or(0)))),
        wrapped: line.wrapped.map(Minor),
        unfinished: line.committed.len().saturating_add(line.promised.len()),
    };
    StatedView {
        incarnation: statement.incarnation,
        log_size: statement.log_size,
        log_root: statement.log_root,
        assets: statement.assets.iter().map(asset).collect(),
    }
}

/// A difference in words; amounts in minor units.
fn words(ledger: &Ledger, why: &Discrepancy) -> String {
    let named = |asset: &AssetId| format!("{}@{}", asset.code, name_of(ledger, &asset.issuer));
    match why {
        Discrepancy::NotAPair => "they are not about each other".to_owned(),
        Discrepancy::Version => "they are of different versions".to_owned(),
        Discrepancy::Unfinished { asset } => {
            format!("{}: one side names transfers that are not finished", named(asset))
        }
        Discrepancy::FigureMissing { asset } => format!("{}: one side states no figure", named(asset)),
        Discrepancy::Unbacked { asset, missing } => {
            format!("{}: {missing} minor units exist at the holder without reserve", named(asset))
        }
        Discrepancy::Unexplained { asset, difference, .. } => {
            format!("{}: {difference} minor units of reserve have no holder", named(asset))
        }
    }
}
