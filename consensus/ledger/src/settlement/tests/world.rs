//! Two real ledgers and a network between them that may do anything with a message but forge it.

use crate::{
    Ledger, Outcome,
    account::AccountKey,
    apply::Applied,
    check::{Checked, CheckedGenesis, CheckedItem},
    settlement::{CheckedBatch, Outgoing, OwedMessage, dues::SWEEP_EVERY_MS},
};
use alloc::{boxed::Box, collections::BTreeMap, vec, vec::Vec};
use bytes::Bytes;
use comity_proto::{
    amount::{AssetCode, AssetId},
    command::{Actor, Command, CommandBatch, Party, Verb},
    envelope::Signed as _,
    export::{Audience, ExportRule},
    identity::{Genesis, Roster},
    ids::{AgentId, DomainId, Hash, PublicKey, RequestId, TransferId},
    keys::SecretKey,
    policy::Policy,
    settlement::{Decision, Prepare, SettlementBatch, SettlementMessage, Source},
    text::{Memo, Nickname, Reason},
    treaty::{ExposureCap, TreatyDocument, TreatyNotice, TreatyParty, TreatyStanding},
};

pub(super) const START_MS: u64 = 1_800_000_000_000;
pub(super) const CAP: u64 = 10_000_000;
pub(super) const FUNDS: u64 = 10_000_000;

/// Index of one of the two domains.
pub(super) type Side = usize;

/// One domain: its ledger and its keys.
#[derive(Clone)]
pub(super) struct Home {
    pub(super) ledger: Ledger,
    pub(super) root: SecretKey,
    pub(super) voter: PublicKey,
    pub(super) roster: Roster,
    pub(super) index: u64,
    pub(super) now_ms: u64,
    pub(super) requests: u64,
    /// Prepares that travelled from the other side, by the digest of their batch: what the event store keeps.
    pub(super) evidence: BTreeMap<Hash, Vec<Prepare>>,
    /// Everything that travelled from others, by the digest of its batch: what the event store keeps.
    pub(super) kept: BTreeMap<Hash, Vec<SettlementMessage>>,
}

/// A message under way: from which side, and what.
pub(super) type Message = (Side, SettlementMessage);

#[derive(Clone)]
pub(super) struct World {
    pub(super) homes: [Home; 2],
    /// Commits that arrived at their participant.
    pub(super) posted: u64,
    /// Those of them that swept what a referrer had earned.
    pub(super) swept: u64,
}

pub(super) fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}

fn agent_key(side: Side, n: u8) -> PublicKey {
    secret(100 + 20 * u8::try_from(side).expect("two sides") + n).public()
}

pub(super) fn agent(side: Side, n: u8) -> AgentId {
    AgentId::of_key(&agent_key(side, n))
}

pub(super) fn domain(side: Side) -> DomainId {
    DomainId::of_key(&secret(1 + u8::try_from(side).expect("two sides")).public())
}

pub(super) fn party(side: Side, n: u8) -> Party {
    Party { domain: domain(side), agent: agent(side, n) }
}

pub(super) fn usd(side: Side) -> AssetId {
    AssetId { issuer: domain(side), code: AssetCode::new("USD").expect("a code") }
}

pub(super) fn transfer_id(n: u64) -> TransferId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    TransferId(bytes)
}

pub(super) fn policy() -> Policy {
    Policy {
        version: 1,
        escrow_fee_bps: 100,
        transfer_fee_bps: 50,
        referral_level1_bps: 1500,
        referral_level2_bps: 500,
        faucet_grant: 0,
        faucet_claims_per_hour: 0,
        faucet_claims_per_token: 0,
        faucet_stays_home: false,
        name_fee_per_year: 0,
        dispute_bond: 0,
        decide_within_ms: 10_000,
    }
}

impl Home {
    pub(super) fn new(side: Side) -> Home {
        let n = u8::try_from(side).expect("two sides");
        let (root, voter) = (secret(1 + n), secret(11 + n).public());
        let roster = Roster { domain: domain(side), epoch: 1, voters: vec![voter], seats: vec![] };
        let ledger = Ledger::empty();
        let (evidence, kept) = (BTreeMap::new(), BTreeMap::new());
        let mut home = Home { ledger, root, voter, roster, index: 0, now_ms: START_MS, requests: 0, evidence, kept };
        let genesis = Genesis {
            domain: domain(side),
            domain_key: home.root.public(),
            nickname: Nickname::new("test").expect("a nickname"),
            operator_key: home.root.public(),
            asset_code: usd(side).code,
            asset_scale: 6,
            supply_cap: 1_000_000_000,
            policy: policy(),
            roster: home.roster.seal(&home.root),
            incarnation: 1,
        };
        let checked = CheckedGenesis { genesis, roster: home.roster.clone() };
        home.apply(vec![CheckedItem(Checked::Genesis(Box::new(checked)))]);
        for n in 0..3 {
            let verb = Verb::register(Nickname::new("agent").expect("a nickname"));
            assert_eq!(home.agent_does(side, n, verb), Outcome::Created);
            let verb = Verb::Issue { code: usd(side).code, to: Some(agent(side, n)), amount: FUNDS };
            assert!(home.operator_does(side, verb).is_success());
        }
        home
    }

