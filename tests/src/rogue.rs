//! A node that holds a real certificate and says what no honest one says.

use super::{PATIENCE, block_on, single::Single, wait_for};
use comity_node::{
    bridge::Said,
    home::Home,
    mesh::{
        Class, Identity, MeshConfig, MeshHandle, Relation, RpcError, Standing, Trust, TrustedDomain, peer,
        tcp_transport,
    },
};
use comity_proto::{
    envelope::Signed as _,
    identity::{NodeCertificate, Roles},
    ids::PublicKey,
    relay::{Answer, Question, Receipt},
    text::AgentString,
    treaty::TreatyPush,
};
use std::{net::SocketAddr, time::Duration};

/// With the key and the place of a node that does not run.
pub struct Rogue {
    mesh: MeshHandle,
    to: PublicKey,
    /// Envelope of its certificate.
    pub certificate: Vec<u8>,
}

impl Rogue {
    /// Connected to `victim`, whose domain it takes for a peer.
    ///
    /// # Panics
    /// When the victim does not take it for a node of its domain.
    pub fn towards(victim: &Single, home: &Home, roles: Roles) -> Rogue {
        let root = &home.domain_keys.as_ref().expect("a founder").root;
        let said = NodeCertificate::open(&home.certificate).expect("a certificate").into_inner();
        let certificate = NodeCertificate { roles, ..said }.seal(root);
        let victims = victim.home();
        let mut trust = Trust::default();
        for (key, relation) in [(home.domain_key, Relation::Own), (victims.domain_key, Relation::Peer)] {
            trust.domains.insert(comity_proto::ids::DomainId::of_key(&key), TrustedDomain::first(key, relation));
        }
        let identity =
            Identity { domain: Some(home.domain()), certificate: certificate.clone(), roster: home.roster.clone() };
        let mesh = block_on(async {
            let keypair = peer::libp2p_keypair(&home.node.seed()).expect("a seed is a key");
            let transport = tcp_transport(&keypair).expect("noise takes an ed25519 key");
            let agent = AgentString::new("rogue/1").expect("printable");
            let mut config = MeshConfig::new(home.node.clone(), agent, identity, trust, transport);
            config.bootstrap = vec![comity_node::address::of_socket(victims.config.mesh)];
            MeshHandle::start(config).await.expect("it starts")
        });
        let to = victims.node.public();
        wait_for("the victim to take it for a node of its domain", PATIENCE, || {
            let neighbours = mesh.neighbours();
            let there = neighbours.iter().find(|other| other.node == to)?;
            let known = matches!(there.takes_us_for.as_deref(), Some("peer" | "known"));
            (known && matches!(there.standing, Standing::Peer { .. })).then_some(())
        });
        Rogue { mesh, to, certificate: certificate.to_vec() }
    }

    /// What the victim answers: nothing, or the name of its refusal.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn say(&self, said: &Said) -> Result<(), String> {
        self.say_bytes(said.to_bytes().to_vec())
    }

    /// What the victim answers to a question.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn ask(&self, question: &Question) -> Result<Answer, String> {
        let patience = Duration::from_secs(60);
        match block_on(self.mesh.request(self.to, Class::Tasks, question.encode(), patience)) {
            Ok(bytes) => Ok(Answer::decode(&bytes).expect("an answer")),
            Err(RpcError::Refused(words)) => Err(words),
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// What the victim's outcomes are to a word about a treaty.
    ///
    /// # Panics
    /// When it gives no receipt.
    pub fn say_of_treaty(&self, push: &TreatyPush) -> Vec<u16> {
        let patience = Duration::from_secs(60);
        let answer = block_on(self.mesh.request(self.to, Class::Treaty, push.encode(), patience)).expect("an answer");
        match Answer::decode(&answer).expect("an answer") {
            Answer::Receipt(receipt) => Receipt::open(&receipt).expect("a receipt").into_inner().outcomes,
            other => panic!("no receipt: {other:?}"),
        }
    }

    /// The same for any bytes.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn say_bytes(&self, body: Vec<u8>) -> Result<(), String> {
        match block_on(self.mesh.request(self.to, Class::Bridge, body.into(), Duration::from_secs(10))) {
            Ok(_) => Ok(()),
            Err(RpcError::Refused(words)) => Err(words),
            Err(error) => panic!("no answer: {error}"),
        }
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        block_on(self.mesh.shutdown());
    }
}

/// Where a node listens from now on; it must not run.
///
/// # Panics
/// When its configuration cannot be written.
pub fn reconfigure(node: &mut Single, change: impl FnOnce(&mut comity_node::config::Config)) {
    let path = node.dir.join(comity_node::config::CONFIG_FILE);
    let text = std::fs::read_to_string(&path).expect("a configuration");
    let mut config = comity_node::config::Config::parse(&text).unwrap_or_else(|error| panic!("{error}"));
    change(&mut config);
    let mesh: SocketAddr = config.mesh;
    node.mesh = mesh;
    std::fs::write(&path, config.to_text()).expect("a configuration is written");
}
