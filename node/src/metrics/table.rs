//! Every metric of a node: name, kind, unit, labels, and what it tells.
//!
//! ARCHITECTURE.md holds the same table for people, and a test holds the two together; another one reads the page of running
//! nodes. Labels are bounded: peers by the treaties, voters by the roster, routes and reasons by this program. No agent, no
//! escrow, no text of somebody else but a peer's nickname, which the operator agreed to with the treaty.

use prometheus_client::{metrics::MetricType, registry::Unit};

/// What every name begins with.
pub const PREFIX: &str = "comity";

/// One metric.
#[derive(Debug)]
pub struct Row {
    /// Without prefix and unit.
    pub name: &'static str,
    /// What it can do: a counter never falls while the process runs.
    pub kind: MetricType,
    /// A base unit, or the thing that is counted; empty where the name says it.
    pub unit: &'static str,
    /// What distinguishes its samples.
    pub labels: &'static [&'static str],
    /// For people.
    pub help: &'static str,
}

impl Row {
    /// As the page names the family.
    pub fn family(&self) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!("_{}", self.unit) };
        format!("{PREFIX}_{}{unit}", self.name)
    }

    pub(super) fn unit(&self) -> Option<Unit> {
        match self.unit {
            "" => None,
            "bytes" => Some(Unit::Bytes),
            "seconds" => Some(Unit::Seconds),
            other => Some(Unit::Other(other.to_owned())),
        }
    }
}

macro_rules! table {
    ($($variant:ident = $name:literal, $kind:ident, $unit:literal, [$($label:literal),*], $help:literal;)+) => {
        /// One name for each row.
        #[allow(missing_docs, reason = "each is told in its row")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Name {
            $($variant,)+
        }

        /// Every row, in the order of the names.
        pub const ROWS: &[Row] = &[$(
            Row { name: $name, kind: MetricType::$kind, unit: $unit, labels: &[$($label),*], help: $help },
        )+];
    };
}

