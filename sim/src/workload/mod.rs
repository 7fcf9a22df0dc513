//! What people and agents do: simulated clients that speak to the nodes as the doors do, and remember every answer.
//!
//! | file | holds |
//! |---|---|
//! | `setup` | treaties, agents, money |
//! | `traffic` | how much happens when; payments |
//! | `escrows`, `cards`, `reads`, `errors` | the other things that clients do |
//! | `auditors` | operators who look at what their nodes witnessed |
//! | `agents` | one client: signs, asks, asks again |
//! | `history` | what was asked and answered |

mod agents;
mod auditors;
mod cards;
mod errors;
mod escrows;
mod history;
mod mood;
mod reads;
mod setup;
mod traffic;

pub use agents::SimAgent;
pub use auditors::auditors;
pub use history::{Answer, Call, History, Operation, Read, ReadAnswer};
pub use mood::Mood;
pub use setup::prepare;
pub use traffic::traffic;
