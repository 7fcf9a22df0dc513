//! `account`, `faucet`, `name`, `transfer`.

use super::{
    args::{AccountCommand, FaucetCommand, NameCommand, TransferCommand},
    context::{Context, DomainView},
    output::{field, table},
};
use crate::{service::error::ServiceError, signer::fresh_transfer_id};
use comity_proto::{
    command::Verb,
    ids::TransferId,
    text::{Memo, Name},
};
use serde_json::{Value, json};

/// The refusal of a text that is none.
pub(super) fn bad_text(what: &str, text: &str) -> ServiceError {
    ServiceError::bad_input("bad_text", format!("`{text}` is no {what}"))
}

fn balances(domain: &DomainView, document: &Value) -> String {
    let rows = document["balances"].as_array().into_iter().flatten().map(|balance| {
        let code = field(balance, "code");
        let asset = format!("{code}@{}", field(balance, "issuer_name"));
        vec![asset, domain.show(&field(balance, "available"))]
    });
    table(&["ASSET", "AVAILABLE"], rows)
}

/// `account …`
pub(super) fn account(context: &Context, command: &AccountCommand) -> Result<(), ServiceError> {
    let domain = context.domain()?;
    match command {
        AccountCommand::Show { agent } => {
            let agent = context.agent(agent)?;
            let answer: Value = context.client.get(&format!("/api/v1/accounts/{agent}"))?;
            context.output.show(&answer, |answer| balances(&domain, answer));
        }
        AccountCommand::List => {
            let answer: Value = context.client.get("/api/v1/accounts")?;
            context.output.show(&answer, |answer| {
                let rows = answer["accounts"].as_array().into_iter().flatten().map(|account| {
                    let asset = format!("{}@{}", field(account, "code"), field(account, "issuer_name"));
                    vec![field(account, "account"), asset, domain.show(&field(account, "amount"))]
                });
                table(&["ACCOUNT", "ASSET", "AMOUNT"], rows)
            });
        }
    }
    Ok(())
}

/// `faucet …`
pub(super) fn faucet(context: &Context, command: &FaucetCommand) -> Result<(), ServiceError> {
    let domain = context.domain()?;
    let (signer, verb) = match command {
        FaucetCommand::Claim { name } => (context.wallet.signer(name, domain.domain)?, Verb::ClaimFaucet),
        FaucetCommand::Fund { amount } => {
            (context.operator(&domain)?, Verb::FundFaucet { amount: domain.amount(amount)? })
        }
    };
    done(context, &context.submit(&signer, verb)?);
    Ok(())
}

/// `name …`
pub(super) fn name(context: &Context, command: &NameCommand) -> Result<(), ServiceError> {
    let parse = |text: &str| Name::new(text).map_err(|_| bad_text("name", text));
    let domain = context.domain()?;
    let (owner, verb) = match command {
        NameCommand::Resolve { name } => {
            let answer: Value = context.client.get(&format!("/api/v1/names/{}", parse(name)?))?;
            context.output.show(&answer, |answer| field(answer, "agent"));
            return Ok(());
        }
        NameCommand::Register { name, owner, years } => {
            (owner, Verb::RegisterName { name: parse(name)?, years: *years })
        }
        NameCommand::Release { name, owner, .. } => (owner, Verb::ReleaseName { name: parse(name)? }),
    };
    let signer = context.wallet.signer(owner, domain.domain)?;
    done(context, &context.submit(&signer, verb)?);
    Ok(())
}

/// `transfer …`
pub(super) fn transfer(context: &Context, command: &TransferCommand) -> Result<(), ServiceError> {
    let domain = context.domain()?;
    match command {
        TransferCommand::Send { from, to, amount, memo, id } => {
            let transfer_id = match id {
                Some(id) => id.parse::<TransferId>().map_err(|_| bad_text("transfer id (32 hex characters)", id))?,
                None => fresh_transfer_id(),
            };
            let verb = Verb::Transfer {
                transfer_id,
                to: context.party(&domain, to)?,
                asset: domain.native(),
                amount: domain.amount(amount)?,
                memo: Memo::new(memo).map_err(|_| bad_text("memo", memo))?,
            };
            let signer = context.wallet.signer(from, domain.domain)?;
            let mut answer = context.submit(&signer, verb)?;
            answer["transfer"] = transfer_id.to_string().into();
            context.output.show(&answer, |answer| format!("{} transfer {transfer_id}", outcome(answer)));
        }
        TransferCommand::Show { id } => {
            let answer: Value = context.client.get(&format!("/api/v1/transfers/{id}"))?;
            context.output.show(&answer, |answer| {
                format!("{}{}", transfers(&domain, std::slice::from_ref(answer)), by_hand(&domain, answer))
            });
        }
        TransferCommand::List { in_doubt } => {
            let answer: Value = context.client.get(&format!("/api/v1/transfers?in_doubt={in_doubt}"))?;
            let rows = answer["transfers"].as_array().cloned().unwrap_or_default();
            context.output.show(&answer, |_| transfers(&domain, &rows));
        }
        TransferCommand::Verdict(args) => {
            let body = json!({ "to": args.to, "content": args.content, "commit": args.commit, "reason": args.reason });
            let answer: Value = context.client.post(&format!("/api/v1/transfers/{}/verdict", args.id), &body)?;
            context.output.show(&answer, |answer| {
                format!("{}\nthe other operator runs\n  comity transfer resolve VERDICT", field(answer, "verdict"))
            });
        }
        TransferCommand::Resolve { verdict } => {
            let answer: Value = context.client.post("/api/v1/transfers/resolve", &json!({ "verdict": verdict }))?;
            done(context, &answer);
        }
    }
    Ok(())
}

/// What can be done about a promise whose origin is gone for good.
fn by_hand(domain: &DomainView, transfer: &Value) -> String {
    if transfer["side"] != "participant" || transfer["finished"] == true {
        return String::new();
    }
    format!(
        "it ends when its origin answers; if that domain's log is lost for good, its operator can say how it ended:\n  \
         comity transfer verdict {} --to {} --content {} --commit|--abort --reason WHY\n",
        field(transfer, "transfer"),
        domain.domain,
        field(transfer, "content")
    )
}

fn transfers(domain: &DomainView, rows: &[Value]) -> String {
    let header = ["TRANSFER", "SIDE", "PEER", "AMOUNT", "STATE", "AGE", "WAITS FOR"];
    let rows = rows.iter().map(|row| {
        let age = format!("{:.1}s", row["age_ms"].as_u64().unwrap_or(0) as f64 / 1000.0);
        let amount = domain.show(&field(row, "amount"));
        let text = |name| field(row, name);
        vec![text("transfer"), text("side"), text("peer_name"), amount, text("state"), age, text("waits_for")]
    });
    table(&header, rows)
}

/// The outcome of the first command of an answer.
pub(super) fn outcome(answer: &Value) -> String {
    field(&answer["results"][0], "outcome")
}

/// Prints the outcome of a command.
pub(super) fn done(context: &Context, answer: &Value) {
    context.output.show(answer, |answer| format!("{} (log index {})", outcome(answer), field(answer, "log_index")));
}
