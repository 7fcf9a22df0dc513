//! What a parser cannot know: names that must exist, numbers that must make sense together.

use super::{Scenario, library::nearest};
use crate::faults::{self, Number};

/// One step of the way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Of a table.
    Key(String),
    /// Of an array, from 0.
    At(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Step {
        Step::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(at: usize) -> Step {
        Step::At(at)
    }
}

/// A rule that is broken, and the way to the value that breaks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) path: Vec<Step>,
    pub(super) what: String,
    pub(super) help: Option<String>,
}

macro_rules! path {
    ($($step:expr),+) => { vec![$(Step::from($step)),+] };
}

fn wrong<T>(path: Vec<Step>, what: String, help: &str) -> Result<T, Wrong> {
    Err(Wrong { path, what, help: (!help.is_empty()).then(|| help.to_owned()) })
}

/// How many nodes a domain may have.
const SIZES: [usize; 3] = [1, 3, 5];
/// A universe of a month says nothing that one of three days does not.
const LONGEST_S: u64 = 31 * 24 * 3_600;

/// The first rule that a scenario breaks.
pub(super) fn check(scenario: &Scenario) -> Result<(), Wrong> {
    reaches(scenario)?;
    claims(scenario)?;
    domains(scenario)?;
    links(scenario)?;
    gateways(scenario)?;
    rates(scenario)?;
    timing(scenario)?;
    script(scenario)
}

fn reaches(scenario: &Scenario) -> Result<(), Wrong> {
    for (at, reached) in scenario.reaches.iter().enumerate() {
        match reached.split_once(':') {
            Some(("fault", kind)) => is_kind(path!["reaches", at], kind)?,
            Some(_) => {}
            None => {
                let what = format!("{reached} is nothing that a record counts");
                return wrong(path!["reaches", at], what, "write group:name, as in fault:crash");
            }
        }
    }
    Ok(())
}

fn claims(scenario: &Scenario) -> Result<(), Wrong> {
    let known = crate::oracles::all();
    let names = || known.iter().map(|oracle| oracle.name());
    for (at, claim) in scenario.claims.iter().enumerate() {
        if !names().any(|name| name == claim) {
            let help = match nearest(claim, names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the claims are {}", names().collect::<Vec<_>>().join(", ")),
            };
            return wrong(path!["claims", at], format!("no claim is called {claim}"), &help);
        }
    }
    Ok(())
}

/// Whether there is a fault of this name.
fn is_kind(path: Vec<Step>, kind: &str) -> Result<(), Wrong> {
    let names = faults::KINDS.iter().map(|kind| kind.name);
    if names.clone().any(|name| name == kind) {
        return Ok(());
    }
    let help = match nearest(kind, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the kinds are {}", names.collect::<Vec<_>>().join(", ")),
    };
    wrong(path, format!("no fault is called {kind}"), &help)
}

fn domains(scenario: &Scenario) -> Result<(), Wrong> {
    if scenario.domains.is_empty() {
        return wrong(path!["domains"], "there is no domain".to_owned(), "name at least one");
    }
    for (at, domain) in scenario.domains.iter().enumerate() {
        if comity_proto::text::Nickname::new(&domain.name).is_err() {
            let what = format!("{:?} is no name for a domain", domain.name);
            return wrong(path!["domains", at, "name"], what, "use lower-case letters, digits and dashes");
        }
        if scenario.domains[..at].iter().any(|other| other.name == domain.name) {
            return wrong(path!["domains", at, "name"], format!("two domains are called {}", domain.name), "");
        }
        if !SIZES.contains(&domain.nodes) {
            let what = format!("a domain of {} nodes cannot be founded", domain.nodes);
            return wrong(path!["domains", at, "nodes"], what, "write 1, 3 or 5");
        }
    }
    Ok(())
}

fn links(scenario: &Scenario) -> Result<(), Wrong> {
    for (at, link) in scenario.links.iter().enumerate() {
        for (end, name) in link.between.iter().enumerate() {
            is_domain(scenario, path!["links", at, "between", end], name)?;
        }
    }
    Ok(())
}

fn gateways(scenario: &Scenario) -> Result<(), Wrong> {
    for (at, gateway) in scenario.gateways.iter().enumerate() {
        is_domain(scenario, path!["gateways", at, "domain"], &gateway.domain)?;
        for (end, name) in gateway.between.iter().enumerate() {
            is_domain(scenario, path!["gateways", at, "between", end], name)?;
        }
        let [domain, one, other] = gateway.names();
        if domain == one || domain == other || one == other {
            let what = "a gateway stands between two other domains".to_owned();
            return wrong(path!["gateways", at], what, "name three domains");
        }
    }
    Ok(())
}

