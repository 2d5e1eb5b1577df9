//! What the objects of a type look like.

use crate::heap::known::BY_NAME;
pub use crate::heap::type_fields::flags;
use crate::heap::type_fields::offset;
use crate::heap::{Context, Kind, array};
use crate::memory::{Memory, is_plausible, is_plausible_data};

/// Longer chains of bases mean a cycle.
const MAX_BASES: usize = 512;
/// Members of one type that are read at most.
const MAX_MEMBERS: u64 = 4096;
/// Number of members that [`TypeFacts`] keeps.
const KEPT: usize = 12;

/// `T_OBJECT` and `T_OBJECT_EX`: kinds of members that are references.
const OBJECT_MEMBERS: [u32; 2] = [6, 16];
/// `sizeof(PyMemberDef)`.
const MEMBER_SIZE: u64 = 40;

/// A reference at a fixed place in every object of a type: a slot, or a member of a type written in C.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Bytes from the object's address.
    pub offset: u64,
    /// Address of its name, a C string.
    pub name: u64,
}

/// What the objects of one type look like at the time of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeFacts {
    /// Address of the type.
    pub addr: u64,
    /// The kind of its objects.
    pub kind: Kind,
    /// `tp_basicsize`, bytes.
    pub basic_size: u64,
    /// `tp_itemsize`, bytes.
    pub item_size: u64,
    /// `tp_flags`: see [`flags`].
    pub flags: u64,
    /// `tp_dictoffset`, bytes.
    pub dict_offset: i64,
    /// `tp_weaklistoffset`, bytes.
    pub weak_list_offset: i64,
    /// `tp_base`, 0 if none.
    pub base: u64,
    /// `tp_traverse`, the address of a function; 0 if none.
    pub traverse: u64,
    /// `tp_is_gc`, the address of a function; 0 if none. Where there is one it decides, see [`TypeFacts::has_header`].
    pub is_gc: u64,
    /// `ht_cached_keys` of heap types: names of the attributes of its instances; 0 if none.
    pub cached_keys: u64,
    /// Whether its objects are `numpy.ndarray`s.
    pub is_array: bool,
    members: [Member; KEPT],
    member_count: usize,
    /// There are more members than are kept.
    more_members: bool,
}

impl TypeFacts {
    /// Reads the facts of the type object at `addr`. `None` if it cannot be one.
    pub fn read<M: Memory>(ctx: Context<'_, M>, addr: u64) -> Option<Self> {
        if !is_plausible(addr) {
            return None;
        }
        let word = |offset: u64| ctx.mem.u64(addr.wrapping_add(offset));
        let flags = word(offset::FLAGS)?;
        let mut facts = Self {
            addr,
            kind: kind(ctx, addr, flags)?,
            basic_size: word(offset::BASIC_SIZE)?,
            item_size: word(offset::ITEM_SIZE)?,
            flags,
            dict_offset: word(offset::DICT_OFFSET)? as i64,
            weak_list_offset: word(offset::WEAK_LIST)? as i64,
            base: word(offset::BASE)?,
            traverse: word(offset::TRAVERSE)?,
            is_gc: word(offset::IS_GC)?,
            cached_keys: 0,
            is_array: array::is_type(ctx, addr),
            members: [Member::default(); KEPT],
            member_count: 0,
            more_members: false,
        };
        if flags & flags::HEAP_TYPE != 0 && flags & flags::MANAGED_DICT != 0 {
            facts.cached_keys = ctx
                .address(addr, ctx.layout.heap.heap_type.cached_keys.into())
                .unwrap_or(0);
        }
        facts.read_members(ctx);
        Some(facts)
    }

    /// Collects the members of the type and its bases. Of several at one offset the first is kept.
    fn read_members<M: Memory>(&mut self, ctx: Context<'_, M>) {
        let mut members = [Member::default(); KEPT];
        let (mut count, mut more) = (0_usize, false);
        self.walk_members(ctx, |member| {
            if members.iter().take(count).any(|kept| kept.offset == member.offset) {
                return;
            }
            match members.get_mut(count) {
                Some(slot) => {
                    *slot = member;
                    count = count.wrapping_add(1);
                }
                None => more = true,
            }
        });
        self.members = members;
        self.member_count = count;
        self.more_members = more;
    }

    /// Gives each member to `each`, those of the type itself first.
    fn walk_members<M: Memory>(&self, ctx: Context<'_, M>, mut each: impl FnMut(Member)) {
        let mut ty = self.addr;
        for _ in 0..MAX_BASES {
            let is_heap_type = ctx
                .mem
                .u64(ty.wrapping_add(offset::FLAGS))
                .is_some_and(|flags| flags & flags::HEAP_TYPE != 0);
            // The readers of these kinds know the members of the base itself.
            if is_heap_type || !self.kind.has_own_reader() {
                own_members(ctx, ty, &mut each);
            }
            match ctx.address(ty, offset::BASE) {
                Some(base) => ty = base,
                None => return,
            }
        }
    }

