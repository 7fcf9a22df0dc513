//! The inviting side: one-use secrets, and the certificate for whoever brings one.

use super::{admitted::AdmittedNodes, token::Token};
use crate::{
    address,
    home::voter,
    mesh::{Caller, Refusal},
    node::{Node, raft_id},
    service::error::{Kind, ServiceError},
};
use bytes::Bytes;
use comity_proto::{envelope::Signed as _, identity::JoinRequest, limits::HOUR_MS};
use comity_replica::NodeInfo;
use comity_runtime::disk::{Disk, DiskError};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// Invitations open at once.
const INVITATIONS_MAX: usize = 64;

/// Who may join.
pub struct JoinDesk {
    /// Invitations that were not used yet: the secret, and when it ends (ms since the Unix epoch).
    open: Mutex<BTreeMap<[u8; 32], u64>>,
    /// Nodes that were certified and shall become replicas.
    pub(super) admitted: AdmittedNodes,
}

/// What a certified node is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Admitted {
    pub(super) certificate: Vec<u8>,
    pub(super) roster: Vec<u8>,
    pub(super) nickname: String,
    /// Mesh addresses of the domain's nodes.
    pub(super) members: Vec<String>,
}

/// Prints an invitation.
///
/// # Errors
/// `no_domain_key`, `too_many_invitations`.
pub fn invite(node: &Node, hours: u32) -> Result<(String, u64), ServiceError> {
    if node.home().domain_keys.is_none() {
        return Err(node.home().no_root_key("certify another node"));
    }
    let mut secret = [0; 32];
    comity_runtime::entropy(&mut secret);
    let token = Token {
        domain_key: node.home().domain_key,
        node: node.key().public(),
        addresses: vec![address::of_socket(node.home().config.mesh).to_string()],
        secret,
    };
    let now_ms = comity_runtime::wall_ms();
    let ends_ms = now_ms.saturating_add(u64::from(hours).saturating_mul(HOUR_MS));
    let mut open = node.join().open.lock();
    open.retain(|_, ends_ms| *ends_ms > now_ms);
    if open.len() >= INVITATIONS_MAX {
        let next = "wait until some are used or have ended";
        let detail = format!("{INVITATIONS_MAX} invitations are open");
        return Err(ServiceError::new(Kind::Busy, "too_many_invitations", detail, next));
    }
    open.insert(secret, ends_ms);
    Ok((token.to_text(), ends_ms))
}

impl JoinDesk {
    /// Takes up what a disk knows of admitted nodes; invitations end with the process that gave them.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn on(disk: Arc<dyn Disk>) -> Result<JoinDesk, DiskError> {
        Ok(JoinDesk { open: Mutex::default(), admitted: AdmittedNodes::on(disk)? })
    }

    /// Uses up the invitation that the request proves; `false` when there is none.
    fn take(&self, request: &JoinRequest, now_ms: u64) -> bool {
        let mut open = self.open.lock();
        let proved = |secret: &[u8; 32]| JoinRequest::proof_of(secret, &request.node) == request.token_proof;
        let secret = open.keys().copied().find(proved);
        secret.and_then(|secret| open.remove(&secret)).is_some_and(|ends_ms| ends_ms > now_ms)
    }
}

/// Certifies a node that brings an open invitation; the invitation is used up.
pub(crate) async fn admit(node: &Node, caller: Caller, body: Bytes) -> Result<Bytes, Refusal> {
    let refuse = |words: &str| Refusal(words.to_owned());
    let request = JoinRequest::open(&body).map_err(|reject| Refusal(reject.to_string()))?.into_inner();
    if request.domain != node.domain() || request.node != caller.node {
        return Err(refuse("bad_join_request: for another domain, or not signed by the node that brings it"));
    }
    let Some(keys) = &node.home().domain_keys else { return Err(refuse("no_domain_key: ask the founding node")) };
    let now_ms = comity_runtime::wall_ms();
    if !node.join().take(&request, now_ms) {
        return Err(refuse("join_token_unknown: used already, expired, or void since this node restarted"));
    }
    // From the domain's time on, which a majority's clocks agree about: a certificate from a clock that runs ahead would
    // shut the node out until the others' clocks are there. Its end is by this clock: a quiet domain's time may be old.
    let agreed_ms = node.replica().read_stale(|ledger, _| ledger.stamp_ms());
    let certificate = keys.certify_from(request.node, voter(), now_ms, now_ms.min(agreed_ms), now_ms);
    let addresses: Vec<String> = request.endpoints.iter().map(ToString::to_string).collect();
    let info = NodeInfo { key: request.node, addresses };
    if let Err(error) = node.join().admitted.add(raft_id(&request.node), info).await {
        return Err(refuse(&format!("not_admitted: {error}; the invitation is used up, ask for another")));
    }
    let status = node.replica().status();
    let members = status.voters.iter().chain(&status.learners).flat_map(|member| member.info.addresses.clone());
    let roster = node.replica().read_stale(|ledger, _| ledger.domain().map(|domain| domain.roster.clone()));
    let admitted = Admitted {
        certificate: certificate.to_vec(),
        roster: roster.unwrap_or_else(|| node.home().roster.clone()).to_vec(),
        nickname: node.home().config.domain.clone(),
        members: members.collect(),
    };
    postcard::to_allocvec(&admitted).map(Bytes::from).map_err(|error| Refusal(error.to_string()))
}
