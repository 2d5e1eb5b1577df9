//! CPython 3.11: measured on 3.11.2 and 3.11.7.

use super::*;

pub(super) const LAYOUT: Layout = Layout {
    minor: 11,
    object: ObjectLayout {
        ob_type: 8,
        var_size: 16,
    },
    type_object: TypeLayout {
        name: 24,
        basic_size: 32,
        flags: 168,
    },
    thread: ThreadLayout { id: 152 },
    frames: FrameChain::CFrame {
        cframe: 56,
        current_frame: 8,
        frames: InterpreterFrames {
            previous: 48,
            code: 32,
            code_tag: 0,
            instruction: 56,
            owner: 69,
            hidden_owners_from: u8::MAX,
            bytecode: 184,
            first_traceable: 168,
        },
    },
    code: CodeLayout {
        basic_size: 184,
        first_line: 72,
        filename: 112,
        name: 120,
        qualname: Some(128),
        line_table: 136,
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
        finalizing: 24,
        interpreters_head: 40,
        interpreter_next: 0,
        current_thread: Some(576),
    },
};
