//! Faults that wait for a state of a settlement.
//!
//! A leader's applied entries are told to whoever subscribed, before anybody acts on them. Here the telling itself
//! freezes the host: not one task of it runs between the state and the fault that waited for it.

use std::{
    collections::BTreeMap,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use comity_ledger::event::{Event, EventKind};
use comity_node::node::Node;
use comity_proto::ids::{DomainId, TransferId};
use comity_replica::Notice;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{Receiver, error::RecvError};

use crate::{
    hosts::Hosts,
    world::{HostId, Universe},
};

/// A state of a transfer between domains, as the log of the domain that decides about it has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Origin: the amount is in flight, the prepare is not sent.
    Begun,
    /// Participant: the vote stands in the log and is not sent.
    Voted,
    /// Origin: the decision stands in the log and is not sent.
    Decided,
    /// Participant: the decision is posted, the acknowledgement is not sent.
    Finished,
    /// Origin: closed.
    Closed,
}

impl State {
    /// All states, in their order.
    pub const ALL: [State; 5] = [State::Begun, State::Voted, State::Decided, State::Finished, State::Closed];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            State::Begun => "begun",
            State::Voted => "voted",
            State::Decided => "decided",
            State::Finished => "finished",
            State::Closed => "closed",
        }
    }
}

/// What a fault waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// A leader has applied this.
    pub state: State,
    /// So many sightings pass first.
    #[serde(default)]
    pub skip: u32,
    /// So much virtual time after the sighting, microseconds: then what was to be sent is on its way.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub after_us: u64,
    /// Only a commit, or only an abort; of states from the decision on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<bool>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl When {
    /// Right at the first sighting of a state.
    pub fn at(state: State) -> When {
        When { state, skip: 0, after_us: 0, commit: None }
    }

    /// Whether this is what is waited for.
    pub(super) fn means(&self, seen: &Seen) -> bool {
        self.state == seen.state && self.commit.is_none_or(|commit| seen.commit == Some(commit))
    }
}

/// A state that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which.
    pub state: State,
    /// On which host.
    pub host: HostId,
    /// Whose domain pays; its number.
    pub origin: usize,
    /// Whose domain votes, the one that was seen, or else the payee's; its number.
    pub participant: usize,
    /// Of which transfer.
    pub transfer: TransferId,
    /// What was decided, once it is.
    pub commit: Option<bool>,
}

impl Seen {
    /// The moment in words: `voted`, `decided-commit`, `decided-abort`.
    pub fn moment(&self) -> String {
        let how = match self.commit {
            Some(true) => "-commit",
            Some(false) => "-abort",
            None => "",
        };
        format!("{}{how}", self.state.name())
    }
}

/// Looks at everything that leaders apply.
#[derive(Clone)]
pub(super) struct Lookout {
    hosts: Hosts,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    next_eye: u64,
    eyes: BTreeMap<u64, Arc<Eye>>,
    /// Eyes that were told something.
    told: Vec<(u64, HostId)>,
    looker: Option<Waker>,
    /// Whom a transfer goes to.
    known: BTreeMap<TransferId, (usize, usize)>,
}

type Telling = BoxFuture<'static, (Receiver<Notice>, Result<Notice, RecvError>)>;

/// The watch over one life of one host's node.
struct Eye {
    number: u64,
    host: HostId,
    universe: Universe,
    shared: Arc<Mutex<Shared>>,
    telling: Mutex<Option<Telling>>,
}

impl Wake for Eye {
    fn wake(self: Arc<Self>) {
        self.universe.freeze(self.host, true);
        let mut shared = self.shared.lock();
        shared.told.push((self.number, self.host));
        let looker = shared.looker.take();
        drop(shared);
        looker.into_iter().for_each(Waker::wake);
    }
}

fn tell(mut receiver: Receiver<Notice>) -> Telling {
    Box::pin(async move {
        let told = receiver.recv().await;
        (receiver, told)
    })
}

