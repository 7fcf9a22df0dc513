//! The words of a script. Each step names who does what; answers are outcomes, amounts or states.

mod keys;
mod roots;
mod treaties;

use crate::support::{World, agent_of, converse, domain_of, hash_of, id_of, key_of, policy, usd};
use bytes::Bytes;
use comity_ledger::{AccountKey, AssetIndex, Outcome, settlement::OutgoingState};
use comity_proto::{
    amount::{AssetCode, AssetId, format_amount, parse_amount},
    command::{Actor, Party, Referral, Verb},
    entry::EntryItem,
    escrow::{Arbiter, EscrowTerms, Payee, Silence},
    export::{Audience, Direction, ExportRule},
    ids::{DomainId, EscrowId, RequestId, TransferId},
    keys::prove_rotation,
    policy::Policy,
    text::{Capability, Condition, GroupLabel, Memo, Name, Nickname, Reason, ReferralCode},
    treaty::{Invitation, TreatyPush},
};
use std::collections::{BTreeMap, BTreeSet};

/// Plays a whole script and returns it with the answers that the ledger gave, and every outcome that either ledger gave
/// on the way, to the other domain's messages too.
pub(crate) fn play(file: &str, text: &str) -> (String, BTreeSet<Outcome>) {
    let mut stage = Stage::new();
    let mut after = String::new();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with("->")) {
        after.push_str(line);
        after.push('\n');
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.is_empty() || line.starts_with('#') {
            continue;
        }
        stage.at = format!("{file}:{}: {line}", n + 1);
        if let Some(answer) = stage.step(&words) {
            after.push_str(&format!("-> {answer}\n"));
        }
    }
    let [alpha, beta] = stage.worlds;
    (after, &alpha.given | &beta.given)
}

struct Stage {
    worlds: [World; 2],
    /// Which world acts.
    here: usize,
    /// For panics.
    at: String,
    last: Option<EntryItem>,
    /// By name: who gave it out, and what it says.
    invitations: BTreeMap<String, (String, Invitation)>,
    /// The last word about a treaty, and who heard it.
    push: Option<(usize, TreatyPush)>,
    /// The root keys that lead to the one with which a domain signs, where that is not its first.
    roots: BTreeMap<String, Vec<String>>,
}

/// How the next command differs from an honest one.
#[derive(Default)]
struct Twist {
    forged: bool,
    elsewhere: bool,
    valid_ms: Option<u64>,
    request: Option<RequestId>,
    expired: bool,
}

impl Stage {
    fn new() -> Stage {
        let worlds = [World::empty("alpha"), World::empty("beta")];
        Stage {
            worlds,
            here: 0,
            at: String::new(),
            last: None,
            invitations: BTreeMap::new(),
            push: None,
            roots: BTreeMap::new(),
        }
    }

    fn world(&mut self) -> &mut World {
        &mut self.worlds[self.here]
    }

    fn fail(&self, why: &str) -> ! {
        panic!("{}\n{why}", self.at)
    }

    fn step(&mut self, words: &[&str]) -> Option<String> {
        match words {
            ["genesis", settings @ ..] => {
                let policy = self.policy(policy(), settings);
                let item = self.world().genesis(policy);
                Some(self.apply(item))
            }
            ["in", "alpha"] => self.go(0),
            ["in", "beta"] => self.go(1),
            ["both", "advance", time] => {
                let time_ms = self.time(time);
                let [alpha, beta] = &mut self.worlds;
                for _ in 0..time_ms / 20_000 {
                    alpha.advance(20_000);
                    beta.advance(20_000);
                    converse(alpha, beta);
                }
                None
            }
            ["both", "stall", time] => {
                let time_ms = self.time(time);
                let [alpha, beta] = &mut self.worlds;
                for world in [&mut *alpha, &mut *beta] {
                    world.now_ms += time_ms;
                    world.pulse();
                }
                converse(alpha, beta);
                None
            }
            ["advance", time] => {
                let ms = self.time(time);
                self.world().advance(ms);
                None
            }
            ["stall", time] => {
                self.world().now_ms += self.time(time);
                None
            }
            ["talk"] => {
                let [alpha, beta] = &mut self.worlds;
                converse(alpha, beta);
                None
            }
            ["pulse"] => Some(self.apply(EntryItem::Pulse)),
            ["garbage"] => Some(self.apply(EntryItem::Commands(Bytes::from_static(b"not a batch")))),
            ["again"] => {
                let item = self.last.clone().unwrap_or_else(|| self.fail("nothing was said before"));
                Some(self.apply(item))
            }
            ["transfer" | "accrued" | "balance" | "treasury" | "state" | "owner" | "supply", ..] => {
                Some(self.look(words))
            }
            ["treaty", with] => Some(self.treaty_look(with)),
            ["notes", with, serial, parts @ ..] => Some(self.drift_note(with, serial, parts)),
            ["licence", with] => Some(self.licence_look(with)),
            ["tells"] | ["repeats"] | ["gives", ..] | [_, "brings", _] => self.treaty_step(words),
            ["key", "root", rest @ ..] => self.root_step(rest),
            ["key", rest @ ..] => Some(self.key_step(rest)),
            ["roster" | "unseen" | "operator", "lists" | "signs" | "keys", ..] | ["unseen"] => self.key_words(words),
            _ => Some(self.command(words)),
        }
    }

