//! The door for people: every verb either runs a node in this process (`up`, `dev`, `bench`) or asks a running one over
//! its REST API.

mod agent;
pub mod args;
mod audit;
mod bridge;
mod card;
pub mod client;
pub mod context;
mod custody;
mod delegate;
mod drift;
mod endpoint;
mod escrow;
mod export;
mod keyring;
mod ledger;
mod mcp;
mod money;
mod node;
pub mod output;
mod peer;
mod restore;
mod root_key;
mod rotation;
mod subnet;
mod svid;
mod witness;

use crate::service::error::{Kind, ServiceError};
use args::{AuditCommand, CardCommand, Cli, Command, DomainCardCommand, LedgerCommand, SnapshotCommand};
use clap::Parser as _;
use context::Context;
use output::Output;
use std::process::ExitCode;

/// Runs one command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output { json: cli.json };
    let runtime = match crate::runtime::build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("comity: no threads: {error}");
            return ExitCode::from(1);
        }
    };
    let _inside = runtime.enter();
    crate::runtime::install_tokio();
    match run(&runtime, &cli) {
        Ok(code) => code,
        Err(error) => {
            // Tasks still run and may log: the reason for the end is the last thing that is said.
            crate::telemetry::end();
            output.refuse(&error)
        }
    }
}

fn run(runtime: &tokio::runtime::Runtime, cli: &Cli) -> Result<ExitCode, ServiceError> {
    match &cli.command {
        Command::Dev(args) => crate::dev::run(args, Output { json: cli.json }),
        Command::DevAgent(args) => crate::dev::agent(args),
        Command::Up(args) => runtime.block_on(node::up(cli, args)),
        Command::Init(args) => node::init(cli, args),
        Command::Bench(command) => bench(runtime, command, cli.json),
        Command::Ledger(LedgerCommand::Verify(args)) | Command::Audit(AuditCommand::Verify(args)) => {
            audit::verify(args, Output { json: cli.json }).map(|()| ExitCode::SUCCESS)
        }
        Command::Audit(AuditCommand::Accuse { one, other, file }) => {
            audit::accuse(one, other, file, Output { json: cli.json }).map(|()| ExitCode::SUCCESS)
        }
        Command::Keyring(command) => keyring::keyring(cli, command).map(|()| ExitCode::SUCCESS),
        Command::Card(CardCommand::Domain(DomainCardCommand::Verify(args))) => {
            card::verify(cli, args).map(|()| ExitCode::SUCCESS)
        }
        Command::Snapshot(SnapshotCommand::Inspect { snapshot }) => {
            restore::inspect(snapshot, Output { json: cli.json }).map(|()| ExitCode::SUCCESS)
        }
        Command::Snapshot(SnapshotCommand::Restore(args)) => restore::restore(cli, args).map(|()| ExitCode::SUCCESS),
        other => ask(&Context::of(cli)?, other).map(|()| ExitCode::SUCCESS),
    }
}

fn bench(
    runtime: &tokio::runtime::Runtime,
    command: &crate::bench::BenchCommand,
    json: bool,
) -> Result<ExitCode, ServiceError> {
    let ran = runtime.block_on(crate::bench::run(command.clone(), json));
    ran.map(|()| ExitCode::SUCCESS).map_err(|error| {
        ServiceError::new(Kind::Internal, "bench_failed", error.to_string(), "see what it names, then run it again")
    })
}

fn ask(context: &Context, command: &Command) -> Result<(), ServiceError> {
    match command {
        Command::Status => node::status(context),
        Command::Id => node::id(context),
        Command::Members => node::members(context),
        Command::JoinToken(args) => node::join_token(context, args),
        Command::Raft(command) => node::raft(context, command),
        Command::Agent(command) => agent::agent(context, command),
        Command::Discover(args) => agent::discover(context, args),
        Command::Card(command) => agent::card(context, command),
        Command::Account(command) => money::account(context, command),
        Command::Faucet(command) => money::faucet(context, command),
        Command::Name(command) => money::name(context, command),
        Command::Transfer(command) => money::transfer(context, command),
        Command::Escrow(command) => escrow::escrow(context, command),
        Command::Delegate(command) => delegate::delegate(context, command),
        Command::Endpoint(command) => endpoint::endpoint(context, command),
        Command::Peer(command) => peer::peer(context, command),
        Command::Export(command) => export::export(context, command),
        Command::Licence(command) => peer::licence(context, command),
        Command::Drift(command) => drift::drift(context, command),
        Command::Subnet(command) => subnet::subnet(context, command),
        Command::Bridge => bridge::bridge(context),
        Command::Ledger(command) => ledger::ledger(context, command),
        Command::Mcp { token_file } => mcp::mcp(context, token_file.as_deref()),
        Command::Snapshot(SnapshotCommand::Save { name }) => restore::save(context, name.as_deref()),
        // These run in this process and never get here.
        Command::Dev(_)
        | Command::DevAgent(_)
        | Command::Up(_)
        | Command::Init(_)
        | Command::Bench(_)
        | Command::Snapshot(_)
        | Command::Keyring(_) => Ok(()),
        Command::Audit(command) => witness::audit(context, command),
    }
}
