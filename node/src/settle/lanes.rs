//! One lane per peer: whoever does not answer holds up nobody else. And another one for what restored ledgers compare: a
//! fenced peer refuses everything else, and a page that it asked for must not be dropped behind that.
//!
//! A lane has a queue and places of its own. After a few failures in a row its breaker opens: one batch at a time tries
//! the way, and what would have waited behind it is dropped. Nothing is lost by that: the ledger still owes it, and the
//! next look at the ledger says it again.

use comity_ledger::settlement::OwedMessage;
use comity_proto::ids::DomainId;
use comity_runtime::Instant;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{Semaphore, mpsc};

/// Batches under way to one peer at once.
const UNDER_WAY: usize = 16;
/// Batches that wait for a place; more are left for the next look at the ledger.
const QUEUED: usize = 256;
/// Failures in a row that open the breaker.
const OPENS_AFTER: u32 = 3;
/// How long a peer has to take a batch into its log.
const DEADLINE: Duration = Duration::from_secs(5);
/// The same while the breaker is open. Short: a peer that is back soon must not wait for the end of a long attempt.
const TRIAL_DEADLINE: Duration = Duration::from_secs(2);

/// Carries one batch to a peer.
pub(super) trait Carry: Clone + Send + Sync + 'static {
    /// Says it within the deadline; whether the peer took it.
    fn carry(
        &self,
        peer: DomainId,
        messages: Vec<OwedMessage>,
        deadline: Duration,
    ) -> impl Future<Output = bool> + Send;
}

/// How a lane is, for itself and for onlookers.
#[derive(Default)]
struct Course {
    /// In a row.
    failures: AtomicU32,
    /// Batches that wait or are under way.
    batches: AtomicUsize,
    /// When the peer last took one.
    taken: Mutex<Option<Instant>>,
}

impl Course {
    fn is_open(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= OPENS_AFTER
    }

    fn left(&self) {
        self.batches.fetch_sub(1, Ordering::Relaxed);
    }

