//! Accounts: whose money, of which asset.

use comity_proto::ids::{AgentId, DomainId, EscrowId, TransferId};
use serde::{Deserialize, Serialize};

/// Position of an asset in this ledger's list of assets; never changes once given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AssetIndex(pub u32);

/// Whose money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AccountKind {
    /// Available to an agent of this domain.
    Agent(AgentId),
    /// Locked: the open amount of one escrow.
    Escrow(EscrowId),
    /// The amount of one undecided transfer.
    InFlight(TransferId),
    /// What this domain owes the holders of its asset in a peer: the reserve behind wrapped units there.
    Peer(DomainId),
    /// Fees, and what the operator issued to itself.
    Treasury,
    /// Grants to come.
    Faucet,
    /// Bonds of those who dispute.
    Bonds,
    /// The contra account of an asset: the only kind that is negative, by exactly the supply.
    Issuance,
    /// Shares of fees that a referrer of another domain has earned and not been sent yet.
    Referral(AgentId),
}

/// One account: a kind and an asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountKey {
    /// Whose.
    pub kind: AccountKind,
    /// Of what.
    pub asset: AssetIndex,
}

impl AccountKey {
    /// An account of this kind and asset.
    pub const fn new(kind: AccountKind, asset: AssetIndex) -> AccountKey {
        AccountKey { kind, asset }
    }

    /// Available balance of an agent.
    pub const fn agent(agent: AgentId, asset: AssetIndex) -> AccountKey {
        AccountKey::new(AccountKind::Agent(agent), asset)
    }

    /// Open amount of an escrow.
    pub const fn escrow(escrow: EscrowId, asset: AssetIndex) -> AccountKey {
        AccountKey::new(AccountKind::Escrow(escrow), asset)
    }

    /// Amount of an undecided transfer.
    pub const fn in_flight(transfer: TransferId, asset: AssetIndex) -> AccountKey {
        AccountKey::new(AccountKind::InFlight(transfer), asset)
    }

    /// Reserve behind a peer's wrapped units.
    pub const fn peer(domain: DomainId, asset: AssetIndex) -> AccountKey {
        AccountKey::new(AccountKind::Peer(domain), asset)
    }

    /// Earned by a referrer of another domain.
    pub const fn referral(agent: AgentId, asset: AssetIndex) -> AccountKey {
        AccountKey::new(AccountKind::Referral(agent), asset)
    }

    /// Treasury.
    pub const fn treasury(asset: AssetIndex) -> AccountKey {
        AccountKey::new(AccountKind::Treasury, asset)
    }

    /// Contra account of the asset.
    pub const fn issuance(asset: AssetIndex) -> AccountKey {
        AccountKey::new(AccountKind::Issuance, asset)
    }
}

/// One side of a posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    /// Which account.
    pub account: AccountKey,
    /// Minor units; negative takes from the account.
    pub delta: i128,
}

impl Leg {
    /// Takes from an account. A number of 64 bits always has its negative in 128.
    pub const fn debit(account: AccountKey, amount: u64) -> Leg {
        Leg { account, delta: (amount as i128).wrapping_neg() }
    }

    /// Gives to an account.
    pub const fn credit(account: AccountKey, amount: u64) -> Leg {
        Leg { account, delta: amount as i128 }
    }
}
