//! Agents' own A2A servers: an agent, or the operator for it, names an address, and this node hands the agent's tasks there.
//!
//! An address may be a trap: whoever may register an agent could make this node call anything that only this machine
//! reaches. So an address inside this node's network is taken only if the operator lists its host (`endpoint_hosts`), or
//! registers it: that address then, and no other. Names are judged again at each call, and redirects are not followed.
//! Without an address an agent asks for its work itself.

use super::{
    books::read,
    error::{Kind, ServiceError},
    principal::Principal,
    shape,
};
use crate::{
    node::Node,
    storage::kept::KeptList,
    tasks::endpoint::{self, Binding, Server},
    webhook,
};
use comity_proto::ids::AgentId;
use comity_runtime as runtime;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, io, path::Path, sync::Arc};
use tokio::sync::{Semaphore, watch};
use utoipa::ToSchema;

/// Servers on one node.
const IN_ALL: usize = 256;
/// Characters of a token.
const TOKEN_CHARS_MAX: usize = 4_096;

/// A server as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    agent: AgentId,
    url: String,
    binding: Binding,
    token: Option<String>,
    by_operator: bool,
}

/// A server as its agent sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EndpointView {
    /// Whose.
    #[schema(value_type = shape::AgentIdText)]
    pub agent: AgentId,
    /// Where.
    pub url: String,
    /// `JSONRPC` or `HTTP+JSON`.
    pub binding: &'static str,
    /// The operator named it.
    pub by_operator: bool,
    /// Why it could not be reached last; null while all is well.
    pub trouble: Option<String>,
}

struct Served {
    endpoint: Endpoint,
    server: Arc<Server>,
    gone: watch::Sender<bool>,
}

/// All of a node.
pub struct Endpoints {
    file: KeptList,
    kept: Mutex<Vec<Endpoint>>,
    all: Mutex<BTreeMap<AgentId, Served>>,
    threads: Arc<Semaphore>,
}

impl Endpoints {
    /// As they were kept below a data directory.
    ///
    /// # Errors
    /// The disk's.
    pub fn of(root: Option<&Path>) -> io::Result<Endpoints> {
        let file = KeptList::of(root, "endpoints.json", "comity/endpoints/1");
        let kept = Mutex::new(file.read()?);
        let threads = Arc::new(Semaphore::new(endpoint::THREADS));
        Ok(Endpoints { file, kept, all: Mutex::default(), threads })
    }

    async fn keep(&self) -> Result<(), ServiceError> {
        let standing = || self.all.lock().values().map(|served| served.endpoint.clone()).collect();
        self.file.write(standing).await.map_err(|error| {
            let next = "make room, or mend the data directory, and ask again";
            ServiceError::new(Kind::Internal, "endpoint_not_kept", error.to_string(), next)
        })
    }
}

/// Hosts inside this network to which a server may point.
fn allowed(node: &Node, endpoint: &Endpoint) -> Vec<String> {
    let mut hosts = node.home().config.endpoint_hosts.clone();
    if endpoint.by_operator {
        hosts.extend(webhook::host_of(&endpoint.url));
    }
    hosts
}

/// Serves everything that was kept.
pub fn resume(node: &Arc<Node>) {
    let kept = std::mem::take(&mut *node.endpoints().kept.lock());
    kept.into_iter().for_each(|endpoint| drop(serve(node, endpoint)));
}

/// Serves one in place of the agent's former one, which is given.
fn serve(node: &Arc<Node>, endpoint: Endpoint) -> Option<Endpoint> {
    let Endpoint { agent, url, binding, token, .. } = endpoint.clone();
    let threads = node.endpoints().threads.clone();
    let server = Server::new(agent, url, binding, token, allowed(node, &endpoint), threads);
    let gone = watch::Sender::new(false);
    runtime::spawn(endpoint::attend(node.desk().clone(), server.clone(), gone.subscribe()));
    let former = node.endpoints().all.lock().insert(agent, Served { endpoint, server, gone })?;
    former.gone.send_replace(true);
    Some(former.endpoint)
}

/// What is wished.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Whose; an agent means itself.
    pub agent: Option<AgentId>,
    /// Where.
    pub url: String,
    /// `JSONRPC` (unless told otherwise) or `HTTP+JSON`.
    pub binding: Option<String>,
    /// What the server wants to see.
    pub token: Option<String>,
}

