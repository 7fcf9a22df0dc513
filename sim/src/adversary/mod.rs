//! Somebody who lies: a host of its own that speaks the real mesh protocol with keys that it should not use so.
//!
//! It is linked from the crates that the node is made of: its noise, its hellos and its envelopes are real. What it says
//! is not. It never touches a host of the universe other than over the network.
//!
//! Deliberately absent: voters that sign false decisions about transfers that are really in doubt. The first word of a
//! domain's voter stands, whoever held the key; the second one is a proof.

mod face;
mod words;

use std::{sync::Arc, time::Duration};

use comity_node::mesh::{Class, MeshHandle};
use serde::{Deserialize, Serialize};

use crate::{
    hosts::{Domain, Hosts, mesh_of},
    world::{Chance, HostId},
};
use face::Face;

/// The first adversary's host number; far above those of machines.
const FIRST: HostId = 900_000;
/// Between two rounds of lies.
const ROUND: Duration = Duration::from_millis(250);
/// How long a host may take to answer a lie.
const PATIENCE: Duration = Duration::from_secs(2);
/// Until the owner of a stolen key notices.
const UNNOTICED: Duration = Duration::from_secs(4);
/// Cards of one round of a flood.
const FLOOD: usize = 3;

/// What an adversary does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Play {
    /// Says again what was said before, in any order.
    Replay,
    /// Says what was said before with a bit turned over, or signed by a node that does not vote.
    Forged,
    /// With a voter's stolen key: commits transfers that nobody voted on.
    FalseCommit,
    /// With a voter's stolen key: signs the opposite of what its domain has decided and the target has posted.
    TwoDecisions,
    /// Asks for votes in the name of a domain without a treaty.
    NoTreaty,
    /// Shows a certificate of the domain that another key has signed, and speaks as one of its replicas.
    WrongDomain,
    /// Gossips card after card of agents nobody knows.
    Flood,
    /// Sends bytes without meaning on every class of streams, and on bare connections.
    Garbage,
    /// Is there with the key and certificate of a voter that is there too.
    Twin,
    /// Is there with a key that another domain certified, goes on when that takes the certificate back, and says again what
    /// was said before.
    StolenKey,
    /// Brings an agent's old card after its new one.
    OldCard,
}

impl Play {
    /// The name of the kind of fault.
    pub const fn kind(self) -> &'static str {
        match self {
            Play::Replay => "replay",
            Play::Forged => "forged",
            Play::FalseCommit => "false-commit",
            Play::TwoDecisions => "two-decisions",
            Play::NoTreaty => "no-treaty",
            Play::WrongDomain => "wrong-domain",
            Play::Flood => "flood",
            Play::Garbage => "garbage",
            Play::Twin => "twin",
            Play::StolenKey => "stolen-key",
            Play::OldCard => "old-card",
        }
    }

    /// The play with this name.
    pub fn named(name: &str) -> Option<Play> {
        let all = [
            Play::Replay,
            Play::Forged,
            Play::FalseCommit,
            Play::TwoDecisions,
            Play::NoTreaty,
            Play::WrongDomain,
            Play::Flood,
            Play::Garbage,
            Play::Twin,
            Play::StolenKey,
            Play::OldCard,
        ];
        all.into_iter().find(|play| play.kind() == name)
    }
}

/// Somebody who lies to one domain.
#[derive(Clone)]
struct Adversary {
    hosts: Hosts,
    host: HostId,
    play: Play,
    /// Whom it lies to.
    target: Arc<Domain>,
    /// Whose member it says it is.
    peer: Arc<Domain>,
    /// The number of that domain.
    certifies: usize,
    chance: Chance,
}

/// Lets an adversary loose on a domain; what is returned ends it. `None` without a second domain.
pub fn begin(hosts: &Hosts, play: Play, domain: usize, chance: Chance) -> Option<Box<dyn FnOnce() + Send>> {
    let domains = hosts.domains();
    let target = domains.get(domain)?.clone();
    let certifies = (domain + 1) % domains.len();
    let peer = domains.get(certifies).filter(|peer| peer.id() != target.id())?.clone();
    let host = FIRST + hosts.count_adversary();
    hosts.network.assign(mesh_of(host), host);
    hosts.network.host_up(host);
    if play == Play::StolenKey {
        let hosts = hosts.clone();
        comity_runtime::spawn(async move {
            comity_runtime::sleep(UNNOTICED).await;
            hosts.take_back(certifies, face::STOLEN_SERIAL).await;
        });
    }
    let adversary = Adversary { hosts: hosts.clone(), host, play, target, peer, certifies, chance };
    hosts.universe.spawn_on(host, adversary.lie());
    let hosts = hosts.clone();
    Some(Box::new(move || {
        hosts.universe.kill(host);
        hosts.network.host_down(host);
    }))
}

impl Adversary {
    async fn lie(mut self) {
        let face = Face::of(&self);
        let Some(mut mesh) = face.mesh(&self).await else { return };
        let mut round = 0_u64;
        loop {
            comity_runtime::sleep(ROUND).await;
            round += 1;
            match self.play {
                Play::Replay | Play::StolenKey => {
                    for envelope in self.drawn(3) {
                        self.tell(&mesh, Class::Settlement, envelope).await;
                    }
                }
                Play::Forged | Play::FalseCommit | Play::TwoDecisions | Play::NoTreaty => {
                    for lie in self.lies(&face) {
                        self.tell(&mesh, Class::Settlement, lie).await;
                    }
                }
                Play::WrongDomain => {
                    for class in [Class::Raft, Class::Forward, Class::Snapshot, Class::Settlement] {
                        let body = self.noise(300);
                        self.tell(&mesh, class, body).await;
                    }
                }
                Play::Garbage => {
                    for class in Class::ALL {
                        let body = self.noise(2_000);
                        self.tell(&mesh, class, body).await;
                    }
                    self.bare_garbage().await;
                }
                Play::Flood => {
                    for _ in 0..FLOOD {
                        let card = self.card(&comity_node::founding::fresh_key(), round);
                        let taken = mesh.publish_card(card);
                        self.hosts.mark(if taken.is_ok() { "lie:flood:sent" } else { "lie:flood:kept" });
                    }
                }
                // Being there is all.
                Play::Twin => self.hosts.mark("lie:twin:there"),
                Play::OldCard => {
                    // A mesh without memory takes an old card of its own for the newest.
                    let sequence = if round.is_multiple_of(2) { 1 } else { 1 + round };
                    let sent = mesh.publish_card(self.card(&face.agent, sequence));
                    self.hosts.mark(if sent.is_ok() { "lie:old-card:sent" } else { "lie:old-card:kept" });
                    comity_runtime::sleep(ROUND * 4).await;
                    mesh.shutdown().await;
                    let Some(next) = face.mesh(&self).await else { return };
                    mesh = next;
                    comity_runtime::sleep(ROUND * 2).await;
                }
            }
        }
    }

    /// Tells a drawn node of the target something, and notes whether it was refused.
    async fn tell(&mut self, mesh: &MeshHandle, class: Class, body: bytes::Bytes) {
        let Some(host) = self.chance.pick(&self.target.hosts).copied() else { return };
        let node = self.hosts.with(host, |machine| machine.key.public());
        let answer = mesh.request(node, class, body, PATIENCE).await;
        let how = if answer.is_ok() { "answered" } else { "refused" };
        self.hosts.mark(&format!("lie:{}:{how}", self.play.kind()));
    }
}
