//! What comes through a gateway says so, and nothing comes by another way.

use comity_node::{
    mesh::{Path, Standing},
    node::Node,
    service::bridge,
};
use comity_proto::ids::{AgentId, DomainId, PublicKey};

use crate::{
    oracles::{Oracle, View},
    scenario::GatewaySpec,
    world::{HostId, TimeNs},
};

/// Time between two looks.
const EVERY: TimeNs = 500_000_000;

/// Two domains and what stands between them.
struct Apart {
    gateway: DomainId,
    gates: Vec<HostId>,
    sides: [(DomainId, Vec<HostId>); 2],
}

/// Domains that only a gateway joins.
#[derive(Default)]
pub(super) struct Bridged {
    next: TimeNs,
    judged: [(&'static str, u64); 3],
}

impl Oracle for Bridged {
    fn name(&self) -> &'static str {
        "bridged-says-so"
    }

    fn claim(&self) -> &'static str {
        "domains that only a gateway joins are never connected, and a card of one that the other holds is public and names \
         that gateway or a node of its own that had it from there"
    }

    fn look(&mut self, view: &View<'_>) -> Result<(), String> {
        if view.plan.scenario.gateways.is_empty() || view.now < self.next {
            return Ok(());
        }
        self.next = view.now + EVERY;
        for apart in view.plan.scenario.gateways.iter().filter_map(|spec| Apart::of(view, spec)) {
            let [one, other] = &apart.sides;
            for ((_, own), (theirs, _)) in [(one, other), (other, one)] {
                let keys: Vec<PublicKey> =
                    own.iter().map(|host| view.hosts.with(*host, |machine| machine.key.public())).collect();
                for (host, node) in own.iter().filter_map(|host| Some((*host, view.hosts.node(*host)?))) {
                    self.judge(&apart, *theirs, &keys, (host, &node))?;
                }
            }
        }
        Ok(())
    }

    fn audit(&mut self, view: &View<'_>) -> Result<(), String> {
        self.next = 0;
        self.look(view)?;
        for apart in view.plan.scenario.gateways.iter().filter_map(|spec| Apart::of(view, spec)) {
            let ids = apart.sides.each_ref().map(|(id, _)| *id);
            let between = |origin: DomainId, payee: DomainId| {
                origin != payee && [origin, payee].iter().all(|id| ids.contains(id))
            };
            let posted = view.seen.deals.all().filter(|((origin, _), deal)| {
                let payee = deal.begun.first().map_or(*origin, |begun| begun.what.recipient.domain);
                between(*origin, payee) && deal.closed.iter().any(|step| step.what)
            });
            self.count(1, "bridge:payments-committed", posted.count());
            let frames = |host: &HostId| view.hosts.node(*host).map(|node| bridge::show(&node).pairs);
            let frames = apart.gates.iter().filter_map(frames).flatten().map(|pair| pair.frames).sum::<u64>();
            self.count(2, "bridge:frames-passed", usize::try_from(frames).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    fn judged(&self) -> &[(&'static str, u64)] {
        &self.judged
    }
}

impl Bridged {
    fn count(&mut self, at: usize, name: &'static str, more: usize) {
        self.judged[at].0 = name;
        self.judged[at].1 += more as u64;
    }

    fn judge(
        &mut self,
        apart: &Apart,
        theirs: DomainId,
        own: &[PublicKey],
        (host, node): (HostId, &Node),
    ) -> Result<(), String> {
        let is_theirs = |standing: &Standing| standing.domain() == Some(theirs);
        if let Some(other) = node.mesh().neighbours().iter().find(|other| is_theirs(&other.standing)) {
            return Err(format!(
                "host {host} is connected to {} of {theirs}, which only a gateway reaches",
                other.node
            ));
        }
        let held: Vec<Option<(AgentId, bool, Path)>> = node.mesh().of_agent_cards(|entry| {
            let card = entry.card.get();
            (card.home == theirs).then_some((card.agent, card.public, entry.path))
        });
        for (agent, is_public, path) in held.into_iter().flatten() {
            let came_right = match &path {
                Path::Bridged { gateway, hops, .. } => *gateway == apart.gateway && *hops == 1,
                Path::Relayed(by) => own.contains(by),
                // How it came was judged before this host restarted.
                Path::Stored => true,
                Path::Local | Path::FirstHand(_) => false,
            };
            if !(is_public && came_right) {
                return Err(format!("host {host} holds a card of {agent} (public: {is_public}) that came by {path:?}"));
            }
            self.count(0, "bridge:cards-judged", 1);
        }
        Ok(())
    }
}

impl Apart {
    fn of(view: &View<'_>, spec: &GatewaySpec) -> Option<Apart> {
        let domains = view.hosts.domains();
        let named = |name: &str| domains.iter().find(|domain| domain.name == name);
        let side = |name: &str| named(name).map(|domain| (domain.id(), domain.hosts.clone()));
        let gateway = named(&spec.domain)?;
        let sides = [side(&spec.between[0])?, side(&spec.between[1])?];
        Some(Apart { gateway: gateway.id(), gates: gateway.hosts.clone(), sides })
    }
}
