//! Real ledgers and messages, each kept once, and what the real ledger makes of an entry.
//!
//! A ledger is told from another by everything that settlement reads: balances, records, peers, treaties, stamp. The
//! number of its entries and its event log are left out: no rule asks for them.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use comity_ledger::{CheckedItem, Ledger, check, settlement::Owed};
use comity_proto::{
    amount::AssetId,
    command::Verb,
    entry::EntryItem,
    ids::{Hash, TransferId},
    settlement::SettlementMessage,
    text::Memo,
};

use super::{
    Story,
    state::{LedgerId, MESSAGES_MAX, MessageId},
};
use crate::core::{
    cast::{Cast, START_MS},
    pair,
    wire::Letter,
};

/// What one transfer moves, minor units.
pub(super) const AMOUNT: u64 = 1_000;
/// How far a clock is ahead once it is late: past every `decide_by`.
const LATE_MS: u64 = 20_000;

/// An entry of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Input {
    Message(MessageId),
    Pulse,
    Begin,
    Again,
    Suspend,
}

/// A message and who says it.
pub(super) struct Message {
    pub(super) from: u8,
    pub(super) letter: Letter,
    pub(super) said: SettlementMessage,
}

/// What an entry makes of a ledger.
#[derive(Clone, Copy)]
pub(super) struct Next {
    pub(super) ledger: LedgerId,
    pub(super) owed: u64,
}

/// Everything that was computed so far.
pub(super) struct Tables {
    pub(super) cast: Cast,
    pub(super) story: Story,
    pub(super) ledgers: [Vec<Ledger>; 2],
    known: [HashMap<Hash, LedgerId>; 2],
    pub(super) messages: Vec<Message>,
    known_messages: HashMap<Bytes, MessageId>,
    evidence: BTreeMap<Hash, Bytes>,
    nexts: HashMap<(u8, LedgerId, bool, Input), Next>,
    owed: HashMap<(u8, LedgerId), u64>,
    pairs: HashMap<(LedgerId, LedgerId), ()>,
    pub(super) applied: usize,
}

/// Stamp of an entry by this clock.
pub(super) fn stamp_of(late: bool) -> u64 {
    START_MS + if late { LATE_MS } else { 0 }
}

impl Tables {
    /// The two domains before anything of the story was asked for.
    pub(super) fn new(story: Story) -> Result<Tables, String> {
        let cast = Cast::new(&[3, 3], 1, false);
        let mut tables = Tables {
            cast,
            story,
            ledgers: [Vec::new(), Vec::new()],
            known: [HashMap::new(), HashMap::new()],
            messages: Vec::new(),
            known_messages: HashMap::new(),
            evidence: BTreeMap::new(),
            nexts: HashMap::new(),
            owed: HashMap::new(),
            pairs: HashMap::new(),
            applied: 0,
        };
        let mut pair = [0, 1].map(|domain| {
            let mut ledger = Ledger::empty();
            ledger.apply(1, START_MS, tables.cast.first_entry(domain));
            ledger
        });
        // What comes back must have gone out before.
        for domain in 0..2 {
            if tables.asset_of(domain) != tables.cast.asset(domain) {
                tables.settle_first(&mut pair, 1 - domain)?;
            }
        }
        for (domain, ledger) in pair.into_iter().enumerate() {
            tables.intern(domain, ledger)?;
        }
        Ok(tables)
    }

    /// Whose transfers there are.
    pub(super) fn begins(&self, domain: usize) -> bool {
        domain == 0 || self.story == Story::Crossing
    }

    /// Who is asked for a vote.
    pub(super) fn votes(&self, domain: usize) -> bool {
        self.begins(1 - domain)
    }

    /// Of what the transfer of a domain is: crossing ones are both of the first domain's money.
    fn asset_of(&self, domain: usize) -> AssetId {
        let back = match self.story {
            Story::Out => false,
            Story::Back => domain == 0,
            Story::Crossing => domain == 1,
        };
        self.cast.asset(if back { 1 - domain } else { domain })
    }

