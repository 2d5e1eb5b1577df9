//! What blocks and mappings are.

/// The allocator domain of a block. Python's object and mem domains are those that `PyMem_SetAllocator` hooks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Allocator {
    /// `malloc`, `calloc`, `realloc`, `reallocarray` of the C library.
    Malloc = 0,
    /// `posix_memalign`, `aligned_alloc`, `memalign`, `valloc`, `pvalloc`.
    Aligned = 1,
    /// `PyObject_Malloc` and its family: Python objects.
    PyObject = 2,
    /// `PyMem_Malloc` and its family: buffers of Python objects (list items, dict keys).
    PyMem = 3,
}

impl Allocator {
    /// The allocator with this number on the wire.
    pub fn from_wire(number: u8) -> Option<Allocator> {
        [
            Allocator::Malloc,
            Allocator::Aligned,
            Allocator::PyObject,
            Allocator::PyMem,
        ]
        .get(usize::from(number))
        .copied()
    }

    /// Whether the block belongs to Python (object or mem domain) rather than to native code.
    pub fn is_python(self) -> bool {
        matches!(self, Allocator::PyObject | Allocator::PyMem)
    }
}

/// What a mapping is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum MapKind {
    /// Anonymous memory, private or shared: counts as heap.
    Anonymous = 0,
    /// A file's pages: never heap.
    File = 1,
    /// Address space only (`PROT_NONE` or `MAP_NORESERVE`): never heap.
    Reserved = 2,
    /// One of pymalloc's arenas: the objects in it count, not the arena.
    Arena = 3,
}

impl MapKind {
    /// The kind with this number on the wire.
    pub fn from_wire(number: u8) -> Option<MapKind> {
        [MapKind::Anonymous, MapKind::File, MapKind::Reserved, MapKind::Arena]
            .get(usize::from(number))
            .copied()
    }
}
