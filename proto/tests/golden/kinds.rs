//! Every kind of message, with the refusals that only it can have.

use crate::{
    cases::{Kind, Refused, bare, field, fields, signed, varint, with},
    relay,
    samples::{self as s, secret},
};
use bytes::Bytes;
use comity_proto::{
    card::{AgentCard, DomainCard, Owner},
    command::{Actor, CommandBatch, Verb},
    entry::{Entry, EntryItem},
    envelope::{Context, Signed as _, seal},
    escrow::{EscrowTerms, Payee},
    gossip::{CardDigest, Hello, Repair},
    identity::{Genesis, JoinRequest, NodeCertificate, Revocations, Roster},
    ids::Hash,
    limits as l,
    settlement::{Closing, Query, SettlementMessage},
    task::{PaymentRequest, TaskEvent, TaskEventKind},
};

/// All kinds.
pub(crate) fn all() -> Vec<Kind> {
    let mut all = vec![
        command(),
        settlement(),
        node_certificate(),
        roster(),
        revocations(),
        genesis(),
        join_request(),
        signed("session", vec![("session", s::session(), secret(s::PAYER))], (1, "agent")),
        signed("key_attestation", vec![("attestation", s::attestation(), secret(s::NODE_2))], (1, "domain")),
        agent_card(),
        domain_card(),
        signed("heartbeat", vec![("heartbeat", s::heartbeat(), secret(s::NODE))], (1, "node")),
        signed("task_request", vec![("task", s::task(), secret(s::PAYER))], (1, "task_id")),
        payment_request(),
        entry(),
        entry_item(),
        hello(),
        repair(),
        crate::members::suspicion(),
        crate::members::passage(),
        crate::members::members(),
        task_event(),
        relay::question(),
        relay::answer(),
        relay::receipt(),
        relay::cosignature(),
        relay::projection(),
    ];
    all.extend(crate::treaties::all());
    all.extend([crate::verdicts::kind(), crate::verdicts::word_kind(), crate::key_steps::kind(), crate::roots::kind()]);
    all
}

/// Payload bytes, signed as a batch of commands of the payer.
fn as_command(payload: impl Into<Bytes>) -> Bytes {
    seal(Context::Command, payload.into(), &secret(s::PAYER))
}

/// A batch with one verb of the payer.
fn one(verb: Verb) -> Bytes {
    as_command(s::batch(Actor::Agent(s::agent(s::PAYER)), vec![verb]).encode())
}

/// The sample lock with other terms.
fn lock(change: impl FnOnce(&mut EscrowTerms)) -> Bytes {
    let mut terms = s::terms_small();
    change(&mut terms);
    one(Verb::LockEscrow { escrow_id: s::escrow_id(), terms })
}

/// The sample lock with one field of the encoded terms replaced.
fn lock_raw(number: u32, body: &[u8]) -> Bytes {
    let verb = Verb::LockEscrow { escrow_id: s::escrow_id(), terms: s::terms_small() };
    let payload = s::batch(Actor::Agent(s::agent(s::PAYER)), vec![verb]).encode();
    as_command(with(&payload, 5, |command| {
        Some(with(command, 11, |lock| Some(with(lock, 2, |terms| Some(with(terms, number, |_| Some(body.to_vec())))))))
    }))
}

/// The sample transfer, edited inside the command or inside the verb.
fn transfer_raw(edit: impl Fn(&[u8]) -> Vec<u8>) -> Bytes {
    let payload = s::transfer_batch().encode();
    as_command(with(&payload, 5, |command| Some(with(command, 10, |transfer| Some(edit(transfer))))))
}

fn command() -> Kind {
    let valid = vec![
        ("every-verb-of-an-agent", s::agent_batch(), secret(s::PAYER)),
        ("every-verb-of-an-operator", s::operator_batch(), secret(s::OPERATOR)),
        ("one-transfer", s::transfer_batch(), secret(s::PAYER)),
        ("referred-from-elsewhere", s::referred_batch(), secret(s::PAYER)),
        ("custodial", s::custodial_batch(), secret(s::PAYER)),
    ];
    signed("command", valid, (1, "home"))
        .refusing(command_form())
        .refusing(command_terms())
        .refusing(crate::exports::refused())
}

