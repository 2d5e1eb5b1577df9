//! Where the parts of a heap snapshot are: interpreter, collector, dicts, attributes, frames and generators.

/// What a snapshot of the heap needs to know about one minor version. Offsets in bytes.
///
/// Fields that never moved from 3.9 to 3.15 (lists, sets, cells, tracebacks) are constants beside their readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapLayout {
    /// Where an interpreter keeps what is read.
    pub interpreter: InterpreterLayout,
    /// The collector's state.
    pub gc: GcLayout,
    /// Reference counts.
    pub refcount: RefcountLayout,
    /// Heap types.
    pub heap_type: HeapTypeLayout,
    /// `sizeof(PyTypeObject)`: the size of a static type.
    pub static_type_size: u16,
    /// Instances with attributes.
    pub attributes: AttributesLayout,
    /// `PyDictKeysObject`.
    pub keys: KeysLayout,
    /// `PyTupleObject.ob_item`.
    pub tuple_items: u16,
    /// Whether `int` counts its digits in `lv_tag >> 3` (3.12 on) instead of `ob_size`.
    pub tagged_ints: bool,
    /// `wstr` and `wstr_length` of strings, up to 3.11.
    pub wide_string: Option<(u16, u16)>,
    /// `utf8_length` and `utf8` of strings that are not compact ASCII.
    pub utf8: (u16, u16),
    /// Functions.
    pub function: FunctionLayout,
    /// `PyModuleObject.md_name`.
    pub module_name: u16,
    /// Exceptions.
    pub exception: ExceptionLayout,
    /// Generators, coroutines and asynchronous generators.
    pub generator: GeneratorLayout,
    /// The variables of a frame.
    pub variables: VariablesLayout,
    /// Other references of code objects than names, as pairs of a name and an offset.
    pub code_members: &'static [(&'static str, u16)],
}

/// `PyInterpreterState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterpreterLayout {
    /// 3.9 to 3.12: fixed offsets.
    Fixed(InterpreterFields),
    /// From 3.13: where `_Py_DebugOffsets` keeps each of them.
    DebugOffsets {
        /// Position of each entry.
        position: InterpreterFields,
        /// Position of the entry `gc.collecting`, which must equal [`GcLayout::collecting`].
        collecting: u16,
    },
}

/// One value for each field of `PyInterpreterState` that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterpreterFields {
    /// `id`, 64 bits: 0 in the main interpreter.
    pub id: u16,
    /// `next`.
    pub next: u16,
    /// `tstate_head`, or `threads.head` from 3.11.
    pub threads_head: u16,
    /// `gc`: the collector's state itself.
    pub gc: u16,
    /// `modules`, or `imports.modules` from 3.12: the dict `sys.modules`.
    pub modules: u16,
    /// `sysdict`: the dict of the module `sys`.
    pub sysdict: u16,
    /// `builtins`: the dict of the module `builtins`.
    pub builtins: u16,
}

/// `_gc_runtime_state` (Include/internal/pycore_gc.h, pycore_interp_structs.h). Offsets from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GcLayout {
    /// Heads of the rings of collected objects: three generations, or the young and two old spaces of 3.14.0 to
    /// 3.14.4, which are at the same places.
    pub generations: [u16; 3],
    /// Head of the ring of frozen objects.
    pub permanent: u16,
    /// `collecting`, an int.
    pub collecting: u16,
    /// `long_lived_total` and right after it `long_lived_pending`, as far as that was verified: up to 3.13. `None` from
    /// 3.14 on, where it changes inside the series.
    pub long_lived: Option<u16>,
}

/// `PyObject.ob_refcnt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefcountLayout {
    /// Up to 3.11: a signed number of 64 bits; nothing is immortal.
    Wide,
    /// From 3.12: the low 32 bits count; negative as a signed number means immortal.
    Low32,
}

/// `PyHeapTypeObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeapTypeLayout {
    /// `ht_name`.
    pub name: u16,
    /// `ht_slots`.
    pub slots: u16,
    /// `ht_qualname`.
    pub qualname: u16,
    /// `ht_cached_keys`.
    pub cached_keys: u16,
    /// `ht_module`.
    pub module: u16,
}

/// Where instances with a managed dict keep their attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributesLayout {
    /// 3.9, 3.10: there are no managed dicts, only `tp_dictoffset`.
    DictOnly,
    /// 3.11: values pointer 32 bytes before the object, dict pointer 24 bytes before it.
    ValuesAndDict,
    /// 3.12: 24 bytes before the object a dict pointer, or a values pointer less one.
    ValuesOrDict,
    /// From 3.13: values inside the object after `tp_basicsize`, dict pointer 24 bytes before the object.
    Inline,
}

/// `PyDictKeysObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeysLayout {
    /// 3.9, 3.10: `dk_size`; all entries have 24 bytes.
    Sized,
    /// From 3.11: logarithms of the sizes, and a kind.
    Logarithmic,
}

/// `PyFunctionObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionLayout {
    /// References, as pairs of a name and an offset (`__dict__` excepted, which the type tells).
    pub members: &'static [(&'static str, u16)],
    /// `func_code`.
    pub code: u16,
}

/// `PyBaseExceptionObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExceptionLayout {
    /// References, as pairs of a name and an offset (`__dict__` excepted, which the type tells).
    pub members: &'static [(&'static str, u16)],
}

/// `PyGenObject`, `PyCoroObject`, `PyAsyncGenObject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneratorLayout {
    /// References, as pairs of a name and an offset; `cr_origin` is another thing in the three types.
    pub members: &'static [(&'static str, u16)],
    /// The frame inside the generator, from 3.11.
    pub frame: Option<GeneratorFrame>,
}

/// The frame inside a generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneratorFrame {
    /// `gi_iframe`.
    pub frame: u16,
    /// `gi_frame_state`, one signed byte.
    pub state: u16,
    /// States from this one on have no frame any more.
    pub cleared: i8,
}

/// The variables and the evaluation stack of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VariablesLayout {
    /// 3.9, 3.10: frames are objects.
    Objects {
        /// `f_localsplus`.
        locals: u16,
        /// `f_valuestack`: address of the lowest entry.
        stack: u16,
        /// How much of the stack is in use.
        top: StackTop,
        /// References, as pairs of a name and an offset.
        members: &'static [(&'static str, u16)],
        /// `co_varnames`, `co_cellvars`, `co_freevars` of the code object.
        names: [u16; 3],
    },
    /// From 3.11: interpreter frames.
    Interpreter {
        /// `localsplus`.
        locals: u16,
        /// How much of it is in use.
        top: StackTop,
        /// References, as pairs of a name and an offset. Globals and builtins belong to the function.
        members: &'static [(&'static str, u16)],
        /// Whether the entries of `localsplus`, the code and the function are tagged (3.14 on).
        tagged: bool,
        /// `co_nlocalsplus`, 32 bits.
        count: u16,
        /// `co_localsplusnames`.
        names: u16,
        /// `PyFrameObject.f_frame`.
        object_frame: u16,
        /// References of a `PyFrameObject`, as pairs of a name and an offset.
        object_members: &'static [(&'static str, u16)],
    },
}

/// How a frame says what of its stack is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackTop {
    /// 3.9, and from 3.14: an address, null while the frame runs in C.
    Address(u16),
    /// 3.10: a count of 32 bits of entries of the stack, negative while the frame runs.
    Depth(u16),
    /// 3.11 to 3.13: a count of 32 bits of entries of `localsplus`, negative while the frame runs.
    Total(u16),
}
