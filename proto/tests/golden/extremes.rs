//! The largest messages still fit their limits, bodies are slices, and no bytes whatever bring a reader down.

use crate::{kinds, samples as s};
use bytes::Bytes;
use comity_proto::{
    amount::{AssetCode, AssetId},
    card::{AgentCard, DomainCard},
    command::{Actor, Verb},
    envelope::Signed as _,
    escrow::EscrowTerms,
    identity::Roster,
    ids::{DomainId, EscrowId, TransferId},
    limits as l,
    reject::Reject,
    relay::Question,
    settlement::{Prepare, Query, SettlementMessage, Source},
    task::TaskRequest,
};

fn longest_prepare() -> Prepare {
    Prepare {
        transfer: TransferId([255; 16]),
        origin: DomainId([255; 32]),
        source: Source::Escrow { escrow: EscrowId([255; 16]), milestone: u16::MAX, payee: u16::MAX, attempt: u32::MAX },
        recipient: s::party(s::BETA, s::WORKER),
        asset: AssetId { issuer: DomainId([255; 32]), code: AssetCode::new("ABCDEFGHIJKL").expect("a code") },
        amount: u64::MAX,
        decide_by_ms: u64::MAX,
    }
}

fn longest_roster() -> Bytes {
    let mut voters: Vec<_> = (0..l::ROSTER_MAX).map(|n| s::key(n as u8)).collect();
    voters.sort();
    let seeds: Vec<u8> = (50..=50 + u8::try_from(l::ROOT_LINKS_MAX).expect("few")).collect();
    let root = crate::roots::line(&seeds);
    Roster { domain: root.domain(), epoch: u64::MAX, voters, seats: vec![] }.seal(&root)
}

#[test]
fn a_full_batch_of_the_longest_prepares_can_be_embedded_in_a_query() {
    let source = Source::Referral { agent: s::agent(s::WORKER), swept_ms: u64::MAX };
    for prepare in [longest_prepare(), Prepare { source, ..longest_prepare() }] {
        assert!(prepare.encode().len() + 8 <= l::PREPARE_BYTES_MAX);
    }
    let mut batch = s::settlement(vec![SettlementMessage::Prepare(longest_prepare()); l::SETTLEMENT_BATCH_MAX]);
    (batch.incarnation, batch.roster) = (u64::MAX, longest_roster());
    assert!(batch.roster.len() <= l::ROSTER_BYTES_MAX);
    let envelope = batch.seal(&s::secret(s::NODE));
    assert!(envelope.len() <= l::PREPARE_BATCH_BYTES_MAX, "{}", envelope.len());
    let query = SettlementMessage::Query(Query { transfer: TransferId([1; 16]), prepare: envelope });
    let queries = s::settlement(vec![query; 7]).seal(&s::secret(s::NODE));
    assert!(comity_proto::settlement::SettlementBatch::open(&queries).is_ok());
}

#[test]
fn a_query_cannot_embed_more_than_a_batch_of_prepares() {
    let prepare = Bytes::from(vec![1; l::PREPARE_BATCH_BYTES_MAX + 1]);
    let query = SettlementMessage::Query(Query { transfer: TransferId([1; 16]), prepare });
    let sealed = s::settlement(vec![query]).seal(&s::secret(s::NODE));
    let got = comity_proto::settlement::SettlementBatch::open(&sealed).expect_err("too large");
    assert_eq!(got, Reject::TooLarge { limit: "prepare_batch_bytes", max: l::PREPARE_BATCH_BYTES_MAX });
}

#[test]
fn a_full_batch_of_locks_with_the_longest_condition_fits() {
    let condition = "x".repeat(l::CONDITION_BYTES_MAX).parse().expect("a condition");
    let terms = EscrowTerms { condition, payees: s::terms_small().payees, milestones: vec![], ..s::terms_large() };
    let lock = Verb::LockEscrow { escrow_id: s::escrow_id(), terms };
    let mut batch = s::batch(Actor::Agent(s::agent(s::PAYER)), vec![lock]);
    batch.commands = vec![batch.commands[0].clone(); l::COMMANDS_PER_BATCH_MAX];
    let envelope = batch.seal(&s::secret(s::PAYER));
    assert!(envelope.len() <= l::ENVELOPE_BYTES_MAX, "{}", envelope.len());
    assert_eq!(comity_proto::command::CommandBatch::open(&envelope).map(|v| v.into_inner()), Ok(batch));
}

