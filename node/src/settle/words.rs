//! Words of most voters about a decision above the amount that a treaty names.
//!
//! The leader asks the other voters of its domain; each signs what its own copy of the ledger holds, so the key of one
//! stolen node says nothing about a large transfer. With too few of them the decision is not said now; it stays owed.

use crate::{
    mesh::{MeshHandle, Refusal, class::Class},
    node::Node,
};
use bytes::Bytes;
use comity_ledger::settlement::OwedMessage;
use comity_proto::{
    envelope::Signed as _,
    identity::keys_by_seat,
    ids::{DomainId, TransferId},
    keys::SecretKey,
    relay::{Answer, Question},
    settlement::{DecisionWord, SettlementMessage},
};
use comity_replica::Replica;
use futures::stream::{FuturesUnordered, StreamExt as _};
use std::time::Duration;

/// How long another voter has to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a voter waits for its own copy to hold the decision: the leader is at most an entry or two ahead.
const CATCH_UP: Duration = Duration::from_millis(600);
const LOOK: Duration = Duration::from_millis(20);

/// What goes before a message: nothing, unless it is a decision that needs most voters. `None`: too few of them have
/// answered.
pub(super) async fn collect(
    (replica, mesh, key): (&Replica, &MeshHandle, &SecretKey),
    peer: DomainId,
    owed: &OwedMessage,
) -> Option<Vec<SettlementMessage>> {
    let OwedMessage::Decision(decision) = owed else { return Some(Vec::new()) };
    let needed = replica.read_stale(|ledger, _| {
        let record = ledger.outgoing_transfer(&decision.transfer)?;
        let own = ledger.domain()?;
        let needs = ledger.needs_majority(&peer, &record.prepare);
        needs.then(|| (ledger.word_about(peer, &decision.transfer), keys_by_seat(&own.voters, &own.seats)))
    });
    let Some((word, voters)) = needed else { return Some(Vec::new()) };
    let word = word?;
    let mut words = vec![SettlementMessage::Word(word.seal(key))];
    let question = Question::Word(peer, decision.transfer).encode();
    let connected = mesh.nodes_of(&word.origin);
    // A voter whose keys change is connected under one of them.
    let others = voters.values().filter(|keys| !keys.contains(&key.public()));
    let mut asked: FuturesUnordered<_> = others
        .map(async |keys| {
            let voter = keys.iter().find(|key| connected.contains(key))?;
            let answer = mesh.request(*voter, Class::Tasks, question.clone(), PATIENCE).await.ok()?;
            let Ok(Answer::Document(envelope)) = Answer::decode(&answer) else { return None };
            let signed = DecisionWord::open(&envelope).ok()?;
            (keys.contains(signed.key()) && *signed.get() == word).then_some(envelope)
        })
        .collect();
    while words.len() * 2 <= voters.len() {
        words.extend(asked.next().await?.map(SettlementMessage::Word));
    }
    Some(words)
}

/// The other end: signs what this node's own copy of the ledger says.
pub(crate) async fn answer(node: &Node, to: DomainId, transfer: TransferId) -> Result<Bytes, Refusal> {
    let begun = comity_runtime::now();
    loop {
        let word = node.replica().read_stale(|ledger, _| {
            let voter = ledger.domain().is_some_and(|own| own.voters.contains(&node.key().public()));
            ledger.word_about(to, &transfer).filter(|_| voter)
        });
        match word {
            Some(word) => return Ok(Answer::Document(word.seal(node.key())).encode()),
            None if begun.elapsed() > CATCH_UP => {
                return Err(Refusal("this node knows no decision of that transfer".to_owned()));
            }
            None => comity_runtime::sleep(LOOK).await,
        }
    }
}
