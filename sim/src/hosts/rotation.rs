//! What operators do about keys: another one for a node, for themselves, or for the whole domain, while everything goes on.
//!
//! Every step follows from what the ledger says, so an operator whose node was away goes on where it stopped.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use comity_ledger::keys::KeyRecord;
use comity_node::{
    founding::{DomainKeys, fresh_key},
    home::voter,
    keyring::rotation::Holder,
    node::Node,
    service::keys,
};
use comity_proto::{
    envelope::{Sealer, Signed as _},
    identity::NodeCertificate,
    ids::PublicKey,
    key_step::{KeyChange, KeyStep},
    keys::SecretKey,
    roots::{RootKey, RootKeys},
    text::Reason,
};

use super::{Hosts, machine::Machine};
use crate::world::HostId;

/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(250);
/// How long the operator's old key still counts, if nobody retires it.
const OVERLAP_MS: u64 = 60_000;

/// What is to be done next.
enum Next {
    /// This step about this key.
    Say(KeyChange, PublicKey),
    /// Nothing yet: others are to hear or to follow.
    Wait,
    /// Nothing any more.
    Done,
}

/// The keys of a holder, as its ledger knows them.
struct Held {
    active: PublicKey,
    next: Option<PublicKey>,
    before: Option<PublicKey>,
    serial: u64,
}

impl From<&KeyRecord> for Held {
    fn from(record: &KeyRecord) -> Held {
        let before = record.before.map(|(key, _)| key);
        Held { active: record.active, next: record.next, before, serial: record.serial }
    }
}

