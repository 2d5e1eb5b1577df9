//! Small objects without a node of their own change no answer: the same snapshot with a node for each answers the same.

use deadweight_capture::Allocator;
use deadweight_heap::SnapshotAnswer;
use proptest::prelude::*;

use crate::snapshot::Snapshot;

const CONTAINERS: u64 = 6;
const LEAVES: u64 = 24;
const KINDS: [&str; 3] = ["str", "int", "decimal.Decimal"];

fn container(at: u64) -> u64 {
    0x10_0000 + at % CONTAINERS * 0x1000
}

/// Leaves lie between the containers.
fn leaf(at: u64) -> u64 {
    0x10_0100 + at % LEAVES * 0x400
}

/// What a random snapshot is made of.
#[derive(Clone, Debug)]
struct Plan {
    /// From a container to a leaf, and whether a word leads there.
    to_leaves: Vec<(u64, u64, bool)>,
    between: Vec<(u64, u64)>,
    /// Of each leaf: references beyond those that are found, kind, size, whether its block is known.
    leaves: Vec<(u64, usize, u64, bool)>,
    /// A local variable that holds a container, and one that holds a leaf.
    locals: Vec<u64>,
    local_leaf: Option<u64>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let to_leaves = prop::collection::vec((0..CONTAINERS, 0..LEAVES, prop::bool::weighted(0.1)), 0..40);
    let between = prop::collection::vec((0..CONTAINERS, 0..CONTAINERS), 0..10);
    let extra = prop_oneof![9 => Just(0u64), 1 => 1u64..3];
    let one = (
        extra,
        0..KINDS.len(),
        prop_oneof![Just(32u64), Just(900), Just(9000)],
        any::<bool>(),
    );
    let leaves = prop::collection::vec(one, LEAVES as usize);
    let locals = prop::collection::vec(0..CONTAINERS, 0..3);
    (
        to_leaves,
        between,
        leaves,
        locals,
        prop::option::weighted(0.2, 0..LEAVES),
    )
        .prop_map(|(to_leaves, between, leaves, locals, local_leaf)| Plan {
            to_leaves,
            between,
            leaves,
            locals,
            local_leaf,
        })
}

fn snapshot(plan: &Plan) -> Snapshot {
    let mut heap = Snapshot::new();
    heap.exact = true;
    for &local in &plan.locals {
        heap.frame("work", "one", container(local));
    }
    if let Some(at) = plan.local_leaf {
        heap.frame("work", "other", leaf(at));
    }
    let locals_to = |at: u64| plan.locals.iter().filter(|&&local| local == at).count() as u64;
    for at in 0..CONTAINERS {
        let references = plan.between.iter().filter(|edge| edge.1 == at).count() as u64 + locals_to(at);
        // One that nothing refers to would be gone.
        let references = references.max(1);
        heap.tracked(container(at), "app.Box", 200, references);
        for (place, &(_, to)) in plan.between.iter().filter(|edge| edge.0 == at).enumerate() {
            heap.item(place as u32, container(to));
        }
        for (place, &(_, to, is_word)) in plan.to_leaves.iter().filter(|edge| edge.0 == at).enumerate() {
            match is_word {
                true => heap.word(8 * place as u32, leaf(to)),
                false => heap.item(100 + place as u32, leaf(to)),
            };
        }
    }
    for (at, &(extra, kind, size, has_block)) in plan.leaves.iter().enumerate() {
        let at = at as u64;
        let found = plan.to_leaves.iter().filter(|edge| edge.1 == at && !edge.2).count() as u64;
        let local = u64::from(plan.local_leaf == Some(at));
        heap.plain(leaf(at), KINDS[kind], size, (found + local + extra).max(1));
        if has_block {
            heap.block(leaf(at), size, 1 + kind as u32, Allocator::PyObject);
        }
    }
    heap.end();
    heap
}

/// All but the holders, which are compared by what they hold.
fn without_holders(mut answer: SnapshotAnswer) -> SnapshotAnswer {
    answer.holders.clear();
    answer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 400 }))]

    #[test]
    fn a_node_for_each_object_answers_the_same(plan in plan()) {
        let heap = snapshot(&plan);
        prop_assert_eq!(without_holders(heap.answer()), without_holders(heap.open().answer()));
    }
}

#[test]
fn a_list_of_strings_has_that_many_elements() {
    let mut heap = Snapshot::new();
    heap.frame("main", "rows", 0x1000);
    heap.tracked(0x1000, "list", 8056, 1);
    for at in 0..1000u32 {
        heap.item(at, 0x10_0000 + u64::from(at) * 0x1000);
    }
    // Two are somebody else's too.
    heap.tracked(0x3000, "dict", 200, 1)
        .key("a", 0x10_0000)
        .key("b", 0x10_1000);
    for at in 0..1000u64 {
        heap.plain(0x10_0000 + at * 0x1000, "str", 2000, if at < 2 { 2 } else { 1 });
    }
    heap.end();
    let (folded, whole) = (heap.answer(), heap.open().answer());
    let elements = folded.holders[0]
        .elements
        .clone()
        .map(|found| (found.type_name, found.count));
    assert_eq!(elements, Some(("str".to_owned(), 998)));
    assert_eq!(folded.holders, whole.holders);
}
