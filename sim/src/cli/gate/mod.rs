//! `gate`: bugs on purpose, one after the other, until an oracle sees each.
//!
//! An oracle that has never been seen to fail proves nothing. Each bug is planted in one universe after another of the
//! scenario that reaches its code, in a process of its own, until a claim breaks there that holds in the same universe
//! without the bug. A bug that is not caught within the bound of seeds fails the gate.
//!
//! | module | holds |
//! |---|---|
//! | `places` | where each bug shows: its scenario, and the seeds of the quick set |
//! | `crew` | processes at a time, each with one universe and at most one bug |
//! | `told` | the table and the JSON |

mod crew;
mod places;
mod told;

use std::time::{Duration, Instant};

use comity_proto::planted::Plant;

use super::{
    System,
    args::{GateArgs, PlantedArgs},
    files::Problem,
    held::held,
    shrink::cores,
    summary::{self, Summary},
};
use crate::plan::Plan;
use crew::{Crew, Trial};

pub(super) fn gate(args: &GateArgs) -> Result<u8, Problem> {
    switch_on(None)?;
    let began = Instant::now();
    let crew = Crew::new(args.jobs.unwrap_or_else(cores).max(1), args.max_wall_s);
    let results = crew.run(trials(args)?)?;
    let report = told::Report::of(results, crew.unsound(), began.elapsed());
    report.tell();
    if args.json {
        report.json();
    }
    Ok(report.exit_code())
}

/// Which bugs are tried where.
fn trials(args: &GateArgs) -> Result<Vec<Trial>, Problem> {
    if args.quick {
        let known = places::quick()?;
        return Ok(known.into_iter().map(|(plant, seed)| Trial::new(plant, places::of(plant), (seed, 1))).collect());
    }
    let plants = match &args.plant {
        Some(name) => vec![places::named(name)?],
        None => Plant::ALL.to_vec(),
    };
    let scenario = |plant| args.scenario.as_deref().unwrap_or_else(|| places::of(plant));
    if let Some(own) = &args.scenario {
        places::scenario(own)?;
    }
    Ok(plants.into_iter().map(|plant| Trial::new(plant, scenario(plant), (args.from, args.seeds))).collect())
}

/// One universe with one bug, or with none, for [`gate`]: prints its summary.
pub(super) fn planted(system: System, args: &PlantedArgs) -> Result<u8, Problem> {
    let plant = args.plant.as_deref().map(places::named).transpose()?;
    switch_on(plant)?;
    let mut plan = Plan::draw(args.seed, &places::scenario(&args.scenario)?);
    plan.planted = plant.map(|plant| plant.name().to_owned());
    let record = held(system, &plan, Duration::from_secs(args.max_wall_s), |_| {})?;
    summary::json(&Summary::of(&record));
    Ok(record.verdict.exit_code())
}

#[cfg(feature = "planted")]
fn switch_on(plant: Option<Plant>) -> Result<(), Problem> {
    comity_proto::planted::plant(plant);
    Ok(())
}

#[cfg(not(feature = "planted"))]
fn switch_on(_plant: Option<Plant>) -> Result<(), Problem> {
    Err(Problem(
        "this program has no planted bugs; build one that has: \
         cargo run --release -p comity-sim --features planted -- gate"
            .to_owned(),
    ))
}
