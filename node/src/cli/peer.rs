//! `peer`.

use super::{
    args::{LicenceArgs, LicenceCommand, PeerChange, PeerCommand},
    context::{Context, DomainView},
    node::root_fork,
    output::{field, table},
    subnet,
};
use crate::service::error::ServiceError;
use comity_proto::limits::DAY_MS;
use serde_json::{Value, json};

/// `peer …`
pub(super) fn peer(context: &Context, command: &PeerCommand) -> Result<(), ServiceError> {
    let domain = context.domain()?;
    match command {
        PeerCommand::Invite { cap, majority_above, hours, invitee } => {
            let (cap, above) = (domain.amount(cap)?.to_string(), minor(&domain, majority_above.as_deref())?);
            let body = json!({ "cap": cap, "majority_above": above, "hours": hours, "invitee": invitee });
            let answer: Value = context.client.post("/api/v1/peers/invite", &body)?;
            let text = |answer: &Value| {
                format!(
                    "{}\nfor one use within {hours} h; the other operator runs\n  comity peer accept TOKEN --cap AMOUNT --export all",
                    field(answer, "token")
                )
            };
            context.output.show(&answer, text);
        }
        PeerCommand::Accept { token, cap, majority_above, export } => {
            let (cap, above) = (domain.amount(cap)?.to_string(), minor(&domain, majority_above.as_deref())?);
            let body = json!({ "token": token, "cap": cap, "majority_above": above, "export": export.direction() });
            one(context, &domain, &context.client.post("/api/v1/peers/accept", &body)?);
        }
        PeerCommand::Approve { peer, export } => {
            let path = format!("/api/v1/peers/{}/approve", named(context, peer)?);
            one(context, &domain, &context.client.post(&path, &json!({ "export": export.direction() }))?);
        }
        PeerCommand::Refresh { peer, cap } => {
            let cap = minor(&domain, cap.as_deref())?;
            let path = format!("/api/v1/peers/{}/refresh", named(context, peer)?);
            one(context, &domain, &context.client.post(&path, &json!({ "cap": cap }))?);
        }
        PeerCommand::Deny(args) => change(context, &domain, "deny", args)?,
        PeerCommand::Suspend(args) => change(context, &domain, "suspend", args)?,
        PeerCommand::Resume(args) => change(context, &domain, "resume", args)?,
        PeerCommand::Drain(args) => change(context, &domain, "drain", args)?,
        PeerCommand::Revoke(args) => change(context, &domain, "revoke", args)?,
        PeerCommand::Show { peer } => {
            one(context, &domain, &context.client.get(&format!("/api/v1/peers/{}", named(context, peer)?))?);
        }
        PeerCommand::List => list(context, &domain)?,
    }
    Ok(())
}

/// An amount, if one is given, as it stands in JSON.
pub(super) fn minor(domain: &DomainView, amount: Option<&str>) -> Result<Option<String>, ServiceError> {
    Ok(amount.map(|amount| domain.amount(amount)).transpose()?.map(|minor| minor.to_string()))
}

fn change(context: &Context, domain: &DomainView, name: &str, args: &PeerChange) -> Result<(), ServiceError> {
    let path = format!("/api/v1/peers/{}/{name}", named(context, &args.peer)?);
    one(context, domain, &context.client.post(&path, &json!({ "reason": args.reason }))?);
    Ok(())
}

/// `licence …`
pub(super) fn licence(context: &Context, command: &LicenceCommand) -> Result<(), ServiceError> {
    let domain = context.domain()?;
    let (peer, path, body) = match command {
        LicenceCommand::Issue(LicenceArgs { peer, tier, agents, events, days, bearer, reason }) => {
            let body = json!({
                "tier": tier, "agents": agents, "events": events, "days": days, "bearer": bearer, "reason": reason,
            });
            (peer, "", body)
        }
        LicenceCommand::Suspend(args) => (&args.peer, "/suspend", json!({ "reason": args.reason })),
        LicenceCommand::Resume(args) => (&args.peer, "/resume", json!({ "reason": args.reason })),
        LicenceCommand::Revoke(args) => (&args.peer, "/revoke", json!({ "reason": args.reason })),
    };
    let path = format!("/api/v1/licences/{}{path}", named(context, peer)?);
    one(context, &domain, &context.client.post(&path, &body)?);
    Ok(())
}

/// A peer by nickname, id or unique prefix of its id.
pub(super) fn named(context: &Context, text: &str) -> Result<String, ServiceError> {
    let answer: Value = context.client.get("/api/v1/peers")?;
    let known: Vec<(String, String)> = answer["peers"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|peer| (field(peer, "nickname"), field(peer, "domain")))
        .collect();
    let by_name: Vec<&String> = known.iter().filter(|(name, _)| name == text).map(|(_, id)| id).collect();
    match by_name.as_slice() {
        [one] => Ok((*one).clone()),
        [] => comity_proto::ids::by_prefix(text, known.iter().map(|(_, id)| id.clone()))
            .map_err(|_| ServiceError::not_found("treaty", text)),
        _ => {
            let detail = format!("`{text}` names {} peers: use the id", by_name.len());
            Err(ServiceError::bad_input("ambiguous_name", detail))
        }
    }
}

fn list(context: &Context, domain: &DomainView) -> Result<(), ServiceError> {
    let answer: Value = context.client.get("/api/v1/peers")?;
    context.output.show(&answer, |answer| {
        let rows = answer["peers"].as_array().into_iter().flatten().map(|peer| {
            let text = |name| field(peer, name);
            let (held, cap) = (domain.show(&text("held")), domain.show(&text("cap")));
            vec![text("nickname"), text("state"), text("version"), text("connected"), held, cap, text("domain")]
        });
        table(&["PEER", "STATE", "VERSION", "NODES", "HELD", "CAP", "DOMAIN"], rows)
    });
    Ok(())
}

