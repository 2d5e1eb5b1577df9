//! Which objects there are, what they are, and how big.

use std::ops::ControlFlow;

use super::*;
use deadweight_cpython::heap::{Kind, lists, refcount, size};

#[test]
fn the_lists_of_the_collector_hold_what_gc_get_objects_says() {
    Heap::each(|heap| {
        let (mem, layout) = (heap.ctx.mem, heap.ctx.layout);
        let gc = heap.interpreters.gc(heap.interpreter);
        assert!(!lists::is_collecting(mem, layout, gc));
        let mut found = HashSet::new();
        let end = lists::tracked(mem, layout, gc, u64::MAX, |object| {
            assert!(found.insert(object), "{}: twice", heap.name);
            ControlFlow::Continue(())
        });
        assert_eq!(end, lists::End::Complete, "{}", heap.name);
        let [objects, frozen] = heap.said("count").next().unwrap() else {
            panic!()
        };
        let wanted = (number(objects) + number(frozen)) as usize;
        assert!(number(frozen) > 1000 && number(objects) > 1000);
        println!("{}: {} tracked, {wanted} said", heap.name, found.len());
        assert!(
            found.len().abs_diff(wanted) <= 60,
            "{}: {} of {wanted}",
            heap.name,
            found.len()
        );
        let tracked = heap.said("tracked").next().unwrap();
        assert_eq!(tracked.len(), 900);
        for id in tracked {
            assert!(found.contains(&number(id)), "{}", heap.name);
        }
        let mut given = 0;
        let limited = lists::tracked(mem, layout, gc, 100, |_| {
            given += 1;
            ControlFlow::Continue(())
        });
        assert_eq!((limited, given), (lists::End::TooMany, 100));
        let stopped = lists::tracked(mem, layout, gc, 100, |_| {
            given += 1;
            ControlFlow::Break(())
        });
        assert_eq!((stopped, given), (lists::End::Stopped, 101));
    });
}

#[test]
fn the_collector_counts_what_survived_its_last_full_collection() {
    Heap::each(|heap| {
        let (mem, layout) = (heap.ctx.mem, heap.ctx.layout);
        let count = lists::long_lived(mem, layout, heap.interpreters.gc(heap.interpreter));
        let [survived] = heap.said("survived").next().unwrap() else {
            panic!()
        };
        println!("{}: {count:?}, {survived} survived", heap.name);
        if let Some(count) = count {
            assert_eq!(count.pending, 0, "{}", heap.name);
            assert!(count.total.abs_diff(number(survived)) <= 60, "{}: {count:?}", heap.name);
        }
    });
}

#[test]
fn every_type_has_the_name_that_python_gives_it() {
    Heap::each(|heap| {
        let mut count = 0;
        for said in heap.said("name") {
            let ty = number(&said[0]);
            assert_eq!(heap.type_name(ty), text(&said[1]), "{}", heap.name);
            // Only types and the executors of the JIT are sometimes collected and sometimes not.
            let facts = TypeFacts::read(heap.ctx, ty).unwrap();
            let sometimes = facts.kind == Kind::Type || text(&said[1]) == "uop_executor";
            assert_eq!(facts.is_gc != 0, sometimes, "{}: {}", heap.name, text(&said[1]));
            count += 1;
        }
        println!("{}: {count} types", heap.name);
        assert!(count > 300);
    });
}

#[test]
fn the_kinds_of_the_zoo_are_all_recognised() {
    Heap::each(|heap| {
        let kinds: HashSet<Kind> = heap
            .said("edge")
            .map(|said| heap.facts(number(&said[0])).kind)
            .collect();
        for kind in [
            Kind::Instance,
            Kind::Dict,
            Kind::DefaultDict,
            Kind::OrderedDict,
            Kind::List,
            Kind::Tuple,
            Kind::Set,
            Kind::FrozenSet,
            Kind::Str,
            Kind::Int,
            Kind::Function,
            Kind::Method,
            Kind::BuiltinFunction,
            Kind::Cell,
            Kind::Module,
            Kind::Generator,
            Kind::Coroutine,
            Kind::AsyncGenerator,
            Kind::Frame,
            Kind::Code,
            Kind::Traceback,
            Kind::Exception,
            Kind::Type,
            Kind::WeakRef,
            Kind::Property,
            Kind::StaticMethod,
            Kind::ClassMethod,
            Kind::Descriptor,
            Kind::MappingProxy,
            Kind::Partial,
            Kind::LruCache,
            Kind::Deque,
        ] {
            assert!(kinds.contains(&kind), "{}: {kind:?}", heap.name);
        }
    });
}

#[test]
fn sizes_are_those_of_sys_getsizeof() {
    Heap::each(|heap| {
        let mut count = 0;
        let mut wrong = Vec::new();
        for said in heap.said("size") {
            let object = number(&said[0]);
            let found = size::shallow(heap.ctx, &heap.facts(object), object).unwrap_or_default();
            if found.total() != number(&said[1]) {
                wrong.push((heap.kind_of(object), found, number(&said[1])));
            }
            count += 1;
        }
        println!("{}: {count} sizes", heap.name);
        assert!(wrong.is_empty(), "{}: {wrong:#?}", heap.name);
    });
}

#[test]
fn instances_are_as_big_as_what_is_allocated_for_them() {
    Heap::each(|heap| {
        for said in heap.said("allocated") {
            let object = number(&said[0]);
            let facts = heap.facts(object);
            let mut bytes = size::shallow(heap.ctx, &facts, object).unwrap().total();
            for (label, to) in heap.edges(object) {
                if label == Label::MemberName("__dict__") {
                    bytes += size::shallow(heap.ctx, &heap.facts(to), to).unwrap().total();
                }
            }
            assert_eq!(bytes, number(&said[1]), "{}: {}", heap.name, heap.kind_of(object));
        }
    });
}

#[test]
fn reference_counts_are_read() {
    Heap::each(|heap| {
        let read = |id: &str| refcount::read(heap.ctx.mem, heap.ctx.layout, number(id)).unwrap();
        for said in heap.said("refcount") {
            let found = read(&said[0]);
            assert!(!found.immortal);
            assert!(found.count.abs_diff(number(&said[1])) <= 1, "{}: {found:?}", heap.name);
        }
        for said in heap.said("immortal") {
            assert!(read(&said[0]).immortal, "{}", heap.name);
        }
    });
}
