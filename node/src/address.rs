//! Addresses as people write them (`host:port`) and as the mesh does (multiaddresses).

use crate::{config::Founder, service::error::ServiceError};
use comity_replica::NodeInfo;
use std::net::{IpAddr, SocketAddr};

/// A mesh address; the type is libp2p's, the mesh module exports it.
pub use crate::mesh::Multiaddr;

/// TCP on an IP address.
pub fn of_socket(socket: SocketAddr) -> Multiaddr {
    let ip = match socket.ip() {
        IpAddr::V4(ip) => format!("/ip4/{ip}"),
        IpAddr::V6(ip) => format!("/ip6/{ip}"),
    };
    // An IP address and a port always make a multiaddress.
    format!("{ip}/tcp/{}", socket.port()).parse().unwrap_or_else(|_| Multiaddr::empty())
}

/// `host:port`, or a multiaddress as it is.
///
/// # Errors
/// `bad_address`.
pub fn parse(text: &str) -> Result<Multiaddr, ServiceError> {
    let bad = || ServiceError::bad_input("bad_address", format!("`{text}` is no host:port and no multiaddress"));
    if text.starts_with('/') {
        return text.parse().map_err(|_| bad());
    }
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Ok(of_socket(socket));
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let port: u16 = port.parse().map_err(|_| bad())?;
    format!("/dns/{host}/tcp/{port}").parse().map_err(|_| bad())
}

/// A founder as the replica knows it.
///
/// # Errors
/// `bad_config` for a key that is none.
pub fn of_founder(founder: &Founder) -> Result<NodeInfo, ServiceError> {
    let key = founder
        .key
        .parse()
        .map_err(|_| ServiceError::bad_input("bad_config", format!("founders: `{}` is no key", founder.key)))?;
    Ok(NodeInfo { key, addresses: vec![of_socket(founder.mesh).to_string()] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_sockets_and_multiaddresses_are_understood() {
        for (text, want) in [
            ("127.0.0.1:7401", "/ip4/127.0.0.1/tcp/7401"),
            ("[::1]:7401", "/ip6/::1/tcp/7401"),
            ("edge.example:7401", "/dns/edge.example/tcp/7401"),
            ("/ip4/10.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), want);
        }
        for text in ["edge", "edge:port", "", "/nonsense"] {
            assert_eq!(parse(text).unwrap_err().code, "bad_address", "{text}");
        }
    }
}
