//! The figures of a settlement between two domains: how fast next to two PostgreSQL clusters, also when all pay one
//! account, and how long one payment takes when the other domain is far away.

use super::{
    BenchError,
    domain::BenchDomain,
    driver::{Figure, Load, drive},
    transfer::Transfers,
};
use serde_json::{Value, json};
use std::{path::Path, time::Duration};

/// There and back between the two domains.
const ROUND_TRIP: Duration = Duration::from_millis(100);
/// What one payment may take on that way, in round trips, and what all may take in 99 of 100 cases.
const ROUND_TRIPS_MAX: f64 = 2.5;
const P99_MAX: Duration = Duration::from_secs(1);
/// Callers at once.
const CLIENTS: [usize; 2] = [1, 64];

/// Latency from the payer's order to the payer's knowledge that the payee has the money.
pub(super) struct FarAway(Vec<(usize, Figure)>);

/// Two domains of one node, 100 ms of round trip apart.
pub(super) async fn far_away(folder: &Path, seconds: u64, progress: &dyn Fn(String)) -> Result<FarAway, BenchError> {
    let one_way = ROUND_TRIP / 2;
    let alpha = BenchDomain::start_at(folder, "alpha", 1, &[], one_way).await?;
    let beta = BenchDomain::start_at(folder, "beta", 1, alpha.addresses(), one_way).await?;
    alpha.trust(&beta).await?;
    beta.trust(&alpha).await?;
    let mut figures = Vec::new();
    for clients in CLIENTS {
        let load = Load { clients, warm_up: Duration::from_secs(1), window: Duration::from_secs(seconds) };
        let figure = drive(&Transfers { payer: &alpha, payee: &beta, hot: false }, load).await?;
        progress(format!("100 ms away, {clients} clients: p50 {:.0} ms", figure.p50_us as f64 / 1e3));
        figures.push((clients, figure));
    }
    beta.stop().await;
    alpha.stop().await;
    Ok(FarAway(figures))
}

impl FarAway {
    /// One object for each number of clients.
    pub(super) fn objects(&self) -> Vec<Value> {
        let object = |(clients, figure): &(usize, Figure)| {
            json!({ "bench": "settle", "case": "far", "round_trip_ms": ROUND_TRIP.as_millis() as u64, "clients": clients,
                "per_second": figure.per_second, "errors": figure.errors, "p50_ms": figure.p50_us as f64 / 1e3,
                "p99_ms": figure.p99_us as f64 / 1e3, "round_trips": round_trips(figure) })
        };
        self.0.iter().map(object).collect()
    }

    /// For people.
    pub(super) fn sentences(&self) -> String {
        let line = |(clients, figure): &(usize, Figure)| {
            format!(
                "{:.0} ms of round trip apart, {clients:>2} clients: p50 {:.1} ms = {:.2} round trips (bar {ROUND_TRIPS_MAX}), \
                 p99 {:.1} ms (bar {}), {:.0} per second, {} failed\n",
                ROUND_TRIP.as_secs_f64() * 1e3,
                figure.p50_us as f64 / 1e3,
                round_trips(figure),
                figure.p99_us as f64 / 1e3,
                P99_MAX.as_millis(),
                figure.per_second,
                figure.errors,
            )
        };
        self.0.iter().map(line).collect()
    }
}

fn round_trips(figure: &Figure) -> f64 {
    figure.p50_us as f64 / ROUND_TRIP.as_micros() as f64
}
