//! `gate`: bugs on purpose, one after the other, until an oracle sees each. Only in a build with the feature `planted`.

use super::{args::GateArgs, files::Problem};

#[cfg(not(feature = "planted"))]
pub(super) fn gate(args: &GateArgs) -> Result<u8, Problem> {
    let _has_no_plants = args;
    Err(Problem(
        "this program has no planted bugs; build one that has: \
         cargo run --release -p comity-sim --features planted -- gate"
            .to_owned(),
    ))
}

#[cfg(feature = "planted")]
pub(super) fn gate(args: &GateArgs) -> Result<u8, Problem> {
    use super::mutation::{QUICK, gate, table};
    use comity_proto::planted::Plant;
    use std::process::Command;

    let plants: Vec<Plant> = match &args.plant {
        Some(name) => vec![named(name)?],
        None if args.quick => QUICK.to_vec(),
        None => Plant::ALL.to_vec(),
    };
    let itself = std::env::current_exe()?;
    let scenario = args.scenario.clone();
    let child = |plant: Plant, seed: u64| {
        let mut command = Command::new(&itself);
        command.args(["planted", plant.name(), "--scenario", &scenario, "--seed", &seed.to_string()]);
        command
    };
    let caught = gate(&plants, args.from, args.seeds, child);
    print!("{}", table(&caught));
    Ok(if caught.iter().all(|line| line.oracle.is_some()) { 0 } else { 1 })
}

/// One universe with one bug, for [`gate`]: prints what was seen as one line of JSON.
#[cfg(feature = "planted")]
pub(super) fn planted(system: super::System, args: &super::args::PlantedArgs) -> Result<u8, Problem> {
    use super::mutation::Told;
    use crate::plan::Plan;

    let plant = named(&args.plant)?;
    let scenario = super::files::scenario(&args.scenario)?;
    let mut plan = Plan::draw(args.seed, &scenario);
    plan.planted = Some(plant.name().to_owned());
    comity_proto::planted::plant(Some(plant));
    let record = super::held::held(system, &plan, std::time::Duration::from_secs(300), |_| {})?;
    let failure = record.failure.as_ref();
    let told = Told {
        oracle: failure.map(|failure| failure.oracle.clone()),
        detail: failure.map(|failure| failure.detail.clone()).unwrap_or_default(),
    };
    println!("{}", serde_json::to_string(&told)?);
    Ok(record.verdict.exit_code())
}

#[cfg(feature = "planted")]
fn named(name: &str) -> Result<comity_proto::planted::Plant, Problem> {
    let all = comity_proto::planted::Plant::ALL;
    all.iter().copied().find(|plant| plant.name() == name).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|plant| plant.name()).collect();
        Problem(format!("no planted bug is called {name}; there are {}", names.join(", ")))
    })
}
