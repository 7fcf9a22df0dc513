//! Accounts whose key a node keeps: a whole trade by two tokens, retries that are the same command, a limit that holds
//! across `kill -9`, and the way out to a key of one's own.

use comity_node::{cli::client::Client, service::error::ServiceError};
use comity_tests::{
    cli::{ask, try_ask},
    pair::text,
    single::Single,
};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

/// A custodial agent and its door.
struct Account {
    agent: String,
    token: String,
    door: Client,
}

fn account(node: &Single, name: &str, limits: &[&str]) -> Account {
    let mut args = vec!["agent", "register", name, "--custodial"];
    args.extend(limits);
    let made = ask(&node.dir, &args);
    assert_eq!(made["custody"], "operator_can_spend", "{made}");
    let (agent, token) = (text(&made, "agent"), text(&made, "token"));
    Account { agent, door: node.api().with_token(token.clone()), token }
}

impl Account {
    fn errand(&self, key: &str, verb: &str, arguments: Value) -> Result<Value, ServiceError> {
        let body = json!({ "verb": verb, "arguments": arguments });
        self.door.post_with_key("/api/v1/custody/errands", &body, Some(key))
    }

    fn must(&self, key: &str, verb: &str, arguments: Value) -> Value {
        self.errand(key, verb, arguments).unwrap_or_else(|error| panic!("{verb}: {error}"))
    }

    fn code(&self, key: &str, verb: &str, arguments: Value) -> String {
        self.errand(key, verb, arguments).expect_err(verb).code
    }

    fn balance(&self) -> String {
        let account: Value = self.door.get(&format!("/api/v1/accounts/{}", self.agent)).expect("its account");
        assert_eq!(account["custody"], "operator_can_spend", "{account}");
        text(&account["balances"][0], "available")
    }

    fn left_today(&self) -> String {
        text(&self.door.get::<Value>("/api/v1/custody").expect("its limits"), "left_today")
    }
}

fn trading() -> (Single, Account, Account) {
    let node = Single::up();
    let (alice, bob) = (account(&node, "alice", &["--per-day", "0.80"]), account(&node, "bob", &[]));
    for one in [&alice, &bob] {
        assert_eq!(one.must("claim", "claim_faucet", json!({}))["outcome"], "created");
    }
    (node, alice, bob)
}

#[test]
fn two_agents_that_cannot_sign_trade_and_a_retry_is_the_same_command() {
    let (node, alice, bob) = trading();
    let terms = json!({ "payee": bob.agent, "amount": "0.50", "task": "count words", "on_silence": "refund" });
    let locked = alice.must("lock-1", "create_escrow", terms.clone());
    let escrow = text(&locked, "escrow");
    assert_eq!(alice.must("lock-1", "create_escrow", terms.clone()), locked, "the same answer, at the same place");
    assert_eq!((alice.balance(), alice.left_today()), ("500000".to_owned(), "300000".to_owned()));
    let other = json!({ "payee": bob.agent, "amount": "0.10", "task": "count words", "on_silence": "refund" });
    assert_eq!(alice.code("lock-1", "create_escrow", other), "idempotency_key_reused");

    assert_eq!(bob.code("deliver-0", "deliver", json!({ "escrow": escrow })), "bad_result");
    bob.must("deliver-1", "deliver", json!({ "escrow": escrow, "result": "two" }));
    let wrong = json!({ "escrow": escrow, "verified_sha256": "00".repeat(32) });
    assert_eq!(alice.code("release-0", "release_funds", wrong.clone()), "hash_mismatch");
    assert_eq!(alice.code("release-0", "release_funds", wrong), "hash_mismatch", "a refusal is kept too");
    for _ in 0..2 {
        alice.must("release-1", "release_funds", json!({ "escrow": escrow }));
    }
    assert_eq!(bob.balance(), "1495000");
    let seen: Value = node.api().get(&format!("/api/v1/agents/{}", alice.agent)).expect("alice");
    assert_eq!(seen["custody"], "operator_can_spend", "{seen}");
}

#[test]
fn six_concurrent_calls_under_one_key_lock_once() {
    let (_node, alice, bob) = trading();
    let terms = json!({ "payee": bob.agent, "amount": "0.11", "task": "t", "on_silence": "refund" });
    let calls = std::thread::scope(|scope| {
        let call = || scope.spawn(|| alice.must("once", "create_escrow", terms.clone()));
        let calls: Vec<_> = (0..6).map(|_| call()).collect();
        calls.into_iter().map(|call| text(&call.join().expect("an answer"), "escrow")).collect::<Vec<_>>()
    });
    assert!(calls.iter().all(|escrow| *escrow == calls[0]), "{calls:?}");
    assert_eq!((alice.balance(), alice.left_today()), ("890000".to_owned(), "690000".to_owned()));
}

