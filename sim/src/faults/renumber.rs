//! A fault in a universe whose hosts have other numbers.
//!
//! Faults are looked at as data, so that a new kind needs nothing here but names of fields that are used already.

use serde_json::{Map, Value};

use super::Fault;
use crate::world::HostId;

/// What a number in a fault is the number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// A host.
    Host,
    /// A domain.
    Domain,
}

/// Fields of faults that hold a host's number, or several.
const HOSTS: [&str; 8] = ["host", "from", "to", "one", "other", "bridge", "clog", "free"];
/// Fields of faults that hold a domain's number.
const DOMAINS: [&str; 3] = ["domain", "peer", "leader_of"];

impl Number {
    /// What the field `key` of a fault's `members` holds; `None` when it holds something else.
    pub(crate) fn at(members: &Map<String, Value>, key: &str) -> Option<Number> {
        match key {
            "side" if members.get("kind").is_some_and(|kind| kind == "split-domains") => Some(Number::Domain),
            "side" => Some(Number::Host),
            _ if HOSTS.contains(&key) => Some(Number::Host),
            _ if DOMAINS.contains(&key) => Some(Number::Domain),
            _ => None,
        }
    }
}

impl Fault {
    /// The same fault after hosts and domains got other numbers; `None` where one that it needs is gone, or where the
    /// two that it parts have become one.
    pub fn renumbered(
        &self,
        host: &dyn Fn(HostId) -> Option<HostId>,
        domain: &dyn Fn(usize) -> Option<usize>,
    ) -> Option<Fault> {
        let number = |of: Number, old: u64| match of {
            Number::Host => host(HostId::try_from(old).ok()?).map(u64::from),
            Number::Domain => domain(usize::try_from(old).ok()?).map(|new| new as u64),
        };
        let mut value = serde_json::to_value(self).ok()?;
        let members = value.as_object_mut()?;
        renumber(members, &number)?;
        for (one, other) in [("from", "to"), ("one", "other"), ("domain", "peer")] {
            if members.get(one).is_some_and(|one| members.get(other) == Some(one)) {
                return None;
            }
        }
        serde_json::from_value(value).ok()
    }
}

fn renumber(members: &mut Map<String, Value>, number: &dyn Fn(Number, u64) -> Option<u64>) -> Option<()> {
    let keys: Vec<String> = members.keys().cloned().collect();
    for key in keys {
        let of = Number::at(members, &key);
        match (members.get_mut(&key)?, of) {
            (Value::Object(inner), _) => renumber(inner, number)?,
            (Value::Array(list), Some(of)) => {
                let mut kept: Vec<u64> = Vec::new();
                for new in list.iter().filter_map(|old| number(of, old.as_u64()?)) {
                    if !kept.contains(&new) {
                        kept.push(new);
                    }
                }
                if kept.is_empty() {
                    return None;
                }
                *list = kept.into_iter().map(Value::from).collect();
            }
            (value, Some(of)) => {
                // A part that somebody plays has no number.
                if let Some(old) = value.as_u64() {
                    *value = number(of, old)?.into();
                }
            }
            (_, None) => {}
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::{Keep, Part, Who};

    /// Host 0 is gone, the others move up; domain 1 becomes domain 0.
    fn moved(fault: Fault) -> Option<Fault> {
        fault.renumbered(&|host| host.checked_sub(1), &|domain| domain.checked_sub(1))
    }

    #[test]
    fn numbers_move_and_parts_stay() {
        assert_eq!(moved(Fault::OneWay { from: 1, to: 3 }), Some(Fault::OneWay { from: 0, to: 2 }));
        assert_eq!(moved(Fault::Partition { side: vec![0, 2] }), Some(Fault::Partition { side: vec![1] }));
        assert_eq!(moved(Fault::SplitDomains { side: vec![1] }), Some(Fault::SplitDomains { side: vec![0] }));
        let crash = |host| Fault::Crash { host, keeps: Keep::Nothing };
        assert_eq!(moved(crash(Who::Leader { leader_of: 1 })), Some(crash(Who::Leader { leader_of: 0 })));
        let part = crash(Who::Part(Part::OriginLeader));
        assert_eq!(moved(part.clone()), Some(part));
        assert_eq!(moved(Fault::Burst { factor: 9 }), Some(Fault::Burst { factor: 9 }));
    }

    #[test]
    fn a_fault_of_nobody_or_between_one_host_and_itself_is_gone() {
        assert_eq!(moved(Fault::Crash { host: Who::Host(0), keeps: Keep::Nothing }), None);
        assert_eq!(moved(Fault::Partition { side: vec![0] }), None);
        assert_eq!(moved(Fault::LeaderCut { domain: 0 }), None);
        let folded = Fault::OneWay { from: 1, to: 2 }.renumbered(&|_| Some(0), &|domain| Some(domain));
        assert_eq!(folded, None);
    }
}
