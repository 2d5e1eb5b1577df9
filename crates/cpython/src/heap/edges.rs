//! The references of one object, with their names.

use crate::heap::edge::{Edge, Label, NameRef, fields};
use crate::heap::type_fields::{flags, offset};
use crate::heap::{Context, Kind, TypeFacts, array, code, dict, instance, sequences, variables};
use crate::memory::{Memory, is_plausible};

/// Gives the references of the object at `object`, whose type has the facts `facts`, to `each`.
///
/// `None` if something was not what it should be; what was given until then is good.
#[inline]
pub fn named<M: Memory>(
    ctx: Context<'_, M>,
    facts: &TypeFacts,
    object: u64,
    each: &mut impl FnMut(Edge),
) -> Option<()> {
    if !is_plausible(object) {
        return None;
    }
    if facts.is_leaf() {
        return Some(());
    }
    let heap = &ctx.layout.heap;
    match facts.kind {
        Kind::Instance | Kind::Other if facts.is_array => {
            // An array that makes no sense may still have attributes.
            let _ = array::items(ctx, object, each);
        }
        Kind::Instance | Kind::Other => {}
        Kind::Dict | Kind::DefaultDict | Kind::OrderedDict | Kind::FrozenDict => dict::edges(ctx, object, each)?,
        Kind::List => sequences::list(ctx, object, each)?,
        Kind::Tuple => sequences::tuple(ctx, object, each)?,
        Kind::Set | Kind::FrozenSet => sequences::set(ctx, object, each)?,
        Kind::Deque => sequences::deque(ctx, object, each)?,
        Kind::Function => fields(ctx, object, heap.function.members, each),
        Kind::Method => fields(ctx, object, &[("__func__", 16), ("__self__", 24)], each),
        Kind::BuiltinFunction => {
            fields(ctx, object, &[("__self__", 24), ("__module__", 32)], each);
            // `PyCMethodObject`: a method that is told its class.
            if facts.basic_size >= 64 {
                fields(ctx, object, &[("mm_class", 56)], each);
            }
        }
        Kind::Cell => fields(ctx, object, &[("cell_contents", 16)], each),
        Kind::Module => fields(ctx, object, &[("__name__", heap.module_name)], each),
        Kind::Traceback => fields(ctx, object, &[("tb_next", 16), ("tb_frame", 24)], each),
        Kind::Exception => fields(ctx, object, heap.exception.members, each),
        Kind::MappingProxy => fields(ctx, object, &[("mapping", 16)], each),
        Kind::Generator | Kind::Coroutine | Kind::AsyncGenerator => {
            variables::generator(ctx, facts.kind, object, each)?;
        }
        Kind::Frame => variables::frame_object(ctx, object, each)?,
        Kind::Code => fields(ctx, object, heap.code_members, each),
        Kind::Type => type_object(ctx, object, each)?,
        Kind::LruCache => code::lru_cache(ctx, facts, object, each)?,
        Kind::LruLink => code::lru_link(ctx, object, each),
        Kind::WeakRef => {
            if let Some(to) = ctx.address(object, 16) {
                each(Edge { to, label: Label::Weak });
            }
            fields(ctx, object, &[("__callback__", 24)], each);
        }
        // What else it has are members of the type.
        Kind::Property => {
            if ctx.layout.minor >= 10 {
                fields(ctx, object, &[("__name__", 48)], each);
            }
        }
        Kind::Str
        | Kind::Bytes
        | Kind::ByteArray
        | Kind::Int
        | Kind::Float
        | Kind::StaticMethod
        | Kind::ClassMethod
        | Kind::Descriptor
        | Kind::Partial => {}
    }
    facts.members(ctx, |member| {
        if let Some(to) = ctx.address(object, member.offset) {
            each(Edge {
                to,
                label: Label::Attribute(NameRef::CString(member.name)),
            });
        }
    });
    if facts.kind != Kind::Type {
        instance::edges(ctx, facts, object, each)?;
    }
    if facts.has(flags::HEAP_TYPE) {
        each(Edge {
            to: facts.addr,
            label: Label::Type,
        });
    }
    Some(())
}

/// Whether [`named`] gives all references of the object at `object` that `tp_traverse` visits, and no other that the
/// collector tracks. Right for objects whose type is exactly `dict`, `list`, `tuple`, `set` or `frozenset`.
///
/// A dict that shares its keys may have its values inside an instance, which then visits them.
#[inline]
pub fn are_all_named<M: Memory>(ctx: Context<'_, M>, facts: &TypeFacts, object: u64) -> bool {
    facts.kind != Kind::Dict || ctx.mem.u64(object.wrapping_add(dict::MA_VALUES)) == Some(0)
}

/// The references of a type. A static type of 3.12 and later keeps its dict elsewhere.
fn type_object<M: Memory>(ctx: Context<'_, M>, ty: u64, each: &mut impl FnMut(Edge)) -> Option<()> {
    const FIELDS: [(&str, u64); 4] = [
        ("__dict__", offset::DICT),
        ("__base__", offset::BASE),
        ("__bases__", offset::BASES),
        ("__mro__", offset::MRO),
    ];
    for (name, at) in FIELDS {
        if let Some(to) = ctx.address(ty, at) {
            each(Edge {
                to,
                label: Label::MemberName(name),
            });
        }
    }
    let flags = ctx.mem.u64(ty.wrapping_add(offset::FLAGS))?;
    if flags & flags::HEAP_TYPE != 0 {
        let heap_type = &ctx.layout.heap.heap_type;
        let fields_of_heap_types = [
            ("__name__", heap_type.name),
            ("__qualname__", heap_type.qualname),
            ("__slots__", heap_type.slots),
            ("__module__", heap_type.module),
            ("__subclasses__", offset::SUBCLASSES as u16),
        ];
        fields(ctx, ty, &fields_of_heap_types, each);
        if let Some(keys) = ctx.address(ty, heap_type.cached_keys.into()) {
            dict::shared_names(ctx, keys, each)?;
        }
    }
    Some(())
}
