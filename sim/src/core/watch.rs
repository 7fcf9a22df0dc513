//! Follows every entry of every domain and checks what it did, in time that does not grow with the ledgers.
//!
//! Books of its own are kept from the events alone, as an auditor would: each posting must sum to zero and the ledger
//! must hold what the postings say. Every transfer has one fate, known here for the whole run, so that exactly once and
//! one decision are checked even after both ledgers have forgotten it. Only looks.

use std::collections::BTreeMap;

use comity_ledger::{AccountKey, AccountKind, AssetIndex, Event, EventKind, Ledger, Leg};
use comity_proto::{
    amount::AssetId,
    ids::{DomainId, TransferId},
};

/// What became of one transfer, as all logs tell it.
#[derive(Clone, Debug)]
struct Fate {
    /// Index of the recipient's domain.
    to: usize,
    /// Index of the domain that issues what moves.
    issuer: usize,
    amount: u64,
    decide_by_ms: u64,
    /// By participant: the recipient's domain, and the issuer when it is a third.
    said: BTreeMap<usize, Said>,
    decided: Option<bool>,
    closed: bool,
}

/// What one participant made of it.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    voted: Option<bool>,
    finished: Option<bool>,
}

impl Fate {
    fn is_across(&self) -> bool {
        self.said.len() > 1
    }

    fn all(&self, is: impl Fn(&Said) -> bool) -> bool {
        self.said.values().all(is)
    }
}

/// One domain as its events tell it.
#[derive(Default)]
struct Books {
    balances: BTreeMap<AccountKey, i128>,
    assets: BTreeMap<AssetIndex, AssetId>,
    /// Issued less burned, by asset of its own.
    supply: BTreeMap<AssetIndex, i128>,
    log_index: u64,
}

/// The auditor of a run.
pub struct Watch {
    ids: Vec<DomainId>,
    books: Vec<Books>,
    fates: BTreeMap<(usize, TransferId), Fate>,
    /// By issuer, holder: reserve held for yes votes.
    held: BTreeMap<(usize, usize), i128>,
    /// By issuer, holder: committed by the origin and not yet posted by the participant.
    one_sided: BTreeMap<(usize, usize), i128>,
    /// Transfers begun, committed and aborted; of the committed those with two participants.
    pub counts: [u64; 4],
}

impl Watch {
    /// Nothing has happened yet.
    pub fn new(ids: Vec<DomainId>) -> Watch {
        let books = ids.iter().map(|_| Books::default()).collect();
        let (fates, held, one_sided) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Watch { ids, books, fates, held, one_sided, counts: [0; 4] }
    }

    /// Takes in what one entry of a domain did; `ledger` is as the entry left it.
    ///
    /// # Errors
    /// The claim that it broke.
    pub fn entry(&mut self, domain: usize, ledger: &Ledger, events: &[Event]) -> Result<(), String> {
        let last = self.books[domain].log_index;
        if ledger.log_index() <= last {
            return Err(format!("log: entry {} of domain {domain} came after entry {last}", ledger.log_index()));
        }
        self.books[domain].log_index = ledger.log_index();
        for event in events {
            self.post(domain, &event.legs)?;
            self.fate(domain, event)?;
        }
        let legs = events.iter().flat_map(|event| &event.legs);
        for leg in legs {
            self.compare(domain, ledger, leg)?;
        }
        if events.iter().any(|event| !event.legs.is_empty()) {
            self.backing(domain)?;
        }
        Ok(())
    }

    /// Double entry: per asset the legs of one event sum to zero.
    fn post(&mut self, domain: usize, legs: &[Leg]) -> Result<(), String> {
        let mut sums: BTreeMap<AssetIndex, i128> = BTreeMap::new();
        let books = &mut self.books[domain];
        for leg in legs {
            *sums.entry(leg.account.asset).or_default() += leg.delta;
            *books.balances.entry(leg.account).or_default() += leg.delta;
        }
        match sums.iter().find(|(_, sum)| **sum != 0) {
            Some((asset, sum)) => Err(format!("conservation: a posting of {asset:?} in domain {domain} sums to {sum}")),
            None => Ok(()),
        }
    }

    fn compare(&mut self, domain: usize, ledger: &Ledger, leg: &Leg) -> Result<(), String> {
        let books = &mut self.books[domain];
        let told = books.balances.get(&leg.account).copied().unwrap_or(0);
        let magnitude = i128::from(ledger.balance_of(&leg.account));
        let held = if leg.account.kind == AccountKind::Issuance { -magnitude } else { magnitude };
        if told == 0 {
            books.balances.remove(&leg.account);
        }
        if told != held {
            return Err(format!("history: {:?} of domain {domain} holds {held}, its events say {told}", leg.account));
        }
        if leg.account.kind != AccountKind::Issuance && held < 0 {
            return Err(format!("conservation: {:?} of domain {domain} is below zero: {held}", leg.account));
        }
        Ok(())
    }

