//! A domain for tests: real keys, real envelopes, every invariant checked after every entry.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its part")]

pub mod projections;

use bytes::Bytes;
use comity_ledger::{
    AccountKey, AccountKind, Applied, AssetIndex, Event, Ledger, Outcome, Owed, OwedMessage, check,
    invariants::check_all,
};
use comity_proto::{
    amount::{AssetCode, AssetId},
    command::{Actor, Command, CommandBatch, Party, Referral, Verb},
    entry::EntryItem,
    envelope::Signed as _,
    escrow::{EscrowTerms, Payee, Silence},
    export::{Audience, ExportRule},
    identity::{Genesis, Roster},
    ids::{AgentId, DomainId, EscrowId, Hash, RequestId, TransferId},
    keys::SecretKey,
    policy::Policy,
    relay::Receipt,
    settlement::SettlementBatch,
    text::{Condition, Memo, Nickname, Reason, ReferralCode},
    treaty::{ExposureCap, TreatyDocument, TreatyNotice, TreatyParty, TreatyStanding},
};
use std::collections::{BTreeMap, BTreeSet};

pub const START_MS: u64 = 1_700_000_000_000;
pub const HOUR_MS: u64 = 3_600_000;

/// The key that belongs to a word.
pub fn key_of(word: &str) -> SecretKey {
    SecretKey::from_seed(&Hash::of(word.as_bytes()).0)
}

pub fn agent_of(word: &str) -> AgentId {
    AgentId::of_key(&key_of(word).public())
}

pub fn domain_of(word: &str) -> DomainId {
    DomainId::of_key(&key_of(&format!("domain {word}")).public())
}

pub fn id_of(word: &str) -> [u8; 16] {
    Hash::of(word.as_bytes()).first_16()
}

pub fn hash_of(word: &str) -> Hash {
    Hash::of(word.as_bytes())
}

pub fn usd(domain: &str) -> AssetId {
    AssetId { issuer: domain_of(domain), code: AssetCode::new("USD").expect("a code") }
}

/// The defaults of 2-ledger.
pub fn policy() -> Policy {
    Policy {
        version: 1,
        escrow_fee_bps: 100,
        transfer_fee_bps: 50,
        referral_level1_bps: 1_500,
        referral_level2_bps: 500,
        faucet_grant: 1_000_000,
        faucet_claims_per_hour: 3,
        faucet_claims_per_token: 1,
        faucet_stays_home: false,
        name_fee_per_year: 100_000,
        dispute_bond: 0,
        decide_within_ms: 5_000,
    }
}

pub fn roster_of(domain: &str) -> Bytes {
    let root = key_of(&format!("domain {domain}"));
    Roster { domain: domain_of(domain), epoch: 1, voters: vec![root.public()], seats: vec![] }.seal(&root)
}

pub fn root_of(domain: &str) -> SecretKey {
    key_of(&format!("domain {domain}"))
}

fn part(own: &str, other: &str, cap: u64, policy: Hash) -> TreatyParty {
    let nickname = Nickname::new(own).expect("a nickname");
    TreatyParty {
        key: root_of(own).public(),
        nickname,
        caps: vec![ExposureCap { asset: usd(other), cap, majority_above: None }],
        policy,
    }
}

/// The next version of the treaty between this domain and another one, with one cap for both.
pub fn document_with(world: &World, other: &str, cap: u64) -> TreatyDocument {
    let mine = part(&world.name, other, cap, world.ledger.policies()[0].1.digest());
    let theirs = part(other, &world.name, cap, policy().digest());
    let before = world.ledger.treaty(&domain_of(other)).and_then(|treaty| treaty.before());
    TreatyDocument::between(mine, theirs, before)
}

/// The same, signed by both operators.
pub fn treaty_with(world: &World, other: &str, cap: u64) -> Verb {
    let document = document_with(world, other, cap);
    let (ours, theirs) = (document.seal(&root_of(&world.name)), document.seal(&root_of(other)));
    Verb::ApproveTreaty { document: ours, countersigned: theirs, roster: roster_of(other) }
}

