//! What the HTTP doors count: answers, how long they took, and places.

use parking_lot::Mutex;
use prometheus_client::metrics::histogram::Histogram;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Upper bounds, seconds: from an answer at hand to a long poll.
const BOUNDS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 30.0];
/// Classes of status, from 1xx to 5xx.
pub(super) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Answers of one method of one route.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    /// By class of status.
    pub(super) count: [u64; CLASSES.len()],
    pub(super) took: Histogram,
}

/// Answers by route and method. Routes are this program's, so the map is bounded.
#[derive(Debug, Default)]
pub(crate) struct Requests(Mutex<BTreeMap<String, BTreeMap<&'static str, Answers>>>);

/// A method that somebody made up is not a label.
fn method_name(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("other")
}

impl Requests {
    /// A request of a route's template was answered with this status, after so long.
    pub(crate) fn answered(&self, route: &str, method: &str, status: u16, took: Duration) {
        let mut routes = self.0.lock();
        if !routes.contains_key(route) {
            routes.insert(route.to_owned(), BTreeMap::new());
        }
        let Some(methods) = routes.get_mut(route) else { return };
        let fresh = || Answers { count: [0; CLASSES.len()], took: Histogram::new(BOUNDS) };
        let answers = methods.entry(method_name(method)).or_insert_with(fresh);
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(count) = answers.count.get_mut(class) {
            *count += 1;
        }
        answers.took.observe(took.as_secs_f64());
    }

    /// Route, method, answers.
    pub(super) fn all(&self) -> Vec<(String, &'static str, Answers)> {
        let routes = self.0.lock();
        let of = |(route, methods): (&String, &BTreeMap<&'static str, Answers>)| {
            methods.iter().map(|(method, answers)| (route.clone(), *method, answers.clone())).collect::<Vec<_>>()
        };
        routes.iter().flat_map(of).collect()
    }
}

/// How many places of a door are taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken(Arc<AtomicUsize>);

impl Taken {
    /// One more, for as long as the answer lives.
    pub(crate) fn one(&self) -> OneTaken {
        self.0.fetch_add(1, Ordering::Relaxed);
        OneTaken(self.clone())
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(crate) struct OneTaken(Taken);

impl Drop for OneTaken {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_count_by_class_and_made_up_methods_are_one() {
        let requests = Requests::default();
        for (method, status) in [("GET", 200), ("GET", 204), ("GET", 404), ("BREW", 405), ("STEW", 405), ("GET", 999)] {
            requests.answered("/a/{b}", method, status, Duration::from_millis(3));
        }
        let all: Vec<_> = requests.all().into_iter().map(|(route, method, of)| (route, method, of.count)).collect();
        let route = "/a/{b}".to_owned();
        assert_eq!(all, [(route.clone(), "GET", [0, 2, 0, 1, 0]), (route, "other", [0, 0, 0, 2, 0])]);
    }

    #[test]
    fn a_place_is_given_back() {
        let taken = Taken::default();
        let (one, other) = (taken.one(), taken.one());
        assert_eq!(taken.count(), 2);
        drop((one, other));
        assert_eq!(taken.count(), 0);
    }
}
