//! Objects: what is written of each, and which one comes next.

use core::ffi::{c_int, c_void};

use deadweight_capture::{Addr, EdgeLabel, HeapObject, TypeId};
use deadweight_cpython::heap::types::flags;
use deadweight_cpython::heap::{self, Edge, Kind, TypeFacts, lists, names, refcount, size};
use deadweight_cpython::is_plausible;

use super::super::parts::Stopped;
use super::{MAX_BODY, MAX_QUEUE, NAME_BYTES, Walker};
use crate::arch;
use crate::list::List;

/// Up to this many targets are searched linearly.
const FEW_TARGETS: usize = 24;
/// Marks a target that a named edge has claimed.
pub(super) const CLAIMED: u64 = 1;

/// A type that was written.
#[derive(Clone, Copy)]
pub struct KnownType {
    facts: TypeFacts,
    id: TypeId,
    /// Whether the type is a built-in container whose layout gives all the references that its `tp_traverse` visits.
    is_plain_container: bool,
}

/// What `tp_traverse` calls for each reference; `list` is a `List<u64>`.
unsafe extern "C" fn visit(object: *mut c_void, list: *mut c_void) -> c_int {
    // SAFETY: `visit_targets` passes a list that nothing else uses during the call.
    let list = unsafe { &mut *list.cast::<List<u64>>() };
    i32::from(list.push(object as u64).is_err())
}

/// Calls [`Walker::object`] behind the guard against faults.
unsafe extern "C" fn write_object(walker: *mut Walker<'_>, object: u64, _: usize) -> c_int {
    // SAFETY: `guarded_object` passes itself and does not use itself during the call.
    let walker = unsafe { &mut *walker };
    i32::from(walker.object(object).is_err())
}