    fn go(&mut self, here: usize) -> Option<String> {
        self.here = here;
        None
    }

    fn apply(&mut self, item: EntryItem) -> String {
        self.last = Some(item.clone());
        let applied = self.world().apply(vec![item]);
        applied.outcomes[0].iter().map(|outcome| outcome.name()).collect::<Vec<_>>().join(" ")
    }

    fn look(&mut self, words: &[&str]) -> String {
        let world = &self.worlds[self.here];
        match words {
            ["balance", agent, rest @ ..] => {
                let asset = rest.first().map_or_else(|| usd(&world.name), |text| self.asset(text));
                format_amount(world.ledger.balance(&agent_of(agent), &asset), 6)
            }
            ["treasury", rest @ ..] => {
                let wanted = rest.first().map_or_else(|| usd(&world.name), |text| self.asset(text));
                let index =
                    world.ledger.assets().find(|(_, asset)| asset.id == wanted).map_or(AssetIndex(99), |(n, _)| n);
                format_amount(world.ledger.balance_of(&AccountKey::treasury(index)), 6)
            }
            ["accrued", who, rest @ ..] => {
                let wanted = rest.first().map_or_else(|| usd(&world.name), |text| self.asset(text));
                let index =
                    world.ledger.assets().find(|(_, asset)| asset.id == wanted).map_or(AssetIndex(99), |(n, _)| n);
                format_amount(world.ledger.accrual(&self.party(who), index).map_or(0, |accrual| accrual.waiting), 6)
            }
            ["transfer", id] => {
                let record = world.ledger.outgoing_transfer(&TransferId(id_of(id)));
                record
                    .map_or("none", |record| match record.state {
                        OutgoingState::Undecided => "begun",
                        OutgoingState::Decided { .. } => "decided",
                        OutgoingState::Closed { .. } => "closed",
                    })
                    .into()
            }
            ["supply"] => format_amount(world.ledger.balance_of(&AccountKey::issuance(AssetIndex(0))), 6),
            ["state", escrow] => {
                let escrow = world.ledger.escrow(&EscrowId(id_of(escrow)));
                escrow.map_or("none", |escrow| escrow.state().name()).into()
            }
            ["owner", name] => {
                let name = Name::new(name).expect("a name");
                let owner = world.ledger.resolve(&name).map(|record| record.owner);
                let nickname =
                    owner.and_then(|owner| world.ledger.agent(&owner)).map(|agent| agent.profile.nickname.to_string());
                nickname.unwrap_or_else(|| "nobody".into())
            }
            _ => self.fail("nothing to look at"),
        }
    }

