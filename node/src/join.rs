//! Growing a domain: an invitation, a certificate, a learner, and at an odd number the vote.
//!
//! ```text
//! founding node                          new node
//! join-token -> TOKEN   - by hand ->     up --join TOKEN
//!                       <- JoinRequest   a stranger on the mesh, its own key
//! certificate, roster, members ->        starts as a learner
//! at 3 or 5 replicas: all vote, the next roster goes into the log
//! ```
//! Only the node that holds the domain's root key can invite: nobody else can certify. Invitations live in its memory,
//! so a restart voids those not used.

mod admission;
mod admitted;
mod grow;
mod request;
mod token;

pub(crate) use admission::admit;
pub use admission::{JoinDesk, invite};
pub(crate) use grow::tend;
pub use request::{join, join_over};
