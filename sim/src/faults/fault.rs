//! The faults, as data.

use serde::{Deserialize, Serialize};

use super::who::Who;
use crate::{adversary::Play, world::HostId};

/// One fault. Hosts and domains are numbers in the universe, from 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are named as in the kinds' table, which says what each fault does")]
pub enum Fault {
    Partition {
        side: Vec<HostId>,
    },
    Isolate {
        host: Who,
    },
    SplitDomains {
        side: Vec<usize>,
    },
    Bridge {
        bridge: HostId,
        side: Vec<HostId>,
    },
    OneWay {
        from: HostId,
        to: HostId,
    },
    LeaderCut {
        domain: usize,
    },
    CutBetween {
        one: Who,
        other: Who,
    },
    Flap {
        one: HostId,
        other: HostId,
        every_ms: u64,
    },
    Swizzle {
        clog: Vec<HostId>,
        free: Vec<HostId>,
    },
    Clog {
        from: HostId,
        to: HostId,
        bytes_per_s: u64,
    },
    Spike {
        host: HostId,
        extra_ms: u64,
    },
    SlowPair {
        one: HostId,
        other: HostId,
        extra_ms: u64,
    },
    Loss {
        host: HostId,
        share: f64,
    },
    SplitReads {
        host: HostId,
        share: f64,
    },
    Corrupt {
        from: HostId,
        to: HostId,
        share: f64,
    },
    Reset {
        one: HostId,
        other: HostId,
    },
    BlackHole {
        host: HostId,
    },
    Crash {
        host: Who,
        #[serde(default)]
        keeps: Keep,
    },
    Outage {
        host: HostId,
    },
    Kill {
        host: Who,
    },
    StartCrash {
        host: HostId,
        after_ms: u64,
    },
    LeaderCrash {
        domain: usize,
        #[serde(default)]
        keeps: Keep,
    },
    SiteOutage {
        domain: usize,
        #[serde(default)]
        keeps: Keep,
    },
    Pause {
        host: Who,
    },
    SlowCore {
        host: HostId,
        poll_us: u64,
    },
    Restart {
        host: HostId,
    },
    RollingRestart {
        domain: usize,
    },
    SlowDisk {
        host: HostId,
        mean_us: u64,
    },
    StalledDisk {
        host: HostId,
    },
    FailedFlush {
        host: HostId,
    },
    FullDisk {
        host: HostId,
        spare_bytes: u64,
    },
    ReadErrors {
        host: HostId,
        share: f64,
    },
    LyingDisk {
        host: HostId,
    },
    BitRot {
        host: HostId,
    },
    MisdirectedWrite {
        host: HostId,
    },
    PhantomWrite {
        host: HostId,
    },
    OldBackup {
        host: HostId,
    },
    WipedDisk {
        host: HostId,
    },
    RestoreDomain {
        domain: usize,
        /// From the snapshot to the loss of all disks.
        after_ms: u64,
    },
    OlderCopy {
        host: HostId,
        after_ms: u64,
    },
    Drift {
        host: HostId,
        ppm: i64,
    },
    WallStep {
        host: HostId,
        by_ms: i64,
    },
    WallJump {
        host: HostId,
        hours: i64,
    },
    WallFreeze {
        host: HostId,
    },
    ClockLost {
        host: HostId,
        back_ms: u64,
    },
    StartSkew {
        host: HostId,
        by_ms: i64,
    },
    LateTimers {
        host: HostId,
        lag_ms: u64,
    },
    Starve {
        host: HostId,
    },
    Adversary {
        play: Play,
        domain: usize,
    },
    ReplaceVoter {
        host: HostId,
    },
    RemoveVoter {
        host: HostId,
    },
    Snapshot {
        host: Who,
    },
    Churn {
        domain: usize,
        every_ms: u64,
    },
    SuspendTreaty {
        domain: usize,
        peer: usize,
        /// The peer's operator does the same at the same moment.
        #[serde(default)]
        both: bool,
    },
    DrainTreaty {
        domain: usize,
        peer: usize,
    },
    RevokeTreaty {
        domain: usize,
        peer: usize,
    },
    SuspendLicence {
        domain: usize,
        peer: usize,
    },
    WithdrawExports {
        domain: usize,
    },
    RotateOperator {
        domain: usize,
    },
    RotateRoot {
        domain: usize,
    },
    RotateNode {
        host: HostId,
    },
    Burst {
        factor: u32,
    },
    HotAccount {},
    Idle {},
    Silence {},
}

