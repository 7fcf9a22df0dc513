//! Signed envelopes: exact bytes, one key, one signature, one context.
//!
//! ```text
//! Envelope { payload, key (32 bytes), signature (64 bytes), path }      protobuf, canonical
//! signed bytes = "comity/v1/<context>" || 0x00 || payload length, u64 little endian || payload
//! ```
//! `path` leads from the first root key of a domain to the one that signed ([`crate::roots`]); empty for every other key.
//! The signature covers the bytes that travelled, never a re-encoding. A message is trusted as [`Verified`] and in no
//! other way: its fields are private and [`open`] is its only constructor.

use crate::{
    ids::{Hash, PublicKey},
    keys::{self, SIGNATURE_BYTES, SecretKey},
    limits::{ENVELOPE_OVERHEAD_BYTES, ROOT_PATH_BYTES_MAX},
    reject::{Reject, within},
    roots::Signer,
    strict, wire,
};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use prost::Message as _;

/// What a signature is for. A signature under one context is worthless under any other. One context has one payload
/// type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Context {
    /// A batch of commands.
    Command,
    /// The next key agrees to become an agent's key.
    KeyRotation,
    /// A batch of settlement messages.
    Settlement,
    /// The voters of a domain.
    Roster,
    /// A node belongs to a domain.
    NodeCertificate,
    /// What an agent says about itself.
    AgentCard,
    /// What a domain says about itself.
    DomainCard,
    /// A node is alive.
    Heartbeat,
    /// A task for an agent.
    Task,
    /// A payee asks for a release.
    PaymentRequest,
    /// A home domain has recorded something.
    Receipt,
    /// The head of a domain's event log.
    Checkpoint,
    /// The supply of a domain's assets.
    Statement,
    /// An agent opens a session at a door.
    Session,
    /// A node asks to join a domain.
    JoinRequest,
    /// A domain begins.
    Genesis,
    /// A home domain confirms an agent's current key.
    KeyAttestation,
    /// What two domains agree on.
    Treaty,
    /// A domain changes what it does under a treaty.
    TreatyNotice,
    /// A domain invites another one.
    Invitation,
    /// A peer has checked that a checkpoint extends the last one that it saw.
    Cosignature,
    /// A node could not be reached.
    Suspicion,
    /// How a transfer ended, said by hand.
    TransferVerdict,
    /// Node certificates that a domain takes back.
    Revocations,
    /// A domain grants a peer a licence.
    Licence,
    /// A gateway passed a card on.
    Passage,
    /// A key that acts for a domain is prepared, activated, retired or revoked.
    KeyStep,
    /// One voter says how a transfer ended.
    DecisionWord,
    /// A domain notes that it and a peer disagree about each other.
    DriftNote,
    /// A root key says which one follows it.
    RootLink,
    /// The next root key agrees.
    RootAgreement,
}

impl Context {
    /// Every context.
    pub const ALL: [Context; 31] = [
        Context::Command,
        Context::KeyRotation,
        Context::Settlement,
        Context::Roster,
        Context::NodeCertificate,
        Context::AgentCard,
        Context::DomainCard,
        Context::Heartbeat,
        Context::Task,
        Context::PaymentRequest,
        Context::Receipt,
        Context::Checkpoint,
        Context::Statement,
        Context::Session,
        Context::JoinRequest,
        Context::Genesis,
        Context::KeyAttestation,
        Context::Treaty,
        Context::TreatyNotice,
        Context::TransferVerdict,
        Context::Invitation,
        Context::Cosignature,
        Context::Suspicion,
        Context::Revocations,
        Context::Licence,
        Context::Passage,
        Context::KeyStep,
        Context::DecisionWord,
        Context::DriftNote,
        Context::RootLink,
        Context::RootAgreement,
    ];

