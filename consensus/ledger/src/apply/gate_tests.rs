//! Limits too large to reach by playing, and the fence of a restored domain: the gate is asked with the count set.

use crate::{
    check::CheckedItem,
    outcome::Outcome,
    state::{Agent, Domain, Ledger, Profile},
    treaty::{Agreed, Treaty},
};
use alloc::{sync::Arc, vec, vec::Vec};
use comity_proto::{
    amount::{AssetCode, AssetId},
    command::{Actor, Command, CommandBatch, Party, Verb},
    escrow::{EscrowTerms, Payee, Silence},
    export::{Audience, ExportRule},
    ids::{AgentId, DomainId, EscrowId, Hash, PublicKey, RequestId, TransferId},
    limits as l,
    policy::Policy,
    text::{Condition, Memo, Name, Nickname, Reason},
};

const HOME: DomainId = DomainId([9; 32]);

fn ledger() -> Ledger {
    let mut ledger = Ledger::empty();
    let nickname = Nickname::new("alpha").unwrap();
    ledger.head.domain = Some(Domain {
        id: HOME,
        key: PublicKey([9; 32]),
        nickname: nickname.clone(),
        root: comity_proto::roots::RootKeys::first(PublicKey([7; 32])),
        root_words: vec![],
        operator: crate::keys::KeyRecord::first(PublicKey([8; 32])),
        nodes: Default::default(),
        incarnation: 1,
        fenced: false,
        roster: bytes::Bytes::new(),
        roster_epoch: 1,
        voters: vec![],
        seats: vec![],
    });
    let policy = Policy {
        version: 1,
        escrow_fee_bps: 100,
        transfer_fee_bps: 50,
        referral_level1_bps: 0,
        referral_level2_bps: 0,
        faucet_grant: 0,
        faucet_claims_per_hour: 0,
        faucet_claims_per_token: 0,
        faucet_stays_home: false,
        name_fee_per_year: 0,
        dispute_bond: 0,
        decide_within_ms: 5_000,
    };
    ledger.head.policies = vec![(0, policy)];
    let id = AssetId { issuer: HOME, code: AssetCode::new("USD").unwrap() };
    ledger.head.assets = vec![crate::state::Asset { id, scale: Some(6), supply_cap: Some(1_000) }];
    for n in 1..=2 {
        let profile = Profile {
            nickname: nickname.clone(),
            group: None,
            referrer: None,
            own_code: None,
            admission: None,
            custodial: false,
            registered_ms: 0,
        };
        let key = PublicKey([n; 32]);
        let agent = Agent { key, retired: false, faucet_claimed: false, stays_home: 0, profile: Arc::new(profile) };
        ledger.agents.insert(AgentId([n; 32]), agent);
    }
    ledger
}

fn ask(ledger: &mut Ledger, verb: Verb) -> Vec<Outcome> {
    let command = Command { request_id: RequestId([7; 16]), verb };
    let of_operator = matches!(command.verb, Verb::ChangeExport { .. });
    let (actor, key) = if of_operator { (Actor::Operator, 8) } else { (Actor::Agent(AgentId([1; 32])), 1) };
    let batch = CommandBatch { home: HOME, actor, valid_until_ms: 2_000, commands: vec![command] };
    let item = CheckedItem::unsigned(PublicKey([key; 32]), batch);
    ledger.apply(1, 1_000, vec![item]).outcomes.concat()
}

fn take_name() -> Verb {
    Verb::RegisterName { name: Name::new("a").unwrap(), years: 1 }
}

#[test]
fn a_fenced_domain_obeys_nobody() {
    let mut ledger = ledger();
    if let Some(domain) = &mut ledger.head.domain {
        domain.fenced = true;
    }
    assert_eq!(ask(&mut ledger, take_name()), [Outcome::Fenced]);
    assert!(ledger.remembered.is_empty(), "it may be asked again");
}

