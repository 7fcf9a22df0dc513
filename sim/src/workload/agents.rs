//! One simulated client: a key, a home, and the patience to ask again under the same request id.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use comity_ledger::Outcome;
use comity_node::{
    node::Node,
    service::{
        commands,
        error::{Changed, Kind},
    },
    signer::{Signer, VALID_FOR_MS},
};
use comity_proto::{
    command::{Command, Verb},
    ids::{AgentId, RequestId},
};

use super::history::{Answer, History, Operation};
use crate::{hosts::Hosts, world::Chance};

/// How long one node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(250);
/// Share of the requests that are sent to a second node at the same time.
const TWICE: f64 = 0.15;

/// An agent or an operator of a domain.
#[derive(Clone)]
pub struct SimAgent {
    /// Its number among the agents; `None` for an operator.
    pub number: Option<usize>,
    /// Index of its home domain.
    pub domain: usize,
    /// Its key.
    pub signer: Signer,
    /// Whether it only deals with savers of its own domain.
    pub is_saver: bool,
}

/// One request, signed, on its way to one ledger.
#[derive(Clone)]
struct Request {
    operation: Operation,
    envelope: Bytes,
    key: String,
    /// Index of the domain whose nodes are asked: the signer's own.
    through: usize,
}

impl SimAgent {
    /// Its id; `None` for an operator.
    pub fn id(&self) -> Option<AgentId> {
        self.signer.agent_id()
    }

    /// Asks the home ledger through any node that is up, again under the same request id while the answer is unknown,
    /// at most `attempts` times.
    pub async fn command(
        &self,
        hosts: &Hosts,
        history: &History,
        chance: &mut Chance,
        verb: Verb,
        attempts: usize,
    ) -> Answer {
        self.command_of(hosts, history, chance, self.domain, verb, attempts).await
    }

    /// As [`SimAgent::command`], to the ledger of another domain; the agent's own node passes it on.
    pub async fn command_of(
        &self,
        hosts: &Hosts,
        history: &History,
        chance: &mut Chance,
        ledger: usize,
        verb: Verb,
        attempts: usize,
    ) -> Answer {
        let mut id = [0; 16];
        chance.fill(&mut id);
        self.command_as(hosts, history, chance, (ledger, RequestId(id)), verb, attempts).await
    }

    /// As [`SimAgent::command_of`], under a request id of the caller's.
    pub async fn command_as(
        &self,
        hosts: &Hosts,
        history: &History,
        chance: &mut Chance,
        (ledger, request_id): (usize, RequestId),
        verb: Verb,
        attempts: usize,
    ) -> Answer {
        let now_ms = comity_runtime::wall_ms();
        let home = hosts.domains()[ledger].id();
        let batch = self.signer.towards(home).sign_all(vec![Command { request_id, verb: verb.clone() }], now_ms);
        let valid_until_ms = now_ms + VALID_FOR_MS;
        let operation = Operation { by: self.id(), domain: ledger, request_id, valid_until_ms, verb };
        let key = batch.request_id.to_string();
        let request = Request { operation, envelope: batch.envelope, key, through: self.domain };
        if chance.ratio(TWICE) {
            let (hosts, history, request) = (hosts.clone(), history.clone(), request.clone());
            let mut own = Chance::stream(chance.any(), "twice");
            comity_runtime::spawn(async move {
                ask(&hosts, &history, &mut own, request, attempts).await;
            });
        }
        ask(hosts, history, chance, request, attempts).await
    }

    /// Sends bytes as they are, once: for messages that must be refused.
    pub async fn raw(
        &self,
        hosts: &Hosts,
        history: &History,
        chance: &mut Chance,
        operation: Operation,
        envelope: Bytes,
    ) -> Answer {
        let key = operation.request_id.to_string();
        let request = Request { operation, envelope, key, through: self.domain };
        ask(hosts, history, chance, request, 1).await
    }
}

async fn ask(hosts: &Hosts, history: &History, chance: &mut Chance, request: Request, attempts: usize) -> Answer {
    let call = history.ask(hosts.universe.now(), request.operation.clone());
    let mut answer = Answer::Refused("nobody is up".to_owned());
    let mut asked = false;
    for _ in 0..attempts {
        let domain = hosts.domains()[request.through].clone();
        let up: Vec<_> = domain.hosts.iter().filter_map(|host| hosts.node(*host)).collect();
        if let Some(node) = chance.pick(&up) {
            let now = once(node, &request).await;
            let is_final = matches!(now, Answer::Done { .. });
            answer = match now {
                // An earlier attempt may have succeeded although this one was turned away at the door.
                Answer::Refused(code) if asked => Answer::Unknown(code),
                now => now,
            };
            asked |= matches!(answer, Answer::Unknown(_));
            if is_final {
                break;
            }
        }
        comity_runtime::sleep(AGAIN).await;
    }
    if matches!(answer, Answer::Done { outcome: Outcome::PeerInDrift, .. }) {
        hosts.mark("drift:transfer-refused");
    }
    history.answer(call, hosts.universe.now(), answer.clone());
    answer
}

async fn once(node: &Arc<Node>, request: &Request) -> Answer {
    let submitted = commands::submit(node, request.envelope.clone(), &request.key);
    match comity_runtime::timeout(PATIENCE, submitted).await {
        Ok(Ok(done)) => {
            let outcome = done.results.first().map_or(Outcome::Malformed, |(_, outcome)| *outcome);
            Answer::Done { log_index: done.log_index, outcome }
        }
        Ok(Err(error)) => match Outcome::from_name(&error.code) {
            // Only who says for certain what became of it speaks for the log.
            Some(outcome) if error.kind != Kind::Unknown && error.changed != Changed::Unknown => {
                Answer::Done { log_index: 0, outcome }
            }
            _ if error.changed == Changed::No && !is_relay(request) => Answer::Refused(error.code),
            _ => Answer::Unknown(error.code),
        },
        Err(_) => Answer::Unknown("no answer in time".to_owned()),
    }
}

/// Whether another domain's node is asked in between: what it says of failing is no word of that ledger.
fn is_relay(request: &Request) -> bool {
    request.through != request.operation.domain
}
