//! The A2A protocol, version 1.0: any agent that this node knows, here or in another domain, as an ordinary A2A server.
//!
//! ```text
//! client -- JSON-RPC, HTTP+JSON, gRPC --> http --> rpc | rest | wire --> operation --> service::work --> mesh --> the agent's home
//!        <-- answer or events ------------------------------------------- task (a view of the mesh's events) <--
//! ```
//! The door is a gateway: a task here is the mesh's own task under the same id, so it crosses domains as every other one
//! does, and any node of the caller's domain can answer for it. A message's id is an idempotency key: the same message
//! again is the same task.
//!
//! Deliberately absent: the 0.3 form of the protocol, tenants (but for gRPC, where one names the agent), a second message in
//! a task (the mesh has none), and an agent's own A2A endpoint behind the gateway (agents ask for work).

mod card;
mod directory;
#[cfg(feature = "conformance")]
mod kit;
#[cfg(not(feature = "conformance"))]
#[path = "no_kit.rs"]
mod kit;
mod list;
mod message;
mod push;
mod rest;
mod rpc;
mod send;
mod stream;
mod task;
pub(super) mod time;
mod wire;
mod wrong;

pub use card::Rendered;
pub use kit::guest;
pub use push::Pushes;
pub use rest::{Operation, read as read_path};
pub use rpc::{Call, answer, read as read_call};
pub use stream::{Events, Next};
pub use wire::{Method, Refusal};
pub use wrong::Wrong;

use crate::{
    node::Node,
    service::{
        cards::{self, CardView},
        custody::Bearer,
        error::ServiceError,
        principal::Principal,
        work,
    },
};
use comity_proto::ids::AgentId;
use serde_json::{Value, json};
use std::sync::Arc;
use task::Shown;
use wrong::What;

/// Whose card stands at the root of a node, and who is meant by a call that names nobody.
pub const FRONT: &str = kit::FRONT;
/// URI of what this door adds to the protocol: under it, a message's metadata says how work is paid, and a result's what is
/// asked for.
pub const EXTENSION: &str = "urn:comity:a2a:payment:1";

/// Streams that one node keeps open.
const STREAMS_MAX: usize = 256;

/// What the door of a node holds while it runs.
pub struct State {
    pushes: Pushes,
    streams: Arc<tokio::sync::Semaphore>,
}

impl Default for State {
    fn default() -> Self {
        State { pushes: Pushes::default(), streams: Arc::new(tokio::sync::Semaphore::new(STREAMS_MAX)) }
    }
}

/// Who is spoken to.
#[derive(Clone, Debug)]
pub enum Target {
    /// The node: it finds agents.
    Node,
    /// An agent, by its card.
    Agent(Box<CardView>),
}

impl Target {
    /// By the name in a URL: an agent's id, or `node`.
    ///
    /// # Errors
    /// `unknown_card`.
    pub fn named(node: &Node, name: &str) -> Result<Target, Wrong> {
        if let Some(card) = kit::card(node, name) {
            return Ok(Target::Agent(Box::new(card)));
        }
        if name == card::NODE {
            return Ok(Target::Node);
        }
        let agent: AgentId = name.parse().map_err(|_| ServiceError::not_found("card", name))?;
        Ok(Target::Agent(Box::new(cards::get(node, agent)?)))
    }

    /// By the tenant of a gRPC call.
    ///
    /// # Errors
    /// `unknown_card`.
    pub fn of_call(node: &Node, params: &Value) -> Result<Target, Wrong> {
        let tenant = params["tenant"].as_str().filter(|tenant| !tenant.is_empty());
        Target::named(node, tenant.unwrap_or(FRONT))
    }

    fn agent(&self) -> Option<AgentId> {
        match self {
            Target::Node => None,
            Target::Agent(card) => Some(card.agent),
        }
    }
}

/// What comes of an operation.
pub enum Reply {
    /// One answer.
    One(Value),
    /// Events until the task's end.
    Stream(Events),
}

/// Whether a version that a client names is spoken; without a name it is 0.3, which is not.
///
/// # Errors
/// `VersionNotSupportedError`.
pub fn check_version(named: Option<&str>) -> Result<(), Wrong> {
    let named = named.map(str::trim).filter(|named| !named.is_empty()).unwrap_or("0.3");
    let mut numbers = named.split('.');
    let spoken = (numbers.next(), numbers.next()) == (Some("1"), Some("0"));
    let refusal = || Wrong::new(What::VersionNotSupported, format!("A2A {named} is not spoken here; 1.0 is"));
    if spoken { Ok(()) } else { Err(refusal()) }
}

/// The card of whoever is named. Without a token only what goes to everybody is shown: its agent has signed that it is
/// public, and its home admits everyone. What does not looks like what is not there.
///
/// # Errors
/// `bad_token`, `unknown_card`.
pub fn card(node: &Node, name: &str, base: &str, caller: Option<&Bearer>) -> Result<Rendered, Wrong> {
    let shown = |card: &CardView| caller.is_some() || node.mesh().goes_to_everybody(&card.agent) || kit::employs(card);
    let made = match (Target::named(node, name), caller) {
        (Ok(Target::Node), _) => card::of_node(node, base),
        (Ok(Target::Agent(card)), _) if shown(&card) => card::of_agent(base, &card, false),
        (Err(wrong), Some(_)) => return Err(wrong),
        _ => return Err(crate::service::principal::bad_token("the card, if there is one, is not public").into()),
    };
    Ok(card::signed(node, made))
}

