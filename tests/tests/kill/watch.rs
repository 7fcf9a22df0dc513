//! How long transfers stay open, seen from their origin's replicas, not counting the time of the disturbances themselves.

use comity_node::cli::client::Client;
use comity_tests::{PATIENCE, federation::Federation};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

pub(crate) struct Watch {
    doors: Vec<Client>,
    /// The last moment at which somebody was killed or started again.
    disturbed: Mutex<Instant>,
    in_doubt: Mutex<Duration>,
    open: Mutex<Duration>,
}

impl Watch {
    pub(crate) fn new(federation: &Federation) -> Watch {
        Watch {
            doors: federation.nodes().map(|node| node.api.clone()).collect(),
            disturbed: Mutex::new(Instant::now()),
            in_doubt: Mutex::default(),
            open: Mutex::default(),
        }
    }

    pub(crate) fn disturbed(&self) {
        *self.disturbed.lock().expect("no panic inside") = Instant::now();
    }

    /// The longest that a transfer was in doubt, and the longest that one was decided and not yet closed, both with a
    /// majority of both domains up.
    pub(crate) fn longest(&self) -> (Duration, Duration) {
        let of = |longest: &Mutex<Duration>| *longest.lock().expect("no panic inside");
        (of(&self.in_doubt), of(&self.open))
    }

    /// Looks until told to stop, and then until no replica knows an open transfer or its patience ends.
    pub(crate) fn run(&self, stop: &AtomicBool) {
        let mut first_seen: BTreeMap<String, Instant> = BTreeMap::new();
        let mut stopped: Option<Instant> = None;
        loop {
            let mut open: BTreeMap<String, Instant> = BTreeMap::new();
            for door in &self.doors {
                let asked = Instant::now();
                // One that is down has nothing to say; the others know the transfer as well.
                let Ok(list) = door.get::<Value>("/api/v1/transfers?in_doubt=true") else { continue };
                let quiet_since = *self.disturbed.lock().expect("no panic inside");
                for transfer in list["transfers"].as_array().into_iter().flatten() {
                    let text = |name: &str| transfer[name].as_str().expect("a text").to_owned();
                    // Begun: the payer does not know. Voted: the payee does not know. Later only receipts are open.
                    let doubt = matches!(text("state").as_str(), "begun" | "voted");
                    let key = format!("{} {doubt}", text("transfer"));
                    let since = first_seen.get(&key).copied().unwrap_or(asked);
                    let lasted = asked.saturating_duration_since(since.max(quiet_since));
                    let mut longest = if doubt { &self.in_doubt } else { &self.open }.lock().expect("no panic inside");
                    *longest = (*longest).max(lasted);
                    open.insert(key, since);
                }
            }
            if stop.load(Ordering::Relaxed) {
                let since = *stopped.get_or_insert_with(Instant::now);
                if open.is_empty() || since.elapsed() > PATIENCE {
                    return;
                }
            }
            first_seen = open;
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
