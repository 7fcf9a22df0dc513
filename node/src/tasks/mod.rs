//! Tasks between agents: a request goes from a local agent through both nodes to a remote one, events stream back.
//!
//! ```text
//! orchestrator -- REST --> give -- task stream --> serve -- REST long poll --> worker
//!              <-- events --        <-- events --        <-- events --
//! ```
//! A task is kept in memory at both ends, its request on every node of the giver's domain (`spread`), and it is the same
//! task under the same id: a broken stream goes on where it broke, and any node of the giver's domain can follow it from
//! its beginning. A lost node of the payee costs a repetition of the work, never money: the money waits in the escrow,
//! whose deadline runs in the payer's ledger.
//!
//! Deliberately absent: durable task state and any look into the body.

pub mod desk;
pub mod endpoint;
pub mod give;
pub mod serve;
pub mod spread;