#[test]
fn a_limit_is_enforced_before_signing_and_holds_across_kill() {
    let (mut node, alice, bob) = trading();
    let pay = |amount: &str| json!({ "to": bob.agent, "amount": amount });
    alice.must("pay-1", "transfer", pay("0.60"));
    let over = alice.errand("pay-2", "transfer", pay("0.21")).expect_err("over its limit");
    assert_eq!(over.code, "spending_limit");
    assert!(over.detail.contains("0.80 a day; 0.60 is spent, 0.21 was asked for"), "{}", over.detail);
    node.process = None;
    node.start(&[]);
    node.wait_until_founded();
    assert_eq!(alice.code("pay-3", "transfer", pay("0.21")), "spending_limit");
    assert_eq!(alice.must("pay-1", "transfer", pay("0.60"))["outcome"], "created", "the answer is kept");
    alice.must("pay-4", "transfer", pay("0.20"));
    assert_eq!((alice.balance(), bob.balance()), ("200000".to_owned(), "1800000".to_owned()));
    // What the ledger refuses costs nothing.
    assert_eq!(bob.code("pay-1", "transfer", json!({ "to": alice.agent, "amount": "9.00" })), "insufficient_funds");
}

#[test]
fn an_account_is_its_token_s_alone() {
    let (node, alice, bob) = trading();
    let terms = json!({ "payee": alice.agent, "amount": "0.10", "task": "t", "on_silence": "refund" });
    let escrow = text(&bob.must("lock", "create_escrow", terms.clone()), "escrow");
    let carol = account(&node, "carol", &[]);
    assert_eq!(carol.code("release", "release_funds", json!({ "escrow": escrow })), "unknown_escrow");
    assert_eq!(alice.code("release", "release_funds", json!({ "escrow": escrow })), "not_authorised");
    // A key is its caller's: carol's `lock` is another wish, and she has no money.
    assert_eq!(carol.code("lock", "create_escrow", terms), "insufficient_funds");
    for (token, code) in [("f".repeat(64), "bad_token"), (node.token("api.token"), "not_an_agent")] {
        let stranger = Account { agent: String::new(), door: node.api().with_token(token.clone()), token };
        assert_eq!(stranger.code("k", "claim_faucet", json!({})), code);
    }
    assert_eq!(alice.code("two words", "claim_faucet", json!({})), "bad_idempotency_key");
    let body = json!({ "verb": "claim_faucet", "arguments": {} });
    let keyless = alice.door.post::<Value>("/api/v1/custody/errands", &body).expect_err("no key");
    assert_eq!(keyless.code, "idempotency_key_missing");
    // The node's files hold neither token nor key in the clear.
    let kept = std::fs::read(node.dir.join("custody/custody.redb")).expect("the accounts");
    assert!(!kept.windows(alice.token.len()).any(|window| window == alice.token.as_bytes()));
}

#[test]
fn a_claim_moves_the_account_to_a_key_of_its_own_and_ends_the_token() {
    let (node, alice, bob) = trading();
    let status: Value = node.api().get("/api/v1/status").expect("a status");
    let half = json!({ "new_key": status["node"], "proof": "00" });
    let refused = alice.door.post::<Value>("/api/v1/custody/claim", &half).expect_err("half a proof");
    assert_eq!(refused.code, "bad_proof");
    let file = node.dir.join("alice.token");
    std::fs::write(&file, &alice.token).expect("a file");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("its mode");
    ask(&node.dir, &["agent", "claim", "alice", "--token-file", &file.display().to_string()]);
    assert_eq!(alice.code("k", "claim_faucet", json!({})), "bad_token");
    let shown = ask(&node.dir, &["agent", "show", "alice"]);
    assert_eq!((text(&shown, "agent"), &shown["custody"]), (alice.agent.clone(), &json!("own_key")));
    ask(&node.dir, &["transfer", "send", "--from", "alice", "--to", &bob.agent, "0.90"]);
    assert_eq!(bob.balance(), "1900000", "no limit of the node binds a key of one's own");
    let again = try_ask(&node.dir, &["agent", "claim", "alice2", "--token-file", &file.display().to_string()]);
    assert_eq!(again.refusal(), "bad_token");
}

#[test]
fn a_newcomer_opens_an_account_once_per_key_within_the_node_s_own_limit() {
    let node = Single::up();
    let newcomer = node.api().with_token(node.token("admission.token"));
    let open = |body: Value, key: &str| newcomer.post_with_key::<Value>("/api/v1/custody", &body, Some(key));
    let made = open(json!({ "nickname": "dora" }), "k1").expect("an account");
    let door = node.api().with_token(text(&made, "token"));
    let left: Value = door.get("/api/v1/custody").expect("its limits");
    assert_eq!((text(&left, "agent"), text(&left, "left_today")), (text(&made, "agent"), "100000000".to_owned()));
    let code = |body: Value, key: &str| open(body, key).expect_err("refused").code;
    assert_eq!(code(json!({ "nickname": "dora" }), "k1"), "account_opened_before");
    assert_eq!(code(json!({ "nickname": "eve" }), "k1"), "idempotency_key_reused");
    assert_eq!(code(json!({ "nickname": "eve", "per_day": "5" }), "k2"), "operator_only");
    assert_eq!(code(json!({ "nickname": "" }), "k3"), "bad_text");
}