fn command_form() -> Vec<Refused> {
    let transfer = s::transfer_batch();
    let payload = transfer.encode();
    let many = CommandBatch { commands: vec![transfer.commands[0].clone(); 257], ..transfer.clone() };
    let none = CommandBatch { commands: vec![], ..transfer.clone() };
    let timeless = CommandBatch { valid_until_ms: 0, ..transfer.clone() }.encode();
    let written_out = [&timeless[..68], &[0x20, 0], &timeless[68..]].concat();
    let in_command = |edit: &dyn Fn(&[u8]) -> Vec<u8>| as_command(with(&payload, 5, |command| Some(edit(command))));
    let amount = |digits: &[u8]| {
        transfer_raw(|transfer| {
            // Everything before the amount (tag 0x20), the digits instead of it, then the memo.
            let memo_at = transfer.len() - 2 - "für die Übersetzung 🎉".len();
            let before = &transfer[..memo_at - 4];
            assert_eq!(transfer[memo_at - 4], 0x20);
            [before, &[0x20], digits, &transfer[memo_at..]].concat()
        })
    };
    vec![
        ("no-commands", as_command(none.encode()), "missing_field", Some("commands")),
        ("too-many-commands", as_command(many.encode()), "too_large", Some("commands_per_batch")),
        ("default-written-out", as_command(written_out), "not_canonical", None),
        ("no-actor", as_command(with(&payload, 2, |_| None)), "missing_field", Some("actor")),
        ("no-verb", in_command(&|command| with(command, 10, |_| None)), "wrong_kind", Some("verb")),
        (
            "unknown-verb",
            in_command(&|c| [&with(c, 10, |_| None)[..], &[0x9a, 0x06, 0]].concat()),
            "not_canonical",
            None,
        ),
        ("two-verbs", in_command(&|c| [&[0x22, 0], c].concat()), "not_canonical", None),
        (
            "request-id-too-short",
            in_command(&|c| with(c, 1, |_| Some(vec![1; 15]))),
            "wrong_length",
            Some("request_id"),
        ),
        ("unknown-field-inside", transfer_raw(|t| [t, &[0xc0, 0x0c, 1]].concat()), "not_canonical", None),
        ("transfer-without-receiver", transfer_raw(|t| with(t, 2, |_| None)), "missing_field", Some("to")),
        (
            "transfer-id-too-long",
            transfer_raw(|t| with(t, 1, |_| Some(vec![1; 17]))),
            "wrong_length",
            Some("transfer_id"),
        ),
        ("memo-with-a-control-character", transfer_raw(|t| with(t, 5, |_| Some(vec![7]))), "bad_text", Some("memo")),
        ("memo-too-long", transfer_raw(|t| with(t, 5, |_| Some(vec![b'x'; 141]))), "bad_text", Some("memo")),
        ("memo-not-utf-8", transfer_raw(|t| with(t, 5, |_| Some(vec![0xff]))), "malformed", None),
        ("amount-above-u64", amount(&[255, 255, 255, 255, 255, 255, 255, 255, 255, 2]), "malformed", None),
        ("amount-with-a-spare-zero-byte", amount(&[0xe0, 0xc6, 0xdb, 0x80, 0]), "not_canonical", None),
        ("amount-as-a-float", transfer_raw(|t| [t, &[0x21, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f]].concat()), "malformed", None),
    ]
}

