//! The table of all kinds of faults, and of those that wait for a part of the node.

/// What a kind is about; the rows of the matrix that a simulator should fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Links between hosts.
    Network,
    /// What is said, and by whom.
    Message,
    /// Processes and machines.
    Process,
    /// Disks.
    Disk,
    /// Clocks and timers.
    Clock,
    /// A certain state of a settlement.
    Settlement,
    /// Another version of the program.
    Upgrade,
    /// Who takes part in a domain.
    Membership,
    /// What people do.
    Load,
    /// Somebody who lies.
    Byzantine,
}

impl Class {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Network => "network",
            Class::Message => "message",
            Class::Process => "process",
            Class::Disk => "disk",
            Class::Clock => "clock",
            Class::Settlement => "settlement",
            Class::Upgrade => "upgrade",
            Class::Membership => "membership",
            Class::Load => "load",
            Class::Byzantine => "byzantine",
        }
    }
}

/// One kind of fault.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name, as in scenarios and reports.
    pub name: &'static str,
    /// What it is about.
    pub class: Class,
    /// What it does.
    pub does: &'static str,
    /// Where it acts.
    pub at: &'static str,
}

const fn kind(name: &'static str, class: Class, does: &'static str, at: &'static str) -> Kind {
    Kind { name, class, does, at }
}

use Class::{Byzantine, Clock, Disk, Load, Membership, Message, Network, Process, Settlement, Upgrade};

/// All kinds that can be drawn and scripted.
#[rustfmt::skip]
pub const KINDS: &[Kind] = &[
    kind("partition", Network, "two sides, nothing passes between them", "links"),
    kind("isolate", Network, "one host reaches nobody and is reached by nobody", "links"),
    kind("split-domains", Network, "some domains on one side, the others on the other", "links"),
    kind("bridge", Network, "two sides that only one host reaches both of", "links"),
    kind("one-way", Network, "nothing passes from one host to another, the way back is open", "links"),
    kind("leader-cut", Network, "whoever leads a domain is cut off from it, and so is its successor", "links"),
    kind("flap", Network, "a link goes down and up again and again", "links"),
    kind("swizzle", Network, "hosts are cut off one by one and freed in another order", "links"),
    kind("clog", Network, "one way of a link becomes narrow", "links"),
    kind("spike", Network, "everything to and from a host takes much longer", "links"),
    kind("slow-pair", Network, "two hosts are far apart until everything is healed", "links"),
    kind("loss", Network, "packets of a host are lost and sent again", "links"),
    kind("split-reads", Network, "what arrives falls into small pieces", "pipe"),
    kind("corrupt", Network, "bits are turned over on the way; noise must notice", "links"),
    kind("reset", Network, "all connections between two hosts are reset", "pipe"),
    kind("black-hole", Network, "new connections to and from a host hear nothing, old ones go on", "dial"),
    kind("crash", Process, "power cut, unflushed bytes are lost", "executor, disk"),
    kind("outage", Process, "power cut for half a minute and longer", "executor, disk"),
    kind("kill", Process, "the process ends, the machine closes its connections and keeps its writes", "executor"),
    kind("start-crash", Process, "power cut again and again while the node starts", "executor, disk"),
    kind("leader-crash", Process, "power cut of whoever leads a domain", "executor, disk"),
    kind("site-outage", Process, "power cut of a whole domain", "executor, disk"),
    kind("pause", Process, "the process stands still, its clocks go on", "executor"),
    kind("slow-core", Process, "every step of a host's tasks takes time", "executor"),
    kind("restart", Process, "the node is asked to stop and started again", "node"),
    kind("crash-kept", Disk, "power cut that leaves everything written, flushed or not", "disk"),
    kind("crash-prefix", Disk, "power cut that leaves the first of the unflushed bytes, cut inside a sector", "disk"),
    kind("crash-sectors", Disk, "power cut that leaves a drawn part of the unflushed sectors", "disk"),
    kind("slow-disk", Disk, "flushes take much longer", "disk"),
    kind("stalled-disk", Disk, "no flush ends", "disk"),
    kind("failed-flush", Disk, "a flush fails: the node must end and come back", "disk"),
    kind("full-disk", Disk, "no space is left: the node must end and come back when there is", "disk"),
    kind("read-errors", Disk, "reads fail while the node starts again", "disk"),
    kind("lying-disk", Disk, "flushes are answered without being done, then the power is cut", "disk, atlas"),
    kind("bit-rot", Disk, "a bit of a file turns over; the node is replaced if it cannot start", "disk, atlas"),
    kind("misdirected-write", Disk, "a sector is written over another one; replaced if it cannot start", "disk, atlas"),
    kind("phantom-write", Disk, "a sector that was written is not there; replaced if it cannot start", "disk, atlas"),
    kind("old-backup", Disk, "a follower comes back with an older copy of its disk, while all others hold what is newer", "disk, atlas"),
    kind("wiped-disk", Disk, "a machine loses its disk and joins again as another node", "disk, operator"),
    kind("restored-domain", Disk, "a whole domain loses its disks and comes back from a snapshot, fenced", "disk, operator"),
    kind("older-copy", Disk, "a whole domain of one comes back with an older copy of its disk, for a while", "disk"),
    kind("drift", Clock, "a host's clocks run fast or slow", "clock"),
    kind("wall-step", Clock, "a host's wall clock is stepped by seconds to an hour and back", "clock"),
    kind("wall-jump", Clock, "a host's wall clock is days ahead or behind", "clock"),
    kind("wall-freeze", Clock, "a host's wall clock stands still", "clock"),
    kind("clock-lost", Clock, "power cut, then a start with an earlier wall clock", "clock, executor"),
    kind("start-skew", Clock, "a host's wall clock is off from its first start", "clock"),
    kind("late-timers", Clock, "all timers of a host fire late", "timers"),
    kind("starve", Clock, "a host's tasks run only when nobody else can", "executor"),
    kind("origin-crash", Settlement, "power cut of the payer's leader when a state is seen", "log notices"),
    kind("participant-crash", Settlement, "power cut of the payee's leader when a state is seen", "log notices"),
    kind("cut-between", Settlement, "the two domains are cut apart when a state is seen", "log notices"),
    kind("settlement-pause", Settlement, "the host that reached a state stands still right then", "log notices"),
    kind("replay", Message, "signed settlement words are said again, in any order", "adversary"),
    kind("forged", Byzantine, "settlement words with a bit turned over, or signed by a node without a vote", "adversary"),
    kind("false-commit", Byzantine, "a stolen voter's key commits transfers that nobody voted on", "adversary"),
    kind("no-treaty", Byzantine, "a domain without a treaty asks for votes", "adversary"),
    kind("wrong-domain", Byzantine, "a certificate of the domain that another key signed", "adversary"),
    kind("flood", Byzantine, "card after card of agents that nobody knows", "adversary"),
    kind("garbage", Message, "bytes without meaning on every class of streams and on bare connections", "adversary"),
    kind("twin", Byzantine, "a voter's key and certificate in two places at once", "adversary"),
    kind("old-card", Message, "an agent's old card is gossiped after its new one", "adversary"),
    kind("stolen-key", Byzantine, "a certified key is stolen, and goes on when its domain has taken the certificate back", "adversary, operator"),
    kind("two-decisions", Byzantine, "a stolen voter's key signs the opposite of what its domain has decided", "adversary"),
    kind("rolling-restart", Upgrade, "all nodes of a domain are stopped and started one after the other", "node"),
    kind("replace-voter", Membership, "a voter is stopped, removed, and joins again as another node", "operator"),
    kind("remove-voter", Membership, "a voter is removed while it runs, then joins again as another node", "operator"),
    kind("snapshot", Membership, "a snapshot is made now, and the log behind it purged", "replica"),
    kind("churn", Membership, "whoever leads a domain stands still until another one leads, again and again", "executor"),
    kind("treaty-suspended", Membership, "an operator suspends a treaty, and resumes it later", "operator"),
    kind("treaty-race", Membership, "both operators suspend their treaty at once, and resume it at once", "operator"),
    kind("unpeer-in-doubt", Membership, "an operator drains a treaty for good while transfers are in doubt", "operator"),
    kind("treaty-revoked", Membership, "an operator leaves a treaty for good under load", "operator"),
    kind("licence-suspended", Membership, "an operator suspends the licence of a peer, and lets it be active again later", "operator"),
    kind("export-withdrawn", Message, "an operator takes back what admits everybody, and admits them again later", "operator"),
    kind("operator-key-rotated", Membership, "an operator takes another key, with overlap", "operator"),
    kind("root-key-rotated", Membership, "a domain's root key changes under load, and each node's certificate with it", "operator, node"),
    kind("node-key-rotated", Membership, "a voter takes another key and keeps its place", "operator, node"),
    kind("burst", Load, "many times the load", "workload"),
    kind("hot-account", Load, "everybody pays one account", "workload"),
    kind("idle", Load, "nobody asks for anything", "workload"),
    kind("silence", Load, "agents do not answer: escrows run into their deadlines", "workload"),
];

