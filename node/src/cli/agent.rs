//! `agent`, `discover`, `card`.

use super::{
    args::{AgentCommand, CardCommand, DiscoverArgs},
    context::{Context, DomainView},
    money::{bad_text, done, outcome},
    output::{field, table},
};
use crate::{founding::fresh_key, service::error::ServiceError, signer::Signer};
use comity_proto::{
    card::{AcceptedTerms, AgentCard, Price},
    command::{Referral, Verb},
    envelope::Signed as _,
    keys::prove_rotation,
    limits::DAY_MS,
    text::{Capability, Description, GroupLabel, Nickname, ReferralCode},
};
use data_encoding::BASE64;
use serde_json::{Value, json};

fn code(text: &str) -> Result<ReferralCode, ServiceError> {
    ReferralCode::new(text).map_err(|_| bad_text("referral code", text))
}

/// A code, or AGENT@DOMAIN.
pub(super) fn referral(context: &Context, domain: &DomainView, text: &str) -> Result<Referral, ServiceError> {
    if text.contains('@') { context.party(domain, text).map(Referral::Agent) } else { code(text).map(Referral::Code) }
}

/// `agent …`
pub(super) fn agent(context: &Context, command: &AgentCommand) -> Result<(), ServiceError> {
    match command {
        AgentCommand::Register { custodial: true, .. } => super::custody::register(context, command),
        AgentCommand::Claim { name, token_file } => super::custody::claim(context, name, token_file),
        AgentCommand::Register { name, referred_by, own_code, group, .. } => {
            let domain = context.domain()?;
            let verb = Verb::RegisterAgent {
                nickname: Nickname::new(name).map_err(|_| bad_text("nickname", name))?,
                group: match group {
                    Some(text) => Some(GroupLabel::new(text).map_err(|_| bad_text("group label", text))?),
                    None => None,
                },
                referred_by: referred_by.as_ref().map(|text| referral(context, &domain, text)).transpose()?,
                own_code: own_code.as_ref().map(|text| code(text)).transpose()?,
                admission: None,
                custodial: false,
            };
            let key = context.wallet.create(name)?;
            let signer = Signer::first_key(key, domain.domain);
            let answer = context.submit(&signer, verb)?;
            let id = signer.agent_id().map(|id| id.to_string()).unwrap_or_default();
            let mut document = answer;
            document["agent"] = id.clone().into();
            context.output.show(&document, |answer| format!("{} agent {name} {id}", outcome(answer)));
            Ok(())
        }
        AgentCommand::Rotate { name } => rotate(context, name),
        AgentCommand::Retire { name, .. } => {
            let signer = context.wallet.signer(name, context.domain()?.domain)?;
            done(context, &context.submit(&signer, Verb::RetireAgent)?);
            Ok(())
        }
        AgentCommand::Show { agent } => {
            let agent = context.agent(agent)?;
            let answer: Value = context.client.get(&format!("/api/v1/agents/{agent}"))?;
            context.output.show(&answer, |answer| {
                let line = |name: &str| vec![name.to_owned(), field(answer, name)];
                let names = [
                    "agent",
                    "nickname",
                    "key",
                    "custody",
                    "retired",
                    "group",
                    "own_code",
                    "referrer",
                    "referrer_home",
                    "registered_ms",
                ];
                table(&["FIELD", "VALUE"], names.map(line))
            });
            Ok(())
        }
        AgentCommand::List => list(context),
    }
}

fn list(context: &Context) -> Result<(), ServiceError> {
    let mut agents = Vec::new();
    for name in context.wallet.names()? {
        let id = context.wallet.id(&name)?.map(|id| id.to_string()).unwrap_or_default();
        agents.push(json!({ "name": name, "agent": id }));
    }
    context.output.show(&json!({ "agents": agents }), |document| {
        let rows = document["agents"].as_array().into_iter().flatten();
        table(&["NAME", "AGENT"], rows.map(|row| vec![field(row, "name"), field(row, "agent")]))
    });
    Ok(())
}

