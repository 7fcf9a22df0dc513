//! One small world from which all golden messages are made: keys of fixed seeds, ids of their keys.

use bytes::Bytes;
use comity_proto::{
    amount::{AssetCode, AssetId},
    card::{AcceptedTerms, AgentCard, DomainCard, Price},
    command::{Actor, Command, CommandBatch, Party, Referral, Verb},
    entry::{Entry, EntryItem},
    envelope::Signed as _,
    escrow::{Arbiter, EscrowTerms, Payee, Silence},
    gossip::{Heartbeat, Hello},
    identity::{Genesis, JoinRequest, KeyAttestation, NodeCertificate, Roles, Roster},
    ids::{AgentId, DomainId, EscrowId, Hash, PublicKey, RequestId, TaskId, TransferId},
    keys::{SecretKey, prove_rotation},
    policy::Policy,
    relay::{Cosignature, Receipt},
    session::SessionRequest,
    settlement::{
        Acknowledge, Backing, BackingAnswer, Closing, ClosingAnswer, Decision, Prepare, Query, SettlementBatch,
        SettlementMessage, SettlementRefusal, Source, Vote,
    },
    task::{PaymentRequest, TaskRequest},
};

/// 2026-11-21 00:00:00 UTC.
pub(crate) const NOW: u64 = 1_795_219_200_000;

pub(crate) fn secret(n: u8) -> SecretKey {
    SecretKey::from_seed(&[n; 32])
}
pub(crate) fn key(n: u8) -> PublicKey {
    secret(n).public()
}
pub(crate) fn agent(n: u8) -> AgentId {
    AgentId::of_key(&key(n))
}
pub(crate) fn domain(n: u8) -> DomainId {
    DomainId::of_key(&key(n))
}
fn hash(n: u8) -> Hash {
    Hash([n; 32])
}
fn text<T: for<'a> TryFrom<&'a str, Error = comity_proto::reject::Reject>>(text: &str) -> T {
    T::try_from(text).expect("a sample text")
}

/// Root keys of the two domains, then an agent of each, an operator, two nodes.
pub(crate) const ALPHA: u8 = 1;
pub(crate) const BETA: u8 = 2;
pub(crate) const PAYER: u8 = 3;
pub(crate) const WORKER: u8 = 4;
pub(crate) const OPERATOR: u8 = 5;
pub(crate) const NODE: u8 = 6;
pub(crate) const NODE_2: u8 = 7;

pub(crate) fn party(home: u8, who: u8) -> Party {
    Party { domain: domain(home), agent: agent(who) }
}
pub(crate) fn usd() -> AssetId {
    AssetId { issuer: domain(ALPHA), code: AssetCode::new("USD").expect("a code") }
}
pub(crate) fn escrow_id() -> EscrowId {
    EscrowId([0xe5; 16])
}

pub(crate) fn policy() -> Policy {
    Policy {
        version: 1,
        escrow_fee_bps: 100,
        transfer_fee_bps: 50,
        referral_level1_bps: 1500,
        referral_level2_bps: 500,
        faucet_grant: 1_000_000,
        faucet_claims_per_hour: 100,
        faucet_claims_per_token: 10,
        faucet_stays_home: false,
        name_fee_per_year: 2_000_000,
        dispute_bond: 0,
        decide_within_ms: 10_000,
    }
}

pub(crate) fn roster() -> Roster {
    let mut voters = vec![key(NODE), key(NODE_2)];
    voters.sort();
    Roster { domain: domain(ALPHA), epoch: 1, voters, seats: vec![] }
}

pub(crate) fn roster_envelope() -> Bytes {
    roster().seal(&secret(ALPHA))
}