    /// Gives each reference at a fixed place to `each`: slots, and members of types written in C.
    #[inline]
    pub fn members<M: Memory>(&self, ctx: Context<'_, M>, mut each: impl FnMut(Member)) {
        if self.more_members {
            self.walk_members(ctx, each);
        } else {
            for member in self.members.iter().take(self.member_count) {
                each(*member);
            }
        }
    }

    /// Whether `flag` (of [`flags`]) is set.
    #[inline(always)]
    #[must_use]
    pub const fn has(&self, flag: u64) -> bool {
        self.flags & flag != 0
    }

    /// Whether objects of this type refer to nothing by a name: numbers and strings without attributes.
    #[inline]
    #[must_use]
    pub const fn is_leaf(&self) -> bool {
        matches!(
            self.kind,
            Kind::Str | Kind::Bytes | Kind::ByteArray | Kind::Int | Kind::Float
        ) && !self.has(flags::HEAP_TYPE)
            && !self.has(flags::HAVE_GC)
    }

    /// Whether the object at `object` has a header of the collector, and thus may be tracked and traversed. `None`:
    /// only the function [`TypeFacts::is_gc`] of an unknown type can tell.
    #[inline]
    pub fn has_header<M: Memory>(&self, ctx: Context<'_, M>, object: u64) -> Option<bool> {
        if !self.has(flags::HAVE_GC) {
            return Some(false);
        }
        if self.is_gc == 0 {
            return Some(true);
        }
        if self.kind != Kind::Type {
            return None;
        }
        // A type is collected if it was made at run time.
        let flags = ctx.mem.u64(object.wrapping_add(offset::FLAGS))?;
        Some(flags & flags::HEAP_TYPE != 0)
    }
}

impl Kind {
    /// Whether the members of types of this kind have a reader of their own, which names them better.
    const fn has_own_reader(self) -> bool {
        matches!(
            self,
            Self::Function
                | Self::Method
                | Self::BuiltinFunction
                | Self::Module
                | Self::Type
                | Self::Code
                | Self::Generator
                | Self::Coroutine
                | Self::AsyncGenerator
                | Self::Frame
                | Self::WeakRef
                | Self::Traceback
        )
    }
}

/// Gives the references among `tp_members` of the type at `ty` to `each`.
fn own_members<M: Memory>(ctx: Context<'_, M>, ty: u64, each: &mut impl FnMut(Member)) {
    let Some(table) = ctx.address(ty, offset::MEMBERS) else {
        return;
    };
    for index in 0..MAX_MEMBERS {
        let entry = table.wrapping_add(index.wrapping_mul(MEMBER_SIZE));
        let (Some(name), Some(member_type), Some(at)) = (
            ctx.mem.u64(entry),
            ctx.mem.u32(entry.wrapping_add(8)),
            ctx.mem.u64(entry.wrapping_add(16)),
        ) else {
            return;
        };
        if !is_plausible_data(name, 1) {
            return;
        }
        if OBJECT_MEMBERS.contains(&member_type) && (16..1 << 32).contains(&at) && at % 8 == 0 {
            each(Member { offset: at, name });
        }
    }
}

/// The kind of the objects of the type at `addr`: that of its closest known base.
fn kind<M: Memory>(ctx: Context<'_, M>, addr: u64, flags: u64) -> Option<Kind> {
    let mut ty = addr;
    for _ in 0..MAX_BASES {
        if let Some(kind) = ctx.known.kind(ty).or_else(|| kind_by_name(ctx, ty)) {
            return Some(kind);
        }
        match ctx.mem.u64(ty.wrapping_add(offset::BASE))? {
            0 => break,
            base if is_plausible(base) => ty = base,
            _ => return None,
        }
    }
    Some(if flags & flags::EXCEPTION_SUBCLASS != 0 {
        Kind::Exception
    } else if flags & flags::TYPE_SUBCLASS != 0 {
        Kind::Type
    } else if flags & flags::HEAP_TYPE != 0 && is_made_by_class_statement(ctx, addr) {
        Kind::Instance
    } else {
        Kind::Other
    })
}

/// Whether a heap type comes from a `class` statement: types written in C belong to a module, or have a name with a
/// dot.
fn is_made_by_class_statement<M: Memory>(ctx: Context<'_, M>, addr: u64) -> bool {
    let module = ctx.mem.u64(addr.wrapping_add(ctx.layout.heap.heap_type.module.into()));
    let mut name = [0; 64];
    let len = crate::heap::names::tp_name(ctx.mem, addr, &mut name).unwrap_or(0);
    module == Some(0) && !name.iter().take(len).any(|&byte| byte == b'.')
}

/// The kind of a type that no symbol leads to.
fn kind_by_name<M: Memory>(ctx: Context<'_, M>, ty: u64) -> Option<Kind> {
    let mut buffer = [0; 32];
    let len = crate::heap::names::tp_name(ctx.mem, ty, &mut buffer)?;
    let name = buffer.get(..len)?;
    BY_NAME
        .iter()
        .find_map(|(known, kind)| (*known == name).then_some(*kind))
}