/// The first word about their treaty that one domain owes the other is heard there, and its receipt here.
pub fn tell(from: &mut World, to: &mut World) -> Option<Outcome> {
    let (_, push) = from.ledger.treaties_owed(&[]).into_iter().find(|(peer, _)| *peer == to.home)?;
    let outcome = to.apply(vec![EntryItem::Treaty(push.encode())]).outcomes[0][0];
    let receipt = Receipt {
        domain: to.home,
        batch: push.subject(),
        incarnation: 1,
        log_index: to.log_index,
        stamp_ms: to.now_ms,
        outcomes: vec![outcome.code()],
        roster: roster_of(&to.name),
    };
    from.apply(vec![EntryItem::TreatyReceipt(receipt.seal(&root_of(&to.name)))]);
    Some(outcome)
}

pub fn terms(payer: &str, payees: &[(Party, u16)], amount: u64, home: &str, now_ms: u64) -> EscrowTerms {
    let payee = |(party, share_bps): &(Party, u16), key| Payee { party: *party, key, share_bps: *share_bps };
    EscrowTerms {
        payer: agent_of(payer),
        payees: payees.iter().map(|part| payee(part, key_of("nobody").public())).collect(),
        asset: usd(home),
        amount,
        task_hash: hash_of("task"),
        condition: Condition::new("").expect("empty"),
        deliver_by_ms: now_ms + HOUR_MS,
        delivery_grace_ms: 0,
        review_window_ms: HOUR_MS,
        on_silence: Silence::Release,
        arbiter: None,
        ruling_window_ms: HOUR_MS,
        on_no_ruling: Silence::Refund,
        referred_by: None,
        milestones: vec![],
    }
}

/// A domain of one, driven entry by entry.
pub struct World {
    pub name: String,
    pub ledger: Ledger,
    pub log_index: u64,
    pub now_ms: u64,
    pub home: DomainId,
    pub keys: BTreeMap<AgentId, SecretKey>,
    pub operator: SecretKey,
    pub evidence: BTreeMap<Hash, Bytes>,
    pub owed: Vec<Owed>,
    pub requests: u64,
    /// Every outcome that it ever gave.
    pub given: BTreeSet<Outcome>,
    /// The exact bytes of every event.
    pub history: Vec<Vec<u8>>,
    /// Balances recomputed from the legs of all events: the audit that an outsider could make.
    audit: BTreeMap<AccountKey, i128>,
}

impl World {
    pub fn new(name: &str) -> World {
        World::with_policy(name, policy())
    }

    pub fn with_policy(name: &str, policy: Policy) -> World {
        let mut world = World::empty(name);
        let genesis = world.genesis(policy);
        assert_eq!(world.apply(vec![genesis]).outcomes, [[Outcome::Created]]);
        world
    }

    /// Before the genesis.
    pub fn empty(name: &str) -> World {
        World {
            name: name.into(),
            ledger: Ledger::empty(),
            log_index: 0,
            now_ms: START_MS,
            home: domain_of(name),
            keys: BTreeMap::new(),
            operator: key_of(&format!("operator {name}")),
            evidence: BTreeMap::new(),
            owed: vec![],
            requests: 0,
            given: BTreeSet::new(),
            history: vec![],
            audit: BTreeMap::new(),
        }
    }

    /// A domain that may issue nothing.
    pub fn federated(name: &str) -> World {
        let mut world = World::empty(name);
        let genesis = world.genesis_with(policy(), 0);
        assert_eq!(world.apply(vec![genesis]).outcomes, [[Outcome::Created]]);
        world
    }

    pub fn genesis(&self, policy: Policy) -> EntryItem {
        self.genesis_with(policy, 1_000_000_000_000)
    }

    fn genesis_with(&self, policy: Policy, supply_cap: u64) -> EntryItem {
        let root = key_of(&format!("domain {}", self.name));
        let genesis = Genesis {
            domain: self.home,
            domain_key: root.public(),
            nickname: Nickname::new(&self.name).expect("a nickname"),
            operator_key: self.operator.public(),
            asset_code: AssetCode::new("USD").expect("a code"),
            asset_scale: 6,
            supply_cap,
            policy,
            roster: roster_of(&self.name),
            incarnation: 1,
        };
        EntryItem::Genesis(genesis.seal(&root))
    }

