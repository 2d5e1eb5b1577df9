//! Blocks: whose they are, what they weigh, and which are nobody's.

use deadweight_capture::{Allocator, StackId};
use deadweight_heap::Unowned;

use crate::snapshot::{Snapshot, chain};

const MIB: u64 = 1 << 20;

#[test]
fn memory_that_an_object_states_is_counted_once() {
    let mut heap = Snapshot::new();
    heap.exact = true;
    // The array of a list is in the list's size; the block of the list itself is the list.
    heap.block(0x1000 - 16, 72, 1, Allocator::PyObject);
    heap.tracked(0x1000, "list", 56 + 8 * MIB, 1).word(24, 0x100_0000);
    heap.block(0x100_0000, 8 * MIB, 2, Allocator::PyMem);
    // Nobody states the buffer of an array.
    heap.plain(0x2000, "array.array", 64, 1).word(24, 0x200_0000);
    heap.block(0x200_0000, 4 * MIB, 3, Allocator::PyMem);
    // A word may point into the middle of a native block.
    heap.plain(0x3000, "numpy.ndarray", 112, 1).word(16, 0x300_0100);
    heap.malloc(0x300_0000, MIB, 4);
    heap.frame("main", "a", 0x1000)
        .frame("main", "b", 0x2000)
        .frame("main", "c", 0x3000);
    let answer = heap.end().answer();
    assert_eq!(answer.all.python_bytes, 56 + 8 * MIB + 64 + 4 * MIB + 112);
    assert_eq!(answer.all.native_bytes, MIB);
    assert_eq!(answer.unowned, []);
    let found: Vec<_> = answer
        .holders
        .iter()
        .map(|holder| (holder.type_name.as_str(), holder.amount.bytes()))
        .collect();
    assert_eq!(
        found,
        [
            ("list", 56 + 8 * MIB),
            ("array.array", 64 + 4 * MIB),
            ("numpy.ndarray", 112 + MIB)
        ]
    );
    // Where they were made: the list itself at one line, its array at another.
    let stacks: Vec<_> = answer.holders[0]
        .stacks
        .iter()
        .map(|part| (part.stack.0, part.bytes))
        .collect();
    assert_eq!(stacks, [(2, 8 * MIB), (1, 72)]);
}

#[test]
fn blocks_that_were_not_recorded_lead_to_those_that_were() {
    let mut heap = Snapshot::new();
    heap.exact = true;
    // An image by way of its structure and a row of lines.
    heap.plain(0x1000, "Image", 64, 1).word(16, 0x50_0000);
    heap.chunk(0x50_0000, 136).word(40, 0x51_0000);
    heap.chunk(0x51_0000, 7000).word(0, 0x100_0010);
    heap.malloc(0x100_0000, 4 * MIB, 2);
    // A document and its nodes have the same address, and the document leads to more.
    heap.plain(0x2000, "Document", 64, 1).word(16, 0x60_0000);
    heap.chunk(0x60_0000, 168).word(8, 0x300_0000);
    heap.malloc(0x200_0000, MIB, 3).word(64, 0x60_0000);
    heap.malloc(0x300_0000, 2 * MIB, 3);
    // What two have belongs to the list that has both.
    heap.plain(0x3000, "Reader", 64, 1).word(16, 0x70_0000);
    heap.plain(0x4000, "Reader", 64, 1).word(16, 0x70_0000);
    heap.chunk(0x70_0000, 200).word(8, 0x400_0000);
    heap.malloc(0x400_0000, 8 * MIB, 4);
    heap.tracked(0x9000, "list", 72, 1).item(0, 0x3000).item(1, 0x4000);
    // A structure of a live object has an old address of a table that has an object which nobody uses.
    heap.plain(0x6000, "Handle", 64, 1).word(16, 0x90_0000);
    heap.chunk(0x90_0000, 64).word(8, 0x600_0000);
    heap.malloc(0x600_0000, 300_000, 6).word(8, 0x7000);
    heap.tracked(0x7000, "Forgotten", 64, 1).attr("me", 0x7000);
    // What no object has makes nobody the owner.
    heap.malloc(0x500_0000, 3 * MIB, 5).word(8, 0x80_0000);
    heap.frame("main", "image", 0x1000)
        .frame("main", "document", 0x2000)
        .frame("main", "handle", 0x6000)
        .frame("main", "readers", 0x9000);
    let answer = heap.end().answer();
    assert_eq!(answer.all.native_bytes, 18 * MIB + 300_000);
    let found: Vec<_> = answer
        .holders
        .iter()
        .map(|holder| (holder.type_name.as_str(), holder.amount.native_bytes))
        .collect();
    assert_eq!(found, [("list", 8 * MIB), ("Image", 4 * MIB), ("Document", 3 * MIB)]);
    let unowned: Vec<_> = answer.unowned.iter().map(|part| (part.stack.0, part.bytes)).collect();
    assert_eq!(unowned, [(5, 3 * MIB), (6, 300_000)]);
    // Its only reference is its own: it is garbage.
    assert_eq!(answer.garbage.objects, 1);
}