    fn note(&self, taken: bool) {
        self.left();
        if taken {
            self.failures.store(0, Ordering::Relaxed);
            *self.taken.lock() = Some(comity_runtime::now());
        } else {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A lane as an onlooker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneView {
    /// Batches that wait or are under way.
    pub(crate) batches: usize,
    /// Its breaker is open: one batch at a time tries the way.
    pub(crate) is_open: bool,
    /// When the peer last took a batch.
    pub(crate) taken: Option<Instant>,
}

/// All lanes of a speaker, for onlookers. Bounded by the treaties.
#[derive(Default)]
pub(crate) struct Traffic(Mutex<BTreeMap<DomainId, Arc<Course>>>);

impl Traffic {
    /// The lanes of trades that were ever spoken in, by peer.
    pub(crate) fn lanes(&self) -> BTreeMap<DomainId, LaneView> {
        let view = |course: &Course| LaneView {
            batches: course.batches.load(Ordering::Relaxed),
            is_open: course.is_open(),
            taken: *course.taken.lock(),
        };
        self.0.lock().iter().map(|(peer, course)| (*peer, view(course))).collect()
    }
}

struct Lane {
    queue: mpsc::Sender<Vec<OwedMessage>>,
    course: Arc<Course>,
}

/// All lanes of one speaker, by peer and whether the words are about books.
pub(super) struct Lanes<C> {
    carrier: C,
    lanes: BTreeMap<(DomainId, bool), Lane>,
    traffic: Arc<Traffic>,
}

impl<C: Carry> Lanes<C> {
    pub(super) fn new(carrier: C, traffic: Arc<Traffic>) -> Lanes<C> {
        Lanes { carrier, lanes: BTreeMap::new(), traffic }
    }

    /// Queues a batch. Never waits: a full lane drops it.
    pub(super) fn say(&mut self, peer: DomainId, messages: Vec<OwedMessage>) {
        let (carrier, traffic) = (&self.carrier, &self.traffic);
        let about_books = messages.iter().all(OwedMessage::is_about_books);
        let lane = self.lanes.entry((peer, about_books)).or_insert_with(|| {
            let (queue, queued) = mpsc::channel(QUEUED);
            let course = Arc::<Course>::default();
            // An onlooker is shown the lane of what the two trade.
            if !about_books {
                traffic.0.lock().insert(peer, course.clone());
            }
            comity_runtime::spawn(run(carrier.clone(), peer, queued, course.clone()));
            Lane { queue, course }
        });
        lane.course.batches.fetch_add(1, Ordering::Relaxed);
        if lane.queue.try_send(messages).is_err() {
            lane.course.left();
        }
    }

    /// The peer can be reached again: its breakers close.
    pub(super) fn close(&self, peer: &DomainId) {
        let lanes = [false, true].map(|about_books| self.lanes.get(&(*peer, about_books)));
        lanes.iter().flatten().for_each(|lane| lane.course.failures.store(0, Ordering::Relaxed));
    }
}

/// Runs until its speaker is gone.
async fn run<C: Carry>(carrier: C, peer: DomainId, mut queued: mpsc::Receiver<Vec<OwedMessage>>, course: Arc<Course>) {
    let places = Arc::new(Semaphore::new(UNDER_WAY));
    while let Some(messages) = queued.recv().await {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        if course.is_open() {
            drop(place);
            let taken = carrier.carry(peer, messages, TRIAL_DEADLINE).await;
            course.note(taken);
            if !taken {
                while queued.try_recv().is_ok() {
                    course.left();
                }
            }
            continue;
        }
        let (carrier, course) = (carrier.clone(), course.clone());
        comity_runtime::spawn(async move {
            course.note(carrier.carry(peer, messages, DEADLINE).await);
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use comity_proto::{ids::TransferId, settlement::Acknowledge};

    const DEAD: DomainId = DomainId([1; 32]);
    const WELL: DomainId = DomainId([2; 32]);
    const FENCED: DomainId = DomainId([3; 32]);
    const REFUSES_AFTER: Duration = Duration::from_millis(20);

    /// A dead peer takes nothing and lets the caller wait for the whole deadline, until it is mended. A fenced one takes its
    /// time to refuse what is not about books.
    #[derive(Clone, Default)]
    struct Carrier(Arc<Mutex<(u32, u32, bool)>>);

    impl Carry for Carrier {
        async fn carry(&self, peer: DomainId, messages: Vec<OwedMessage>, deadline: Duration) -> bool {
            if peer == FENCED && !messages[0].is_about_books() {
                comity_runtime::sleep(REFUSES_AFTER).await;
                return false;
            }
            let mended = self.0.lock().2;
            if peer == DEAD && !mended {
                self.0.lock().0 += 1;
                comity_runtime::sleep(deadline).await;
                return false;
            }
            self.0.lock().1 += 1;
            true
        }
    }

    #[test]
    fn a_page_for_a_restored_peer_is_not_dropped_behind_what_that_peer_refuses() {
        crate::runtime::tests_world().block_on(async {
            let carrier = Carrier::default();
            let traffic = Arc::<Traffic>::default();
            let mut lanes = Lanes::new(carrier.clone(), traffic.clone());
            (0..OPENS_AFTER).for_each(|_| lanes.say(FENCED, words()));
            while !traffic.lanes()[&FENCED].is_open {
                comity_runtime::sleep(Duration::from_millis(1)).await;
            }
            // The page comes while another trade tries the way.
            lanes.say(FENCED, words());
            lanes.say(FENCED, vec![OwedMessage::Books { incarnation: 2, after: None }]);
            let begun = comity_runtime::now();
            while carrier.0.lock().1 == 0 {
                assert!(begun.elapsed() < Duration::from_secs(60), "the page is lost");
                comity_runtime::sleep(Duration::from_millis(1)).await;
            }
        });
    }

    fn words() -> Vec<OwedMessage> {
        vec![OwedMessage::Acknowledge(Acknowledge { transfer: TransferId([1; 16]), commit: true })]
    }

    #[test]
    fn a_silent_peer_holds_up_nobody_and_is_tried_one_batch_at_a_time() {
        crate::runtime::tests_world().block_on(async {
            let carrier = Carrier::default();
            let traffic = Arc::<Traffic>::default();
            let mut lanes = Lanes::new(carrier.clone(), traffic.clone());
            let seen = |peer| traffic.lanes()[&peer];
            (0..1_000).for_each(|_| lanes.say(DEAD, words()));
            let begun = comity_runtime::now();
            (0..200).for_each(|_| lanes.say(WELL, words()));
            while carrier.0.lock().1 < 200 {
                assert!(begun.elapsed() < Duration::from_secs(2), "the well peer waits for the silent one");
                comity_runtime::sleep(Duration::from_millis(1)).await;
            }
            assert!(!seen(WELL).is_open && seen(WELL).taken.is_some());
            let dead = seen(DEAD);
            assert!(
                dead.taken.is_none() && dead.batches > UNDER_WAY && dead.batches <= UNDER_WAY + QUEUED + 1,
                "{dead:?}"
            );
            // All places are taken until the first deadline, then one trial at a time.
            comity_runtime::sleep(DEADLINE + TRIAL_DEADLINE / 2).await;
            // Up to three failures are noted before the breaker opens; each frees a place.
            let tried = carrier.0.lock().0;
            assert!((17..=16 + OPENS_AFTER).contains(&tried), "{tried}: all places, then one at a time");
            assert!(seen(DEAD).is_open, "{:?}", seen(DEAD));
            carrier.0.lock().2 = true;
            comity_runtime::sleep(TRIAL_DEADLINE).await;
            lanes.say(DEAD, words());
            lanes.say(DEAD, words());
            comity_runtime::sleep(Duration::from_millis(50)).await;
            let dead = seen(DEAD);
            assert!(!dead.is_open && dead.taken.is_some(), "{dead:?}");
            assert!(dead.batches <= OPENS_AFTER as usize, "what waited behind the failed trial is dropped: {dead:?}");
            assert!(carrier.0.lock().1 >= 202, "it is heard again: {:?}", carrier.0.lock());
        });
    }
}