pub(crate) fn terms_small() -> EscrowTerms {
    EscrowTerms {
        payer: agent(PAYER),
        payees: vec![Payee { party: party(BETA, WORKER), key: key(WORKER), share_bps: 10_000 }],
        asset: usd(),
        amount: 5_000_000,
        task_hash: Hash::of(b"count the words"),
        condition: text(""),
        deliver_by_ms: NOW + 60_000,
        delivery_grace_ms: 0,
        review_window_ms: 60_000,
        on_silence: Silence::Release,
        arbiter: None,
        ruling_window_ms: 0,
        on_no_ruling: Silence::Refund,
        referred_by: None,
        milestones: vec![],
    }
}

pub(crate) fn terms_large() -> EscrowTerms {
    let payee = |who, share_bps| Payee { party: party(BETA, who), key: key(who), share_bps };
    EscrowTerms {
        payees: vec![payee(WORKER, 3_333), payee(8, 6_667)],
        amount: u64::MAX,
        condition: text("The counts are right.\nDer Rest ist verhandelbar: 50 € weniger."),
        delivery_grace_ms: 3_600_000,
        on_silence: Silence::Split { payee_bps: 5_000 },
        arbiter: Some(Arbiter { party: party(BETA, 9), key: key(9) }),
        ruling_window_ms: 86_400_000,
        referred_by: Some(Referral::Code(text("ACME7"))),
        milestones: vec![1, 300, u64::MAX - 301],
        ..terms_small()
    }
}

fn agent_verbs() -> Vec<Verb> {
    let id = escrow_id();
    let name = || text("translator");
    vec![
        Verb::RegisterAgent {
            nickname: text("payer"),
            group: Some(text("night-shift")),
            referred_by: Some(Referral::Code(text("ACME7"))),
            own_code: Some(text("PAYER1")),
            admission: Some(hash(7)),
            custodial: false,
        },
        Verb::register(text("p")),
        Verb::RotateKey { new_key: key(10), proof: prove_rotation(&agent(PAYER), &secret(10)) },
        Verb::RetireAgent,
        Verb::ClaimFaucet,
        Verb::RegisterName { name: name(), years: 1 },
        Verb::RenewName { name: name(), years: 10 },
        Verb::TransferName { name: name(), to: agent(WORKER) },
        Verb::ReleaseName { name: name() },
        Verb::Transfer {
            transfer_id: TransferId([0x77; 16]),
            to: party(BETA, WORKER),
            asset: usd(),
            amount: 1_500_000,
            memo: text("für die Übersetzung 🎉"),
        },
        Verb::LockEscrow { escrow_id: id, terms: terms_small() },
        Verb::LockEscrow { escrow_id: id, terms: terms_large() },
        Verb::AcceptEscrow { escrow_id: id },
        Verb::SubmitEscrow { escrow_id: id, milestone: None, result_hash: hash(8) },
        Verb::SubmitEscrow { escrow_id: id, milestone: Some(0), result_hash: hash(8) },
        Verb::ReleaseEscrow { escrow_id: id, milestone: None, verified_hash: None },
        Verb::ReleaseEscrow { escrow_id: id, milestone: Some(31), verified_hash: Some(hash(8)) },
        Verb::DisputeEscrow { escrow_id: id, evidence_hash: hash(9) },
        Verb::RuleEscrow { escrow_id: id, payee_bps: 3_333 },
        Verb::CancelEscrow { escrow_id: id },
    ]
}

fn operator_verbs() -> Vec<Verb> {
    let code = AssetCode::new("USD").expect("a code");
    vec![
        Verb::CreateAsset { code, scale: 6, supply_cap: 1_000_000_000_000_000_000 },
        Verb::Issue { code, to: Some(agent(PAYER)), amount: 1 },
        Verb::Issue { code, to: None, amount: u64::MAX },
        Verb::Burn { code, amount: 0 },
        Verb::FundFaucet { amount: 5_000_000_000 },
        Verb::SetPolicy { effective_at_ms: NOW + 86_400_000, policy: Policy { version: 2, ..policy() } },
    ]
}