#[test]
fn blocks_that_nothing_leads_to_are_listed_by_stack() {
    let mut heap = Snapshot::new();
    heap.plain(0x1000, "str", 50, 0);
    for i in 0..5 {
        heap.malloc(0x100_0000 * (i + 1), MIB, 8);
        heap.block(0x9000_0000 + 0x100_0000 * i, 5 * MIB, 9, Allocator::PyObject);
    }
    // Of a chain of blocks, the first is nobody's and the others are the first one's.
    heap.malloc(0x8000_0000, MIB, 8).word(0, 0x100_0000);
    let answer = heap.end().answer();
    let expected = |stack, allocator, blocks, bytes| Unowned {
        stack: StackId(stack),
        allocator,
        blocks,
        bytes,
    };
    assert_eq!(
        answer.unowned,
        [
            expected(9, Allocator::PyObject, 5, 25 * MIB),
            expected(8, Allocator::Malloc, 6, 6 * MIB)
        ]
    );
}

#[test]
fn a_buffer_that_no_word_leads_to_is_found_by_its_size() {
    let mut heap = Snapshot::new();
    heap.tracked(0x1000, "dict", 64 + 9 * MIB, 1);
    heap.block(0x100_0000, 9 * MIB, 2, Allocator::PyObject);
    // A lost str is not taken for the buffer of another str.
    heap.plain(0x2000, "str", 5 * MIB + 20, 1);
    heap.block(0x900_0000, 5 * MIB, 3, Allocator::PyObject);
    heap.frame("main", "a", 0x1000).frame("main", "b", 0x2000);
    let answer = heap.end().answer();
    let unowned: Vec<_> = answer.unowned.iter().map(|part| (part.stack.0, part.bytes)).collect();
    assert_eq!(unowned, [(3, 5 * MIB)]);
    assert_eq!(answer.all.python_bytes, 64 + 9 * MIB + 10 * MIB + 20);
    assert_eq!(answer.holders[0].stacks[0].stack.0, 2);
}

#[test]
fn the_elements_of_an_array_that_dies_die_with_it() {
    let mut heap = Snapshot::new();
    // A cycle holds an array, whose native buffer holds two strings; one of them has a variable, too.
    heap.tracked(0x1000, "app.Table", 48, 1)
        .attr("me", 0x1000)
        .attr("names", 0x2000);
    heap.plain(0x2000, "numpy.ndarray", 112, 1).word(16, 0x10_0000);
    heap.plain(0x3000, "str", 1000, 1).plain(0x4000, "str", 2000, 2);
    heap.frame("main", "name", 0x4000);
    heap.malloc(0x10_0000, MIB, 1).word(0, 0x3000).word(8, 0x4000);
    let answer = heap.end().answer();
    assert_eq!(
        (answer.garbage.objects, answer.garbage.python_bytes),
        (3, 48 + 112 + 1000)
    );
    assert_eq!((answer.garbage.native_bytes, answer.hidden.objects), (MIB, 0));
}

#[test]
fn a_block_that_knows_its_owner_does_not_explain_the_owners_life() {
    let mut heap = Snapshot::new();
    // Native code holds the object; the object's C structure points back to it.
    heap.tracked(0x1000, "native.Window", 48, 1).word(16, 0x10_0000);
    heap.malloc(0x10_0000, MIB, 1).word(0, 0x1000);
    let answer = heap.end().answer();
    assert_eq!((answer.hidden.objects, answer.garbage.objects), (0, 0));
    assert_eq!(answer.holders[0].type_name, "native.Window");
}