    /// The string that goes into the signed bytes. Fixed for ever.
    pub const fn as_str(self) -> &'static str {
        match self {
            Context::Command => "comity/v1/command",
            Context::KeyRotation => "comity/v1/key-rotation",
            Context::Settlement => "comity/v1/settlement",
            Context::Roster => "comity/v1/roster",
            Context::NodeCertificate => "comity/v1/node-certificate",
            Context::AgentCard => "comity/v1/agent-card",
            Context::DomainCard => "comity/v1/domain-card",
            Context::Heartbeat => "comity/v1/heartbeat",
            Context::Task => "comity/v1/task",
            Context::PaymentRequest => "comity/v1/payment-request",
            Context::Receipt => "comity/v1/receipt",
            Context::Checkpoint => "comity/v1/checkpoint",
            Context::Statement => "comity/v1/statement",
            Context::Session => "comity/v1/session",
            Context::JoinRequest => "comity/v1/join-request",
            Context::Genesis => "comity/v1/genesis",
            Context::KeyAttestation => "comity/v1/key-attestation",
            Context::Treaty => "comity/v1/treaty",
            Context::TreatyNotice => "comity/v1/treaty-notice",
            Context::TransferVerdict => "comity/v1/transfer-verdict",
            Context::Invitation => "comity/v1/invitation",
            Context::Cosignature => "comity/v1/cosignature",
            Context::Suspicion => "comity/v1/suspicion",
            Context::Revocations => "comity/v1/revocations",
            Context::Licence => "comity/v1/licence",
            Context::Passage => "comity/v1/passage",
            Context::KeyStep => "comity/v1/key-step",
            Context::DecisionWord => "comity/v1/decision-word",
            Context::DriftNote => "comity/v1/drift-note",
            Context::RootLink => "comity/v1/root-link",
            Context::RootAgreement => "comity/v1/root-agreement",
        }
    }
}

/// The bytes that a signature covers. The context ends at the zero byte, the length fixes where the payload ends.
pub fn signed_bytes(context: Context, payload: &[u8]) -> Vec<u8> {
    let name = context.as_str().as_bytes();
    let length = u64::try_from(payload.len()).unwrap_or(u64::MAX).to_le_bytes();
    let mut bytes = Vec::with_capacity(payload.len().saturating_add(name.len()).saturating_add(9));
    bytes.extend_from_slice(name);
    bytes.push(0);
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(payload);
    bytes
}

/// A message that travels in an envelope.
pub trait Signed: Sized {
    /// What its signature is for.
    const CONTEXT: Context;
    /// Longest payload in bytes.
    const PAYLOAD_BYTES_MAX: usize;
    /// Name of that limit, for a refusal.
    const LIMIT: &'static str;
    /// Whether a domain's root key signs it, so that links from the first one may stand beside it.
    const BY_ROOT: bool = false;

    /// The one encoding of this message.
    fn encode(&self) -> Bytes;

    /// Reads a payload. Accepts the one encoding of each message and nothing else.
    fn decode(payload: &Bytes) -> Result<Self, Reject>;

    /// May this key say this, as far as the message itself tells? Whether the key is pinned, registered or in a roster
    /// is for the caller, who has state. Of a later root key it is asked with the first one, which names the domain.
    fn check_signer(&self, key: &PublicKey) -> Result<(), Reject> {
        let _ = key;
        Ok(())
    }

    /// Opens an envelope of this kind; see [`open`].
    fn open(envelope: &Bytes) -> Result<Verified<Self>, Reject> {
        open(envelope)
    }

    /// Signs this message; see [`seal`].
    fn seal(&self, key: &(impl Sealer + ?Sized)) -> Bytes {
        key.seal_payload(Self::CONTEXT, self.encode())
    }
}

/// Who can sign: a key, or a root key with the links to it.
pub trait Sealer {
    /// Signs a payload and wraps it.
    fn seal_payload(&self, context: Context, payload: Bytes) -> Bytes;
}

impl Sealer for SecretKey {
    fn seal_payload(&self, context: Context, payload: Bytes) -> Bytes {
        seal(context, payload, self)
    }
}

/// An envelope whose parts are known but not yet trusted: payload, key and signature, sliced from the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    payload: Bytes,
    key: PublicKey,
    signature: [u8; SIGNATURE_BYTES],
    path: Bytes,
}

impl Envelope {
    /// Reads the parts; checks the total length first, and that this is the one encoding. Copies no payload.
    pub fn parse(bytes: &Bytes, payload_max: usize, limit: &'static str) -> Result<Envelope, Reject> {
        Envelope::read(bytes, payload_max, limit, 0)
    }