pub(crate) fn batch(actor: Actor, verbs: Vec<Verb>) -> CommandBatch {
    let command = |(n, verb): (usize, Verb)| Command { request_id: RequestId([n as u8 + 1; 16]), verb };
    CommandBatch {
        home: domain(ALPHA),
        actor,
        valid_until_ms: NOW + 60_000,
        commands: verbs.into_iter().enumerate().map(command).collect(),
    }
}

pub(crate) fn agent_batch() -> CommandBatch {
    batch(Actor::Agent(agent(PAYER)), agent_verbs())
}

/// Both places where a referrer at home elsewhere is named.
pub(crate) fn referred_batch() -> CommandBatch {
    let referred_by = Some(Referral::Agent(party(BETA, WORKER)));
    let (nickname, terms) = (text("p"), EscrowTerms { referred_by: referred_by.clone(), ..terms_large() });
    let verbs = vec![
        Verb::RegisterAgent { nickname, group: None, referred_by, own_code: None, admission: None, custodial: false },
        Verb::LockEscrow { escrow_id: escrow_id(), terms },
    ];
    batch(Actor::Agent(agent(PAYER)), verbs)
}

/// An agent whose key an operator keeps.
pub(crate) fn custodial_batch() -> CommandBatch {
    let nickname = text("p");
    let verb = Verb::RegisterAgent {
        nickname,
        group: None,
        referred_by: None,
        own_code: None,
        admission: None,
        custodial: true,
    };
    batch(Actor::Agent(agent(PAYER)), vec![verb])
}

pub(crate) fn operator_batch() -> CommandBatch {
    let verbs = operator_verbs()
        .into_iter()
        .chain(crate::treaties::verbs())
        .chain([crate::verdicts::verb(), crate::books::verb()]);
    let verbs = verbs.chain(crate::exports::verbs());
    batch(Actor::Operator, verbs.collect())
}

pub(crate) fn transfer_batch() -> CommandBatch {
    batch(Actor::Agent(agent(PAYER)), agent_verbs().into_iter().skip(9).take(1).collect())
}

pub(crate) fn prepares() -> SettlementBatch {
    let prepare = |source| {
        SettlementMessage::Prepare(Prepare {
            transfer: TransferId([0x77; 16]),
            origin: domain(ALPHA),
            source,
            recipient: party(BETA, WORKER),
            asset: usd(),
            amount: 4_950_000,
            decide_by_ms: NOW + 10_000,
        })
    };
    let payout = Source::Escrow { escrow: escrow_id(), milestone: 0, payee: 1, attempt: 2 };
    settlement(vec![prepare(Source::Agent(agent(PAYER))), prepare(payout)])
}

pub(crate) fn sweep() -> SettlementBatch {
    let mut batch = prepares();
    batch.messages.truncate(1);
    if let Some(SettlementMessage::Prepare(prepare)) = batch.messages.first_mut() {
        prepare.source = Source::Referral { agent: agent(WORKER), swept_ms: NOW };
    }
    batch
}

pub(crate) fn settlement(messages: Vec<SettlementMessage>) -> SettlementBatch {
    SettlementBatch { from: domain(ALPHA), to: domain(BETA), incarnation: 1, roster: roster_envelope(), messages }
}

pub(crate) fn answers() -> SettlementBatch {
    let transfer = TransferId([0x77; 16]);
    let content = hash(0x33);
    let decide_by_ms = NOW + 10_000;
    let decision = |commit, vote_evidence| {
        SettlementMessage::Decision(Decision { transfer, content, commit, vote_evidence, decide_by_ms })
    };
    settlement(vec![
        SettlementMessage::Vote(Vote { transfer, content, verdict: Ok(0) }),
        SettlementMessage::Vote(Vote { transfer, content, verdict: Ok(24_750) }),
        SettlementMessage::Vote(Vote { transfer, content, verdict: Err(41) }),
        decision(true, Some(hash(4))),
        decision(false, None),
        SettlementMessage::Query(Query { transfer, prepare: prepares().seal(&secret(NODE)) }),
        SettlementMessage::Acknowledge(Acknowledge { transfer, commit: true }),
        SettlementMessage::Acknowledge(Acknowledge { transfer, commit: false }),
        SettlementMessage::Refusal(SettlementRefusal { transfer, reason: 40 }),
    ])
}

