//! Who listens where, what connects whom, and the links between hosts.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Weak},
    task::Waker,
};

use parking_lot::Mutex;

use super::{
    link::{LinkProfile, LinkState},
    pipe::{Flow, Pipe, connect},
};
use crate::world::{Alarm, Chance, HostId, Kind, TimeNs, Universe};

/// Connections that wait to be accepted at one address; more are refused, as by a full backlog.
const BACKLOG: usize = 128;

/// The network of a universe. Clones are the same one.
#[derive(Clone)]
pub struct Network {
    pub(super) universe: Universe,
    state: Arc<Mutex<State>>,
}

struct State {
    chance: Chance,
    /// What links are like that nobody described.
    default: LinkProfile,
    links: BTreeMap<(HostId, HostId), LinkState>,
    addresses: BTreeMap<SocketAddr, HostId>,
    listeners: BTreeMap<SocketAddr, Listener>,
    /// A host's boot number; absent while it is down.
    up: BTreeMap<HostId, u64>,
    boots: u64,
    /// Readers and writers that wait for a link to open.
    waiting: BTreeMap<(HostId, HostId), Vec<Waker>>,
    /// Both directions of the connections that are open, by their numbers.
    open: BTreeMap<u64, OpenConnection>,
    next_connection: u64,
    bytes: u64,
    connections: u64,
}

struct Listener {
    host: HostId,
    queue: VecDeque<(TimeNs, Pipe, SocketAddr)>,
    waker: Option<Waker>,
    alarm: Option<Alarm>,
}

struct OpenConnection {
    ends: (HostId, HostId),
    flows: [Weak<Mutex<Flow>>; 2],
}

/// What became of an attempt to connect.
pub(super) enum Reached {
    /// Somebody listens: the connection is made at this time.
    Accepted(TimeNs, Pipe),
    /// Nobody listens there: told at this time.
    Refused(TimeNs),
    /// Nothing comes back: the link is cut or the host is down.
    Silence,
}

impl Network {
    /// A network whose links are `default` unless described.
    pub fn new(universe: &Universe, default: LinkProfile) -> Network {
        let state = State {
            chance: universe.chance("network"),
            default,
            links: BTreeMap::new(),
            addresses: BTreeMap::new(),
            listeners: BTreeMap::new(),
            up: BTreeMap::new(),
            boots: 0,
            waiting: BTreeMap::new(),
            open: BTreeMap::new(),
            next_connection: 0,
            bytes: 0,
            connections: 0,
        };
        Network { universe: universe.clone(), state: Arc::new(Mutex::new(state)) }
    }

    /// Gives an address to a host, for ever.
    pub fn assign(&self, address: SocketAddr, host: HostId) {
        self.state.lock().addresses.insert(address, host);
    }

    /// The host is there from now on. Connections of earlier lives are dead.
    pub fn host_up(&self, host: HostId) {
        let mut state = self.state.lock();
        state.boots += 1;
        let boot = state.boots;
        state.up.insert(host, boot);
    }

    /// The host is gone without a word: its ports are closed, its peers are told nothing.
    pub fn host_down(&self, host: HostId) {
        let mut state = self.state.lock();
        state.up.remove(&host);
        let (gone, kept) =
            std::mem::take(&mut state.listeners).into_iter().partition(|(_, listener)| listener.host == host);
        state.listeners = kept;
        drop(state);
        let gone: BTreeMap<SocketAddr, Listener> = gone;
        drop(gone);
    }

    /// The boot number of a host that is up.
    pub(super) fn boot_of(&self, host: HostId) -> Option<u64> {
        self.state.lock().up.get(&host).copied()
    }

    /// Changes one direction of a link; wakes what waited for it if it is open afterwards.
    pub fn change(&self, from: HostId, to: HostId, change: impl FnOnce(TimeNs, &mut LinkState, &mut Chance)) {
        let now = self.universe.now();
        let mut state = self.state.lock();
        let State { links, chance, default, waiting, .. } = &mut *state;
        let link = links.entry((from, to)).or_insert_with(|| LinkState::new(*default));
        change(now, link, chance);
        let woken = if link.blocked == 0 { waiting.remove(&(from, to)) } else { None };
        drop(state);
        woken.into_iter().flatten().for_each(Waker::wake);
    }

    /// One direction of a link as it is now.
    pub fn link(&self, from: HostId, to: HostId) -> LinkState {
        let state = self.state.lock();
        let fresh = || LinkState::new(state.default);
        state.links.get(&(from, to)).cloned().unwrap_or_else(fresh)
    }

    /// Resets all connections between two hosts, as a box on the way does that has forgotten them; how many there were.
    pub fn reset(&self, one: HostId, other: HostId) -> usize {
        let now = self.universe.now();
        let state = self.state.lock();
        let between = |open: &&OpenConnection| open.ends == (one, other) || open.ends == (other, one);
        let flows: Vec<[Weak<Mutex<Flow>>; 2]> =
            state.open.values().filter(between).map(|open| open.flows.clone()).collect();
        drop(state);
        for flow in flows.iter().flatten().filter_map(Weak::upgrade) {
            let woken = flow.lock().reset(now);
            woken.into_iter().flatten().for_each(Waker::wake);
        }
        flows.len()
    }

    /// A connection was made.
    pub(super) fn opened(&self, number: u64, ends: (HostId, HostId), flows: [Weak<Mutex<Flow>>; 2]) {
        self.state.lock().open.insert(number, OpenConnection { ends, flows });
    }

