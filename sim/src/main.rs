//! The binary `comity-sim`: the false world's operating system and its command line.
//!
//! Symbols of libc are defined in `symbols` and nowhere else: `getrandom`, so that all chance of a run comes from its
//! seed (also the keys of hash maps), and `clock_gettime`, so that a run that looks at a real clock ends with its name
//! instead of becoming unrepeatable.

mod symbols;

use comity_sim::{plan::Plan, record::Record, scenario::Scenario};

const TWO: &str = r#"
name = "two-domains"
about = "x"
expect = "y"
domains = [{ name = "alpha", nodes = 3 }, { name = "beta", nodes = 3 }]
"#;

fn main() {
    let mut args = std::env::args().skip(1);
    let seed: u64 = args.next().and_then(|s| s.parse().ok()).unwrap_or(7);
    let every: u64 = args.next().and_then(|s| s.parse().ok()).unwrap_or(2000);
    let mut scenario: Scenario = toml::from_str(TWO).unwrap();
    scenario.chaos.every_ms = every;
    let began = std::time::Instant::now();
    if std::env::var("RUST_LOG").is_ok() {
        tracing_subscriber::fmt()
            .without_time()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .init();
    }
    let record: Record = held(Plan::draw(seed, &scenario));
    println!(
        "seed {seed} {:?} {:016x} events {} virtual {} ms drawn {} {:?}",
        record.verdict,
        record.digest,
        record.events,
        record.virtual_ms,
        symbols::drawn(),
        record.failure
    );
    if std::env::var("SHOW").is_ok() {
        for h in &record.timeline {
            println!("{}", serde_json::to_string(h).unwrap());
        }
    }
    eprintln!("{:?}", began.elapsed());
}

/// Runs on a thread of its own, whose hash maps take their keys from the seed.
fn held(plan: Plan) -> Record {
    symbols::hold(plan.seed);
    let thread = std::thread::Builder::new().stack_size(32 << 20);
    let run = move || comity_sim::run::run(&plan, "none", Box::new(|_| {}));
    let record = thread.spawn(run).expect("a thread").join().expect("a run catches its own panics");
    symbols::release();
    record
}
