//! How a neighbour is watched: pinged when it is quiet, asked for through others when it does not answer.

/// Where the watching of a neighbour stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It is well, or has just connected; looked at again at this time.
    Idle { due_ms: u64 },
    /// A ping is under way.
    Pinged,
    /// Helpers were asked; so many have not said anything yet, and so many did not answer us at all.
    Asked { left: usize, mute: usize, of: usize },
    /// Nobody reaches it; tried again at this time.
    Unreached { again_ms: u64 },
}

/// A neighbour, connected or lately so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    pub(super) is_connected: bool,
    /// Any authenticated bytes of it.
    pub(super) heard_ms: u64,
    /// Our last ping.
    pub(super) pinged_ms: u64,
    pub(super) step: Step,
}

impl Watch {
    pub(super) fn connected(now_ms: u64) -> Watch {
        Watch { is_connected: true, heard_ms: now_ms, pinged_ms: 0, step: Step::Idle { due_ms: now_ms } }
    }

    /// Whether its word about others is worth asking for.
    pub(super) fn can_help(&self, now_ms: u64, lately_ms: u64) -> bool {
        let is_well = matches!(self.step, Step::Idle { .. } | Step::Pinged);
        self.is_connected && is_well && now_ms.saturating_sub(self.heard_ms) <= lately_ms
    }
}