    /// One entry; every invariant of a single ledger is checked after it.
    pub(super) fn apply(&mut self, items: Vec<CheckedItem>) -> Applied {
        self.index += 1;
        let applied = self.ledger.apply(self.index, self.now_ms, items);
        crate::invariants::check_all(&self.ledger).expect("invariants hold after every entry");
        applied
    }

    pub(super) fn command(&mut self, side: Side, actor: Actor, key: PublicKey, verb: Verb) -> Outcome {
        self.requests += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.requests.to_be_bytes());
        let batch = CommandBatch {
            home: domain(side),
            actor,
            valid_until_ms: self.now_ms + 60_000,
            commands: vec![Command { request_id: RequestId(id), verb }],
        };
        self.apply(vec![CheckedItem::unsigned(key, batch)]).outcomes[0][0]
    }

    pub(super) fn agent_does(&mut self, side: Side, n: u8, verb: Verb) -> Outcome {
        self.command(side, Actor::Agent(agent(side, n)), agent_key(side, n), verb)
    }

    pub(super) fn operator_does(&mut self, side: Side, verb: Verb) -> Outcome {
        let key = self.root.public();
        self.command(side, Actor::Operator, key, verb)
    }

    pub(super) fn balance(&self, n: AgentId, asset: &AssetId) -> u64 {
        self.ledger.balance(&n, asset)
    }

    /// Whole supply here: own units, or wrapped ones.
    pub(super) fn issued(&self, asset: &AssetId) -> u64 {
        self.ledger.asset_index(asset).map_or(0, |index| self.ledger.balance_of(&AccountKey::issuance(index)))
    }

    pub(super) fn treasury(&self, asset: &AssetId) -> u64 {
        self.ledger.asset_index(asset).map_or(0, |index| self.ledger.balance_of(&AccountKey::treasury(index)))
    }
}

/// What both agree on.
fn document() -> TreatyDocument {
    let part = |side: Side| TreatyParty {
        key: root(side).public(),
        nickname: Nickname::new("peer").expect("a nickname"),
        caps: vec![ExposureCap { asset: usd(1 - side), cap: CAP, majority_above: None }],
        policy: policy().digest(),
    };
    TreatyDocument::between(part(0), part(1), None)
}

pub(super) fn root(side: Side) -> SecretKey {
    secret(1 + u8::try_from(side).expect("two sides"))
}

impl World {
    pub(super) fn new() -> World {
        let mut world = World { homes: [Home::new(0), Home::new(1)], posted: 0, swept: 0 };
        for side in 0..2 {
            assert_eq!(world.set_treaty(side, true), Outcome::Applied);
            let (rule, reason) = (ExportRule::all(Audience::Everyone), Reason::new("").expect("a reason"));
            let verb = Verb::ChangeExport { rule, withdrawn: false, reason };
            assert_eq!(world.homes[side].operator_does(side, verb), Outcome::Created);
        }
        world
    }

    /// Signs the treaty, then suspends and resumes it.
    pub(super) fn set_treaty(&mut self, side: Side, active: bool) -> Outcome {
        let verb = match self.homes[side].ledger.treaty(&domain(1 - side)) {
            None => Verb::ApproveTreaty {
                document: document().seal(&root(side)),
                countersigned: document().seal(&root(1 - side)),
                roster: self.homes[1 - side].roster.seal(&root(1 - side)),
            },
            Some(treaty) => {
                let notice = TreatyNotice {
                    from: domain(side),
                    to: domain(1 - side),
                    serial: treaty.ours.serial + 1,
                    standing: if active { TreatyStanding::Active } else { TreatyStanding::Suspended },
                    denies: None,
                    reason: Reason::new("").expect("a reason"),
                };
                Verb::ChangeTreaty { notice: notice.seal(&root(side)) }
            }
        };
        self.homes[side].operator_does(side, verb)
    }

    /// A payment from one side to agent `to` of the other.
    pub(super) fn pay(&mut self, side: Side, n: u8, to: u8, id: TransferId, asset: AssetId, amount: u64) -> Outcome {
        let memo = Memo::new("").expect("a memo");
        let verb = Verb::Transfer { transfer_id: id, to: party(1 - side, to), asset, amount, memo };
        self.homes[side].agent_does(side, n, verb)
    }

    /// Everything that `side` has to say, as messages.
    pub(super) fn owed(&self, side: Side) -> Vec<Message> {
        let home = &self.homes[side];
        home.ledger.owed_all().into_iter().map(|owed| (side, home.message_to(&owed.peer, owed.message))).collect()
    }

    /// The batch in which one message travels. Equal messages make equal batches.
    pub(super) fn batch(&self, message: &Message) -> CheckedBatch {
        let incarnation = self.homes[message.0].ledger.domain().map_or(1, |domain| domain.incarnation);
        self.batch_of(message, incarnation)
    }

