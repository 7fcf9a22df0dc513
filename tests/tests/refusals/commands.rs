//! Signed commands that the ledger refuses.

use super::{books, post, post_as};
use comity_node::signer::{SignedBatch, Signer, fresh_escrow_id, fresh_id, fresh_transfer_id};
use comity_proto::{
    amount::{AssetCode, AssetId},
    command::{Actor, Command, CommandBatch, Party, Verb},
    envelope::{self, Context, Signed as _},
    ids::Hash,
    limits::{DAY_MS, SECOND_MS},
};
use comity_tests::{agent::Agent, cli, now_ms, single::Single};

/// A node with money in its faucet, and two agents that had their grant.
fn bank() -> (Single, Agent, Agent) {
    let node = Single::up();
    node.issue(1_000_000_000);
    let payer = Agent::funded(&node.api(), node.domain(), "payer");
    let payee = Agent::funded(&node.api(), node.domain(), "payee");
    (node, payer, payee)
}

fn batch_of(agent: &Agent, verb: Verb, valid_until_ms: u64) -> (CommandBatch, String) {
    let request_id = fresh_id();
    let commands = vec![Command { request_id, verb }];
    let batch = CommandBatch { home: agent.signer.home(), actor: Actor::Agent(agent.id), valid_until_ms, commands };
    (batch, request_id.to_string())
}

#[test]
fn a_signature_counts_only_for_its_bytes_its_context_its_key_and_its_time() {
    let (node, payer, payee) = bank();
    let before = books(&node);
    let (_, verb) = payer.pay(payee.party(), node.asset(), 10);
    let batch = payer.sign(verb.clone());
    let key = batch.request_id.to_string();
    let mut flipped = batch.envelope.to_vec();
    *flipped.last_mut().expect("a signature") ^= 1;
    let mut trailing = batch.envelope.to_vec();
    trailing.push(0);
    let long = [batch.envelope.to_vec(), vec![0; 600 * 1024]].concat();

    let (plain, plain_key) = batch_of(&payer, verb.clone(), now_ms() + 60 * SECOND_MS);
    let foreign = envelope::seal(Context::Task, plain.encode(), payer.signer.key());
    let stranger = plain.seal(Agent::fresh(node.domain()).signer.key());
    let (late, late_key) = batch_of(&payer, verb.clone(), now_ms() - SECOND_MS);
    let (far, far_key) = batch_of(&payer, verb.clone(), now_ms() + 2 * DAY_MS);
    let (elsewhere, elsewhere_key) = {
        let other =
            Agent { signer: payer.signer.towards(Agent::fresh(Single::up().domain()).signer.home()), ..payer.clone() };
        batch_of(&other, verb, now_ms() + 60 * SECOND_MS)
    };
    let table = [
        ("a flipped signature", post_as(&node, &flipped, &key), (403, "bad_signature")),
        ("a trailing byte", post_as(&node, &trailing, &key), (400, "malformed")),
        ("an envelope over the limit", post_as(&node, &long, &key), (413, "too_large")),
        ("a signature for a task", post_as(&node, &foreign, &plain_key), (403, "bad_signature")),
        ("another's key", post_as(&node, &stranger, &plain_key), (403, "bad_signature")),
        ("expired", post_as(&node, &late.seal(payer.signer.key()), &late_key), (422, "expired")),
        ("far future", post_as(&node, &far.seal(payer.signer.key()), &far_key), (422, "valid_until_too_far")),
        (
            "a domain unreached",
            post_as(&node, &elsewhere.seal(payer.signer.key()), &elsewhere_key),
            (503, "home_unreachable"),
        ),
    ];
    for (what, answer, expected) in &table {
        assert_eq!(answer.refusal(), *expected, "{what}: {answer:?}");
    }
    assert_eq!(books(&node), before);
    assert_eq!(payee.balance(&node.api(), &node.asset()).expect("a balance"), 1_000_000);
}

