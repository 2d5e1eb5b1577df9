//! The value of a context variable in a thread. It tells which task is running, if the program uses `contextvars`.
//!
//! A thread state points at its current `Context`, which has a hash trie of its variables
//! (`Include/internal/pycore_hamt.h`). The trie is immutable: setting a variable makes a new one. So the thread itself
//! may read it at any time, with or without the GIL. There are few variables, so the whole trie is searched and no hash
//! is computed.

use crate::{Layout, Memory, is_plausible};

/// `PyContext.ctx_vars`, the same from 3.9 to 3.15.
const VARIABLES: u64 = 24;
/// `PyHamtObject.h_root`.
const ROOT: u64 = 16;
/// `PyHamtNode_Bitmap.b_array` and `PyHamtNode_Collision.c_array`: pairs, `ob_size` words in all.
const PAIRS: u64 = 32;
/// `PyHamtNode_Array.a_array`, and the number of its children.
const CHILDREN: u64 = 16;
const CHILD_COUNT: u64 = 32;
/// Levels of a trie: 32 bits of hash in steps of 5, and a node for equal hashes.
const DEEPEST: u32 = 8;
/// Nodes and pairs that are visited at most; 1000 variables have fewer.
const MOST_STEPS: u32 = 1 << 14;
/// Words of a thread state that are searched for its context.
const THREAD_WORDS: u64 = 64;

/// Where a thread state keeps its current context; the word after it is the context's version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContextPlace(u16);

impl ContextPlace {
    /// Finds the place in the state of a thread in which the variable at `variable` has the value at `value` now. `mem`
    /// must accept any address.
    pub fn locate(mem: &impl Memory, layout: &Layout, state: u64, variable: u64, value: u64) -> Option<ContextPlace> {
        let offsets = (0..THREAD_WORDS).filter_map(|word| u16::try_from(word.checked_mul(8)?).ok());
        offsets
            .map(ContextPlace)
            .find(|place| place.is_right(mem, layout, state, variable, value).is_some())
    }

    fn is_right(self, mem: &impl Memory, layout: &Layout, state: u64, variable: u64, value: u64) -> Option<()> {
        let context = pointer(mem, state, u64::from(self.0))?;
        is_named(mem, layout, context, b"_contextvars.Context\0")
            .or_else(|| is_named(mem, layout, context, b"Context\0"))?;
        (self.value(mem, layout, state, variable) == Some(value)).then_some(())
    }

    /// A number that changes whenever another context becomes current in the thread.
    #[inline]
    pub fn version(self, mem: &impl Memory, state: u64) -> Option<u64> {
        mem.u64(state.checked_add(u64::from(self.0))?.checked_add(8)?)
    }

    /// The address of the variable's value in the thread's current context; `None` if it has none there.
    pub fn value(self, mem: &impl Memory, layout: &Layout, state: u64, variable: u64) -> Option<u64> {
        let context = pointer(mem, state, u64::from(self.0))?;
        let variables = pointer(mem, context, VARIABLES)?;
        let root = pointer(mem, variables, ROOT)?;
        let mut search = Search {
            mem,
            layout,
            variable,
            steps: MOST_STEPS,
        };
        search.node(root, DEEPEST)
    }
}

fn pointer(mem: &impl Memory, object: u64, offset: u64) -> Option<u64> {
    mem.u64(object.checked_add(offset)?)
        .filter(|&found| is_plausible(found))
}

/// Whether the name of an object's type is `name` (with its NUL).
fn is_named<const N: usize>(mem: &impl Memory, layout: &Layout, object: u64, name: &[u8; N]) -> Option<()> {
    let kind = pointer(mem, object, u64::from(layout.object.ob_type))?;
    let text = mem.u64(kind.checked_add(u64::from(layout.type_object.name))?)?;
    let found = is_plausible(text & !7).then(|| mem.read::<N>(text))??;
    (&found == name).then_some(())
}

struct Search<'a, M> {
    mem: &'a M,
    layout: &'a Layout,
    variable: u64,
    steps: u32,
}

