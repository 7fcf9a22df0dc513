//! A run whose process aborts still says which universe it was, and ends with the exit code of a crash.

use std::{
    error::Error,
    io::{BufRead, BufReader, Read},
    process::{Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

#[test]
fn an_abort_is_a_crash_with_its_seed() -> Result<(), Box<dyn Error>> {
    let mut run = Command::new(env!("CARGO_BIN_EXE_comity-sim"))
        .args(["run", "--seed", "4711", "--json"])
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut out = BufReader::new(run.stdout.take().ok_or("standard output is piped")?);
    let mut line = String::new();
    // The last of what is said before the universe begins.
    while !line.starts_with("phases") {
        line.clear();
        assert!(out.read_line(&mut line)? > 0, "it ended by itself");
    }
    kill_process(Pid::from_child(&run), Signal::ABORT)?;
    let mut rest = String::new();
    out.read_to_string(&mut rest)?;
    let code = run.wait()?.code();
    assert_eq!(code, Some(127), "{rest}");
    assert!(rest.contains("CRASHED") && rest.contains("comity-sim run --scenario two-domains --seed 4711"), "{rest}");
    let told: serde_json::Value = serde_json::from_str(rest.lines().last().unwrap_or_default())?;
    assert_eq!((told["seed"].as_u64(), told["verdict"].as_str()), (Some(4711), Some("crashed")), "{rest}");
    assert_eq!(told["failure"]["oracle"], "abort");
    Ok(())
}
