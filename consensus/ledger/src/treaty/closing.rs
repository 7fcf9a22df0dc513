//! The end of a treaty: what each side states once nothing of it is open, and the judgement of the two statements.
//!
//! ```text
//! a drain or a revocation; what is open ends
//! state   figures, log size and root  -- Closing ---------->  kept; judged once that side has stated too
//!                                     <- ClosingAnswer -----
//! the two fit to the unit: drained    they differ: nothing moves, operators are shown both
//! ```
//! From the first statement on until the two fit, nothing of this treaty begins or is promised, not even what an escrow
//! owes. So the figures stand still while they are judged, and both sides judge the same two. A domain that was restored
//! states anew under its next incarnation, and then so does the other one.

use super::record::Treaty;
use crate::{
    event::EventKind,
    outcome::Outcome,
    settlement::{CheckedBatch, Effects, Owed, OwedMessage},
    state::Ledger,
    statement::{Discrepancy, SupplyStatement, promised, verify_closing},
};
use alloc::{boxed::Box, vec::Vec};
use comity_proto::{
    ids::{DomainId, Hash},
    limits::REDEMPTION_MS,
    planted::{Plant, planted},
    settlement::{Closing as Said, ClosingAnswer},
    treaty::TreatyStanding,
};
use serde::{Deserialize, Serialize};

/// How far the two sides of a treaty that ends have come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// What this domain stated when nothing was open here any more.
    pub ours: Option<Stated>,
    /// What the other domain stated.
    pub theirs: Option<Heard>,
    /// Whether the two fit; `None` while one is missing.
    pub fits: Option<bool>,
    /// The time to bring paper back is over, and the log says so.
    pub is_over: bool,
}

/// A closing statement of this domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stated {
    /// What was stated; its checkpoint is that of the log before the event that records it.
    pub statement: Box<SupplyStatement>,
    /// The peer has not answered it yet.
    pub untold: bool,
    /// What the peer's ledger answered.
    pub answer: Option<Outcome>,
}

/// A closing statement of the other domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// What was stated.
    pub statement: Box<SupplyStatement>,
    /// Digest of the signed batch that carried it.
    pub evidence: Hash,
}

impl Closing {
    /// A statement was made on one side, and the two do not fit yet: nothing moves meanwhile.
    const fn is_under_way(&self) -> bool {
        (self.ours.is_some() || self.theirs.is_some()) && !matches!(self.fits, Some(true))
    }

    /// Why the two statements do not fit, if they do not.
    pub fn difference(&self) -> Option<Discrepancy> {
        let (ours, theirs) = (self.ours.as_ref()?, self.theirs.as_ref()?);
        verify_closing(&ours.statement, &theirs.statement).err()
    }
}

fn digest(statement: &SupplyStatement) -> Hash {
    Hash::of(&statement.to_bytes())
}

/// What is owed about the end of one treaty: the own statement, until it is answered.
fn owed(treaty: &Treaty) -> Option<Owed> {
    let ours = treaty.closing.ours.as_ref().filter(|ours| ours.untold)?;
    let agreed = treaty.agreed.as_ref()?;
    let said = Said { treaty: agreed.digest, statement: ours.statement.to_bytes().into() };
    Some(Owed { peer: treaty.peer, message: OwedMessage::Closing(said) })
}

/// The statement in the peer's words, if it says something new about the two.
fn new_statement(batch: &CheckedBatch, said: &Said, treaty: &Treaty) -> Result<Box<SupplyStatement>, Outcome> {
    let batch = batch.get();
    let stated = SupplyStatement::from_bytes(&said.statement).map_err(|_| Outcome::Malformed)?;
    if stated.domain != batch.from || stated.peer != batch.to {
        return Err(Outcome::WrongDomain);
    }
    if stated.incarnation != batch.incarnation {
        return Err(Outcome::OldIncarnation);
    }
    match treaty.closing.theirs.as_ref().map(|known| &known.statement) {
        Some(known) if **known == stated => Err(Outcome::Exists),
        // Its last word is its last word, unless it has lost its log since.
        Some(known) if known.incarnation >= stated.incarnation => Err(Outcome::ExistsWithDifferentContent),
        _ => Ok(Box::new(stated)),
    }
}

fn answer(peer: DomainId, statement: Hash, outcome: Outcome, effects: &mut Effects) {
    let answer = ClosingAnswer { statement, outcome: outcome.code() };
    effects.owed.push(Owed { peer, message: OwedMessage::ClosingAnswer(answer) });
}

impl Ledger {
    /// Closing statements that are not answered yet.
    pub(crate) fn closings_owed(&self) -> impl Iterator<Item = Owed> {
        self.head.treaties.values().filter_map(owed)
    }

    /// Whether the treaty with this domain is being closed, so that not even what is owed under it moves.
    pub(super) fn is_closing(&self, peer: &DomainId) -> bool {
        self.head.treaties.get(peer).is_some_and(|treaty| treaty.closing.is_under_way())
    }

    /// Whether a transfer with this domain, or of a third one in its money, is not finished here.
    fn is_open_with(&self, peer: &DomainId) -> bool {
        let Some(state) = self.settlement.peers.get(peer) else { return false };
        let queues = &state.queues;
        let quiet =
            queues.outgoing_open.is_empty() && queues.incoming_open.is_empty() && queues.backing_open.is_empty();
        let theirs = self.head.assets.iter().filter(|asset| asset.id.issuer == *peer);
        !quiet || theirs.into_iter().any(|asset| !promised(&self.settlement, *peer, &asset.id).is_empty())
    }