fn command_terms() -> Vec<Refused> {
    let unpacked = |terms: &[u8]| [terms, &[0x78, 1, 0x78, 2, 0x78, 3]].concat();
    let verb = Verb::LockEscrow { escrow_id: s::escrow_id(), terms: s::terms_small() };
    let payload = s::batch(Actor::Agent(s::agent(s::PAYER)), vec![verb]).encode();
    let milestones_one_by_one =
        with(&payload, 5, |command| Some(with(command, 11, |lock| Some(with(lock, 2, |terms| Some(unpacked(terms)))))));
    let mut milestone = vec![];
    field(&mut milestone, 1, &s::escrow_id().0);
    milestone.push(0x10);
    varint(&mut milestone, 65_536);
    field(&mut milestone, 3, &[8; 32]);
    let submit = Verb::SubmitEscrow { escrow_id: s::escrow_id(), milestone: None, result_hash: Hash([8; 32]) };
    let submit = s::batch(Actor::Agent(s::agent(s::PAYER)), vec![submit]).encode();
    let submit = with(&submit, 5, |command| Some(with(command, 13, |_| Some(milestone.clone()))));
    let payee = |terms: &EscrowTerms| -> Payee { terms.payees[0] };
    let referred = |code: &[u8]| {
        let mut batch = s::referred_batch();
        batch.commands.truncate(1);
        as_command(with(&batch.encode(), 5, |command| {
            Some(with(command, 2, |register| {
                let name = fields(register)[0].1.len();
                Some([&register[..name], code, &register[name..]].concat())
            }))
        }))
    };
    vec![
        ("referred-by-a-code-and-an-agent", referred(b"\x1a\x05ACME7"), "out_of_range", Some("referrer")),
        ("no-payees", lock(|t| t.payees.clear()), "missing_field", Some("payees")),
        ("too-many-payees", lock(|t| t.payees = vec![payee(t); 17]), "too_large", Some("payees")),
        ("too-many-milestones", lock(|t| t.milestones = vec![1; 33]), "too_large", Some("milestones")),
        ("milestones-not-packed", as_command(milestones_one_by_one), "not_canonical", None),
        ("milestone-beyond-its-type", as_command(submit), "out_of_range", Some("milestone")),
        ("share-above-the-whole", lock(|t| t.payees[0].share_bps = 10_001), "out_of_range", Some("share_bps")),
        ("silence-unspecified", lock_raw(10, &[]), "wrong_kind", Some("on_silence")),
        ("silence-unknown", lock_raw(10, &[0x08, 9]), "wrong_kind", Some("on_silence")),
        ("silence-release-with-a-share", lock_raw(10, &[0x08, 1, 0x10, 1]), "out_of_range", Some("on_silence")),
        (
            "silence-split-above-the-whole",
            lock_raw(13, &[0x08, 3, 0x10, 0x91, 0x4e]),
            "out_of_range",
            Some("on_no_ruling"),
        ),
        ("task-hash-too-short", lock_raw(5, &[1; 31]), "wrong_length", Some("task_hash")),
        ("asset-code-in-lower-case", lock_raw(3, &asset("usd")), "bad_text", Some("asset_code")),
        ("asset-code-too-long", lock_raw(3, &asset("ABCDEFGHIJKLM")), "bad_text", Some("asset_code")),
    ]
}

fn asset(code: &str) -> Vec<u8> {
    let mut out = vec![];
    field(&mut out, 1, &s::domain(s::ALPHA).0);
    field(&mut out, 2, code.as_bytes());
    out
}

