//! The replica's links over mesh streams: only nodes of our own domain, each class on a stream of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use comity_proto::ids::{DomainId, PublicKey};
use comity_replica::links::{LinkClass, LinkError, LinkHandler, Links};
use comity_replica::types::NodeInfo;
use futures::future::BoxFuture;
use parking_lot::Mutex;

use super::class::Class;
use super::handle::MeshHandle;
use super::rpc::{Refusal, RpcError};

/// The keys of members that ever had another one than the first, which names their place.
#[derive(Clone, Default)]
pub struct MemberKeys(Arc<Mutex<BTreeMap<PublicKey, Vec<PublicKey>>>>);

impl MemberKeys {
    /// From now on these.
    pub fn set(&self, keys: BTreeMap<PublicKey, Vec<PublicKey>>) {
        *self.0.lock() = keys;
    }

    fn of(&self, place: &PublicKey) -> Vec<PublicKey> {
        self.0.lock().get(place).cloned().unwrap_or_default()
    }
}

/// Gives a replica its network.
#[derive(Clone)]
pub struct MeshLinks {
    mesh: MeshHandle,
    domain: DomainId,
    keys: MemberKeys,
}

impl MeshLinks {
    /// Links over `mesh` between nodes of `domain`.
    pub fn new(mesh: MeshHandle, domain: DomainId) -> MeshLinks {
        MeshLinks { mesh, domain, keys: MemberKeys::default() }
    }

    /// Where to say which keys its members have.
    pub fn keys(&self) -> MemberKeys {
        self.keys.clone()
    }

    /// Under which key the member at this place is connected now: before and after it takes up another one.
    fn key_now(&self, place: PublicKey) -> PublicKey {
        let keys = self.keys.of(&place);
        if keys.is_empty() {
            return place;
        }
        let connected = self.mesh.nodes_of(&self.domain);
        let first = keys.first().copied().unwrap_or(place);
        keys.into_iter().find(|key| connected.contains(key)).unwrap_or(first)
    }
}

fn class_of(class: LinkClass) -> Class {
    match class {
        LinkClass::Raft => Class::Raft,
        LinkClass::Forward => Class::Forward,
        LinkClass::Snapshot => Class::Snapshot,
    }
}

impl Links for MeshLinks {
    fn request(
        &self,
        to: &NodeInfo,
        class: LinkClass,
        body: Bytes,
        deadline: Duration,
    ) -> BoxFuture<'static, Result<Bytes, LinkError>> {
        let mesh = self.mesh.clone();
        let node = self.key_now(to.key);
        Box::pin(async move {
            mesh.request(node, class_of(class), body, deadline).await.map_err(|error| match error {
                RpcError::Deadline | RpcError::Lost(_) => LinkError::Lost(error.to_string()),
                RpcError::NotPermitted(_) | RpcError::Refused(_) => LinkError::Refused(error.to_string()),
                RpcError::Unreachable(_) | RpcError::Busy | RpcError::TooLarge { .. } => {
                    LinkError::Unreachable(error.to_string())
                }
            })
        })
    }

    fn serve(&self, class: LinkClass, handler: LinkHandler) {
        self.mesh.serve(
            class_of(class),
            Arc::new(move |caller, body| {
                let answer = handler(caller.node, body);
                Box::pin(async move { answer.await.map_err(Refusal) })
            }),
        );
    }
}
