//! `scale`: how a card spreads over many nodes and how a death becomes known, as numbers, JSON and pictures.

use std::{fs, thread};

use super::{System, args::ScaleArgs, files::Problem};
use crate::scale::{Detection, Options, Report, detection_picture, picture, run};

/// Bars for 100 and for 1 000 nodes: 99 of 100 arrivals within so many ms.
const BARS: &[(usize, f64)] = &[(100, 200.0), (1_000, 300.0)];
/// At most so many times the fastest way over the same links.
const BY_FASTEST: f64 = 1.5;
/// A death is known to all within so many seconds, on a LAN.
const DEATH_BARS: &[(usize, f64)] = &[(100, 6.0), (1_000, 9.0)];
/// The longest link of a LAN, microseconds one way.
const LAN_US: u64 = 2_000;
/// Bytes per second and neighbour while nothing happens.
const IDLE_BAR: f64 = 2_000.0;
/// As for any run.
const STACK: usize = 64 << 20;

pub(super) fn scale(system: System, args: &ScaleArgs) -> Result<u8, Problem> {
    let options = Options {
        seed: args.seed,
        nodes: args.nodes as usize,
        dials: args.dials as usize,
        links_us: (args.link_ms.0 * 1_000, args.link_ms.1 * 1_000),
        loss: args.loss,
        churn: args.churn,
        cards: args.cards,
        deaths: args.deaths,
    };
    println!(
        "{} nodes, {} dials each, links of {} to {} ms, loss {}, churn {}, seed {}: {} cards one after the other, then {} deaths",
        options.nodes,
        options.dials,
        args.link_ms.0,
        args.link_ms.1,
        args.loss,
        args.churn,
        args.seed,
        args.cards,
        args.deaths
    );
    (system.hold)(options.seed);
    let running = thread::Builder::new().stack_size(STACK).spawn(move || run(options))?;
    let ended = running.join();
    (system.release)();
    let report = ended.map_err(|_| Problem("the run panicked, see above".to_owned()))?;
    let report = report.map_err(|stuck| Problem(stuck.to_string()))?;
    tell(&report);
    if let Some(folder) = &args.out {
        fs::create_dir_all(folder)?;
        let name = format!("scale-{}-loss{}-churn{}-seed{}", args.nodes, args.loss, args.churn, args.seed);
        fs::write(folder.join(format!("{name}.json")), serde_json::to_string_pretty(&report)?)?;
        let svg = picture(std::slice::from_ref(&report)).map_err(Problem)?;
        fs::write(folder.join(format!("{name}.svg")), svg)?;
        if let Some(svg) = detection_picture(std::slice::from_ref(&report)) {
            fs::write(folder.join(format!("{name}-deaths.svg")), svg.map_err(Problem)?)?;
        }
        println!("written: {}/{name}.json and .svg", folder.display());
    }
    Ok(0)
}

fn tell(report: &Report) {
    println!(
        "arrived {} of {}; neighbours {:.1} each; card {} bytes",
        report.arrived, report.expected, report.neighbours, report.card_bytes
    );
    println!("p50 {:.0} ms, p99 {:.0} ms, max {:.0} ms", report.p50_ms, report.p99_ms, report.max_ms);
    println!(
        "fastest way over the same links: p99 {:.0} ms; p99 is {:.2} times that (bar {BY_FASTEST})",
        report.fastest_p99_ms, report.by_fastest
    );
    if let Some((_, bar)) = BARS.iter().find(|(nodes, _)| *nodes == report.options.nodes) {
        println!("bar for {} nodes: p99 within {bar:.0} ms", report.options.nodes);
    }
    println!("bytes on the wire: {:.1} times one copy to each node, control messages included", report.copies);
    println!("idle: {:.0} bytes/s per neighbour, both ways (bar {IDLE_BAR:.0})", report.idle_bytes_per_neighbour);
    match &report.failure_detection {
        Some(detection) => tell_deaths(&report.options, detection),
        None => println!("failure detection: not asked for (--deaths 0)"),
    }
    println!("virtual time {} s, digest {}", report.virtual_ms / 1_000, report.digest);
    if let Some(peak) = peak_memory() {
        println!("memory at most {peak}");
    }
}

fn tell_deaths(options: &Options, detection: &Detection) {
    println!(
        "{} deaths: held for failed by {} of {} that ran; p50 {:.1} s, p99 {:.1} s, by all after {:.1} s",
        detection.deaths,
        detection.seen,
        detection.expected,
        detection.p50_ms / 1_000.0,
        detection.p99_ms / 1_000.0,
        detection.max_ms / 1_000.0
    );
    println!(
        "wrongly held: {} times failed, {} times suspect, of nodes that ran",
        detection.false_failed, detection.false_suspect
    );
    match DEATH_BARS.iter().find(|(nodes, _)| *nodes == options.nodes) {
        Some((nodes, bar)) if options.links_us.1 <= LAN_US => {
            println!("bar for {nodes} nodes on a LAN: by all within {bar:.0} s");
        }
        _ => {}
    }
}

fn peak_memory() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().to_owned())
}
