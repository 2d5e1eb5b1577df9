//! NumPy's arrays of objects: the collector does not know what they refer to.
//!
//! Offsets are those of `PyArrayObject_fields` and of the beginning of `PyArray_Descr`
//! (numpy/_core/include/numpy/ndarraytypes.h), the same in NumPy 1 and 2 on 64 bits. `base` and `dtype` are found as words.

use crate::heap::edge::{Edge, Label};
use crate::heap::type_fields::offset;
use crate::heap::{Context, names};
use crate::memory::{Memory, is_plausible};

const DATA: u64 = 16;
const DIMENSIONS: u64 = 24;
const SHAPE: u64 = 32;
const DESCRIPTION: u64 = 56;
const FLAGS: u64 = 64;
/// The array owns its data; of arrays that share data, only one does.
const OWNS_DATA: u32 = 4;
/// The elements are contiguous, in C or in Fortran order.
const SIDE_BY_SIDE: u32 = 1 | 2;
/// In the description: the type number of the elements.
const TYPE_NUMBER: u64 = 28;
const OBJECTS: u32 = 17;
const MAX_DIMENSIONS: u32 = 64;
/// Larger arrays are taken for damage, in elements.
const MAX_ITEMS: u64 = 1 << 32;
/// Longest chain of bases that is followed.
const MAX_BASES: usize = 64;

/// Whether the type at `ty` is `numpy.ndarray` or a subclass of it.
pub(crate) fn is_type<M: Memory>(ctx: Context<'_, M>, mut ty: u64) -> bool {
    for _ in 0..MAX_BASES {
        let mut name = [0; 16];
        if names::tp_name(ctx.mem, ty, &mut name).and_then(|len| name.get(..len)) == Some(b"numpy.ndarray") {
            return true;
        }
        match ctx.address(ty, offset::BASE) {
            Some(base) => ty = base,
            None => return false,
        }
    }
    false
}

/// Gives the elements of the array at `array` to `each`, if they are objects and the array owns its data.
pub(crate) fn items<M: Memory>(ctx: Context<'_, M>, array: u64, each: &mut impl FnMut(Edge)) -> Option<()> {
    let flags = ctx.mem.u32(array.wrapping_add(FLAGS))?;
    if flags & OWNS_DATA == 0 || flags & SIDE_BY_SIDE == 0 {
        return Some(());
    }
    let description = ctx.address(array, DESCRIPTION)?;
    if ctx.mem.u32(description.wrapping_add(TYPE_NUMBER))? != OBJECTS {
        return Some(());
    }
    let dimensions = ctx.mem.u32(array.wrapping_add(DIMENSIONS))?;
    let mut count = 1_u64;
    if dimensions > 0 {
        let shape = ctx.address(array, SHAPE)?;
        for dimension in 0..u64::from(dimensions.min(MAX_DIMENSIONS)) {
            let length = ctx.mem.u64(shape.wrapping_add(dimension.wrapping_mul(8)))?;
            count = count.checked_mul(length).filter(|&count| count <= MAX_ITEMS)?;
        }
    }
    if count == 0 {
        return Some(());
    }
    let data = ctx.address(array, DATA)?;
    for index in 0..count {
        let to = ctx.mem.u64(data.wrapping_add(index.wrapping_mul(8)))?;
        if is_plausible(to) {
            each(Edge {
                to,
                label: Label::Index(index as u32),
            });
        }
    }
    Some(())
}
