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
        let mut extra: std::collections::BTreeMap<String, u32> = Default::default();
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
            let said_set: HashSet<u64> = said[1..].iter().map(|id| number(id)).collect();
            for (label, to) in &edges {
                if !said_set.contains(to) && *label != Label::Weak {
                    let shown = match label {
                        Label::MemberName(name) => *name,
                        Label::Attribute(_) => "attribute",
                        Label::Member => "member",
                        Label::Type => "type",
                        _ => "other",
                    };
                    *extra
                        .entry(format!("{:?} {shown}", heap.facts(owner).kind))
                        .or_insert(0) += 1;
                }
            }
            objects += 1;
            named += said.len() - 1;
            // Modules written in C have references of their own.
            let is_module = heap.facts(owner).kind == Kind::Module;
            if !missing.is_empty() && !is_module {
                let what: Vec<String> = missing.iter().map(|id| heap.kind_of(*id)).collect();
                wrong.push((heap.kind_of(owner), what));
            }
        }
        println!("EXTRA {extra:?}");
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
