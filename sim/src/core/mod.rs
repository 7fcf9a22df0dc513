//! Core fidelity: real ledgers and the product's real settlement messages over a modelled log and a modelled network.
//!
//! No libp2p, no Raft, no disk: a domain is one ordered log with replicas that apply it in their own time. What is real
//! is all that decides about money, and when a node says what it owes (`comity_node::settle::speech`), and how a leader
//! stamps time (`comity_replica::stamp`). So millions of steps fit into seconds, and small configurations can be walked
//! through whole.
//!
//! | module | what |
//! |---|---|
//! | [`cast`] | who takes part, with their keys |
//! | [`wire`] | settlement messages as bytes |
//! | [`pair`] | what must hold between two ledgers |
//! | [`watch`] | the same, entry by entry, for long runs |
//! | [`random`] | long runs from a seed |
//! | [`exhaustive`] | every reachable state of one or two transfers |
//!
//! Deliberately absent: elections by vote, disks, membership changes, gossip and tasks; the full fidelity has them.

pub mod cast;
pub mod command;
pub mod exhaustive;
pub mod pair;
pub mod random;
pub mod watch;
pub mod wire;
