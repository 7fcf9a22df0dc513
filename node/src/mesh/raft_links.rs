//! The replica's links over mesh streams: only nodes of our own domain, each class on a stream of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use comity_replica::links::{LinkClass, LinkError, LinkHandler, Links};
use comity_replica::types::NodeInfo;
use futures::future::BoxFuture;

use super::class::Class;
use super::handle::MeshHandle;
use super::rpc::{Refusal, RpcError};

/// Gives a replica its network.
#[derive(Clone)]
pub struct MeshLinks {
    mesh: MeshHandle,
}

impl MeshLinks {
    /// Links over `mesh`.
    pub fn new(mesh: MeshHandle) -> MeshLinks {
        MeshLinks { mesh }
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
        let node = to.key;
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
