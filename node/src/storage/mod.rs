//! The only code of the node that opens a file.

pub mod audit;
pub mod cards;
pub mod custody;
pub mod delegations;
pub mod disk;
pub mod files;
pub mod kept;
pub mod layout;
pub mod terminal;
