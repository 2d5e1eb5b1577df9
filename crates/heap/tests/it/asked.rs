//! Open snapshots, asked for one thing.

use std::collections::BTreeMap;

use deadweight_capture::EdgeLabel;
use deadweight_heap::{Heap, Standing};

use crate::snapshot::{Snapshot, chain};

const MIB: u64 = 1 << 20;

/// Two tables in a list of `main`, each with a buffer; one dropped table that its accessor keeps; one record.
fn tables() -> Heap {
    let mut heap = Snapshot::new();
    heap.exact = true;
    heap.tracked(0x1000, "list", 72, 1).item(0, 0x2000).item(1, 0x3000);
    for (table, dict, buffer) in [(0x2000, 0x2100, 0x100_0000), (0x3000, 0x3100, 0x200_0000)] {
        heap.tracked(table, "app.Table", 48, 1).attr("__dict__", dict);
        heap.tracked(dict, "dict", 100, 1).key("cells", dict + 0x80);
        heap.plain(dict + 0x80, "array.array", 64, 1).word(24, buffer);
        heap.malloc(buffer, MIB, 1);
    }
    heap.tracked(0x4000, "app.Table", 48, 1).attr("__dict__", 0x4100);
    heap.tracked(0x4100, "dict", 100, 1)
        .key("cells", 0x4180)
        .key("accessor", 0x4200);
    heap.plain(0x4180, "array.array", 64, 1).word(24, 0x300_0000);
    heap.malloc(0x300_0000, 3 * MIB, 2);
    heap.tracked(0x4200, "app.Accessor", 48, 1).attr("_table", 0x4000);
    heap.plain(0x5000, "app.Record", 16, 1);
    heap.frame("main", "tables", 0x1000);
    let record = heap.name("record");
    heap.edge(0x5000, EdgeLabel::Local(record), false);
    heap.end().open()
}

#[test]
fn a_type_is_found_by_the_end_of_its_name() {
    let heap = tables();
    for name in ["app.Table", "Table"] {
        assert_eq!(heap.type_named(name, 9).unwrap().type_names, ["app.Table"], "{name}");
    }
    assert_eq!(heap.type_named("Tabel", 9).unwrap_err(), ["app.Table"]);
    assert_eq!(heap.type_named("", 9).unwrap_err(), Vec::<String>::new());
}

#[test]
fn objects_of_a_type_have_ways_referrers_and_branches() {
    let answer = tables().type_named("Table", 9).unwrap();
    assert_eq!((answer.census.retained.objects, answer.census.unreachable), (3, 1));
    // What is in the dictionary of a table on a cycle is the table's too.
    assert_eq!(answer.census.retained.native_bytes, 5 * MIB);
    let ways: Vec<_> = answer
        .paths
        .iter()
        .map(|way| {
            (
                way.standing,
                chain(&way.path),
                way.amount.objects,
                way.amount.native_bytes,
            )
        })
        .collect();
    let held = vec!["frame main<local tables>".to_owned(), "list[…]".to_owned()];
    assert_eq!(
        ways,
        [
            (Standing::Garbage, vec![], 1, 3 * MIB),
            (Standing::Live, held, 2, 2 * MIB)
        ]
    );
    let referrers: Vec<_> = answer
        .referrers
        .iter()
        .map(|referrer| (&*referrer.type_name, &*referrer.edge, referrer.references))
        .collect();
    assert_eq!(referrers, [("list", "[…]", 2), ("app.Accessor", "._table", 1)]);
    let tails: Vec<_> = answer
        .tails
        .iter()
        .map(|tail| {
            (
                &*tail.edge,
                &*tail.type_name,
                tail.amount.objects,
                tail.amount.native_bytes,
            )
        })
        .collect();
    assert_eq!(tails[0], (".cells", "array.array", 3, 5 * MIB));
    assert_eq!(answer.heaviest[0].object.address, Some(0x4000));
}

#[test]
fn a_cycle_says_what_its_steps_hold() {
    let cycles = tables().cycles(9);
    assert_eq!(cycles.len(), 1);
    let cycle = &cycles[0];
    assert_eq!(chain(&cycle.group.cycle), ["Table.accessor", "Accessor._table"]);
    let held: Vec<_> = cycle
        .parts
        .iter()
        .map(|part| (part.retained.python_bytes, part.retained.native_bytes))
        .collect();
    assert_eq!(held, [(48 + 100 + 64, 3 * MIB), (48, 0)]);
    let tail = &cycle.parts[0].tails[0];
    assert_eq!((&*tail.edge, &*tail.type_name), (".cells", "array.array"));
    assert_eq!((cycle.freeable, cycle.tracked, cycle.beside.bytes()), (true, 3, 0));
    assert_eq!(cycle.instances.len(), 1);
    assert_eq!((cycle.instances[0].0, &cycle.blocks), (Some(0x4000), &vec![0x300_0000]));
}

