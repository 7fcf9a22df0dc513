//! What crosses the boundary around one escrow: referrers and payees that are at home in the other domain.

use comity_ledger::Outcome;
use comity_node::signer::SignedBatch;
use comity_proto::{
    command::{Referral, Verb},
    envelope::Signed as _,
    ids::{EscrowId, Hash},
    relay::Receipt,
    text::Nickname,
};
use comity_tests::{
    agent::Agent,
    federation::{Domain, Federation, Node},
    wait_for,
};
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// A sum of accounts of a domain in its own asset, minor units.
fn sum_of(domain: &Domain, account: &str) -> u64 {
    let books: Value = domain.api().get("/api/v1/accounts").expect("the books");
    let own = |line: &&Value| line["account"] == account && line["issuer"] == domain.id().to_string().as_str();
    let line = books["accounts"].as_array().into_iter().flatten().find(own);
    line.and_then(|line| line["amount"].as_str()).map_or(0, |text| text.parse().expect("minor units"))
}

#[test]
fn a_referrer_of_the_other_domain_earns_its_share_of_a_fee() {
    let federation = Federation::trading();
    let [alpha, beta] = &federation.domains;
    let scout = Agent::registered(beta.api(), beta.id(), "scout");
    let payer = Agent::fresh(alpha.id());
    let register = |referrer| Verb::RegisterAgent {
        nickname: Nickname::new("payer").expect("a nickname"),
        group: None,
        referred_by: Some(Referral::Agent(referrer)),
        own_code: None,
        admission: None,
        custodial: false,
    };
    let mut stranger = scout.party();
    stranger.domain = comity_proto::ids::DomainId([7; 32]);
    let refused = payer.submit(alpha.api(), register(stranger)).expect_err("no treaty with that domain");
    assert_eq!(refused.code, "peer_not_trusted");
    payer.must(alpha.api(), register(scout.party()));
    let shown: Value = alpha.api().get(&format!("/api/v1/agents/{}", payer.id)).expect("the agent");
    assert_eq!(shown["referrer"], scout.id.to_string().as_str(), "{shown}");
    assert_eq!(shown["referrer_home"], beta.id().to_string().as_str(), "{shown}");

    payer.must(alpha.api(), Verb::ClaimFaucet);
    let worker = Agent::registered(alpha.api(), alpha.id(), "worker");
    let escrow_id = EscrowId([1; 16]);
    let terms = payer.terms(&worker, alpha.asset(), 5_000_000);
    payer.must(alpha.api(), Verb::LockEscrow { escrow_id, terms });
    assert_eq!(sum_of(alpha, "referrals (sum)"), 0);
    payer.must(alpha.api(), Verb::ReleaseEscrow { escrow_id, milestone: None, verified_hash: None });
    // 15 % of a fee of 1 %; it waits for its day.
    assert_eq!(sum_of(alpha, "referrals (sum)"), 7_500);
    federation.must_agree(PATIENCE);
}

/// What a door says to a batch, once: the document, or the code of the refusal.
fn post(door: &Domain, batch: &SignedBatch) -> Result<Value, String> {
    let body = json!({ "envelope": BASE64.encode(&batch.envelope) });
    let key = batch.request_id.to_string();
    door.api().post_with_key("/api/v1/commands", &body, Some(&key)).map_err(|error| error.code)
}

/// The receipt in an answer; opening it checks the signature, the roster and the signer.
fn receipt_of(answer: &Value) -> Receipt {
    let text = answer["receipt"].as_str().unwrap_or_else(|| panic!("no receipt in {answer}"));
    let envelope = BASE64.decode(text.as_bytes()).expect("base64");
    Receipt::open(&envelope.into()).expect("a receipt").into_inner()
}

#[test]
fn a_submission_counts_with_the_receipt_of_the_escrows_home_and_is_pending_until_then() {
    let mut federation = Federation::trading();
    let [alpha, beta] = &federation.domains;
    let payer = Agent::funded(alpha.api(), alpha.id(), "payer");
    let payee = Agent::registered(beta.api(), beta.id(), "payee");
    let escrow_id = EscrowId([2; 16]);
    let terms = payer.terms(&payee, alpha.asset(), 1_000_000);
    payer.must(alpha.api(), Verb::LockEscrow { escrow_id, terms });
    // Its own home's door takes the payee's command for the ledger that holds the escrow.
    let working = Agent { signer: payee.signer.towards(alpha.id()), ..payee.clone() };

    let accept = working.sign(Verb::AcceptEscrow { escrow_id });
    let answer = wait_for("the acceptance", PATIENCE, || post(beta, &accept).ok());
    let receipt = receipt_of(&answer);
    assert_eq!((receipt.domain, receipt.batch), (alpha.id(), Hash::of(&accept.envelope)));
    assert_eq!(receipt.outcomes, [Outcome::Applied.code()]);
    assert_eq!(answer["log_index"].as_u64(), Some(receipt.log_index));

    // Nobody at the home: nothing counts. Every door of beta says so, and none says that it was submitted.
    let submit = working.sign(Verb::SubmitEscrow { escrow_id, milestone: None, result_hash: Hash([8; 32]) });
    federation.domains[0].nodes.iter_mut().for_each(Node::kill);
    assert_eq!(post(&federation.domains[1], &submit).expect_err("nobody can sign"), "pending");

    federation.domains[0].nodes.iter_mut().for_each(Node::start);
    federation.wait_until_ready();
    let [alpha, beta] = &federation.domains;
    let answer = wait_for("the receipt of the submission", PATIENCE, || post(beta, &submit).ok());
    assert_eq!(receipt_of(&answer).outcomes, [Outcome::Applied.code()]);
    let again = post(beta, &submit).expect("the same bytes, the same answer");
    assert_eq!(again["results"], answer["results"]);
    let shown: Value = alpha.api().get(&format!("/api/v1/escrows/{escrow_id}")).expect("the escrow");
    assert_eq!(shown["state"], "submitted", "{shown}");

    // What the log refuses is told with the same proof behind it, and is no receipt of anything recorded.
    let wrong = working.sign(Verb::SubmitEscrow { escrow_id, milestone: None, result_hash: Hash([9; 32]) });
    assert_eq!(post(beta, &wrong).expect_err("another result"), "wrong_state");
    federation.must_agree(PATIENCE);
}