#[test]
fn a_lost_reference_is_an_object_that_nothing_refers_to() {
    let mut heap = Snapshot::new();
    for i in 0..4 {
        heap.plain(0x100_0000 * (i + 1), "str", 5 * MIB, 1);
        heap.block(0x100_0000 * (i + 1), 5 * MIB, 6, Allocator::PyObject);
    }
    heap.plain(0x1000, "str", 5 * MIB, 1);
    heap.frame("main", "text", 0x1000);
    let answer = heap.end().answer();
    let found = &answer.unexplained[0];
    assert_eq!((found.type_name.as_str(), found.stack), ("str", Some(StackId(6))));
    assert_eq!((found.amount.objects, found.amount.bytes()), (4, 20 * MIB));
    assert_eq!((answer.unexplained.len(), answer.hidden.objects), (1, 0));
}

#[test]
fn types_retain_what_would_go_with_all_of_them() {
    let mut heap = Snapshot::new();
    heap.tracked(0x1000, "app.Node", 100, 1).attr("next", 0x2000);
    heap.tracked(0x2000, "app.Node", 100, 1).attr("text", 0x3000);
    heap.plain(0x3000, "str", 1000, 1);
    heap.frame("main", "n", 0x1000);
    let answer = heap.end().answer();
    let found: Vec<_> = answer
        .types
        .iter()
        .map(|of| (of.type_name.as_str(), of.objects, of.bytes, of.retained_bytes))
        .collect();
    assert_eq!(found, [("app.Node", 2, 200, 1200), ("str", 1, 1000, 1000)]);
}

#[test]
fn the_block_of_an_object_may_come_between_its_events() {
    let mut heap = Snapshot::new();
    heap.exact = true;
    heap.tracked(0x1000, "app.Node", 48, 1);
    heap.block(0x1000 - 16, 64, 1, Allocator::PyObject)
        .attr("text", 0x2000)
        .word(16, 0x10_0000);
    heap.malloc(0x10_0000, MIB, 2);
    heap.plain(0x2000, "str", 1000, 1);
    heap.frame("main", "n", 0x1000);
    let answer = heap.end().answer();
    assert_eq!(answer.holders[0].amount.bytes(), 48 + 1000 + MIB);
    assert_eq!(answer.hidden.objects, 0);
}

#[test]
fn lost_objects_may_be_held_by_an_object_of_native_code_that_each_has() {
    let suspect = |native_type: &str| {
        let mut heap = Snapshot::new();
        for i in 0..20u64 {
            let (index, dict, native, text) = (
                0x1_0000 + i * 0x1000,
                0x1_0100 + i * 0x1000,
                0x1_0200 + i * 0x1000,
                0x1_0300 + i * 0x1000,
            );
            // Of its 500 references nothing in the snapshot is one.
            heap.tracked(index, "search.Index", 48, 500).attr("__dict__", dict);
            heap.tracked(dict, "dict", 300, 1)
                .key("text", text)
                .key("automaton", native);
            heap.plain(native, native_type, 80, 1).plain(text, "str", MIB, 1);
        }
        let answer = heap.end().answer();
        let found = &answer.unexplained[0];
        assert_eq!((found.type_name.as_str(), found.amount.objects), ("search.Index", 20));
        chain(&found.suspect)
    };
    assert_eq!(suspect("ahocorasick.Automaton"), ["Index.automaton", "Automaton"]);
    assert!(suspect("numpy.ndarray").is_empty(), "a plain value");
    assert!(suspect("bytearray").is_empty(), "Python's own");
}

#[test]
fn a_small_number_beside_what_was_left_of_an_address_is_no_reference() {
    // The block reaches over a multiple of 4 GiB.
    let (start, size) = (0x7f11_ff00_0010, 50 * MIB);
    let holders = |word: u64, owner: u64| {
        let mut heap = Snapshot::new();
        heap.plain(0x1000, "re.Pattern", 200, 1).word(56, word);
        heap.plain(0x2000, "ctypes.c_void_p", 80, 1).word(16, owner);
        heap.malloc(start, size, 1);
        heap.frame("main", "pattern", 0x1000);
        heap.frame("main", "block", 0x2000);
        let answer = heap.end().answer();
        let first = |holder: &deadweight_heap::Holder| chain(&holder.path)[0].clone();
        answer.holders.iter().map(first).collect::<Vec<_>>()
    };
    // 88 are the flags of a pattern.
    assert_eq!(holders(0x7f12_0000_0058, start), ["frame main<local block>"]);
    assert!(holders(0x7f12_0000_0058, 0).is_empty());
    assert_eq!(holders(0x7f12_0012_3450, 0), ["frame main<local pattern>"]);
}
