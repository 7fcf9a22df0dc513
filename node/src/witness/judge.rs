//! What a document shows to a witness: pure, no clock, no network, no disk.

use bytes::Bytes;
use comity_proto::ids::{DomainId, PublicKey};
use comity_verify::{
    Judged, Place, Rule, Verdict, Wrong,
    document::{Head, Kind, Other, Reader},
    verdict::{checkpoints_of, contradiction},
    verify,
};

/// What an answer shows.
pub(super) enum Shown {
    /// The subject's newest checkpoint, which extends the one that is held.
    Extends(Box<(Head, Judged)>),
    /// The proof that the subject signed two histories.
    Contradicts(Bytes),
}

/// A head alone, as a checkpoint document.
pub(super) fn checkpoint_document(head: &Head) -> Bytes {
    let mut out = Vec::new();
    let head = Head { kind: Kind::Checkpoint, ..head.clone() };
    // Memory takes whatever fits the limits that the head was read under.
    let _written = head.write(&mut out);
    out.into()
}

pub(super) fn equivocation_document((head, other): &(Head, Other)) -> Bytes {
    let mut out = Vec::new();
    let _written = head.write(&mut out).and_then(|()| other.write(&mut out));
    out.into()
}

fn wrong(rule: Rule, detail: &str) -> Wrong {
    Wrong::new(Place::Head, rule, detail)
}

/// Reads the head of a document that must be of this domain, whose root key is pinned.
pub(super) fn head_of(document: &Bytes, domain: &DomainId, root_key: &PublicKey) -> Result<Head, Wrong> {
    let (head, _) = Reader::open(document.as_ref())?;
    if head.chain.domain != *domain || head.chain.root_key != *root_key {
        return Err(wrong(Rule::OtherDomain, "it is of another domain or root key than the one that was asked"));
    }
    Ok(head)
}

/// Judges the answer to `extend`, given what is held.
pub(super) fn answer(
    domain: &DomainId,
    root_key: &PublicKey,
    held: Option<&Head>,
    document: &Bytes,
) -> Result<Shown, Wrong> {
    let head = head_of(document, domain, root_key)?;
    let Some(held) = held else {
        return match verify(document.as_ref(), None)? {
            Verdict::Checkpoint { judged, .. } => Ok(Shown::Extends(Box::new((head, judged)))),
            _ => Err(wrong(Rule::NotADocument, "a checkpoint alone was asked for")),
        };
    };
    if let Some(two) = contradiction(std::slice::from_ref(held), &checkpoints_of(document.as_ref())?)? {
        return Ok(Shown::Contradicts(equivocation_document(&two)));
    }
    let kept = held.judge()?;
    match verify(document.as_ref(), Some(&kept))? {
        Verdict::Extension { newer, .. } if newer.roster().epoch >= kept.roster().epoch => {
            Ok(Shown::Extends(Box::new((head, newer))))
        }
        Verdict::Extension { .. } => Err(wrong(Rule::RosterEpoch, "signed under an older roster than before")),
        _ => Err(wrong(Rule::NotADocument, "an extension was asked for")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_ledger::{
        checkpoint::Checkpoint,
        merkle::{CompactRange, NodeReader, consistency_proof, leaf_hash},
    };
    use comity_proto::{envelope::Signed as _, identity::Roster, ids::Hash, keys::SecretKey};
    use comity_verify::{Chain, document::Extension};
    use std::collections::BTreeMap;

    struct Nodes(BTreeMap<(u8, u64), Hash>);

    impl NodeReader for Nodes {
        fn node(&self, level: u8, index: u64) -> Option<Hash> {
            self.0.get(&(level, index)).copied()
        }
    }

    fn key() -> SecretKey {
        SecretKey::from_seed(&[7; 32])
    }

    fn domain() -> DomainId {
        DomainId::of_key(&key().public())
    }

    fn head(kind: Kind, epoch: u64, events: &[u8]) -> Head {
        let mut tree = CompactRange::new();
        events.iter().for_each(|event| drop(tree.append(leaf_hash(&[*event]))));
        let checkpoint =
            Checkpoint { domain: domain(), size: tree.size(), root: tree.root(), stamp_ms: 1, log_index: 1 };
        let roster = Roster { domain: domain(), epoch, voters: vec![key().public()], seats: vec![] }.seal(&key());
        let chain = Chain { domain: domain(), root_key: key().public(), roster };
        Head { kind, chain, checkpoint: checkpoint.seal(&key()) }
    }

    fn extension(epoch: u64, events: &[u8], older: usize) -> Bytes {
        let mut tree = CompactRange::new();
        let nodes = events.iter().flat_map(|event| tree.append(leaf_hash(&[*event])));
        let nodes = Nodes(nodes.map(|node| ((node.level, node.index), node.hash)).collect());
        let rest = Extension {
            older: head(Kind::Checkpoint, epoch, &events[..older]).checkpoint,
            proof: consistency_proof(&nodes, older as u64, events.len() as u64).unwrap(),
        };
        let mut out = Vec::new();
        head(Kind::Extension, epoch, events).write(&mut out).unwrap();
        rest.write(&mut out).unwrap();
        out.into()
    }

    fn refused(held: Option<&Head>, document: &Bytes) -> Rule {
        match answer(&domain(), &key().public(), held, document) {
            Err(wrong) => wrong.rule,
            Ok(Shown::Extends(_)) => panic!("it was taken"),
            Ok(Shown::Contradicts(_)) => panic!("it was taken for a proof"),
        }
    }

    #[test]
    fn a_first_checkpoint_and_its_extension_are_taken() {
        let first = head(Kind::Checkpoint, 1, b"abc");
        let shown = answer(&domain(), &key().public(), None, &checkpoint_document(&first)).unwrap();
        let Shown::Extends(shown) = shown else { panic!("a contradiction") };
        assert_eq!(shown.1.checkpoint().size, 3);
        let shown = answer(&domain(), &key().public(), Some(&shown.0), &extension(1, b"abcde", 3)).unwrap();
        let Shown::Extends(shown) = shown else { panic!("a contradiction") };
        assert_eq!(shown.1.checkpoint().size, 5);
    }

    #[test]
    fn another_past_under_the_same_key_becomes_a_proof_for_everybody() {
        let held = head(Kind::Checkpoint, 1, b"abc");
        let shown = answer(&domain(), &key().public(), Some(&held), &extension(1, b"aXcde", 3)).unwrap();
        let Shown::Contradicts(proof) = shown else { panic!("it was taken") };
        assert!(matches!(verify(proof.as_ref(), None), Ok(Verdict::Equivocation { .. })));
    }

    #[test]
    fn an_answer_to_another_question_is_refused_by_name() {
        let held = head(Kind::Checkpoint, 2, b"abc");
        assert_eq!(refused(None, &extension(1, b"abcde", 3)), Rule::NotADocument);
        assert_eq!(refused(Some(&held), &extension(2, b"abcde", 4)), Rule::OtherSize);
        assert_eq!(
            refused(Some(&held), &extension(1, b"abcde", 3)),
            Rule::RosterEpoch,
            "a removed voter may sign no more"
        );
        assert_eq!(refused(Some(&held), &checkpoint_document(&head(Kind::Checkpoint, 2, b"abcd"))), Rule::NotADocument);
        let stranger = SecretKey::from_seed(&[8; 32]).public();
        let document = checkpoint_document(&held);
        let wrong = answer(&domain(), &stranger, None, &document).map(|_| ()).unwrap_err();
        assert_eq!(wrong.rule, Rule::OtherDomain, "another root key than the pinned one");
    }
}