    /// `[forged] [elsewhere] [late] [far] [request R] WHO VERB ...`
    fn command(&mut self, mut words: &[&str]) -> String {
        let mut twist = Twist::default();
        loop {
            match words {
                ["forged", rest @ ..] => (twist.forged, words) = (true, rest),
                ["elsewhere", rest @ ..] => (twist.elsewhere, words) = (true, rest),
                ["late", rest @ ..] => (twist.expired, words) = (true, rest),
                ["far", rest @ ..] => (twist.valid_ms, words) = (Some(25 * 3_600_000), rest),
                ["request", id, rest @ ..] => (twist.request, words) = (Some(RequestId(id_of(id))), rest),
                _ => break,
            }
        }
        let ([who, rest @ ..], now_ms) = (words, self.world().now_ms) else { self.fail("nobody does nothing") };
        let who: &str = who;
        let treaty = if who == "operator" { self.treaty_verb(rest) } else { None };
        let verb = match treaty {
            Some(verb) => verb,
            None if who == "operator" => self.operator_verb(rest),
            None => self.agent_verb(who, rest),
        };
        let rotates = if let Verb::RotateKey { .. } = verb { Some(key_of(rest[1])) } else { None };
        let world = &mut self.worlds[self.here];
        let id = agent_of(who);
        let honest = world.keys.get(&id).cloned().unwrap_or_else(|| key_of(who));
        let (actor, key) =
            if who == "operator" { (Actor::Operator, world.operator.clone()) } else { (Actor::Agent(id), honest) };
        let key = if twist.forged { key_of("forger") } else { key };
        let request = twist.request.unwrap_or_else(|| world.next_request());
        let (home, now) = (world.home, world.now_ms);
        if twist.elsewhere {
            world.home = domain_of("gamma");
        }
        if twist.expired {
            world.now_ms = now_ms - 2 * 3_600_000;
        }
        let item = world.signed(&key, actor, request, twist.valid_ms.unwrap_or(3_600_000), verb);
        (world.home, world.now_ms) = (home, now);
        let answer = self.apply(item);
        if let (Some(next), "applied") = (rotates, answer.as_str()) {
            self.world().keys.insert(id, next);
        }
        answer
    }

    fn agent_verb(&self, who: &str, words: &[&str]) -> Verb {
        let escrow = |word: &str| EscrowId(id_of(word));
        let part = word_after(words, "part").map(|n| n.parse().expect("a milestone"));
        let name = |word: &str| Name::new(word).expect("a name");
        let years = |word: &str| word.parse().expect("years");
        match words {
            ["registers", rest @ ..] => Verb::RegisterAgent {
                nickname: Nickname::new(who).expect("a nickname"),
                group: word_after(rest, "group").map(|text| GroupLabel::new(text).expect("a group")),
                referred_by: self.referral(rest),
                own_code: word_after(rest, "code").map(|text| ReferralCode::new(text).expect("a code")),
                admission: word_after(rest, "token").map(hash_of),
                custodial: false,
            },
            ["rotates", next] => {
                let next = key_of(next);
                Verb::RotateKey { new_key: next.public(), proof: prove_rotation(&agent_of(who), &next) }
            }
            ["steals", next] => Verb::RotateKey {
                new_key: key_of(next).public(),
                proof: prove_rotation(&agent_of(who), &key_of("other")),
            },
            ["retires"] => Verb::RetireAgent,
            ["claims", "faucet"] => Verb::ClaimFaucet,
            ["takes", "name", text, "for", n] => Verb::RegisterName { name: name(text), years: years(n) },
            ["renews", "name", text, "for", n] => Verb::RenewName { name: name(text), years: years(n) },
            ["gives", "name", text, "to", to] => Verb::TransferName { name: name(text), to: agent_of(to) },
            ["frees", "name", text] => Verb::ReleaseName { name: name(text) },
            ["pays", amount, asset, "to", to, rest @ ..] => Verb::Transfer {
                transfer_id: TransferId(id_of(word_after(rest, "as").unwrap_or(&self.at))),
                to: self.party(to),
                asset: self.asset(asset),
                amount: self.amount(amount),
                memo: Memo::new("").expect("empty"),
            },
            ["locks", id, rest @ ..] => Verb::LockEscrow { escrow_id: escrow(id), terms: self.terms(who, rest) },
            ["accepts", id] => Verb::AcceptEscrow { escrow_id: escrow(id) },
            ["submits", id, result, ..] => {
                Verb::SubmitEscrow { escrow_id: escrow(id), milestone: part, result_hash: hash_of(result) }
            }
            ["releases", id, rest @ ..] => Verb::ReleaseEscrow {
                escrow_id: escrow(id),
                milestone: part,
                verified_hash: word_after(rest, "verified").map(hash_of),
            },
            ["disputes", id] => Verb::DisputeEscrow { escrow_id: escrow(id), evidence_hash: hash_of("evidence") },
            ["rules", id, bps] => {
                Verb::RuleEscrow { escrow_id: escrow(id), payee_bps: bps.parse().expect("basis points") }
            }
            ["cancels", id] => Verb::CancelEscrow { escrow_id: escrow(id) },
            _ => self.operator_verb(words),
        }
    }

