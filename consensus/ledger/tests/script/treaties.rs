//! Words about treaties: what operators ask, what a third domain tries, and what each side sees.

use super::{Stage, word_after};
use crate::support::{document_with, domain_of, hash_of, key_of, root_of, roster_of, treaty_with};
use comity_ledger::{
    Outcome,
    treaty::{Licensed, Treaty},
};
use comity_proto::{
    command::Verb,
    drift::{DriftNote, DriftPart},
    entry::EntryItem,
    envelope::Signed as _,
    keys::SecretKey,
    licence::{Licence, LicenceStatus},
    text::{Nickname, Reason},
    treaty::{Door, Invitation, TreatyDocument, TreatyNotice, TreatyPush, TreatyStanding},
};

impl Stage {
    /// `agrees | invites | accepts | proposes | approves | denies | suspends | resumes | drains | revokes`
    pub(super) fn treaty_verb(&mut self, words: &[&str]) -> Option<Verb> {
        let name = self.worlds[self.here].name.clone();
        let cap = word_after(words, "cap").map_or(50_000_000, |text| self.amount(text));
        Some(match words {
            ["agrees", with, ..] => treaty_with(&self.worlds[self.here], with, cap),
            ["invites", id, ..] => {
                let invitation = self.invitation(&name, cap, words);
                self.invitations.insert((*id).to_owned(), (name, invitation.clone()));
                let Invitation { cap, ends_at_ms, invitee, majority_above, .. } = invitation;
                Verb::InvitePeer { secret_hash: hash_of_secret(id), cap, ends_at_ms, invitee, majority_above }
            }
            ["accepts", id, rest @ ..] => {
                let (host, invitation) = self.invitation_named(id);
                let mut document = document_with(&self.worlds[self.here], &host, cap);
                for part in document.parties.iter_mut().filter(|part| part.domain() == domain_of(&host)) {
                    part.caps[0].cap = invitation.cap + u64::from(rest.contains(&"edited"));
                    part.caps[0].majority_above = invitation.majority_above;
                    part.policy = invitation.policy;
                }
                let document = match rest.contains(&"forged") {
                    true => forged(&document, &key_of("forger")),
                    false => document.seal(&self.root(&name)),
                };
                Verb::ProposeTreaty { document, invitation: invitation.seal(&self.root(&host)) }
            }
            ["proposes", with, ..] => {
                let document = document_with(&self.worlds[self.here], with, cap).seal(&self.root(&name));
                Verb::ProposeTreaty { document, invitation: bytes::Bytes::new() }
            }
            ["approves", with, rest @ ..] => {
                let treaty = self.worlds[self.here].ledger.treaty(&domain_of(with));
                let asked = treaty.and_then(|treaty| treaty.proposed.as_ref()).map(|proposed| &proposed.document);
                let agreed = treaty.and_then(|treaty| treaty.agreed.as_ref()).map(|agreed| &agreed.theirs);
                let Some(countersigned) = asked.or(agreed).cloned() else {
                    let nothing = bytes::Bytes::new;
                    return Some(Verb::ApproveTreaty {
                        document: nothing(),
                        countersigned: nothing(),
                        roster: nothing(),
                    });
                };
                let mut document = TreatyDocument::open(&countersigned).expect("kept as signed").into_inner();
                if rest.contains(&"changed") {
                    document.parties[0].caps[0].cap += 1;
                }
                let document = document.seal(&self.root(&name));
                Verb::ApproveTreaty { document, countersigned, roster: bytes::Bytes::new() }
            }
            [word @ ("denies" | "suspends" | "resumes" | "drains" | "revokes"), with, rest @ ..] => {
                self.notice(&name, word, with, rest)
            }
            ["licenses", with, rest @ ..] => Verb::IssueLicence { licence: self.licence(&name, with, rest) },
            _ => return None,
        })
    }

