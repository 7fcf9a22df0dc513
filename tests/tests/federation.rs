//! What one domain refuses of another: the money comes back, and the reason is told.

use comity_node::signer::fresh_transfer_id;
use comity_proto::{command::Party, ids::AgentId};
use comity_tests::{
    PATIENCE,
    agent::Agent,
    federation::{Domain, Federation, ended},
    wait_for,
};

/// How much of beta's asset alpha accepts, and the other way round, minor units.
const CAP: u64 = 1_000_000;

fn holds(agent: &Agent, domain: &Domain) -> u64 {
    agent.balance(domain.api(), &domain.asset()).expect("a balance")
}

/// Sends across and waits for the end: state, reason, and what the payer holds afterwards.
fn across(payer: &Agent, from: &Domain, to: Party, amount: u64) -> (String, String, u64) {
    let (id, verb) = payer.pay(to, from.asset(), amount);
    payer.must(from.api(), verb);
    let view = ended(from.api(), &id.to_string(), PATIENCE);
    let text = |name: &str| view[name].as_str().unwrap_or_default().to_owned();
    (text("state"), text("reason"), holds(payer, from))
}

#[test]
fn money_for_nobody_over_the_cap_or_without_a_treaty_stays_with_the_payer() {
    let begun = std::time::Instant::now();
    let federation = Federation::start();
    let told = |what: &str| println!("{:6.1} s  {what}", begun.elapsed().as_secs_f64());
    told("six nodes are ready");
    let [alpha, beta] = &federation.domains;
    alpha.issue(1_000_000_000_000, 100_000_000_000);
    beta.issue(1_000_000_000_000, 100_000_000_000);
    let payer = Agent::funded(alpha.api(), alpha.id(), "payer");
    let payee = Agent::registered(beta.api(), beta.id(), "payee");
    let before = holds(&payer, alpha);
    assert!(before > 4 * CAP, "the faucet grants enough for this test");

    // No treaty on our side: refused at once, nothing begins.
    let (_, verb) = payer.pay(payee.party(), alpha.asset(), 1_000);
    assert_eq!(payer.submit(alpha.api(), verb).expect_err("no treaty").code, "no_treaty_path");
    assert_eq!(holds(&payer, alpha), before);

    // A treaty on our side only: the other one does not know us and stays silent. The origin decides when its time is up.
    alpha.trust(beta, CAP);
    let (lonely, verb) = payer.pay(payee.party(), alpha.asset(), 1_000);
    payer.must(alpha.api(), verb);
    wait_for("the money that nobody took", PATIENCE, || (holds(&payer, alpha) == before).then_some(()));

    told("the one-sided transfer was aborted, the money is back");
    // Now the other side can hear of that decision and the record is closed.
    beta.trust(alpha, CAP);
    assert_eq!(ended(alpha.api(), &lonely.to_string(), PATIENCE)["state"], "aborted");
    told("its record is closed by the other side");
    let nobody = Party { domain: beta.id(), agent: AgentId::of_key(&comity_node::founding::fresh_key().public()) };
    assert_eq!(across(&payer, alpha, nobody, 1_000), ("aborted".to_owned(), "unknown_agent".to_owned(), before));

    let over = across(&payer, alpha, payee.party(), CAP + 1);
    assert_eq!(over, ("aborted".to_owned(), "exposure_exceeded".to_owned(), before));

    told("money for nobody and money over the cap came back");
    // Exactly the cap fits, and then nothing more.
    let (state, _, left) = across(&payer, alpha, payee.party(), CAP);
    assert_eq!((state.as_str(), left), ("committed", before - CAP));
    let one_more = across(&payer, alpha, payee.party(), 1);
    assert_eq!(one_more, ("aborted".to_owned(), "exposure_exceeded".to_owned(), before - CAP));
    // Less the receiver's fee of half a hundredth.
    assert_eq!(payee.balance(beta.api(), &alpha.asset()).expect("a balance"), CAP - CAP / 200);
    federation.must_agree(PATIENCE);
}

#[test]
fn a_known_transfer_id_with_another_content_is_refused() {
    let federation = Federation::trading();
    let [alpha, beta] = &federation.domains;
    let payer = Agent::funded(alpha.api(), alpha.id(), "payer");
    let payee = Agent::registered(beta.api(), beta.id(), "payee");
    let (id, verb) = payer.pay(payee.party(), alpha.asset(), 1_000);
    payer.must(alpha.api(), verb.clone());
    // The same wish under a fresh request id: it is there already.
    let again = payer.must(alpha.api(), verb.clone());
    assert_eq!(again["results"][0]["outcome"], "exists", "{again}");
    let other = match verb {
        comity_proto::command::Verb::Transfer { transfer_id, to, asset, memo, .. } => {
            comity_proto::command::Verb::Transfer { transfer_id, to, asset, amount: 2_000, memo }
        }
        other => other,
    };
    assert_eq!(payer.submit(alpha.api(), other).expect_err("another amount").code, "exists_with_different_transfer");
    assert_eq!(ended(alpha.api(), &id.to_string(), PATIENCE)["state"], "committed");
    let unknown = format!("/api/v1/transfers/{}", fresh_transfer_id());
    assert_eq!(alpha.api().get::<serde_json::Value>(&unknown).expect_err("never sent").code, "unknown_transfer");
    assert_eq!(payee.balance(beta.api(), &alpha.asset()).expect("a balance"), 995);
    federation.must_agree(PATIENCE);
}
