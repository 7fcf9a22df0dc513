//! Who takes part: domains with their keys, agents with theirs, and the first entry of every ledger.
//!
//! Keys follow from numbers, so the same cast has the same ids on every machine.

use bytes::Bytes;
use comity_ledger::{CheckedItem, check};
use comity_proto::{
    amount::{AssetCode, AssetId},
    command::{Actor, Command, CommandBatch, Party, Verb},
    entry::EntryItem,
    envelope::Signed as _,
    export::{Audience, ExportRule},
    identity::{Genesis, Roster},
    ids::{AgentId, DomainId, Hash, RequestId},
    keys::SecretKey,
    policy::Policy,
    text::{Nickname, Reason},
    treaty::{ExposureCap, TreatyDocument, TreatyNotice, TreatyParty, TreatyStanding},
};

/// Wall time at which every universe of this kind begins, ms since the Unix epoch.
pub const START_MS: u64 = 1_800_000_000_000;
/// What every agent starts with, minor units of its own domain's asset.
pub const FUNDS: u64 = 10_000_000;
/// How much of another domain's paper a domain accepts, minor units.
pub const CAP: u64 = 20_000_000;
/// How long a command counts, ms: longer than any client asks again.
const VALID_MS: u64 = 600_000;

/// One agent.
pub struct Agent {
    /// Signs for it.
    pub key: SecretKey,
    /// Its id.
    pub id: AgentId,
}

/// One domain, as its operator holds it.
pub struct Founded {
    /// Its id.
    pub id: DomainId,
    /// Certifies rosters and signs the operator's commands.
    pub root: SecretKey,
    /// One key per replica.
    pub voters: Vec<SecretKey>,
    /// Those keys, public.
    pub roster: Roster,
    /// The same, signed by the domain.
    pub roster_bytes: Bytes,
    /// Agents at home here.
    pub agents: Vec<Agent>,
}

/// Everybody.
pub struct Cast {
    /// The domains.
    pub domains: Vec<Founded>,
    policy: Policy,
    signed: bool,
}

fn key(role: &str, domain: usize, number: usize) -> SecretKey {
    let parts = [role.as_bytes(), &(domain as u64).to_be_bytes(), &(number as u64).to_be_bytes()];
    SecretKey::from_seed(&Hash::of_parts("comity/v1/sim/key", &parts).0)
}

impl Cast {
    /// Domains with so many replicas each, and `agents` agents in each. With `signed` every command and message carries
    /// its signature and is opened by the ledger's own check; without, signatures are believed.
    pub fn new(replicas: &[usize], agents: usize, signed: bool) -> Cast {
        let domains = replicas.iter().enumerate().map(|(domain, count)| {
            let root = key("root", domain, 0);
            let id = DomainId::of_key(&root.public());
            let voters: Vec<SecretKey> = (0..*count).map(|number| key("voter", domain, number)).collect();
            let mut listed: Vec<_> = voters.iter().map(SecretKey::public).collect();
            listed.sort();
            let roster = Roster { domain: id, epoch: 1, voters: listed, seats: vec![] };
            let agents = (0..agents).map(|number| {
                let key = key("agent", domain, number);
                Agent { id: AgentId::of_key(&key.public()), key }
            });
            Founded { id, roster_bytes: roster.seal(&root), roster, voters, agents: agents.collect(), root }
        });
        let policy = Policy {
            faucet_grant: 0,
            dispute_bond: 1_000,
            decide_within_ms: 10_000,
            ..comity_node::founding::first_policy()
        };
        Cast { domains: domains.collect(), policy, signed }
    }

    /// Whether signatures are made and judged.
    pub fn signed(&self) -> bool {
        self.signed
    }

    /// Which domain has this id.
    pub fn index_of(&self, id: &DomainId) -> Option<usize> {
        self.domains.iter().position(|domain| domain.id == *id)
    }

    /// The money of a domain.
    pub fn asset(&self, domain: usize) -> AssetId {
        // Three capital letters are a code.
        AssetId { issuer: self.domains[domain].id, code: AssetCode::new("USD").expect("a code") }
    }

    /// An agent with its home.
    pub fn party(&self, domain: usize, agent: usize) -> Party {
        let home = &self.domains[domain];
        Party { domain: home.id, agent: home.agents[agent].id }
    }

