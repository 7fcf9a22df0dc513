//! The same routes over TLS: who connects is asked for a certificate and may have none.
//!
//! A handshake proves only that the client holds the key of the certificate that it shows. Whose it is and whether that
//! counts is judged with each request, where a refusal has a name and where what was revoked since ends too.

use super::connections::{Places, Seat, Watched};
use crate::{
    config::Https,
    metrics::Taken,
    node::Node,
    service::error::{Kind, ServiceError},
};
use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use comity_runtime as runtime;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::{
        ClientHello, ResolvesServerCert,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::TLS13,
};
use std::{io, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// A client that is slower than this is let go.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// Connections whose handshake has succeeded and that nobody has taken yet.
const READY: usize = 64;
/// Pause after the system refused a connection: it is out of something.
const PAUSE: Duration = Duration::from_millis(100);

/// The certificates that a client showed, leaf first; none if it showed none. And the place that its connection has.
#[derive(Clone, Debug)]
pub(super) struct Presented(Arc<[CertificateDer<'static>]>, Seat);

impl Presented {
    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0
    }

    pub(super) fn seat(&self) -> Seat {
        self.1.clone()
    }
}

impl Connected<IncomingStream<'_, Door>> for Presented {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Presented {
        stream.remote_addr().clone()
    }
}

/// Serves on `https.listen` until `stop` ends.
///
/// # Errors
/// `port_taken`, and what keeps TLS from being set up.
pub(crate) async fn serve(
    node: Arc<Node>,
    https: &Https,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServiceError> {
    let config = config(node.clone()).map_err(|error| {
        ServiceError::new(Kind::Internal, "cannot_start_https", error.to_string(), "report this as a defect")
    })?;
    let listener = super::listen(https.listen).await?;
    let taken = node.metrics().https.clone();
    let door = Door::open(listener, TlsAcceptor::from(Arc::new(config)), taken);
    let service = super::router(node).into_make_service_with_connect_info::<Presented>();
    runtime::spawn(async move {
        let ended = axum::serve(door, service).with_graceful_shutdown(stop).await;
        if let Err(error) = ended {
            tracing::error!(%error, "the HTTPS door is closed");
        }
    });
    Ok(())
}

fn config(node: Arc<Node>) -> Result<ServerConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let asked = Arc::new(Asked(provider.signature_verification_algorithms));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(asked)
        .with_cert_resolver(Arc::new(Current(node)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A ticket would bring a client back under a certificate that has ended.
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Whatever SVID is in use at that moment; without one no handshake succeeds.
struct Current(Arc<Node>);

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Current")
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.svids().key()
    }
}

/// Asks for a certificate and checks that the client holds its key.
#[derive(Debug)]
struct Asked(WebPkiSupportedAlgorithms);

impl ClientCertVerifier for Asked {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Connections whose handshake has succeeded.
struct Door {
    ready: mpsc::Receiver<(TlsStream<Watched>, Presented)>,
}

impl Door {
    fn open(listener: TcpListener, acceptor: TlsAcceptor, taken: Taken) -> Door {
        let (done, ready) = mpsc::channel(READY);
        runtime::spawn(accept(listener, acceptor, Places::new(taken), done));
        Door { ready }
    }
}

/// Each handshake is a task of its own, so that a client that says nothing holds up no other.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    places: Arc<Places>,
    done: mpsc::Sender<(TlsStream<Watched>, Presented)>,
) {
    loop {
        let stream = tokio::select! {
            biased;
            () = done.closed() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "a connection was not accepted");
                    runtime::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let stream = places.admit(stream).await;
        let (acceptor, done) = (acceptor.clone(), done.clone());
        runtime::spawn(async move {
            let seat = stream.seat();
            let Ok(Ok(stream)) = runtime::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await else { return };
            let chain = stream.get_ref().1.peer_certificates().unwrap_or_default().to_vec();
            // A door that closes meanwhile closes this connection too.
            let _taken = done.send((stream, Presented(chain.into(), seat))).await;
        });
    }
}

impl Listener for Door {
    type Io = TlsStream<Watched>;
    type Addr = Presented;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(ready) => ready,
            // Nobody accepts any more: there will be no further connection.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Presented(Vec::new().into(), Seat::default()))
    }
}
