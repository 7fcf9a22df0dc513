//! What an operator does when a machine's data is gone: takes the old node out of the domain, invites a new one.
//!
//! As the runbook has it: a node that lost its disk never comes back under its old name, because it has forgotten its
//! votes. It gets a new key and with it another Raft id, and joins as a learner through the node that holds the
//! domain's root key.

use std::{sync::Arc, time::Duration};

use comity_node::{
    founding::fresh_key,
    join,
    keyring::revocation,
    mesh::{peer, secured},
    node::Node,
    service::{
        exports, keyring,
        licences::{self, Grant},
        peers::{self, Change},
    },
};
use comity_proto::{
    export::{Audience, ExportRule},
    licence::LicenceStatus,
};
use comity_runtime::disk::memory::MemoryDisk;
use futures::channel::oneshot;

use super::{Hosts, machine};
use crate::{net::FalseTcp, world::HostId};

/// Between two attempts at anything.
const AGAIN: Duration = Duration::from_millis(500);
/// What an operator writes down.
const WHY: &str = "as the operator sees fit";
/// How long an invitation holds, hours.
const HOURS: u32 = 1;

impl Hosts {
    /// The operator of `domain` changes what it does under the treaty with `peer`, at the node that holds the root key.
    /// Whether the ledger answered: it may refuse, as when somebody drained what is to be suspended. A node that is away,
    /// or dies meanwhile, has told nobody anything.
    pub async fn change_treaty(&self, domain: usize, peer: usize, change: Change) -> bool {
        let Some(peer) = self.domains().get(peer).map(|domain| domain.id()) else { return false };
        let change = move |node: Arc<Node>| async move {
            match peers::change(&node, peer, change, WHY).await {
                Err(error) => error.code == "wrong_state",
                Ok(_) => true,
            }
        };
        self.operate(domain, change).await
    }

    /// The operator of `domain` lets the licence of `peer` be active or not; grants one first if there is none.
    pub async fn change_licence(&self, domain: usize, peer: usize, status: LicenceStatus) -> bool {
        let Some(peer) = self.domains().get(peer).map(|domain| domain.id()) else { return false };
        let change = move |node: Arc<Node>| async move {
            let grant = Grant { tier: "partner".to_owned(), agents: 1_000, events: 100_000, days: 30, bearer: false };
            let granted = node
                .replica()
                .read_stale(|ledger, _| ledger.treaty(&peer).is_some_and(|treaty| treaty.granted.is_some()));
            (granted || licences::issue(&node, peer, &grant, WHY).await.is_ok())
                && licences::change(&node, peer, status, WHY).await.is_ok()
        };
        self.operate(domain, change).await
    }

    /// The operator of `domain` takes back the rule that admits everybody to everything, or gives it again.
    pub async fn change_exports(&self, domain: usize, withdrawn: bool) -> bool {
        let change = move |node: Arc<Node>| async move {
            let rule = ExportRule::all(Audience::Everyone);
            match exports::change(&node, rule, withdrawn, WHY).await {
                Err(error) => error.code == "unknown_export",
                Ok(_) => true,
            }
        };
        self.operate(domain, change).await
    }

    /// The operator of `domain` takes the certificate with this serial back, as the first one ever; goes on until a node
    /// that can tell everybody has heard it.
    pub async fn take_back(&self, domain: usize, serial: u64) {
        let Some(known) = self.domains().get(domain).cloned() else { return };
        let Ok(list) = revocation::add(&known.keys.root, known.id(), None, serial) else { return };
        self.with(known.hosts[0], |machine| machine.seed.revocations = Some(list.clone()));
        loop {
            let list = list.clone();
            let take = move |node: Arc<Node>| async move { keyring::take_back(&node, &list, Some(WHY)).await.is_ok() };
            if self.operate(domain, take).await {
                return self.mark("operator:certificate-taken-back");
            }
            comity_runtime::sleep(AGAIN).await;
        }
    }

    /// Lets an operator do something at the node that holds its root key; whether it was answered.
    pub(super) async fn operate<W: Future<Output = bool> + Send + 'static>(
        &self,
        domain: usize,
        what: impl FnOnce(Arc<Node>) -> W + Send + 'static,
    ) -> bool {
        let Some(founder) = self.domains().get(domain).map(|domain| domain.hosts[0]) else { return false };
        let Some(node) = self.node(founder) else { return false };
        let (done, told) = oneshot::channel();
        self.universe.spawn_on(founder, async move {
            let _nobody_waits = done.send(what(node).await);
        });
        matches!(told.await, Ok(true))
    }

    /// Gives a host an empty disk and a new name in its domain; it must be down. Ends when its node has been started
    /// again, which needs a majority of the others and the founding node; goes on trying until then. Must be awaited on
    /// the observer's host. False when it cannot be: the host is its domain's only one, or holds the root key.
    pub async fn replace(&self, host: HostId) -> bool {
        let domain = self.domain_of(host);
        let founder = domain.hosts[0];
        if domain.hosts.len() < 3 || host == founder {
            return false;
        }
        let old = self.with(host, |machine| {
            (machine.is_wanted, machine.is_in_repair) = (false, true);
            machine.disk.replace(MemoryDisk::new());
            machine.raft_id()
        });
        while !self.remove_member(host, old).await {
            comity_runtime::sleep(AGAIN).await;
        }
        self.network.host_up(host);
        while !self.join_again(host, founder).await {
            comity_runtime::sleep(AGAIN).await;
        }
        self.mark("operator:replaced");
        self.with(host, |machine| machine.is_in_repair = false);
        self.power_on(host);
        true
    }

    /// True when no running node of the domain knows of the member any more.
    async fn remove_member(&self, host: HostId, old: u64) -> bool {
        let domain = self.domain_of(host);
        let others = domain.hosts.iter().filter(|other| **other != host);
        for node in others.filter_map(|other| self.node(*other)) {
            let status = node.replica().status();
            if status.leader_id.is_none() {
                continue;
            }
            if status.voters.iter().chain(&status.learners).all(|member| member.id != old) {
                return true;
            }
            // Asked again until the status tells that it is done.
            let _told_by_the_status = node.replica().remove(old).await;
            return false;
        }
        false
    }

    async fn join_again(&self, host: HostId, founder: HostId) -> bool {
        let Some(inviting) = self.node(founder) else { return false };
        let token = {
            let _inside = comity_runtime::enter(self.universe.world(founder));
            join::invite(&inviting, HOURS)
        };
        let Ok((token, _)) = token else { return false };
        let config = self.with(host, |machine| machine.seed.config.clone());
        let (done, joined) = oneshot::channel();
        let hosts = self.clone();
        self.universe.spawn_on(host, async move {
            let key = fresh_key();
            let Ok(keypair) = peer::libp2p_keypair(&key.seed()) else { return };
            let Ok(transport) = secured(FalseTcp::new(&hosts.network, host), &keypair) else { return };
            let joined = join::join_over(&machine::directory(host), config, &token, key, transport).await;
            let _nobody_waits = done.send(joined);
        });
        match joined.await {
            Ok(Ok(home)) => {
                self.with(host, |machine| {
                    machine.key = home.node.clone();
                    machine.place = home.place;
                    machine.seed.certificate = home.certificate.clone();
                    machine.seed.roster = home.roster.clone();
                    machine.seed.founding = None;
                    machine.seed.config.founders = Vec::new();
                });
                true
            }
            Ok(Err(error)) => {
                tracing::debug!(host, %error, "not certified yet");
                false
            }
            Err(_) => false,
        }
    }
}
