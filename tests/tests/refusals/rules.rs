//! Rules of the service and of the desk of tasks that no other test provokes, each by a message that breaks it.

use comity_node::{
    cli::client::Client,
    service::error::ServiceError,
    tasks::desk::{Desk, EVENTS_MAX, GIVEN_MAX, QUEUE_MAX, Side},
};
use comity_proto::{
    command::Party,
    envelope::{Signed as _, Verified},
    ids::{DomainId, EscrowId, TaskId},
    limits::{HOUR_MS, TASK_CHUNK_BYTES},
    task::{TaskEvent, TaskEventKind, TaskRequest},
    text::Capability,
};
use comity_tests::{agent::Agent, now_ms, pair::session, single::Single};
use serde_json::{Value, json};

fn refused(answer: Result<Value, ServiceError>) -> String {
    answer.expect_err("it was taken").code
}

fn got(api: &Client, path: &str) -> String {
    refused(api.get(&format!("/api/v1/{path}")))
}

fn posted(api: &Client, path: &str, body: &Value) -> String {
    refused(api.post(&format!("/api/v1/{path}"), body))
}

#[test]
fn a_wish_that_names_what_is_not_there_is_refused_by_name() {
    let node = Single::up();
    let api = node.api();
    let nobody = DomainId([7; 32]);
    let why = json!({ "reason": "a test" });
    let own: Value = api.get("/api/v1/raft").expect("the replicas");
    let own = own["replicas"][0]["node"].as_str().expect("this node's key").to_owned();
    assert_eq!(got(&api, "peers/acme"), "bad_domain_id");
    assert_eq!(got(&api, "names/NO%20NAME"), "bad_name");
    assert_eq!(got(&api, "ledger/leaves?from=5&below=5"), "bad_range");
    assert_eq!(got(&api, &format!("domains/{nobody}/card")), "unknown_domain_card");
    assert_eq!(posted(&api, &format!("peers/{nobody}/marry"), &why), "unknown_change");
    assert_eq!(posted(&api, &format!("drift/scan?peer={nobody}"), &json!({})), "unknown_peer");
    assert_eq!(posted(&api, "raft/remove", &json!({ "node": "nobody", "reason": "a test" })), "unknown_replica");
    assert_eq!(posted(&api, "raft/remove", &json!({ "node": own, "reason": "a test" })), "membership_refused");
    assert_eq!(posted(&api, "audit/tell", &json!({ "document": "%" })), "not_base64");
    let invite = || api.post::<Value>("/api/v1/join-tokens", &json!({ "hours": 1 }));
    let refused = (0..=64).find_map(|_| invite().err()).expect("invitations without a bound");
    assert_eq!(refused.code, "too_many_invitations");
}

#[test]
fn what_is_said_about_a_task_must_make_sense() {
    let node = Single::up();
    let api = node.api();
    let agent = Agent::registered(&api, node.domain(), "worker");
    let door = session(&api, &agent);
    let task = TaskId([3; 16]);
    let tell = |kind: &str| json!({ "kind": kind, "data": "\u{7}" });
    assert_eq!(got(&api, "tasks/next"), "not_an_agent");
    assert_eq!(got(&door, "tasks/first/events"), "bad_task_id");
    assert_eq!(got(&door, &format!("tasks/{task}/events")), "unknown_task");
    assert_eq!(posted(&door, &format!("tasks/{task}/events"), &tell("slept")), "bad_event_kind");
    assert_eq!(posted(&door, &format!("tasks/{task}/events"), &tell("failed")), "bad_reason");
}

fn task(from: &Agent, id: u8, body: &'static [u8]) -> Verified<TaskRequest> {
    let party = Party { domain: DomainId([7; 32]), agent: from.id };
    let request = TaskRequest {
        task_id: TaskId([id; 16]),
        from: from.party(),
        to: party,
        escrow_id: EscrowId([1; 16]),
        capability: Capability::new("text.count").expect("a capability"),
        body: body.into(),
        deadline_ms: now_ms() + HOUR_MS,
    };
    TaskRequest::open(&request.seal(from.signer.key())).expect("it is signed")
}

#[test]
fn a_desk_keeps_one_content_of_a_task_in_its_order_and_no_more_than_fit() {
    let agent = Agent::fresh(DomainId([7; 32]));
    let desk = Desk::default();
    let put = |id: u8, body: &'static [u8]| {
        desk.put(Side::Taken, task(&agent, id, body), Default::default()).map_err(|error| error.code)
    };
    assert_eq!(put(0, b"one"), Ok(true));
    assert_eq!(put(0, b"another"), Err("task_exists_with_different_content".into()));
    let late = TaskEvent { task_id: TaskId([0; 16]), index: 2, kind: TaskEventKind::Accepted };
    assert_eq!(desk.continue_with(Side::Taken, late).map_err(|error| error.code), Err("event_gap".into()));
    let more = u8::try_from(QUEUE_MAX).expect("few");
    assert!((1..more).all(|id| put(id, b"one") == Ok(true)));
    assert_eq!(put(more, b"one"), Err("too_many_tasks".into()));
}

#[test]
fn one_giver_does_not_fill_a_desk_and_an_ended_task_makes_room() {
    let (agent, other) = (Agent::fresh(DomainId([7; 32])), Agent::fresh(DomainId([7; 32])));
    let desk = Desk::default();
    let put = |from: &Agent, id: u8| {
        desk.put(Side::Given, task(from, id, b"one"), Default::default()).map_err(|error| error.code)
    };
    let most = u8::try_from(GIVEN_MAX).expect("few");
    assert!((0..most).all(|id| put(&agent, id) == Ok(true)));
    assert_eq!(put(&agent, most), Err("too_many_tasks".into()));
    assert_eq!(put(&other, most), Ok(true));
    desk.append(Side::Given, TaskId([0; 16]), TaskEventKind::Finished(Default::default())).expect("it ends");
    assert_eq!(put(&agent, most + 1), Ok(true));
}

#[test]
fn a_task_with_as_many_events_as_fit_can_still_end() {
    let agent = Agent::fresh(DomainId([7; 32]));
    let desk = Desk::default();
    desk.put(Side::Taken, task(&agent, 0, b"one"), Default::default()).expect("room");
    let tell = |kind| desk.append(Side::Taken, TaskId([0; 16]), kind).map_err(|error| error.code);
    let long = TaskEventKind::Progress(vec![0; TASK_CHUNK_BYTES + 1].into());
    assert_eq!(tell(long), Err("result_too_large".into()));
    for index in 0..EVENTS_MAX as u64 {
        assert_eq!(tell(TaskEventKind::Accepted), Ok(index));
    }
    assert_eq!(tell(TaskEventKind::Accepted), Err("too_many_events".into()));
    assert_eq!(tell(TaskEventKind::Finished(Default::default())), Ok(EVENTS_MAX as u64));
    assert_eq!(tell(TaskEventKind::Accepted), Err("task_ended".into()));
}
