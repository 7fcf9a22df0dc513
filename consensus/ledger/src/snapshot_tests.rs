use super::*;
use crate::{
    account::{AccountKey, AssetIndex, Leg},
    posting::post,
    settlement::{Accrual, AccrualId, Incoming, IncomingState, Outgoing, OutgoingState, Payout, PayoutKey, content_of},
    state::{Agent, NameRecord, Profile, Remembered},
};
use alloc::{sync::Arc, vec::Vec};
use comity_proto::{
    amount::{AssetCode, AssetId},
    command::Party,
    ids::{AgentId, DomainId, EscrowId, PublicKey, RequestId, TransferId},
    settlement::{Prepare, Source},
    text::{Name, Nickname},
};
use proptest::prelude::*;
use std::format;

fn agent(n: u16) -> AgentId {
    AgentId(comity_proto::ids::Hash::of(&n.to_be_bytes()).0)
}

fn prepare(n: u8, asset: AssetId) -> Prepare {
    Prepare {
        transfer: TransferId([n; 16]),
        origin: DomainId([1; 32]),
        source: Source::Agent(agent(0)),
        recipient: Party { domain: DomainId([2; 32]), agent: agent(1) },
        asset,
        amount: 5,
        decide_by_ms: 1_000 * u64::from(n),
    }
}

fn put_accrual(ledger: &mut Ledger, n: u8) {
    let referrer = Party { domain: DomainId([2; 32]), agent: agent(u16::from(n)) };
    let (sweep, sweep_at_ms) = if n.is_multiple_of(2) { (Some(TransferId([n; 16])), None) } else { (None, Some(78)) };
    let accrual = Accrual { referrer, asset: AssetIndex(0), waiting: u64::from(n), sweep, sweep_at_ms };
    ledger.settlement.put_accrual(AccrualId::of(&referrer, accrual.asset), accrual);
}

fn profile(n: u16) -> Profile {
    Profile {
        nickname: Nickname::new("agent").expect("a nickname"),
        group: None,
        referrer: None,
        own_code: None,
        admission: None,
        custodial: n.is_multiple_of(3),
        registered_ms: 1,
    }
}

/// A ledger with something in every section that this file can fill.
fn ledger(agents: u16, transfers: u8, seed: u64) -> Ledger {
    let mut ledger = Ledger::empty();
    ledger.head.stamp_ms = seed;
    ledger.head.events.append(comity_proto::ids::Hash::of(&seed.to_be_bytes()));
    let (usd, issuance) = (AssetIndex(0), AccountKey::issuance(AssetIndex(0)));
    for n in 0..agents {
        let record = Agent {
            key: PublicKey([1; 32]),
            retired: n % 2 == 0,
            faucet_claimed: false,
            stays_home: 0,
            profile: Arc::new(profile(n)),
        };
        ledger.agents.insert(agent(n), record);
        let amount = seed % 1_000 + u64::from(n) + 1;
        let legs = [Leg::debit(issuance, amount), Leg::credit(AccountKey::agent(agent(n), usd), amount)];
        post(&mut ledger.accounts, &legs).expect("posts");
        let name = Name::new(&format!("name{n}")).expect("a name");
        ledger.name_queue.insert(u64::from(n) * 7, name.clone());
        ledger.names.insert(name, NameRecord { owner: agent(n), expires_ms: u64::from(n) * 7 });
        let remembered = Remembered { digest: [2; 16], valid_until_ms: seed, outcome: crate::Outcome::Created };
        ledger.remembered.insert((agent(n), RequestId([3; 16])), remembered);
    }
    let asset = AssetId { issuer: DomainId([1; 32]), code: AssetCode::new("USD").expect("a code") };
    for n in 0..transfers {
        let prepare = prepare(n, asset);
        let content = content_of(&prepare);
        let state = if n % 2 == 0 {
            OutgoingState::Undecided
        } else {
            OutgoingState::Closed {
                commit: true,
                fee: 1,
                reason: None,
                vote_evidence: None,
                decided_ms: 3,
                closed_ms: 4,
            }
        };
        let (asset, begun_ms, refusal) = (Some(usd), 9, None);
        let outgoing = Outgoing { prepare: prepare.clone(), content, asset, begun_ms, state, refusal, across: None };
        ledger.settlement.add_outgoing(outgoing);
        let record = Incoming {
            prepare: Some(prepare),
            content,
            asset,
            evidence: content,
            decision_evidence: None,
            backing: None,
            heard_ms: 4,
            decide_by_ms: 1_000 * u64::from(n),
            state: if n % 2 == 0 { IncomingState::Voted { fee: 1 } } else { IncomingState::Refused { reason: 13 } },
            refusal: Some(50),
        };
        ledger.settlement.put_incoming((DomainId([1; 32]), TransferId([n; 16])), record);
        let key = PayoutKey { escrow: EscrowId([n; 16]), milestone: 0, payee: 1 };
        let recipient = Party { domain: DomainId([2; 32]), agent: agent(1) };
        let retry_at_ms = (n % 2 == 0).then_some(77);
        ledger.settlement.put_payout(key, Payout { recipient, asset: usd, amount: 5, attempt: 2, retry_at_ms });
        put_accrual(&mut ledger, n);
    }
    ledger
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_snapshot_reads_back_as_the_same_ledger_with_the_same_digest(
        agents in 0_u16..60, transfers in 0_u8..40, seed in 0_u64..1_000_000,
    ) {
        let ledger = ledger(agents, transfers, seed);
        let chunks: Vec<_> = ledger.snapshot_chunks().collect();
        let copy = Ledger::from_chunks(&chunks).expect("reads back");
        prop_assert_eq!(copy.digest(), ledger.digest());
        prop_assert_eq!(&copy, &ledger);
        prop_assert!(copy.snapshot_chunks().eq(chunks));
    }
}