#[test]
fn the_same_request_id_answers_the_same_and_never_stands_for_something_else() {
    let (node, payer, payee) = bank();
    let (_, verb) = payer.pay(payee.party(), node.asset(), 10);
    let batch = payer.sign(verb);
    let first = post(&node, &batch);
    assert_eq!(first.status, 200, "{first:?}");
    let replayed = post(&node, &batch);
    assert_eq!((replayed.status, &replayed.body["results"]), (200, &first.body["results"]));
    let (_, other) = payer.pay(payee.party(), node.asset(), 11);
    let other = payer.signer.sign_as(batch.request_id, other, now_ms());
    assert_eq!(post(&node, &other).refusal(), (422, "exists_with_different_content"));
    assert_eq!(payee.balance(&node.api(), &node.asset()).expect("a balance"), 1_000_010, "paid once");
    // A refusal is remembered as well: the second look does not find the money that has come since.
    let (_, verb) = payee.pay(payer.party(), node.asset(), 1_500_000);
    let poor = payee.sign(verb);
    assert_eq!(post(&node, &poor).refusal(), (422, "insufficient_funds"));
    let (_, verb) = payer.pay(payee.party(), node.asset(), 900_000);
    payer.must(&node.api(), verb);
    assert_eq!(post(&node, &poor).refusal(), (422, "insufficient_funds"));
}

#[test]
fn money_commands_that_break_a_rule_are_refused_by_its_name() {
    let (node, payer, payee) = bank();
    let before = books(&node);
    let asset = node.asset();
    let yen = AssetId { code: AssetCode::new("YEN").expect("a code"), ..asset };
    let stranger = Agent::fresh(node.domain());
    let transfer = |to: Party, asset: AssetId, amount: u64| payer.sign(payer.pay(to, asset, amount).1);
    let lock = |terms| payer.sign(Verb::LockEscrow { escrow_id: fresh_escrow_id(), terms });
    let of_escrow = fresh_escrow_id();
    let mut late = payer.terms(&payee, asset, 10);
    late.deliver_by_ms = now_ms() - SECOND_MS;
    let mut shares = payer.terms(&payee, asset, 10);
    shares.payees[0].share_bps -= 1;
    let as_operator = Signer::operator(payer.signer.key().clone(), node.domain());
    let code = asset.code;
    let table: Vec<(&str, SignedBatch, (u16, &str))> = vec![
        ("amount 0", transfer(payee.party(), asset, 0), (422, "amount_zero")),
        ("beyond the balance", transfer(payee.party(), asset, u64::MAX), (422, "insufficient_funds")),
        ("an unknown asset", transfer(payee.party(), yen, 1), (422, "asset_unknown")),
        ("to an unknown agent", transfer(stranger.party(), asset, 1), (404, "unknown_agent")),
        ("to oneself", transfer(payer.party(), asset, 1), (422, "self_dealing")),
        ("by an unknown agent", stranger.sign(Verb::ClaimFaucet), (404, "unknown_agent")),
        ("the faucet twice", payer.sign(Verb::ClaimFaucet), (422, "faucet_claimed")),
        ("a lock of 0", lock(payer.terms(&payee, asset, 0)), (422, "amount_zero")),
        ("a lock for oneself", lock(payer.terms(&payer, asset, 10)), (422, "self_dealing")),
        ("a lock that is late already", lock(late), (422, "deadline_in_past")),
        ("shares that do not sum", lock(shares), (422, "terms_invalid")),
        ("accepting nothing", payee.sign(Verb::AcceptEscrow { escrow_id: of_escrow }), (404, "unknown_escrow")),
        (
            "the operator's command by an agent",
            payer.sign(Verb::Issue { code, to: Some(payer.id), amount: 1 }),
            (403, "not_authorised"),
        ),
        (
            "an agent's key that claims to be the operator",
            as_operator.sign(Verb::Issue { code, to: Some(payer.id), amount: 1 }, now_ms()),
            (403, "bad_signature"),
        ),
    ];
    for (what, batch, expected) in &table {
        let answer = post(&node, batch);
        assert_eq!(answer.refusal(), *expected, "{what}: {answer:?}");
        assert_eq!(answer.body["changed"], "no", "{what}: {answer:?}");
    }
    assert_eq!(books(&node), before);
    assert_eq!(payer.balance(&node.api(), &asset).expect("a balance"), 1_000_000);
}

