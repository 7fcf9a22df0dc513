//! Money: nothing appears, nothing vanishes, and it goes where the terms say.

mod backed;
mod double_entry;
mod escrow;
mod escrow_life;
mod escrow_terms;
mod escrow_time;
mod grants;
mod names;
mod once;
mod right_result;
mod shadow;
mod shares;
mod supply;

use super::Oracle;

pub(super) fn all() -> Vec<Box<dyn Oracle>> {
    vec![
        double_entry::oracle(),
        supply::oracle(),
        backed::oracle(),
        Box::new(shadow::Shadow::default()),
        Box::new(once::Once::default()),
        shares::oracle(),
        Box::new(escrow_life::EscrowLife::default()),
        Box::new(escrow_time::EscrowTime::default()),
        Box::new(escrow_terms::EscrowTerms::default()),
        Box::new(right_result::RightResult::default()),
        Box::new(names::Names::default()),
        Box::new(grants::Grants::default()),
    ]
}
