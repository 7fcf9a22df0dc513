//! The address book and when to dial whom again: 1, 2, 4, then every 8 seconds, each with jitter.
//!
//! Pure: the caller tells the time and brings the chance. Addresses are hints; who answers there is proved by noise.

use std::collections::BTreeMap;
use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

use super::limits::{ADDRESS_BOOK_NODES, ADDRESSES_PER_NODE, REDIAL_FIRST, REDIAL_LONGEST};

/// Whom a dial is for: a node, or whoever answers at an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// A node that we know by its key.
    Node(PeerId),
    /// A configured address without a peer id.
    Address(Multiaddr),
}

#[derive(Clone, Debug, Default)]
struct Contact {
    addresses: Vec<Multiaddr>,
    /// Set by the operator: never dropped to make room.
    configured: bool,
    connected: bool,
    /// A dial is under way.
    dialling: bool,
    failures: u32,
    next_try_ns: u64,
}

/// Everybody we want a connection to.
#[derive(Debug, Default)]
pub(crate) struct AddressBook {
    contacts: BTreeMap<Target, Contact>,
}

/// The peer id at the end of an address.
pub(crate) fn peer_of(address: &Multiaddr) -> Option<PeerId> {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => Some(peer),
        _ => None,
    }
}

/// The address without its peer id, so that equal places compare equal.
pub(crate) fn bare(address: &Multiaddr) -> Multiaddr {
    address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect()
}

impl AddressBook {
    /// An address that the operator gave.
    pub(crate) fn configure(&mut self, address: &Multiaddr) {
        let target = match peer_of(address) {
            Some(peer) => Target::Node(peer),
            None => Target::Address(bare(address)),
        };
        let contact = self.contacts.entry(target).or_default();
        contact.configured = true;
        remember(contact, bare(address));
    }

    /// Addresses that a proved node told about itself. A full book takes no new nodes.
    pub(crate) fn learn(&mut self, peer: PeerId, addresses: impl IntoIterator<Item = Multiaddr>) {
        let target = Target::Node(peer);
        if !self.contacts.contains_key(&target) && self.contacts.len() >= ADDRESS_BOOK_NODES {
            return;
        }
        let mut addresses = addresses.into_iter().take(ADDRESSES_PER_NODE).peekable();
        if addresses.peek().is_none() {
            return;
        }
        let contact = self.contacts.entry(target).or_default();
        addresses.for_each(|address| remember(contact, bare(&address)));
    }

    /// The node said that it leaves, or its domain is no longer trusted: no more dials, unless configured.
    pub(crate) fn forget(&mut self, peer: PeerId) {
        let target = Target::Node(peer);
        if self.contacts.get(&target).is_some_and(|contact| !contact.configured) {
            self.contacts.remove(&target);
        }
    }

    /// A connection stands, at this address if we dialled it.
    pub(crate) fn connected(&mut self, peer: PeerId, dialled: Option<&Multiaddr>) {
        if let Some(contact) = self.contacts.get_mut(&Target::Node(peer)) {
            *contact = Contact { connected: true, dialling: false, failures: 0, ..contact.clone() };
        }
        let Some(address) = dialled.map(bare) else { return };
        if let Some(contact) = self.contacts.get_mut(&Target::Address(address.clone())) {
            // Now we know who lives there: from here on the node is the contact.
            contact.connected = true;
            contact.dialling = false;
            contact.failures = 0;
            let contact = self.contacts.entry(Target::Node(peer)).or_default();
            contact.configured = true;
            contact.connected = true;
            remember(contact, address);
        }
    }

    /// The last connection to a node ended.
    pub(crate) fn disconnected(&mut self, peer: PeerId, now_ns: u64, jitter: f64) {
        let mut addresses = Vec::new();
        if let Some(contact) = self.contacts.get_mut(&Target::Node(peer)) {
            contact.connected = false;
            contact.next_try_ns = now_ns + pause(0, jitter);
            addresses.clone_from(&contact.addresses);
        }
        // Another node may answer there next time.
        for address in addresses {
            if let Some(contact) = self.contacts.get_mut(&Target::Address(address)) {
                contact.connected = false;
                contact.next_try_ns = now_ns + pause(0, jitter);
            }
        }
    }