#[test]
fn an_escrow_in_another_state_and_another_partys_escrow_are_left_alone() {
    let (node, payer, payee) = bank();
    let api = node.api();
    let escrow_id = fresh_escrow_id();
    let terms = payer.terms(&payee, node.asset(), 100_000);
    payer.must(&api, Verb::LockEscrow { escrow_id, terms: terms.clone() });
    let result_hash = Hash::of(b"a result");
    let refused = |agent: &Agent, verb: Verb| agent.submit(&api, verb).expect_err("a refusal").code;
    let release = |verified_hash| Verb::ReleaseEscrow { escrow_id, milestone: None, verified_hash };
    assert_eq!(refused(&payee, release(None)), "not_authorised");
    assert_eq!(refused(&payer, release(Some(result_hash))), "wrong_state");
    assert_eq!(refused(&payer, Verb::SubmitEscrow { escrow_id, milestone: None, result_hash }), "not_authorised");
    let other_terms = payer.terms(&payee, node.asset(), 100_001);
    assert_eq!(refused(&payer, Verb::LockEscrow { escrow_id, terms: other_terms }), "exists_with_different_terms");
    payee.must(&api, Verb::SubmitEscrow { escrow_id, milestone: None, result_hash });
    assert_eq!(refused(&payer, release(Some(Hash::of(b"another")))), "hash_mismatch");
    assert_eq!(payee.balance(&api, &node.asset()).expect("a balance"), 1_000_000, "not paid yet");
    payer.must(&api, release(Some(result_hash)));
    assert_eq!(refused(&payer, release(None)), "wrong_state");
    assert_eq!(refused(&payee, Verb::CancelEscrow { escrow_id }), "wrong_state");
    assert_eq!(payee.balance(&api, &node.asset()).expect("a balance"), 1_099_000, "less the fee of 1 %");
}

#[test]
fn amounts_and_ids_that_are_none_are_refused_on_the_command_line() {
    let (node, _, payee) = bank();
    let data = node.data();
    cli::ask(data, &["agent", "register", "alice"]);
    cli::ask(data, &["faucet", "claim", "alice"]);
    let before = books(&node);
    let to = payee.id.to_string();
    let send = |amount: &str| {
        let said = cli::try_ask(data, &["transfer", "send", "--from", "alice", "--to", &to, "--", amount]);
        assert_eq!(said.code, 1, "{amount}: {}", said.text);
        said.refusal().to_owned()
    };
    for amount in ["", "-1", "1e3", "1.0000001", "0x10", "1,5", "NaN", "18446744073709551616", " 1"] {
        assert_eq!(send(amount), "bad_amount", "`{amount}`");
    }
    assert_eq!(send("0"), "amount_zero");
    assert_eq!(send("1.000001"), "insufficient_funds");
    // One character changed: no checksum fits and nobody's id begins so.
    let wrong = format!("{}{}{}", &to[..10], if to[10..11] == *"a" { "b" } else { "a" }, &to[11..]);
    let id = fresh_transfer_id().to_string();
    let table = [
        (vec!["transfer", "send", "--from", "alice", "--to", &wrong, "1"], "unknown_agent"),
        (vec!["transfer", "send", "--from", "bob", "--to", &to, "1"], "no_such_key"),
        (vec!["transfer", "send", "--from", "alice", "--to", &to, "--id", &id[1..], "1"], "bad_text"),
        (vec!["transfer", "show", &id], "unknown_transfer"),
        (vec!["escrow", "show", &id], "unknown_escrow"),
        (vec!["agent", "register", "alice"], "agent_exists_here"),
        (vec!["agent", "register", "../alice"], "bad_text"),
        (vec!["name", "resolve", "nobody"], "unknown_name"),
        (vec!["discover", "NOT-A-CAPABILITY"], "bad_capability"),
        (vec!["discover", "two words"], "bad_text"),
    ];
    for (args, expected) in table {
        let said = cli::try_ask(data, &args);
        assert_eq!((said.code, said.refusal()), (1, expected), "{args:?}: {}", said.text);
    }
    assert_eq!(books(&node), before);
}
