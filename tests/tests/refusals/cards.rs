//! Cards and sessions that prove nothing.

use comity_node::{cli::client::Client, service::error::ServiceError, signer::fresh_id};
use comity_proto::{
    card::{AcceptedTerms, AgentCard},
    envelope::Signed as _,
    ids::PublicKey,
    limits::{DAY_MS, SECOND_MS},
    session::SessionRequest,
    text::{Capability, Description, Nickname},
};
use comity_tests::{agent::Agent, door::envelope, now_ms, single::Single};
use serde_json::Value;

fn card(agent: &Agent, sequence: u64, issued_at_ms: u64) -> AgentCard {
    AgentCard {
        agent: agent.id,
        home: agent.signer.home(),
        key: agent.signer.key().public(),
        name: Nickname::new("worker").expect("a nickname"),
        description: Description::new("works").expect("a description"),
        capabilities: vec![Capability::new("text.statistics").expect("a capability")],
        price: None,
        accepts: AcceptedTerms::default(),
        sequence,
        issued_at_ms,
        expires_at_ms: issued_at_ms + DAY_MS,
        retired: false,
        public: true,
        custodial: false,
        attestation: Default::default(),
    }
}

fn publish(api: &Client, bytes: &[u8]) -> Result<Value, ServiceError> {
    api.post("/api/v1/cards", &envelope(bytes))
}

#[test]
fn a_card_for_another_key_an_older_one_and_an_expired_one_are_refused() {
    let node = Single::up();
    let api = node.api();
    let worker = Agent::registered(&api, node.domain(), "worker");
    let other = Agent::registered(&api, node.domain(), "other");
    let stranger = Agent::fresh(node.domain());
    let now = now_ms();
    let refused = |bytes: &[u8]| publish(&api, bytes).expect_err("a refusal").code;

    let by_another = card(&worker, 1, now).seal(other.signer.key());
    assert_eq!(refused(&by_another), "wrong_signer");
    let mut stolen = card(&worker, 1, now);
    stolen.key = other.signer.key().public();
    assert_eq!(refused(&stolen.seal(other.signer.key())), "wrong_signer");
    assert_eq!(refused(&card(&stranger, 1, now).seal(stranger.signer.key())), "not_at_home_here");
    let mut flipped = card(&worker, 1, now).seal(worker.signer.key()).to_vec();
    *flipped.last_mut().expect("a signature") ^= 1;
    assert_eq!(refused(&flipped), "bad_signature");
    let expired = card(&worker, 1, now - 2 * DAY_MS).seal(worker.signer.key());
    assert_eq!(refused(&expired), "card_expired");
    let untrue = AgentCard { custodial: true, ..card(&worker, 1, now) }.seal(worker.signer.key());
    assert_eq!(refused(&untrue), "custody_not_as_registered");
    let unknown = format!("/api/v1/cards/{}", worker.id);
    assert_eq!(api.get::<Value>(&unknown).expect_err("no card was taken").code, "unknown_card");

    publish(&api, &card(&worker, 7, now).seal(worker.signer.key())).expect("a good card");
    assert_eq!(refused(&card(&worker, 6, now).seal(worker.signer.key())), "card_older");
    let kept: Value = api.get(&unknown).expect("the good card");
    assert_eq!(kept["sequence"], 7, "{kept}");
}

#[test]
fn a_session_is_for_one_node_one_minute_and_the_agents_own_key() {
    let node = Single::up();
    let (api, home) = (node.api(), node.home());
    let own = home.node.public();
    let agent = Agent::registered(&api, node.domain(), "agent");
    let other = Agent::registered(&api, node.domain(), "other");
    let request = |at: PublicKey, issued_at_ms: u64| SessionRequest {
        agent: agent.id,
        node: at,
        nonce: fresh_id().0,
        issued_at_ms,
    };
    let open = |request: SessionRequest, signer: &Agent| {
        api.post::<Value>("/api/v1/sessions", &envelope(&request.seal(signer.signer.key())))
    };
    let code = |answer: Result<Value, ServiceError>| answer.expect_err("a refusal").code;
    assert_eq!(code(open(request(agent.signer.key().public(), now_ms()), &agent)), "wrong_node");
    assert_eq!(code(open(request(own, now_ms() - 61 * SECOND_MS), &agent)), "session_request_stale");
    assert_eq!(code(open(request(own, now_ms() + 90 * SECOND_MS), &agent)), "session_request_stale");
    assert_eq!(code(open(request(own, now_ms()), &other)), "bad_signature");
    let unknown = SessionRequest { agent: Agent::fresh(node.domain()).id, ..request(own, now_ms()) };
    assert_eq!(code(open(unknown, &agent)), "unknown_agent");

    let opened = open(request(own, now_ms()), &agent).expect("a session");
    let session = api.with_token(opened["token"].as_str().expect("a token"));
    session.get::<Value>(&format!("/api/v1/accounts/{}", agent.id)).expect("its own balance");
    let others = session.get::<Value>(&format!("/api/v1/accounts/{}", other.id));
    assert_eq!(others.expect_err("another's balance").code, "not_this_agent");
}