pub(super) fn one(context: &Context, domain: &DomainView, answer: &Value) {
    context.output.show(answer, |answer| {
        let text = |name| field(answer, name);
        let side = |name: &str| {
            let (standing, reason) = (field(&answer[name], "standing"), field(&answer[name], "reason"));
            if reason == "-" { standing } else { format!("{standing}: {reason}") }
        };
        let mut lines = vec![
            format!("peer         {}  {}", text("nickname"), text("domain")),
            format!("state        {}", text("state")),
            format!("fingerprint  {}", text("fingerprint")),
            format!(
                "caps         we hold up to {} of theirs, they up to {} of ours",
                domain.show(&text("cap")),
                domain.show(&text("their_cap"))
            ),
        ];
        lines.extend(majority(domain, answer));
        lines.extend(charter(domain, answer));
        lines.push(format!("we           {}", side("ours")));
        lines.push(format!("they         {}", side("theirs")));
        lines.extend(licensed("we grant", &answer["licence_granted"]));
        if !answer["licence_granted"].is_null() {
            lines.push(format!("used         {} this minute at this node, {} refused", text("used"), text("refused")));
        }
        lines.extend(licensed("they grant", &answer["licence_held"]));
        if let Some(token) = answer["bearer_token"].as_str() {
            lines.push(format!("token        {token}\n             shown once: hand it over by a way that you trust"));
        }
        lines.extend(closing(domain, &answer["closing"]));
        if !answer["root_fork"].is_null() {
            lines.push(format!("root key     {}", root_fork(&answer["root_fork"])));
        }
        lines.extend(next_step(answer));
        lines.join("\n")
    });
}

fn licensed(whose: &str, licence: &Value) -> Option<String> {
    let text = |name| field(licence, name);
    let quotas = format!("{} agents, {} events a minute", text("agents_max"), text("events_per_minute"));
    let bearer = if licence["bearer"] == true { ", bearer" } else { "" };
    let said = format!("{whose:<11}  {}, {}{bearer}: {quotas} (epoch {})", text("tier"), text("status"), text("epoch"));
    (!licence.is_null()).then_some(said)
}

/// Above how much one voter is not enough to say how a transfer ends.
fn majority(domain: &DomainView, answer: &Value) -> Option<String> {
    let above = |name| match field(answer, name).as_str() {
        "-" => "never".to_owned(),
        amount => format!("above {}", domain.show(amount)),
    };
    let (theirs, ours) = (above("majority_above"), above("their_majority_above"));
    let named = !answer["majority_above"].is_null() || !answer["their_majority_above"].is_null();
    named.then(|| format!("decisions    most voters sign: {theirs} of their asset, {ours} of ours"))
}

/// Who stands under whom, and what the lower one keeps.
fn charter(domain: &DomainView, answer: &Value) -> Option<String> {
    let charter = &answer["charter"];
    let child = if charter["child"] == answer["domain"] { "it stands under us" } else { "we stand under it" };
    (!charter.is_null()).then(|| format!("charter      {child}: {}", subnet::limits(domain, charter)))
}

/// What both sides stated at the end, and whether it fits.
fn closing(domain: &DomainView, closing: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (who, side) in [("we state", "ours"), ("they state", "theirs")] {
        let stated = &closing[side];
        if stated.is_null() {
            continue;
        }
        let assets = stated["assets"].as_array().into_iter().flatten().map(|asset| {
            let name = format!("{}@{}", field(asset, "code"), field(asset, "issuer_name"));
            let (what, figure) = match asset["wrapped"].is_null() {
                true => ("reserve", field(asset, "reserve")),
                false => ("wrapped", field(asset, "wrapped")),
            };
            format!("{what} {} {name}", domain.show(&figure))
        });
        let figures: Vec<String> = assets.collect();
        lines.push(format!("{who:<11}  {} (after {} events)", figures.join(", "), field(stated, "log_size")));
    }
    match (closing["fits"].as_bool(), closing["redeem_until_ms"].as_u64()) {
        (Some(false), _) => lines.push(format!(
            "closing      THE TWO STATEMENTS DIFFER: {}; nothing moves under this treaty",
            field(closing, "difference")
        )),
        (Some(true), Some(until_ms)) => {
            let left_ms = until_ms.saturating_sub(comity_runtime::wall_ms());
            let rest = if left_ms == 0 {
                "the time to bring paper back is over".to_owned()
            } else {
                format!("paper goes back for {} more days", left_ms / DAY_MS)
            };
            lines.push(format!("closing      both statements fit; {rest}"));
        }
        (Some(true), None) => lines.push("closing      both statements fit".to_owned()),
        _ if lines.is_empty() => {}
        _ => lines.push("closing      the other statement is awaited".to_owned()),
    }
    lines
}

/// What is to be done, by whom.
fn next_step(answer: &Value) -> Option<String> {
    let name = field(answer, "nickname");
    match (answer["proposed_by"].as_str(), answer["untold"].as_bool()) {
        (Some("them"), _) => Some(format!(
            "next         compare the fingerprint with the other operator, then: comity peer approve {name}"
        )),
        (_, Some(true)) => {
            Some("next         the peer has not answered yet; it is told again until it does".to_owned())
        }
        (Some("us"), _) => Some("next         the other operator compares the fingerprint and approves".to_owned()),
        _ => None,
    }
}