/// What of the unflushed bytes a power cut leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Keep {
    /// Nothing.
    #[default]
    Nothing,
    /// Everything: as if flushed.
    Everything,
    /// The first so many bytes, cutting inside a sector if need be, and so many directory changes.
    Prefix {
        /// Bytes, in the order of writing.
        bytes: u64,
        /// Directory changes, oldest first.
        names: usize,
    },
    /// A drawn part of the sectors and so many directory changes.
    Sectors {
        /// Share that is kept.
        share: f64,
        /// Directory changes, oldest first.
        names: usize,
    },
}

impl Fault {
    /// The host whose disk no longer holds what was flushed to it, or is replaced by an empty one.
    pub fn takes_disk_of(&self) -> Option<HostId> {
        match self {
            Fault::OldBackup { host }
            | Fault::WipedDisk { host }
            | Fault::LyingDisk { host }
            | Fault::BitRot { host }
            | Fault::MisdirectedWrite { host }
            | Fault::PhantomWrite { host }
            | Fault::OlderCopy { host, .. }
            | Fault::RemoveVoter { host }
            | Fault::ReplaceVoter { host } => Some(*host),
            _ => None,
        }
    }

    /// The host whose disk refuses operations while it lasts: a program that keeps its promises must stop then.
    pub fn fails_disk_of(&self) -> Option<HostId> {
        match self {
            Fault::FailedFlush { host } | Fault::FullDisk { host, .. } | Fault::ReadErrors { host, .. } => Some(*host),
            _ => None,
        }
    }