/// What issuer and recipient's domain say to each other of a third domain's payment.
pub(crate) fn backings() -> SettlementBatch {
    let (origin, transfer) = (domain(BETA), TransferId([0x77; 16]));
    let (content, amount, decide_by_ms) = (hash(0x33), 4_950_000, NOW + 10_000);
    settlement(vec![
        SettlementMessage::Backing(Backing { origin, transfer, content, amount, decide_by_ms }),
        SettlementMessage::BackingAnswer(BackingAnswer { origin, transfer, refusal: None }),
        SettlementMessage::BackingAnswer(BackingAnswer { origin, transfer, refusal: Some(40) }),
    ])
}

/// What both sides of a treaty that ends say about what lies between them; the statement is the ledger's own business.
pub(crate) fn closings() -> SettlementBatch {
    let statement = Bytes::from_static(b"a statement in the ledger's encoding");
    settlement(vec![
        SettlementMessage::Closing(Closing { treaty: hash(0x44), statement: statement.clone() }),
        SettlementMessage::ClosingAnswer(ClosingAnswer { statement: Hash::of(&statement), outcome: 2 }),
    ])
}

pub(crate) fn certificate() -> NodeCertificate {
    NodeCertificate {
        domain: domain(ALPHA),
        node: key(NODE),
        roles: Roles { voter: true, learner: false, gateway: true },
        not_before_ms: NOW,
        not_after_ms: NOW + 365 * 86_400_000,
        serial: 1,
    }
}

pub(crate) fn genesis() -> Genesis {
    Genesis {
        domain: domain(ALPHA),
        domain_key: key(ALPHA),
        nickname: text("alpha"),
        operator_key: key(OPERATOR),
        asset_code: AssetCode::new("USD").expect("a code"),
        asset_scale: 6,
        supply_cap: 1_000_000_000_000,
        policy: policy(),
        roster: roster_envelope(),
        incarnation: 1,
    }
}

pub(crate) fn join_request() -> JoinRequest {
    JoinRequest {
        domain: domain(ALPHA),
        node: key(NODE_2),
        token_proof: JoinRequest::proof_of(&[9; 32], &key(NODE_2)),
        endpoints: vec![text("/ip4/127.0.0.1/tcp/4001")],
        issued_at_ms: NOW,
        nonce: [5; 16],
    }
}

pub(crate) fn session() -> SessionRequest {
    SessionRequest { agent: agent(PAYER), node: key(NODE), nonce: [6; 16], issued_at_ms: NOW }
}

pub(crate) fn attestation() -> KeyAttestation {
    KeyAttestation { domain: domain(BETA), agent: agent(WORKER), key: key(10), valid_until_ms: NOW + 86_400_000 }
}

pub(crate) fn agent_card() -> AgentCard {
    AgentCard {
        agent: agent(WORKER),
        home: domain(BETA),
        key: key(WORKER),
        name: text("word-counter"),
        description: text("Counts lines, words and bytes."),
        capabilities: vec![text("text.statistics"), text("text.count")],
        price: Some(Price { asset: usd(), amount: 2_500_000 }),
        accepts: AcceptedTerms { review_window_max_ms: 86_400_000, delivery_ms: 30_000, silence_releases: true },
        sequence: 7,
        issued_at_ms: NOW,
        expires_at_ms: NOW + 86_400_000,
        retired: false,
        public: false,
        custodial: false,
        attestation: Bytes::new(),
    }
}