impl Held {
    fn of_root(keys: &RootKeys, now_ms: u64) -> Option<Held> {
        let (active, before) = (*keys.active()?, keys.before(now_ms).copied());
        Some(Held { active, next: keys.next, before, serial: keys.serial })
    }
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
                ledger.domain().map(|domain| (Held::from(&domain.operator), seen))
            });
            let Some((held, seen)) = of_domain else { continue };
            if held.active == next.public() {
                node.set_operator_key(next.clone());
                self.with(founder, |machine| {
                    if let Some((.., operator)) = &mut machine.seed.founding {
                        *operator = next.clone();
                    }
                });
            }
            match step(&held, &next.public(), seen) {
                Next::Say(change, key) => {
                    let holder = Holder { domain: known.id(), place: None, serial: held.serial };
                    let proof = KeyStep::prove(&known.id(), &next);
                    let Some(root) = self.root_in_use(founder) else { return };
                    say(self, &node, founder, &holder, (change, key, proof), &root).await;
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
        loop {
            comity_runtime::sleep(LOOK).await;
            let Some(node) = self.node(host) else { continue };
            let of_domain = node.replica().read_stale(|ledger, _| {
                let domain = ledger.domain()?;
                let held = domain.node_keys(&place).map(Held::from);
                let is_named = domain.voters.contains(&next.public());
                Some((held, is_named && ledger.keys_not_seen()[0].is_empty()))
            });
            let Some((held, heard)) = of_domain else { continue };
            let held = held.unwrap_or(Held { active: place, next: None, before: None, serial: 0 });
            if held.active == next.public() && self.with(host, |machine| machine.key.public()) != next.public() {
                self.take_up(host, |machine| machine.key = next.clone()).await;
                continue;
            }
            match step(&held, &next.public(), heard) {
                Next::Say(change, key) => {
                    let holder = Holder { domain: known.id(), place: Some(place), serial: held.serial };
                    let Some(certificate) = self.certificate_now(host, &next) else { return };
                    let signer = if change == KeyChange::Prepare { &old } else { &next };
                    say(self, &node, host, &holder, (change, key, certificate), signer).await;
                }
                Next::Wait => {}
                Next::Done => return self.mark("operator:node-key-rotated"),
            }
        }
    }

    /// A domain takes another root key and keeps its id; every node of it gets a certificate by the new one, and the one
    /// before is retired once all show theirs. Its operator mislays the first one that it prepared, and is in a hurry: it
    /// takes that one back and puts another one in use whether or not anybody has heard.
    pub async fn rotate_root(&self, domain: usize) {
        let Some(known) = self.domains().get(domain).cloned() else { return };
        let founder = known.hosts[0];
        let Some(old) = self.root_in_use(founder) else { return };
        let secret = self.key_made_on(founder);
        let Ok(links) = old.links_to(&secret) else { return };
        let Ok(next) = RootKey::along(links.clone(), secret) else { return };
        let mut mislaid = Some(self.key_made_on(founder));
        loop {
            comity_runtime::sleep(LOOK).await;
            let Some(node) = self.node(founder) else { continue };
            let of_domain = node.replica().read_stale(|ledger, _| {
                let held = Held::of_root(&ledger.domain()?.root, ledger.stamp_ms())?;
                Some((held, ledger.keys_not_seen()[2].is_empty()))
            });
            let Some((held, heard)) = of_domain else { continue };
            if let Some(lost) = &mislaid {
                let change = match held.next {
                    Some(_) => KeyChange::Revoke,
                    None if held.serial == 0 => KeyChange::Prepare,
                    None => {
                        self.mark("operator:root-key-mislaid");
                        mislaid = None;
                        continue;
                    }
                };
                let Ok(links) = old.links_to(lost) else { return };
                let holder = Holder { domain: known.id(), place: Some(old.first()), serial: held.serial };
                say(self, &node, founder, &holder, (change, lost.public(), links), &old).await;
                continue;
            }
            if held.active == next.public() && !self.all_certified_by(&known.hosts, &next).await {
                continue;
            }
            match step(&held, &next.public(), heard || held.active != next.public()) {
                // Until the roster is by the new key too, the ledger refuses, and it is said again.
                Next::Say(change, key) => {
                    let place = Some(old.first());
                    let holder = Holder { domain: known.id(), place, serial: held.serial };
                    let signer = if change == KeyChange::Prepare { &old } else { &next };
                    say(self, &node, founder, &holder, (change, key, links.clone()), signer).await;
                }
                Next::Wait => {}
                Next::Done => return self.mark("operator:root-key-rotated"),
            }
        }
    }

    /// Gives the next machine a certificate by this root key, the founding one the key as well, unless somebody of the
    /// domain is away: one at a time. Whether all have theirs and run with it.
    async fn all_certified_by(&self, hosts: &[HostId], root: &RootKey) -> bool {
        let is_well = |host: &HostId| self.node(*host).is_some_and(|node| node.replica().status().leader_id.is_some());
        if !hosts.iter().all(is_well) {
            return false;
        }
        let is_new = |host: &HostId| {
            let certificate = self.with(*host, |machine| machine.seed.certificate.clone());
            NodeCertificate::open(&certificate).is_ok_and(|certificate| *certificate.key() == root.public())
        };
        let Some(host) = hosts.iter().find(|host| !is_new(host)) else { return true };
        let founder = hosts[0];
        self.with(founder, |machine| {
            if let Some((_, known, _)) = &mut machine.seed.founding {
                *known = root.clone();
            }
        });
        self.take_up(*host, |_| ()).await;
        false
    }

    /// What the operator has in the founding node's directory.
    fn root_in_use(&self, founder: HostId) -> Option<RootKey> {
        self.with(founder, |machine| machine.seed.founding.as_ref().map(|(_, root, _)| root.clone()))
    }

    /// A certificate by the root key in use, with a serial above that of every earlier one.
    fn certificate_now(&self, host: HostId, key: &SecretKey) -> Option<Bytes> {
        let founder = self.domain_of(host).hosts[0];
        let (_, root, operator) = self.with(founder, |machine| machine.seed.founding.clone())?;
        let _inside = comity_runtime::enter(self.universe.world(host));
        let now_ms = comity_runtime::wall_ms();
        Some(DomainKeys { root, operator }.certify(key.public(), voter(), now_ms + u64::from(host), now_ms))
    }

    fn key_made_on(&self, host: HostId) -> SecretKey {
        let _inside = comity_runtime::enter(self.universe.world(host));
        fresh_key()
    }

    /// As the node's own process does when its directory has another key or certificate: it stops, and starts again with
    /// that.
    async fn take_up(&self, host: HostId, change: impl FnOnce(&mut Machine)) {
        self.stop(host).await;
        let key = self.with(host, |machine| {
            change(machine);
            machine.key.clone()
        });
        if let Some(certificate) = self.certificate_now(host, &key) {
            self.with(host, |machine| machine.seed.certificate = certificate);
        }
        self.power_on(host);
    }
}

/// The next step of a holder on its way to `next`. `heard`: whoever must know does.
fn step(held: &Held, next: &PublicKey, heard: bool) -> Next {
    if held.active == *next {
        return match held.before {
            Some(before) if heard => Next::Say(KeyChange::Retire, before),
            None if heard => Next::Done,
            _ => Next::Wait,
        };
    }
    match held.next {
        Some(prepared) if prepared == *next && heard => Next::Say(KeyChange::Activate, *next),
        Some(prepared) if prepared == *next => Next::Wait,
        _ => Next::Say(KeyChange::Prepare, *next),
    }
}

/// Says one step at a node. Whether it was taken is seen in the ledger.
async fn say(
    hosts: &Hosts,
    node: &Arc<Node>,
    host: HostId,
    holder: &Holder,
    (change, key, proof): (KeyChange, PublicKey, Bytes),
    signer: &impl Sealer,
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