    fn operator_verb(&self, words: &[&str]) -> Verb {
        let code = |text: &str| AssetCode::new(text).expect("a code");
        match words {
            ["issues", amount, asset, "to", "treasury"] => {
                Verb::Issue { code: code(asset), to: None, amount: self.amount(amount) }
            }
            ["issues", amount, asset, "to", to] => {
                Verb::Issue { code: code(asset), to: Some(agent_of(to)), amount: self.amount(amount) }
            }
            ["burns", amount, asset] => Verb::Burn { code: code(asset), amount: self.amount(amount) },
            ["creates", asset, "scale", scale, "cap", cap] => Verb::CreateAsset {
                code: code(asset),
                scale: scale.parse().expect("a scale"),
                supply_cap: self.amount(cap),
            },
            ["fills", "faucet", amount] => Verb::FundFaucet { amount: self.amount(amount) },
            ["announces", "policy", "in", time, settings @ ..] => {
                let world = &self.worlds[self.here];
                let policy = Policy { version: 2, ..policy() };
                let effective_at_ms = world.now_ms + self.time(time);
                Verb::SetPolicy { effective_at_ms, policy: self.policy(policy, settings) }
            }
            ["pays", ..] => self.agent_verb("operator", words),
            ["admits", rule @ ..] => self.export(rule, false),
            ["withdraws", rule @ ..] => self.export(rule, true),
            _ => self.fail("no such verb"),
        }
    }

    /// `DOMAIN|everyone in|out|both [agent WHO] [for CAPABILITY]`
    fn export(&self, words: &[&str], withdrawn: bool) -> Verb {
        let [audience, direction, rest @ ..] = words else { self.fail("DOMAIN DIRECTION") };
        let rule = ExportRule {
            audience: match *audience {
                "everyone" => Audience::Everyone,
                name => Audience::Peer(domain_of(name)),
            },
            agent: word_after(rest, "agent").map(agent_of),
            capability: word_after(rest, "for").map(|text| Capability::new(text).expect("a capability")),
            direction: Direction::named(direction).unwrap_or_else(|| self.fail("in, out or both")),
        };
        Verb::ChangeExport { rule, withdrawn, reason: Reason::new("the pilot").expect("a reason") }
    }

    /// `AMOUNT ASSET to PAYEE[:BPS],... deliver +T [grace +T] [review +T] [on-silence X] [arbiter WHO] [ruling +T]
    /// [on-no-ruling X] [by CODE|WHO@DOMAIN] [parts A,B,...]`
    fn terms(&self, payer: &str, words: &[&str]) -> EscrowTerms {
        let [amount, asset, "to", payees, rest @ ..] = words else { self.fail("terms: AMOUNT ASSET to PAYEES") };
        let now_ms = self.worlds[self.here].now_ms;
        let time = |word: &str, default: u64| word_after(rest, word).map_or(default, |text| self.time(text));
        let silence = |word: &str, default: Silence| word_after(rest, word).map_or(default, |text| self.silence(text));
        let payee = |text: &str| {
            let (who, bps) = text.split_once(':').unwrap_or((text, "10000"));
            let key = key_of(who.split('@').next().unwrap_or(who)).public();
            Payee { party: self.party(who), key, share_bps: bps.parse().expect("basis points") }
        };
        let arbiter = |who: &str| {
            let key = key_of(who.split('@').next().unwrap_or(who)).public();
            Arbiter { party: self.party(who), key }
        };
        let parts = word_after(rest, "parts").map(|text| text.split(',').map(|part| self.amount(part)).collect());
        EscrowTerms {
            payer: agent_of(word_after(rest, "payer").unwrap_or(payer)),
            payees: payees.split(',').filter(|text| !text.is_empty() && *text != "nobody").map(payee).collect(),
            asset: self.asset(asset),
            amount: self.amount(amount),
            task_hash: hash_of("task"),
            condition: Condition::new("").expect("empty"),
            deliver_by_ms: now_ms + time("deliver", 3_600_000),
            delivery_grace_ms: time("grace", 0),
            review_window_ms: time("review", 3_600_000),
            on_silence: silence("on-silence", Silence::Release),
            arbiter: word_after(rest, "arbiter").map(arbiter),
            ruling_window_ms: time("ruling", 3_600_000),
            on_no_ruling: silence("on-no-ruling", Silence::Refund),
            referred_by: self.referral(rest),
            milestones: parts.unwrap_or_default(),
        }
    }

