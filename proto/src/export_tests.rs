use super::*;
use crate::{
    card::AcceptedTerms,
    ids::PublicKey,
    text::{Description, Nickname},
};
use alloc::vec::Vec;
use bytes::Bytes;

const BETA: DomainId = DomainId([2; 32]);
const GAMMA: DomainId = DomainId([3; 32]);
const ANN: AgentId = AgentId([7; 32]);
const BOB: AgentId = AgentId([8; 32]);

fn can(text: &str) -> Capability {
    Capability::new(text).expect("a capability")
}

fn card(agent: AgentId, capabilities: &[&str], public: bool) -> AgentCard {
    AgentCard {
        agent,
        home: DomainId([1; 32]),
        key: PublicKey([1; 32]),
        name: Nickname::new("ann").expect("a nickname"),
        description: Description::new("").expect("empty"),
        capabilities: capabilities.iter().map(|text| can(text)).collect::<Vec<_>>(),
        price: None,
        accepts: AcceptedTerms::default(),
        sequence: 1,
        issued_at_ms: 1,
        expires_at_ms: 2,
        retired: false,
        public,
        custodial: false,
        attestation: Bytes::new(),
    }
}

fn rule(audience: Audience, agent: Option<AgentId>, capability: Option<&str>, direction: Direction) -> Exports {
    Exports::from_iter([ExportRule { audience, agent, capability: capability.map(can), direction }])
}

#[test]
fn nothing_is_admitted_without_a_rule() {
    let none = Exports::default();
    assert!(none.is_empty() && !none.shows(&BETA, &card(ANN, &["text"], true)));
    assert!(!none.admits(&BETA, Direction::In, &ANN, &can("text")));
    assert!(!none.admits_some(&BETA, Direction::Out, &ANN) && !none.publishes(&card(ANN, &[], true)));
}

#[test]
fn a_rule_admits_its_domain_its_agent_its_capability_and_its_direction_and_nothing_else() {
    let narrow = rule(Audience::Peer(BETA), Some(ANN), Some("text"), Direction::In);
    assert!(narrow.admits(&BETA, Direction::In, &ANN, &can("text")));
    assert!(narrow.admits(&BETA, Direction::In, &ANN, &can("text.count")), "and below");
    assert!(!narrow.admits(&BETA, Direction::In, &ANN, &can("texture")), "a longer word is another one");
    assert!(!narrow.admits(&GAMMA, Direction::In, &ANN, &can("text")));
    assert!(!narrow.admits(&BETA, Direction::In, &BOB, &can("text")));
    assert!(!narrow.admits(&BETA, Direction::Out, &ANN, &can("text")));
    assert!(narrow.admits_some(&BETA, Direction::In, &ANN) && !narrow.admits_some(&BETA, Direction::Out, &ANN));
    let both = rule(Audience::Everyone, None, None, Direction::Both);
    for direction in [Direction::In, Direction::Out] {
        assert!(both.admits(&GAMMA, direction, &BOB, &can("anything")));
    }
}

#[test]
fn a_card_is_shown_only_if_all_that_it_offers_is_admitted() {
    let text = rule(Audience::Peer(BETA), None, Some("text"), Direction::In);
    assert!(text.shows(&BETA, &card(ANN, &["text.count", "text"], false)));
    assert!(!text.shows(&BETA, &card(ANN, &["text.count", "payroll"], false)));
    assert!(!text.shows(&BETA, &card(ANN, &[], false)), "what it can do is unsaid");
    assert!(text.shows(&BETA, &AgentCard { retired: true, ..card(ANN, &[], false) }), "a tombstone");
    assert!(!text.shows(&GAMMA, &card(ANN, &["text"], false)));
    let mut two = text.clone();
    assert!(two.add(ExportRule { capability: Some(can("payroll")), ..text.rules().next().expect("one").clone() }));
    assert!(two.shows(&BETA, &card(ANN, &["text.count", "payroll"], false)), "each by its own rule");
    let out = rule(Audience::Peer(BETA), None, None, Direction::Out);
    assert!(!out.shows(&BETA, &card(ANN, &["text"], false)), "hiring shows nothing");
}

#[test]
fn a_card_is_public_only_by_its_agents_word_and_a_rule_for_everyone() {
    let everyone = rule(Audience::Everyone, None, None, Direction::In);
    assert!(everyone.publishes(&card(ANN, &["text"], true)));
    assert!(!everyone.publishes(&card(ANN, &["text"], false)), "its agent has not said so");
    assert!(everyone.shows(&BETA, &card(ANN, &["text"], false)), "domains that are known are shown it");
    assert!(!rule(Audience::Peer(BETA), None, None, Direction::In).publishes(&card(ANN, &["text"], true)));
}

#[test]
fn a_rule_stands_once_and_is_taken_back_as_it_was_given() {
    let rule = ExportRule::all(Audience::Peer(BETA));
    let mut exports = Exports::default();
    assert!(exports.add(rule.clone()) && !exports.add(rule.clone()) && exports.has(&rule));
    assert!(!exports.remove(&ExportRule { direction: Direction::In, ..rule.clone() }), "another rule");
    assert!(exports.remove(&rule) && !exports.remove(&rule) && exports.is_empty());
    for direction in [Direction::In, Direction::Out, Direction::Both] {
        assert_eq!(Direction::named(direction.name()), Some(direction));
    }
}

#[test]
fn a_rule_is_narrowed_to_what_may_be_shown_and_its_hiring_is_left() {
    let narrowed = |capability: Option<&str>, direction| {
        let rule = rule(Audience::Everyone, Some(ANN), capability, direction).rules().next().expect("one").clone();
        rule.narrowed(&[can("image"), can("text.count")]).into_iter().collect::<Exports>()
    };
    let all = narrowed(None, Direction::Both);
    let admits = |exports: &Exports, capability: &str| exports.admits(&BETA, Direction::In, &ANN, &can(capability));
    assert!(admits(&all, "image.scale") && admits(&all, "text.count") && !admits(&all, "text"));
    assert!(all.admits(&BETA, Direction::Out, &ANN, &can("anything")), "what it hires others for");
    assert!(!all.admits(&BETA, Direction::In, &BOB, &can("image")), "the agent stays the one that was named");
    let wider = narrowed(Some("text"), Direction::In);
    assert!(admits(&wider, "text.count") && !admits(&wider, "text.other") && !admits(&wider, "image"));
    let closer = narrowed(Some("image.scale"), Direction::In);
    assert!(admits(&closer, "image.scale") && !admits(&closer, "image"));
    assert!(narrowed(Some("payroll"), Direction::In).is_empty());
    assert_eq!(narrowed(None, Direction::Out).len(), 1);
}
