//! Who holds what is reachable, and how it grows.

use deadweight_capture::EdgeLabel;
use deadweight_heap::holders_over_time;

use crate::snapshot::{Snapshot, analyse, chain};

const MIB: u64 = 1 << 20;

/// `count` strings that know their document, whose parts are many small native blocks of which a few are sampled.
fn titles(count: u64) -> Snapshot {
    let mut heap = Snapshot::new();
    let list = 0x1000;
    heap.tracked(list, "list", 1000, 1);
    for i in 0..count {
        heap.item(i as u32, 0x1_0000 + i * 0x100);
    }
    for i in 0..count {
        let (title, element, document) = (0x1_0000 + i * 0x100, 0x2_0000 + i * 0x100, 0x3_0000 + i * 0x100);
        let xml = 0x5_0000_0000 + i * 0x100_0000;
        heap.plain(title, "lxml.etree._ElementUnicodeResult", 80, 1)
            .attr("_parent", element);
        heap.tracked(element, "lxml.etree._Element", 72, 1)
            .attr("_doc", document);
        // The document's C structure is not recorded, but its parts refer to it.
        heap.tracked(document, "lxml.etree._Document", 80, 1).word(24, xml);
        for part in 0..100 {
            heap.malloc(xml + 0x1000 + part * 0x100, 120, 4).word(64, xml);
        }
    }
    heap
}

#[test]
fn strings_in_a_local_list_hold_their_documents() {
    let mut heap = titles(12);
    let answer = heap.frame("main", "titles", 0x1000).end().answer();
    let holder = &answer.holders[0];
    assert_eq!(chain(&holder.path), ["frame main<local titles>", "list[0]"]);
    let elements = holder.elements.as_ref().unwrap();
    assert_eq!(
        (elements.type_name.as_str(), elements.count),
        ("lxml.etree._ElementUnicodeResult", 12)
    );
    // Each sampled block stands for 64 KiB.
    assert!(holder.amount.native_bytes >= 12 * 100 * 65_536, "{:?}", holder.amount);
    assert_eq!(holder.stacks[0].stack.0, 4);
    assert_eq!(answer.unowned, []);
}

#[test]
fn a_class_attribute_is_found_through_the_modules() {
    let mut heap = Snapshot::new();
    heap.tracked(0x1000, "dict", 9000, 1)
        .key("matplotlib._pylab_helpers", 0x2000);
    heap.tracked(0x2000, "module", 72, 1).attr("__dict__", 0x3000);
    heap.tracked(0x3000, "dict", 300, 1).key("Gcf", 0x4000);
    heap.tracked(0x4000, "type", 1000, 1).attr("__dict__", 0x5000);
    heap.tracked(0x5000, "dict", 300, 1).key("figs", 0x6000);
    heap.tracked(0x6000, "collections.OrderedDict", 300, 1);
    let one = heap.name("1");
    for i in 0..8 {
        heap.edge(0x1_0000 + i * 0x100, EdgeLabel::Item(one), true);
    }
    for i in 0..8 {
        let (manager, figure) = (0x1_0000 + i * 0x100, 0x2_0000 + i * 0x100);
        heap.tracked(manager, "matplotlib.backend_bases.FigureManagerBase", 48, 2)
            .attr("canvas", figure);
        heap.tracked(figure, "matplotlib.backends.FigureCanvasAgg", 4 * MIB, 1)
            .attr("manager", manager);
    }
    heap.interpreter("sys.modules")
        .edge(0x1000, EdgeLabel::Unnamed(0), false);
    let answer = heap.end().answer();
    let holder = &answer.holders[0];
    assert_eq!(
        chain(&holder.path),
        [
            "modules['matplotlib._pylab_helpers']",
            "module.Gcf",
            "type.figs",
            "OrderedDict[1]"
        ]
    );
    assert_eq!(holder.elements.as_ref().unwrap().count, 8);
    assert!(holder.rooted);
}

#[test]
fn one_large_object_is_a_holder() {
    let mut heap = Snapshot::new();
    heap.tracked(0x1000, "app.Cache", 48, 1)
        .attr("data", 0x2000)
        .attr("name", 0x3000);
    heap.plain(0x2000, "bytearray", 30 * MIB, 1).plain(0x3000, "str", 50, 1);
    let answer = heap.frame("main", "cache", 0x1000).end().answer();
    let holder = &answer.holders[0];
    assert_eq!(
        chain(&holder.path),
        ["frame main<local cache>", "Cache.data", "bytearray"]
    );
    assert_eq!((holder.elements.clone(), holder.amount.bytes()), (None, 30 * MIB));
}