fn whose(who: Principal, agent: Option<AgentId>) -> Result<AgentId, ServiceError> {
    match (who, agent) {
        (Principal::Operator, Some(agent)) => Ok(agent),
        (Principal::Agent(own), asked) if asked.is_none_or(|asked| asked == own) => Ok(own),
        (who, Some(agent)) => who.require_agent(agent).map(|()| agent),
        (_, None) => Err(ServiceError::bad_input("agent_missing", "name the agent whose server this is")),
    }
}

/// Hands an agent's tasks to a server from now on.
///
/// # Errors
/// `endpoint_refused`, `bad_binding`, `bad_endpoint_token`, `too_many_endpoints`; `unknown_agent`; `not_this_agent`.
pub async fn set(node: &Arc<Node>, who: Principal, wish: Wish) -> Result<EndpointView, ServiceError> {
    let agent = whose(who, wish.agent)?;
    let binding = wish.binding.as_deref().unwrap_or(Binding::JsonRpc.name());
    let binding = Binding::named(binding).ok_or_else(|| {
        ServiceError::bad_input("bad_binding", format!("`{binding}` is neither JSONRPC nor HTTP+JSON"))
    })?;
    let plain = |token: &String| token.len() <= TOKEN_CHARS_MAX && token.chars().all(|c| c.is_ascii_graphic());
    if wish.token.as_ref().is_some_and(|token| !plain(token)) {
        let detail = format!("a token has up to {TOKEN_CHARS_MAX} printable ASCII characters, no spaces");
        return Err(ServiceError::bad_input("bad_endpoint_token", detail));
    }
    let known = read(node, |ledger| ledger.agent(&agent).is_some_and(|agent| !agent.retired)).await?;
    if !known {
        return Err(ServiceError::not_found("agent", agent));
    }
    let endpoint =
        Endpoint { agent, url: wish.url, binding, token: wish.token, by_operator: who == Principal::Operator };
    let (url, hosts) = (endpoint.url.clone(), allowed(node, &endpoint));
    let judged = runtime::run_blocking(move || webhook::judge_address(&url, &hosts)).await;
    let stopping = |_| ServiceError::new(Kind::Unavailable, "stopping", "the node is stopping", "ask again later");
    judged.map_err(stopping)?.map_err(|reason| {
        let detail = format!("the address is refused: {reason}");
        let next = "ask the operator to list the host in `endpoint_hosts`, or to name the server: comity endpoint set";
        ServiceError::new(Kind::BadInput, "endpoint_refused", detail, next)
    })?;
    let full = {
        let all = node.endpoints().all.lock();
        all.len() >= IN_ALL && !all.contains_key(&agent)
    };
    if full {
        let detail = format!("this node keeps {IN_ALL} servers");
        return Err(ServiceError::new(Kind::Busy, "too_many_endpoints", detail, "remove one first"));
    }
    let former = serve(node, endpoint);
    if let Err(error) = node.endpoints().keep().await {
        match former {
            Some(former) => drop(serve(node, former)),
            None => drop(stop(node, agent)),
        }
        return Err(error);
    }
    view(node, agent)
}

fn stop(node: &Node, agent: AgentId) -> Option<Endpoint> {
    let served = node.endpoints().all.lock().remove(&agent)?;
    served.gone.send_replace(true);
    Some(served.endpoint)
}

fn view(node: &Node, agent: AgentId) -> Result<EndpointView, ServiceError> {
    let all = node.endpoints().all.lock();
    all.get(&agent).map(Served::view).ok_or_else(|| ServiceError::not_found("endpoint", agent))
}

impl Served {
    fn view(&self) -> EndpointView {
        EndpointView {
            agent: self.endpoint.agent,
            url: self.endpoint.url.clone(),
            binding: self.endpoint.binding.name(),
            by_operator: self.endpoint.by_operator,
            trouble: self.server.trouble(),
        }
    }
}

/// The caller's server; for the operator all of this node.
pub fn list(node: &Node, who: Principal) -> Vec<EndpointView> {
    let all = node.endpoints().all.lock();
    let shown = |agent: &AgentId| who == Principal::Operator || who == Principal::Agent(*agent);
    all.iter().filter(|(agent, _)| shown(agent)).map(|(_, served)| served.view()).collect()
}

/// The agent asks for its work itself again. What its server has already is finished there.
///
/// # Errors
/// `unknown_endpoint`, `not_this_agent`.
pub async fn remove(node: &Arc<Node>, who: Principal, agent: AgentId) -> Result<(), ServiceError> {
    let agent = whose(who, Some(agent))?;
    stop(node, agent).ok_or_else(|| ServiceError::not_found("endpoint", agent))?;
    node.endpoints().keep().await
}