impl<M: Memory> Search<'_, M> {
    fn node(&mut self, node: u64, levels: u32) -> Option<u64> {
        let levels = levels.checked_sub(1)?;
        if is_named(self.mem, self.layout, node, b"hamt_array_node\0").is_some() {
            return (0..CHILD_COUNT).find_map(|child| {
                self.steps = self.steps.checked_sub(1)?;
                let child = pointer(self.mem, node, CHILDREN.checked_add(child.checked_mul(8)?)?)?;
                self.node(child, levels)
            });
        }
        is_named(self.mem, self.layout, node, b"hamt_bitmap_node\0")
            .or_else(|| is_named(self.mem, self.layout, node, b"hamt_collision_node\0"))?;
        let words = self
            .mem
            .u64(node.checked_add(u64::from(self.layout.object.var_size))?)?;
        (0..words.checked_div(2)?).find_map(|pair| {
            self.steps = self.steps.checked_sub(1)?;
            let at = node.checked_add(PAIRS)?.checked_add(pair.checked_mul(16)?)?;
            let (key, value) = (self.mem.u64(at)?, pointer(self.mem, at, 8)?);
            match key {
                // Without a key, it is a node further down.
                0 => self.node(value, levels),
                key if key == self.variable => Some(value),
                _ => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Fake;
    use crate::{Version, layout_for};

    const STATE: u64 = 0x10000;
    const CONTEXT: u64 = 0x20000;
    const MAP: u64 = 0x21000;
    const BITMAP: u64 = 0x22000;
    const ARRAY: u64 = 0x23000;
    const DEEP: u64 = 0x24000;
    const VARIABLE: u64 = 0x30000;

    fn layout() -> &'static Layout {
        layout_for(Version::parse(b"3.12.1 (main)").unwrap()).unwrap()
    }

    /// A type of that name at `addr`, and an object of it at `object`.
    fn object(fake: &mut Fake, object: u64, kind: u64, name: &[u8]) {
        fake.put_u64(object + 8, kind);
        fake.put_u64(kind + u64::from(layout().type_object.name), kind + 0x100);
        fake.put(kind + 0x100, name);
        // What lies behind a short name can be read too.
        fake.put(kind + 0x100 + name.len() as u64, &[0; 32]);
    }

    /// A bitmap node with another variable and a deeper array node, in which a bitmap node has ours.
    fn thread() -> Fake {
        let mut fake = Fake::default();
        for word in 0..THREAD_WORDS + 1 {
            fake.put_u64(STATE + word * 8, 7 + word);
        }
        fake.put_u64(STATE + 200, CONTEXT);
        fake.put_u64(STATE + 208, 42);
        object(&mut fake, CONTEXT, 0x40000, b"_contextvars.Context\0");
        fake.put_u64(CONTEXT + VARIABLES, MAP);
        fake.put_u64(MAP + ROOT, BITMAP);
        object(&mut fake, BITMAP, 0x41000, b"hamt_bitmap_node\0");
        fake.put_u64(BITMAP + 16, 4);
        for (word, value) in [VARIABLE + 8, 0x50000, 0, ARRAY].into_iter().enumerate() {
            fake.put_u64(BITMAP + PAIRS + 8 * word as u64, value);
        }
        object(&mut fake, ARRAY, 0x42000, b"hamt_array_node\0");
        for child in 0..CHILD_COUNT {
            fake.put_u64(ARRAY + CHILDREN + child * 8, if child == 31 { DEEP } else { 0 });
        }
        object(&mut fake, DEEP, 0x41000, b"hamt_bitmap_node\0");
        fake.put_u64(DEEP + 16, 2);
        fake.put_u64(DEEP + PAIRS, VARIABLE);
        fake.put_u64(DEEP + PAIRS + 8, 0x51000);
        fake
    }

    #[test]
    fn a_variable_is_found_however_deep() {
        let fake = thread();
        let place = ContextPlace::locate(&fake, layout(), STATE, VARIABLE, 0x51000).unwrap();
        assert_eq!(place, ContextPlace(200));
        assert_eq!(place.version(&fake, STATE), Some(42));
        assert_eq!(place.value(&fake, layout(), STATE, VARIABLE + 8), Some(0x50000));
        assert_eq!(place.value(&fake, layout(), STATE, VARIABLE + 16), None);
        assert_eq!(ContextPlace::locate(&fake, layout(), STATE, VARIABLE, 0x51008), None);
    }

    #[test]
    fn a_circle_of_nodes_ends() {
        let mut fake = thread();
        fake.put_u64(ARRAY + CHILDREN, BITMAP);
        let place = ContextPlace(200);
        assert_eq!(place.value(&fake, layout(), STATE, VARIABLE), Some(0x51000));
        assert_eq!(place.value(&fake, layout(), STATE, VARIABLE + 16), None);
    }
}