    /// `[epoch N] [agents N] [events N] [in T] [edited] [suspended|revoked]`
    fn licence(&self, name: &str, with: &str, rest: &[&str]) -> bytes::Bytes {
        let world = &self.worlds[self.here];
        let granted = world.ledger.treaty(&domain_of(with)).and_then(|treaty| treaty.granted.as_ref());
        let next = granted.map_or(1, |granted| granted.licence.epoch + 1);
        let number =
            |word, default: u64| word_after(rest, word).map_or(default, |text| text.parse().expect("a number"));
        let licence = Licence {
            from: domain_of(name),
            holder: root_of(with).public(),
            epoch: number("epoch", next),
            tier: Nickname::new("basic").expect("a tier"),
            agents_max: number("agents", 100) as u32,
            events_per_minute: number("events", 1_000) as u32,
            expires_at_ms: world.now_ms + word_after(rest, "in").map_or(86_400_000, |text| self.time(text)),
            status: match rest {
                [.., "suspended"] => LicenceStatus::Suspended,
                [.., "revoked"] => LicenceStatus::Revoked,
                _ => LicenceStatus::Active,
            },
            reason: Reason::new("as agreed").expect("a reason"),
            bearer: None,
        };
        let mut licence = licence.seal(&self.root(name)).to_vec();
        if rest.contains(&"edited") {
            licence[80] ^= 1;
        }
        licence.into()
    }

    /// A node of this domain notes what differs: `treaty | standing | policy | supply | cards`, `open` without quarantine,
    /// `forged` by somebody else, `elsewhere` for another domain's log.
    pub(super) fn drift_note(&mut self, with: &str, serial: &str, words: &[&str]) -> String {
        let name = self.worlds[self.here].name.clone();
        let part = |name: &&str| match *name {
            "treaty" => Some(DriftPart::Treaty),
            "standing" => Some(DriftPart::Standing),
            "policy" => Some(DriftPart::Policy),
            "supply" => Some(DriftPart::Supply),
            "cards" => Some(DriftPart::Cards),
            _ => None,
        };
        let note = DriftNote {
            domain: domain_of(if words.contains(&"elsewhere") { with } else { &name }),
            peer: domain_of(with),
            serial: serial.parse().unwrap_or_else(|_| self.fail("a serial")),
            parts: words.iter().filter_map(part).collect(),
            quarantines: !words.contains(&"open"),
        };
        let signer = if words.contains(&"forged") { key_of("forger") } else { root_of(&name) };
        self.apply(EntryItem::DriftNote(note.seal(&signer)))
    }

    fn invitation_named(&self, id: &str) -> (String, Invitation) {
        self.invitations.get(id).cloned().unwrap_or_else(|| self.fail("no such invitation"))
    }

    fn invitation(&self, name: &str, cap: u64, words: &[&str]) -> Invitation {
        let world = &self.worlds[self.here];
        let ends_at_ms = world.now_ms + word_after(words, "in").map_or(3_600_000, |text| self.time(text));
        Invitation {
            secret: hash_of(words[1]).0,
            nickname: Nickname::new(name).expect("a nickname"),
            asset: "USD".parse().expect("a code"),
            cap,
            policy: world.ledger.policies()[0].1.digest(),
            ends_at_ms,
            invitee: word_after(words, "for").map(domain_of),
            majority_above: word_after(words, "majority-above").map(|text| self.amount(text)),
            doors: vec![Door { node: key_of(name).public(), address: "/ip4/192.0.2.1/tcp/1".parse().expect("one") }],
        }
    }

    fn notice(&self, name: &str, word: &str, with: &str, rest: &[&str]) -> Verb {
        let peer = domain_of(with);
        let treaty = self.worlds[self.here].ledger.treaty(&peer);
        let proposed = treaty.and_then(|treaty| treaty.proposed.as_ref()).filter(|proposed| !proposed.by_us);
        let proposed = proposed.map(|proposed| proposed.digest);
        let next = treaty.map_or(1, |treaty| treaty.ours.serial + 1);
        let standing = match word {
            "suspends" => TreatyStanding::Suspended,
            "drains" => TreatyStanding::Draining,
            "revokes" => TreatyStanding::Revoked,
            "resumes" => TreatyStanding::Active,
            // A denial leaves the rest as it is.
            _ => treaty.map_or(TreatyStanding::Active, |treaty| treaty.ours.standing),
        };
        let notice = TreatyNotice {
            from: domain_of(name),
            to: peer,
            serial: word_after(rest, "serial").map_or(next, |text| text.parse().expect("a number")),
            standing,
            denies: match word {
                "denies" => Some(proposed.unwrap_or(hash_of("nothing"))),
                "revokes" if proposed.is_some() => proposed,
                _ if proposed.is_some() => None,
                _ => treaty.and_then(|treaty| treaty.ours.untold_denial()),
            },
            reason: Reason::new("as agreed by telephone").expect("a reason"),
        };
        Verb::ChangeTreaty { notice: notice.seal(&self.root(name)) }
    }

