//! Demands for payment: held by code against keys, escrow and result; a forged one is refused, logged with the identity
//! that it claims, and counted once.

use comity_node::{payment_request, signer::fresh_escrow_id};
use comity_proto::{
    amount::AssetId,
    command::Verb,
    ids::{Hash, TaskId},
    task::PaymentRequest,
};
use comity_tests::{
    PATIENCE,
    agent::Agent,
    cli::ask as command,
    pair::{give, publish, session, text},
    single::Single,
    wait_for,
};
use data_encoding::BASE64;
use serde_json::{Value, json};

const AMOUNT: u64 = 100_000;

/// A payer and a payee with keys of their own, an escrow between them, and the payee's honest demand.
struct Trade {
    node: Single,
    payer: Agent,
    payee: Agent,
    demand: PaymentRequest,
}

fn trade() -> Trade {
    let node = Single::up();
    let door = node.api();
    let (payer, payee) =
        (Agent::funded(&door, node.domain(), "payer"), Agent::registered(&door, node.domain(), "payee"));
    let (escrow_id, terms) = (fresh_escrow_id(), payer.terms(&payee, node.asset(), AMOUNT));
    payer.must(&door, Verb::LockEscrow { escrow_id, terms });
    let demand = PaymentRequest {
        task_id: TaskId([7; 16]),
        escrow_id,
        milestone: None,
        payee: payee.party(),
        asset: node.asset(),
        amount: AMOUNT,
        result_hash: Hash::of(b"8 bytes"),
    };
    Trade { node, payer, payee, demand }
}

fn document(demand: &PaymentRequest, by: &Agent) -> Value {
    serde_json::from_slice(&payment_request::sign(demand, by.signer.key())).expect("JSON")
}

#[test]
fn a_demand_is_held_against_the_escrow_and_a_forged_one_is_refused_logged_and_counted_once() {
    let Trade { node, payer, payee, demand } = trade();
    let (payers, stranger) = (session(&node.api(), &payer), Agent::registered(&node.api(), node.domain(), "stranger"));
    let check = |document: &Value| payers.post::<Value>("/api/v1/payment-requests", document);
    let held = check(&document(&demand, &payee)).expect("it holds");
    assert_eq!((text(&held, "payee"), text(&held, "amount")), (payee.id.to_string(), AMOUNT.to_string()));
    assert_eq!(held["submitted"], false);

    let other = |change: &dyn Fn(&mut PaymentRequest)| {
        let mut changed = demand.clone();
        change(&mut changed);
        document(&changed, &payee)
    };
    let mut edited = document(&demand, &payee);
    edited["amount"] = "1".into();
    let usd = node.asset();
    let refused = [
        ("signed by somebody else", document(&demand, &stranger)),
        ("changed after it was signed", edited),
        ("more than the escrow has", other(&|it| it.amount += 1)),
        ("less than a release pays", other(&|it| it.amount -= 1)),
        ("a milestone that is not there", other(&|it| it.milestone = Some(0))),
        ("another asset", other(&|it| it.asset = AssetId { issuer: usd.issuer, code: "EUR".parse().expect("a code") })),
        ("another payee", other(&|it| it.payee = stranger.party())),
        ("no demand at all", json!({ "type": "payment_request", "version": 1 })),
    ];
    for (what, forged) in &refused {
        // Twice: it is one forgery, whoever looks at it how often.
        for _ in 0..2 {
            assert_eq!(check(forged).expect_err(what).code, "payment_request_refused", "{what}");
        }
    }
    let counted: Value = node.api().get("/api/v1/payment-requests/refused").expect("counts");
    assert_eq!(counted["all"], refused.len(), "{counted}");
    let claimed = format!("{}@{}", payee.id, node.domain());
    let line = counted["claimed"].as_array().into_iter().flatten().find(|line| line["payee"] == claimed.as_str());
    assert_eq!(line.expect("the payee")["refused"], 6, "{counted}");
    assert_eq!(command(&node.dir, &["status"])["payment_requests_refused"], refused.len());
    let log = || node.process.as_ref().expect("it runs").said();
    wait_for("an alert in the log", PATIENCE, || {
        log().lines().any(|line| line.contains("again and again") && line.contains(&claimed)).then_some(())
    });

    // It is nobody else's business, and once another result is submitted the demand for this one is refused.
    let strangers = session(&node.api(), &stranger);
    let unknown = strangers.post::<Value>("/api/v1/payment-requests", &document(&demand, &payee));
    assert_eq!(unknown.expect_err("a stranger").code, "unknown_escrow");
    assert_eq!(
        strangers.get::<Value>("/api/v1/payment-requests/refused").expect_err("a stranger").code,
        "operator_only"
    );
    let (escrow_id, result_hash) = (demand.escrow_id, Hash::of(b"9 bytes"));
    payee.must(&node.api(), Verb::SubmitEscrow { escrow_id, milestone: None, result_hash });
    assert_eq!(check(&document(&demand, &payee)).expect_err("another result").code, "payment_request_refused");
    let fits = other(&|it| it.result_hash = Hash::of(b"9 bytes"));
    assert_eq!(check(&fits).expect("the submitted result")["submitted"], true);
}

#[test]
fn a_task_ends_with_a_demand_that_holds_or_with_the_reason_why_it_does_not() {
    let Trade { node, payer, payee, demand } = trade();
    let (giver, worker) = (session(&node.api(), &payer), session(&node.api(), &payee));
    publish(&worker, &payee, "text.count", 1);
    let ended = |signed: &dyn Fn(&PaymentRequest) -> Vec<u8>| -> Value {
        let task = give(&giver, &payer, &payee, "text.count").expect("a task");
        let taken: Value = worker.get("/api/v1/tasks/next?wait_ms=20000").expect("a task");
        assert_eq!(text(&taken["task"], "task"), task.to_string());
        let tell = |kind: &str, data: Value| {
            let told = json!({ "kind": kind, "data": data });
            worker.post::<Value>(&format!("/api/v1/tasks/{task}/events"), &told).expect("told");
        };
        // The escrow that `give` names.
        let escrow_id = text(&taken["task"], "escrow").parse().expect("an id");
        let own = PaymentRequest { task_id: task, escrow_id, ..demand.clone() };
        tell("accepted", Value::Null);
        tell("result", BASE64.encode(b"8 bytes").into());
        tell("finished", BASE64.encode(&signed(&own)).into());
        wait_for("the end", PATIENCE, || {
            let seen: Value = giver.get(&format!("/api/v1/tasks/{task}/events?wait_ms=1000")).ok()?;
            (seen["ended"] == true).then_some(seen)
        })
    };
    let good = ended(&|own| payment_request::sign(own, payee.signer.key()).to_vec());
    assert_eq!((&good["payment_request"]["action"], &good["payment_refused"]), (&json!("release"), &Value::Null));
    assert_eq!(good["payment_request"]["payee"]["agent"], payee.id.to_string());
    let forged = ended(&|own| payment_request::sign(own, payer.signer.key()).to_vec());
    assert_eq!(
        (&forged["payment_request"], &forged["payment_refused"]),
        (&Value::Null, &json!("it is not signed by the hired agent"))
    );
    let rest = ended(&|_| b"{\"pay\":\"me\"}".to_vec());
    assert!(rest["payment_request"].is_null() && rest["payment_refused"].is_string(), "{rest}");
    let counted: Value = node.api().get("/api/v1/payment-requests/refused").expect("counts");
    assert_eq!(counted["all"], 2, "{counted}");
}
