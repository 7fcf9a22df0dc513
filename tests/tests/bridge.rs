//! Two domains that reach each other only through the gateway of a third trade, and it can neither forge nor pay for them.

use comity_ledger::Outcome;
use comity_node::{
    bridge::{Cargo, Frame, PassedCard, Said},
    config::BridgeRule,
    home::voter,
};
use comity_proto::{
    card::AgentCard,
    envelope::Signed as _,
    identity::Roles,
    ids::{DomainId, Hash, TransferId},
    passage::Passage,
    settlement::{Acknowledge, SettlementBatch, SettlementMessage},
};
use comity_tests::{
    PATIENCE,
    agent::Agent,
    cli::{ask, try_ask},
    now_ms,
    pair::{connect, public_card, publish_card, text},
    rogue::{Rogue, reconfigure},
    single::{Single, free_addresses},
    slowness::Slowness,
    wait_for,
};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Doubt may outlive the return of the gateway by so much, on a machine whose cores are free.
const DOUBT_AFTER: Duration = Duration::from_secs(10);

/// Four domains with treaties: acme and globex with each other, and each of acme, globex and initech with hub. Then all
/// move: nobody but hub is found where the others knew it, and hub passes between acme and globex, and acme and initech.
struct Apart {
    acme: Single,
    globex: Single,
    initech: Single,
    hub: Single,
}

fn stop(node: &mut Single) {
    assert_eq!(node.process.take().expect("it runs").signal("TERM"), Some(0), "an orderly stop");
}

fn start(node: &mut Single) {
    node.start(&[]);
    node.wait_until_founded();
}

impl Apart {
    fn made() -> Apart {
        let [mut hub, mut acme, mut globex, mut initech] = ["hub", "acme", "globex", "initech"].map(Single::named);
        connect(&acme, &globex, "all");
        for other in [&acme, &globex, &initech] {
            connect(&hub, other, "all");
        }
        [&mut hub, &mut acme, &mut globex, &mut initech].into_iter().for_each(stop);
        let between = |one: &Single, other: &Single| BridgeRule { between: (one.domain(), other.domain()) };
        let rules = vec![between(&acme, &globex), between(&acme, &initech)];
        reconfigure(&mut hub, |config| config.bridge = rules);
        let addresses = free_addresses(3);
        for (node, mesh) in [&mut acme, &mut globex, &mut initech].into_iter().zip(addresses) {
            // Votes wait, so that a transfer can be seen in doubt.
            reconfigure(node, |config| {
                (config.mesh, config.hold_votes_ms, config.gateways) = (mesh, 1_000, vec![hub.domain()]);
            });
        }
        [&mut hub, &mut acme, &mut globex, &mut initech].into_iter().for_each(start);
        let apart = Apart { acme, globex, initech, hub };
        for (node, to) in [(&apart.acme, &apart.globex), (&apart.globex, &apart.acme)] {
            wait_for("a way through the gateway", PATIENCE, || leads(node, to.domain()).then_some(()));
        }
        apart
    }

    /// Neither has a connection to the other.
    fn is_apart(&self) -> bool {
        let connected = |node: &Single, peer: &str| ask(&node.dir, &["peer", "show", peer])["connected"] != 0;
        !connected(&self.acme, "globex") && !connected(&self.globex, "acme")
    }
}

fn leads(node: &Single, to: DomainId) -> bool {
    let shown = ask(&node.dir, &["bridge"]);
    shown["ways"].as_array().expect("ways").iter().any(|way| way["to"] == to.to_string().as_str())
}

fn in_doubt(node: &Single) -> Value {
    let digest: Value = node.api().get("/api/v1/ledger/digest").expect("a digest");
    digest["in_doubt"].clone()
}

fn card_at(node: &Single, agent: &Agent) -> Option<Value> {
    node.api().get(&format!("/api/v1/cards/{}", agent.id)).ok()
}

/// The end of a payment of alice's.
fn ended(acme: &Single, transfer: &str) -> String {
    wait_for("the end of a payment", PATIENCE, || {
        let shown = ask(&acme.dir, &["transfer", "show", transfer]);
        (shown["finished"] == true).then(|| text(&shown, "state"))
    })
}