fn settlement() -> Kind {
    let node = || secret(s::NODE);
    let valid = vec![
        ("prepares", s::prepares(), node()),
        ("answers", s::answers(), node()),
        ("backings", s::backings(), node()),
        ("referral-sweep", s::sweep(), node()),
        ("books", crate::books::batch(), node()),
        ("closings", s::closings(), node()),
        ("word", s::settlement(vec![SettlementMessage::Word(crate::verdicts::word().seal(&node()))]), node()),
    ];
    let sealed = |messages| s::settlement(messages).seal(&node());
    let raw = |message: &[u8]| {
        let payload = s::settlement(s::prepares().messages[..1].to_vec()).encode();
        seal(Context::Settlement, with(&payload, 5, |_| Some(message.to_vec())).into(), &node())
    };
    let prepare = s::prepares().messages[0].clone();
    let query = SettlementMessage::Query(Query { transfer: transfer(), prepare: s::prepares().seal(&node()) });
    let mut vote = vec![];
    field(&mut vote, 1, &[0x77; 16]);
    field(&mut vote, 2, &[0x33; 32]);
    let mut silent = vec![];
    field(&mut silent, 2, &vote);
    // The one prepare of the sample with another source.
    let from = |edit: &dyn Fn(&[u8]) -> Vec<u8>| {
        let payload = s::sweep().encode();
        let edited = with(&payload, 5, |message| Some(with(message, 1, |prepare| Some(edit(prepare)))));
        seal(Context::Settlement, edited.into(), &node())
    };
    let mut payer = vec![];
    field(&mut payer, 3, &s::agent(s::PAYER).0);
    let both = |prepare: &[u8]| {
        let at = fields(prepare).iter().take(2).map(|(_, whole, _)| whole.len()).sum();
        [&prepare[..at], &payer, &prepare[at..]].concat()
    };
    signed("settlement", valid, (1, "from")).refusing(crate::books::refused()).refusing(vec![
        ("no-messages", sealed(vec![]), "missing_field", Some("messages")),
        ("too-many-messages", sealed(vec![prepare.clone(); 129]), "too_large", Some("settlement_batch")),
        ("prepare-next-to-a-query", sealed(vec![prepare, query]), "out_of_range", Some("messages")),
        ("closing-too-long", sealed(vec![long_closing()]), "too_large", Some("closing_bytes")),
        ("message-of-no-kind", raw(&[]), "wrong_kind", Some("settlement_message")),
        ("vote-without-a-verdict", raw(&silent), "missing_field", Some("verdict")),
        ("prepare-from-nowhere", from(&|prepare| with(prepare, 9, |_| None)), "missing_field", Some("source")),
        ("prepare-from-two-places", from(&both), "out_of_range", Some("source")),
    ])
}

fn long_closing() -> SettlementMessage {
    let statement = vec![0; l::CLOSING_BYTES_MAX + 1].into();
    SettlementMessage::Closing(Closing { treaty: Hash([0; 32]), statement })
}

fn transfer() -> comity_proto::ids::TransferId {
    comity_proto::ids::TransferId([0x77; 16])
}

fn node_certificate() -> Kind {
    let root = || secret(s::ALPHA);
    let certificate = s::certificate;
    let backwards = NodeCertificate { not_after_ms: s::NOW - 1, ..certificate() };
    let for_ever = NodeCertificate { not_after_ms: u64::MAX, ..certificate() };
    signed("node_certificate", vec![("voter-and-gateway", certificate(), root())], (1, "domain")).refusing(vec![
        ("ends-before-it-begins", backwards.seal(&root()), "out_of_range", Some("not_after_ms")),
        ("for-ever", for_ever.seal(&root()), "out_of_range", Some("not_after_ms")),
        ("made-by-the-node-itself", certificate().seal(&secret(s::NODE)), "wrong_signer", None),
        ("made-by-another-domain", certificate().seal(&secret(s::BETA)), "wrong_signer", None),
    ])
}

fn roster() -> Kind {
    let root = || secret(s::ALPHA);
    let sealed = |voters| Roster { voters, ..s::roster() }.seal(&root());
    let mut sorted = s::roster().voters;
    let (low, high) = (sorted[0], sorted[1]);
    sorted.extend((20..26).map(s::key));
    sorted.sort();
    let seated = |seats| Roster { seats, ..s::roster() };
    let valid = vec![("two-voters", s::roster(), root()), ("two-keys-of-one", seated(vec![0, 0]), root())];
    signed("roster", valid, (1, "domain")).refusing(vec![
        ("seats-too-few", seated(vec![0]).seal(&root()), "out_of_range", Some("seats")),
        ("seats-out-of-order", seated(vec![1, 1]).seal(&root()), "out_of_range", Some("seats")),
        ("seats-needless", seated(vec![0, 1]).seal(&root()), "out_of_range", Some("seats")),
        ("no-voters", sealed(vec![]), "missing_field", Some("voters")),
        ("too-many-voters", sealed(sorted), "too_large", Some("roster")),
        ("voters-out-of-order", sealed(vec![high, low]), "out_of_range", Some("voters")),
        ("voter-twice", sealed(vec![low, low]), "out_of_range", Some("voters")),
    ])
}