    /// Applies one entry at the present time and checks everything that can be checked.
    pub fn apply(&mut self, items: Vec<EntryItem>) -> Applied {
        self.log_index += 1;
        let checked = items.iter().map(check).collect();
        let applied = self.ledger.apply(self.log_index, self.now_ms, checked);
        if let Err(violation) = check_all(&self.ledger) {
            panic!("{violation}");
        }
        assert!(
            applied.encoded.iter().eq(applied.events.iter().map(Event::to_bytes)),
            "each event as it is encoded alone"
        );
        self.given.extend(applied.outcomes.iter().flatten());
        self.history.extend(applied.encoded.iter().map(<[u8]>::to_vec));
        for leg in applied.events.iter().flat_map(|event| &event.legs) {
            *self.audit.entry(leg.account).or_default() += leg.delta;
        }
        self.audit.retain(|_, balance| *balance != 0);
        let signed = |(account, balance): (&AccountKey, u64)| match account.kind {
            AccountKind::Issuance => (*account, -i128::from(balance)),
            _ => (*account, i128::from(balance)),
        };
        assert!(self.ledger.accounts().map(signed).eq(self.audit.clone()), "the events explain every balance");
        self.evidence.extend(applied.evidence.iter().cloned());
        self.owed.extend(applied.owed.iter().cloned());
        applied
    }

    pub fn pulse(&mut self) -> Applied {
        self.apply(vec![EntryItem::Pulse])
    }

    /// Lets time pass as a healthy leader does: with a pulse every twenty seconds.
    pub fn advance(&mut self, ms: u64) {
        let until = self.now_ms + ms;
        while self.now_ms < until {
            self.now_ms = until.min(self.now_ms + 20_000);
            self.pulse();
        }
    }

