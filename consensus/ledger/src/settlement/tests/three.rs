//! Three real ledgers, a treaty between each two of them, and a network that may do anything with a message but forge it.
//!
//! Domain 0 issues, domain 1 pays, domain 2 is paid.

use super::world::{Home, agent, domain, party, policy, root, secret, transfer_id, usd};
use crate::{
    Outcome,
    account::AccountKey,
    check::{Checked, CheckedItem},
    settlement::{CheckedBatch, IncomingState, OutgoingState},
    statement::verify_pair,
};
use alloc::{boxed::Box, collections::BTreeMap, format, string::String, vec, vec::Vec};
use bytes::Bytes;
use comity_proto::{
    command::Verb,
    envelope::Signed as _,
    ids::{DomainId, Hash, TransferId},
    settlement::{Prepare, SettlementBatch, SettlementMessage},
    text::{Memo, Nickname, Reason},
    treaty::{ExposureCap, TreatyDocument, TreatyNotice, TreatyParty, TreatyStanding},
};

pub(super) const ISSUER: usize = 0;
pub(super) const PAYER: usize = 1;
pub(super) const PAYEE: usize = 2;
/// How much of the issuer's paper each of the others accepts.
pub(super) const CAP: u64 = 10_000;
/// What the payer's agent has of the issuer's money.
pub(super) const STOCK: u64 = 5_000;

/// From whom, to whom, what.
pub(super) type Message = (usize, usize, SettlementMessage);

#[derive(Clone)]
pub(super) struct Three {
    pub(super) homes: [Home; 3],
}

fn document(a: usize, b: usize) -> TreatyDocument {
    let part = |side: usize, other: usize| TreatyParty {
        key: root(side).public(),
        nickname: Nickname::new("peer").expect("a nickname"),
        caps: vec![ExposureCap { asset: usd(other), cap: CAP, majority_above: None }],
        policy: policy().digest(),
    };
    TreatyDocument::between(part(a, b), part(b, a), None)
}

pub(super) fn index_of(id: &DomainId) -> usize {
    (0..3).find(|side| domain(*side) == *id).expect("one of the three")
}