fn revocations() -> Kind {
    let root = || secret(s::ALPHA);
    let of = |serials| Revocations { domain: s::domain(s::ALPHA), epoch: 2, serials };
    let sealed = |serials| of(serials).seal(&root());
    signed("revocations", vec![("two", of(vec![3, 1_700_000_000_000]), root())], (1, "domain")).refusing(vec![
        ("nothing-revoked", sealed(vec![]), "missing_field", Some("serials")),
        ("too-many", sealed((1..=65).collect()), "too_large", Some("revoked")),
        ("out-of-order", sealed(vec![3, 2]), "out_of_range", Some("serials")),
        ("twice", sealed(vec![3, 3]), "out_of_range", Some("serials")),
        ("by-a-node", of(vec![3]).seal(&secret(s::NODE)), "wrong_signer", None),
    ])
}

fn genesis() -> Kind {
    let root = || secret(s::ALPHA);
    let stolen = Genesis { domain_key: s::key(s::BETA), ..s::genesis() };
    let payload = s::genesis().encode();
    let raw = |bytes: Vec<u8>| seal(Context::Genesis, bytes.into(), &root());
    signed("genesis", vec![("genesis", s::genesis(), root())], (1, "domain")).refusing(vec![
        ("names-another-key", stolen.seal(&root()), "wrong_signer", None),
        ("id-of-another-key", stolen.seal(&secret(s::BETA)), "wrong_signer", None),
        ("no-policy", raw(with(&payload, 8, |_| None)), "missing_field", Some("policy")),
        ("nickname-in-upper-case", raw(with(&payload, 3, |_| Some(b"Alpha".to_vec()))), "bad_text", Some("nickname")),
    ])
}

fn join_request() -> Kind {
    let node = || secret(s::NODE_2);
    let endpoint = s::join_request().endpoints[0].clone();
    let crowded = JoinRequest { endpoints: vec![endpoint; 17], ..s::join_request() };
    let spaced = with(&s::join_request().encode(), 4, |_| Some(b"no where".to_vec()));
    signed("join_request", vec![("join", s::join_request(), node())], (1, "domain")).refusing(vec![
        ("too-many-endpoints", crowded.seal(&node()), "too_large", Some("endpoints")),
        ("endpoint-with-a-space", seal(Context::JoinRequest, spaced.into(), &node()), "bad_text", Some("endpoint")),
    ])
}

fn agent_card() -> Kind {
    let worker = || secret(s::WORKER);
    let card = s::agent_card;
    let valid = vec![
        ("first-key", card(), worker()),
        ("rotated-key", s::rotated_card(), secret(10)),
        ("retired", s::retired_card(), worker()),
        ("custodial", AgentCard { custodial: true, ..card() }, worker()),
    ];
    let crowded = AgentCard { capabilities: vec![card().capabilities[0].clone(); 33], ..card() };
    let unproven = AgentCard { attestation: Bytes::new(), ..s::rotated_card() };
    let of_another = AgentCard { agent: s::agent(s::PAYER), ..s::rotated_card() };
    let elsewhere = AgentCard { home: s::domain(s::ALPHA), ..s::rotated_card() };
    let mut forged = s::rotated_card().attestation.to_vec();
    *forged.last_mut().expect("an attestation") ^= 1;
    let forged = AgentCard { attestation: forged.into(), ..s::rotated_card() };
    signed("agent_card", valid, (1, "agent")).refusing(vec![
        ("too-many-capabilities", crowded.seal(&worker()), "too_large", Some("capabilities")),
        (
            "lives-too-long",
            AgentCard { expires_at_ms: u64::MAX, ..card() }.seal(&worker()),
            "out_of_range",
            Some("expires_at_ms"),
        ),
        (
            "expires-before-it-was-issued",
            AgentCard { expires_at_ms: 1, ..card() }.seal(&worker()),
            "out_of_range",
            Some("expires_at_ms"),
        ),
        ("rotated-key-without-attestation", unproven.seal(&secret(10)), "wrong_signer", None),
        ("attestation-of-another-agent", of_another.seal(&secret(10)), "wrong_signer", None),
        ("attestation-of-another-home", elsewhere.seal(&secret(10)), "wrong_signer", None),
        ("attestation-forged", forged.seal(&secret(10)), "bad_signature", None),
    ])
}

