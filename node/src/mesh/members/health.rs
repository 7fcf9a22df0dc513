//! How well this node itself is: Lifeguard's local health.

/// Worst score. A node that hears nobody waits nine times as long before it says that others have failed.
const WORST: u64 = 8;

/// 0 is well. Whoever is slow or cut off should doubt itself before it doubts others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Health(u64);

impl Health {
    /// Something says that we are the one who is unwell: helpers that did not even answer us, a suspicion of ourselves,
    /// a pause.
    pub(super) fn worse(&mut self) {
        self.0 = (self.0 + 1).min(WORST);
    }

    /// Somebody answered our ping in time.
    pub(super) fn better(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }

    /// A time, stretched.
    pub(super) fn stretch(self, ms: u64) -> u64 {
        ms.saturating_mul(self.0 + 1)
    }
}
