//! Rule 10: an operator ends a transfer by hand, and only with a word that the other domain signed.
//!
//! A participant waits for its origin as long as it takes. When the origin's log is lost for good, nobody is left who
//! could answer; then the holder of its root key says how the transfer ended, and answers for it. The first recorded
//! decision stands: what a log that turns up again says against it is kept as a contradiction.

use super::{
    Effects,
    record::{Incoming, IncomingState},
};
use crate::{
    apply::{Answer, Out},
    outcome::Outcome,
    state::Ledger,
};
use bytes::Bytes;
use comity_proto::{
    envelope::{Signed as _, Verified},
    reject::Reject,
    settlement::TransferVerdict,
};

impl Ledger {
    /// Takes the origin's verdict about a transfer that is in doubt here.
    pub(crate) fn resolve_transfer(&mut self, envelope: &Bytes, out: &mut Out) -> Answer {
        let verdict = TransferVerdict::open(envelope).map_err(|reject| match reject {
            Reject::BadSignature | Reject::WrongSigner => Outcome::BadSignature,
            _ => Outcome::Malformed,
        })?;
        let answer = self.settle(out, |ledger, effects| ledger.obey(&verdict, envelope, effects));
        if answer.is_success() { Ok(answer) } else { Err(answer) }
    }

    fn obey(&mut self, verdict: &Verified<TransferVerdict>, envelope: &Bytes, effects: &mut Effects) -> Outcome {
        let said = verdict.get();
        if !self.is_home(&said.to) || self.is_home(&said.origin) {
            return Outcome::WrongDomain;
        }
        if let Err(refusal) = self.judge_root(&said.origin, verdict.signer()) {
            return refusal;
        }
        let key = (said.origin, said.transfer);
        let Some(record) = self.settlement.incoming.get(&key).cloned() else { return Outcome::UnknownTransfer };
        if record.content != said.content {
            return Outcome::ExistsWithDifferentContent;
        }
        let fee = match record.state {
            IncomingState::Voted { fee } => fee,
            IncomingState::Unbacked { .. } | IncomingState::Backing if said.commit => return Outcome::Exists,
            IncomingState::Finished { commit, .. } if commit == said.commit => return Outcome::Exists,
            _ => return Outcome::WrongState,
        };
        effects.evidence.push((verdict.digest(), envelope.clone()));
        let waits = record.prepare.as_ref().is_some_and(|prepare| self.waits_for_backing(prepare));
        let record = Incoming { decision_evidence: Some(verdict.digest()), ..record };
        if said.commit && waits && record.backing.is_none() {
            self.settlement.put_incoming(key, Incoming { state: IncomingState::Unbacked { fee }, ..record });
        } else {
            self.finish(&key, record, fee, said.commit, effects);
        }
        Outcome::Applied
    }
}
