//! What is kept as proof, and what agents say about themselves.

mod bridged;
mod cards_converge;
mod cards_forward;
mod cards_signed;
mod domain_cards;
mod event_rows;
mod exposure;
mod projected;
mod proofs;
mod roots;
mod taken_back;

use super::Oracle;

pub(super) fn all() -> Vec<Box<dyn Oracle>> {
    vec![
        Box::new(roots::Roots::default()),
        event_rows::oracle(),
        proofs::oracle(),
        Box::new(cards_forward::CardsForward::default()),
        Box::new(cards_signed::CardsSigned::default()),
        Box::new(exposure::Exposure::default()),
        Box::new(bridged::Bridged::default()),
        cards_converge::oracle(),
        Box::new(projected::Projected::default()),
        Box::new(domain_cards::DomainCards::default()),
        Box::new(taken_back::TakenBack::default()),
    ]
}