    /// `by CODE`, or `by WHO@DOMAIN`.
    fn referral(&self, words: &[&str]) -> Option<Referral> {
        word_after(words, "by").map(|text| match text.contains('@') {
            true => Referral::Agent(self.party(text)),
            false => Referral::Code(ReferralCode::new(text).expect("a code")),
        })
    }

    fn silence(&self, text: &str) -> Silence {
        match text.split_once(':') {
            None if text == "release" => Silence::Release,
            None if text == "refund" => Silence::Refund,
            Some(("split", bps)) => Silence::Split { payee_bps: bps.parse().expect("basis points") },
            _ => self.fail("release, refund or split:BPS"),
        }
    }

    /// `bob` here, `bob@beta` there.
    fn party(&self, text: &str) -> Party {
        let home = self.worlds[self.here].name.clone();
        let (agent, domain) = text.split_once('@').unwrap_or((text, &home));
        Party { domain: domain_of(domain), agent: agent_of(agent) }
    }

    fn asset(&self, text: &str) -> AssetId {
        let home = self.worlds[self.here].name.clone();
        let (code, domain) = text.split_once('@').unwrap_or((text, &home));
        let issuer: DomainId = domain_of(domain);
        AssetId { issuer, code: AssetCode::new(code).expect("a code") }
    }

    fn amount(&self, text: &str) -> u64 {
        parse_amount(text, 6).unwrap_or_else(|e| self.fail(&e.to_string()))
    }

    /// `+90s`, `20m`, `2h`, `3d`, `1y`, `0s`.
    fn time(&self, text: &str) -> u64 {
        let text = text.trim_start_matches('+');
        let (number, unit) = text.split_at(text.len().saturating_sub(1));
        let unit_ms = match unit {
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "y" => 365 * 86_400_000,
            _ => self.fail("a time is 90s, 20m, 2h, 3d or 1y"),
        };
        number.parse::<u64>().unwrap_or_else(|_| self.fail("a time is 90s, 20m, 2h, 3d or 1y")) * unit_ms
    }

    fn policy(&self, mut policy: Policy, settings: &[&str]) -> Policy {
        for setting in settings {
            let Some((name, value)) = setting.split_once('=') else { self.fail("a setting is NAME=VALUE") };
            let number = || value.parse::<u64>().expect("a number");
            match name {
                "version" => policy.version = number(),
                "escrow-fee" => policy.escrow_fee_bps = number() as u16,
                "grant" => policy.faucet_grant = self.amount(value),
                "claims-per-hour" => policy.faucet_claims_per_hour = number() as u32,
                "claims-per-token" => policy.faucet_claims_per_token = number() as u32,
                "stays-home" => policy.faucet_stays_home = value == "yes",
                "name-fee" => policy.name_fee_per_year = self.amount(value),
                "bond" => policy.dispute_bond = self.amount(value),
                _ => self.fail("no such setting"),
            }
        }
        policy
    }
}

fn word_after<'a>(words: &[&'a str], word: &str) -> Option<&'a str> {
    words.iter().position(|known| *known == word).and_then(|at| words.get(at + 1)).copied()
}

#[test]
fn an_outcome_is_printed_by_its_name() {
    let (played, given) = play("inline", "pulse\n-> wrong\ngenesis\n");
    assert_eq!(given, BTreeSet::from([Outcome::NotInitialized, Outcome::Created]));
    assert_eq!(played, format!("pulse\n-> {}\ngenesis\n-> {}\n", Outcome::NotInitialized, Outcome::Created));
}