    fn pay(&self, domain: usize, number: u64, request: u64, asset: AssetId, amount: u64) -> CheckedItem {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        // No text is a memo.
        let memo = Memo::new("").expect("an empty memo");
        let to = self.cast.party(1 - domain, 0);
        let verb = Verb::Transfer { transfer_id: TransferId(id), to, asset, amount, memo };
        self.cast.command(domain, Some((domain, 0)), request, START_MS, verb)
    }

    /// One transfer of the asset of `domain` to the other, to its end.
    fn settle_first(&mut self, pair: &mut [Ledger; 2], domain: usize) -> Result<(), String> {
        let item = self.pay(domain, 100, 100, self.cast.asset(domain), 5 * AMOUNT);
        let mut queue: Vec<(usize, Owed)> =
            pair[domain].apply(2, START_MS, vec![item]).owed.into_iter().map(|owed| (domain, owed)).collect();
        let mut index = 2;
        while let Some((from, owed)) = queue.pop() {
            index += 1;
            let Some(letter) = self.letter(from, owed) else { continue };
            let applied = pair[1 - from].apply(index, START_MS, vec![letter.open(&self.cast)]);
            self.evidence.extend(applied.evidence);
            queue.extend(applied.owed.into_iter().map(|owed| (1 - from, owed)));
        }
        if pair.iter().all(|ledger| ledger.in_doubt().is_empty())
            && pair[1 - domain].supply_of(&self.cast.asset(domain)) > 0
        {
            Ok(())
        } else {
            Err("the transfer before the story did not settle".to_owned())
        }
    }

    /// An owed message in a batch of its own.
    pub(super) fn letter(&self, from: usize, owed: Owed) -> Option<Letter> {
        let evidence = owed.message.evidence().and_then(|digest| self.evidence.get(&digest).cloned());
        let said = owed.message.said(evidence)?;
        Some(Letter::new(&self.cast, from, 1 - from, 0, vec![said]))
    }

    /// Keeps signed batches that a query may have to show.
    pub(super) fn keep(&mut self, evidence: Vec<(Hash, Bytes)>) {
        self.evidence.extend(evidence);
    }

    /// Keeps a ledger once.
    fn intern(&mut self, domain: usize, ledger: Ledger) -> Result<LedgerId, String> {
        let key = identity(&ledger);
        if let Some(id) = self.known[domain].get(&key) {
            return Ok(*id);
        }
        let id = LedgerId::try_from(self.ledgers[domain].len()).map_err(|_| "too many different ledgers")?;
        self.ledgers[domain].push(ledger);
        self.known[domain].insert(key, id);
        Ok(id)
    }

    fn message(&mut self, from: usize, owed: Owed) -> Result<Option<MessageId>, String> {
        let evidence = owed.message.evidence().and_then(|digest| self.evidence.get(&digest).cloned());
        let Some(said) = owed.message.said(evidence) else { return Ok(None) };
        let letter = Letter::new(&self.cast, from, 1 - from, 0, vec![said.clone()]);
        if let Some(id) = self.known_messages.get(&letter.bytes) {
            return Ok(Some(*id));
        }
        if self.messages.len() == MESSAGES_MAX {
            return Err(format!("more than {MESSAGES_MAX} different messages"));
        }
        let id = self.messages.len() as MessageId;
        self.known_messages.insert(letter.bytes.clone(), id);
        self.messages.push(Message { from: from as u8, letter, said });
        Ok(Some(id))
    }

    fn mask(&mut self, from: usize, owed: Vec<Owed>) -> Result<u64, String> {
        let mut mask = 0;
        for owed in owed {
            if let Some(id) = self.message(from, owed)? {
                mask |= 1 << id;
            }
        }
        Ok(mask)
    }

    /// Everything that a leader with this ledger says at a look.
    pub(super) fn owed_all(&mut self, domain: usize, ledger: LedgerId) -> Result<u64, String> {
        if let Some(mask) = self.owed.get(&(domain as u8, ledger)) {
            return Ok(*mask);
        }
        let owed = self.ledgers[domain][usize::from(ledger)].owed_all();
        let mask = self.mask(domain, owed)?;
        self.owed.insert((domain as u8, ledger), mask);
        Ok(mask)
    }

