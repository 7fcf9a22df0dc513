//! The x402 facilitator without any courtesy: what it refuses, and that nothing moved then. Payments through x402's own client
//! and middleware are in `cargo clients`.

use comity_node::{cli::client::Client, service::error::ServiceError};
use comity_tests::{cli::ask, pair::text, single::Single};
use serde_json::{Value, json};

struct Account {
    agent: String,
    door: Client,
}

struct Facilitator {
    node: Single,
    network: String,
    buyer: Account,
    seller: Account,
}

fn account(node: &Single, name: &str, limits: &[&str]) -> Account {
    let mut args = vec!["agent", "register", name, "--custodial"];
    args.extend(limits);
    let made = ask(&node.dir, &args);
    let door = node.api().with_token(text(&made, "token"));
    let claim = json!({ "verb": "claim_faucet", "arguments": {} });
    let _: Value = door.post_with_key("/api/v1/custody/errands", &claim, Some("claim")).expect("a grant");
    Account { agent: text(&made, "agent"), door }
}

impl Facilitator {
    fn open() -> Facilitator {
        let node = Single::up();
        let (buyer, seller) = (account(&node, "buyer", &["--per-day", "0.50"]), account(&node, "seller", &[]));
        let told: Value = node.api().get("/x402/supported").expect("kinds");
        let kind = &told["kinds"][0];
        assert_eq!((&kind["scheme"], &kind["x402Version"]), (&json!("fed-escrow"), &json!(2)), "{told}");
        let network = text(kind, "network");
        assert_eq!(network, format!("fed:{}", node.domain()));
        Facilitator { node, network, buyer, seller }
    }

    fn wanted(&self) -> Value {
        json!({
            "scheme": "fed-escrow", "network": self.network, "asset": "USD", "amount": "1000",
            "payTo": self.seller.agent, "maxTimeoutSeconds": 60, "extra": { "paymentFlow": "escrow" },
        })
    }

    fn authorize(&self, key: Option<&str>, wanted: &Value) -> Result<Value, ServiceError> {
        self.buyer.door.post_with_key("/x402/authorize", wanted, key)
    }

    fn payment(&self, key: &str) -> Value {
        self.authorize(Some(key), &self.wanted()).expect("a payment")
    }

    fn ask(&self, who: &Client, what: &str, wanted: &Value, payload: &Value) -> Value {
        let body = json!({
            "x402Version": 2, "paymentRequirements": wanted,
            "paymentPayload": { "x402Version": 2, "accepted": wanted, "payload": payload },
        });
        who.post(&format!("/x402/{what}"), &body).expect("an answer")
    }

    fn settle(&self, payment: &Value, more: Value) -> Value {
        let mut payload = payment.clone();
        payload.as_object_mut().expect("a payload").extend(more.as_object().expect("fields").clone());
        self.ask(&self.seller.door, "settle", &self.wanted(), &payload)
    }

    fn reason(&self, payment: &Value, more: Value) -> String {
        let answer = self.settle(payment, more);
        assert_eq!((&answer["success"], &answer["transaction"]), (&json!(false), &json!("")), "{answer}");
        assert!(text(&answer, "errorMessage").contains("; "), "what to do next: {answer}");
        text(&answer, "errorReason")
    }

    fn invalid(&self, wanted: &Value, payload: &Value) -> String {
        let answer = self.ask(&self.seller.door, "verify", wanted, payload);
        assert_eq!(answer["isValid"], false, "{answer}");
        text(&answer, "invalidReason")
    }

    fn balances(&self) -> (String, String) {
        let of = |who: &Account| {
            let view: Value = who.door.get(&format!("/api/v1/accounts/{}", who.agent)).expect("its account");
            text(&view["balances"][0], "available")
        };
        (of(&self.buyer), of(&self.seller))
    }
}

fn with(wanted: &Value, field: &str, value: Value) -> Value {
    let mut other = wanted.clone();
    other[field] = value;
    other
}

#[test]
fn a_lock_is_never_a_release_and_a_payment_pays_once() {
    let x = Facilitator::open();
    let payment = x.payment("one");
    assert_eq!(x.payment("one"), payment, "the same key is the same payment");
    let lock = json!({ "phase": "lock", "attempt": "a" });
    assert_eq!(x.reason(&payment, json!({ "phase": "release" })), "unknown_escrow", "nothing is locked yet");
    for more in
        [json!({}), json!({ "phase": "lock" }), json!({ "phase": "lock", "attempt": "" }), json!({ "phase": "x" })]
    {
        assert_eq!(x.reason(&payment, more), "phase_missing");
    }
    assert_eq!(x.balances(), ("1000000".to_owned(), "1000000".to_owned()));
    for _ in 0..3 {
        let locked = x.settle(&payment, lock.clone());
        assert_eq!((&locked["success"], &locked["extra"]["state"]), (&json!(true), &json!("accepted")), "{locked}");
        assert_eq!(x.balances(), ("999000".to_owned(), "1000000".to_owned()));
    }
    assert_eq!(x.reason(&payment, json!({ "phase": "lock", "attempt": "b" })), "payment_used");
    assert_eq!(x.invalid(&x.wanted(), &payment), "payment_used");
    for _ in 0..2 {
        let paid = x.settle(&payment, json!({ "phase": "release" }));
        assert_eq!((&paid["success"], &paid["amount"]), (&json!(true), &json!("1000")), "{paid}");
        assert_eq!(x.balances(), ("999000".to_owned(), "1000990".to_owned()));
    }
    assert_eq!(x.reason(&payment, lock), "payment_used");
    assert_eq!(x.reason(&payment, json!({ "phase": "refund" })), "wrong_state");
    let second = x.payment("two");
    x.settle(&second, json!({ "phase": "lock", "attempt": "c" }));
    for _ in 0..2 {
        let back = x.settle(&second, json!({ "phase": "refund" }));
        assert_eq!((&back["success"], &back["extra"]["state"]), (&json!(true), &json!("refunded")), "{back}");
    }
    assert_eq!(x.reason(&second, json!({ "phase": "release" })), "wrong_state");
    assert_eq!(x.balances(), ("999000".to_owned(), "1000990".to_owned()));
}