    /// The same for an envelope of this kind.
    pub fn of<T: Signed>(bytes: &Bytes) -> Result<Envelope, Reject> {
        let path_max = if T::BY_ROOT { ROOT_PATH_BYTES_MAX } else { 0 };
        Envelope::read(bytes, T::PAYLOAD_BYTES_MAX, T::LIMIT, path_max)
    }

    fn read(bytes: &Bytes, payload_max: usize, limit: &'static str, path_max: usize) -> Result<Envelope, Reject> {
        let most = payload_max.saturating_add(ENVELOPE_OVERHEAD_BYTES).saturating_add(path_max);
        within(bytes.len(), most, limit)?;
        let wire: wire::Envelope = strict::decode(bytes)?;
        within(wire.payload.len(), payload_max, limit)?;
        within(wire.path.len(), path_max, "root_links")?;
        Ok(Envelope {
            key: PublicKey(strict::array(&wire.key, "key")?),
            signature: strict::array(&wire.signature, "signature")?,
            payload: wire.payload,
            path: wire.path,
        })
    }

    /// Who claims to have signed: for choosing a queue or a log line, never for trust.
    pub fn claimed_key(&self) -> &PublicKey {
        &self.key
    }

    /// What is claimed, unverified.
    pub fn unverified_payload(&self) -> &Bytes {
        &self.payload
    }
}

/// A message whose signature was checked over the exact bytes that travelled. Made only by [`open`]; serialises to
/// nothing, so it cannot be brought back by reading it from somewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Verified<T> {
    message: T,
    signer: Signer,
    payload: Bytes,
    envelope: Bytes,
}

impl<T> Verified<T> {
    /// The message.
    pub fn get(&self) -> &T {
        &self.message
    }

    /// The message by value; the proof is gone with it.
    pub fn into_inner(self) -> T {
        self.message
    }

    /// The key that signed.
    pub fn key(&self) -> &PublicKey {
        self.signer.key()
    }

    /// The first of the root keys that led to it: the one that names its domain. Whether the signing one counts now is
    /// for whoever knows the domain ([`crate::roots::RootKeys`]).
    pub fn first_key(&self) -> &PublicKey {
        self.signer.first()
    }

    /// Who signed, with the root keys before it.
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The exact bytes of the message.
    pub fn payload_bytes(&self) -> &Bytes {
        &self.payload
    }

    /// The exact bytes of the envelope, to be forwarded or kept as evidence.
    pub fn envelope_bytes(&self) -> &Bytes {
        &self.envelope
    }

    /// SHA-256 of the envelope's bytes.
    pub fn digest(&self) -> Hash {
        Hash::of(&self.envelope)
    }
}

impl<T: fmt::Debug> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("message", &self.message).field("key", self.key()).finish_non_exhaustive()
    }
}

/// Opens an envelope: length, form, signature under the context of `T`, content, signer. The signature comes before the
/// content, so a stranger cannot make us parse.
pub fn open<T: Signed>(bytes: &Bytes) -> Result<Verified<T>, Reject> {
    let envelope = Envelope::of::<T>(bytes)?;
    keys::verify_in(T::CONTEXT, &envelope.key, &envelope.payload, &envelope.signature)?;
    let signer = Signer::along(&envelope.path, envelope.key)?;
    let message = T::decode(&envelope.payload)?;
    message.check_signer(signer.first())?;
    Ok(Verified { message, signer, payload: envelope.payload, envelope: bytes.clone() })
}

/// Signs a payload and wraps it.
pub fn seal(context: Context, payload: Bytes, key: &SecretKey) -> Bytes {
    seal_along(context, payload, key, &Bytes::new())
}

/// The same with the links that lead to the key.
pub(crate) fn seal_along(context: Context, payload: Bytes, key: &SecretKey, path: &Bytes) -> Bytes {
    let signature = key.sign(context, &payload);
    let envelope = wire::Envelope {
        payload,
        key: Bytes::copy_from_slice(&key.public().0),
        signature: Bytes::copy_from_slice(&signature),
        path: path.clone(),
    };
    envelope.encode_to_vec().into()
}
