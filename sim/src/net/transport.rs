//! libp2p's `Transport` over the false network: what TCP is to a real node.

use std::{
    collections::{BTreeMap, VecDeque},
    future::{Ready, ready},
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use futures::{FutureExt, future::BoxFuture};
use libp2p::{
    Multiaddr, Transport, TransportError,
    core::transport::{DialOpts, ListenerId, TransportEvent},
    multiaddr::Protocol,
};

use super::{
    listener::{Network, Reached},
    pipe::Pipe,
};
use crate::world::{Alarm, HostId, TimeNs, Universe};

/// TCP of one life of one host.
pub struct FalseTcp {
    network: Network,
    host: HostId,
    listeners: BTreeMap<u64, (ListenerId, SocketAddr)>,
    next: u64,
    events: VecDeque<TransportEvent<Ready<io::Result<Pipe>>, io::Error>>,
}

impl FalseTcp {
    /// The transport of `host`.
    pub fn new(network: &Network, host: HostId) -> FalseTcp {
        FalseTcp { network: network.clone(), host, listeners: BTreeMap::new(), next: 0, events: VecDeque::new() }
    }
}

fn socket_of(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    let Protocol::Tcp(port) = parts.next()? else { return None };
    match parts.next() {
        None | Some(Protocol::P2p(_)) => Some(SocketAddr::new(ip, port)),
        Some(_) => None,
    }
}

fn address_of(socket: SocketAddr) -> Multiaddr {
    Multiaddr::from(socket.ip()).with(Protocol::Tcp(socket.port()))
}

impl Transport for FalseTcp {
    type Output = Pipe;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<Pipe>>;
    type Dial = BoxFuture<'static, io::Result<Pipe>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        let socket = socket_of(&address).ok_or(TransportError::MultiaddrNotSupported(address))?;
        if !self.network.listen(socket, self.host) {
            return Err(TransportError::Other(io::ErrorKind::AddrInUse.into()));
        }
        self.next += 1;
        self.listeners.insert(self.next, (id, socket));
        self.events.push_back(TransportEvent::NewAddress { listener_id: id, listen_addr: address_of(socket) });
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let Some((&key, &(_, socket))) = self.listeners.iter().find(|(_, (known, _))| *known == id) else {
            return false;
        };
        self.listeners.remove(&key);
        self.network.unlisten(socket, self.host);
        self.events.push_back(TransportEvent::ListenerClosed { listener_id: id, reason: Ok(()) });
        true
    }

    fn dial(&mut self, address: Multiaddr, _options: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let socket = socket_of(&address).ok_or(TransportError::MultiaddrNotSupported(address))?;
        let (network, host) = (self.network.clone(), self.host);
        let dialled = async move {
            match network.reach(host, socket) {
                Reached::Accepted(at, pipe) => {
                    wait_until(&network.universe, at).await;
                    Ok(pipe)
                }
                Reached::Refused(at) => {
                    wait_until(&network.universe, at).await;
                    Err(io::ErrorKind::ConnectionRefused.into())
                }
                // The dialler's own time-out ends it.
                Reached::Silence => std::future::pending().await,
            }
        };
        Ok(dialled.boxed())
    }

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        let this = self.get_mut();
        if let Some(event) = this.events.pop_front() {
            return Poll::Ready(event);
        }
        for (id, socket) in this.listeners.values() {
            if let Some((pipe, from)) = this.network.accept(*socket, cx.waker()) {
                return Poll::Ready(TransportEvent::Incoming {
                    listener_id: *id,
                    upgrade: ready(Ok(pipe)),
                    local_addr: address_of(*socket),
                    send_back_addr: address_of(from),
                });
            }
        }
        Poll::Pending
    }
}

impl Drop for FalseTcp {
    fn drop(&mut self) {
        for (_, socket) in self.listeners.values() {
            self.network.unlisten(*socket, self.host);
        }
    }
}

/// Ends at a point of universe time.
async fn wait_until(universe: &Universe, at: TimeNs) {
    let mut alarm: Option<Alarm> = None;
    std::future::poll_fn(|cx| {
        if universe.now() >= at {
            return Poll::Ready(());
        }
        let is_set = alarm.as_ref().is_some_and(|alarm| universe.realarm(alarm, cx.waker()));
        if !is_set {
            alarm = Some(universe.alarm(at, cx.waker()));
        }
        Poll::Pending
    })
    .await;
}
