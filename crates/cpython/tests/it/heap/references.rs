//! What refers to what, by which name.

use deadweight_cpython::heap::Kind;

use super::*;

#[test]
fn every_reference_of_the_zoo_is_found_under_its_name() {
    Heap::each(|heap| {
        let mut cache: HashMap<u64, Vec<(String, u64)>> = HashMap::new();
        let (mut count, mut wrong) = (0, Vec::new());
        for said in heap.said("edge") {
            let (owner, label, target) = (number(&said[0]), text(&said[1]), number(&said[2]));
            let edges = cache.entry(owner).or_insert_with(|| {
                let edges = heap.edges(owner);
                edges.into_iter().map(|(label, to)| (heap.show(label), to)).collect()
            });
            let through_dict = || {
                let dict = edges.iter().find(|(label, _)| label == ".__dict__")?.1;
                let key = format!("['{}']", label.strip_prefix('.')?);
                let edges = heap.edges(dict);
                Some(
                    edges
                        .into_iter()
                        .any(|(label, to)| to == target && heap.show(label) == key),
                )
            };
            if !edges.contains(&(label.clone(), target)) && !through_dict().unwrap_or(false) {
                let others: Vec<_> = edges.iter().take(20).collect();
                wrong.push(format!("{} {label} {target}: {others:?}", heap.kind_of(owner)));
            }
            count += 1;
        }
        println!("{}: {count} references", heap.name);
        assert!(wrong.is_empty(), "{}: {wrong:#?}", heap.name);
        assert!(count > 1000);
    });
}

#[test]
fn the_references_are_those_that_the_collector_sees() {
    Heap::each(|heap| {
        let (mut objects, mut named, mut wrong) = (0, 0, Vec::new());
        for said in heap.said("referents") {
            let owner = number(&said[0]);
            let edges = heap.edges(owner);
            let found: HashSet<u64> = edges
                .iter()
                .filter(|(label, _)| *label != Label::Weak)
                .map(|(_, to)| *to)
                .collect();
            let missing: Vec<u64> = said[1..]
                .iter()
                .map(|id| number(id))
                .filter(|id| !found.contains(id))
                .collect();
            let said_ids: HashSet<u64> = said[1..].iter().map(|id| number(id)).collect();
            let kind = heap.facts(owner).kind;
            for (label, to) in edges {
                if !said_ids.contains(&to) && !is_invisible_to_the_collector(heap, kind, label) {
                    wrong.push((heap.kind_of(owner), vec![format!("added {}", heap.show(label))]));
                }
            }
            objects += 1;
            named += said.len() - 1;
            // Modules written in C have references of their own.
            if !missing.is_empty() && kind != Kind::Module {
                let what: Vec<String> = missing.iter().map(|id| heap.kind_of(*id)).collect();
                wrong.push((heap.kind_of(owner), what));
            }
        }
        println!("{}: {named} referents of {objects} objects", heap.name);
        assert!(
            wrong.is_empty(),
            "{}: {} {:#?}",
            heap.name,
            wrong.len(),
            &wrong[..wrong.len().min(40)]
        );
        assert!(objects > 2000);
    });
}

#[test]
fn the_cells_of_closures_have_names() {
    Heap::each(|heap| {
        let mut count = 0;
        for said in heap.said("closure") {
            let name = heap::closure_name(heap.ctx, number(&said[0]), number(&said[1])).expect("a name");
            assert_eq!(heap.string(name), text(&said[2]), "{}", heap.name);
            count += 1;
        }
        assert_eq!(count, 3);
    });
}

/// References that are real, but that `tp_traverse` need not visit.
fn is_invisible_to_the_collector(heap: &Heap<'_>, kind: Kind, label: Label) -> bool {
    match (kind, label) {
        (_, Label::Weak) => true,
        (Kind::Dict | Kind::DefaultDict | Kind::OrderedDict | Kind::Type, Label::Member) => true,
        // The links are no objects of the collector's: it visits what they refer to.
        (Kind::LruCache, Label::MemberName("root")) => true,
        (Kind::Descriptor, Label::Attribute(_)) => heap.show(label) == ".__name__",
        (Kind::Module, Label::MemberName("__name__")) => true,
        (Kind::Type, Label::MemberName(name)) => {
            ["__name__", "__qualname__", "__slots__", "__subclasses__"].contains(&name)
        }
        // An ended generator keeps its code; 3.12 and 3.13 do not visit it.
        (Kind::Generator | Kind::Coroutine | Kind::AsyncGenerator, Label::MemberName("f_code")) => {
            (12..14).contains(&heap.ctx.layout.minor)
        }
        // 3.13.0 visits inline values, but then not the dict.
        (Kind::Instance, Label::MemberName("__dict__")) | (Kind::Dict, Label::Key(_)) => heap.ctx.layout.minor == 13,
        _ => false,
    }
}
