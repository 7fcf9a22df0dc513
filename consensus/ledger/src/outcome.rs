//! What a ledger answers: one list, in order of precedence, append-only.
//!
//! A number is never reused and never changes its meaning; a new outcome is appended with the next number. A refusal
//! changes no money; the only thing it may leave behind is the remembered answer for its request id.

use serde::{Deserialize, Serialize};

/// Who can do something about an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// Nobody: it went as asked.
    Nobody,
    /// Whoever sent the command.
    Caller,
    /// The operator of this domain.
    Operator,
    /// The other domain, or the treaty with it.
    Peer,
}

macro_rules! outcomes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $name:literal, retry $retry:literal, $fault:ident, changed $changed:literal;)+) => {
        /// The answer to one command, or to one message of another domain. Order of declaration is order of precedence.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u16)]
        pub enum Outcome {
            $($(#[doc = $doc])+ $variant = $code,)+
        }

        impl Outcome {
            /// Every outcome, in order of precedence.
            pub const ALL: &'static [Outcome] = &[$(Outcome::$variant,)+];

            /// Stable number, as it travels in votes and refusals.
            pub const fn code(self) -> u16 {
                self as u16
            }

            /// The outcome with this number, if there is one.
            pub const fn from_code(code: u16) -> Option<Outcome> {
                match code { $($code => Some(Outcome::$variant),)+ _ => None }
            }

            /// Stable name in snake_case.
            pub const fn name(self) -> &'static str {
                match self { $(Outcome::$variant => $name,)+ }
            }

            /// Whether the same wish, under a **new** request id, can succeed later without anything else being changed by
            /// the caller. The old request id keeps its answer.
            pub const fn retry_can_succeed(self) -> bool {
                match self { $(Outcome::$variant => $retry,)+ }
            }

            /// Who can do something about it.
            pub const fn fault(self) -> Fault {
                match self { $(Outcome::$variant => Fault::$fault,)+ }
            }

            /// Whether this very command changed the state of the ledger.
            pub const fn changed_state(self) -> bool {
                match self { $(Outcome::$variant => $changed,)+ }
            }
        }
    };
}

