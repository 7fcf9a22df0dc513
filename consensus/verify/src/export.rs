//! A whole history against its signed checkpoint, and against an older one that somebody kept.

use crate::{
    chain::Judged,
    document::Reader,
    projected::Told,
    replay::Replay,
    wrong::{Place, Rule, Wrong},
};
use comity_ledger::{
    AccountKind, Event,
    checkpoint::Checkpoint,
    merkle::{CompactRange, leaf_hash},
};
use comity_proto::{
    amount::AssetId,
    ids::{DomainId, PublicKey},
};
use std::io::Read;

/// What was checked, and what the books say: a supply statement that nobody had to be believed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The checkpoint that the history leads to.
    pub checkpoint: Checkpoint,
    /// The voter that signed it.
    pub signer: PublicKey,
    /// Epoch of the roster that names the voter.
    pub roster_epoch: u64,
    /// How many root keys of the domain came before the one that signed that roster.
    pub roots_before: usize,
    /// Entries of the domain's log that left an event.
    pub entries: u64,
    /// Events that moved money.
    pub postings: u64,
    /// Accounts that are not empty.
    pub accounts: usize,
    /// Agents that ever registered.
    pub agents: usize,
    /// One line per asset, in the order in which it became known.
    pub assets: Vec<AssetFigures>,
    /// What it holds of the logs of other domains, each event proved there.
    pub projected: Vec<Told>,
    /// Size of the older checkpoint that it extends, if one was given.
    pub against: Option<u64>,
}

/// Figures of one asset, minor units. They add up: every account of an asset together is its supply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetFigures {
    /// Code and issuer.
    pub asset: AssetId,
    /// Issued here rather than wrapped.
    pub own: bool,
    /// Decimals shown to people; `None` for another domain's asset.
    pub scale: Option<u8>,
    /// Units that exist here: issued of an own asset, wrapped of another domain's.
    pub supply: u64,
    /// Published bound of it.
    pub cap: Option<u64>,
    /// Held by agents.
    pub agents: u64,
    /// Locked in escrows and bonds.
    pub locked: u64,
    /// In transfers that are not decided.
    pub in_flight: u64,
    /// Treasury, faucet and referral shares that wait.
    pub house: u64,
    /// The reserve behind wrapped units in each peer.
    pub reserves: Vec<(DomainId, u64)>,
}

/// Reads a history to its end and judges everything in it; `older` is a checkpoint that it must extend.
///
/// # Errors
/// The first thing that is wrong: at an event by its index, or at the end.
pub(crate) fn verify_history(
    mut reader: Reader<impl Read>,
    judged: &Judged,
    older: Option<&Checkpoint>,
) -> Result<Report, Wrong> {
    let checkpoint = *judged.checkpoint();
    let mut replay = Replay::of(checkpoint.domain);
    let (mut tree, mut completed) = (CompactRange::new(), Vec::new());
    for index in 0..checkpoint.size {
        let bytes = reader.event()?;
        judge_event(&mut replay, bytes).map_err(|(rule, detail)| Wrong::new(Place::Event(index), rule, detail))?;
        completed.clear();
        tree.append_to(leaf_hash(bytes), &mut completed);
        if let Some(older) = older.filter(|older| older.size == tree.size() && older.root != tree.root()) {
            let detail =
                format!("the first {} events have root {}, {} was signed", older.size, tree.root(), older.root);
            return Err(Wrong::new(Place::Event(index), Rule::Rewritten, detail));
        }
    }
    reader.end()?;
    judge_end(&replay, &tree, judged)?;
    Ok(report(&replay, judged, older.map(|older| older.size)))
}

fn judge_event(replay: &mut Replay, bytes: &[u8]) -> Result<(), (Rule, String)> {
    let event = Event::from_bytes(bytes).map_err(|error| (Rule::Malformed, error.to_string()))?;
    if event.to_bytes() != bytes {
        return Err((Rule::NotCanonical, "its bytes are not the one encoding of what they say".into()));
    }
    replay.take(&event)
}

fn judge_end(replay: &Replay, tree: &CompactRange, judged: &Judged) -> Result<(), Wrong> {
    let wrong = |rule, detail| Err(Wrong::new(Place::End, rule, detail));
    let checkpoint = judged.checkpoint();
    if tree.root() != checkpoint.root {
        let detail = format!("the {} events have root {}, {} was signed", tree.size(), tree.root(), checkpoint.root);
        return wrong(Rule::Root, detail);
    }
    let Some((log_index, stamp_ms)) = replay.last() else {
        return wrong(Rule::Genesis, "the history is empty".into());
    };
    if checkpoint.log_index < log_index || checkpoint.stamp_ms < stamp_ms {
        let detail = format!("the last event is of entry {log_index} at {stamp_ms}");
        return wrong(Rule::CheckpointBehind, detail);
    }
    if let Err((rule, detail)) = replay.keyring().judge(judged.root()) {
        return wrong(rule, detail);
    }
    // A restore brings a newer one, of which no event tells.
    let epoch = judged.roster().epoch;
    if replay.roster_epoch().is_some_and(|last| last > epoch) {
        let detail = format!("the file brings roster {epoch}, the history ends with {:?}", replay.roster_epoch());
        return wrong(Rule::RosterEpoch, detail);
    }
    Ok(())
}

fn report(replay: &Replay, judged: &Judged, against: Option<u64>) -> Report {
    let checkpoint = *judged.checkpoint();
    let mut assets: Vec<AssetFigures> = replay
        .assets()
        .map(|(_, record)| AssetFigures {
            asset: record.id,
            own: record.id.issuer == checkpoint.domain,
            scale: record.scale,
            supply: 0,
            cap: record.cap,
            agents: 0,
            locked: 0,
            in_flight: 0,
            house: 0,
            reserves: Vec::new(),
        })
        .collect();
    for (account, balance) in replay.balances() {
        let figures = usize::try_from(account.asset.0).ok().and_then(|index| assets.get_mut(index));
        let Some(figures) = figures else { continue };
        let sum = match account.kind {
            AccountKind::Issuance => &mut figures.supply,
            AccountKind::Agent(_) => &mut figures.agents,
            AccountKind::Escrow(_) | AccountKind::Bonds => &mut figures.locked,
            AccountKind::InFlight(_) => &mut figures.in_flight,
            AccountKind::Treasury | AccountKind::Faucet | AccountKind::Referral(_) => &mut figures.house,
            AccountKind::Peer(peer) => {
                figures.reserves.push((peer, balance));
                continue;
            }
        };
        *sum = sum.saturating_add(balance);
    }
    Report {
        checkpoint,
        signer: judged.signer(),
        roster_epoch: judged.roster().epoch,
        roots_before: judged.root().number(),
        entries: replay.entries(),
        postings: replay.postings(),
        accounts: replay.balances().count(),
        agents: replay.agents(),
        assets,
        projected: replay.projected(),
        against,
    }
}