    /// The name of its kind.
    // tidy: long because each kind has one line in this table, and the compiler asks for all of them
    pub fn kind(&self) -> &'static str {
        match self {
            Fault::Partition { .. } => "partition",
            Fault::Isolate { .. } => "isolate",
            Fault::SplitDomains { .. } => "split-domains",
            Fault::Bridge { .. } => "bridge",
            Fault::OneWay { .. } => "one-way",
            Fault::LeaderCut { .. } => "leader-cut",
            Fault::CutBetween { .. } => "cut-between",
            Fault::Flap { .. } => "flap",
            Fault::Swizzle { .. } => "swizzle",
            Fault::Clog { .. } => "clog",
            Fault::Spike { .. } => "spike",
            Fault::SlowPair { .. } => "slow-pair",
            Fault::Loss { .. } => "loss",
            Fault::SplitReads { .. } => "split-reads",
            Fault::Corrupt { .. } => "corrupt",
            Fault::Reset { .. } => "reset",
            Fault::BlackHole { .. } => "black-hole",
            Fault::Crash { keeps: Keep::Nothing, .. } => "crash",
            Fault::Crash { keeps: Keep::Everything, .. } => "crash-kept",
            Fault::Crash { keeps: Keep::Prefix { .. }, .. } => "crash-prefix",
            Fault::Crash { keeps: Keep::Sectors { .. }, .. } => "crash-sectors",
            Fault::Outage { .. } => "outage",
            Fault::Kill { .. } => "kill",
            Fault::StartCrash { .. } => "start-crash",
            Fault::LeaderCrash { .. } => "leader-crash",
            Fault::SiteOutage { .. } => "site-outage",
            Fault::Pause { .. } => "pause",
            Fault::SlowCore { .. } => "slow-core",
            Fault::Restart { .. } => "restart",
            Fault::RollingRestart { .. } => "rolling-restart",
            Fault::SlowDisk { .. } => "slow-disk",
            Fault::StalledDisk { .. } => "stalled-disk",
            Fault::FailedFlush { .. } => "failed-flush",
            Fault::FullDisk { .. } => "full-disk",
            Fault::ReadErrors { .. } => "read-errors",
            Fault::LyingDisk { .. } => "lying-disk",
            Fault::BitRot { .. } => "bit-rot",
            Fault::MisdirectedWrite { .. } => "misdirected-write",
            Fault::PhantomWrite { .. } => "phantom-write",
            Fault::OldBackup { .. } => "old-backup",
            Fault::WipedDisk { .. } => "wiped-disk",
            Fault::RestoreDomain { .. } => "restored-domain",
            Fault::OlderCopy { .. } => "older-copy",
            Fault::Drift { .. } => "drift",
            Fault::WallStep { .. } => "wall-step",
            Fault::WallJump { .. } => "wall-jump",
            Fault::WallFreeze { .. } => "wall-freeze",
            Fault::ClockLost { .. } => "clock-lost",
            Fault::StartSkew { .. } => "start-skew",
            Fault::LateTimers { .. } => "late-timers",
            Fault::Starve { .. } => "starve",
            Fault::Adversary { play, .. } => play.kind(),
            Fault::ReplaceVoter { .. } => "replace-voter",
            Fault::RemoveVoter { .. } => "remove-voter",
            Fault::Snapshot { .. } => "snapshot",
            Fault::Churn { .. } => "churn",
            Fault::SuspendTreaty { both: false, .. } => "treaty-suspended",
            Fault::SuspendTreaty { both: true, .. } => "treaty-race",
            Fault::DrainTreaty { .. } => "unpeer-in-doubt",
            Fault::RevokeTreaty { .. } => "treaty-revoked",
            Fault::SuspendLicence { .. } => "licence-suspended",
            Fault::WithdrawExports { .. } => "export-withdrawn",
            Fault::RotateOperator { .. } => "operator-key-rotated",
            Fault::RotateRoot { .. } => "root-key-rotated",
            Fault::RotateNode { .. } => "node-key-rotated",
            Fault::Burst { .. } => "burst",
            Fault::HotAccount {} => "hot-account",
            Fault::Idle {} => "idle",
            Fault::Silence {} => "silence",
        }
    }

    /// Whether it must be taken back before a core of these hosts is well. Faults of links count when they may part two
    /// of the core.
    pub fn touches(&self, core: &[HostId]) -> bool {
        let within = |host: &HostId| core.contains(host);
        match self {
            Fault::Partition { side } | Fault::Bridge { side, .. } => side.iter().any(within),
            Fault::Swizzle { clog, .. } => clog.iter().any(within),
            Fault::OneWay { from, to } | Fault::Clog { from, to, .. } | Fault::Corrupt { from, to, .. } => {
                within(from) && within(to)
            }
            Fault::Flap { one, other, .. } | Fault::SlowPair { one, other, .. } | Fault::Reset { one, other } => {
                within(one) && within(other)
            }
            Fault::Spike { host, .. }
            | Fault::Loss { host, .. }
            | Fault::SplitReads { host, .. }
            | Fault::BlackHole { host }
            | Fault::Outage { host }
            | Fault::StartCrash { host, .. }
            | Fault::SlowCore { host, .. }
            | Fault::Restart { host }
            | Fault::SlowDisk { host, .. }
            | Fault::StalledDisk { host }
            | Fault::FailedFlush { host }
            | Fault::FullDisk { host, .. }
            | Fault::ReadErrors { host, .. }
            | Fault::LyingDisk { host }
            | Fault::BitRot { host }
            | Fault::MisdirectedWrite { host }
            | Fault::PhantomWrite { host }
            | Fault::OldBackup { host }
            | Fault::WipedDisk { host }
            | Fault::Drift { host, .. }
            | Fault::WallStep { host, .. }
            | Fault::WallJump { host, .. }
            | Fault::WallFreeze { host }
            | Fault::ClockLost { host, .. }
            | Fault::StartSkew { host, .. }
            | Fault::LateTimers { host, .. }
            | Fault::Starve { host }
            | Fault::RotateNode { host }
            | Fault::ReplaceVoter { host }
            | Fault::RemoveVoter { host } => within(host),
            Fault::Crash { host: Who::Host(host), .. }
            | Fault::Kill { host: Who::Host(host) }
            | Fault::Isolate { host: Who::Host(host) }
            | Fault::Pause { host: Who::Host(host) } => within(host),
            // Whoever it hit may be of the core.
            _ => true,
        }
    }
}