/// Kinds that happen only where a scenario names them: nothing takes them back, or they change what else would be seen of
/// trade for as long as they last.
pub const NAMED: [&str; 11] = [
    "unpeer-in-doubt",
    "treaty-revoked",
    "stolen-key",
    "two-decisions",
    "older-copy",
    "restored-domain",
    "licence-suspended",
    "export-withdrawn",
    "operator-key-rotated",
    "root-key-rotated",
    "node-key-rotated",
];

/// A kind that cannot be done yet.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub class: Class,
    /// What it will do.
    pub does: &'static str,
    /// Which part of the node unlocks it.
    pub waits_for: &'static str,
}

const fn waiting(name: &'static str, class: Class, does: &'static str, waits_for: &'static str) -> Waiting {
    Waiting { name, class, does, waits_for }
}

/// Kinds that wait for a part of the node.
#[rustfmt::skip]
pub const WAITING: &[Waiting] = &[
    waiting("false-suspicion", Byzantine, "a member spreads suspicion of one that is well", "certified members among the adversaries"),
    waiting("mixed-versions", Upgrade, "nodes of two versions in one domain", "a second version of the protocol"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_kind_has_its_own_name() {
        let names: BTreeSet<&str> =
            KINDS.iter().map(|kind| kind.name).chain(WAITING.iter().map(|kind| kind.name)).collect();
        assert_eq!(names.len(), KINDS.len() + WAITING.len());
    }
}
