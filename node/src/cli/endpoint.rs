//! `endpoint`: agents' own A2A servers.

use super::{
    args::EndpointCommand,
    context::Context,
    money::bad_text,
    output::{field, table},
};
use crate::{service::error::ServiceError, storage::files};
use serde_json::{Value, json};
use std::path::Path;

/// `endpoint …`
pub(super) fn endpoint(context: &Context, command: &EndpointCommand) -> Result<(), ServiceError> {
    match command {
        EndpointCommand::Set { agent, url, binding, token_file } => {
            let agent = context.agent(agent)?;
            let token = token_file.as_deref().map(token).transpose()?;
            let body = json!({ "agent": agent, "url": url, "binding": binding, "token": token });
            let answer: Value = context.client.post("/api/v1/endpoints", &body)?;
            context.output.show(&answer, |_| format!("tasks of {agent} go to {url} ({binding})"));
        }
        EndpointCommand::List => {
            let answer: Value = context.client.get("/api/v1/endpoints")?;
            context.output.show(&answer, |answer| {
                let rows = answer["endpoints"].as_array().into_iter().flatten();
                let row = |one: &Value| ["agent", "binding", "url", "trouble"].map(|name| field(one, name)).to_vec();
                table(&["AGENT", "BINDING", "URL", "TROUBLE"], rows.map(row))
            });
        }
        EndpointCommand::Remove { agent, .. } => {
            let agent = context.agent(agent)?;
            context.client.post_for_nothing(&format!("/api/v1/endpoints/{agent}/remove"))?;
            context.output.show(&json!({ "agent": agent }), |_| format!("{agent} asks for its work itself"));
        }
    }
    Ok(())
}

fn token(path: &Path) -> Result<String, ServiceError> {
    let bytes = files::read_secret(path).map_err(|error| ServiceError::bad_input("bad_file", error.to_string()))?;
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(|text| text.trim().to_owned()).ok_or_else(|| bad_text("file with a token", &path.display().to_string()))
}
