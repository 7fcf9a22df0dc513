//! Election safety.
//!
//! openraft orders votes by term and then by node, so a term may see several leaders one after the other, each with a
//! greater vote. What must hold is that every one of them had a majority for that very vote.

use crate::oracles::{Looks, Oracle, View};

pub(super) fn oracle() -> Box<dyn Oracle> {
    Box::new(Looks {
        name: "elected",
        claim: "whoever leads has the vote of a majority of its domain, and nobody leads under another's vote",
        look,
    })
}

fn look(view: &View<'_>) -> Result<(), String> {
    let domains = view.hosts.domains();
    for change in view.seen.fresh.changes.iter().filter(|change| change.sight.leads) {
        let (host, vote) = (change.host, change.sight.vote);
        let own = view.hosts.with(host, |machine| machine.raft_id());
        if vote.1 != own || !change.sight.vote_committed {
            return Err(format!("host {host} leads under the vote of {:x} in term {}", vote.1, vote.0));
        }
        let hosts = &domains[change.domain].hosts;
        let granted = |other: &&u32| {
            let voted = view.seen.logs.get(other).is_some_and(|log| log.greatest_vote >= vote);
            // A host that is down may have voted in its last instant.
            voted || view.hosts.node(**other).is_none() || !view.keeps_its_disk(**other)
        };
        let count = hosts.iter().filter(granted).count();
        let voters = view.hosts.node(host).map_or(hosts.len(), |node| node.replica().status().voters.len());
        if count <= voters / 2 {
            return Err(format!("host {host} leads in term {} with {count} of {voters} votes", vote.0));
        }
    }
    Ok(())
}
