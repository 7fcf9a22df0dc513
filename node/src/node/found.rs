//! The first start of a domain: its genesis comes into the log, its treasury and faucet are filled, unless it is to use others' money.

use super::{Node, raft_id, replica_config};
use crate::signer::Signer;
use comity_ledger::Ledger;
use comity_proto::{
    command::{Command, Verb},
    entry::EntryItem,
    ids::{Hash, RequestId},
};
use comity_replica::{InitializeFailed, NodeInfo};
use std::{sync::Arc, time::Duration};

/// How long a founding waits for the other founders to connect: a majority may be enough.
const FOUND_WITHOUT: Duration = Duration::from_secs(5);
/// What a new domain issues to its treasury, minor units, and how much of it goes to the faucet.
const FIRST_ISSUE: u64 = 1_000_000_000_000;
const FIRST_FAUCET: u64 = 10_000_000_000;
/// Pause before a founding that did not succeed is tried again.
const FOUND_AGAIN: Duration = Duration::from_millis(200);

/// The founding node brings the genesis into the log; repeated until it stands there.
pub(super) async fn found(node: Arc<Node>) {
    let Some(genesis) = node.home.genesis.clone() else { return };
    let is_founded = || node.replica.read_stale(|ledger, _| ledger.domain().is_some());
    let own = (node.raft_id(), replica_config(&node.home).info);
    let founders: Result<Vec<_>, _> = node.home.config.founders.iter().map(crate::address::of_founder).collect();
    let members = match founders {
        Ok(founders) if founders.is_empty() => vec![own],
        Ok(founders) => founders.into_iter().map(|info| (raft_id(&info.key), info)).collect(),
        Err(error) => return tracing::error!(%error, "the domain cannot be founded"),
    };
    greet_founders(&node, &members).await;
    while !is_founded() {
        match node.replica.initialize(members.clone(), genesis.clone()).await {
            Ok(_) => break,
            Err(InitializeFailed::NotAMember(why) | InitializeFailed::Stopped(why)) => {
                return tracing::error!(why, "the domain cannot be founded");
            }
            Err(InitializeFailed::Submit(error)) => tracing::debug!(%error, "the genesis is not applied yet"),
        }
        comity_runtime::sleep(FOUND_AGAIN).await;
    }
    endow(&node).await;
}

/// A new domain's operator issues to its treasury and fills its faucet, so that the first agent can claim at once.
///
/// The request ids follow from the domain, so doing it again after a crash does nothing twice; a domain that has issued
/// anything is left alone, and so is one that may issue nothing.
async fn endow(node: &Node) {
    let Some(keys) = &node.home.domain_keys else { return };
    let may_begin = |ledger: &Ledger, _| {
        let asset = ledger.asset(ledger.native_asset())?;
        let is_new = asset.supply_cap.is_some_and(|cap| cap > 0) && ledger.supply_of(&asset.id) == 0;
        is_new.then_some(asset.id)
    };
    let Some(asset) = node.replica.read_stale(may_begin) else { return };
    let verbs =
        [Verb::Issue { code: asset.code, to: None, amount: FIRST_ISSUE }, Verb::FundFaucet { amount: FIRST_FAUCET }];
    let id =
        |label: &str| RequestId(Hash::of_parts("comity/v1/endow", &[&node.domain().0, label.as_bytes()]).first_16());
    let commands = verbs.into_iter().zip(["issue", "faucet"]);
    let commands = commands.map(|(verb, label)| Command { request_id: id(label), verb }).collect();
    let batch = Signer::operator(keys.operator.clone(), node.domain()).sign_all(commands, comity_runtime::wall_ms());
    if let Err(error) = node.replica.submit(EntryItem::Commands(batch.envelope)).await {
        tracing::warn!(%error, "the treasury is empty; the operator can issue later");
    }
}

/// A vote that is asked for before the others are connected costs an election timeout: waits for them, but not for ever.
async fn greet_founders(node: &Node, members: &[(u64, NodeInfo)]) {
    let begun = comity_runtime::now();
    while begun.elapsed() < FOUND_WITHOUT {
        let own = node.mesh.nodes_of(&node.domain());
        let is_here = |info: &NodeInfo| info.key == node.key().public() || own.contains(&info.key);
        if members.iter().all(|(_, info)| is_here(info)) {
            return;
        }
        comity_runtime::sleep(Duration::from_millis(10)).await;
    }
}
