//! What running code and the interpreter itself refer to.

use super::*;
use deadweight_cpython::heap::{threads, variables};

#[test]
fn variables_and_stacks_of_running_frames_are_found() {
    Heap::each(|heap| {
        let mut found = HashSet::new();
        let mut names = Vec::new();
        let mut count = 0;
        assert!(threads::each(
            heap.ctx.mem,
            &heap.interpreters,
            heap.interpreter,
            |thread| {
                count += 1;
                assert!(threads::frames(heap.ctx, thread, |frame| {
                    let mut edges = Vec::new();
                    let code = variables::frame(heap.ctx, frame, &mut |edge| edges.push((edge.label, edge.to)))
                        .expect("a frame");
                    let name = heap.string(code.qualified_name);
                    for (label, to) in edges {
                        found.insert((name.clone(), heap.show(label), to));
                    }
                    names.push(name);
                }));
            }
        ));
        assert_eq!(count, 2, "{}", heap.name);
        assert!(names.contains(&"running".to_owned()), "{}: {names:?}", heap.name);
        let mut seen = 0;
        for said in heap.said("local") {
            let wanted = (said[0].clone(), format!("local {}", said[1]), number(&said[2]));
            assert!(found.contains(&wanted), "{}: {wanted:?}", heap.name);
            seen += 1;
        }
        assert_eq!(seen, 5);
        for said in heap.said("stack").filter(|_| heap.ctx.layout.minor >= 11) {
            let wanted = (said[0].clone(), "stack".to_owned(), number(&said[1]));
            assert!(found.contains(&wanted), "{}: {wanted:?}", heap.name);
        }
    });
}

#[test]
fn the_dicts_of_the_interpreter_are_found() {
    Heap::each(|heap| {
        let mut roots = HashMap::new();
        heap.interpreters.roots(heap.ctx.mem, heap.interpreter, |root| {
            roots.insert(root.name, root.object);
        });
        let mut count = 0;
        for said in heap.said("root") {
            assert_eq!(
                roots.get(said[0].as_str()),
                Some(&number(&said[1])),
                "{}: {}",
                heap.name,
                said[0]
            );
            count += 1;
        }
        assert_eq!(count, 3);
    });
}