#[test]
fn another_balance_is_another_digest() {
    let one = ledger(3, 2, 1);
    let mut other = one.freeze();
    let usd = AssetIndex(0);
    let legs = [Leg::debit(AccountKey::agent(agent(0), usd), 1), Leg::credit(AccountKey::agent(agent(1), usd), 1)];
    post(&mut other.accounts, &legs).expect("posts");
    assert_ne!(one.digest(), other.digest());
}

#[test]
fn chunks_stay_within_their_limit() {
    let ledger = ledger(9_000, 0, 1);
    let chunks: Vec<_> = ledger.snapshot_chunks().collect();
    assert!(chunks.iter().all(|chunk| chunk.len() <= SNAPSHOT_CHUNK_BYTES));
    assert!(chunks.len() > 5, "{} chunks", chunks.len());
    assert_eq!(Ledger::from_chunks(&chunks).as_ref(), Ok(&ledger));
}

/// The chunk of one section, and where it stands.
fn chunk_of(chunks: &[Vec<u8>], section: Section) -> usize {
    chunks.iter().position(|chunk| chunk[1] == section as u8).expect("present")
}

#[test]
fn what_is_not_the_one_encoding_is_refused_by_name() {
    let good: Vec<_> = ledger(3, 2, 1).snapshot_chunks().collect();
    let refused = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut chunks = good.clone();
        change(&mut chunks);
        Ledger::from_chunks(&chunks).expect_err("refused")
    };
    let agents = chunk_of(&good, Section::Agents);
    assert_eq!(refused(&|chunks| chunks[0][0] = 99), SnapshotError::UnknownVersion(99));
    assert_eq!(refused(&|chunks| chunks[agents][1] = 99), SnapshotError::UnknownSection(99));
    assert_eq!(refused(&|chunks| chunks[agents].push(0)), SnapshotError::TrailingBytes(Section::Agents));
    assert_eq!(refused(&|chunks| chunks[agents].truncate(5)), SnapshotError::ChunkTooShort);
    assert_eq!(refused(&|chunks| chunks[agents].truncate(9)), SnapshotError::Malformed(Section::Agents));
    assert_eq!(refused(&|chunks| chunks[0].push(0)), SnapshotError::TrailingBytes(Section::Head));
    assert_eq!(refused(&|chunks| drop(chunks.pop())), SnapshotError::Incomplete);
    assert_eq!(refused(&|chunks| drop(chunks.remove(agents))), SnapshotError::Incomplete);
    assert_eq!(refused(&|chunks| chunks.push(chunks[0].clone())), SnapshotError::AfterEnd);
    let swapped = refused(&|chunks| chunks.swap(agents, agents + 1));
    assert_eq!(swapped, SnapshotError::SectionOutOfOrder(Section::Agents));
    let twice = refused(&|chunks| chunks.insert(agents, chunks[agents].clone()));
    assert!(matches!(twice, SnapshotError::DuplicateKey(_) | SnapshotError::KeyOutOfOrder(_)), "{twice:?}");
    assert_eq!(Ledger::from_chunks(Vec::<Vec<u8>>::new()), Err(SnapshotError::Incomplete));
}

#[test]
fn the_same_key_twice_is_refused() {
    let good: Vec<_> = ledger(1, 0, 1).snapshot_chunks().collect();
    let at = chunk_of(&good, Section::Agents);
    let mut chunks = good.clone();
    let entry = good[at][HEADER_BYTES..].to_vec();
    chunks[at].extend_from_slice(&entry);
    chunks[at][5] = 2;
    assert_eq!(Ledger::from_chunks(&chunks), Err(SnapshotError::DuplicateKey(Section::Agents)));
}

#[test]
fn a_number_written_longer_than_needed_is_refused() {
    let good: Vec<_> = ledger(1, 0, 1).snapshot_chunks().collect();
    let at = chunk_of(&good, Section::Accounts);
    let mut chunks = good.clone();
    // The last field of an account is its balance, a varint below 128: the same value in two bytes.
    let last = chunks[at].pop().expect("a byte");
    assert!(last < 128);
    chunks[at].extend_from_slice(&[last | 0x80, 0]);
    assert_eq!(Ledger::from_chunks(&chunks), Err(SnapshotError::NotCanonical(Section::Accounts)));
}
