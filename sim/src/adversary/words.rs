//! What an adversary says.

use bytes::Bytes;
use comity_ledger::event::{Event, EventKind};
use comity_proto::{
    card::{AcceptedTerms, AgentCard},
    command::Party,
    envelope::Signed as _,
    ids::{AgentId, Hash, TransferId},
    keys::SecretKey,
    settlement::{Decision, Prepare, SettlementBatch, SettlementMessage, Source},
    text::{Capability, Description, Nickname},
};
use futures::AsyncWriteExt;
use libp2p::{
    Transport,
    core::{
        Endpoint,
        transport::{DialOpts, PortUse},
    },
};

use super::{
    Adversary, Play,
    face::{Face, multiaddr, turned},
};
use crate::net::FalseTcp;

/// Events of the target that are looked through for signed words.
const EVENTS: usize = 2_000;
const CARD_HOURS_MS: u64 = 3_600_000;

impl Adversary {
    /// So many signed batches that were really said to the target, drawn.
    pub(super) fn drawn(&mut self, count: usize) -> Vec<Bytes> {
        let Some(node) = self.target.hosts.iter().find_map(|host| self.hosts.node(*host)) else { return Vec::new() };
        let stored = node.replica().events().events(None, EVENTS).unwrap_or_default();
        let events = stored.iter().filter_map(|(_, stored)| Event::from_bytes(&stored.bytes).ok());
        let digests: Vec<Hash> = events.filter_map(|event| evidence(&event)).collect();
        let mut drawn = Vec::new();
        for _ in 0..count {
            let Some(digest) = self.chance.pick(&digests) else { break };
            drawn.extend(node.replica().events().evidence(digest).ok().flatten());
        }
        drawn
    }

    /// Batches that must have no effect.
    pub(super) fn lies(&mut self, face: &Face) -> Vec<Bytes> {
        match self.play {
            Play::Forged => {
                let mut lies = Vec::new();
                for real in self.drawn(2) {
                    lies.push(turned(&real, self.chance.below(real.len() as u64 * 8)));
                }
                // A certified node of the peer, but none of its voters.
                let commit = self.false_commit();
                lies.push(self.batch(commit, &face.key));
                lies
            }
            Play::FalseCommit => {
                let thief = self.hosts.with(self.peer.hosts[0], |machine| machine.key.clone());
                let commit = self.false_commit();
                vec![self.batch(commit, &thief)]
            }
            Play::TwoDecisions => self.drawn(3).iter().find_map(|real| self.opposite(real)).into_iter().collect(),
            _ => {
                let prepare = SettlementMessage::Prepare(Prepare {
                    transfer: TransferId(self.sixteen()),
                    origin: face.own.domain(),
                    source: Source::Agent(AgentId::of_key(&face.agent.public())),
                    recipient: Party { domain: self.target.id(), agent: AgentId::of_key(&face.agent.public()) },
                    asset: self.target.asset(),
                    amount: 1_000_000,
                    decide_by_ms: comity_runtime::wall_ms() + 60_000,
                });
                let roster = face.own.roster(1, &[face.key.public()]);
                let (from, to) = (face.own.domain(), self.target.id());
                let batch = SettlementBatch { from, to, incarnation: 1, roster, messages: vec![prepare] };
                vec![batch.seal(&face.key)]
            }
        }
    }

    /// The opposite of a decision of the peer that was really said, signed by one of the peer's voters.
    fn opposite(&self, real: &Bytes) -> Option<Bytes> {
        let batch = SettlementBatch::open(real).ok()?.get().clone();
        let decided = batch.messages.iter().find_map(|message| match message {
            SettlementMessage::Decision(decision) => Some(*decision),
            _ => None,
        })?;
        let commit = !decided.commit;
        let vote_evidence = commit.then_some(decided.content);
        let said = SettlementMessage::Decision(Decision { commit, vote_evidence, ..decided });
        let thief = self.hosts.with(self.peer.hosts[0], |machine| machine.key.clone());
        let lie = SettlementBatch { messages: vec![said], ..batch };
        (lie.from == self.peer.id()).then(|| lie.seal(&thief))
    }

    fn false_commit(&mut self) -> SettlementMessage {
        let content = Hash::of(&self.noise(32));
        let transfer = TransferId(self.sixteen());
        SettlementMessage::Decision(Decision {
            transfer,
            content,
            commit: true,
            vote_evidence: Some(content),
            decide_by_ms: 0,
        })
    }

    fn batch(&self, message: SettlementMessage, key: &SecretKey) -> Bytes {
        let (from, to, roster) = (self.peer.id(), self.target.id(), self.peer.roster.clone());
        SettlementBatch { from, to, incarnation: 1, roster, messages: vec![message] }.seal(key)
    }

    /// A card of an agent that nobody knows.
    pub(super) fn card(&self, agent: &SecretKey, sequence: u64) -> Bytes {
        let now_ms = comity_runtime::wall_ms();
        let text = "words of ASCII within their limits";
        let card = AgentCard {
            agent: AgentId::of_key(&agent.public()),
            home: self.peer.id(),
            key: agent.public(),
            name: Nickname::new("mallory").expect(text),
            description: Description::new("sells everything").expect(text),
            capabilities: vec![Capability::new("everything").expect(text)],
            price: None,
            accepts: AcceptedTerms::default(),
            sequence,
            issued_at_ms: now_ms,
            expires_at_ms: now_ms + CARD_HOURS_MS,
            retired: false,
            public: true,
            custodial: false,
            attestation: Bytes::new(),
        };
        let envelope = card.seal(agent);
        self.hosts.strangers_card(Hash::of(&envelope));
        envelope
    }

    /// Up to `most` bytes without meaning.
    pub(super) fn noise(&mut self, most: u64) -> Bytes {
        let mut bytes = vec![0; 1 + self.chance.below(most) as usize];
        self.chance.fill(&mut bytes);
        Bytes::from(bytes)
    }

    fn sixteen(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        self.chance.fill(&mut id);
        id
    }

    /// A connection that says nothing that noise understands.
    pub(super) async fn bare_garbage(&mut self) {
        let Some(host) = self.chance.pick(&self.target.hosts).copied() else { return };
        let mut tcp = FalseTcp::new(&self.hosts.network, self.host);
        let options = DialOpts { role: Endpoint::Dialer, port_use: PortUse::New };
        let Ok(dial) = tcp.dial(multiaddr(host), options) else { return };
        let Ok(Ok(mut pipe)) = comity_runtime::timeout(super::PATIENCE, dial).await else { return };
        let noise = self.noise(5_000);
        let said = pipe.write_all(&noise).await;
        self.hosts.mark(if said.is_ok() { "lie:garbage:said" } else { "lie:garbage:cut" });
    }
}

/// Digest of the signed batch that made an event so.
fn evidence(event: &Event) -> Option<Hash> {
    match &event.kind {
        EventKind::TransferVoted { evidence, .. } | EventKind::TransferFinished { evidence, .. } => Some(*evidence),
        EventKind::TransferDecided { vote_evidence, .. } => *vote_evidence,
        _ => None,
    }
}
