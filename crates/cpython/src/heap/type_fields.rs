//! The fields of a type object, and the bits of its flags.

/// Offsets in `PyTypeObject`, the same from 3.9 to 3.15.
pub(crate) mod offset {
    pub(crate) const NAME: u64 = 24;
    pub(crate) const BASIC_SIZE: u64 = 32;
    pub(crate) const ITEM_SIZE: u64 = 40;
    pub(crate) const FLAGS: u64 = 168;
    pub(crate) const TRAVERSE: u64 = 184;
    pub(crate) const WEAK_LIST: u64 = 208;
    pub(crate) const MEMBERS: u64 = 240;
    pub(crate) const BASE: u64 = 256;
    pub(crate) const DICT: u64 = 264;
    pub(crate) const DICT_OFFSET: u64 = 288;
    pub(crate) const IS_GC: u64 = 328;
    pub(crate) const BASES: u64 = 336;
    pub(crate) const MRO: u64 = 344;
    pub(crate) const SUBCLASSES: u64 = 360;
}

/// Bits of `tp_flags` (Include/object.h).
pub mod flags {
    /// Attribute values inside the object (3.13 on).
    pub const INLINE_VALUES: u64 = 1 << 2;
    /// A weak reference list before the object (3.12 on).
    pub const MANAGED_WEAKREF: u64 = 1 << 3;
    /// Attributes or a dict before the object (3.11 on).
    pub const MANAGED_DICT: u64 = 1 << 4;
    /// The type was created at run time.
    pub const HEAP_TYPE: u64 = 1 << 9;
    /// Its objects have a header of the collector.
    pub const HAVE_GC: u64 = 1 << 14;
    /// It derives from `int`.
    pub const INT_SUBCLASS: u64 = 1 << 24;
    /// It derives from `str`.
    pub const STR_SUBCLASS: u64 = 1 << 28;
    /// It derives from `BaseException`.
    pub const EXCEPTION_SUBCLASS: u64 = 1 << 30;
    /// It derives from `type`.
    pub const TYPE_SUBCLASS: u64 = 1 << 31;
}