    /// A dial failed.
    pub(crate) fn failed(&mut self, target: &Target, now_ns: u64, jitter: f64) {
        if let Some(contact) = self.contacts.get_mut(target) {
            contact.dialling = false;
            contact.next_try_ns = now_ns + pause(contact.failures, jitter);
            contact.failures = contact.failures.saturating_add(1);
        }
    }

    /// Whom to dial now; each is marked as under way until it connects or fails.
    pub(crate) fn due(&mut self, now_ns: u64, at_most: usize) -> Vec<(Target, Vec<Multiaddr>)> {
        let waiting = |contact: &Contact| {
            !contact.connected && !contact.dialling && contact.next_try_ns <= now_ns && !contact.addresses.is_empty()
        };
        let due = self.contacts.iter_mut().filter(|(_, contact)| waiting(contact)).take(at_most);
        due.map(|(target, contact)| {
            contact.dialling = true;
            (target.clone(), contact.addresses.clone())
        })
        .collect()
    }
}

/// Newest first, bounded.
fn remember(contact: &mut Contact, address: Multiaddr) {
    contact.addresses.retain(|known| *known != address);
    contact.addresses.insert(0, address);
    contact.addresses.truncate(ADDRESSES_PER_NODE);
}

/// Nanoseconds before the next try after `failures` failed ones; `jitter` in [0, 1) spreads it over 75 to 125 %.
fn pause(failures: u32, jitter: f64) -> u64 {
    let plain = REDIAL_FIRST.saturating_mul(1 << failures.min(8)).min(REDIAL_LONGEST);
    let spread: Duration = plain.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0);
    u64::try_from(spread.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/127.0.0.1/tcp/{port}").parse().expect("an address")
    }

    #[test]
    fn redials_wait_one_two_four_then_eight_seconds() {
        let peer = PeerId::random();
        let mut book = AddressBook::default();
        book.learn(peer, [address(1)]);
        let mut now = 0;
        for seconds in [1, 2, 4, 8, 8, 8] {
            assert_eq!(book.due(now, 9).len(), 1, "due at {now}");
            assert!(book.due(now, 9).is_empty(), "one dial at a time");
            // A jitter of one half is the plain pause.
            book.failed(&Target::Node(peer), now, 0.5);
            assert!(book.due(now + seconds * SECOND - 1, 9).is_empty(), "not before {seconds} s");
            now += seconds * SECOND;
        }
    }

    #[test]
    fn an_address_without_a_peer_becomes_a_node_and_is_dialled_again_after_its_loss() {
        let peer = PeerId::random();
        let mut book = AddressBook::default();
        book.configure(&address(1));
        assert_eq!(book.due(0, 9), [(Target::Address(address(1)), vec![address(1)])]);
        book.connected(peer, Some(&address(1)));
        assert!(book.due(9 * SECOND, 9).is_empty(), "connected");
        book.disconnected(peer, 9 * SECOND, 0.5);
        let due: Vec<_> = book.due(11 * SECOND, 9).into_iter().map(|(target, _)| target).collect();
        assert_eq!(due, [Target::Node(peer), Target::Address(address(1))]);
    }

    #[test]
    fn the_book_and_each_contact_are_bounded() {
        let mut book = AddressBook::default();
        let peer = PeerId::random();
        (0..100).for_each(|port| book.learn(peer, [address(port)]));
        assert_eq!(book.due(0, 9)[0].1.len(), ADDRESSES_PER_NODE);
        (0..ADDRESS_BOOK_NODES + 5).for_each(|_| book.learn(PeerId::random(), [address(1)]));
        assert_eq!(book.contacts.len(), ADDRESS_BOOK_NODES);
    }

    #[test]
    fn a_node_that_left_is_not_dialled_unless_configured() {
        let (left, configured) = (PeerId::random(), PeerId::random());
        let mut book = AddressBook::default();
        book.learn(left, [address(1)]);
        book.configure(&address(2).with(Protocol::P2p(configured)));
        book.forget(left);
        book.forget(configured);
        let due: Vec<_> = book.due(0, 9).into_iter().map(|(target, _)| target).collect();
        assert_eq!(due, [Target::Node(configured)]);
    }
}
