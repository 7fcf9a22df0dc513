//! `comity dev`: a whole federation on loopback, and a real trade through it.
//!
//! This process is the operator of both domains and the narrator. Nodes and agents are processes of their own; agents
//! speak only to a node of their own domain, over its public REST API. What is claimed at the end is computed from the
//! replicas' own digests and statements.

pub mod agents;
pub mod orchestrator;
pub mod plan;
pub mod processes;
mod report;
mod setup;
mod story;
mod verdict;
pub mod work;
pub mod worker;

use crate::{
    cli::{
        args::{DevAgentArgs, DevArgs},
        output::Output,
    },
    service::error::ServiceError,
};
use std::process::ExitCode;

/// Runs the federation and tells its story.
///
/// # Errors
/// What kept a part from starting, or a step from succeeding.
pub fn run(args: &DevArgs, output: Output) -> Result<ExitCode, ServiceError> {
    story::run(args, output)
}

/// Runs one agent process of the story.
///
/// # Errors
/// What its node refused.
pub fn agent(args: &DevAgentArgs) -> Result<ExitCode, ServiceError> {
    let config = agents::AgentConfig::load(&args.config)?;
    match args.role.as_str() {
        "worker" => worker::run(&config),
        "orchestrator" => orchestrator::run(&config),
        other => Err(ServiceError::bad_input("bad_role", format!("`{other}` is neither orchestrator nor worker"))),
    }
}