#[test]
fn entries_of_two_caches_of_a_class_are_held_jointly() {
    let mut heap = Snapshot::new();
    heap.tracked(0x1000, "module", 72, 1).attr("__dict__", 0x2000);
    heap.tracked(0x2000, "dict", 300, 1).key("Resolver", 0x3000);
    heap.tracked(0x3000, "type", 1000, 1).attr("__dict__", 0x4000);
    heap.tracked(0x4000, "dict", 300, 1)
        .key("find", 0x5000)
        .key("search", 0x6000)
        .key("__init__", 0x7000)
        .key("resolve", 0x7100)
        .key("pop", 0x7200);
    for method in [0x7000, 0x7100, 0x7200] {
        heap.tracked(method, "function", 150, 1);
    }
    for cache in [0x5000, 0x6000] {
        heap.tracked(cache, "functools._lru_cache_wrapper", 300, 1);
        for i in 0..12 {
            heap.edge(0x1_0000 + i * 0x100, EdgeLabel::Member, true);
        }
    }
    for i in 0..12 {
        let (resolver, schema) = (0x1_0000 + i * 0x100, 0x2_0000 + i * 0x100);
        heap.tracked(resolver, "validators.Resolver", 48, 2)
            .attr("schema", schema);
        heap.tracked(schema, "dict", 2 * MIB, 1);
    }
    let answer = heap.interpreter("sys.modules").key("validators", 0x1000).end().answer();
    let holder = &answer.holders[0];
    assert_eq!(
        chain(&holder.path),
        [
            "modules['validators']",
            "module.Resolver",
            "type.find",
            "_lru_cache_wrapper (a key or member)"
        ]
    );
    let elements = holder.elements.as_ref().unwrap();
    assert_eq!(
        (elements.type_name.as_str(), elements.count),
        ("validators.Resolver", 12)
    );
    assert_eq!(holder.amount.bytes(), elements.bytes);
    assert!(holder.amount.bytes() >= 24 * MIB);
    assert_eq!(holder.amount.objects, 24);
    // What is in a group is not listed again.
    assert_eq!(answer.holders.len(), 1, "{:?}", answer.holders);
}

#[test]
fn a_mapping_of_objects_to_objects_is_a_holder_where_neither_has_half() {
    let mut heap = Snapshot::new();
    // Of all bytes each type has less than half, because the dict itself is large.
    heap.tracked(0x1000, "dict", 50 << 10, 1);
    for i in 0..10 {
        let (state, row) = (0x1_0000 + i * 0x100, 0x2_0000 + i * 0x100);
        let state_name = heap.name("state");
        heap.edge(state, EdgeLabel::Member, true)
            .edge(row, EdgeLabel::Item(state_name), true);
    }
    for i in 0..10 {
        let (state, row) = (0x1_0000 + i * 0x100, 0x2_0000 + i * 0x100);
        heap.plain(state, "orm.State", 45 << 10, 1)
            .plain(row, "app.Row", 46 << 10, 1);
    }
    let answer = heap.frame("main", "pending", 0x1000).end().answer();
    let elements = answer.holders[0].elements.as_ref().unwrap();
    assert_eq!((elements.type_name.as_str(), elements.count), ("app.Row", 10));
}

#[test]
fn a_holder_has_the_path_of_its_module_whatever_function_runs() {
    let key = |function: &str, local: u64| {
        let mut heap = Snapshot::new();
        heap.tracked(0x1000, "module", 72, 1).attr("__dict__", 0x2000);
        heap.tracked(0x2000, "dict", 300, 1).key("CACHE", 0x3000);
        heap.tracked(0x3000, "app.Cache", 48, 2).attr("entries", 0x4000);
        heap.tracked(0x4000, "list", 1000, 1 + u64::from(local == 0x4000));
        for i in 0..8 {
            heap.item(i as u32, 0x1_0000 + i * 0x100);
        }
        for i in 0..8 {
            heap.plain(0x1_0000 + i * 0x100, "app.Entry", MIB, 1);
        }
        heap.interpreter("sys.modules").key("app", 0x1000);
        let answer = heap.frame(function, "self", local).end().answer();
        answer.holders[0].key.clone()
    };
    assert_eq!(key("add", 0x3000), key("sort", 0x4000));
}

#[test]
fn the_functions_of_a_module_are_no_elements() {
    let mut heap = Snapshot::new();
    heap.tracked(0x1000, "module", 72, 1).attr("__dict__", 0x2000);
    heap.tracked(0x2000, "dict", 300, 1);
    for i in 0..50 {
        heap.key(&format!("f{i}"), 0x1_0000 + i * 0x100);
    }
    for i in 0..50 {
        heap.tracked(0x1_0000 + i * 0x100, "function", MIB, 1);
    }
    let answer = heap.interpreter("sys.modules").key("big", 0x1000).end().answer();
    // Each function is large, but together they are no container's elements.
    assert!(
        answer.holders.iter().all(|holder| holder.elements.is_none()),
        "{:?}",
        answer.holders
    );
}

