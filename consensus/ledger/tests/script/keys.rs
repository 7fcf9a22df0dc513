//! Words about the keys that act for a domain.

use super::{Stage, word_after};
use crate::support::{domain_of, key_of, root_of};
use comity_proto::{
    entry::EntryItem,
    envelope::Signed as _,
    identity::{NodeCertificate, Roles, Roster},
    ids::PublicKey,
    key_step::{KeyChange, KeyStep},
    keys::SecretKey,
    text::Reason,
};

impl Stage {
    /// `key operator | node [PLACE] prepares | activates | retires | revokes KEY [serial N] [overlap T] [by WHO]
    /// [unproved]`; a node is `one` if no other is named.
    pub(super) fn key_step(&mut self, words: &[&str]) -> String {
        let name = self.worlds[self.here].name.clone();
        let root = root_of(&name);
        let key = |word: &str| if word == "root" { root.clone() } else { key_of(word) };
        let (place, rest) = match words {
            ["node", "of", place, rest @ ..] => (Some(key(place).public()), rest),
            ["node", rest @ ..] => (Some(key("one").public()), rest),
            [_, rest @ ..] => (None, rest),
            [] => self.fail("whose key?"),
        };
        let [what, of, rest @ ..] = rest else { self.fail("which key?") };
        let next = key(of);
        let change = match *what {
            "prepares" => KeyChange::Prepare,
            "activates" => KeyChange::Activate,
            "retires" => KeyChange::Retire,
            _ => KeyChange::Revoke,
        };
        let signer = match word_after(rest, "by") {
            Some(word) => key(word),
            None if change == KeyChange::Activate && place.is_some() => next.clone(),
            None if change == KeyChange::Prepare && place == Some(key("one").public()) => key("one"),
            None => root.clone(),
        };
        let domain = domain_of(word_after(rest, "for").unwrap_or(&name));
        let step = KeyStep {
            domain,
            place,
            serial: word_after(rest, "serial").map_or(self.next_serial(place), |n| n.parse().expect("a number")),
            change,
            key: next.public(),
            overlap_ms: word_after(rest, "overlap").map_or(0, |text| self.time(text)),
            proof: match change {
                KeyChange::Prepare if !rest.contains(&"unproved") => proof(place, &name, &next),
                _ => bytes::Bytes::new(),
            },
            reason: Reason::new("every year").expect("a reason"),
        };
        self.apply(EntryItem::Key(step.seal(&signer)))
    }

    fn next_serial(&self, place: Option<PublicKey>) -> u64 {
        let Some(domain) = self.worlds[self.here].ledger.domain() else { return 1 };
        match place {
            None => domain.operator.serial + 1,
            Some(place) => domain.node_keys(&place).map_or(1, |record| record.serial + 1),
        }
    }

    /// `roster lists KEY ...`, `operator signs with KEY|first`, `operator keys`, `unseen`
    pub(super) fn key_words(&mut self, words: &[&str]) -> Option<String> {
        let name = self.worlds[self.here].name.clone();
        match words {
            ["roster", "lists", keys @ ..] => {
                let of = |word: &&str| if *word == "root" { root_of(&name).public() } else { key_of(word).public() };
                let mut voters: Vec<PublicKey> = keys.iter().map(of).collect();
                voters.sort();
                let epoch = self.worlds[self.here].ledger.domain().map_or(0, |domain| domain.roster_epoch) + 1;
                let roster = Roster { domain: domain_of(&name), epoch, voters, seats: vec![] };
                Some(self.apply(EntryItem::Roster(roster.seal(&self.root(&name)))))
            }
            ["operator", "signs", "with", key] => {
                let first = format!("operator {name}");
                self.world().operator = key_of(if *key == "first" { &first } else { key });
                None
            }
            ["operator", "keys"] => {
                let world = &self.worlds[self.here];
                let known = ["next", "third", "fourth"].map(|word| (key_of(word).public(), word));
                let named = |key: PublicKey| known.iter().find(|(of, _)| *of == key).map_or("first", |(_, word)| word);
                let record = &world.ledger.domain()?.operator;
                let also = |key: Option<PublicKey>| key.map_or("nothing", named);
                let before = record.before.map(|(key, _)| key);
                let (next, before) = (also(record.next), also(before));
                Some(format!("{}: {}, next {next}, before {before}", record.serial, named(record.active)))
            }
            _ => {
                let [roster, operator, root] = self.worlds[self.here].ledger.keys_not_seen();
                let root = if root.is_empty() { String::new() } else { format!(", root by {}", root.len()) };
                Some(format!("roster by {}, operator by {}{root}", roster.len(), operator.len()))
            }
        }
    }
}

/// What makes a preparation good.
fn proof(place: Option<PublicKey>, name: &str, next: &SecretKey) -> bytes::Bytes {
    let domain = domain_of(name);
    if place.is_none() {
        return KeyStep::prove(&domain, next);
    }
    let roles = Roles { voter: true, learner: false, gateway: true };
    let (node, serial) = (next.public(), 7);
    NodeCertificate { domain, node, roles, not_before_ms: 1, not_after_ms: 2_000_000, serial }.seal(&root_of(name))
}
