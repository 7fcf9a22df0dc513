//! A random graph of slow links, and the fastest way through it.

use std::{cmp::Reverse, collections::BinaryHeap};

use crate::world::Chance;

/// Nodes, and links with their time one way.
pub struct Graph {
    /// For each node: whom it dials.
    pub dials: Vec<Vec<usize>>,
    /// For each node: neighbour and microseconds one way.
    links: Vec<Vec<(usize, u64)>>,
}

impl Graph {
    /// Every node dials `dials` others, drawn evenly; a link takes `from_us` to `to_us` one way. A ring of first dials
    /// keeps the graph in one piece.
    pub fn draw(nodes: usize, dials: usize, (from_us, to_us): (u64, u64), chance: &mut Chance) -> Graph {
        let mut graph = Graph { dials: vec![Vec::new(); nodes], links: vec![Vec::new(); nodes] };
        for node in 1..nodes {
            graph.link(node, node - 1, chance.between(from_us, to_us));
        }
        for node in 0..nodes {
            // A small graph may not have so many others.
            for _ in 0..4 * dials {
                let other = chance.below(nodes as u64) as usize;
                let is_new = other != node && graph.links[node].iter().all(|(known, _)| *known != other);
                if graph.dials[node].len() < dials && is_new {
                    graph.link(node, other, chance.between(from_us, to_us));
                }
            }
        }
        graph
    }

    fn link(&mut self, from: usize, to: usize, us: u64) {
        self.dials[from].push(to);
        self.links[from].push((to, us));
        self.links[to].push((from, us));
    }

    /// Every link once: from, to, microseconds one way.
    pub fn all_links(&self) -> impl Iterator<Item = (usize, usize, u64)> + '_ {
        let both = self.links.iter().enumerate().flat_map(|(from, to)| to.iter().map(move |(to, us)| (from, *to, *us)));
        both.filter(|(from, to, _)| from < to)
    }

    /// Microseconds of the fastest way from `from` to every node (Dijkstra); `None` where there is none.
    pub fn fastest(&self, from: usize) -> Vec<Option<u64>> {
        let mut best = vec![None; self.links.len()];
        let mut open = BinaryHeap::from([Reverse((0, from))]);
        while let Some(Reverse((us, node))) = open.pop() {
            if best[node].is_some() {
                continue;
            }
            best[node] = Some(us);
            open.extend(self.links[node].iter().map(|(next, more)| Reverse((us + more, *next))));
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_reached_and_dials_as_many_as_asked() {
        let graph = Graph::draw(200, 6, (10_000, 150_000), &mut Chance::stream(1, "graph"));
        assert!(graph.dials.iter().skip(1).all(|dials| dials.len() == 6));
        assert!(graph.fastest(0).iter().all(Option::is_some));
        assert!(graph.all_links().all(|(_, _, us)| (10_000..=150_000).contains(&us)));
    }

    #[test]
    fn the_fastest_way_may_go_round() {
        let mut graph = Graph { dials: vec![Vec::new(); 3], links: vec![Vec::new(); 3] };
        graph.link(0, 1, 100);
        graph.link(1, 2, 10);
        graph.link(0, 2, 20);
        assert_eq!(graph.fastest(0), [Some(0), Some(30), Some(20)]);
    }

    #[test]
    fn two_nodes_are_one_link() {
        let graph = Graph::draw(2, 6, (1, 1), &mut Chance::stream(1, "graph"));
        assert_eq!(graph.all_links().count(), 1);
    }
}