/// Whether there is a domain of this name.
fn is_domain(scenario: &Scenario, path: Vec<Step>, name: &str) -> Result<(), Wrong> {
    let names = scenario.domains.iter().map(|domain| domain.name.as_str());
    if names.clone().any(|known| known == name) {
        return Ok(());
    }
    let help = match nearest(name, names.clone()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("the domains are {}", names.collect::<Vec<_>>().join(", ")),
    };
    wrong(path, format!("no domain is called {name}"), &help)
}

fn rates(scenario: &Scenario) -> Result<(), Wrong> {
    let (load, chaos) = (&scenario.load, &scenario.chaos);
    for (table, key, rate) in [
        ("load", "per_second", load.per_second),
        ("load", "cards_per_second", load.cards_per_second),
        ("chaos", "strength", chaos.strength),
    ] {
        if !rate.is_finite() || rate < 0.0 {
            return wrong(path![table, key], format!("{key} is {rate}"), "write 0 or more");
        }
    }
    let shares = [
        ("load", "across", load.across),
        ("load", "third", load.third),
        ("load", "escrows", load.escrows),
        ("chaos", "share", chaos.share),
    ];
    for (table, key, share) in shares {
        if !(0.0..=1.0).contains(&share) {
            return wrong(path![table, key], format!("{key} is {share}"), "write a share between 0 and 1");
        }
    }
    if load.third > 0.0 && scenario.domains.len() < 3 {
        let what = format!("third is {} and there are {} domains", load.third, scenario.domains.len());
        return wrong(path!["load", "third"], what, "name at least three domains, or leave it out");
    }
    chaos.kinds.iter().enumerate().try_for_each(|(at, kind)| is_kind(path!["chaos", "kinds", at], kind))
}

fn timing(scenario: &Scenario) -> Result<(), Wrong> {
    let (raft, phases) = (scenario.raft, scenario.phases);
    if raft.heartbeat_ms == 0
        || raft.election_min_ms < raft.heartbeat_ms.saturating_mul(2)
        || raft.election_max_ms <= raft.election_min_ms
    {
        let what = format!(
            "heartbeats of {} ms with elections after {} to {} ms",
            raft.heartbeat_ms, raft.election_min_ms, raft.election_max_ms
        );
        return wrong(path!["raft"], what, "0 < heartbeat_ms * 2 <= election_min_ms < election_max_ms");
    }
    let total = [phases.warm_s, phases.chaos_s, phases.quiet_s, phases.core_s, phases.heal_s];
    let total = total.into_iter().fold(0_u64, u64::saturating_add);
    if total == 0 || total > LONGEST_S {
        let what = format!("the phases last {total} s together");
        return wrong(path!["phases"], what, &format!("between 1 and {LONGEST_S}"));
    }
    Ok(())
}

fn script(scenario: &Scenario) -> Result<(), Wrong> {
    let end_ms = scenario.length_ms();
    for (at, scripted) in scenario.script.iter().enumerate() {
        if scripted.at_ms >= end_ms {
            let what = format!("a fault at {} ms comes after the end", scripted.at_ms);
            return wrong(path!["script", at, "at_ms"], what, &format!("the universe ends at {end_ms} ms"));
        }
        let fault = serde_json::to_value(&scripted.fault).unwrap_or_default();
        numbers(scenario, &mut path!["script", at, "fault"], &fault)?;
    }
    Ok(())
}

/// Every number of a host or a domain in a fault exists. Faults are looked at as data, so that a new kind is checked too.
fn numbers(scenario: &Scenario, path: &mut Vec<Step>, value: &serde_json::Value) -> Result<(), Wrong> {
    match value {
        serde_json::Value::Object(members) => {
            for (key, value) in members {
                path.push(Step::Key(key.clone()));
                match Number::at(members, key) {
                    Some(Number::Host) => exists(scenario, path, value, true)?,
                    Some(Number::Domain) => exists(scenario, path, value, false)?,
                    None => {}
                }
                numbers(scenario, path, value)?;
                path.pop();
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn exists(scenario: &Scenario, path: &mut Vec<Step>, value: &serde_json::Value, of_host: bool) -> Result<(), Wrong> {
    if let Some(members) = value.as_array() {
        for (at, member) in members.iter().enumerate() {
            path.push(Step::At(at));
            exists(scenario, path, member, of_host)?;
            path.pop();
        }
    }
    let (what, count) = if of_host { ("host", scenario.hosts()) } else { ("domain", scenario.domains.len() as u64) };
    match value.as_u64() {
        Some(number) if number >= count => {
            let help = format!("{what}s are numbered from 0 to {}", count - 1);
            wrong(path.clone(), format!("there is no {what} {number}"), &help)
        }
        _ => Ok(()),
    }
}
