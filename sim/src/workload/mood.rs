//! How people are disposed: what faults of load change while a run goes on.

/// How people are disposed now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mood {
    /// Times the scenario's rate of operations.
    pub rate: f64,
    /// Everybody pays the first agent of the other domain.
    pub is_hot: bool,
    /// Nobody asks for anything.
    pub is_idle: bool,
    /// Agents do not answer: nothing is accepted, submitted, released or ruled.
    pub is_silent: bool,
}

impl Default for Mood {
    fn default() -> Self {
        Mood { rate: 1.0, is_hot: false, is_idle: false, is_silent: false }
    }
}