impl Three {
    /// All three trade with each other; the payer's agent holds [`STOCK`] of the issuer's money.
    pub(super) fn new() -> Three {
        let mut three = Three::without_treaties();
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            three.sign(a, b);
        }
        three.stock();
        three
    }

    pub(super) fn without_treaties() -> Three {
        Three { homes: [Home::new(0), Home::new(1), Home::new(2)] }
    }

    pub(super) fn stock(&mut self) {
        assert_eq!(self.pay_as(ISSUER, 0, party(PAYER, 0), transfer_id(9), STOCK), Outcome::Begun);
        self.settle_now();
    }

    pub(super) fn sign(&mut self, a: usize, b: usize) {
        for (side, other) in [(a, b), (b, a)] {
            let verb = Verb::ApproveTreaty {
                document: document(a, b).seal(&root(side)),
                countersigned: document(a, b).seal(&root(other)),
                roster: self.homes[other].roster.seal(&root(other)),
            };
            assert_eq!(self.homes[side].operator_does(side, verb), Outcome::Applied);
        }
    }

    pub(super) fn stand(&mut self, side: usize, other: usize, standing: TreatyStanding) {
        let serial = self.homes[side].ledger.treaty(&domain(other)).expect("a treaty").ours.serial + 1;
        let reason = Reason::new("").expect("a reason");
        let notice = TreatyNotice { from: domain(side), to: domain(other), serial, standing, denies: None, reason };
        let notice = notice.seal(&root(side));
        assert_eq!(self.homes[side].operator_does(side, Verb::ChangeTreaty { notice }), Outcome::Applied);
    }

    fn pay_as(
        &mut self,
        side: usize,
        n: u8,
        to: comity_proto::command::Party,
        transfer_id: TransferId,
        amount: u64,
    ) -> Outcome {
        let memo = Memo::new("").expect("a memo");
        let verb = Verb::Transfer { transfer_id, to, asset: usd(ISSUER), amount, memo };
        self.homes[side].agent_does(side, n, verb)
    }

    /// A payment across.
    pub(super) fn pay(&mut self, id: TransferId, amount: u64) -> Outcome {
        self.pay_as(PAYER, 0, party(PAYEE, 0), id, amount)
    }

    /// Everything that `side` has to say.
    pub(super) fn owed(&self, side: usize) -> Vec<Message> {
        let home = &self.homes[side];
        let owed = home.ledger.owed_all().into_iter();
        owed.map(|owed| (side, index_of(&owed.peer), home.message_to(&owed.peer, owed.message))).collect()
    }

    fn batch(&self, message: &Message) -> CheckedBatch {
        let (from, to, said) = message;
        let home = &self.homes[*from];
        let batch = SettlementBatch {
            from: domain(*from),
            to: domain(*to),
            incarnation: home.ledger.domain().map_or(1, |domain| domain.incarnation),
            roster: Bytes::new(),
            messages: vec![said.clone()],
        };
        let asked: Vec<Prepare> = match said {
            // Stands for the signed batch: see `Home::message`.
            SettlementMessage::Query(query) => {
                let digest = Hash(<[u8; 32]>::try_from(query.prepare.as_ref()).expect("a digest"));
                home.evidence.get(&digest).cloned().unwrap_or_default()
            }
            _ => Vec::new(),
        };
        CheckedBatch::unsigned(batch, home.roster.clone(), home.voter, &asked).proved_by(home.proofs(said))
    }

    /// Delivers one message as one entry and returns what is owed because of it.
    pub(super) fn deliver(&mut self, message: &Message) -> (Outcome, Vec<Message>) {
        let (_, to, said) = message;
        let batch = self.batch(message);
        self.homes[*to].kept.insert(batch.digest(), vec![said.clone()]);
        if let SettlementMessage::Prepare(prepare) = said {
            self.homes[*to].evidence.entry(batch.digest()).or_insert_with(|| vec![prepare.clone()]);
        }
        let applied = self.homes[*to].apply(vec![CheckedItem(Checked::Settlement(Box::new(batch)))]);
        let home = &self.homes[*to];
        let answers = applied.owed.into_iter();
        let answers =
            answers.map(|owed| (*to, index_of(&owed.peer), home.message_to(&owed.peer, owed.message))).collect();
        (applied.outcomes[0][0], answers)
    }

    pub(super) fn pulse(&mut self, side: usize, by_ms: u64) {
        let home = &mut self.homes[side];
        home.now_ms += by_ms;
        home.apply(vec![CheckedItem(Checked::Pulse)]);
    }

    /// Delivers everything at once, without letting time pass.
    pub(super) fn settle_now(&mut self) {
        let mut queue: Vec<Message> = (0..3).flat_map(|side| self.owed(side)).collect();
        while let Some(message) = queue.pop() {
            queue.extend(self.deliver(&message).1);
        }
    }

    /// A fair network: everybody repeats what is owed until nothing is left. Says whether it ended.
    pub(super) fn heal(&mut self) -> bool {
        for _ in 0..10 {
            (0..3).for_each(|side| self.pulse(side, 60_000));
            self.settle_now();
            if self.homes.iter().all(|home| home.ledger.in_doubt().is_empty()) {
                return true;
            }
        }
        false
    }

    pub(super) fn origin(&self, id: &TransferId) -> Option<OutgoingState> {
        self.homes[PAYER].ledger.outgoing_transfer(id).map(|record| record.state)
    }

    pub(super) fn at(&self, side: usize, id: TransferId) -> Option<IncomingState> {
        self.homes[side].ledger.incoming_transfer(domain(PAYER), id).map(|record| record.state)
    }

    /// Reserve that the issuer holds behind one of the others.
    pub(super) fn reserve(&self, other: usize) -> u64 {
        let ledger = &self.homes[ISSUER].ledger;
        ledger.asset_index(&usd(ISSUER)).map_or(0, |index| ledger.balance_of(&AccountKey::peer(domain(other), index)))
    }

    pub(super) fn paid(&self) -> u64 {
        self.homes[PAYEE].balance(agent(PAYEE, 0), &usd(ISSUER))
    }

    pub(super) fn left(&self) -> u64 {
        self.homes[PAYER].balance(agent(PAYER, 0), &usd(ISSUER))
    }

    /// What must hold at every moment; says the first claim that is broken.
    pub(super) fn check(&self, id: TransferId) -> Result<(), String> {
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            let statement = |of: usize, about: usize| self.homes[of].ledger.supply_statement(domain(about));
            let (ours, theirs) = (statement(a, b).expect("begun"), statement(b, a).expect("begun"));
            verify_pair(&ours, &theirs).map_err(|wrong| format!("statements of {a} and {b}: {wrong:?}"))?;
        }
        let minted = self.homes[PAYEE].issued(&usd(ISSUER));
        if minted > self.reserve(PAYEE) {
            return Err(format!("money made: {minted} minted against {}", self.reserve(PAYEE)));
        }
        let commit = match self.origin(&id) {
            None | Some(OutgoingState::Undecided) => None,
            Some(OutgoingState::Decided { commit, .. } | OutgoingState::Closed { commit, .. }) => Some(commit),
        };
        for side in [ISSUER, PAYEE] {
            let there = self.at(side, id);
            let posted = matches!(there, Some(IncomingState::Finished { commit: true, .. } | IncomingState::Backing));
            let refused =
                matches!(there, Some(IncomingState::Finished { commit: false, .. } | IncomingState::Refused { .. }));
            if (posted && commit != Some(true)) || (refused && commit == Some(true)) {
                return Err(format!("not all or nothing: decided {commit:?}, {there:?} at {side}"));
            }
            let waits = matches!(there, Some(IncomingState::Voted { .. } | IncomingState::Unbacked { .. }));
            if waits && matches!(self.origin(&id), Some(OutgoingState::Closed { .. })) {
                return Err(format!("closed, and {side} still waits"));
            }
        }
        Ok(())
    }

    /// Everything that tells one state from another.
    pub(super) fn print(&self, sent: &[Message]) -> String {
        let records = |home: &Home| {
            let ours: Vec<_> =
                home.ledger.outgoing().map(|(_, record)| (record.state, record.across.clone())).collect();
            let theirs: BTreeMap<_, _> =
                home.ledger.incoming().map(|(key, record)| (*key, (record.state, record.backing))).collect();
            (ours, theirs, home.now_ms, home.ledger.treaties().map(|treaty| treaty.standing()).collect::<Vec<_>>())
        };
        let mut said: Vec<String> = sent.iter().map(|message| format!("{message:?}")).collect();
        said.sort();
        format!("{:?} {said:?}", self.homes.each_ref().map(records))
    }
}

/// The seed of a key of nobody in the story.
pub(super) fn stranger() -> comity_proto::ids::PublicKey {
    secret(99).public()
}