    fn fate(&mut self, domain: usize, event: &Event) -> Result<(), String> {
        match &event.kind {
            EventKind::AssetKnown { index, asset, .. } => {
                self.books[domain].assets.insert(*index, *asset);
            }
            EventKind::Issued { asset, amount } => {
                *self.books[domain].supply.entry(*asset).or_default() += i128::from(*amount);
            }
            EventKind::Burned { asset, amount } => {
                *self.books[domain].supply.entry(*asset).or_default() -= i128::from(*amount);
            }
            EventKind::TransferBegun { transfer, recipient, asset, amount, decide_by_ms, .. } => {
                let (to, issuer) = (self.index_of(&recipient.domain)?, self.index_of(&asset.issuer)?);
                let participants = [to, issuer].into_iter().filter(|participant| *participant != domain);
                let said = participants.map(|participant| (participant, Said::default())).collect();
                let (amount, decide_by_ms) = (*amount, *decide_by_ms);
                let fate = Fate { to, issuer, amount, decide_by_ms, said, decided: None, closed: false };
                self.counts[0] += 1;
                if self.fates.insert((domain, *transfer), fate).is_some() {
                    return Err(format!("exactly once: {transfer} of domain {domain} began twice"));
                }
            }
            EventKind::TransferVoted { origin, transfer, verdict, .. } => {
                self.voted(domain, origin, transfer, verdict.is_ok())?;
            }
            EventKind::TransferDecided { transfer, commit, .. } => {
                self.decided(domain, transfer, *commit, event.stamp_ms)?;
            }
            EventKind::TransferFinished { origin, transfer, commit, .. } => {
                self.finished(domain, origin, transfer, *commit)?;
            }
            EventKind::TransferClosed { transfer, commit } => self.closed(domain, transfer, *commit)?,
            EventKind::PeerEquivocated { peer, transfer, .. } => {
                return Err(format!("decisions: an honest domain {peer} contradicted itself about {transfer}"));
            }
            _ => {}
        }
        Ok(())
    }

    fn index_of(&self, id: &DomainId) -> Result<usize, String> {
        self.ids.iter().position(|known| known == id).ok_or_else(|| format!("nobody is {id}"))
    }

    fn known(&mut self, origin: usize, transfer: &TransferId) -> Result<&mut Fate, String> {
        let unheard = || format!("authority: {transfer} of domain {origin} was never begun there");
        self.fates.get_mut(&(origin, *transfer)).ok_or_else(unheard)
    }

    fn voted(&mut self, domain: usize, origin: &DomainId, transfer: &TransferId, yes: bool) -> Result<(), String> {
        let (origin, voter) = (self.index_of(origin)?, self.ids[domain]);
        let fate = self.known(origin, transfer)?;
        let Some(said) = fate.said.get_mut(&domain) else {
            return Err(format!("authority: {voter} voted on {transfer}, which is not for it"));
        };
        if let Some(before) = said.voted.replace(yes) {
            return Err(format!("votes: {transfer} was voted {before} and then {yes}"));
        }
        let (issuer, amount) = (fate.issuer, i128::from(fate.amount));
        if yes && issuer == domain {
            *self.held.entry((domain, origin)).or_default() += amount;
        }
        Ok(())
    }

    fn decided(&mut self, origin: usize, transfer: &TransferId, commit: bool, stamp_ms: u64) -> Result<(), String> {
        self.counts[if commit { 1 } else { 2 }] += 1;
        let fate = self.known(origin, transfer)?;
        if let Some(before) = fate.decided.replace(commit) {
            return Err(format!("decisions: {transfer} was decided {before} and then {commit}"));
        }
        if commit && !fate.all(|said| said.voted == Some(true)) {
            return Err(format!("votes: {transfer} is committed without a yes of each: {:?}", fate.said));
        }
        if commit && stamp_ms >= fate.decide_by_ms {
            return Err(format!(
                "deadlines: {transfer} is committed at {stamp_ms}, to be decided by {}",
                fate.decide_by_ms
            ));
        }
        // Whoever voted no is owed nothing; of two, the other one is.
        fate.closed |= !commit && !fate.is_across() && fate.all(|said| said.voted == Some(false));
        let (issuer, to, amount) = (fate.issuer, fate.to, i128::from(fate.amount));
        self.counts[3] += u64::from(commit && fate.is_across());
        if commit {
            let holder = if issuer == origin { to } else { origin };
            *self.one_sided.entry((issuer, holder)).or_default() += amount;
        }
        Ok(())
    }

