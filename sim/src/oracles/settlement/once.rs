//! Every step once.

use super::named;
use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "steps-once",
        claim: "under one id a transfer begins once, is promised once, decided once, posted once and closed once",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    for (key, deal) in view.seen.deals.touched() {
        let yes = deal.voted.iter().filter(|step| step.what.is_ok()).count();
        let steps = [
            ("begun", deal.begun.len()),
            ("promised", yes),
            ("voted on", deal.voted.len()),
            ("decided", deal.decided.len()),
            ("posted", deal.finished.len()),
            ("closed", deal.closed.len()),
        ];
        if let Some((step, times)) = steps.into_iter().find(|(_, times)| *times > 1) {
            return Err(format!("{} was {step} {times} times", named(view, key)));
        }
    }
    Ok(())
}
