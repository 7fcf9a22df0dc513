//! What this node believes of domains and their keys, as its ledger has it: told to the mesh whenever it changes.

use crate::{
    boundary,
    home::Home,
    mesh::{Identity, MemberKeys, Relation, Trust, TrustedDomain},
    node::Node,
};
use comity_proto::{
    export::Exports,
    planted::{Plant, planted},
    roots::RootKeys,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// How often trust and roster are read again from the ledger, besides when an entry changes them.
const TRUST_EVERY: Duration = Duration::from_millis(250);

/// Before the ledger is read.
pub(crate) fn own(home: &Home) -> Trust {
    let mut trust = Trust::default();
    trust.domains.insert(home.domain(), TrustedDomain::first(home.domain_key, Relation::Own));
    trust
}

/// What counts at this ledger time, without the time: the mesh knows another clock.
fn counting(root: &RootKeys, now_ms: u64) -> RootKeys {
    let before_until_ms = root.before(now_ms).map(|_| u64::MAX);
    RootKeys { before_until_ms, ..root.clone() }
}

/// Keeps the mesh's trust, our exports and our shown roster as the ledger has them.
pub(crate) async fn watch(node: Arc<Node>, keys: MemberKeys) {
    let mut applied = node.replica().subscribe();
    let mut shown = (own(node.home()), node.home().roster.clone());
    let mut exported = Exports::default();
    let mut granted = BTreeMap::new();
    loop {
        let quotas = node.replica().read_stale(|ledger, _| boundary::quotas(ledger));
        if quotas != granted {
            granted.clone_from(&quotas);
            node.mesh().set_quotas(quotas);
        }
        keys.set(node.replica().read_stale(|ledger, _| {
            let nodes = ledger.domain().map(|domain| &domain.nodes);
            nodes.into_iter().flatten().map(|(place, record)| (*place, record.keys().collect())).collect()
        }));
        let exports = node.replica().read_stale(|ledger, _| ledger.exports_in_force());
        if exports != exported {
            exported = exports.clone();
            node.mesh().set_exports(exports);
        }
        let (trust, roster) = node.replica().read_stale(|ledger, _| {
            let now_ms = ledger.stamp_ms();
            let mut trust = own(node.home());
            if let Some(domain) = ledger.domain() {
                let root = counting(&domain.root, now_ms);
                trust.domains.insert(domain.id, TrustedDomain { root, relation: Relation::Own });
            }
            for treaty in ledger.treaties().filter(|treaty| treaty.concerns()) {
                // What has begun is finished under every treaty, so its key stays pinned.
                let relation = if treaty.is_bound() { Relation::Peer } else { Relation::Known };
                trust.domains.insert(treaty.peer, TrustedDomain { root: counting(&treaty.root, now_ms), relation });
            }
            (trust, ledger.domain().map(|domain| domain.roster.clone()))
        });
        let revoked = if planted(Plant::TakenBackCounts) { BTreeSet::new() } else { node.revoked().lock().all() };
        let trust = Trust { revoked, ..trust };
        if trust != shown.0 {
            node.mesh().set_trust(trust.clone());
            shown.0 = trust;
        }
        if let Some(roster) = roster.filter(|roster| *roster != shown.1) {
            shown.1 = roster.clone();
            let certificate = node.certificate();
            node.mesh().set_identity(Identity { domain: Some(node.domain()), certificate, roster }).await;
        }
        // Whatever was applied may have been a treaty; a lagging listener looks at the next tick.
        let _applied_or_time = comity_runtime::timeout(TRUST_EVERY, applied.recv()).await;
    }
}
