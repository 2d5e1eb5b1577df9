//! Garbage by the cycle that keeps it, in the shapes of real bugs.

use deadweight_capture::{EdgeLabel, StackId};
use deadweight_heap::{Amount, StackBytes};

use crate::snapshot::{Snapshot, chain};

const MIB: u64 = 1 << 20;

/// `count` data frames that a cached accessor keeps; each holds an array with a native buffer.
fn frames_with_accessors(count: u64) -> Snapshot {
    let mut heap = Snapshot::new();
    for i in 0..count {
        let at = 0x10_0000 + i * 0x1000;
        let (frame, dict, accessor, manager, array) = (at, at + 0x100, at + 0x200, at + 0x300, at + 0x400);
        let buffer = 0x9000_0000 + i * 0x1000_0000;
        heap.tracked(frame, "pandas.core.frame.DataFrame", 48, 1)
            .attr("__dict__", dict);
        heap.tracked(dict, "dict", 232, 1)
            .key("_mgr", manager)
            .key("ww", accessor);
        heap.tracked(accessor, "woodwork.table_accessor.PandasTableAccessor", 48, 1)
            .attr("_dataframe", frame);
        heap.tracked(manager, "pandas.core.internals.BlockManager", 100, 1)
            .attr("blocks", array);
        heap.plain(array, "numpy.ndarray", 112, 1).word(16, buffer);
        heap.malloc(buffer, 92 * MIB, 3);
    }
    heap
}

#[test]
fn an_accessor_that_is_cached_on_its_frame_is_one_finding_for_all_frames() {
    let mut heap = frames_with_accessors(3);
    let answer = heap.end().answer();
    assert_eq!(answer.warnings, Vec::<String>::new());
    assert_eq!(answer.cycles.len(), 1);
    let group = &answer.cycles[0];
    assert_eq!(group.instances, 3);
    assert_eq!(group.type_name, "pandas.core.frame.DataFrame");
    assert_eq!(chain(&group.cycle), ["DataFrame.ww", "PandasTableAccessor._dataframe"]);
    let amount = Amount {
        objects: 15,
        python_bytes: 3 * (48 + 232 + 48 + 100 + 112),
        native_bytes: 3 * 92 * MIB,
    };
    assert_eq!(group.amount, amount);
    assert_eq!(answer.garbage, amount);
    let bytes = 3 * 92 * MIB;
    assert_eq!(
        group.stacks,
        [StackBytes {
            stack: StackId(3),
            bytes
        }]
    );
    assert_eq!((answer.hidden, answer.uncollectable.len()), (Amount::default(), 0));
    assert_eq!((answer.nanos, answer.complete), (5_000_000_000, true));
}

#[test]
fn a_frame_that_a_variable_holds_is_no_garbage() {
    let mut heap = Snapshot::new();
    heap.tracked(0x1000, "app.Node", 48, 2).attr("me", 0x1000);
    heap.frame("main", "node", 0x1000);
    let answer = heap.end().answer();
    assert_eq!((answer.cycles.len(), answer.garbage), (0, Amount::default()));
}

#[test]
fn the_fingerprint_is_the_same_in_another_run() {
    let of = |mut heap: Snapshot| heap.end().answer().cycles[0].fingerprint;
    let mut shifted = Snapshot::new();
    for name in ["other", "names", "come", "first"] {
        shifted.name(name);
    }
    shifted
        .tracked(0x5000, "woodwork.table_accessor.PandasTableAccessor", 48, 1)
        .attr("_dataframe", 0x6000);
    shifted
        .tracked(0x6000, "pandas.core.frame.DataFrame", 48, 1)
        .attr("ww", 0x5000);
    assert_eq!(of(frames_with_accessors(1)), of(shifted));
}

#[test]
fn a_copy_of_the_locals_with_self_in_it_is_found() {
    let mut heap = Snapshot::new();
    let (optimizer, dict, specs, args, models) = (0x1000, 0x2000, 0x3000, 0x4000, 0x5000);
    heap.tracked(optimizer, "skopt.optimizer.optimizer.Optimizer", 48, 1)
        .attr("__dict__", dict);
    heap.tracked(dict, "dict", 1000, 1)
        .key("specs", specs)
        .key("models", models);
    heap.tracked(specs, "dict", 232, 1).key("args", args);
    heap.tracked(args, "dict", 1000, 1).key("self", optimizer);
    heap.tracked(models, "list", 56, 1).item(0, 0x6000);
    heap.plain(0x6000, "numpy.ndarray", 112, 1).word(16, 0x70_0000);
    heap.malloc(0x70_0000, 11 * MIB, 9);
    let answer = heap.end().answer();
    let group = &answer.cycles[0];
    assert_eq!(chain(&group.cycle), ["Optimizer.specs", "dict['args']", "dict['self']"]);
    assert_eq!((group.amount.objects, group.amount.native_bytes), (6, 11 * MIB));
}

