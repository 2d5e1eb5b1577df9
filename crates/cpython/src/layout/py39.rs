//! CPython 3.9: measured on 3.9.18.

use super::*;

pub(super) const LAYOUT: Layout = Layout {
    minor: 9,
    object: ObjectLayout {
        ob_type: 8,
        var_size: 16,
    },
    type_object: TypeLayout {
        name: 24,
        basic_size: 32,
        flags: 168,
    },
    thread: ThreadLayout { id: 176 },
    frames: FrameChain::Objects(FrameObjects {
        current_frame: 24,
        back: 24,
        code: 32,
        last_instruction: 104,
        instruction_unit: 1,
    }),
    code: CodeLayout {
        basic_size: 176,
        first_line: 40,
        filename: 104,
        name: 112,
        qualname: None,
        line_table: 120,
    },
    unicode: UnicodeLayout {
        basic_size: 80,
        length: 16,
        state: 32,
        ascii_data: 48,
        compact_data: 72,
        data_pointer: 72,
    },
    bytes: BytesLayout {
        basic_size: 33,
        data: 32,
    },
    runtime: RuntimeLayout::Fixed {
        finalizing: 16,
        interpreters_head: 32,
        interpreter_next: 0,
        current_thread: Some(568),
    },
};