    /// Peers with which nothing is open here any more under a treaty that ends, and to which that is not stated yet.
    pub(crate) fn closings_due(&self) -> Vec<DomainId> {
        let ends = |treaty: &&Treaty| {
            treaty.closing.ours.is_none() && treaty.agreed.is_some() && treaty.standing() >= TreatyStanding::Draining
        };
        let ends = self.head.treaties.values().filter(ends).map(|treaty| treaty.peer);
        ends.filter(|peer| planted(Plant::CloseInDoubt) || !self.is_open_with(peer)).collect()
    }

    /// Makes one closing statement.
    pub(crate) fn state_closing(&mut self, peer: DomainId, effects: &mut Effects) {
        let Some(statement) = self.supply_statement(peer).map(Box::new) else { return };
        let Some(treaty) = self.head.treaties.get_mut(&peer) else { return };
        treaty.closing.ours = Some(Stated { statement: statement.clone(), untold: true, answer: None });
        effects.owed.extend(owed(treaty));
        effects.event(EventKind::ClosingStated { peer, by_us: true, statement, evidence: None }, &[]);
        self.judge_closing(peer, effects);
    }

    /// The peer states. It is kept whether or not this side is so far, and judged once both have stated.
    pub(crate) fn on_closing(&mut self, batch: &CheckedBatch, said: &Said, effects: &mut Effects) -> Outcome {
        let peer = batch.get().from;
        let subject = Hash::of(&said.statement);
        let Some(treaty) = self.head.treaties.get_mut(&peer) else { return Outcome::UnknownTreaty };
        // Neither is answered: this side may still hear of the document, or of the drain.
        if treaty.agreed.as_ref().is_none_or(|agreed| agreed.digest != said.treaty) {
            return Outcome::TreatyVersion;
        }
        if treaty.standing() < TreatyStanding::Draining {
            return Outcome::TooEarly;
        }
        let statement = match new_statement(batch, said, treaty) {
            Ok(statement) => statement,
            Err(refusal) => {
                let known = match refusal {
                    Outcome::Exists if treaty.closing.fits == Some(false) => Outcome::StatementDiffers,
                    Outcome::ExistsWithDifferentContent => {
                        effects.keep(batch);
                        refusal
                    }
                    _ => refusal,
                };
                answer(peer, subject, known, effects);
                return refusal;
            }
        };
        // It was restored since it last stated: both begin anew.
        if treaty.closing.theirs.is_some() {
            (treaty.closing, treaty.drained_ms) = (Closing::default(), None);
        }
        let evidence = batch.digest();
        treaty.closing.theirs = Some(Heard { statement: statement.clone(), evidence });
        effects.event(EventKind::ClosingStated { peer, by_us: false, statement, evidence: Some(evidence) }, &[]);
        effects.keep(batch);
        let judged = self.judge_closing(peer, effects);
        answer(peer, subject, judged, effects);
        judged
    }

    /// Both statements stand still and name figures of one and the same end, so they fit exactly or something is wrong.
    fn judge_closing(&mut self, peer: DomainId, effects: &mut Effects) -> Outcome {
        let now_ms = self.head.stamp_ms;
        let Some(treaty) = self.head.treaties.get_mut(&peer) else { return Outcome::UnknownTreaty };
        let closing = &mut treaty.closing;
        if closing.ours.is_none() || closing.theirs.is_none() {
            return Outcome::Applied;
        }
        let fits = closing.difference().is_none();
        closing.fits = Some(fits);
        if fits {
            treaty.drained_ms = Some(now_ms);
            effects.event(EventKind::TreatyDrained { peer }, &[]);
            return Outcome::Applied;
        }
        effects.event(EventKind::ClosingDiffers { peer }, &[]);
        Outcome::StatementDiffers
    }

    /// The peer has heard our statement.
    pub(crate) fn on_closing_answer(
        &mut self,
        batch: &CheckedBatch,
        said: &ClosingAnswer,
        effects: &mut Effects,
    ) -> Outcome {
        let peer = batch.get().from;
        let Some(outcome) = Outcome::from_code(said.outcome) else { return Outcome::Malformed };
        let ours = self.head.treaties.get_mut(&peer).and_then(|treaty| treaty.closing.ours.as_mut());
        let Some(ours) = ours.filter(|ours| digest(&ours.statement) == said.statement) else {
            return Outcome::WrongState;
        };
        if !ours.untold && ours.answer == Some(outcome) {
            return Outcome::Exists;
        }
        (ours.untold, ours.answer) = (false, Some(outcome));
        effects.keep(batch);
        let told = EventKind::TreatyTold { peer, subject: said.statement, outcome: outcome.code() };
        effects.event(told, &[]);
        Outcome::Applied
    }

    /// The treaty whose time to bring paper back ends first, in ledger time.
    pub(crate) fn redemption_due(&self) -> Option<(u64, DomainId)> {
        let redeems = |treaty: &&Treaty| treaty.standing() == TreatyStanding::Draining && !treaty.closing.is_over;
        let ends = self.head.treaties.values().filter(redeems).filter_map(|treaty| {
            let last_ms = treaty.drained_ms?.saturating_add(REDEMPTION_MS);
            Some((last_ms.saturating_add(1), treaty.peer))
        });
        ends.min()
    }

    /// That time is over: nothing more goes either way but what escrows owe.
    pub(crate) fn end_redemption(&mut self, effects: &mut Effects) {
        let Some((_, peer)) = self.redemption_due() else { return };
        if let Some(treaty) = self.head.treaties.get_mut(&peer) {
            treaty.closing.is_over = true;
        }
        effects.event(EventKind::RedemptionEnded { peer }, &[]);
    }
}
