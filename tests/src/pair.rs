//! Two domains of one node each, connected by hand, and what agents do across the boundary through REST.

use super::{PATIENCE, agent::Agent, cli::ask, now_ms, single::Single, wait_for};
use comity_node::{
    cli::client::Client,
    service::error::ServiceError,
    signer::{fresh_id, fresh_transfer_id},
};
use comity_proto::{
    card::{AcceptedTerms, AgentCard},
    envelope::Signed as _,
    ids::{EscrowId, TaskId},
    limits::HOUR_MS,
    session::SessionRequest,
    task::TaskRequest,
    text::{Capability, Description, Nickname},
};
use data_encoding::BASE64;
use serde_json::{Value, json};

/// A field that must be text.
///
/// # Panics
/// When it is not.
pub fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}")).to_owned()
}

/// Both domains.
pub struct Pair {
    /// It invited.
    pub acme: Single,
    /// It accepted.
    pub globex: Single,
}

impl Pair {
    /// Two fresh domains with a treaty; `export` as the command line takes it, on both sides.
    pub fn connected(export: &str) -> Pair {
        Pair::of(Single::named("acme"), Single::named("globex"), export)
    }

    /// The same with two domains that run already, called `acme` and `globex`.
    pub fn of(acme: Single, globex: Single, export: &str) -> Pair {
        connect(&acme, &globex, export);
        Pair { acme, globex }
    }
}

/// A treaty between two domains; `acme` invites. `export` as the command line takes it, on both sides.
///
/// # Panics
/// When either side refuses.
pub fn connect(acme: &Single, globex: &Single, export: &str) {
    let nickname = globex.home().config.domain;
    let token = text(&ask(&acme.dir, &["peer", "invite", "--cap", "1000"]), "token");
    ask(&globex.dir, &["peer", "accept", &token, "--cap", "500", "--export", export]);
    ask(&acme.dir, &["peer", "approve", &nickname, "--export", export]);
}

fn can(capability: &str) -> Capability {
    Capability::new(capability).expect("a capability")
}

/// Publishes a card that is not public.
///
/// # Panics
/// When it is refused.
pub fn publish(door: &Client, agent: &Agent, capability: &str, sequence: u64) {
    publish_card(door, agent, &AgentCard { public: false, sequence, ..public_card(agent, capability) });
}

/// A first card that its agent says to be public.
pub fn public_card(agent: &Agent, capability: &str) -> AgentCard {
    AgentCard {
        agent: agent.id,
        home: agent.party().domain,
        key: agent.signer.key().public(),
        name: Nickname::new("bob").expect("a nickname"),
        description: Description::new("counts").expect("a description"),
        capabilities: vec![can(capability)],
        price: None,
        accepts: AcceptedTerms::default(),
        sequence: 1,
        issued_at_ms: now_ms(),
        expires_at_ms: now_ms() + HOUR_MS,
        retired: false,
        public: true,
        custodial: false,
        attestation: Default::default(),
    }
}

/// Signs and publishes a card.
///
/// # Panics
/// When it is refused.
pub fn publish_card(door: &Client, agent: &Agent, card: &AgentCard) {
    let envelope = BASE64.encode(&card.seal(agent.signer.key()));
    let _: Value = door.post("/api/v1/cards", &json!({ "envelope": envelope })).expect("published");
}

/// The door as the agent itself enters it.
///
/// # Panics
/// When there is none.
pub fn session(door: &Client, agent: &Agent) -> Client {
    let domain: Value = door.get("/api/v1/domain").expect("the domain");
    let node = text(&domain, "node").parse().expect("a node key");
    let request = SessionRequest { agent: agent.id, node, nonce: fresh_id().0, issued_at_ms: now_ms() };
    let envelope = BASE64.encode(&request.seal(agent.signer.key()));
    let answer: Value = door.post("/api/v1/sessions", &json!({ "envelope": envelope })).expect("a session");
    door.with_token(text(&answer, "token"))
}

/// Gives a task of this capability.
///
/// # Errors
/// The refusal at the giver's own door.
pub fn give(door: &Client, from: &Agent, to: &Agent, capability: &str) -> Result<TaskId, ServiceError> {
    let task_id = TaskId(fresh_transfer_id().0);
    let task = TaskRequest {
        task_id,
        from: from.party(),
        to: to.party(),
        escrow_id: EscrowId([1; 16]),
        capability: can(capability),
        body: b"count me".to_vec().into(),
        deadline_ms: now_ms() + HOUR_MS,
    };
    let envelope = BASE64.encode(&task.seal(from.signer.key()));
    door.post::<Value>("/api/v1/tasks", &json!({ "envelope": envelope })).map(|_| task_id)
}

/// How a task ended, in the words of whoever ended it.
///
/// # Panics
/// When there is none.
pub fn failed(door: &Client, task: TaskId) -> String {
    wait_for("the end of a task", PATIENCE, || {
        let events: Value = door.get(&format!("/api/v1/tasks/{task}/events?after=0&wait_ms=500")).ok()?;
        let last = events["events"].as_array()?.last()?.clone();
        (last["kind"] == "failed").then(|| text(&last, "data"))
    })
}