    /// The same as an earlier incarnation said it.
    pub(super) fn batch_of(&self, message: &Message, incarnation: u64) -> CheckedBatch {
        let (side, said) = message;
        let home = &self.homes[*side];
        let batch = SettlementBatch {
            from: domain(*side),
            to: domain(1 - side),
            incarnation,
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

    /// Delivers one message as one entry of the other side and returns what is owed because of it.
    pub(super) fn deliver(&mut self, message: &Message) -> (Vec<Outcome>, Vec<Message>) {
        let batch = self.batch(message);
        self.deliver_batch(message, batch)
    }

    pub(super) fn deliver_batch(&mut self, message: &Message, batch: CheckedBatch) -> (Vec<Outcome>, Vec<Message>) {
        let (side, said) = message;
        let to = 1 - side;
        self.homes[to].kept.insert(batch.digest(), vec![said.clone()]);
        if let SettlementMessage::Prepare(prepare) = said {
            self.homes[to].evidence.entry(batch.digest()).or_insert_with(|| vec![prepare.clone()]);
        }
        let applied = self.homes[to].apply(vec![CheckedItem(Checked::Settlement(Box::new(batch)))]);
        if let (SettlementMessage::Decision(Decision { transfer, commit: true, .. }), [Outcome::Applied]) =
            (said, applied.outcomes.concat().as_slice())
        {
            let sweeps = |record: &Outgoing| matches!(record.prepare.source, Source::Referral { .. });
            self.posted += 1;
            self.swept += u64::from(self.homes[*side].ledger.outgoing_transfer(transfer).is_some_and(sweeps));
        }
        let answers =
            applied.owed.into_iter().map(|owed| (to, self.homes[to].message_to(&owed.peer, owed.message))).collect();
        (applied.outcomes.into_iter().flatten().collect(), answers)
    }

    /// Lets time pass on one side and decide there.
    pub(super) fn pulse(&mut self, side: Side, by_ms: u64) -> Vec<Message> {
        let home = &mut self.homes[side];
        home.now_ms += by_ms;
        let applied = home.apply(vec![CheckedItem(Checked::Pulse)]);
        applied.owed.into_iter().map(|owed| (side, home.message_to(&owed.peer, owed.message))).collect()
    }

    /// Delivers everything at once, in order, without letting time pass.
    pub(super) fn settle_now(&mut self) {
        let mut queue: Vec<Message> = (0..2).flat_map(|side| self.owed(side)).collect();
        while let Some(message) = queue.pop() {
            queue.extend(self.deliver(&message).1);
        }
    }

    /// Fair network from here on: both sides repeat what they owe until nothing is left. Says whether it ended.
    pub(super) fn heal(&mut self) -> bool {
        for _ in 0..40 {
            // Nothing but sums of referrers is left: they wait for their day.
            let by_ms = if self.is_settled() { SWEEP_EVERY_MS } else { 60_000 };
            let mut queue: Vec<Message> = (0..2).flat_map(|side| self.pulse(side, by_ms)).collect();
            queue.extend((0..2).flat_map(|side| self.owed(side)));
            while let Some(message) = queue.pop() {
                queue.extend(self.deliver(&message).1);
            }
            if self.is_quiet() {
                return true;
            }
        }
        false
    }

    /// Nothing is open on either side.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_settled() && self.homes.iter().all(|home| home.ledger.settlement.accruals.is_empty())
    }

    fn is_settled(&self) -> bool {
        self.homes.iter().all(|home| home.ledger.in_doubt().is_empty() && home.ledger.settlement.payouts.is_empty())
    }
}

impl Home {
    /// The words of the receiver that a page of shared transfers names; the event store has them.
    pub(super) fn proofs(&self, said: &SettlementMessage) -> BTreeMap<Hash, Vec<SettlementMessage>> {
        let SettlementMessage::Books(books) = said else { return BTreeMap::new() };
        let named = books.transfers.iter().filter_map(|shared| shared.evidence);
        named.filter_map(|digest| Some((digest, self.kept.get(&digest)?.clone()))).collect()
    }

    /// An owed message as it travels to `peer`; a page of shared transfers without the bytes of its evidence.
    pub(super) fn message_to(&self, peer: &DomainId, owed: OwedMessage) -> SettlementMessage {
        let OwedMessage::Books { incarnation, after } = owed else { return self.message(owed) };
        let draft = self.ledger.books_draft(peer, incarnation, after).expect("a domain");
        SettlementMessage::Books(Box::new(draft.with(&BTreeMap::new())))
    }

    /// An owed message as it travels. A query carries the digest of the batch, in place of its bytes.
    pub(super) fn message(&self, owed: OwedMessage) -> SettlementMessage {
        let digest = owed.evidence().map(|digest| Bytes::copy_from_slice(&digest.0));
        owed.said(digest).expect("a page needs its receiver: see `Home::message_to`")
    }
}