    /// One end of a connection is gone.
    pub(super) fn closed(&self, number: u64) {
        self.state.lock().open.remove(&number);
    }

    /// Bytes sent and connections made so far.
    pub fn totals(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.bytes, state.connections)
    }

    /// Asks a link when bytes handed over now arrive, what is done to them, and counts them.
    pub(super) fn carry(&self, from: HostId, to: HostId, connection: u64, bytes: &mut [u8]) -> TimeNs {
        let now = self.universe.now();
        let mut state = self.state.lock();
        let State { links, chance, default, bytes: total, .. } = &mut *state;
        let link = links.entry((from, to)).or_insert_with(|| LinkState::new(*default));
        let at = link.arrival(now, bytes.len(), chance);
        if link.corrupt > 0.0 && chance.ratio(link.corrupt) {
            let bit = chance.below(bytes.len() as u64 * 8);
            bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
        }
        *total += bytes.len() as u64;
        drop(state);
        self.universe.note(Kind::Send, connection, bytes.len() as u64);
        at
    }

    /// Into how large pieces what has arrived falls for its reader.
    pub(super) fn piece(&self, from: HostId, to: HostId, arrived: usize) -> usize {
        let mut state = self.state.lock();
        let State { links, chance, .. } = &mut *state;
        match links.get(&(from, to)) {
            Some(link) if link.split > 0.0 && chance.ratio(link.split) => 1 + chance.below(arrived as u64) as usize,
            _ => arrived,
        }
    }

    /// When bytes come out that were handed over at `sent` and were to come out at `at`; `None` while the link is cut.
    /// While it is cut or clogged, `waker` is called when that may have changed.
    pub(super) fn due(&self, (from, to): (HostId, HostId), at: TimeNs, sent: TimeNs, waker: &Waker) -> Option<TimeNs> {
        let mut state = self.state.lock();
        let State { links, waiting, .. } = &mut *state;
        let Some(link) = links.get(&(from, to)) else { return Some(at) };
        if link.blocked > 0 || link.clogged > 0 {
            let waiting = waiting.entry((from, to)).or_default();
            if !waiting.iter().any(|known| known.will_wake(waker)) {
                waiting.push(waker.clone());
            }
        }
        (link.blocked == 0).then(|| link.due(at, sent))
    }

    /// Begins to listen; false if the address is taken or not this host's.
    pub(super) fn listen(&self, address: SocketAddr, host: HostId) -> bool {
        let mut state = self.state.lock();
        if state.addresses.get(&address) != Some(&host) || state.listeners.contains_key(&address) {
            return false;
        }
        state.listeners.insert(address, Listener { host, queue: VecDeque::new(), waker: None, alarm: None });
        true
    }

    /// Stops listening.
    pub(super) fn unlisten(&self, address: SocketAddr, host: HostId) {
        let mut state = self.state.lock();
        let is_ours = state.listeners.get(&address).is_some_and(|listener| listener.host == host);
        let gone = if is_ours { state.listeners.remove(&address) } else { None };
        drop(state);
        drop(gone);
    }

    /// The next connection that has arrived at an address.
    pub(super) fn accept(&self, address: SocketAddr, waker: &Waker) -> Option<(Pipe, SocketAddr)> {
        let now = self.universe.now();
        let mut state = self.state.lock();
        let listener = state.listeners.get_mut(&address)?;
        match listener.queue.front() {
            Some((at, ..)) if *at <= now => listener.queue.pop_front().map(|(_, pipe, from)| (pipe, from)),
            Some((at, ..)) => {
                listener.alarm = Some(self.universe.alarm(*at, waker));
                None
            }
            None => {
                listener.waker = Some(waker.clone());
                None
            }
        }
    }

    /// Tries to connect `from` to whoever listens at `to`.
    pub(super) fn reach(&self, from: HostId, to: SocketAddr) -> Reached {
        let now = self.universe.now();
        let Some(host) = self.state.lock().addresses.get(&to).copied() else { return Reached::Silence };
        let is_cut = |a, b| {
            let link = self.link(a, b);
            link.blocked > 0 || link.swallowed > 0
        };
        if is_cut(from, host) || is_cut(host, from) || self.boot_of(host).is_none() {
            return Reached::Silence;
        }
        let mut state = self.state.lock();
        state.next_connection += 1;
        let number = state.next_connection;
        drop(state);
        // A handshake: there and back again.
        let there = self.carry(from, host, number, &mut [0; 40]);
        let back = self.carry(host, from, number, &mut [0; 40]).max(there) - now + there;
        let (near, far) = connect(self, from, host, number);
        let mut state = self.state.lock();
        let Some(listener) = state.listeners.get_mut(&to).filter(|listener| listener.queue.len() < BACKLOG) else {
            drop(state);
            near.abandon();
            far.abandon();
            return Reached::Refused(back);
        };
        // An ephemeral port: tells connections apart, as real ones do.
        let port = 32_768 + (number % 28_000) as u16;
        let seen = SocketAddr::new(crate::hosts::address_of(from), port);
        listener.queue.push_back((there, far, seen));
        listener.queue.make_contiguous().sort_by_key(|(at, ..)| *at);
        let waker = listener.waker.take();
        state.connections += 1;
        drop(state);
        self.universe.note(Kind::Connect, u64::from(from), u64::from(host));
        waker.into_iter().for_each(Waker::wake);
        Reached::Accepted(back, near)
    }
}
