//! What crosses the boundary around one escrow: referrers and payees that are at home in the other domain.

use comity_proto::{
    command::{Referral, Verb},
    ids::EscrowId,
    text::Nickname,
};
use comity_tests::{
    agent::Agent,
    federation::{Domain, Federation},
};
use serde_json::Value;
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