#[test]
fn a_bound_method_of_itself_is_found_and_the_shortest_of_several_cycles_shown() {
    let mut heap = Snapshot::new();
    let (own, dict, method, vectorize, other) = (0x1000, 0x2000, 0x3000, 0x4000, 0x5000);
    heap.tracked(own, "scipy.stats.rv_histogram", 48, 3)
        .attr("__dict__", dict);
    heap.tracked(dict, "dict", 1000, 1)
        .key("_ppfvec", vectorize)
        .key("_parse_args", method);
    heap.tracked(method, "method", 64, 1).attr("__self__", own);
    heap.tracked(vectorize, "numpy.vectorize", 48, 1).attr("pyfunc", other);
    heap.tracked(other, "method", 64, 1)
        .attr("__self__", own)
        .attr("__self__", own);
    let answer = heap.end().answer();
    let group = &answer.cycles[0];
    assert_eq!(group.type_name, "scipy.stats.rv_histogram");
    assert_eq!(chain(&group.cycle), ["rv_histogram._parse_args", "method.__self__"]);
}

#[test]
fn a_function_that_calls_itself_is_a_cycle_through_its_closure() {
    let mut heap = Snapshot::new();
    heap.tracked(0x1000, "function", 136, 1).attr("__closure__", 0x2000);
    heap.tracked(0x2000, "tuple", 48, 1).item(0, 0x3000);
    heap.tracked(0x3000, "cell", 40, 1).attr("cell_contents", 0x1000);
    let variable = heap.name("visit");
    let named = |mut heap: Snapshot| chain(&heap.end().answer().cycles[0].cycle);
    let mut with_name = heap.clone();
    with_name.tracked(0x5000, "function", 136, 1);
    with_name.edge(0x3000, EdgeLabel::Closure(variable), false);
    assert_eq!(named(heap), ["function.__closure__[0]"]);
    assert_eq!(named(with_name), ["function.__closure__[0] (visit)"]);
}

#[test]
fn a_weak_reference_keeps_nothing() {
    let mut heap = Snapshot::new();
    heap.tracked(0x1000, "app.Node", 48, 1).attr("me", 0x1000);
    heap.tracked(0x2000, "weakref.ReferenceType", 72, 1)
        .edge(0x1000, EdgeLabel::Weak, false);
    heap.frame("main", "ref", 0x2000);
    let answer = heap.end().answer();
    assert_eq!((answer.garbage.objects, answer.cycles[0].instances), (1, 1));
}

#[test]
fn an_object_array_hides_its_references_from_the_collector() {
    let mut heap = Snapshot::new();
    for i in 0..20 {
        let (own, array, buffer) = (0x1_0000 + i * 0x100, 0x2_0000 + i * 0x100, 0x100_0000 * (i + 1));
        heap.tracked(own, "app.Holder", 48, 1)
            .attr("arr", array)
            .attr("data", buffer);
        heap.plain(array, "numpy.ndarray", 112, 1);
        heap.edge(own, EdgeLabel::Index(0), false);
        heap.plain(buffer, "bytes", 8 * MIB, 1);
    }
    let answer = heap.end().answer();
    assert_eq!((answer.garbage, answer.cycles.len()), (Amount::default(), 0));
    assert_eq!(answer.hidden.objects, 60);
    let group = &answer.uncollectable[0];
    assert_eq!((group.instances, group.amount.bytes()), (20, 20 * (8 * MIB + 160)));
    assert_eq!(chain(&group.cycle), ["Holder.arr", "ndarray[0]"]);
}

#[test]
fn garbage_that_holds_what_is_alive_does_not_own_it() {
    let mut heap = Snapshot::new();
    heap.tracked(0x1000, "app.Node", 48, 1)
        .attr("me", 0x1000)
        .attr("shared", 0x2000);
    heap.tracked(0x2000, "list", 5 * MIB, 2);
    heap.frame("main", "shared", 0x2000);
    let answer = heap.end().answer();
    assert_eq!(answer.garbage.bytes(), 48);
    assert_eq!(answer.holders[0].amount.bytes(), 5 * MIB);
}