#[test]
fn two_domains_trade_through_a_gateway_and_doubt_ends_when_it_is_back() {
    let mut apart = Apart::made();
    let worker = Agent::registered(&apart.globex.api(), apart.globex.domain(), "worker");
    let hidden = Agent::registered(&apart.globex.api(), apart.globex.domain(), "hidden");
    let loner = Agent::registered(&apart.initech.api(), apart.initech.domain(), "loner");
    for node in [&apart.globex, &apart.initech] {
        ask(&node.dir, &["export", "add", "everyone", "--reason", "all may see"]);
    }
    publish_card(&apart.globex.api(), &hidden, &AgentCard { public: false, ..public_card(&hidden, "text.count") });
    for (node, agent) in [(&apart.globex, &worker), (&apart.initech, &loner)] {
        publish_card(&node.api(), agent, &public_card(agent, "text.count"));
    }

    // Cards come with their provenance; one that is not public goes as far as its home shows it, to the gateway.
    let seen = wait_for("the worker's card", PATIENCE, || card_at(&apart.acme, &worker));
    assert_eq!((&seen["hops"], &seen["verified_by"]), (&Value::from(1), &Value::from("the agent's first key")));
    assert_eq!(seen["forwarded_by"], apart.hub.domain().to_string().as_str(), "{seen}");
    assert!(text(&seen, "path").starts_with("bridged by ") && seen["age_ms"].is_u64(), "{seen}");
    let found: Value = apart.acme.api().get("/api/v1/discover?capability=text.count").expect("an answer");
    assert!(found["agents"].as_array().expect("agents").iter().any(|card| card["hops"] == 1), "{found}");
    wait_for("the loner's card", PATIENCE, || card_at(&apart.acme, &loner));
    wait_for("the hidden card at the gateway", PATIENCE, || card_at(&apart.hub, &hidden));
    assert!(card_at(&apart.acme, &hidden).is_none(), "it is not public");
    assert!(card_at(&apart.globex, &loner).is_none(), "no rule between these two");
    assert!(apart.is_apart());

    ask(&apart.acme.dir, &["agent", "register", "alice"]);
    ask(&apart.acme.dir, &["faucet", "claim", "alice"]);
    let to = format!("{}@globex", worker.id);
    let pay = ["transfer", "send", "--from", "alice", "--to", &to, "0.10"];
    let first = text(&ask(&apart.acme.dir, &pay), "transfer");
    assert_eq!(ended(&apart.acme, &first), "committed");

    // A card alone pays nobody: there is no treaty with its home.
    let alice = Agent::funded(&apart.acme.api(), apart.acme.domain(), "payer");
    let (_, verb) = alice.pay(loner.party(), apart.acme.asset(), 1_000);
    let refused = alice.submit(&apart.acme.api(), verb).expect_err("no treaty");
    assert_eq!(refused.code, Outcome::NoTreatyPath.name());

    // The gateway dies after the promise: the other side stays in doubt until it is back, and no longer.
    let second = text(&ask(&apart.acme.dir, &pay), "transfer");
    wait_for("the promise", PATIENCE, || (in_doubt(&apart.globex) == 1).then_some(()));
    apart.hub.process = None;
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(in_doubt(&apart.globex), 1, "nobody else tells it");
    let slowness = Slowness::measure();
    let begun = Instant::now();
    start(&mut apart.hub);
    wait_for("the end of doubt", PATIENCE, || (in_doubt(&apart.globex) == 0).then_some(()));
    let (took, slow) = (begun.elapsed(), slowness.factor());
    println!("doubt ended {:.1} s after the gateway was started, machine slower by {slow:.1}", took.as_secs_f64());
    assert!(took < DOUBT_AFTER.mul_f64(slow), "{took:?}, machine slower by {slow:.1}");
    assert_eq!(ended(&apart.acme, &second), "committed");
    assert!(apart.is_apart());

    // A word about the treaty takes the same way.
    ask(&apart.acme.dir, &["peer", "suspend", "globex", "--reason", "a trial"]);
    let standing = || text(&ask(&apart.globex.dir, &["peer", "show", "acme"])["theirs"], "standing");
    wait_for("the suspension", PATIENCE, || (standing() == "suspended").then_some(()));
    let passed = ask(&apart.hub.dir, &["bridge"]);
    assert!(passed["pairs"].as_array().expect("pairs").iter().any(|pair| pair["frames"] != 0), "{passed}");
}

/// A card of globex's worker as hub passes it to acme.
fn passed(apart: &Apart, certificate: &[u8]) -> (Vec<u8>, Passage) {
    let worker = Agent::fresh(apart.globex.domain());
    let card = public_card(&worker, "text.count").seal(worker.signer.key());
    let passage = Passage {
        card: Hash::of(&card),
        home: apart.globex.domain(),
        gateway: apart.hub.domain(),
        node: apart.hub.home().node.public(),
        to: apart.acme.domain(),
        hops: 1,
        passed_at_ms: now_ms(),
        certificate: certificate.to_vec().into(),
    };
    (card.to_vec(), passage)
}

fn frame(from: DomainId, to: DomainId, body: Vec<u8>) -> Said {
    Said::Carry(Frame { from, to, cargo: Cargo::Settlement, body })
}

