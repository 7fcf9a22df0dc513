//! Words about the root keys of a domain.

use super::{Stage, word_after};
use crate::support::{domain_of, key_of, root_of};
use comity_proto::{
    entry::EntryItem,
    envelope::Signed as _,
    key_step::{KeyChange, KeyStep},
    roots::RootKey,
    text::Reason,
    treaty::TreatyPush,
};

impl Stage {
    /// The root key with which this domain signs, and the links to it.
    pub(super) fn root(&self, name: &str) -> RootKey {
        let words: Vec<&str> = self.roots.get(name).into_iter().flatten().map(String::as_str).collect();
        line(name, &words)
    }

    /// `signs along WORD,...|first`, `keys [of DOMAIN]`, or a step: `prepares | activates | retires | revokes KEY
    /// [serial N] [overlap T] [along WORD,...] [unproved] [to the peer]`
    pub(super) fn root_step(&mut self, words: &[&str]) -> Option<String> {
        let name = self.worlds[self.here].name.clone();
        match words {
            ["signs", "along", keys] => {
                let keys = keys.split(',').filter(|key| *key != "first").map(str::to_owned).collect();
                self.roots.insert(name, keys);
                return None;
            }
            ["keys", rest @ ..] => return Some(self.root_look(word_after(rest, "of").unwrap_or(&name))),
            _ => {}
        }
        let [what, of, rest @ ..] = words else { self.fail("which key?") };
        let next = if *of == "first" { root_of(&name) } else { key_of(of) };
        let change = match *what {
            "prepares" => KeyChange::Prepare,
            "activates" => KeyChange::Activate,
            "retires" => KeyChange::Retire,
            _ => KeyChange::Revoke,
        };
        let own = self.root(&name);
        let signer = match word_after(rest, "along") {
            Some(keys) => line(&name, &keys.split(',').filter(|key| *key != "first").collect::<Vec<_>>()),
            None if change == KeyChange::Activate => own
                .links_to(&next)
                .map_or(own.clone(), |links| RootKey::along(links, next.clone()).expect("links that were just made")),
            None => own,
        };
        let known = self.worlds[self.here].ledger.root_keys(&domain_of(&name)).map_or(0, |root| root.serial);
        let step = KeyStep {
            domain: domain_of(&name),
            place: Some(root_of(&name).public()),
            serial: word_after(rest, "serial").map_or(known + 1, |n| n.parse().expect("a number")),
            change,
            key: next.public(),
            overlap_ms: word_after(rest, "overlap").map_or(0, |text| self.time(text)),
            proof: match change {
                KeyChange::Prepare if !rest.contains(&"unproved") => signer.links_to(&next).unwrap_or_default(),
                _ => bytes::Bytes::new(),
            },
            reason: Reason::new("every year").expect("a reason"),
        };
        let step = step.seal(&signer);
        if rest.contains(&"peer") {
            let there = 1 - self.here;
            let applied = self.worlds[there].apply(vec![EntryItem::Treaty(TreatyPush::Key(step).encode())]);
            return Some(applied.outcomes[0][0].name().to_owned());
        }
        Some(self.apply(EntryItem::Key(step)))
    }

    /// What the ledger that acts knows of a domain's root keys.
    fn root_look(&self, of: &str) -> String {
        let ledger = &self.worlds[self.here].ledger;
        let Some(root) = ledger.root_keys(&domain_of(of)) else { return "none".into() };
        let known = ["second", "third", "fork", "lost", "last", "unheard"].map(|word| (key_of(word).public(), word));
        let named = |key| known.iter().find(|(of, _)| *of == key).map_or("first", |(_, word)| word);
        let keys: Vec<_> = root.keys.iter().map(|key| named(*key)).collect();
        let also = |key: Option<&comity_proto::ids::PublicKey>| key.map_or("nothing", |key| named(*key));
        let before = also(root.before(ledger.stamp_ms()));
        format!("{}: {}, next {}, before {before}", root.serial, keys.join(" then "), also(root.next.as_ref()))
    }
}

/// The last of these keys behind the first one of a domain.
fn line(name: &str, words: &[&str]) -> RootKey {
    let mut root = RootKey::from(root_of(name));
    for word in words {
        let next = key_of(word);
        let links = root.links_to(&next).expect("a key that was not used");
        root = RootKey::along(links, next).expect("links that were just made");
    }
    root
}
