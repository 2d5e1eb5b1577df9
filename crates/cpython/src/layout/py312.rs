//! CPython 3.12: measured on 3.12.1 and 3.12.10.

use super::*;

pub(super) const LAYOUT: Layout = Layout {
    minor: 12,
    object: ObjectLayout {
        ob_type: 8,
        var_size: 16,
    },
    type_object: TypeLayout {
        name: 24,
        basic_size: 32,
        flags: 168,
    },
    thread: ThreadLayout { id: 136 },
    frames: FrameChain::CFrame {
        cframe: 56,
        current_frame: 0,
        frames: InterpreterFrames {
            previous: 8,
            code: 0,
            code_tag: 0,
            instruction: 56,
            owner: 70,
            hidden_owners_from: 3,
            bytecode: 192,
            first_traceable: 176,
        },
    },
    code: CodeLayout {
        basic_size: 192,
        first_line: 68,
        filename: 112,
        name: 120,
        qualname: Some(128),
        line_table: 136,
    },
    unicode: UnicodeLayout {
        basic_size: 64,
        length: 16,
        state: 32,
        ascii_data: 40,
        compact_data: 56,
        data_pointer: 56,
    },
    bytes: BytesLayout {
        basic_size: 33,
        data: 32,
    },
    runtime: RuntimeLayout::Fixed {
        finalizing: 24,
        interpreters_head: 40,
        interpreter_next: 0,
        current_thread: None,
    },
};
