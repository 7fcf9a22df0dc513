//! What people and agents do: simulated clients that speak to the nodes as the doors do, and remember every answer.

mod agents;
mod history;
mod setup;
mod traffic;

pub use agents::SimAgent;
pub use history::{Answer, Call, History, Operation};
pub use setup::prepare;
pub use traffic::traffic;