#[test]
fn a_signer_has_so_many_requests_remembered_and_no_more() {
    let mut ledger = ledger();
    let max = u32::try_from(l::REMEMBERED_PER_SIGNER_MAX).unwrap();
    ledger.count(AgentId([1; 32]), |usage| usage.requests = max);
    assert_eq!(ask(&mut ledger, take_name()), [Outcome::LimitExceededRequests]);
    ledger.count(AgentId([1; 32]), |usage| usage.requests = max - 1);
    assert_eq!(ask(&mut ledger, take_name()), [Outcome::Created]);
}

#[test]
fn an_agent_owns_so_many_names_and_no_more() {
    let mut ledger = ledger();
    ledger.count(AgentId([1; 32]), |usage| usage.names = u32::try_from(l::NAMES_PER_AGENT_MAX).unwrap());
    assert_eq!(ask(&mut ledger, take_name()), [Outcome::LimitExceededNames]);
}

#[test]
fn a_payer_has_so_many_escrows_open_and_no_more() {
    let mut ledger = ledger();
    ledger.count(AgentId([1; 32]), |usage| usage.escrows = u32::try_from(l::OPEN_ESCROWS_PER_PAYER_MAX).unwrap());
    let payee = Party { domain: HOME, agent: AgentId([2; 32]) };
    let terms = EscrowTerms {
        payer: AgentId([1; 32]),
        payees: vec![Payee { party: payee, key: PublicKey([2; 32]), share_bps: 10_000 }],
        asset: AssetId { issuer: HOME, code: AssetCode::new("USD").unwrap() },
        amount: 1,
        task_hash: Hash([0; 32]),
        condition: Condition::new("").unwrap(),
        deliver_by_ms: 5_000,
        delivery_grace_ms: 0,
        review_window_ms: l::REVIEW_WINDOW_MIN_MS,
        on_silence: Silence::Release,
        arbiter: None,
        ruling_window_ms: l::RULING_WINDOW_MIN_MS,
        on_no_ruling: Silence::Refund,
        referred_by: None,
        milestones: vec![],
    };
    let verb = Verb::LockEscrow { escrow_id: EscrowId([3; 16]), terms };
    assert_eq!(ask(&mut ledger, verb), [Outcome::LimitExceededOpenEscrows]);
}

#[test]
fn a_domain_has_so_many_export_rules_and_no_more() {
    let mut ledger = ledger();
    let rule = |n: usize| ExportRule::all(Audience::Peer(DomainId(Hash::of(&n.to_be_bytes()).0)));
    ledger.head.exports = (1..l::EXPORT_RULES_MAX).map(rule).collect();
    let admit = |n| Verb::ChangeExport { rule: rule(n), withdrawn: false, reason: Reason::new("").unwrap() };
    assert_eq!(ask(&mut ledger.clone(), admit(0)), [Outcome::Created]);
    ledger.head.exports.add(rule(l::EXPORT_RULES_MAX));
    assert_eq!(ask(&mut ledger, admit(0)), [Outcome::LimitExceededExports]);
}

#[test]
fn a_peer_has_so_many_transfers_open_and_no_more() {
    let mut ledger = ledger();
    let peer = DomainId([5; 32]);
    let mut treaty = Treaty::unsigned(peer, PublicKey([5; 32]), Nickname::new("beta").unwrap(), 0);
    let (ours, theirs) = (bytes::Bytes::new(), bytes::Bytes::new());
    treaty.agreed = Some(Agreed {
        version: 1,
        digest: Hash([0; 32]),
        caps: vec![],
        majorities: vec![],
        charter: None,
        ours,
        theirs,
        untold: false,
    });
    ledger.head.treaties.insert(peer, treaty);
    let open = &mut ledger.settlement.peers.entry(peer).or_default().queues.outgoing_open;
    for n in 0..l::OPEN_TRANSFERS_PER_PEER_MAX as u128 {
        open.insert(5_000, TransferId(n.to_be_bytes()));
    }
    let verb = Verb::Transfer {
        transfer_id: TransferId([6; 16]),
        to: Party { domain: peer, agent: AgentId([2; 32]) },
        asset: AssetId { issuer: HOME, code: AssetCode::new("USD").unwrap() },
        amount: 1,
        memo: Memo::new("").unwrap(),
    };
    assert_eq!(ask(&mut ledger, verb), [Outcome::LimitExceededTransfers]);
}