impl Walker<'_> {
    /// Writes all objects that were reached, and all that these lead to.
    pub(super) fn drain(&mut self) -> Result<(), Stopped> {
        self.drain_queue()?;
        let mut regions: List<u64> = List::new();
        while core::mem::take(&mut self.overflowed) {
            self.reached.regions(&mut regions)?;
            for &region in regions.as_slice() {
                let mut at = region;
                while let Some(object) = self.reached.unwritten(at) {
                    self.guarded_object(object)?;
                    self.drain_queue()?;
                    at = object;
                }
            }
        }
        Ok(())
    }

    pub(super) fn drain_queue(&mut self) -> Result<(), Stopped> {
        while let Some(object) = self.queue.pop() {
            self.guarded_object(object)?;
        }
        Ok(())
    }

    /// Writes one object; a fault on the way loses the rest of it.
    pub(super) fn guarded_object(&mut self, object: u64) -> Result<(), Stopped> {
        let place = &raw mut *self as usize;
        // SAFETY: `write_object` has these parameters; a fault in it leaves that one object incomplete.
        match unsafe { arch::guarded_call(write_object as *const () as usize, place, object as usize, 0) } {
            Some(0) => {}
            Some(_) => return Err(Stopped),
            None => self.failed += 1,
        }
        Ok(())
    }

    /// Notes that an object was reached, so that it will be written.
    #[inline]
    pub(super) fn meet(&mut self, object: u64) -> Result<(), Stopped> {
        if is_plausible(object) && self.reached.reach(object)? {
            if self.queue.as_slice().len() < MAX_QUEUE {
                self.queue.push(object)?;
            } else {
                self.overflowed = true;
            }
        }
        Ok(())
    }

    fn object(&mut self, object: u64) -> Result<(), Stopped> {
        if !self.reached.write(object)? {
            return Ok(());
        }
        if !self.budget.lasts() {
            return Err(Stopped);
        }
        let ctx = self.ctx;
        let Some(type_addr) = ctx.type_of(object) else {
            return Ok(());
        };
        let Some(KnownType {
            facts,
            id,
            is_plain_container,
        }) = self.known_type(type_addr)?
        else {
            return Ok(());
        };
        let has_header = self.has_header(&facts, object);
        let bytes = size::shallow(ctx, &facts, object);
        let count = refcount::read(ctx.mem, ctx.layout, object);
        let record = HeapObject {
            addr: Addr(object),
            type_id: id,
            size: bytes.map_or(0, |size| size.total()),
            references: count.filter(|count| !count.immortal).map_or(0, |count| count.count),
            tracked: has_header && lists::is_tracked(ctx.mem, object),
            prefix: size::prefix(ctx, &facts, object) as u32,
        };
        self.parts.put(|writer| writer.heap_object(&record))?;
        self.objects += 1;
        if facts.is_leaf() {
            return Ok(());
        }
        self.targets.clear();
        let is_known_whole = is_plain_container && heap::edges::are_all_named(ctx, &facts, object);
        if has_header && !is_known_whole {
            self.visit_targets(&facts, object)?;
        }
        let mut outcome = Ok(());
        heap::edges::named(ctx, &facts, object, &mut |edge| {
            if outcome.is_ok() {
                outcome = self.named_edge(edge, is_known_whole);
            }
        });
        outcome?;
        if facts.kind == Kind::Function {
            self.closure_names(object)?;
        }
        self.unnamed_edges()?;
        if matches!(facts.kind, Kind::Other | Kind::Instance) {
            let end = bytes.map_or(0, |size| size.body).min(MAX_BODY);
            self.words(object, 16, end, Some(object))?;
            self.follow()?;
        }
        Ok(())
    }

    fn has_header(&self, facts: &TypeFacts, object: u64) -> bool {
        facts.has_header(self.ctx, object).unwrap_or_else(|| {
            // SAFETY: `tp_is_gc` takes an object, and only reads by its contract.
            let answer = unsafe { arch::guarded_call(facts.is_gc as usize, object as usize, 0, 0) };
            answer == Some(1)
        })
    }

    /// Lists the object's references as its `tp_traverse` visits them.
    fn visit_targets(&mut self, facts: &TypeFacts, object: u64) -> Result<(), Stopped> {
        if facts.has(flags::HAVE_GC) && facts.traverse != 0 {
            let list = &raw mut self.targets as usize;
            let visit = visit as *const () as usize;
            // SAFETY: `tp_traverse` takes an object, a visit function and an argument for that, and only visits by its contract.
            unsafe { arch::guarded_call(facts.traverse as usize, object as usize, visit, list) };
        }
        for index in 0.. {
            let Some(target) = self.targets.get(index) else { break };
            self.meet(target)?;
        }
        if self.targets.as_slice().len() > FEW_TARGETS {
            self.visits.empty();
            for &target in self.targets.as_slice().iter().filter(|&&target| target != 0) {
                match self.visits.get_mut(target) {
                    Some(visits) => *visits += 1,
                    None => self.visits.insert(target, 1)?,
                }
            }
        }
        Ok(())
    }

    /// Claims a visit to `target` for a named edge; returns whether there was an unclaimed one.
    #[inline]
    fn claim(&mut self, target: u64) -> bool {
        if self.targets.as_slice().len() > FEW_TARGETS {
            let Some(visits) = self.visits.get_mut(target).filter(|visits| **visits > 0) else {
                return false;
            };
            *visits -= 1;
            return true;
        }
        let mut targets = self.targets.as_mut_slice().iter_mut();
        let place = targets.find(|place| **place == target);
        place.map(|place| *place |= CLAIMED).is_some()
    }

    #[inline]
    fn named_edge(&mut self, edge: Edge, is_known_whole: bool) -> Result<(), Stopped> {
        let label = self.label(edge.label)?;
        if label == EdgeLabel::Weak {
            return self.edge(edge.to, label, false);
        }
        self.meet(edge.to)?;
        let counted = is_known_whole || self.claim(edge.to);
        self.edge(edge.to, label, counted)
    }

    /// Writes the visits that no named edge has claimed.
    fn unnamed_edges(&mut self) -> Result<(), Stopped> {
        let are_many = self.targets.as_slice().len() > FEW_TARGETS;
        for index in 0.. {
            let Some(target) = self.targets.get(index) else { break };
            if if are_many {
                self.claim(target)
            } else {
                target & CLAIMED == 0
            } {
                self.edge(target, EdgeLabel::Unnamed(index as u32), true)?;
            }
        }
        Ok(())
    }

    #[inline]
    pub(super) fn edge(&mut self, to: u64, label: EdgeLabel, counted: bool) -> Result<(), Stopped> {
        self.parts.put(|writer| writer.heap_edge(Addr(to), label, counted))
    }

    fn known_type(&mut self, address: u64) -> Result<Option<KnownType>, Stopped> {
        if let Some(known) = self.types.get(address) {
            return Ok(Some(known));
        }
        let Some(facts) = TypeFacts::read(self.ctx, address) else {
            return Ok(None);
        };
        let mut text = [0; NAME_BYTES];
        let length = names::type_name(self.ctx, address, &mut text);
        let name = self.define_name(text.get(..length).unwrap_or_default())?;
        let id = TypeId(self.next_type);
        self.next_type += 1;
        self.parts.put(|writer| writer.heap_type(id, name))?;
        let kind = self.ctx.known.kind(address);
        let known = KnownType {
            facts,
            id,
            is_plain_container: matches!(
                kind,
                Some(Kind::Dict | Kind::List | Kind::Tuple | Kind::Set | Kind::FrozenSet)
            ),
        };
        self.types.insert(address, known)?;
        self.meet(address)?;
        Ok(Some(known))
    }
}