table! {
    Node = "node", Info, "", ["domain", "name", "key", "version"], "Whose node this is, and its program";
    StartTime = "start_time", Gauge, "seconds", [], "When the node started, Unix time";

    RaftRole = "raft_role", Gauge, "", ["role"], "1 for the part that this replica plays";
    RaftLeaderKnown = "raft_leader_known", Gauge, "", [], "1 while a leader is known here";
    RaftTerm = "raft_term", Gauge, "", [], "Raft term";
    RaftLastLog = "raft_last_log_index", Gauge, "", [], "Last entry in the log here";
    RaftApplied = "raft_applied_index", Gauge, "", [], "Last entry applied here";
    RaftSnapshot = "raft_snapshot_index", Gauge, "", [], "Last entry that the newest snapshot covers";
    RaftPurged = "raft_purged_index", Gauge, "", [], "Last entry that was purged from the log behind a snapshot";
    RaftMembers = "raft_members", Gauge, "", ["votes"], "Members of this domain's consensus";
    RaftLag = "raft_replication_lag", Gauge, "entries", ["node"], "Entries that a member lacks; told by the leader";
    RaftQuorumAge = "raft_quorum_age", Gauge, "seconds", [], "Since a majority last answered; told by the leader";
    ReplicaFailed = "replica_failed", Gauge, "", [], "1 once the replica cannot go on and the process ends";
    DiskWritten = "disk_written", Counter, "bytes", [], "Handed to the system for log, snapshots and events";
    DiskFlushes = "disk_flushes", Counter, "", ["of"], "Flushes of files and of their directory";

    LedgerFounded = "ledger_founded", Gauge, "", [], "1 once the genesis is applied";
    LedgerFenced = "ledger_fenced", Gauge, "", [], "1 while a restored ledger compares its books: nothing is paid";
    LedgerIncarnation = "ledger_incarnation", Gauge, "", [], "Raised by each restore";
    LedgerTime = "ledger_time", Gauge, "seconds", [], "Ledger time: the newest entry's stamp, Unix time";
    LedgerEntries = "ledger_entries", Counter, "", [], "Entries applied since the start, none of them twice";
    LedgerOutcomes = "ledger_outcomes", Counter, "", ["outcome"], "Commands and peers' messages by outcome or refusal code";
    LedgerEvents = "ledger_events", Counter, "", [], "Events in the domain's log";
    LedgerRecords = "ledger_records", Gauge, "", ["of"], "What the ledger holds";
    LedgerEscrows = "ledger_escrows", Gauge, "", ["state"], "Escrows: open, paying (a share is under way), ended (kept two days)";

    TransfersEnded = "transfers_ended", Counter, "", ["part", "end"], "Transfers between domains that ended since the start";
    InDoubt = "transfers_in_doubt", Gauge, "", ["peer"], "Transfers that wait for a word of this peer";
    InDoubtAge = "transfers_in_doubt_age", Gauge, "seconds", ["peer"], "The oldest of them, in ledger time; 0 without any";

    Peer = "peer", Info, "", ["peer", "name"], "Nickname of a domain with a treaty, to join by its id";
    PeerTreaty = "peer_treaty", Gauge, "", ["peer", "state"], "1 for the state of the treaty";
    PeerNodes = "peer_nodes", Gauge, "", ["peer"], "Its nodes that are connected to this one";
    PeerUntold = "peer_words_untold", Gauge, "", ["peer"], "1 while it has not acknowledged our last words about the treaty";
    PeerExposure = "peer_exposure", Gauge, "minor_units", ["peer", "asset"], "Its paper that this domain holds";
    PeerExposurePending = "peer_exposure_pending", Gauge, "minor_units", ["peer", "asset"], "Promised besides, by yes votes that are not finished";
    PeerExposureCap = "peer_exposure_cap", Gauge, "minor_units", ["peer", "asset"], "The most that this domain will hold";
    PeerReserve = "peer_reserve", Gauge, "minor_units", ["peer", "asset"], "Reserve behind what it holds of ours";
    PeerBatches = "peer_settlement_batches", Gauge, "", ["peer"], "Settlement batches to it that wait or are under way; the leader's";
    PeerBreaker = "peer_breaker_open", Gauge, "", ["peer"], "1 while batches to it fail and one at a time is tried; the leader's";
    PeerGoodAge = "peer_settlement_good_age", Gauge, "seconds", ["peer"], "Since it last took a batch of this leader";
    PeerRequests = "peer_requests", Gauge, "", ["peer"], "Requests to its nodes, of any class, that wait or are under way";
    PeerSilenced = "peer_silenced", Gauge, "seconds", ["peer"], "For so long its words are not heard: too many changed nothing";
    PeerCards = "peer_agent_cards", Gauge, "", ["peer"], "Cards of its agents that are known here";
    PeerDrift = "peer_drift", Gauge, "", ["peer", "part"], "1 for what both disagree about, for longer than a repair";
    PeerQuarantined = "peer_quarantined", Gauge, "", ["peer"], "1 while drift keeps new transfers to it from beginning";
    PeerComparedAge = "peer_compared_age", Gauge, "seconds", ["peer"], "Since both were last compared";
    PeerCheckpointAge = "peer_checkpoint_age", Gauge, "seconds", ["peer"], "Since its last checkpoint was checked";
    PeerCosignedAge = "peer_cosigned_age", Gauge, "seconds", ["peer"], "Since it cosigned a checkpoint of ours";
    PeerEquivocated = "peer_equivocated", Gauge, "", ["peer", "with"], "1 with a proof that it signed two histories, or two ends of a transfer";
    PeerProjected = "peer_projected_events", Counter, "", ["peer"], "Events of its log that stand in ours with their proof";
    OwnAccused = "history_accused", Gauge, "", [], "1 with a proof that this domain signed two histories";

    LicenceStatus = "licence_status", Gauge, "", ["peer", "status"], "1 for the status of the licence that it is granted";
    LicenceExpiry = "licence_expiry_timestamp", Gauge, "seconds", ["peer"], "When that licence ends, Unix time";
    LicenceEventsMax = "licence_events_max", Gauge, "", ["peer"], "Events that it may cause in a minute at each node";
    LicenceEventsUsed = "licence_events_used", Gauge, "", ["peer"], "Events of this minute here";
    LicenceAgentsMax = "licence_agents_max", Gauge, "", ["peer"], "Agents of it whose cards are kept";
    LicenceAdmitted = "licence_admitted", Counter, "", ["peer"], "Events let in here";
    LicenceRefused = "licence_refused", Counter, "", ["peer", "reason"], "Wishes refused here, by the name that it was told";

    KeysNotSeen = "keys_not_seen", Gauge, "", ["key"], "Peers that have not acknowledged the newest keys";
    RootForks = "root_forks", Counter, "", ["domain"], "Times that another root key of a domain was shown than the known one";
    CertificateExpiry = "certificate_expiry_timestamp", Gauge, "seconds", [], "When this node's certificate ends, Unix time";
    SvidExpiry = "svid_expiry_timestamp", Gauge, "seconds", [], "When the SVID of the HTTPS door ends, Unix time; it is renewed at half of its life";

    MeshNeighbours = "mesh_neighbours", Gauge, "", ["standing"], "Connected nodes by what they are to us";
    MeshMembers = "mesh_members", Gauge, "", ["state"], "Nodes of the mesh by sign of life";
    MeshCards = "mesh_cards", Gauge, "", ["of"], "Cards that are known";
    MeshReceived = "mesh_gossip_received", Counter, "", ["topic"], "Gossiped messages off the wire, copies by other ways among them";
    MeshGossip = "mesh_gossip_messages", Counter, "", ["topic", "verdict"], "Gossiped messages that were no copies, by what became of them";
    MeshEvents = "mesh_events", Counter, "", ["event"], "What else the mesh counts: refused cards and certificates by reason, failures, repairs";
    BridgeFrames = "bridge_frames", Counter, "", [], "Frames passed as a gateway";
    BridgePassed = "bridge_passed", Counter, "bytes", [], "What was in them";
    BridgeRefused = "bridge_refused", Counter, "", [], "Frames over quota or without a place";

    HttpRequests = "http_requests", Counter, "", ["method", "route", "status"], "Answers by route and class of status";
    HttpDuration = "http_request_duration", Histogram, "seconds", ["method", "route"], "From a request to the head of its answer";
    HttpPlaces = "http_connections", Gauge, "", ["door"], "Connections that have a place";
    HttpPlacesMax = "http_connections_max", Gauge, "", ["door"], "Places of that door";
    Tasks = "tasks", Gauge, "", ["side", "state"], "Tasks at this node's desk";
    Delegations = "delegations", Gauge, "", ["state"], "Work that this node hands out for agents";
    DemandsRefused = "payment_requests_refused", Counter, "", [], "Demands for payment that did not hold";
    Webhooks = "webhooks", Gauge, "", ["state"], "Webhooks: well, failing, given-up";
    WebhookFailingAge = "webhook_failing_age", Gauge, "seconds", [], "Since the first refusal of the one that fails longest; 0 while all are well";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs, path::Path};

    fn is_snake(text: &str) -> bool {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    }

    #[test]
    fn names_and_labels_keep_the_conventions_and_no_family_hides_another() {
        let mut samples = BTreeSet::new();
        for row in ROWS {
            assert!(is_snake(row.name) && row.labels.iter().all(|label| is_snake(label)), "{row:?}");
            assert!(row.unit.is_empty() || is_snake(row.unit), "{row:?}");
            let reserved = ["_total", "_info", "_bucket", "_sum", "_count", "_created"];
            assert!(!reserved.iter().any(|end| row.name.ends_with(end)), "{row:?}: the page adds that itself");
            assert!(
                !row.help.is_empty() && !row.help.ends_with('.') && !row.help.contains(['\n', '\\', '"', '|']),
                "{row:?}"
            );
            assert_eq!(row.labels.iter().collect::<BTreeSet<_>>().len(), row.labels.len(), "{row:?}");
            for end in ["", "_total", "_info", "_bucket", "_sum", "_count", "_created"] {
                assert!(samples.insert(format!("{}{end}", row.family())), "{row:?}: another family has that name");
            }
        }
        assert_eq!(ROWS.len(), Name::WebhookFailingAge as usize + 1);
    }

    fn for_people() -> String {
        let line = |row: &Row| {
            let labels = row.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(" ");
            format!("| `{}` | {} | {labels} | {} |\n", row.family(), row.kind.as_str(), row.help)
        };
        ROWS.iter().map(line).collect()
    }

    #[test]
    fn the_map_shows_this_table() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ARCHITECTURE.md");
        let map = fs::read_to_string(path).expect("the map");
        let shown: String =
            map.lines().filter(|line| line.starts_with("| `comity_")).map(|line| format!("{line}\n")).collect();
        assert_eq!(shown, for_people(), "ARCHITECTURE.md, section Metrics, is to show:\n{}", for_people());
    }
}