/// Runs one operation of an authenticated agent.
///
/// # Errors
/// Everything that is refused, in the protocol's form.
pub async fn run(
    node: &Arc<Node>,
    caller: &Bearer,
    target: &Target,
    base: &str,
    name: &str,
    params: Value,
) -> Result<Reply, Wrong> {
    caller.agent()?;
    let own = Own { node, caller, to: target.agent() };
    let one = match name {
        "SendMessage" => match target {
            Target::Node => directory::find(node, base, &params["message"])?,
            Target::Agent(card) => send::blocking(&own, card, &params).await?,
        },
        "SendStreamingMessage" => match target {
            Target::Node => {
                let found = directory::find(node, base, &params["message"])?;
                return Ok(Reply::Stream(Events::only(found)));
            }
            Target::Agent(card) => return send::streaming(&own, card, &params).await.map(Reply::Stream),
        },
        "SubscribeToTask" => return stream::subscribe(&own, &params).await.map(Reply::Stream),
        "GetTask" => {
            let shown = Shown { history: number(&params["historyLength"], "historyLength")?, artifacts: true };
            task::task(node, &own.view(&params["id"]).await?, shown)
        }
        "ListTasks" => list::list(&own, &params).await?,
        "CancelTask" => {
            let task = own.view(&params["id"]).await?.request.get().task_id;
            let view = work::cancel(node, caller.who, task).await?;
            task::task(node, &view, Shown { history: None, artifacts: true })
        }
        "CreateTaskPushNotificationConfig" => push::create(&own, &params).await?,
        "GetTaskPushNotificationConfig" => push::get(&own, &params).await?,
        "ListTaskPushNotificationConfigs" => push::list(&own, &params).await?,
        "DeleteTaskPushNotificationConfig" => push::delete(&own, &params).await?,
        "GetExtendedAgentCard" => {
            let made = match target {
                Target::Node => card::of_node(node, base),
                Target::Agent(card) => card::of_agent(base, card, true),
            };
            card::signed(node, made).card
        }
        other => return Err(Wrong::new(What::MethodNotFound, format!("no operation is called {other}"))),
    };
    Ok(Reply::One(one))
}

/// An agent at the door, and whose tasks it speaks about.
struct Own<'a> {
    node: &'a Arc<Node>,
    caller: &'a Bearer,
    /// Only tasks of this agent; all of the caller's where the node itself is asked.
    to: Option<AgentId>,
}

impl Own<'_> {
    fn who(&self) -> Principal {
        self.caller.who
    }

    /// A task of the caller. That of another one, or of another agent than the one in the URL, is not there.
    async fn view(&self, id: &Value) -> Result<crate::tasks::desk::View, Wrong> {
        let text = id.as_str().filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| Wrong::new(What::InvalidParams, "the task's id is missing"))?;
        let task = message::task_id(text)?;
        let view = work::view(self.node, self.who(), task).await?;
        match self.to.is_none_or(|agent| agent == view.request.get().to.agent) {
            true => Ok(view),
            false => Err(ServiceError::not_found("task", task).into()),
        }
    }
}

/// A whole number of the protocol's JSON: also as text, which is how it comes in a query, or as `3.0`.
fn number(value: &Value, name: &str) -> Result<Option<u64>, Wrong> {
    let read = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.parse().ok(),
        number => number.as_u64().or_else(|| whole(number.as_f64()?)),
    };
    let refusal = || Wrong::new(What::InvalidParams, format!("`{name}` is no whole number from 0 on"));
    read.map(Some).ok_or_else(refusal)
}

fn whole(number: f64) -> Option<u64> {
    let text = format!("{number:.0}");
    (number.fract() == 0.0).then(|| text.parse().ok())?
}

/// A flag of the protocol's JSON: also as text.
fn flag(value: &Value) -> bool {
    value == &json!(true) || value == "true"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_two_numbers_of_a_version_count() {
        for spoken in ["1.0", "1.0.1", " 1.0 "] {
            assert!(check_version(Some(spoken)).is_ok(), "{spoken}");
        }
        for not in [None, Some(""), Some("0.3"), Some("1"), Some("1.1"), Some("2.0"), Some("one")] {
            assert_eq!(check_version(not).unwrap_err().what, What::VersionNotSupported, "{not:?}");
        }
    }

    #[test]
    fn numbers_come_in_three_forms() {
        for (value, read) in [
            (json!(3), Some(Some(3))),
            (json!("3"), Some(Some(3))),
            (json!(3.0), Some(Some(3))),
            (Value::Null, Some(None)),
            (json!(-1), None),
            (json!(0.5), None),
            (json!("x"), None),
            (json!([]), None),
        ] {
            assert_eq!(number(&value, "n").ok(), read, "{value}");
        }
    }
}