    fn finished(
        &mut self,
        domain: usize,
        origin: &DomainId,
        transfer: &TransferId,
        commit: bool,
    ) -> Result<(), String> {
        let (origin, own) = (self.index_of(origin)?, self.ids[domain]);
        let fate = self.known(origin, transfer)?;
        let Some(said) = fate.said.get_mut(&domain) else {
            return Err(format!("authority: {own} finished {transfer}, which is not for it"));
        };
        if let Some(before) = said.finished.replace(commit) {
            return Err(format!("exactly once: {transfer} was finished with {before} and again with {commit}"));
        }
        if fate.decided != Some(commit) {
            return Err(format!(
                "atomicity: {transfer} is finished with {commit}, its origin decided {:?}",
                fate.decided
            ));
        }
        let (issuer, to, amount, across) = (fate.issuer, fate.to, i128::from(fate.amount), fate.is_across());
        let mut one_sided = |holder, by: i128| *self.one_sided.entry((issuer, holder)).or_default() += by;
        match (commit, across) {
            (false, _) => {}
            (true, false) => one_sided(if issuer == origin { to } else { origin }, -amount),
            // Reserve moves from behind the origin to behind the recipient's domain, which then mints.
            (true, true) if domain == issuer => {
                one_sided(origin, -amount);
                one_sided(to, amount);
            }
            (true, true) => one_sided(to, -amount),
        }
        if domain == issuer {
            *self.held.entry((domain, origin)).or_default() -= amount;
        }
        Ok(())
    }

    fn closed(&mut self, origin: usize, transfer: &TransferId, commit: bool) -> Result<(), String> {
        let fate = self.known(origin, transfer)?;
        fate.closed = true;
        let fits = match fate.decided {
            Some(decided) if decided != commit => false,
            Some(true) => fate.all(|said| said.finished == Some(true)),
            Some(false) => fate.all(|said| said.finished != Some(true)),
            None => false,
        };
        if fits {
            return Ok(());
        }
        Err(format!("atomicity: {transfer} is closed with {commit}: {fate:?}"))
    }

    /// Between a domain and each other one, for the money of both: reserve, held reserve and supply fit.
    fn backing(&self, domain: usize) -> Result<(), String> {
        for other in (0..self.ids.len()).filter(|other| *other != domain) {
            for (issuer, holder) in [(domain, other), (other, domain)] {
                self.backing_of(issuer, holder)?;
            }
        }
        let books = &self.books[domain];
        for (asset, issued) in &books.supply {
            let exists = -books.balances.get(&AccountKey::issuance(*asset)).copied().unwrap_or(0);
            if exists != *issued {
                return Err(format!("conservation: domain {domain} issued {issued} and {exists} exist"));
            }
        }
        Ok(())
    }

    fn backing_of(&self, issuer: usize, holder: usize) -> Result<(), String> {
        let balance =
            |domain: usize, account: AccountKey| self.books[domain].balances.get(&account).copied().unwrap_or(0);
        // Every domain issues one asset, its first.
        let own = AssetIndex(0);
        let reserve = balance(issuer, AccountKey::peer(self.ids[holder], own));
        let there = self.books[holder].assets.iter().find(|(_, asset)| asset.issuer == self.ids[issuer]);
        let wrapped = there.map_or(0, |(index, _)| -balance(holder, AccountKey::issuance(*index)));
        let held = self.held.get(&(issuer, holder)).copied().unwrap_or(0);
        let one_sided = self.one_sided.get(&(issuer, holder)).copied().unwrap_or(0);
        if reserve + held != wrapped + one_sided {
            return Err(format!(
                "conservation: between issuer {issuer} and holder {holder}: reserve {reserve} + held {held} is not wrapped \
                 {wrapped} + one-sided {one_sided}"
            ));
        }
        Ok(())
    }

    /// At the end, after everything was healed: every transfer has one fate on both sides.
    ///
    /// # Errors
    /// The first transfer that has not.
    pub fn all_ended(&self) -> Result<(), String> {
        for ((origin, id), fate) in &self.fates {
            let fits = match fate.decided {
                Some(true) => fate.all(|said| said.finished == Some(true)) && fate.closed,
                Some(false) => fate.all(|said| match said.finished {
                    None => said.voted != Some(true),
                    Some(posted) => !posted,
                }),
                None => false,
            };
            if !fits {
                return Err(format!("liveness: {id} of domain {origin} has not ended: {fate:?}"));
            }
        }
        Ok(())
    }
}
