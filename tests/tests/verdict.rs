//! A payment in doubt whose origin never comes back: ended by hand, and only by that domain's own signed word.

use comity_proto::{
    envelope::Signed as _,
    ids::{Hash, TransferId},
    settlement::TransferVerdict,
    text::Reason,
};
use comity_tests::{
    PATIENCE,
    agent::Agent,
    cli,
    federation::{Domain, Federation, ended},
    wait_for,
};
use serde_json::Value;

/// A verdict of `origin`, signed by the root key of `by`.
fn verdict(origin: &Domain, by: &Domain, to: &Domain, (transfer, content): (TransferId, Hash), commit: bool) -> String {
    let reason = Reason::new("our disks burned").expect("a reason");
    let said = TransferVerdict { origin: origin.id(), to: to.id(), transfer, content, commit, reason };
    let context = TransferVerdict::CONTEXT;
    TransferVerdict::text(&comity_proto::envelope::seal(context, said.encode(), by.plan.keys.root.secret()))
}

#[test]
fn a_promise_whose_origin_is_gone_ends_by_its_operators_signed_word_alone() {
    let mut federation = Federation::with_votes_held();
    let [alpha, beta] = &federation.domains;
    let payer = Agent::funded(alpha.api(), alpha.id(), "payer");
    let payee = Agent::registered(beta.api(), beta.id(), "payee");
    let before = payer.balance(alpha.api(), &alpha.asset()).expect("a balance");
    let (id, verb) = payer.pay(payee.party(), alpha.asset(), 1_000);
    payer.must(alpha.api(), verb);
    let doubt = wait_for("a promise at beta", PATIENCE, || {
        let view: Value = beta.api().get(&format!("/api/v1/transfers/{id}")).ok()?;
        (view["state"] == "voted").then_some(view)
    });
    let content: Hash = doubt["content"].as_str().expect("a hash").parse().expect("64 digits");
    let here = &alpha.nodes[0].plan.dir;
    let (text, to, hash) = (id.to_string(), beta.id().to_string(), content.to_string());

    // Whoever still has a ledger says nothing that it does not say.
    let say = |end| ["transfer", "verdict", &text, "--to", &to, "--content", &hash, end, "--reason", "a test"];
    assert_eq!(cli::try_ask(here, &say("--commit")).refusal(), "not_decided");
    federation.domains[0].nodes.iter_mut().for_each(|node| node.kill());
    let [alpha, beta] = &federation.domains;

    let wrong = [
        ("cmverdict1nonsense".to_owned(), "bad_verdict"),
        (verdict(alpha, beta, beta, (id, content), false), "bad_verdict"),
        (verdict(alpha, alpha, alpha, (id, content), false), "wrong_domain"),
        (verdict(alpha, alpha, beta, (TransferId([9; 16]), content), false), "unknown_transfer"),
        (verdict(alpha, alpha, beta, (id, Hash([9; 32])), false), "exists_with_different_content"),
    ];
    wrong.iter().for_each(|(text, code)| {
        assert_eq!(cli::try_ask(there_of(beta), &["transfer", "resolve", text]).refusal(), *code, "{text}");
    });
    let still: Value = beta.api().get(&format!("/api/v1/transfers/{id}")).expect("a view");
    assert_eq!(still["state"], "voted", "nothing changed");

    let good = verdict(alpha, alpha, beta, (id, content), false);
    let done = cli::ask(there_of(beta), &["transfer", "resolve", &good]);
    assert_eq!(done["results"][0]["outcome"], "applied", "{done}");
    assert_eq!(ended(beta.api(), &text, PATIENCE)["state"], "aborted");
    let again = cli::ask(there_of(beta), &["transfer", "resolve", &good]);
    assert_eq!(again["results"][0]["outcome"], "exists", "{again}");
    let commit = verdict(alpha, alpha, beta, (id, content), true);
    let refused = cli::try_ask(there_of(beta), &["transfer", "resolve", &commit]);
    assert_eq!(refused.refusal(), "wrong_state", "the first word stands: {}", refused.text);

    // The disks were fine after all: alpha's own log aborts at its deadline, and both agree.
    federation.domains[0].nodes.iter_mut().for_each(|node| node.start());
    federation.wait_until_ready();
    let [alpha, _] = &federation.domains;
    assert_eq!(ended(alpha.api(), &text, PATIENCE)["state"], "aborted");
    assert_eq!(payer.balance(alpha.api(), &alpha.asset()).expect("a balance"), before);
    let (here, end) = (&alpha.nodes[0].plan.dir, say("--commit"));
    assert_eq!(cli::try_ask(here, &end).refusal(), "decided_otherwise");
    let said = cli::ask(here, &say("--abort"));
    assert!(said["verdict"].as_str().is_some_and(|text| text.starts_with("cmverdict1")), "{said}");
    federation.must_agree(PATIENCE);
}

fn there_of(domain: &Domain) -> &std::path::Path {
    &domain.nodes[0].plan.dir
}