impl Lookout {
    pub(super) fn new(hosts: &Hosts) -> Lookout {
        let lookout = Lookout { hosts: hosts.clone(), shared: Arc::default() };
        let watching = lookout.clone();
        hosts.at_boot(Arc::new(move |host, node| watching.watch(host, node)));
        lookout
    }

    fn watch(&self, host: HostId, node: &Arc<Node>) {
        let mut shared = self.shared.lock();
        shared.next_eye += 1;
        let eye = Arc::new(Eye {
            number: shared.next_eye,
            host,
            universe: self.hosts.universe.clone(),
            shared: self.shared.clone(),
            telling: Mutex::new(Some(tell(node.replica().subscribe()))),
        });
        shared.eyes.retain(|_, known| known.host != host);
        shared.eyes.insert(eye.number, eye.clone());
        drop(shared);
        // Nothing was applied yet in this life: this only leaves the eye's waker there.
        let _nothing = poll(&eye);
    }

    /// The next applied states, in the order of applying; the host is frozen until [`Lookout::go_on`].
    pub(super) async fn next(&self) -> (HostId, Vec<Seen>) {
        loop {
            let (number, host) = std::future::poll_fn(|cx| {
                let mut shared = self.shared.lock();
                if shared.told.is_empty() {
                    shared.looker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                Poll::Ready(shared.told.remove(0))
            })
            .await;
            let eye = self.shared.lock().eyes.get(&number).cloned();
            let Some(eye) = eye else {
                // Of an earlier life.
                self.go_on(host);
                continue;
            };
            let mut seen = Vec::new();
            let mut is_open = true;
            while let Some(told) = poll(&eye) {
                match told {
                    Ok(notice) if notice.is_leader => {
                        seen.extend(notice.events.iter().filter_map(|event| self.seen(eye.host, event)));
                    }
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => {
                        is_open = false;
                        break;
                    }
                }
            }
            if !is_open {
                self.shared.lock().eyes.remove(&number);
            }
            return (eye.host, seen);
        }
    }

    /// Lets a host go on after a look.
    pub(super) fn go_on(&self, host: HostId) {
        self.hosts.universe.freeze(host, false);
    }

    fn seen(&self, host: HostId, event: &Event) -> Option<Seen> {
        let own = self.hosts.with(host, |machine| machine.domain);
        let number = |id: DomainId| self.hosts.domains().iter().position(|domain| domain.id() == id);
        let mut shared = self.shared.lock();
        let (state, transfer, commit) = match &event.kind {
            EventKind::TransferBegun { transfer, recipient, .. } => {
                shared.known.insert(*transfer, (own, number(recipient.domain)?));
                (State::Begun, *transfer, None)
            }
            EventKind::TransferVoted { transfer, origin, .. } => {
                shared.known.entry(*transfer).or_insert((number(*origin)?, own));
                (State::Voted, *transfer, None)
            }
            EventKind::TransferDecided { transfer, commit, .. } => (State::Decided, *transfer, Some(*commit)),
            EventKind::TransferFinished { transfer, commit, .. } => (State::Finished, *transfer, Some(*commit)),
            EventKind::TransferClosed { transfer, commit } => (State::Closed, *transfer, Some(*commit)),
            _ => return None,
        };
        let (origin, payee) = *shared.known.get(&transfer)?;
        // Of two participants the one that was seen is meant.
        let participant = if own == origin { payee } else { own };
        if state == State::Closed {
            shared.known.remove(&transfer);
        }
        Some(Seen { state, host, origin, participant, transfer, commit })
    }
}

/// What the eye was told; `None` when it will be told later.
fn poll(eye: &Arc<Eye>) -> Option<Result<Notice, RecvError>> {
    let waker = Waker::from(eye.clone());
    let mut telling = eye.telling.lock();
    let mut current = telling.take()?;
    match current.as_mut().poll(&mut Context::from_waker(&waker)) {
        Poll::Pending => {
            *telling = Some(current);
            None
        }
        Poll::Ready((receiver, told)) => {
            *telling = Some(tell(receiver));
            Some(told)
        }
    }
}
