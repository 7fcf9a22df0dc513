//! A retry is not a second wish: the same request id has one effect, whoever answers.

use comity_node::{cli::client::Client, service::error::Kind};
use comity_tests::{PATIENCE, agent::Agent, door, federation::Federation};
use serde_json::Value;
use std::{
    sync::Barrier,
    time::{Duration, Instant},
};

const RETRIES: usize = 32;
const AMOUNT: u64 = 700;

/// What must be equal in every answer: the outcome as it was the first time.
fn outcome(answer: &Value) -> Value {
    answer["results"].clone()
}

fn send(api: &Client, body: &Value, key: &str) -> Value {
    let begun = Instant::now();
    loop {
        match api.post_with_key("/api/v1/commands", body, Some(key)) {
            Ok(answer) => return answer,
            // The request never got to the ledger, or nobody knows: a client sends the same bytes again.
            Err(error)
                if matches!(error.kind, Kind::Busy | Kind::Unavailable | Kind::Unknown)
                    && begun.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn thirty_two_concurrent_retries_against_all_nodes_have_one_effect_and_equal_answers() {
    let federation = Federation::trading();
    let alpha = &federation.domains[0];
    let payer = Agent::funded(alpha.api(), alpha.id(), "payer");
    let payee = Agent::registered(alpha.api(), alpha.id(), "payee");
    let before = payer.balance(alpha.api(), &alpha.asset()).expect("a balance");

    let (_, verb) = payer.pay(payee.party(), alpha.asset(), AMOUNT);
    let batch = payer.sign(verb);
    let (body, key) = (door::envelope(&batch.envelope), batch.request_id.to_string());
    let together = Barrier::new(RETRIES);
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let ask = |index: usize| {
            let node = &alpha.nodes[index % alpha.nodes.len()];
            let (body, key, together) = (&body, &key, &together);
            scope.spawn(move || {
                together.wait();
                send(&node.api, body, key)
            })
        };
        let asked: Vec<_> = (0..RETRIES).map(ask).collect();
        asked.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });

    assert_eq!(answers.len(), RETRIES);
    assert_eq!(outcome(&answers[0])[0]["success"], true, "{}", answers[0]);
    for answer in &answers {
        assert_eq!(outcome(answer), outcome(&answers[0]));
    }
    for node in &alpha.nodes {
        assert_eq!(payee.balance(&node.api, &alpha.asset()).expect("a balance"), AMOUNT, "one effect");
        assert_eq!(payer.balance(&node.api, &alpha.asset()).expect("a balance"), before - AMOUNT);
    }
    // The first outcome is remembered, and the same wish under another id is another wish.
    assert_eq!(outcome(&send(alpha.api(), &body, &key)), outcome(&answers[0]));
    let (_, verb) = payer.pay(payee.party(), alpha.asset(), AMOUNT);
    payer.must(alpha.api(), verb);
    assert_eq!(payee.balance(alpha.api(), &alpha.asset()).expect("a balance"), 2 * AMOUNT);
    federation.must_agree(PATIENCE);
}