#[test]
fn an_object_is_found_by_its_address() {
    let heap = tables();
    let found = heap.object_at(0x3000, 9).unwrap();
    assert_eq!(chain(&found.located.path), ["frame main<local tables>", "list[1]"]);
    assert!(found.located.rooted && found.located.object.standing == Standing::Live);
    assert_eq!(found.located.object.retained.native_bytes, MIB);
    assert_eq!(
        (found.referrer_count, found.referrers[0].object.address),
        (1, Some(0x1000))
    );
    assert_eq!(found.references[0].edge, ".__dict__");
    assert!(found.references[0].only_way);
    let block = heap.object_at(0x200_0000, 9).unwrap();
    assert_eq!(
        chain(&block.located.path).last().map(String::as_str),
        Some("array.byte 24 (in C)")
    );
    let none = heap.object_at(0x3001, 9).unwrap_err();
    let near: Vec<_> = none.near.iter().map(|object| object.address).collect();
    assert_eq!(near, [Some(0x3000), Some(0x3100)]);
    assert!(heap.object_at(u64::MAX, 9).is_err() && heap.object_numbered(2, 9).is_none());
}

/// The parts of a written snapshot that are checked.
struct Written {
    nodes: Vec<Vec<u64>>,
    edges: Vec<Vec<u64>>,
    strings: Vec<String>,
}

fn written(heap: &Heap) -> Written {
    let mut out = Vec::new();
    heap.write_heapsnapshot(&mut out).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let rows = |name: &str, fields: usize| -> Vec<Vec<u64>> {
        let numbers: Vec<u64> = json[name]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n.as_u64().unwrap())
            .collect();
        assert_eq!(numbers.len() % fields, 0);
        numbers.chunks(fields).map(<[u64]>::to_vec).collect()
    };
    let (nodes, edges) = (rows("nodes", 7), rows("edges", 3));
    assert_eq!(json["snapshot"]["node_count"], nodes.len());
    assert_eq!(json["snapshot"]["edge_count"], edges.len());
    assert_eq!(nodes.iter().map(|node| node[4] as usize).sum::<usize>(), edges.len());
    let strings = json["strings"].as_array().unwrap();
    Written {
        nodes,
        edges,
        strings: strings.iter().map(|text| text.as_str().unwrap().to_owned()).collect(),
    }
}

#[test]
fn a_heapsnapshot_has_all_nodes_edges_and_bytes() {
    let heap = tables();
    let Written { nodes, edges, strings } = written(&heap);
    let all = heap.answer().all;
    assert_eq!(nodes.iter().map(|node| node[3]).sum::<u64>(), all.bytes());
    let name = |node: &[u64]| strings[node[1] as usize].as_str();
    let tables = nodes.iter().filter(|node| name(node) == "app.Table").count();
    assert_eq!(tables, 3);
    // Everything hangs under the first node, over edges that count.
    let mut firsts = BTreeMap::new();
    let mut next = 0;
    for (at, node) in nodes.iter().enumerate() {
        firsts.insert(at, next..next + node[4] as usize);
        next += node[4] as usize;
    }
    let mut seen = vec![false; nodes.len()];
    let mut open = vec![0];
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut seen[at], true) {
            let strong = edges[firsts[&at].clone()].iter().filter(|edge| edge[0] != 6);
            open.extend(strong.map(|edge| (edge[2] / 7) as usize));
        }
    }
    assert!(seen.iter().all(|seen| *seen));
    // The number in it leads back to the object.
    let record = nodes.iter().find(|node| name(node) == "app.Record").unwrap();
    let found = heap.object_numbered(record[2], 9).unwrap();
    assert_eq!(found.located.object.address, Some(0x5000));
    let edge = edges.iter().find(|edge| edge[0] == 0).unwrap();
    assert_eq!(strings[edge[1] as usize], "<local tables>");
}

#[test]
fn names_in_a_heapsnapshot_are_json() {
    let mut heap = Snapshot::new();
    heap.plain(0x1000, "a.\"quoted\\\n\u{1}ü", 16, 1);
    heap.frame("main", "x", 0x1000);
    let strings = written(&heap.end().open()).strings;
    assert!(strings.iter().any(|text| text == "a.\"quoted\\\n\u{1}ü"), "{strings:?}");
}

#[test]
fn a_snapshot_that_was_cut_off_has_no_cycles() {
    let mut heap = Snapshot::new();
    heap.tracked(0x1000, "app.Node", 48, 1).attr("me", 0x1000);
    assert_eq!(heap.open().cycles(9), Vec::new());
    assert_eq!(heap.end().open().cycles(9).len(), 1);
}