    pub fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(id_of(&format!("request {}", self.requests)))
    }

    /// An envelope of one command, signed with any key.
    pub fn signed(&self, key: &SecretKey, actor: Actor, request_id: RequestId, valid_ms: u64, verb: Verb) -> EntryItem {
        let commands = vec![Command { request_id, verb }];
        let batch = CommandBatch { home: self.home, actor, valid_until_ms: self.now_ms + valid_ms, commands };
        EntryItem::Commands(batch.seal(key))
    }

    /// One command of one agent, in an entry of its own.
    pub fn agent(&mut self, name: &str, verb: Verb) -> Outcome {
        let id = agent_of(name);
        let key = self.keys.entry(id).or_insert_with(|| key_of(name)).clone();
        let request = self.next_request();
        let item = self.signed(&key, Actor::Agent(id), request, HOUR_MS, verb);
        self.apply(vec![item]).outcomes[0][0]
    }

    pub fn operator(&mut self, verb: Verb) -> Outcome {
        let request = self.next_request();
        let item = self.signed(&self.operator.clone(), Actor::Operator, request, HOUR_MS, verb);
        self.apply(vec![item]).outcomes[0][0]
    }

    /// This domain's root key says that its treaty with `other` ends.
    pub fn drain(&mut self, other: DomainId) {
        let notice = TreatyNotice {
            from: self.home,
            to: other,
            serial: 1,
            standing: TreatyStanding::Draining,
            denies: None,
            reason: Reason::new("we part").expect("a reason"),
        };
        let notice = notice.seal(&root_of(&self.name));
        assert_eq!(self.operator(Verb::ChangeTreaty { notice }), Outcome::Applied);
    }

    pub fn register(&mut self, name: &str, referred_by: Option<&str>, own_code: Option<&str>) -> Outcome {
        let code = |text: &str| ReferralCode::new(text).expect("a code");
        let nickname = Nickname::new(name).expect("a nickname");
        let (referred_by, own_code) = (referred_by.map(code).map(Referral::Code), own_code.map(code));
        self.agent(
            name,
            Verb::RegisterAgent { nickname, group: None, referred_by, own_code, admission: None, custodial: false },
        )
    }

    /// Registers and funds.
    pub fn rich(&mut self, name: &str, amount: u64) {
        assert_eq!(self.register(name, None, None), Outcome::Created);
        self.fund(name, amount);
    }

    pub fn fund(&mut self, name: &str, amount: u64) {
        let code = AssetCode::new("USD").expect("a code");
        assert_eq!(self.operator(Verb::Issue { code, to: Some(agent_of(name)), amount }), Outcome::Created);
    }

    pub fn party(&self, name: &str) -> Party {
        Party { domain: self.home, agent: agent_of(name) }
    }

    pub fn transfer(&mut self, from: &str, to: Party, amount: u64) -> Outcome {
        let transfer_id = TransferId(self.next_request().0);
        let asset = usd(&self.name);
        let memo = Memo::new("").expect("empty");
        self.agent(from, Verb::Transfer { transfer_id, to, asset, amount, memo })
    }

    pub fn lock(&mut self, payer: &str, escrow: &str, terms: EscrowTerms) -> Outcome {
        self.agent(payer, Verb::LockEscrow { escrow_id: EscrowId(id_of(escrow)), terms })
    }

    pub fn release(&mut self, payer: &str, escrow: &str, milestone: Option<u16>) -> Outcome {
        let escrow_id = EscrowId(id_of(escrow));
        self.agent(payer, Verb::ReleaseEscrow { escrow_id, milestone, verified_hash: None })
    }

    pub fn balance(&self, name: &str) -> u64 {
        self.ledger.balance(&agent_of(name), &usd(&self.name))
    }

    pub fn treasury(&self) -> u64 {
        self.ledger.balance_of(&AccountKey::treasury(AssetIndex(0)))
    }

    /// What this domain owes to a peer, as one signed batch, and forgets that it does.
    pub fn say(&mut self, to: &str) -> Option<EntryItem> {
        let peer = domain_of(to);
        let mut owed: Vec<Owed> = std::mem::take(&mut self.owed);
        // Said again until it is answered: the peer may hear of a drain later than of the statement.
        let again = self.ledger.owed_all().into_iter();
        let again = again.filter(|known| matches!(known.message, OwedMessage::Closing(_)) && !owed.contains(known));
        owed.extend(again.collect::<Vec<_>>());
        let said = |message: OwedMessage| {
            let evidence = message.evidence().map(|digest| self.evidence[&digest].clone());
            message.said(evidence).expect("nobody is restored here")
        };
        let messages: Vec<_> =
            owed.into_iter().filter(|owed| owed.peer == peer).map(|owed| said(owed.message)).collect();
        if messages.is_empty() {
            return None;
        }
        let root = key_of(&format!("domain {}", self.name));
        let batch =
            SettlementBatch { from: self.home, to: peer, incarnation: 1, roster: roster_of(&self.name), messages };
        Some(EntryItem::Settlement(batch.seal(&root)))
    }
}

/// Two domains with a treaty each way.
pub fn pair() -> (World, World) {
    let (mut alpha, mut beta) = (World::new("alpha"), World::new("beta"));
    let (one, other) = (treaty_with(&alpha, "beta", 1_000_000_000), treaty_with(&beta, "alpha", 1_000_000_000));
    assert_eq!(alpha.operator(one), Outcome::Applied);
    assert_eq!(beta.operator(other), Outcome::Applied);
    for world in [&mut alpha, &mut beta] {
        let (rule, reason) = (ExportRule::all(Audience::Everyone), Reason::new("").expect("a reason"));
        assert_eq!(world.operator(Verb::ChangeExport { rule, withdrawn: false, reason }), Outcome::Created);
    }
    (alpha, beta)
}

/// Carries messages both ways until nobody has anything to say.
pub fn converse(alpha: &mut World, beta: &mut World) {
    for _ in 0..32 {
        let told = (tell(alpha, beta), tell(beta, alpha));
        let (to_beta, to_alpha) = (alpha.say("beta"), beta.say("alpha"));
        if to_beta.is_none() && to_alpha.is_none() && told == (None, None) {
            return;
        }
        if let Some(item) = to_beta {
            beta.apply(vec![item]);
        }
        if let Some(item) = to_alpha {
            alpha.apply(vec![item]);
        }
    }
    panic!("two domains talk for ever");
}
