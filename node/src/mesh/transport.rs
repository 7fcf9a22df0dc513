//! The real network: TCP with noise and yamux. The simulator hands in another transport of the same type.

use futures::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::{Boxed, Transport};
use libp2p::core::upgrade::Version;
use libp2p::{PeerId, identity, noise, tcp, yamux};

use super::limits::{HELLO_DEADLINE, SUBSTREAMS_PER_CONNECTION};

/// What a mesh runs over: authenticated, multiplexed connections.
pub type MeshTransport = Boxed<(PeerId, StreamMuxerBox)>;

/// TCP on the operating system, encrypted and authenticated by noise with the node key.
pub fn tcp_transport(keypair: &identity::Keypair) -> Result<MeshTransport, noise::Error> {
    secured(lines(), keypair)
}

/// The same over lines that `through` wraps on this side, such as one that takes its time.
///
/// # Errors
/// When the key is none for noise.
pub fn tcp_transport_through<S>(
    keypair: &identity::Keypair,
    through: impl Fn(tcp::tokio::TcpStream) -> S + Clone + Send + 'static,
) -> Result<MeshTransport, noise::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    secured(lines().map(move |line, _| through(line)), keypair)
}

fn lines() -> tcp::tokio::Transport {
    tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
}

/// Byte streams of any kind, encrypted, authenticated and multiplexed as every mesh connection is.
pub fn secured<T>(streams: T, keypair: &identity::Keypair) -> Result<MeshTransport, noise::Error>
where
    T: Transport + Send + Unpin + 'static,
    T::Output: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    let mut muxer = yamux::Config::default();
    muxer.set_max_num_streams(SUBSTREAMS_PER_CONNECTION);
    let transport = streams
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(keypair)?)
        .multiplex(muxer)
        .timeout(HELLO_DEADLINE * 2)
        .boxed();
    Ok(transport)
}

/// The same over DNS names (`/dns4/…`), for deployments that address nodes by name.
pub fn tcp_dns_transport(keypair: &identity::Keypair) -> std::io::Result<MeshTransport> {
    let plain = tcp_transport(keypair).map_err(std::io::Error::other)?;
    Ok(libp2p::dns::tokio::Transport::system(plain)?.boxed())
}
