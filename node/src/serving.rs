//! What a node answers other nodes, class by class.

use crate::{
    bridge, drift,
    mesh::{Caller, Class, Refusal},
    node::Node,
    service::relay,
    settle::{inbound, words},
    tasks::{serve, spread},
    witness,
};
use bytes::Bytes;
use comity_proto::{
    ids::DomainId,
    relay::{Answer, Question},
};
use std::{sync::Arc, time::Duration};

impl Node {
    /// Takes settlement batches of peers, from now on.
    pub(crate) fn serve_settlement(self: &Arc<Node>) {
        let node = self.clone();
        self.mesh().serve(
            Class::Settlement,
            Arc::new(move |caller, envelope| {
                let node = node.clone();
                Box::pin(async move { node.hear_settlement(caller, None, envelope).await })
            }),
        );
    }

    /// What a domain says about transfers: `caller` is of it, or the node of a gateway of the domain `through`.
    pub(crate) async fn hear_settlement(
        &self,
        caller: Caller,
        through: Option<DomainId>,
        envelope: Bytes,
    ) -> Result<Bytes, Refusal> {
        // Only nodes of domains that are known may speak in this class.
        let partner = caller.domain.ok_or_else(|| Refusal("nobody knows your domain".to_owned()))?;
        if let Some(over) = inbound::over_licence(self.mesh(), self.replica(), &caller, &envelope) {
            return Err(Refusal(over.name().to_owned()));
        }
        let hold_votes = Duration::from_millis(self.home().config.hold_votes_ms);
        let speaker = (partner, through);
        inbound::take(self.replica().clone(), self.budgets(), speaker, envelope, hold_votes).await
    }

    /// Answers what other nodes ask, in every class.
    pub(crate) fn serve_mesh(self: &Arc<Node>) {
        self.serve_settlement();
        let node = self.clone();
        self.mesh().serve(
            Class::Tasks,
            Arc::new(move |caller, body| {
                let node = node.clone();
                Box::pin(async move { node.answer(caller, body).await })
            }),
        );
        let node = self.clone();
        self.mesh().serve(
            Class::Treaty,
            Arc::new(move |_caller, body| {
                let node = node.clone();
                Box::pin(async move { crate::treaty::take(&node, body).await })
            }),
        );
        let node = self.clone();
        self.mesh().serve(
            Class::Drift,
            Arc::new(move |caller, body| {
                let node = node.clone();
                Box::pin(async move { drift::answer(&node, caller, &body).await })
            }),
        );
        let node = self.clone();
        self.mesh().serve(
            Class::Bridge,
            Arc::new(move |caller, body| {
                let node = node.clone();
                Box::pin(async move { bridge::answer(&node, caller, body).await })
            }),
        );
        let node = self.clone();
        self.mesh().serve(
            Class::Join,
            Arc::new(move |caller, body| {
                let node = node.clone();
                Box::pin(async move { crate::join::admit(&node, caller, body).await })
            }),
        );
        let node = self.clone();
        self.mesh().serve_tasks(Arc::new(move |caller, stream| Box::pin(serve::serve(node.clone(), caller, stream))));
    }

    async fn answer(&self, caller: Caller, body: Bytes) -> Result<Bytes, Refusal> {
        match Question::decode(&body) {
            Ok(Question::IsHere(agent)) if caller.own => Ok(Answer::IsHere(self.desk().is_here(agent)).encode()),
            Ok(Question::Given { request, note }) if caller.own => Ok(spread::take(self, &request, note).encode()),
            Ok(Question::Word(to, transfer)) if caller.own => words::answer(self, to, transfer).await,
            Ok(Question::IsHere(_) | Question::Given { .. } | Question::Word(..)) => {
                Err(Refusal("asked inside one domain only".to_owned()))
            }
            Ok(Question::Commands(envelope)) => {
                if let Some(peer) = caller.domain.filter(|_| !caller.own) {
                    let events = relay::commands_in(&envelope);
                    self.mesh().admit(&peer, events).map_err(|over| Refusal(over.name().to_owned()))?;
                }
                Ok(relay::record(self, envelope).await.encode())
            }
            Ok(Question::Bundle) => crate::service::federation::own_bundle(self)
                .map(|bundle| Answer::Document(bundle.into()).encode())
                .map_err(|error| Refusal(error.code)),
            Ok(about_checkpoints) => {
                witness::answer(self, caller, about_checkpoints).await.map(|answer| answer.encode())
            }
            Err(reject) => Err(Refusal(format!("no question that this node answers: {reject}"))),
        }
    }
}