fn domain_card() -> Kind {
    let root = || secret(s::ALPHA);
    let retired = DomainCard { retired: true, document: Bytes::new(), ..s::domain_card() };
    let valid = vec![
        ("by-the-root-key", s::domain_card(), root()),
        ("by-a-voter", s::domain_card(), secret(s::NODE)),
        ("retired", retired, root()),
    ];
    let theirs = Roster { domain: s::domain(s::BETA), epoch: 1, voters: vec![s::key(s::NODE_2)], seats: vec![] };
    let borrowed = DomainCard { roster: theirs.seal(&secret(s::BETA)), ..s::domain_card() };
    let other_key = DomainCard { key: s::key(s::BETA), ..s::domain_card() };
    let silent = DomainCard { document: Bytes::new(), ..s::domain_card() };
    let gone = DomainCard { retired: true, ..s::domain_card() };
    let long = DomainCard { document: vec![b'x'; l::DOMAIN_DOCUMENT_BYTES_MAX + 1].into(), ..s::domain_card() };
    signed("domain_card", valid, (1, "domain")).refusing(vec![
        ("without-a-document", silent.seal(&root()), "missing_field", Some("document")),
        ("gone-and-speaking", gone.seal(&root()), "out_of_range", Some("document")),
        ("document-too-long", long.seal(&root()), "too_large", Some("domain_document_bytes")),
        ("by-a-voter-of-another-domain", borrowed.seal(&secret(s::NODE_2)), "wrong_signer", None),
        ("key-of-another-domain", other_key.seal(&secret(s::BETA)), "wrong_signer", None),
    ])
}

fn payment_request() -> Kind {
    let worker = || secret(s::WORKER);
    let part = PaymentRequest { milestone: Some(0), ..s::payment_request() };
    let valid = vec![("whole", s::payment_request(), worker()), ("milestone", part, worker())];
    let payload = s::payment_request().encode();
    let raw = |bytes: Vec<u8>| seal(Context::PaymentRequest, bytes.into(), &worker());
    let nothing = PaymentRequest { amount: 0, ..s::payment_request() };
    signed("payment_request", valid, (2, "task_id")).refusing(vec![
        ("version-from-the-future", raw([&[8, 2], &payload[2..], &[0xc0, 0x0c, 1]].concat()), "unknown_version", None),
        ("version-missing", raw(payload[2..].to_vec()), "unknown_version", None),
        ("amount-zero", nothing.seal(&worker()), "missing_field", Some("amount")),
    ])
}

fn entry() -> Kind {
    let again = |bytes: &Bytes| Ok(Entry::decode(bytes)?.encode());
    let crowded = Entry { stamp_ms: s::NOW, items: vec![EntryItem::Pulse; l::ENTRY_ITEMS_MAX + 1] };
    let valid =
        vec![("every-item", s::entry().encode()), ("no-items", Entry { stamp_ms: s::NOW, items: vec![] }.encode())];
    bare("entry", again, valid, l::ENTRY_BYTES_MAX + 1).refusing(vec![
        ("too-many-items", crowded.encode(), "too_large", Some("entry_items")),
        ("item-of-no-kind", Bytes::from_static(&[0x08, 1, 0x12, 0]), "wrong_kind", Some("entry_item")),
    ])
}