/// The same agent after a rotation: another key, and its home domain's word for it.
pub(crate) fn rotated_card() -> AgentCard {
    AgentCard {
        key: key(10),
        attestation: attestation().seal(&secret(NODE_2)),
        sequence: 8,
        public: true,
        ..agent_card()
    }
}

pub(crate) fn retired_card() -> AgentCard {
    AgentCard {
        description: text(""),
        capabilities: vec![],
        price: None,
        accepts: AcceptedTerms::default(),
        sequence: 9,
        retired: true,
        ..agent_card()
    }
}

pub(crate) fn domain_card() -> DomainCard {
    DomainCard {
        domain: domain(ALPHA),
        key: key(ALPHA),
        roster: roster_envelope(),
        document: Bytes::from_static(b"{\"schema\":\"comity/registry-card/1\"}"),
        sequence: 3,
        issued_at_ms: NOW,
        expires_at_ms: NOW + 86_400_000,
        retired: false,
    }
}

pub(crate) fn heartbeat() -> Heartbeat {
    Heartbeat {
        node: key(NODE),
        domain: domain(ALPHA),
        sequence: 12,
        addresses: vec![text("/ip4/127.0.0.1/tcp/4001")],
        cards_digest: hash(0x44),
        cards_count: 2,
        clock_ms: NOW,
        leaving: false,
        certificate: certificate().seal(&secret(ALPHA)),
    }
}

pub(crate) fn hello() -> Hello {
    Hello {
        certificate: certificate().seal(&secret(ALPHA)),
        roster: roster_envelope(),
        agent: text("comity/0.1.0"),
        addresses: vec![text("/ip4/127.0.0.1/tcp/4001")],
    }
}

pub(crate) fn task() -> TaskRequest {
    TaskRequest {
        task_id: TaskId([0x7a; 16]),
        from: party(ALPHA, PAYER),
        to: party(BETA, WORKER),
        escrow_id: escrow_id(),
        capability: text("text.statistics"),
        body: Bytes::from_static(b"count the words"),
        deadline_ms: NOW + 30_000,
    }
}

pub(crate) fn payment_request() -> PaymentRequest {
    PaymentRequest {
        task_id: TaskId([0x7a; 16]),
        escrow_id: escrow_id(),
        milestone: None,
        payee: party(BETA, WORKER),
        asset: usd(),
        amount: 5_000_000,
        result_hash: hash(8),
    }
}

pub(crate) fn receipt() -> Receipt {
    Receipt {
        domain: domain(ALPHA),
        batch: Hash::of(b"a batch"),
        incarnation: 1,
        log_index: 77,
        stamp_ms: NOW,
        outcomes: vec![2, 4, 300],
        roster: roster_envelope(),
    }
}

pub(crate) fn cosignature() -> Cosignature {
    Cosignature {
        witness: domain(ALPHA),
        domain: domain(BETA),
        size: 256,
        root: Hash::of(b"a root"),
        seen_ms: NOW,
        roster: roster_envelope(),
    }
}

pub(crate) fn entry() -> Entry {
    Entry {
        stamp_ms: NOW,
        items: vec![
            EntryItem::Genesis(genesis().seal(&secret(ALPHA))),
            EntryItem::Commands(transfer_batch().seal(&secret(PAYER))),
            EntryItem::Settlement(answers().seal(&secret(NODE))),
            EntryItem::Roster(roster_envelope()),
            EntryItem::Pulse,
            EntryItem::Treaty(crate::treaties::push()),
            EntryItem::TreatyReceipt(receipt().seal(&secret(NODE))),
            EntryItem::Key(crate::key_steps::operators().seal(&secret(ALPHA))),
            EntryItem::Contradiction(Bytes::from_static(b"two batches")),
            EntryItem::DriftNote(crate::treaties::note().seal(&secret(NODE))),
            EntryItem::Projection(crate::relay::projected().encode()),
        ],
    }
}
