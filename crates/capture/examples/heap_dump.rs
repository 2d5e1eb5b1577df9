//! Development: statistics and the first events of heap files.
use deadweight_capture::{Event, read::segments};
use std::collections::HashMap;
fn main() {
    let mut args = std::env::args().skip(1);
    let n: usize = args.next().unwrap().parse().unwrap();
    let (mut strings, mut types, mut count, mut edges, mut counted, mut words, mut allocs) = (
        HashMap::new(),
        HashMap::new(),
        HashMap::<String, (u64, u64)>::new(),
        0u64,
        0u64,
        0u64,
        0u64,
    );
    let mut shown = 0;
    for path in args {
        let bytes = std::fs::read(&path).unwrap();
        for segment in segments(&bytes) {
            let segment = segment.unwrap();
            let mut events = segment.events();
            for event in events.by_ref() {
                if shown < n {
                    println!("{event:?}");
                    shown += 1;
                }
                match event {
                    Event::String { id, bytes } => {
                        strings.insert(id, String::from_utf8_lossy(bytes).into_owned());
                    }
                    Event::HeapType { id, name } => {
                        types.insert(id, strings[&name].clone());
                    }
                    Event::HeapObject(o) => {
                        let e = count.entry(types[&o.type_id].clone()).or_default();
                        e.0 += 1;
                        e.1 += o.size;
                    }
                    Event::HeapEdge { counted: c, .. } => {
                        edges += 1;
                        counted += u64::from(c);
                    }
                    Event::HeapWord { .. } => words += 1,
                    Event::Alloc { .. } => allocs += 1,
                    Event::HeapRoot { .. } | Event::HeapEnd { .. } => println!("{event:?}"),
                    _ => {}
                }
            }
            println!("{path}: {:?} {:?}", segment.header().state, events.tail());
        }
    }
    let mut list: Vec<_> = count.into_iter().collect();
    list.sort_by_key(|(_, (_, size))| std::cmp::Reverse(*size));
    println!("edges {edges} counted {counted} words {words} allocs {allocs}");
    for (name, (objects, bytes)) in list.iter().take(25) {
        println!("{bytes:>12} {objects:>9} {name}");
    }
}