#[test]
fn growth_is_seen_by_path_although_addresses_change() {
    let answers: Vec<_> = [4u64, 6, 9]
        .iter()
        .enumerate()
        .map(|(number, &count)| {
            let mut heap = titles(count);
            heap.frame("main", "titles", 0x1000).end();
            analyse(&[&heap.bytes()], number as u32).unwrap()
        })
        .collect();
    let series = holders_over_time(&answers);
    assert_eq!(series[0].points.len(), 3);
    assert_eq!(series[0].rise, 0..3);
    assert_eq!(series[0].top().1.elements.as_ref().unwrap().count, 9);
}

#[test]
fn a_holder_is_the_same_although_a_function_has_it_at_hand() {
    // Once the path is that of the thread's registry, once that of the method that runs.
    let answers: Vec<_> = [("main", "registry", 20u64), ("Session.add", "self", 30)]
        .iter()
        .enumerate()
        .map(|(number, &(function, local, count))| {
            let mut heap = Snapshot::new();
            heap.tracked(0x1000, "orm.Registry", 48, 1).attr("session", 0x2000);
            heap.tracked(0x2000, "orm.Session", 48, 1 + number as u64)
                .attr("_new", 0x3000)
                .attr("_deleted", 0x4000);
            for (dict, rows) in [(0x3000, 0x1_0000), (0x4000, 0x2_0000)] {
                heap.tracked(dict, "dict", 1000, 1);
                for i in 0..count {
                    heap.key(&format!("{i}"), rows + i * 0x100);
                }
            }
            for (rows, size) in [(0x1_0000, MIB), (0x2_0000, MIB / 2)] {
                for i in 0..count {
                    heap.plain(rows + i * 0x100, "app.Row", size, 1);
                }
            }
            let (root, of) = if number == 0 {
                (0x1000, "main")
            } else {
                (0x2000, function)
            };
            heap.frame(of, local, root).end();
            analyse(&[&heap.bytes()], number as u32).unwrap()
        })
        .collect();
    assert_ne!(answers[0].holders[0].key, answers[1].holders[0].key);
    let series = holders_over_time(&answers);
    let grown: Vec<_> = series.iter().map(|series| series.rise.len()).collect();
    assert_eq!(grown, [2, 2], "each with itself");
    assert!(series[0].points.iter().all(|(_, holder)| holder.key.contains("_new")));
}

#[test]
fn many_objects_of_many_types_that_refer_to_each_other_have_one_holder() {
    let mut heap = Snapshot::new();
    let (trees, nodes) = (20u64, 10u64);
    let node = |tree: u64, at: u64| 0x10_0000 + tree * 0x1_0000 + at * 0x100;
    heap.tracked(0x1000, "dict", 10_000, 1);
    for tree in 0..trees {
        for at in 0..nodes {
            heap.key(&format!("{tree}.{at}"), node(tree, at));
        }
    }
    for tree in 0..trees {
        for at in 0..nodes {
            heap.tracked(node(tree, at), &format!("ast.Node{at}"), 64 << 10, 3)
                .attr("parent", node(tree, (at + 1) % nodes))
                .attr("child", node(tree, (at + nodes - 1) % nodes));
        }
    }
    let answer = heap.frame("main", "cache", 0x1000).end().answer();
    let holder = &answer.holders[0];
    assert_eq!(holder.path[0].edge, "<local cache>");
    assert_eq!(holder.type_name, "dict");
    assert!(holder.amount.bytes() >= 200 * (64 << 10), "{:?}", holder.amount);
    let elements = holder.elements.as_ref().unwrap();
    assert!(
        elements.type_name.starts_with("ast.Node") && elements.count == trees,
        "{elements:?}"
    );
}

#[test]
fn a_path_prefers_names_to_detours() {
    let mut heap = Snapshot::new();
    // The function's globals are nearer, but say nothing.
    heap.tracked(0x1000, "function", 100, 1).attr("__globals__", 0x2000);
    heap.tracked(0x2000, "dict", 300, 2).key("store", 0x4000);
    heap.tracked(0x3000, "module", 72, 1).attr("__dict__", 0x2000);
    heap.tracked(0x4000, "bytearray", 3 * MIB, 1);
    heap.tracked(0x5000, "dict", 300, 1).key("app", 0x3000);
    heap.frame("main", "f", 0x1000);
    heap.interpreter("sys")
        .edge(0x5000, EdgeLabel::Attribute(Default::default()), false);
    let answer = heap.end().answer();
    assert_eq!(
        chain(&answer.holders[0].path)[1..],
        ["dict['app']", "module.store", "bytearray"]
    );
}
