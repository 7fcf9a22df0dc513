//! Above an amount of the treaty most voters of a domain sign how its transfer ended, or the other one does not believe it.

use comity_proto::{command::Verb, envelope::Signed as _, treaty::TreatyDocument};
use comity_tests::{
    PATIENCE,
    agent::Agent,
    federation::{Domain, Federation, ended},
};

const CAP: u64 = 1_000_000;
const ABOVE: u64 = 1_000;

/// Both have signed that above so much most voters sign.
fn trust(own: &Domain, peer: &Domain) {
    let (known, other) = (own.plan.known(), peer.plan.known());
    let Ok(Verb::ApproveTreaty { document, roster, .. }) = known.treaty_with(&other, CAP) else { panic!("a treaty") };
    let mut document = TreatyDocument::open(&document).expect("as signed").into_inner();
    document.parties.iter_mut().flat_map(|part| &mut part.caps).for_each(|cap| cap.majority_above = Some(ABOVE));
    let [document, countersigned] = [own, peer].map(|domain| document.seal(&domain.plan.keys.root));
    let admits = known.admits(&other).expect("a reason");
    own.operate(vec![Verb::ApproveTreaty { document, countersigned, roster }, admits]);
}

#[test]
fn large_payments_end_with_the_words_of_most_voters_also_while_one_of_three_is_gone() {
    let mut federation = Federation::start();
    let [alpha, beta] = &federation.domains;
    for (own, peer) in [(alpha, beta), (beta, alpha)] {
        trust(own, peer);
        own.issue(1_000_000_000_000, 100_000_000_000);
    }
    let payer = Agent::funded(alpha.api(), alpha.id(), "payer");
    let payee = Agent::registered(beta.api(), beta.id(), "payee");
    let pay = |alpha: &Domain, amount| {
        let begun = std::time::Instant::now();
        let (id, verb) = payer.pay(payee.party(), alpha.asset(), amount);
        payer.must(alpha.api(), verb);
        assert_eq!(ended(alpha.api(), &id.to_string(), PATIENCE)["state"], "committed");
        println!("{amount} ended after {} ms", begun.elapsed().as_millis());
    };
    pay(alpha, ABOVE);
    pay(alpha, ABOVE + 1);
    pay(alpha, 50 * ABOVE);
    federation.domains[0].nodes[2].kill();
    let alpha = &federation.domains[0];
    pay(alpha, 50 * ABOVE);
    federation.domains[0].nodes[2].start();
    federation.must_agree(PATIENCE);
}
