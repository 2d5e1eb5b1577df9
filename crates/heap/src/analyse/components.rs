//! Strongly connected components among the nodes of one reachability (Tarjan 1972, without recursion), and which of them no
//! other such node refers to.

use crate::analyse::reach::Reachability;
use crate::graph::Graph;

const UNSEEN: u32 = u32::MAX;

/// The components that no other component of the same reachability refers to, in the order of their smallest nodes; the
/// nodes of each are sorted.
pub(crate) fn sources(graph: &Graph, reachability: &[Reachability], state: Reachability) -> Vec<Vec<u32>> {
    let nodes: Vec<u32> = (0..graph.len() as u32)
        .filter(|&node| reachability[node as usize] == state)
        .collect();
    if nodes.is_empty() {
        return Vec::new();
    }
    let mut places = vec![UNSEEN; graph.len()];
    for (place, &node) in nodes.iter().enumerate() {
        places[node as usize] = place as u32;
    }
    let (component, count) = components(graph, &nodes, &places);
    let mut led_to = vec![false; count];
    for (place, &node) in nodes.iter().enumerate() {
        for &to in graph.targets(node) {
            let to = places[to as usize];
            if to != UNSEEN && component[to as usize] != component[place] {
                led_to[component[to as usize] as usize] = true;
            }
        }
    }
    let mut numbers = vec![UNSEEN; count];
    let mut found: Vec<Vec<u32>> = Vec::new();
    for (place, &node) in nodes.iter().enumerate() {
        let of = component[place] as usize;
        if led_to[of] {
            continue;
        }
        if numbers[of] == UNSEEN {
            numbers[of] = found.len() as u32;
            found.push(Vec::new());
        }
        found[numbers[of] as usize].push(node);
    }
    found
}

/// The component of each of `nodes`, and the number of components. `places` gives the index of a node in `nodes`.
fn components(graph: &Graph, nodes: &[u32], places: &[u32]) -> (Vec<u32>, usize) {
    let mut number = vec![UNSEEN; nodes.len()];
    let mut low = vec![0u32; nodes.len()];
    let mut component = vec![UNSEEN; nodes.len()];
    let (mut next, mut count) = (0u32, 0u32);
    let mut path: Vec<(u32, u32)> = Vec::new();
    let mut open: Vec<u32> = Vec::new();
    for start in 0..nodes.len() as u32 {
        if number[start as usize] != UNSEEN {
            continue;
        }
        path.push((start, 0));
        while let Some((place, edge)) = path.last_mut() {
            let at = *place as usize;
            if *edge == 0 && number[at] == UNSEEN {
                number[at] = next;
                low[at] = next;
                next += 1;
                open.push(*place);
            }
            let row = graph.targets(nodes[at]);
            let Some(&to) = row.get(*edge as usize) else {
                let place = *place;
                path.pop();
                if let Some(&(parent, _)) = path.last() {
                    low[parent as usize] = low[parent as usize].min(low[at]);
                }
                if low[at] == number[at] {
                    while let Some(member) = open.pop() {
                        component[member as usize] = count;
                        if member == place {
                            break;
                        }
                    }
                    count += 1;
                }
                continue;
            };
            *edge += 1;
            let to = places[to as usize];
            if to == UNSEEN {
                continue;
            }
            if number[to as usize] == UNSEEN {
                path.push((to, 0));
            } else if component[to as usize] == UNSEEN {
                low[at] = low[at].min(number[to as usize]);
            }
        }
    }
    (component, count as usize)
}
