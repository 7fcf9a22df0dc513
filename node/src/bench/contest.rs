//! Two contenders measured in turns.

use super::{
    BenchError,
    driver::Figure,
    report::{Comparison, Row},
};
use futures::future::BoxFuture;

/// Somebody who can be measured again and again.
pub(super) struct Contender<'a> {
    /// Its name in the table.
    pub(super) side: String,
    /// Callers at once.
    pub(super) clients: usize,
    /// Takes one figure.
    pub(super) take: Box<dyn Fn() -> BoxFuture<'a, Result<Figure, BenchError>> + Send + Sync + 'a>,
}

/// One case: ours, the reference, or both.
pub(super) struct Contest<'a> {
    /// What both are asked to do.
    pub(super) case: String,
    /// Ours.
    pub(super) ours: Option<Contender<'a>>,
    /// What it is compared with.
    pub(super) reference: Option<Contender<'a>>,
}

impl Contest<'_> {
    /// Takes `rounds` figures of each side in turns: ours, theirs, ours, theirs. Tells `progress` each one.
    pub(super) async fn hold(&self, rounds: usize, progress: &dyn Fn(String)) -> Result<Comparison, BenchError> {
        let row = |contender: &Contender<'_>| Row {
            case: self.case.clone(),
            clients: contender.clients,
            side: contender.side.clone(),
            rounds: Vec::new(),
        };
        let mut comparison =
            Comparison { ours: self.ours.as_ref().map(row), reference: self.reference.as_ref().map(row) };
        for round in 1..=rounds {
            let pairs = [(&self.ours, &mut comparison.ours), (&self.reference, &mut comparison.reference)];
            for (contender, row) in pairs {
                let (Some(contender), Some(row)) = (contender, row) else { continue };
                let figure = (contender.take)().await?;
                progress(format!(
                    "{}, {} clients, round {round} of {rounds}: {} {:.0} per second",
                    self.case, contender.clients, contender.side, figure.per_second
                ));
                row.rounds.push(figure);
            }
        }
        Ok(comparison)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use parking_lot::Mutex;

    #[tokio::test]
    async fn contenders_take_turns() {
        let order = Mutex::new(Vec::new());
        let contender = |side: &'static str| Contender {
            side: side.to_owned(),
            clients: 1,
            take: Box::new(|| async { Ok(Figure { per_second: 2.0, ..Figure::default() }) }.boxed()),
        };
        let contest = Contest { case: "lock".into(), ours: Some(contender("a")), reference: Some(contender("b")) };
        let progress = |line: String| {
            order.lock().push(line.contains(": a "));
        };
        let comparison = contest.hold(3, &progress).await.expect("both answer");
        assert_eq!(*order.lock(), [true, false, true, false, true, false]);
        assert_eq!(comparison.ratio(), Some(1.0));
        assert_eq!(comparison.ours.map(|row| row.rounds.len()), Some(3));
    }
}
