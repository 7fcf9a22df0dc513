//! One simulated client: a key, a home, and the patience to ask again under the same request id.

use std::time::Duration;

use comity_ledger::Outcome;
use comity_node::{
    service::{commands, error::Kind},
    signer::Signer,
};
use comity_proto::command::{Command, Verb};

use super::history::{Answer, History, Operation};
use crate::{hosts::Hosts, world::Chance};

/// How long one node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts.
const AGAIN: Duration = Duration::from_millis(250);

/// An agent or an operator of a domain.
#[derive(Clone)]
pub struct SimAgent {
    /// Its number among the agents; `None` for an operator.
    pub number: Option<usize>,
    /// Index of its home domain.
    pub domain: usize,
    /// Its key.
    pub signer: Signer,
}

impl SimAgent {
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
        let mut id = [0; 16];
        chance.fill(&mut id);
        let request_id = comity_proto::ids::RequestId(id);
        let operation = Operation { agent: self.number, domain: self.domain, request_id, verb: verb.clone() };
        let call = history.ask(hosts.universe.now(), operation);
        let batch = self.signer.sign_all(vec![Command { request_id, verb }], comity_runtime::wall_ms());
        let key = batch.request_id.to_string();
        let mut answer = Answer::Refused("nobody is up".to_owned());
        let mut asked = false;
        for _ in 0..attempts {
            let domain = hosts.domains()[self.domain].clone();
            let up: Vec<_> = domain.hosts.iter().filter_map(|host| hosts.node(*host)).collect();
            if let Some(node) = chance.pick(&up) {
                let submitted = commands::submit(node, batch.envelope.clone(), &key);
                let now = match comity_runtime::timeout(PATIENCE, submitted).await {
                    Ok(Ok(done)) => {
                        let outcome = done.results.first().map_or(Outcome::Malformed, |(_, outcome)| *outcome);
                        Answer::Done { log_index: done.log_index, outcome }
                    }
                    Ok(Err(error)) => match Outcome::from_name(&error.code) {
                        Some(outcome) if error.kind != Kind::Unknown => Answer::Done { log_index: 0, outcome },
                        _ if error.kind == Kind::Unknown => Answer::Unknown(error.code),
                        _ => Answer::Refused(error.code),
                    },
                    Err(_) => Answer::Unknown("no answer in time".to_owned()),
                };
                let is_final = matches!(now, Answer::Done { .. });
                asked |= matches!(now, Answer::Unknown(_));
                answer = match now {
                    // An earlier attempt may have succeeded although this one was turned away at the door.
                    Answer::Refused(code) if asked => Answer::Unknown(code),
                    now => now,
                };
                if is_final {
                    break;
                }
            }
            comity_runtime::sleep(AGAIN).await;
        }
        history.answer(call, hosts.universe.now(), answer.clone());
        answer
    }
}
