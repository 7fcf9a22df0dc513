//! Custodial accounts: keys of agents that cannot sign, such as a language model behind MCP.
//!
//! Each bearer token has one agent. The key is sealed under the token, of which the node keeps only a digest: at rest nobody
//! opens it, not even with the whole disk in hand. While it runs, the node sees the token in every request and could spend
//! with it, so every answer and card says `operator_can_spend` until the agent has rotated to a key of its own.
//!
//! The custodian signs the very bytes that an agent would sign, and they go the way of all commands. What it signed is on
//! the disk before it is sent, together with what it may cost: a retry sends the same bytes again, and the limit of a token
//! holds across a crash. What the ledger refuses is given back to the limit; a refund of an escrow is not.
//!
//! One node holds an account, the one that opened it; the others answer `bad_token`. It lies in `custody/` of the data
//! directory, beside the ledger: wiping the ledger to join again leaves it, a lost machine or a lost token does not.
//!
//! Deliberately absent: replication (no second node can sign, so no limit can be spent twice), recovery of a lost token.

mod limits;
mod seal;

pub use limits::{DAY_MS, Limits, OverLimit, Spent};
pub use seal::{Sealed, token_digest};

use crate::storage::custody::{CustodyDisk, Reserved};
use comity_proto::{
    ids::{AgentId, Hash, RequestId},
    keys::SecretKey,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Accounts of one node.
pub const ACCOUNTS_MAX: u64 = 10_000;
/// Wishes that one node remembers.
pub const WISHES_MAX: u64 = 1_000_000;
/// How long a wish is remembered: its key means the same wish for so long.
pub const REMEMBERED_MS: u64 = 30 * DAY_MS;
/// How long at least, when room is short, if its answer is known.
pub const REMEMBERED_MIN_MS: u64 = DAY_MS;
/// How long a signed command stays valid: a retry sends the same bytes for so long. Below the ledger's 24 hours by more than
/// any two clocks of a domain differ.
pub const VALID_FOR_MS: u64 = DAY_MS / 2;

/// One account as it lies on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Whose.
    pub agent: AgentId,
    /// The agent's key, closed.
    pub sealed: Sealed,
    /// What the token may spend.
    pub limits: Limits,
    /// What it has spent.
    pub spent: Spent,
}

/// Who wished, and by which key: the digest of a token, and that of an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WishKey {
    /// SHA-256 of the token.
    pub token: [u8; 32],
    /// SHA-256 of the idempotency key.
    pub key: [u8; 32],
}

impl WishKey {
    /// Of this token and this key.
    pub fn of(token: &str, key: &str) -> WishKey {
        WishKey { token: token_digest(token), key: Hash::of(key.as_bytes()).0 }
    }

    /// The request id that follows from both: a retry is the same command, and so are the ids of what it makes.
    pub fn request_id(&self) -> RequestId {
        RequestId(Hash::of_parts("comity/v1/custody-request", &[&self.token, &self.key]).first_16())
    }
}

/// Something that was signed, or is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Digest of what was asked: the same key with another one is refused.
    pub content: Hash,
    /// The exact bytes.
    pub envelope: Vec<u8>,
    /// Minor units that it may cost.
    pub spends: u64,
    /// When it was signed, ms since the Unix epoch.
    pub made_ms: u64,
    /// What the ledger said, once that is known.
    pub answer: Option<Answer>,
}

/// The ledger's word on a wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// [`comity_ledger::Outcome`] by number.
    pub outcome: u16,
    /// Whether it was what was asked for.
    pub success: bool,
    /// Raft log index of the entry; 0 when it is not known.
    pub log_index: u64,
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The disk's words.
    #[error("custodial accounts: {0}")]
    Disk(#[from] io::Error),
    /// No account of this token, or its seal does not open.
    #[error("no custodial account of this token")]
    UnknownToken,
    /// Over the limit of the token.
    #[error("over the limit of this token")]
    OverLimit(OverLimit),
    /// [`ACCOUNTS_MAX`] or [`WISHES_MAX`].
    #[error("this node keeps no more of these")]
    Full,
}