fn entry_item() -> Kind {
    let again = |bytes: &Bytes| Ok(EntryItem::decode(bytes)?.encode());
    let names = "genesis commands settlement roster pulse treaty treaty-receipt key contradiction drift-note";
    let items = names.split(' ').zip(s::entry().items);
    let valid = items.map(|(name, item)| (name, item.encode())).collect();
    bare("entry_item", again, valid, l::ENVELOPE_BYTES_MAX + 17).refusing(vec![(
        "of-no-kind",
        Bytes::new(),
        "wrong_kind",
        Some("entry_item"),
    )])
}

fn hello() -> Kind {
    let again = |bytes: &Bytes| Ok(Hello::decode(bytes)?.encode());
    let stranger = Hello { certificate: Bytes::new(), roster: Bytes::new(), addresses: vec![], ..s::hello() };
    let good = s::hello().encode();
    let valid = vec![("member", good.clone()), ("stranger", stranger.encode())];
    bare("hello", again, valid, l::HELLO_BYTES_MAX + 1).refusing(vec![(
        "version-from-the-future",
        [&[8, 2], &good[2..], &[0xc0, 0x0c, 1]].concat().into(),
        "unknown_version",
        None,
    )])
}

fn repair() -> Kind {
    let again = |bytes: &Bytes| Ok(Repair::decode(bytes)?.encode());
    let owner = Owner::Agent(s::agent(s::WORKER));
    let domain = Owner::Domain(s::domain(s::ALPHA));
    let item = |owner| CardDigest { owner, sequence: 7, digest: Hash([4; 32]) };
    let page = |items| Repair::Digests { items, complete: true }.encode();
    let cards = vec![s::agent_card().seal(&secret(s::WORKER)), s::domain_card().seal(&secret(s::ALPHA))];
    let valid = vec![
        ("digests", page(vec![item(owner), item(domain)])),
        ("ask-from-the-beginning", Repair::Ask { after: None }.encode()),
        ("ask-after", Repair::Ask { after: Some(owner) }.encode()),
        ("want", Repair::Want { owners: vec![owner, domain] }.encode()),
        ("cards", Repair::Cards { cards }.encode()),
    ];
    let many = Repair::Want { owners: vec![owner; 65] }.encode();
    bare("repair", again, valid, l::REPAIR_BYTES_MAX + 1).refusing(vec![
        ("of-no-kind", Bytes::new(), "wrong_kind", Some("repair")),
        ("digests-out-of-order", page(vec![item(domain), item(owner)]), "out_of_range", Some("digests")),
        ("too-many-owners", many, "too_large", Some("owners")),
        ("too-many-cards", Repair::Cards { cards: vec![Bytes::new(); 65] }.encode(), "too_large", Some("cards")),
    ])
}

fn task_event() -> Kind {
    let again = |bytes: &Bytes| Ok(TaskEvent::decode(bytes)?.encode());
    let event = |index, kind| TaskEvent { task_id: s::task().task_id, index, kind }.encode();
    let finished = s::payment_request().seal(&secret(s::WORKER));
    let reason = "the input is empty".parse().expect("a reason");
    let valid = vec![
        ("progress", event(1, TaskEventKind::Progress(Bytes::from_static(b"half")))),
        ("accepted", event(0, TaskEventKind::Accepted)),
        ("result", event(2, TaskEventKind::Result(Bytes::from_static(b"{\"lines\":1}")))),
        ("finished", event(3, TaskEventKind::Finished(finished))),
        ("failed", event(4, TaskEventKind::Failed(reason))),
    ];
    let mut nothing = vec![];
    field(&mut nothing, 1, &[0x7a; 16]);
    bare("task_event", again, valid, l::TASK_CHUNK_BYTES + 65).refusing(vec![(
        "of-no-kind",
        nothing.into(),
        "wrong_kind",
        Some("task_event"),
    )])
}
