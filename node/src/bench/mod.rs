//! `comity bench`: how fast it is on this machine, next to what a user would pick instead.
//!
//! A closed loop of clients drives the real thing: real signatures, a real disk, every flush waited for. The reference is
//! PostgreSQL doing the same work, measured in turns with ours (ours, theirs, ours, theirs, ..), so that a busy minute of
//! the machine hurts both. Each figure carries the processor time and the flushes it cost and how much of the machine
//! strangers used meanwhile; of several rounds the median one counts.
//!
//! Deliberately absent: figures of other machines, simulated disks, operations without an answer.

mod a2a_se;
mod apart;
mod card;
mod contest;
pub mod cpu;
mod domain;
pub mod driver;
mod escrow;
mod far;
mod idle;
mod isolation;
mod place;
#[cfg(unix)]
pub mod postgres;
pub mod report;
mod rest;
mod revocation;
mod run;
mod settle;
mod transfer;

pub use run::{BenchCommand, BenchFlags, run};

/// Why a bench could not be taken. Nothing of it touches a node's data.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{doing}: {reason}")]
pub struct BenchError {
    doing: String,
    reason: String,
}

impl BenchError {
    /// What was being done, and why it failed or what to do instead.
    pub fn new(doing: impl Into<String>, reason: impl Into<String>) -> BenchError {
        BenchError { doing: doing.into(), reason: reason.into() }
    }
}

impl From<crate::service::error::ServiceError> for BenchError {
    fn from(error: crate::service::error::ServiceError) -> BenchError {
        BenchError::new(error.code, format!("{}; {}", error.detail, error.next))
    }
}
