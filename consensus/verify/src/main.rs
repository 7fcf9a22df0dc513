//! The binary `comity-verify`: judges a file, says what was checked or the first thing that is wrong.
//!
//! Exit code 0: everything holds. 1: it was judged and something is wrong. 2: it could not be judged (arguments, files).

use clap::Parser;
use comity_verify::{Place, Rule, Verdict, Wrong, checkpoint_of, verify};
use std::{
    fs::File,
    io::BufReader,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Judges a domain's exported history, checkpoint or proof without any code of a node.
#[derive(Debug, Parser)]
#[command(name = "comity-verify", version)]
struct Args {
    /// What `comity ledger export`, `checkpoint` or `extension` or `comity audit export` or `accuse` wrote.
    file: PathBuf,
    /// A checkpoint (or an older history) that it must extend.
    #[arg(long, value_name = "CHECKPOINT")]
    against: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match judge(&args) {
        Ok(verdict) => {
            println!("{verdict}\nholds");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            println!("wrong       {wrong}");
            ExitCode::from(if wrong.rule == Rule::Unreadable { 2 } else { 1 })
        }
    }
}

fn open(path: &Path) -> Result<BufReader<File>, Wrong> {
    let file = File::open(path).map(BufReader::new);
    file.map_err(|error| Wrong::new(Place::Head, Rule::Unreadable, format!("{}: {error}", path.display())))
}

fn judge(args: &Args) -> Result<Verdict, Wrong> {
    let against = args.against.as_deref().map(open).transpose()?.map(checkpoint_of).transpose()?;
    verify(open(&args.file)?, against.as_ref())
}
