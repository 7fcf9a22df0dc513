//! Asking peers, keeping what they show, and telling others.

use super::{
    compare,
    judge::{self, Shown},
    project,
};
use crate::{
    mesh::class::Class,
    node::Node,
    service::audit,
    storage::audit::{Kept, Shelf},
};
use bytes::Bytes;
use comity_proto::{
    envelope::Signed as _,
    ids::{DomainId, Hash, PublicKey},
    planted::{Plant, planted},
    relay::{Answer, Cosignature, Question},
};
use comity_runtime as runtime;
use comity_verify::{
    Judged, Verdict, decisions,
    document::{Head, Kind},
    verdict::{checkpoints_of, contradiction},
    verify,
};
use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

/// One question.
const PATIENCE: Duration = Duration::from_secs(5);

/// Watches all peers until the node ends.
pub(crate) async fn run(node: Arc<Node>, every: Duration) {
    let (mut told, mut stood) = (BTreeSet::new(), BTreeSet::new());
    loop {
        runtime::sleep(every).await;
        if let Err(error) = accuse_liars(&node, &mut told).await {
            tracing::warn!(%error, "a proof against a peer could not be kept");
        }
        compare::compare(&node, &mut stood).await;
        if let Err(error) = compare::suspend(&node).await {
            tracing::warn!(%error, "the proofs that are kept could not be read");
        }
        // Side by side: a peer that is slow to answer delays no other.
        let watched = peers(&node).into_iter().map(async |(peer, root_key)| {
            if let Err(error) = watch(&node, peer, root_key).await {
                tracing::warn!(%peer, %error, "a peer's checkpoint could not be kept");
            }
            if let Err(error) = project::project(&node, peer, root_key).await {
                tracing::warn!(%peer, %error, "a peer's checkpoint could not be read");
            }
        });
        futures::future::join_all(watched).await;
    }
}

/// Domains that we have a treaty with, and their pinned root keys.
fn peers(node: &Node) -> Vec<(DomainId, PublicKey)> {
    node.replica().read_stale(|ledger, _| {
        let agreed = ledger.treaties().filter(|treaty| treaty.agreed.is_some());
        agreed.map(|treaty| (treaty.peer, treaty.peer_key)).collect()
    })
}

pub(super) async fn put_question(node: &Node, to: PublicKey, question: &Question) -> Option<Answer> {
    match node.mesh().request(to, Class::Tasks, question.encode(), PATIENCE).await {
        Ok(bytes) => Answer::decode(&bytes).inspect_err(|reject| tracing::debug!(%to, %reject, "no answer")).ok(),
        Err(error) => {
            tracing::debug!(%to, %error, "a node was asked about a checkpoint and did not answer");
            None
        }
    }
}

/// Asks the nodes of a peer, one after the other, until one shows its newest checkpoint.
async fn watch(node: &Node, peer: DomainId, root_key: PublicKey) -> io::Result<()> {
    let kept = node.memory().get(Shelf::Seen, peer).await?;
    let held = kept.as_ref().and_then(|kept| judge::head_of(&kept.bytes, &peer, &root_key).ok());
    let older = held.as_ref().and_then(|head| head.judge().ok()).map_or(0, |held| held.checkpoint().size);
    for other in node.mesh().nodes_of(&peer) {
        let Some(Answer::Document(document)) = put_question(node, other, &Question::Extend(older)).await else {
            continue;
        };
        match judge::answer(&peer, &root_key, held.as_ref(), &document) {
            Ok(Shown::Extends(shown)) => {
                let (_, judged) = &*shown;
                if let Err(outcome) = node.replica().read_stale(|ledger, _| ledger.judge_root(&peer, judged.root())) {
                    tracing::warn!(%peer, node = %other, %outcome, "a peer's checkpoint is signed under an old root key");
                    continue;
                }
                let before = kept.map(|kept| kept.bytes);
                let (head, judged) = *shown;
                return keep(node, before, &head, &judged, other).await;
            }
            Ok(Shown::Contradicts(proof)) => return accuse(node, proof).await.map(|_| ()),
            Err(wrong) => tracing::warn!(%peer, node = %other, %wrong, "a peer's checkpoint is refused"),
        }
    }
    Ok(())
}

/// Keeps first, then cosigns to whoever showed it, then shows it to others.
async fn keep(node: &Node, before: Option<Bytes>, head: &Head, judged: &Judged, from: PublicKey) -> io::Result<()> {
    let checkpoint = *judged.checkpoint();
    let bytes = judge::checkpoint_document(head);
    let news = before.as_ref() != Some(&bytes);
    let kept = Kept { heard_ms: runtime::wall_ms(), bytes: bytes.clone() };
    if !node.memory().replace(Shelf::Seen, checkpoint.domain, before, kept).await? {
        return Ok(());
    }
    let voter = node.replica().read_stale(|ledger, _| {
        let own = ledger.domain()?;
        own.voters.contains(&node.key().public()).then(|| own.roster.clone())
    });
    if let Some(roster) = voter {
        let cosignature = Cosignature {
            witness: node.domain(),
            domain: checkpoint.domain,
            size: checkpoint.size,
            root: checkpoint.root,
            seen_ms: runtime::wall_ms(),
            roster,
        };
        put_question(node, from, &Question::Cosigned(cosignature.seal(node.key()))).await;
    }
    if news {
        tell(node, &Question::Seen(bytes), Some(checkpoint.domain)).await;
    }
    Ok(())
}