fn rotate(context: &Context, name: &str) -> Result<(), ServiceError> {
    let signer = context.wallet.signer(name, context.domain()?.domain)?;
    let Some(agent) = signer.agent_id() else { return Err(ServiceError::not_found("agent", name)) };
    let next = fresh_key();
    context.wallet.keep_next(name, &next)?;
    let verb = Verb::RotateKey { new_key: next.public(), proof: prove_rotation(&agent, &next) };
    let answer = context.submit(&signer, verb)?;
    context.wallet.replace(name, agent, &next)?;
    done(context, &answer);
    Ok(())
}

/// `discover CAPABILITY`
pub(super) fn discover(context: &Context, args: &DiscoverArgs) -> Result<(), ServiceError> {
    let view = context.domain()?;
    let mut path = format!("/api/v1/discover?capability={}", args.capability);
    if let Some(domain) = &args.domain {
        path.push_str(&format!("&domain={}", view.resolve(domain)?));
    }
    let answer: Value = context.client.get(&path)?;
    context.output.show(&answer, |answer| {
        let found = answer["agents"].as_array().cloned().unwrap_or_default();
        if found.is_empty() {
            return format!("{}: {}", field(answer, "status"), field(answer, "detail"));
        }
        cards(&view, &found)
    });
    Ok(())
}

fn cards(domain: &DomainView, found: &[Value]) -> String {
    let rows = found.iter().map(|card| {
        let price = format!("{} {}", domain.show(&field(card, "price")), field(card, "price_code"));
        let age = format!("{:.1}s", card["age_ms"].as_u64().unwrap_or(0) as f64 / 1000.0);
        let agent = format!("{}@{}", field(card, "agent"), field(card, "home"));
        vec![field(card, "name"), field(card, "home_name"), price, age, field(card, "path"), agent]
    });
    table(&["NAME", "HOME", "PRICE", "AGE", "HEARD", "AGENT"], rows)
}

/// `card …`
pub(super) fn card(context: &Context, command: &CardCommand) -> Result<(), ServiceError> {
    let domain = context.domain()?;
    match command {
        CardCommand::Domain(command) => return super::card::domain(context, &domain, command),
        CardCommand::Publish { name, description, capabilities, price, days, public } => {
            let signer = context.wallet.signer(name, domain.domain)?;
            let Some(agent) = signer.agent_id() else { return Err(ServiceError::not_found("agent", name)) };
            let now_ms = comity_runtime::wall_ms();
            let capabilities: Result<Vec<Capability>, ServiceError> = capabilities
                .iter()
                .map(|text| Capability::new(text).map_err(|_| bad_text("capability", text)))
                .collect();
            let card = AgentCard {
                agent,
                home: domain.domain,
                name: Nickname::new(name).map_err(|_| bad_text("nickname", name))?,
                description: Description::new(description).map_err(|_| bad_text("description", description))?,
                capabilities: capabilities?,
                key: signer.key().public(),
                price: Some(Price { asset: domain.native(), amount: domain.amount(price)? }),
                accepts: AcceptedTerms::default(),
                sequence: now_ms,
                issued_at_ms: now_ms,
                expires_at_ms: now_ms.saturating_add(u64::from(*days).saturating_mul(DAY_MS)),
                retired: false,
                public: *public,
                custodial: false,
                attestation: bytes::Bytes::new(),
            };
            let envelope = BASE64.encode(&card.seal(signer.key()));
            let answer: Value = context.client.post("/api/v1/cards", &json!({ "envelope": envelope }))?;
            context.output.show(&answer, |answer| format!("published card {}", field(answer, "sequence")));
        }
        CardCommand::Get { agent } => {
            let agent = context.party(&domain, agent)?.agent;
            let answer: Value = context.client.get(&format!("/api/v1/cards/{agent}"))?;
            context.output.show(&answer, |answer| cards(&domain, std::slice::from_ref(answer)));
        }
    }
    Ok(())
}