/// Digests of tokens, and whose they are.
pub type Owners = Vec<([u8; 32], AgentId)>;

/// The accounts of one node. The file is made with the first account.
pub struct Custody {
    dir: PathBuf,
    open: Mutex<Option<Arc<CustodyDisk>>>,
}

impl Custody {
    /// Of this data directory; also tokens' digests and their agents, for the door.
    ///
    /// # Errors
    /// The disk's.
    pub fn of(data: &Path) -> io::Result<(Custody, Owners)> {
        let dir = data.join("custody");
        let custody = Custody { dir, open: Mutex::default() };
        let accounts = if custody.dir.exists() { custody.disk()?.accounts()? } else { Vec::new() };
        Ok((custody, accounts))
    }

    fn disk(&self) -> io::Result<Arc<CustodyDisk>> {
        let mut open = self.open.lock();
        if let Some(disk) = &*open {
            return Ok(disk.clone());
        }
        let disk = Arc::new(CustodyDisk::open(&self.dir)?);
        *open = Some(disk.clone());
        Ok(disk)
    }

    /// Keeps a key for a token, before anybody hears of either.
    ///
    /// # Errors
    /// [`Refused::Full`], the disk's.
    pub fn keep(&self, token: &str, key: &SecretKey, limits: Limits) -> Result<AgentId, Refused> {
        let agent = AgentId::of_key(&key.public());
        let account = Account { agent, sealed: Sealed::close(token, agent, key), limits, spent: Spent::default() };
        let kept = self.disk()?.keep(&token_digest(token), &account, ACCOUNTS_MAX)?;
        if kept { Ok(agent) } else { Err(Refused::Full) }
    }

    /// Forgets an account: its agent has another key now, or never came to be.
    ///
    /// # Errors
    /// The disk's.
    pub fn forget(&self, token: &str) -> Result<(), Refused> {
        Ok(self.disk()?.forget(&token_digest(token))?)
    }

    /// The account of a token, and its key.
    ///
    /// # Errors
    /// [`Refused::UnknownToken`], the disk's.
    pub fn unseal(&self, token: &str) -> Result<(Account, SecretKey), Refused> {
        let account = self.disk()?.account(&token_digest(token))?.ok_or(Refused::UnknownToken)?;
        let key = account.sealed.open(token, account.agent).ok_or(Refused::UnknownToken)?;
        Ok((account, key))
    }

    /// What was wished under a key.
    ///
    /// # Errors
    /// The disk's.
    pub fn wish(&self, key: &WishKey) -> Result<Option<Wish>, Refused> {
        Ok(self.disk()?.wish(key)?)
    }

    /// Counts `spends` against the token's limit, signs, and keeps both in one step. Somebody else's wish under the same
    /// key, if there is one by now, is given instead: nothing is counted or signed then.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn reserve(
        &self,
        key: &WishKey,
        now_ms: u64,
        spends: u64,
        sign: impl FnOnce() -> Wish + Send + 'static,
    ) -> Result<Wish, Refused> {
        let disk = self.disk()?;
        let count = move |spent: &mut Spent, limits: &Limits| spent.count(limits, spends, now_ms);
        match disk.reserve(*key, now_ms, WISHES_MAX, count, sign)? {
            Reserved::New(wish) | Reserved::Known(wish) => Ok(wish),
            Reserved::Full => Err(Refused::Full),
            Reserved::Over(over) => Err(Refused::OverLimit(over)),
        }
    }

    /// Keeps what the ledger said. A refusal gives back what was counted; only the first word counts.
    ///
    /// # Errors
    /// The disk's.
    pub fn settle(&self, key: &WishKey, answer: Answer) -> Result<(), Refused> {
        Ok(self.disk()?.settle(*key, answer)?)
    }
}

#[cfg(test)]
mod tests;
