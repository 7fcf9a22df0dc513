//! `agent register --custodial` and `agent claim`: accounts whose key a node keeps, and how they end.

use super::{args::AgentCommand, context::Context, money::bad_text, output::field};
use crate::{
    founding::fresh_key,
    service::{
        custody::WARNING,
        error::{Kind, ServiceError},
    },
    signer::fresh_id,
    storage::files,
};
use comity_proto::{ids::AgentId, keys::prove_rotation};
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use std::path::Path;

/// `agent register NAME --custodial`
pub(super) fn register(context: &Context, command: &AgentCommand) -> Result<(), ServiceError> {
    let AgentCommand::Register { name, referred_by, own_code, group, per_day, total, .. } = command else {
        return Ok(());
    };
    let domain = context.domain()?;
    let minor = |amount: &Option<String>| -> Result<Option<String>, ServiceError> {
        amount.as_ref().map(|text| domain.amount(text).map(|minor| minor.to_string())).transpose()
    };
    let body = json!({
        "nickname": name, "group": group, "referred_by": referred_by, "own_code": own_code,
        "per_day": minor(per_day)?, "total": minor(total)?,
    });
    let key = fresh_id().to_string();
    let answer: Value = context.client.post_with_key("/api/v1/custody", &body, Some(&key))?;
    context.output.show(&answer, |answer| {
        let (agent, token) = (field(answer, "agent"), field(answer, "token"));
        format!("created agent {name} {agent}\ntoken  {token}\n       shown once; {WARNING}")
    });
    Ok(())
}

/// `agent claim NAME`
pub(super) fn claim(context: &Context, name: &str, token_file: &Path) -> Result<(), ServiceError> {
    let token = files::read_secret(token_file)
        .map_err(|error| ServiceError::bad_input("bad_file", error.to_string()))?
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| bad_text("file with a token", &token_file.display().to_string()))?;
    let own = context.client.with_token(token.trim());
    let account: Value = own.get("/api/v1/custody")?;
    let agent: AgentId =
        field(&account, "agent").parse().map_err(|_| ServiceError::not_found("custodial account", name))?;
    if context.wallet.id(name)?.is_some() {
        let detail = format!("this data directory has a key of {name}");
        return Err(ServiceError::new(Kind::Conflict, "agent_exists_here", detail, "choose another name"));
    }
    let next = fresh_key();
    context.wallet.keep_next(name, &next)?;
    let body = json!({ "new_key": next.public(), "proof": HEXLOWER.encode(&prove_rotation(&agent, &next)) });
    let answer: Value = own.post("/api/v1/custody/claim", &body)?;
    context.wallet.replace(name, agent, &next)?;
    context.output.show(&answer, |_| format!("agent {agent} has a key of its own: {name}; its token is no more"));
    Ok(())
}
