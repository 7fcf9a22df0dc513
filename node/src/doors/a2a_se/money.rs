//! Balance and movements of the caller's account.

use super::{Call, Reply, read::page, view::whole, wrong::Wrong};
use crate::{
    doors::a2a::time,
    node::Node,
    service::{
        books,
        custody::Bearer,
        history::{self, Movement, Why},
        records,
    },
};
use comity_proto::ids::{AgentId, EscrowId};
use serde_json::{Value, json};

pub(super) async fn balance(node: &Node, caller: &Bearer) -> Result<Reply, Wrong> {
    let agent = caller.agent()?;
    let (known, held) = (books::agent(node, &agent.to_string()).await?, records::held(node, agent).await?);
    Ok(Reply::ok(json!({
        "account_id": agent, "bot_name": known.nickname, "reputation": null,
        "account_status": super::accounts::status(known.retired),
        "available": whole(held.available)?, "held_in_escrow": whole(held.held)?,
        // The ledger holds balances, not sums over a life.
        "total_earned": null, "total_spent": null,
    })))
}

pub(super) async fn transactions(node: &Node, caller: &Bearer, call: &Call) -> Result<Reply, Wrong> {
    let [limit, offset] = call.parameters(["limit", "offset"])?;
    let (take, skip) = page(limit, offset)?;
    let agent = caller.agent()?;
    let found = history::movements(node, agent, skip, take).await?;
    let shown: Vec<Value> = found.page.iter().map(|movement| item(agent, movement)).collect::<Result<_, _>>()?;
    Ok(Reply::ok(json!({ "transactions": shown, "looked_back_to_the_beginning": found.complete })))
}

fn item(agent: AgentId, movement: &Movement) -> Result<Value, Wrong> {
    let came = movement.delta > 0;
    let (kind, escrow) = named(movement.why, came);
    let amount = u64::try_from(movement.delta.unsigned_abs()).unwrap_or(u64::MAX);
    let (from, to) = if came { (None, Some(agent)) } else { (Some(agent), None) };
    Ok(json!({
        "id": format!("event-{}", movement.leaf), "escrow_id": escrow, "from_account": from, "to_account": to,
        "amount": whole(amount)?, "type": kind, "description": null, "created_at": time::text(movement.stamp_ms),
    }))
}

fn named(why: Why, came: bool) -> (&'static str, Option<EscrowId>) {
    match why {
        Why::Locked(escrow) => ("escrow_hold", Some(escrow)),
        Why::Paid(escrow) => ("escrow_release", Some(escrow)),
        Why::Back(escrow) => ("escrow_refund", Some(escrow)),
        Why::Bond(escrow) => ("dispute_stake_hold", Some(escrow)),
        Why::BondSettled(escrow) => ("dispute_stake_return", Some(escrow)),
        Why::Granted => ("deposit", None),
        Why::Transferred => (if came { "transfer_in" } else { "transfer_out" }, None),
        Why::Other => ("fee", None),
    }
}
