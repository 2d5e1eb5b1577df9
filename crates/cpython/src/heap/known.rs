//! Kinds of objects, and the exported types by which they are recognised.

use core::ffi::CStr;

/// The kind of an object, which decides its layout. An instance of a subclass has the kind of its closest known base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // Named as the types are.
pub enum Kind {
    /// An instance of a class written in Python that has no base of another kind.
    Instance,
    /// An object of a type written in C that has no base of another kind.
    Other,
    Dict,
    DefaultDict,
    OrderedDict,
    /// 3.15.
    FrozenDict,
    List,
    Tuple,
    Set,
    FrozenSet,
    Str,
    Bytes,
    ByteArray,
    Int,
    Float,
    Function,
    /// A bound method.
    Method,
    /// A function or bound method written in C.
    BuiltinFunction,
    Cell,
    Module,
    Generator,
    Coroutine,
    AsyncGenerator,
    Frame,
    Code,
    Traceback,
    Exception,
    Type,
    /// `weakref.ref` and the proxies.
    WeakRef,
    Property,
    StaticMethod,
    ClassMethod,
    /// Descriptors of types written in C, and of slots.
    Descriptor,
    MappingProxy,
    /// `functools.partial`.
    Partial,
    /// A function wrapped by `functools.lru_cache`.
    LruCache,
    /// An entry of such a cache.
    LruLink,
    /// `collections.deque`.
    Deque,
}

/// Exported types with the kinds of their objects: the names to look up for [`Known::resolve`].
pub const SYMBOLS: &[(&CStr, Kind)] = &[
    (c"PyDict_Type", Kind::Dict),
    (c"PyODict_Type", Kind::OrderedDict),
    (c"PyFrozenDict_Type", Kind::FrozenDict),
    (c"PyList_Type", Kind::List),
    (c"PyTuple_Type", Kind::Tuple),
    (c"PySet_Type", Kind::Set),
    (c"PyFrozenSet_Type", Kind::FrozenSet),
    (c"PyUnicode_Type", Kind::Str),
    (c"PyBytes_Type", Kind::Bytes),
    (c"PyByteArray_Type", Kind::ByteArray),
    (c"PyLong_Type", Kind::Int),
    (c"PyFloat_Type", Kind::Float),
    (c"PyFunction_Type", Kind::Function),
    (c"PyMethod_Type", Kind::Method),
    (c"PyCFunction_Type", Kind::BuiltinFunction),
    (c"PyCell_Type", Kind::Cell),
    (c"PyModule_Type", Kind::Module),
    (c"PyGen_Type", Kind::Generator),
    (c"PyCoro_Type", Kind::Coroutine),
    (c"PyAsyncGen_Type", Kind::AsyncGenerator),
    (c"PyFrame_Type", Kind::Frame),
    (c"PyCode_Type", Kind::Code),
    (c"PyTraceBack_Type", Kind::Traceback),
    (c"PyType_Type", Kind::Type),
    (c"_PyWeakref_RefType", Kind::WeakRef),
    (c"_PyWeakref_ProxyType", Kind::WeakRef),
    (c"_PyWeakref_CallableProxyType", Kind::WeakRef),
    (c"PyProperty_Type", Kind::Property),
    (c"PyStaticMethod_Type", Kind::StaticMethod),
    (c"PyClassMethod_Type", Kind::ClassMethod),
    (c"PyMemberDescr_Type", Kind::Descriptor),
    (c"PyGetSetDescr_Type", Kind::Descriptor),
    (c"PyMethodDescr_Type", Kind::Descriptor),
    (c"PyClassMethodDescr_Type", Kind::Descriptor),
    (c"PyWrapperDescr_Type", Kind::Descriptor),
    (c"PyDictProxy_Type", Kind::MappingProxy),
];

/// Number of symbols.
const COUNT: usize = SYMBOLS.len();

/// Types that are not exported, by `tp_name`.
pub(crate) const BY_NAME: &[(&[u8], Kind)] = &[
    (b"functools.partial", Kind::Partial),
    (b"functools._lru_cache_wrapper", Kind::LruCache),
    (b"functools._lru_list_elem", Kind::LruLink),
    (b"collections.deque", Kind::Deque),
    (b"collections.defaultdict", Kind::DefaultDict),
];

/// The addresses of the exported types in one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// In the order of [`SYMBOLS`]; 0 if there is none.
    addresses: [u64; COUNT],
    code_type: u64,
    str_type: u64,
}

impl Known {
    /// Asks `address_of` for each of [`SYMBOLS`]; `None` where the interpreter does not export it.
    #[must_use]
    pub fn resolve(mut address_of: impl FnMut(&'static CStr) -> Option<u64>) -> Self {
        let mut known = Self {
            addresses: [0; COUNT],
            code_type: 0,
            str_type: 0,
        };
        for (slot, (symbol, kind)) in known.addresses.iter_mut().zip(SYMBOLS) {
            *slot = address_of(symbol).unwrap_or(0);
            match kind {
                Kind::Code => known.code_type = *slot,
                Kind::Str => known.str_type = *slot,
                _ => {}
            }
        }
        known
    }

    /// The kind of the exported type at `addr`.
    #[must_use]
    pub fn kind(&self, addr: u64) -> Option<Kind> {
        self.addresses
            .iter()
            .zip(SYMBOLS)
            .find_map(|(known, (_, kind))| (*known == addr && addr != 0).then_some(*kind))
    }

    /// Address of the type `code`; 0 if unknown.
    #[inline]
    #[must_use]
    pub const fn code_type(&self) -> u64 {
        self.code_type
    }

    /// Address of the type `str`; 0 if unknown.
    #[inline]
    #[must_use]
    pub const fn str_type(&self) -> u64 {
        self.str_type
    }
}