#[test]
fn a_gateway_that_forges_provenance_or_words_is_refused_by_name() {
    let mut apart = Apart::made();
    let (hub, globex) = (apart.hub.home(), apart.globex.home());
    let (at_acme, at_globex) = (apart.acme.domain(), apart.globex.domain());
    stop(&mut apart.hub);
    let refused = |answer: Result<(), String>| answer.expect_err("it is refused");

    let plain = Roles { gateway: false, ..voter() };
    let rogue = Rogue::towards(&apart.acme, &hub, plain);
    assert_eq!(refused(rogue.say(&Said::Offer(vec![at_globex]))), "bridge_not_a_gateway");
    drop(rogue);

    let rogue = Rogue::towards(&apart.acme, &hub, voter());
    assert_eq!(refused(rogue.say_bytes(vec![9, 9])), "bridge_malformed");
    let (card, honest) = passed(&apart, &rogue.certificate);
    let say = |card: &[u8], passage: &Passage, key| {
        let passage = passage.seal(key).to_vec();
        rogue.say(&Said::Cards(vec![PassedCard { card: card.to_vec(), passage }]))
    };
    let forged = [
        Passage { card: Hash([7; 32]), ..honest.clone() },
        Passage { home: at_acme, ..honest.clone() },
        Passage { gateway: at_globex, ..honest.clone() },
        Passage { certificate: globex.certificate.clone(), ..honest.clone() },
    ];
    for passage in &forged {
        assert_eq!(refused(say(&card, passage, &hub.node)), "bridge_forged_passage", "{passage:?}");
    }
    // In the name of another node, and signed by that one: it did not bring it.
    let other = Passage { node: globex.node.public(), ..honest.clone() };
    assert_eq!(refused(say(&card, &other, &globex.node)), "bridge_forged_passage");
    assert_eq!(refused(say(&card, &honest, &globex.node)), "bridge_forged_passage", "signed by another key");
    let elsewhere = Passage { to: at_globex, ..honest.clone() };
    assert_eq!(refused(say(&card, &elsewhere, &hub.node)), "bridge_not_for_us");
    say(&card, &honest, &hub.node).expect("an honest passage");

    // Words of settlement: of somebody unknown, none at all, of no voter, of another domain, to another domain.
    assert_eq!(refused(rogue.say(&frame(DomainId([7; 32]), at_acme, vec![1]))), "bridge_stranger");
    assert_eq!(refused(rogue.say(&frame(at_globex, at_acme, vec![1]))), "bridge_forged_words");
    let heard = SettlementMessage::Acknowledge(Acknowledge { transfer: TransferId([7; 16]), commit: true });
    let batch = SettlementBatch {
        from: at_globex,
        to: at_acme,
        incarnation: 1,
        roster: globex.roster.clone(),
        messages: vec![heard],
    };
    let brought = |batch: &SettlementBatch, key| rogue.say(&frame(at_globex, at_acme, batch.seal(key).to_vec()));
    let of_hub = SettlementBatch { from: hub.domain(), roster: hub.roster.clone(), ..batch.clone() };
    // What globex did say, to the gateway itself: not to be said again here, and not to be held against globex.
    let to_hub = SettlementBatch { to: hub.domain(), ..batch.clone() };
    for (forged, key) in [(&batch, &hub.node), (&of_hub, &hub.node), (&to_hub, &globex.node)] {
        assert_eq!(refused(brought(forged, key)), "bridge_forged_words", "{forged:?}");
    }
    brought(&batch, &globex.node).expect("its own words to acme");
    drop(rogue);

    // Without a treaty it is no gateway of anybody's.
    ask(&apart.acme.dir, &["peer", "revoke", "hub", "--reason", "it lies"]);
    let rogue = Rogue::towards(&apart.acme, &hub, voter());
    assert_eq!(refused(rogue.say(&Said::Offer(vec![at_globex]))), "bridge_not_a_peer");
    drop(rogue);
    assert!(!leads(&apart.acme, at_globex), "no gateway leads there any more");

    // A peer does not make itself a gateway.
    stop(&mut apart.globex);
    let rogue = Rogue::towards(&apart.acme, &globex, voter());
    assert_eq!(refused(rogue.say(&Said::Offer(vec![apart.initech.domain()]))), "bridge_not_chosen");
}

#[test]
fn a_gateway_passes_for_named_pairs_and_for_nobody_in_anothers_name() {
    let mut apart = Apart::made();
    let acme = apart.acme.home();
    let (at_acme, at_globex, at_initech) = (acme.domain(), apart.globex.domain(), apart.initech.domain());
    stop(&mut apart.acme);
    stop(&mut apart.globex);
    let rogue = Rogue::towards(&apart.hub, &acme, voter());
    let refused = |said: Said| rogue.say(&said).expect_err("it is refused");
    assert_eq!(refused(frame(at_globex, at_initech, vec![1])), "bridge_not_yours");
    assert_eq!(refused(frame(at_acme, DomainId([7; 32]), vec![1])), "bridge_no_rule");
    wait_for("the hub to miss globex", PATIENCE, || {
        (refused(frame(at_acme, at_globex, vec![1])) == "bridge_far_side_away").then_some(())
    });
    // What the far side says of it comes back as it is.
    wait_for("the answer of initech", PATIENCE, || {
        (refused(frame(at_acme, at_initech, vec![1])) == "bridge_stranger").then_some(())
    });
    let gone = try_ask(&apart.hub.dir, &["bridge"]);
    assert_eq!(gone.code, 0, "{}", gone.text);
}
