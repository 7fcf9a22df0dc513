//! A transfer whose origin's log is lost: the origin's operator says by hand how it ended, the participant's takes that.

use super::{
    commands,
    error::{Kind, ServiceError},
    peers, shape,
};
use crate::node::Node;
use comity_ledger::settlement::OutgoingState;
use comity_proto::{
    command::Verb,
    envelope::Signed as _,
    ids::{DomainId, Hash, TransferId},
    settlement::TransferVerdict,
    text::Reason,
};
use serde::Serialize;
use utoipa::ToSchema;

/// What the origin's operator wants to say.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Its id here.
    pub transfer: TransferId,
    /// The participant that waits.
    pub to: DomainId,
    /// Digest of the prepare, as the participant shows it.
    pub content: Hash,
    /// Commit or abort.
    pub commit: bool,
    /// For people of both sides.
    pub reason: String,
}

/// A signed verdict, to be carried by hand.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct VerdictView {
    /// Which transfer.
    #[schema(value_type = shape::ShortIdText)]
    pub transfer: TransferId,
    /// For whom.
    #[schema(value_type = shape::DomainIdText)]
    pub to: DomainId,
    /// Commit or abort.
    pub commit: bool,
    /// What to hand over.
    pub verdict: String,
}

/// Signs a verdict with the domain's root key. What the ledger still knows it decides: against it, or before it has
/// decided, nothing is signed.
///
/// # Errors
/// `no_domain_key`, `not_decided`, `decided_otherwise`, `bad_text`.
pub async fn say(node: &Node, wish: &Wish) -> Result<VerdictView, ServiceError> {
    let root = &peers::keys(node)?.root;
    let reason = Reason::new(&wish.reason)
        .map_err(|_| ServiceError::bad_input("bad_text", "the reason is too long or holds control characters"))?;
    let known = |ledger: &comity_ledger::Ledger| ledger.outgoing_transfer(&wish.transfer).map(|record| record.state);
    match super::books::read(node, known).await? {
        Some(OutgoingState::Undecided) => {
            let detail = format!("transfer {} is still undecided in this ledger", wish.transfer);
            return Err(ServiceError::new(
                Kind::Conflict,
                "not_decided",
                detail,
                "wait for its deadline, then ask again",
            ));
        }
        Some(OutgoingState::Decided { commit, .. } | OutgoingState::Closed { commit, .. }) if commit != wish.commit => {
            let decided = if commit { "committed" } else { "aborted" };
            let detail = format!("this ledger has {decided} transfer {}; nothing else can be signed", wish.transfer);
            return Err(ServiceError::new(Kind::Conflict, "decided_otherwise", detail, "say what the ledger says"));
        }
        _ => {}
    }
    let (transfer, to, commit) = (wish.transfer, wish.to, wish.commit);
    let verdict = TransferVerdict { origin: node.domain(), to, transfer, content: wish.content, commit, reason };
    Ok(VerdictView { transfer, to, commit, verdict: TransferVerdict::text(&verdict.seal(root)) })
}

/// Ends a transfer that is in doubt here by the origin's verdict.
///
/// # Errors
/// `bad_verdict`, or what the ledger refuses.
pub async fn take(node: &Node, text: &str) -> Result<commands::Submitted, ServiceError> {
    let bad = |reject: comity_proto::reject::Reject| {
        ServiceError::bad_input("bad_verdict", format!("this is no verdict of another domain: {reject}"))
    };
    TransferVerdict::parse(text).map_err(bad)?;
    let verdict = TransferVerdict::envelope(text).map_err(bad)?;
    let operator = peers::operator(node)?;
    let batch = operator.sign(Verb::ResolveTransfer { verdict }, comity_runtime::wall_ms());
    commands::submit(node, batch.envelope, &batch.request_id.to_string()).await
}