#[test]
fn the_longest_cards_fit() {
    let capability = "x".repeat(l::CAPABILITY_BYTES_MAX).parse().expect("a capability");
    let card = AgentCard {
        name: "x".repeat(l::NICKNAME_BYTES_MAX).parse().expect("a name"),
        description: "x".repeat(l::DESCRIPTION_BYTES_MAX).parse().expect("a description"),
        capabilities: vec![capability; l::CAPABILITIES_MAX],
        ..s::rotated_card()
    };
    let envelope = card.seal(&s::secret(10));
    assert!(envelope.len() <= l::CARD_BYTES_MAX && AgentCard::open(&envelope).is_ok(), "{}", envelope.len());

    let card = DomainCard {
        document: vec![b'x'; l::DOMAIN_DOCUMENT_BYTES_MAX].into(),
        roster: longest_roster(),
        ..s::domain_card()
    };
    let envelope = card.seal(&s::secret(s::ALPHA));
    assert!(envelope.len() <= l::CARD_BYTES_MAX && DomainCard::open(&envelope).is_ok(), "{}", envelope.len());
}

#[test]
fn the_body_of_a_task_is_a_slice_of_what_arrived() {
    let task = TaskRequest { body: vec![7; l::TASK_BYTES_MAX].into(), ..s::task() };
    let envelope = task.seal(&s::secret(s::PAYER));
    let opened = TaskRequest::open(&envelope).expect("the largest task");
    let arrived = envelope.as_ptr_range();
    assert!(arrived.contains(&opened.get().body.as_ptr()), "the body was copied");
    let larger = TaskRequest { body: vec![7; l::TASK_BYTES_MAX + 1].into(), ..s::task() };
    assert!(matches!(TaskRequest::open(&larger.seal(&s::secret(s::PAYER))), Err(Reject::TooLarge { .. })));
}

#[test]
fn a_question_carries_the_longest_envelope_as_a_slice_and_no_longer_one() {
    let longest = Question::Commands(vec![7; l::ENVELOPE_BYTES_MAX].into()).encode();
    let Ok(Question::Commands(envelope)) = Question::decode(&longest) else { panic!("the longest envelope") };
    assert!(longest.as_ptr_range().contains(&envelope.as_ptr()), "the envelope was copied");
    let longer = Question::Commands(vec![7; l::ENVELOPE_BYTES_MAX + 1].into()).encode();
    assert!(longer.len() <= l::QUESTION_BYTES_MAX, "only the inner limit is left to refuse it");
    let refused = Err(Reject::TooLarge { limit: "envelope_bytes", max: l::ENVELOPE_BYTES_MAX });
    assert_eq!(Question::decode(&longer), refused);
}

#[test]
fn no_bytes_bring_a_reader_down() {
    // A fixed sequence: what fails once fails again. Payloads are mutated below the signature, where a reader parses.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for kind in kinds::all() {
        for (_, bytes) in &kind.valid {
            for _ in 0..300 {
                let mut bytes = (kind.payload)(bytes).to_vec();
                for _ in 0..=random() % 4 {
                    if bytes.is_empty() {
                        break;
                    }
                    let at = (random() % bytes.len() as u64) as usize;
                    match random() % 3 {
                        0 => bytes[at] = random() as u8,
                        1 => drop(bytes.remove(at)),
                        _ => bytes.insert(at, random() as u8),
                    }
                }
                let bytes = Bytes::from(bytes);
                // Whatever is accepted is the one encoding of what was read.
                if let Ok(again) = (kind.read)(&bytes) {
                    assert_eq!(again, bytes, "{}", kind.name);
                }
            }
        }
    }
}
