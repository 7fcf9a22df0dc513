//! What operators do about keys: another one for a node, or for themselves, while everything goes on.
//!
//! Every step follows from what the ledger says, so an operator whose node was away goes on where it stopped.

use std::{sync::Arc, time::Duration};

use comity_ledger::keys::KeyRecord;
use comity_node::{founding::fresh_key, home::voter, keyring::rotation::Holder, node::Node, service::keys};
use comity_proto::{
    ids::PublicKey,
    key_step::{KeyChange, KeyStep},
    keys::SecretKey,
    text::Reason,
};

use super::Hosts;
use crate::world::HostId;

/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(250);
/// How long the operator's old key still counts, if nobody retires it.
const OVERLAP_MS: u64 = 60_000;

/// What is to be done next.
enum Next {
    /// This step, signed with this key.
    Say(KeyChange, PublicKey, Box<SecretKey>),
    /// Nothing yet: others are to hear or to follow.
    Wait,
    /// Nothing any more.
    Done,
}

impl Hosts {
    /// The operator of a domain takes another key, step by step, until the one before counts no more.
    pub async fn rotate_operator(&self, domain: usize) {
        let Some(known) = self.domains().get(domain).cloned() else { return };
        let founder = known.hosts[0];
        let next = self.key_made_on(founder);
        loop {
            comity_runtime::sleep(LOOK).await;
            let Some(node) = self.node(founder) else { continue };
            let of_domain = node.replica().read_stale(|ledger, _| {
                let seen = ledger.keys_not_seen()[1].is_empty();
                ledger.domain().map(|domain| (domain.operator.clone(), seen))
            });
            let Some((record, seen)) = of_domain else { continue };
            let root = known.keys.root.secret();
            if record.active == next.public() {
                node.set_operator_key(next.clone());
                self.with(founder, |machine| {
                    if let Some((.., operator)) = &mut machine.seed.founding {
                        *operator = next.clone();
                    }
                });
            }
            match step(&record, &next.public(), seen, (root, root, root)) {
                Next::Say(change, key, signer) => {
                    let holder = Holder { domain: known.id(), place: None, serial: record.serial };
                    let proof = KeyStep::prove(&known.id(), &next);
                    say(self, &node, founder, &holder, (change, key, proof), &signer).await;
                }
                Next::Wait => {}
                Next::Done => return self.mark("operator:key-rotated"),
            }
        }
    }

    /// The node of a host takes another key and keeps its place, its disk and its address.
    pub async fn rotate_node(&self, host: HostId) {
        let (place, old) = self.with(host, |machine| (machine.place, machine.key.clone()));
        let known = self.domain_of(host);
        let next = self.key_made_on(host);
        let now_ms = {
            let _inside = comity_runtime::enter(self.universe.world(host));
            comity_runtime::wall_ms()
        };
        // Above the serials of the founding, and of every other host's next certificate.
        let certificate = known.keys.certify(next.public(), voter(), now_ms + u64::from(host), now_ms);
        loop {
            comity_runtime::sleep(LOOK).await;
            let Some(node) = self.node(host) else { continue };
            let of_domain = node.replica().read_stale(|ledger, _| {
                let domain = ledger.domain()?;
                let keys = domain.node_keys(&place).cloned();
                let is_named = domain.voters.contains(&next.public());
                Some((keys, is_named && ledger.keys_not_seen()[0].is_empty()))
            });
            let Some((record, heard)) = of_domain else { continue };
            let record = record.unwrap_or(KeyRecord {
                serial: 0,
                active: place,
                next: None,
                before: None,
                revoked: Vec::new(),
                word: Default::default(),
            });
            if record.active == next.public() && self.with(host, |machine| machine.key.public()) != next.public() {
                self.take_up(host, &next, certificate.clone()).await;
                continue;
            }
            match step(&record, &next.public(), heard, (&old, &next, &next)) {
                Next::Say(change, key, signer) => {
                    let holder = Holder { domain: known.id(), place: Some(place), serial: record.serial };
                    say(self, &node, host, &holder, (change, key, certificate.clone()), &signer).await;
                }
                Next::Wait => {}
                Next::Done => return self.mark("operator:node-key-rotated"),
            }
        }
    }

    fn key_made_on(&self, host: HostId) -> SecretKey {
        let _inside = comity_runtime::enter(self.universe.world(host));
        fresh_key()
    }

    /// As the node's own process does when its directory has another key: it stops, and starts again with that.
    async fn take_up(&self, host: HostId, next: &SecretKey, certificate: bytes::Bytes) {
        self.stop(host).await;
        self.with(host, |machine| {
            machine.key = next.clone();
            machine.seed.certificate = certificate;
        });
        self.power_on(host);
    }
}

/// The next step of a holder on its way to `next`. `heard`: whoever must know does.
fn step(
    record: &KeyRecord,
    next: &PublicKey,
    heard: bool,
    (prepares, activates, retires): (&SecretKey, &SecretKey, &SecretKey),
) -> Next {
    if record.active == *next {
        return match record.before {
            Some((before, _)) if heard => Next::Say(KeyChange::Retire, before, Box::new(retires.clone())),
            Some(_) => Next::Wait,
            None if heard => Next::Done,
            None => Next::Wait,
        };
    }
    match record.next {
        Some(prepared) if prepared == *next && heard => {
            Next::Say(KeyChange::Activate, *next, Box::new(activates.clone()))
        }
        Some(prepared) if prepared == *next => Next::Wait,
        _ => Next::Say(KeyChange::Prepare, *next, Box::new(prepares.clone())),
    }
}

/// Says one step at a node. Whether it was taken is seen in the ledger.
async fn say(
    hosts: &Hosts,
    node: &Arc<Node>,
    host: HostId,
    holder: &Holder,
    (change, key, proof): (KeyChange, PublicKey, bytes::Bytes),
    signer: &SecretKey,
) {
    let proof = if change == KeyChange::Prepare { proof } else { Default::default() };
    // A constant of a few letters.
    let reason = Reason::new("every year").expect("a reason");
    let envelope = holder.step(change, key, (OVERLAP_MS, proof), &reason, signer);
    let node = node.clone();
    let (done, told) = futures::channel::oneshot::channel();
    hosts.universe.spawn_on(host, async move {
        let _nobody_waits = done.send(keys::take(&node, envelope).await.is_ok());
    });
    let _seen_in_the_ledger = told.await;
}