/// Tells every connected node of our own domain and of all peers but one.
async fn tell(node: &Node, question: &Question, except: Option<DomainId>) {
    let others = neighbours(node, except).into_iter();
    futures::future::join_all(others.map(|other| put_question(node, other, question))).await;
}

/// Connected nodes of our own domain and of all peers but one.
fn neighbours(node: &Node, except: Option<DomainId>) -> BTreeSet<PublicKey> {
    let own = (node.domain(), node.home().domain_key);
    let domains = peers(node).into_iter().chain([own]).filter(|(domain, _)| Some(*domain) != except);
    let nodes = domains.flat_map(|(domain, _)| node.mesh().nodes_of(&domain));
    nodes.filter(|other| *other != node.key().public()).collect()
}

/// Peers that our own ledger caught with two decisions: the two batches are the proof. Every proof that is kept is said to
/// each node until it has answered once; `told` remembers who has.
async fn accuse_liars(node: &Node, told: &mut BTreeSet<(PublicKey, Hash)>) -> io::Result<()> {
    for (peer, _) in peers(node) {
        let Some(caught) = node.replica().read_stale(|ledger, _| ledger.equivocation(&peer)) else { continue };
        if node.memory().get(Shelf::Decided, peer).await?.is_some() {
            continue;
        }
        let batch = |digest| node.replica().events().evidence(digest).ok().flatten();
        if let (Some(first), Some(second)) = (batch(&caught.first), batch(&caught.second)) {
            accuse(node, decisions::document(&first, &second)).await?;
        }
    }
    let here = if planted(Plant::ProofUntold) { BTreeSet::new() } else { neighbours(node, None) };
    told.retain(|(other, _)| here.contains(other));
    for shelf in Shelf::PROOFS {
        for (_, kept) in node.memory().all(shelf).await? {
            let (proof, question) = (Hash::of(&kept.bytes), Question::Accusation(kept.bytes));
            for other in here.iter().filter(|other| !told.contains(&(**other, proof))).collect::<Vec<_>>() {
                if put_question(node, *other, &question).await.is_some() {
                    told.insert((*other, proof));
                }
            }
        }
    }
    Ok(())
}

/// Keeps a proof against a domain that we know, and tells everybody. False when it is none, or was here already.
pub(super) async fn accuse(node: &Node, document: Bytes) -> io::Result<bool> {
    let (subject, shelf, what) = match verify(document.as_ref(), None) {
        Ok(Verdict::Equivocation { first, .. }) => (first.checkpoint().domain, Shelf::Accused, "two histories"),
        // What the ledger would not take must not hold the place of what it would.
        Ok(Verdict::TwoDecisions(two)) if node.replica().read_stale(|ledger, _| ledger.is_said_by_one(&document)) => {
            (two.domain, Shelf::Decided, "two decisions for one transfer")
        }
        _ => return Ok(false),
    };
    if subject != node.domain() && !peers(node).iter().any(|(peer, _)| *peer == subject) {
        return Ok(false);
    }
    let kept = Kept { heard_ms: runtime::wall_ms(), bytes: document.clone() };
    if !node.memory().replace(shelf, subject, None, kept).await? {
        return Ok(false);
    }
    if planted(Plant::ProofUntold) {
        return Ok(true);
    }
    tracing::error!(domain = %subject, what, "a domain contradicted itself, and signed both");
    tell(node, &Question::Accusation(document), None).await;
    Ok(true)
}

/// Holds somebody's checkpoint of a domain against what we know of it. Says whether it contradicts.
///
/// # Errors
/// The disk's.
pub(crate) async fn consider(node: &Node, document: Bytes) -> io::Result<bool> {
    let Ok(heads) = checkpoints_of(document.as_ref()) else { return Ok(false) };
    let Some(head) = heads.first().filter(|head| head.kind == Kind::Checkpoint) else { return Ok(false) };
    let Ok(judged) = head.judge() else { return Ok(false) };
    let (subject, size) = (judged.checkpoint().domain, judged.checkpoint().size);
    let known = peers(node).into_iter().find(|(peer, _)| *peer == subject);
    let held = match node.memory().get(Shelf::Seen, subject).await? {
        Some(kept) => checkpoints_of(kept.bytes.as_ref()).unwrap_or_default(),
        None => Vec::new(),
    };
    if let Ok(Some(two)) = contradiction(&heads, &held) {
        return accuse(node, judge::equivocation_document(&two)).await;
    }
    if held.iter().any(|held| held.judge().is_ok_and(|held| held.checkpoint().size == size)) {
        return Ok(false);
    }
    // Of another size than what is held: the domain itself says what it holds true of that size.
    let own = subject == node.domain();
    let shown = match known {
        _ if own => audit::document(node, size).await.ok().and_then(Result::ok),
        Some((peer, _)) => ask_any(node, peer, size).await,
        None => None,
    };
    let Some(shown) = shown.and_then(|shown| checkpoints_of(shown.as_ref()).ok()) else { return Ok(false) };
    match contradiction(&heads, &shown) {
        Ok(Some(two)) => accuse(node, judge::equivocation_document(&two)).await,
        Ok(None) | Err(_) => Ok(false),
    }
}

async fn ask_any(node: &Node, peer: DomainId, size: u64) -> Option<Bytes> {
    for other in node.mesh().nodes_of(&peer) {
        if let Some(Answer::Document(document)) = put_question(node, other, &Question::Extend(size)).await {
            return Some(document);
        }
    }
    None
}
