//! How a machine starts and ends: power, processes, and the supervisor that starts a node again.

use std::{sync::Arc, time::Duration};

use comity_node::{
    mesh::{peer, secured},
    node::Node,
    service::error::ServiceError,
};
use comity_runtime::disk::memory::CrashPlan;
use futures::channel::oneshot;

use super::{Hosts, OBSERVER};
use crate::{
    net::FalseTcp,
    world::{HostId, Kind},
};

/// How long the door of a failed node goes on saying so, and how long a stop may take: as in the node's `run`.
const LAST_WORDS: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(3);
/// Pause of the supervisor before it starts a node again.
const START_AGAIN: Duration = Duration::from_secs(2);

impl Hosts {
    /// Starts the node of a host on what its disk holds.
    async fn boot(&self, host: HostId) -> Result<Arc<Node>, ServiceError> {
        let (home, disk, boot) = self.with(host, |machine| {
            machine.boots += 1;
            (machine.seed.home(host, &machine.key, machine.place), machine.disk.clone(), machine.boots)
        });
        self.universe.note(Kind::Host, u64::from(host), boot);
        let wrong = |what: &str, error: String| ServiceError::bad_input(what, error);
        let keypair = peer::libp2p_keypair(&home.node.seed()).map_err(|error| wrong("bad_key", error.to_string()))?;
        let transport = secured(FalseTcp::new(&self.network, host), &keypair)
            .map_err(|error| wrong("bad_noise", error.to_string()))?;
        Node::start_on(home, transport, Arc::new(disk), None).await
    }

    /// Switches a host on, and lets its supervisor keep a node running on it. A node that runs, or is starting, is killed
    /// first. Nothing happens while an operator has the machine in hand.
    pub fn power_on(&self, host: HostId) {
        if self.with(host, |machine| machine.is_in_repair) {
            return;
        }
        self.kill_process(host);
        self.with(host, |machine| machine.is_wanted = true);
        self.start_process(host);
    }

    fn start_process(&self, host: HostId) {
        let life = self.begin_life(host);
        let hosts = self.clone();
        self.universe.spawn_on(host, async move {
            let why = match hosts.boot(host).await {
                Ok(node) => {
                    hosts.with(host, |machine| (machine.node, machine.trouble) = (Some(node.clone()), None));
                    hosts.tell_boot(host, &node);
                    why_it_ends(&node).await
                }
                Err(error) => format!("{}: {}", error.code, error.detail),
            };
            tracing::warn!(host, why, "the node ends by itself");
            hosts.mark(&format!("node-ends:{}", why.split(':').next().unwrap_or_default()));
            let ended = hosts.clone();
            hosts.universe.spawn_on(OBSERVER, async move { ended.ended_by_itself(host, life, why).await });
        });
    }

    fn begin_life(&self, host: HostId) -> u64 {
        self.with(host, |machine| {
            machine.life += 1;
            machine.life
        })
    }

    /// What a supervisor does when the process has ended.
    async fn ended_by_itself(self, host: HostId, life: u64, why: String) {
        let is_this_life = self.with(host, |machine| {
            let same = machine.life == life;
            if same {
                machine.trouble = Some(why);
            }
            same
        });
        if !is_this_life {
            return;
        }
        self.kill_process(host);
        let life = self.with(host, |machine| machine.life);
        comity_runtime::sleep(START_AGAIN).await;
        if self.with(host, |machine| machine.life == life && machine.is_wanted) {
            self.start_process(host);
        }
    }

    /// Cuts a host's power: its tasks vanish in the middle, its peers hear nothing, its disk keeps what `plan` says. It
    /// stays off until [`Hosts::power_on`].
    pub fn power_off(&self, host: HostId, plan: CrashPlan<'_>) {
        self.network.host_down(host);
        self.end_life(host);
        self.with(host, |machine| {
            machine.is_wanted = false;
            machine.disk.crash(plan);
        });
    }

    /// Kills the process and nothing else: the system closes its connections, its neighbours hear that, and what it wrote
    /// stays written. Its supervisor is not told; see [`Hosts::power_on`].
    pub fn kill_process(&self, host: HostId) {
        self.end_life(host);
        // Its ports are closed, and what comes for old connections is answered with a reset.
        self.network.host_down(host);
        self.network.host_up(host);
        self.with(host, |machine| machine.disk.end_process());
    }

    fn end_life(&self, host: HostId) {
        self.universe.note(Kind::Host, u64::from(host), 0);
        self.begin_life(host);
        let node = self.with(host, |machine| machine.node.take());
        self.universe.kill(host);
        let _inside = comity_runtime::enter(self.universe.world(host));
        drop(node);
    }

    /// The supervisor no longer starts the host's node again by itself.
    pub fn give_up(&self, host: HostId) {
        self.with(host, |machine| machine.is_wanted = false);
    }

    /// Asks a node to stop, as a supervisor does: it says good-bye, then its process ends. Must be awaited on the
    /// observer's host.
    pub async fn stop(&self, host: HostId) {
        self.give_up(host);
        if let Some(node) = self.node(host) {
            let (done, stopped) = oneshot::channel();
            self.universe.spawn_on(host, async move {
                node.stop().await;
                let _nobody_waits = done.send(());
            });
            let _stopped_or_cut = comity_runtime::timeout(GRACE, stopped).await;
        }
        self.kill_process(host);
    }
}

/// Ends when the node's replica can go on no longer, as the node's own process would.
async fn why_it_ends(node: &Arc<Node>) -> String {
    let mut failed = node.replica().failed();
    let why = failed.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
    comity_runtime::sleep(LAST_WORDS).await;
    let _stopped_or_cut = comity_runtime::timeout(GRACE, node.stop()).await;
    why.unwrap_or_else(|| "its replica is gone".to_owned())
}