outcomes! {
    /// Something new exists: an agent, an escrow, an asset, a name, a payment.
    Created = 1, "created", retry false, Nobody, changed true;
    /// Something that existed was moved on.
    Applied = 2, "applied", retry false, Nobody, changed true;
    /// A payment to another domain has begun; the money is in flight until the decision.
    Begun = 3, "begun", retry false, Nobody, changed true;
    /// The same thing under the same id was there already.
    Exists = 4, "exists", retry false, Nobody, changed false;
    /// No domain lives in this ledger yet: the first entry must be the genesis.
    NotInitialized = 5, "not_initialized", retry true, Operator, changed false;
    /// A second genesis.
    AlreadyInitialized = 6, "already_initialized", retry false, Operator, changed false;
    /// The bytes are no canonical message of this kind, or hold none or too many commands.
    Malformed = 7, "malformed", retry false, Caller, changed false;
    /// The signature does not verify, or its key is not the active key of whoever is said to act.
    BadSignature = 8, "bad_signature", retry false, Caller, changed false;
    /// Addressed to another domain.
    WrongDomain = 9, "wrong_domain", retry false, Caller, changed false;
    /// Restored from a backup and not yet agreed with every peer.
    Fenced = 10, "fenced", retry true, Operator, changed false;
    /// `valid_until` has passed; a forgotten request id always ends here.
    Expired = 11, "expired", retry true, Caller, changed false;
    /// `valid_until` is further away than a request id is remembered.
    ValidUntilTooFar = 12, "valid_until_too_far", retry true, Caller, changed false;
    /// No such agent.
    UnknownAgent = 13, "unknown_agent", retry true, Caller, changed false;
    /// The request id was used for something else.
    ExistsWithDifferentContent = 14, "exists_with_different_content", retry false, Caller, changed false;
    /// Too many request ids of this signer are still remembered.
    LimitExceededRequests = 15, "limit_exceeded_requests", retry true, Caller, changed false;
    /// This actor may not do this to this thing.
    NotAuthorised = 16, "not_authorised", retry false, Caller, changed false;
    /// The agent has retired: it may only sweep its balance out.
    AgentRetired = 17, "agent_retired", retry false, Caller, changed false;
    /// The escrow id was used with other terms, or by another payer.
    ExistsWithDifferentTerms = 18, "exists_with_different_terms", retry false, Caller, changed false;
    /// The transfer id was used for another payment.
    ExistsWithDifferentTransfer = 19, "exists_with_different_transfer", retry false, Caller, changed false;
    /// No such asset here.
    AssetUnknown = 20, "asset_unknown", retry true, Caller, changed false;
    /// No such escrow.
    UnknownEscrow = 21, "unknown_escrow", retry false, Caller, changed false;
    /// No such milestone; or one is needed, or none is.
    UnknownMilestone = 22, "unknown_milestone", retry false, Caller, changed false;
    /// No such name, or it has expired.
    UnknownName = 23, "unknown_name", retry false, Caller, changed false;
    /// Nobody hands out this referral code.
    UnknownReferralCode = 24, "unknown_referral_code", retry true, Caller, changed false;
    /// Zero moves nothing.
    AmountZero = 25, "amount_zero", retry false, Caller, changed false;
    /// A balance, a sum or a fee would leave 64 bits.
    AmountOverflow = 26, "amount_overflow", retry false, Caller, changed false;
    /// Payer, payee and arbiter must be three; nobody pays itself.
    SelfDealing = 27, "self_dealing", retry false, Caller, changed false;
    /// Shares do not sum to 10 000, milestones do not sum to the amount, or somebody is listed twice.
    TermsInvalid = 28, "terms_invalid", retry false, Caller, changed false;
    /// More payees, milestones or a longer window than `proto::limits` allow.
    LimitExceededTerms = 29, "limit_exceeded_terms", retry false, Caller, changed false;
    /// A deadline is not after the stamp.
    DeadlineInPast = 30, "deadline_in_past", retry true, Caller, changed false;
    /// The thing is not in a state that allows this; its deadline may just have been applied.
    WrongState = 31, "wrong_state", retry false, Caller, changed false;
    /// The hash the payer verified is not the submitted one.
    HashMismatch = 32, "hash_mismatch", retry false, Caller, changed false;
    /// Taken by somebody else.
    DuplicateName = 33, "duplicate_name", retry false, Caller, changed false;
    /// The referral code is handed out by somebody else.
    DuplicateReferralCode = 34, "duplicate_referral_code", retry false, Caller, changed false;
    /// A name may not be held for more years ahead, or zero years were asked for.
    LimitExceededYears = 35, "limit_exceeded_years", retry true, Caller, changed false;
    /// This agent has had its grant.
    FaucetClaimed = 36, "faucet_claimed", retry false, Caller, changed false;
    /// Claims of this hour are used up.
    LimitExceededFaucetHour = 37, "limit_exceeded_faucet_hour", retry true, Caller, changed false;
    /// Claims of this admission token are used up.
    LimitExceededFaucetToken = 38, "limit_exceeded_faucet_token", retry false, Caller, changed false;
    /// The faucet is closed by policy, or its account is empty.
    FaucetSpent = 39, "faucet_spent", retry true, Operator, changed false;
    /// The published supply cap would be exceeded.
    LimitExceededSupply = 40, "limit_exceeded_supply", retry false, Operator, changed false;
    /// A ledger holds no more assets, or a scale is too fine.
    LimitExceededAssets = 41, "limit_exceeded_assets", retry false, Operator, changed false;
    /// The policy's version is not the next one.
    PolicyChanged = 42, "policy_changed", retry false, Operator, changed false;
    /// A policy needs more notice.
    NoticeTooShort = 43, "notice_too_short", retry true, Operator, changed false;
    /// A fee or share is above the hard maximum, or a window outside its bounds.
    LimitExceededPolicy = 44, "limit_exceeded_policy", retry false, Operator, changed false;
    /// Nothing is agreed on with that domain yet.
    PeerNotTrusted = 45, "peer_not_trusted", retry true, Peer, changed false;
    /// Granted units may not leave the domain.
    GrantStaysHome = 46, "grant_stays_home", retry false, Caller, changed false;
    /// Too little is available.
    InsufficientFunds = 47, "insufficient_funds", retry true, Caller, changed false;
    /// A settlement batch was not signed by a voter of the highest roster seen.
    NotAVoter = 48, "not_a_voter", retry false, Peer, changed false;
    /// A settlement batch of an incarnation older than one already seen.
    OldIncarnation = 49, "old_incarnation", retry false, Peer, changed false;
    /// The transfer ended so long ago that its record is gone; never answered with a decision.
    TooOld = 50, "too_old", retry false, Peer, changed false;
    /// The other domain's step came before the step it follows.
    TooEarly = 51, "too_early", retry true, Peer, changed false;
    /// No such transfer.
    UnknownTransfer = 52, "unknown_transfer", retry false, Peer, changed false;
    /// More of a peer's paper than the treaty accepts.
    ExposureExceeded = 53, "exposure_exceeded", retry true, Peer, changed false;
    /// The issuer does not hold enough reserve for that domain.
    ReserveInsufficient = 54, "reserve_insufficient", retry true, Peer, changed false;
    /// Two different decisions for one transfer: the first stands, the second is kept as proof.
    Equivocation = 55, "equivocation", retry false, Peer, changed false;
    /// There is no treaty with that domain; money of a third one moves only where each two of the three have one.
    NoTreatyPath = 56, "no_treaty_path", retry false, Caller, changed false;
    /// Too many transfers with that peer are not closed.
    LimitExceededTransfers = 57, "limit_exceeded_transfers", retry true, Peer, changed false;
    /// More names than one agent may own.
    LimitExceededNames = 58, "limit_exceeded_names", retry true, Caller, changed false;
    /// Too many escrows of this payer are not finished.
    LimitExceededOpenEscrows = 59, "limit_exceeded_open_escrows", retry true, Caller, changed false;
    /// The treaty is suspended by one side, or the peer contradicted itself.
    TreatySuspended = 60, "treaty_suspended", retry true, Peer, changed false;
    /// The treaty is drained: nothing new begins; what is open is finished, then paper goes back to its issuer.
    TreatyDraining = 61, "treaty_draining", retry false, Peer, changed false;
    /// One side has left the treaty.
    TreatyRevoked = 62, "treaty_revoked", retry false, Peer, changed false;
    /// There is no such treaty, or nothing of it is agreed on.
    UnknownTreaty = 63, "unknown_treaty", retry false, Caller, changed false;
    /// Not the next version of the treaty, or not the next notice about it.
    TreatyVersion = 64, "treaty_version", retry false, Caller, changed false;
    /// The terms are not those that were invited to, or not those that the other side has signed.
    TermsChanged = 65, "terms_changed", retry false, Caller, changed false;
    /// No such invitation was given out here, or it was forgotten.
    InvitationUnknown = 66, "invitation_unknown", retry false, Peer, changed false;
    /// The invitation was used already.
    InvitationUsed = 67, "invitation_used", retry false, Peer, changed false;
    /// The invitation has ended.
    InvitationExpired = 68, "invitation_expired", retry false, Peer, changed false;
    /// The invitation is for another domain, or of another one than the document names.
    InvitationForAnother = 69, "invitation_for_another", retry false, Peer, changed false;
    /// Too many treaties or invitations, or an invitation that lasts too long.
    LimitExceededTreaties = 70, "limit_exceeded_treaties", retry false, Operator, changed false;
    /// No export rule admits this between these two.
    NotExported = 71, "not_exported", retry false, Operator, changed false;
    /// No such export rule stands.
    UnknownExport = 72, "unknown_export", retry false, Caller, changed false;
    /// No more export rules.
    LimitExceededExports = 73, "limit_exceeded_exports", retry false, Operator, changed false;
    /// Not the next word about the licence, or older than the one that stands.
    LicenceEpoch = 74, "licence_epoch", retry false, Caller, changed false;
    /// The licence is for another key.
    LicenceForAnother = 75, "licence_for_another", retry false, Peer, changed false;
    /// The licence ends before it begins.
    LicenceExpired = 76, "licence_expired", retry false, Caller, changed false;
    /// More agents, more events or a longer time than a licence may grant.
    LimitExceededLicence = 77, "limit_exceeded_licence", retry false, Caller, changed false;
    /// The closing statements of two domains do not fit: both are kept, and nothing moves between them.
    StatementDiffers = 78, "statement_differs", retry false, Peer, changed false;
    /// Not the next step of that key's holder: an old one again, or one too far.
    KeySerial = 79, "key_serial", retry false, Caller, changed false;
    /// Nobody prepared the key that is to be activated.
    KeyNotPrepared = 80, "key_not_prepared", retry true, Caller, changed false;
    /// The key is the active one: activate another one first.
    KeyActive = 81, "key_active", retry false, Caller, changed false;
    /// The holder has no such key.
    UnknownKey = 82, "unknown_key", retry false, Caller, changed false;
    /// The key is or was in use already.
    KeyUsed = 83, "key_used", retry false, Caller, changed false;
    /// The key before the active one still counts: retire it first.
    KeyNotRetired = 84, "key_not_retired", retry true, Caller, changed false;
    /// The roster in force does not name the node's next key yet: what it signs would be refused.
    KeyNotInRoster = 85, "key_not_in_roster", retry true, Operator, changed false;
    /// More keys at once than a roster may name, or a longer overlap than a key may have.
    LimitExceededKeys = 86, "limit_exceeded_keys", retry false, Operator, changed false;
    /// The treaty asks for more voters to sign a decision above this amount.
    MajorityMissing = 87, "majority_missing", retry true, Peer, changed false;
    /// A voter's word about a decision is of a roster older than the highest one seen.
    OldRoster = 88, "old_roster", retry true, Peer, changed false;
    /// One voter is counted twice for a decision.
    SignerTwice = 89, "signer_twice", retry true, Peer, changed false;
    /// That peer and this domain disagree about each other: nothing to it begins until they agree again.
    PeerInDrift = 90, "peer_in_drift", retry true, Peer, changed false;
    /// A proof about another domain's log has more hashes than the sizes demand.
    ProofTooLong = 91, "proof_too_long", retry false, Peer, changed false;
    /// A proof about another domain's log has fewer hashes than the sizes demand.
    ProofTooShort = 92, "proof_too_short", retry false, Peer, changed false;
    /// A proof about another domain's log does not lead to the root that it signed.
    RootDiffers = 93, "root_differs", retry false, Peer, changed false;
    /// The checkpoint is older than the one that is held of that log, or the event lies outside of it.
    UnknownCheckpoint = 94, "unknown_checkpoint", retry true, Peer, changed false;
    /// A root key of that domain signed it, which counts no more.
    RootKeyRetired = 95, "root_key_retired", retry false, Caller, changed false;
    /// Another root key is known to follow the one that says so: the first one that was known stands.
    RootKeyForked = 96, "root_key_forked", retry false, Caller, changed false;
}

impl Outcome {
    /// Whether what was asked for is so now, by this command or an earlier one.
    pub const fn is_success(self) -> bool {
        matches!(self, Outcome::Created | Outcome::Applied | Outcome::Begun | Outcome::Exists)
    }

    /// The outcome with this name, if there is one.
    pub fn from_name(name: &str) -> Option<Outcome> {
        Outcome::ALL.iter().copied().find(|outcome| outcome.name() == name)
    }
}

impl core::fmt::Display for Outcome {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn numbers_and_names_are_unique_and_convert_back() {
        let mut names = BTreeSet::new();
        assert!(Outcome::ALL.is_sorted_by(|one, next| one.code() < next.code()), "numbers follow the list");
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_code(outcome.code()), Some(*outcome));
            assert_eq!(Outcome::from_name(outcome.name()), Some(*outcome));
            assert!(names.insert(outcome.name()));
        }
        assert_eq!(Outcome::from_code(0), None);
    }

    #[test]
    fn a_refusal_never_changes_state() {
        for outcome in Outcome::ALL {
            assert!(outcome.is_success() || !outcome.changed_state(), "{outcome}");
        }
    }
}
