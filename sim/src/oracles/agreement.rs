//! Replicas of one domain agree byte for byte.

use super::{Oracle, View};
use std::collections::BTreeMap;

/// Two replicas that applied the same entries hold the same bytes.
#[derive(Default)]
pub(super) struct Agreement {
    /// By domain and log index.
    digests: BTreeMap<(usize, u64), (u32, [u8; 32])>,
}

impl Oracle for Agreement {
    fn name(&self) -> &'static str {
        "agreement"
    }

    fn claim(&self) -> &'static str {
        "replicas of one domain that applied the same entries hold the same bytes"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        for (host, node) in view.hosts.nodes() {
            let domain = view.hosts.with(host, |machine| machine.domain);
            let (index, digest) = node.replica().read_stale(|ledger, at| (at.log_index, ledger.digest().0));
            let (first, known) = *self.digests.entry((domain, index)).or_insert((host, digest));
            if known != digest {
                return Err(format!("hosts {first} and {host} differ after entry {index}"));
            }
        }
        Ok(())
    }
}