#[test]
fn what_is_not_a_payment_for_this_demand_is_refused() {
    let x = Facilitator::open();
    let (wanted, payment) = (x.wanted(), x.payment("one"));
    for (field, value) in [
        ("scheme", json!("exact")),
        ("network", json!("eip155:1")),
        ("asset", json!("EUR")),
        ("amount", json!(1000)),
        ("amount", json!("-1")),
        ("maxTimeoutSeconds", json!("60")),
    ] {
        assert_eq!(x.invalid(&with(&wanted, field, value), &payment), "bad_requirements", "{field}");
    }
    let nobody = with(&wanted, "payTo", json!("nobody"));
    assert_eq!(x.invalid(&nobody, &payment), "unknown_agent");
    for (field, value) in [("amount", json!("1001")), ("payTo", json!(x.buyer.agent))] {
        assert_eq!(x.invalid(&with(&wanted, field, value), &payment), "payment_other_than_demanded", "{field}");
    }
    let body = json!({
        "x402Version": 2, "paymentRequirements": wanted,
        "paymentPayload": { "x402Version": 2, "accepted": with(&wanted, "amount", json!("1")), "payload": payment },
    });
    let answer: Value = x.seller.door.post("/x402/verify", &body).expect("an answer");
    assert_eq!(answer["invalidReason"], "bad_requirements", "{answer}");
    let swapped = json!({ "lock": payment["release"], "release": payment["lock"] });
    let mixed = json!({ "lock": payment["lock"], "release": x.payment("two")["release"] });
    let more = with(&payment, "payer", json!("x"));
    for bad in [swapped, mixed, more, with(&payment, "lock", json!("?")), json!({})] {
        assert_eq!(x.invalid(&wanted, &bad), "bad_payment", "{bad}");
    }
    for (who, code) in [(&x.buyer.door, "not_the_payee"), (&x.node.api(), "not_an_agent")] {
        let stolen = with(&with(&payment, "phase", json!("lock")), "attempt", json!("theft"));
        let answer = x.ask(who, "settle", &wanted, &stolen);
        assert_eq!((&answer["success"], &answer["errorReason"]), (&json!(false), &json!(code)), "{answer}");
    }
    assert_eq!(x.balances(), ("1000000".to_owned(), "1000000".to_owned()));
}

#[test]
fn an_account_authorizes_within_its_limit_and_once_per_key() {
    let x = Facilitator::open();
    let wanted = x.wanted();
    let code = |key: Option<&str>, wanted: &Value| x.authorize(key, wanted).expect_err("refused").code;
    assert_eq!(code(None, &wanted), "idempotency_key_missing");
    assert_eq!(code(Some("two words"), &wanted), "bad_idempotency_key");
    x.payment("one");
    assert_eq!(code(Some("one"), &with(&wanted, "amount", json!("999"))), "idempotency_key_reused");
    assert_eq!(code(Some("more"), &with(&wanted, "amount", json!("499001"))), "spending_limit");
    for seconds in [0, 86_401] {
        let long = with(&wanted, "maxTimeoutSeconds", json!(seconds));
        assert_eq!(code(Some("long"), &long), "payment_too_long");
    }
    let poor = with(&wanted, "amount", json!("400000"));
    let payment = x.authorize(Some("rich"), &poor).expect("a payment within the limit");
    let pay = json!({ "verb": "transfer", "arguments": { "to": x.seller.agent, "amount": "0.09" } });
    let _: Value = x.buyer.door.post_with_key("/api/v1/custody/errands", &pay, Some("pay")).expect("a transfer");
    assert_eq!(x.ask(&x.seller.door, "verify", &poor, &payment)["isValid"], true);
    let stranger = x.node.api().with_token("f".repeat(64));
    for path in ["authorize", "verify", "settle"] {
        let refused = stranger.post_with_key::<Value>(&format!("/x402/{path}"), &wanted, Some("k"));
        assert_eq!(refused.expect_err("no account").code, "bad_token", "{path}");
    }
}