    fn item(&self, domain: usize, input: Input) -> CheckedItem {
        match input {
            Input::Message(id) => self.messages[usize::from(id)].letter.open(&self.cast),
            Input::Pulse => check(&EntryItem::Pulse),
            Input::Begin => self.pay(domain, domain as u64, 1, self.asset_of(domain), AMOUNT),
            Input::Again => self.pay(domain, domain as u64, 2, self.asset_of(domain), AMOUNT),
            Input::Suspend => {
                let change = self.cast.change(domain, 1 - domain, false, 1);
                self.cast.command(domain, None, 3, START_MS, change)
            }
        }
    }

    /// What an entry makes of a ledger; the first time, the real ledger is asked and what must never change is checked.
    pub(super) fn next(&mut self, domain: usize, from: LedgerId, late: bool, input: Input) -> Result<Next, String> {
        let key = (domain as u8, from, late, input);
        if let Some(next) = self.nexts.get(&key) {
            return Ok(*next);
        }
        let before = &self.ledgers[domain][usize::from(from)];
        let mut ledger = before.clone();
        let index = ledger.log_index() + 1;
        let applied = ledger.apply(index, stamp_of(late), vec![self.item(domain, input)]);
        self.applied += 1;
        unchanged_decisions(before, &ledger)?;
        self.evidence.extend(applied.evidence);
        let owed = self.mask(domain, applied.owed)?;
        let ledger = self.intern(domain, ledger)?;
        let next = Next { ledger, owed };
        self.nexts.insert(key, next);
        Ok(next)
    }

    /// Checks two ledgers against each other, once.
    pub(super) fn check(&mut self, a: LedgerId, b: LedgerId) -> Result<(), String> {
        if self.pairs.contains_key(&(a, b)) {
            return Ok(());
        }
        pair::check(&self.ledgers[0][usize::from(a)], &self.ledgers[1][usize::from(b)])?;
        self.pairs.insert((a, b), ());
        Ok(())
    }
}

/// What was decided stays decided, at the origin and at the participant.
fn unchanged_decisions(before: &Ledger, after: &Ledger) -> Result<(), String> {
    use comity_ledger::settlement::IncomingState::Finished;
    for (id, record) in before.outgoing() {
        let (was, is) = (pair::decision(record), after.outgoing_transfer(id).and_then(pair::decision));
        if was.is_some() && is.is_some() && was != is {
            return Err(format!("decisions: {id} was decided {was:?} and is now decided {is:?}"));
        }
    }
    for ((from, id), record) in before.incoming() {
        let after = after.incoming_transfer(*from, *id).map(|record| record.state);
        if let (Finished { commit: was, .. }, Some(Finished { commit: is, .. })) = (record.state, after)
            && was != is
        {
            return Err(format!("decisions: {id} was finished with {was} and is now finished with {is}"));
        }
    }
    Ok(())
}

/// Everything about a ledger that settlement reads.
fn identity(ledger: &Ledger) -> Hash {
    let accounts: Vec<_> = ledger.accounts().collect();
    let outgoing: Vec<_> = ledger.outgoing().collect();
    let incoming: Vec<_> = ledger.incoming().collect();
    let treaties: Vec<_> = ledger.treaties().map(|treaty| (treaty.peer, treaty.standing())).collect();
    let peers: Vec<_> = treaties.iter().map(|(peer, _)| ledger.peer_state(peer)).collect();
    let assets: Vec<_> = ledger.assets().map(|(_, asset)| asset).collect();
    let due = ledger.pulse_due(u64::MAX);
    let all = (accounts, outgoing, incoming, (treaties, peers, assets, ledger.stamp_ms(), due));
    // Plain values into memory.
    Hash::of(&serde_json::to_vec(&all).expect("plain values have a JSON form"))
}