    /// `tells DOMAIN` one word that is owed; `repeats` the last one; `gamma brings I` to the domain that acts.
    pub(super) fn treaty_step(&mut self, words: &[&str]) -> Option<String> {
        match words {
            ["tells"] => {
                let there = 1 - self.here;
                let home = self.worlds[there].home;
                let owed = self.worlds[self.here].ledger.treaties_owed(&[]);
                let (_, push) = owed.into_iter().find(|(peer, _)| *peer == home)?;
                self.push = Some((there, push.clone()));
                Some(self.deliver(there, &push))
            }
            ["repeats"] => {
                let (there, push) = self.push.clone()?;
                Some(self.deliver(there, &push))
            }
            // Straight to the other domain, whether or not our own ledger would have it.
            ["gives", "licence", rest @ ..] => {
                let name = self.worlds[self.here].name.clone();
                let there = 1 - self.here;
                let holder = word_after(rest, "to").map_or(self.worlds[there].name.clone(), str::to_owned);
                let licence = self.licence(&name, &holder, rest);
                Some(self.deliver(there, &TreatyPush::Licence(licence)))
            }
            ["gamma", "brings", id] => {
                let (host, invitation) = self.invitation_named(id);
                let mut world = crate::support::World::new("gamma");
                world.now_ms = self.worlds[self.here].now_ms;
                let document = document_with(&world, &host, invitation.cap).seal(&root_of("gamma"));
                let invitation = invitation.seal(&root_of(&host));
                let (roster, endpoints) = (roster_of("gamma"), vec![]);
                let push = TreatyPush::Proposal { document, invitation, roster, endpoints };
                Some(self.deliver(self.here, &push))
            }
            _ => None,
        }
    }

    fn deliver(&mut self, there: usize, push: &TreatyPush) -> String {
        let applied = self.worlds[there].apply(vec![EntryItem::Treaty(push.encode())]);
        applied.outcomes[0][0].name().to_owned()
    }

    /// What is granted, and what is held.
    pub(super) fn licence_look(&self, with: &str) -> String {
        let treaty = self.worlds[self.here].ledger.treaty(&domain_of(with));
        let say = |licensed: Option<&Licensed>| match licensed {
            Some(Licensed { licence, untold, .. }) => {
                let told = if *untold { ", untold" } else { "" };
                format!(
                    "{} in epoch {}, {} a minute{told}",
                    licence.status.name(),
                    licence.epoch,
                    licence.events_per_minute
                )
            }
            None => "none".into(),
        };
        let of = |which: fn(&Treaty) -> Option<&Licensed>| say(treaty.and_then(which));
        format!("granted {}; held {}", of(|treaty| treaty.granted.as_ref()), of(|treaty| treaty.held.as_ref()))
    }

    /// State, version in force, what the peer answered to a proposal.
    pub(super) fn treaty_look(&self, with: &str) -> String {
        let (ledger, peer) = (&self.worlds[self.here].ledger, domain_of(with));
        let Some(treaty) = ledger.treaty(&peer) else { return "none".into() };
        let state = ledger.treaty_state(&peer).map_or("none", |state| state.name());
        let version = treaty.agreed.as_ref().map_or("none".into(), |agreed| agreed.version.to_string());
        let answer = treaty.proposed.as_ref().and_then(|proposed| proposed.answer).map(Outcome::name);
        let answer = answer.map_or(String::new(), |answer| format!(", answered {answer}"));
        format!("{state}, version {version}{answer}")
    }
}

fn hash_of_secret(id: &str) -> comity_proto::ids::Hash {
    comity_proto::ids::Hash::of_parts("comity/v1/invitation-secret", &[&hash_of(id).0])
}

/// A document under the signature of a key that is no party's.
fn forged(document: &TreatyDocument, key: &SecretKey) -> bytes::Bytes {
    comity_proto::envelope::seal(TreatyDocument::CONTEXT, document.encode(), key)
}
