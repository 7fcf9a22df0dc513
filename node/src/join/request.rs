//! The invited side: a stranger on the mesh until the inviting node has certified it.

use super::{admission::Admitted, token::Token};
use crate::{
    address,
    config::Config,
    founding::fresh_key,
    home::Home,
    mesh::{Class, Identity, MeshConfig, MeshHandle, MeshTransport, Relation, Trust, TrustedDomain},
    service::error::{Kind, ServiceError},
};
use bytes::Bytes;
use comity_proto::{
    envelope::Signed as _,
    identity::{JoinRequest, NodeCertificate},
    keys::SecretKey,
    text::Endpoint,
};
use std::{path::Path, time::Duration};

/// How long the inviting node has to be reached and to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Gets a new node certified and writes its data directory.
///
/// # Errors
/// `bad_join_token`, `join_refused` with the inviting node's words, `inviter_unreachable`.
pub async fn join(dir: &Path, config: Config, token: &str) -> Result<Home, ServiceError> {
    let key = fresh_key();
    let keypair = crate::mesh::peer::libp2p_keypair(&key.seed()).map_err(|error| cannot(&error))?;
    let transport = crate::mesh::tcp_dns_transport(&keypair).map_err(|error| cannot(&error))?;
    let home = join_over(dir, config, token, key, transport).await?;
    home.save()?;
    Ok(home)
}

/// The same over the given network, which must speak with `key`; writes nothing.
///
/// # Errors
/// As [`join`].
pub async fn join_over(
    dir: &Path,
    mut config: Config,
    token: &str,
    key: SecretKey,
    transport: MeshTransport,
) -> Result<Home, ServiceError> {
    let token = Token::parse(token)?;
    let admitted = ask(&config, &key, &token, transport).await?;
    let certificate = Bytes::from(admitted.certificate);
    let certified = NodeCertificate::open(&certificate).ok().filter(|certificate| {
        *certificate.first_key() == token.domain_key
            && certificate.get().node == key.public()
            && certificate.get().domain == token.domain()
    });
    if certified.is_none() {
        return Err(refused("the certificate is not of the domain that the token names"));
    }
    config.domain = admitted.nickname;
    config.bootstrap = admitted.members;
    config.bootstrap.extend(token.addresses.iter().cloned());
    config.bootstrap.sort();
    config.bootstrap.dedup();
    Ok(Home::member(dir, config, key, certificate, token.domain_key, Bytes::from(admitted.roster)))
}

fn cannot(error: &dyn std::fmt::Display) -> ServiceError {
    let next = "check the address in the token, the network, and that the other node is up";
    ServiceError::new(Kind::Unavailable, "inviter_unreachable", error.to_string(), next)
}

fn refused(words: &str) -> ServiceError {
    ServiceError::new(Kind::Refused, "join_refused", words, "ask the operator for a fresh token: comity join-token")
}

async fn ask(
    config: &Config,
    key: &SecretKey,
    token: &Token,
    transport: MeshTransport,
) -> Result<Admitted, ServiceError> {
    let identity = Identity { domain: None, certificate: Bytes::new(), roster: Bytes::new() };
    let mut trust = Trust::default();
    trust.domains.insert(token.domain(), TrustedDomain::first(token.domain_key, Relation::Own));
    let mut mesh_config = MeshConfig::new(key.clone(), crate::node::agent_string(), identity, trust, transport);
    mesh_config.bootstrap = token.addresses.iter().map(|text| address::parse(text)).collect::<Result<_, _>>()?;
    let mesh = MeshHandle::start(mesh_config).await.map_err(|error| cannot(&error))?;
    let request = request(config, key, token).map_err(|error| cannot(&error))?;
    let ends = comity_runtime::now() + PATIENCE;
    let answer = loop {
        match mesh.request(token.node, Class::Join, request.clone(), PATIENCE).await {
            Ok(answer) => break Ok(answer),
            Err(crate::mesh::RpcError::Refused(words)) => break Err(refused(&words)),
            Err(error) if comity_runtime::now() >= ends => break Err(cannot(&error)),
            Err(_not_connected_yet) => comity_runtime::sleep(Duration::from_millis(100)).await,
        }
    };
    mesh.shutdown().await;
    postcard::from_bytes(&answer?).map_err(|_| refused("the answer was not understood; update this node"))
}

fn request(config: &Config, key: &SecretKey, token: &Token) -> Result<Bytes, comity_proto::reject::Reject> {
    let mut nonce = [0; 16];
    comity_runtime::entropy(&mut nonce);
    let request = JoinRequest {
        domain: token.domain(),
        node: key.public(),
        token_proof: JoinRequest::proof_of(&token.secret, &key.public()),
        endpoints: vec![Endpoint::new(&address::of_socket(config.mesh).to_string())?],
        issued_at_ms: comity_runtime::wall_ms(),
        nonce,
    };
    Ok(request.seal(key))
}