    /// The treaty of two domains, signed by both, as the operator of `domain` brings it into its ledger.
    pub fn treaty(&self, domain: usize, peer: usize) -> Verb {
        let part = |own: usize, other: usize| TreatyParty {
            key: self.domains[own].root.public(),
            nickname: nickname("domain", own),
            caps: vec![ExposureCap { asset: self.asset(other), cap: CAP, majority_above: None }],
            policy: self.policy.digest(),
        };
        let document = TreatyDocument::between(part(domain, peer), part(peer, domain), None);
        let (own, other) = (&self.domains[domain], &self.domains[peer]);
        Verb::ApproveTreaty {
            document: document.seal(&own.root),
            countersigned: document.seal(&other.root),
            roster: other.roster_bytes.clone(),
        }
    }

    /// The operator of `domain` suspends the treaty with `peer`, or resumes it. `serial` only rises.
    pub fn change(&self, domain: usize, peer: usize, active: bool, serial: u64) -> Verb {
        let own = &self.domains[domain];
        let notice = TreatyNotice {
            from: own.id,
            to: self.domains[peer].id,
            serial,
            standing: if active { TreatyStanding::Active } else { TreatyStanding::Suspended },
            denies: None,
            reason: Reason::new("").expect("an empty reason"),
        };
        Verb::ChangeTreaty { notice: notice.seal(&own.root) }
    }

    /// A command to the ledger of `domain` by an agent (its home and number) or, without one, by the operator.
    pub fn command(
        &self,
        domain: usize,
        agent: Option<(usize, usize)>,
        request: u64,
        now_ms: u64,
        verb: Verb,
    ) -> CheckedItem {
        let home = &self.domains[domain];
        let (actor, key) = match agent {
            Some((at, number)) => {
                let agent = &self.domains[at].agents[number];
                (Actor::Agent(agent.id), &agent.key)
            }
            None => (Actor::Operator, &home.root),
        };
        let mut id = [0; 16];
        id[..8].copy_from_slice(&request.to_be_bytes());
        let commands = vec![Command { request_id: RequestId(id), verb }];
        let batch = CommandBatch { home: home.id, actor, valid_until_ms: now_ms + VALID_MS, commands };
        if self.signed {
            check(&EntryItem::Commands(batch.seal(key)))
        } else {
            CheckedItem::unsigned(key.public(), batch)
        }
    }

    /// The first entry of a domain: its genesis, treaties with all others, agents with money.
    pub fn first_entry(&self, domain: usize) -> Vec<CheckedItem> {
        let home = &self.domains[domain];
        let genesis = Genesis {
            domain: home.id,
            domain_key: home.root.public(),
            nickname: nickname("domain", domain),
            operator_key: home.root.public(),
            asset_code: self.asset(domain).code,
            asset_scale: 6,
            supply_cap: 1_000_000_000_000,
            policy: self.policy.clone(),
            roster: home.roster_bytes.clone(),
            incarnation: 1,
        };
        let mut items = vec![check(&EntryItem::Genesis(genesis.seal(&home.root)))];
        let mut request = u64::MAX;
        let mut ask = |agent, verb| {
            request -= 1;
            self.command(domain, agent, request, START_MS, verb)
        };
        let peers = (0..self.domains.len()).filter(|peer| *peer != domain);
        items.extend(peers.map(|peer| ask(None, self.treaty(domain, peer))));
        // The text is empty, which every reason may be.
        if let Ok(reason) = Reason::new("") {
            let rule = ExportRule::all(Audience::Everyone);
            items.push(ask(None, Verb::ChangeExport { rule, withdrawn: false, reason }));
        }
        for (number, agent) in home.agents.iter().enumerate() {
            let nickname = nickname("agent", number);
            let verb = Verb::register(nickname);
            items.push(ask(Some((domain, number)), verb));
            let code = self.asset(domain).code;
            items.push(ask(None, Verb::Issue { code, to: Some(agent.id), amount: FUNDS }));
        }
        items
    }
}

fn nickname(kind: &str, number: usize) -> Nickname {
    // Letters, a dash and digits, far below the limit.
    Nickname::new(&format!("{kind}-{number}")).expect("a nickname")
}
