//! A TLS client that is not the product's: it verifies strictly, shows a certificate if it has one, and speaks HTTP by hand.

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, Stream,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    version::TLS13,
};
use serde_json::Value;
use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::Arc,
    time::Duration,
};

/// Who connects.
pub struct Visitor(Arc<ClientConfig>);

/// What the door said.
#[derive(Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
    /// The certificate that the door showed.
    pub leaf: Vec<u8>,
}

impl Reply {
    /// The name of the refusal.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(|read| read.expect("a certificate")).collect()
}

impl Visitor {
    /// Takes a door for what it says under these authorities; shows this chain with this key, in PEM.
    ///
    /// # Panics
    /// When one of them is none.
    pub fn new(bundle: &str, shows: Option<(&str, &str)>) -> Visitor {
        let mut roots = RootCertStore::empty();
        for authority in certificates(bundle) {
            roots.add(authority).expect("an authority");
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_protocol_versions(&[&TLS13]).expect("TLS 1.3").with_root_certificates(roots);
        let config = match shows {
            Some((chain, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                builder.with_client_auth_cert(certificates(chain), key).expect("a certificate of that key")
            }
            None => builder.with_no_client_auth(),
        };
        Visitor(Arc::new(config))
    }

    /// One visitor from the files that `comity keyring svid` wrote, at a door of the domain with this bundle.
    ///
    /// # Panics
    /// When a file is not there.
    pub fn of(dir: &Path, bundle: &str) -> Visitor {
        let text = |name: &str| std::fs::read_to_string(dir.join(name)).expect("a file of `comity keyring svid`");
        Visitor::new(bundle, Some((&text("svid.pem"), &text("svid.key"))))
    }

    /// GET, with further header lines.
    ///
    /// # Errors
    /// When the handshake fails, or the door closes in between.
    pub fn get(&self, at: SocketAddr, path: &str, headers: &str) -> io::Result<Reply> {
        let name = ServerName::IpAddress(at.ip().into());
        let mut connection = ClientConnection::new(self.0.clone(), name).map_err(io::Error::other)?;
        let mut socket = TcpStream::connect(at)?;
        socket.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut stream = Stream::new(&mut connection, &mut socket);
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {at}\r\n{headers}connection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("no answer"))?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let leaf = connection.peer_certificates().and_then(|chain| chain.first()).map(|leaf| leaf.to_vec());
        Ok(Reply {
            status: status.ok_or_else(|| io::Error::other("no status"))?,
            body: serde_json::from_str(body).unwrap_or_default(),
            leaf: leaf.unwrap_or_default(),
        })
    }
}
