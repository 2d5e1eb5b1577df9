//! Events of heap snapshots.

use super::{Full, SegmentWriter, store};
use crate::varint::put;
use crate::wire::{label_kind, tag};
use crate::{Addr, Cause, EdgeLabel, HeapObject, RootKind, StringId, TypeId};

impl SegmentWriter<'_> {
    /// A snapshot was taken at this point.
    pub fn snapshot(&mut self, number: u32) -> Result<(), Full> {
        self.event(tag::SNAPSHOT, &[u64::from(number)], &[])
    }

    /// Defines a type.
    pub fn heap_type(&mut self, id: TypeId, name: StringId) -> Result<(), Full> {
        self.event(tag::HEAP_TYPE, &[u64::from(id.0), u64::from(name.0)], &[])
    }

    /// An object; its edges and words follow.
    #[inline]
    pub fn heap_object(&mut self, object: &HeapObject) -> Result<(), Full> {
        let prefix = u64::from(object.prefix) * 2 + u64::from(object.tracked);
        let numbers = [u64::from(object.type_id.0), object.size, object.references, prefix];
        self.with_addr_or_full(tag::HEAP_OBJECT, object.addr, &numbers)
    }

    /// A reference of the last object or root.
    #[inline]
    pub fn heap_edge(&mut self, to: Addr, label: EdgeLabel, counted: bool) -> Result<(), Full> {
        let (kind, number) = match label {
            EdgeLabel::Attribute(name) => (label_kind::ATTRIBUTE, Some(name.0)),
            EdgeLabel::Key(name) => (label_kind::KEY, Some(name.0)),
            EdgeLabel::Item(text) => (label_kind::ITEM, Some(text.0)),
            EdgeLabel::Index(index) => (label_kind::INDEX, Some(index)),
            EdgeLabel::Member => (label_kind::MEMBER, None),
            EdgeLabel::Local(name) => (label_kind::LOCAL, Some(name.0)),
            EdgeLabel::Closure(name) => (label_kind::CLOSURE, Some(name.0)),
            EdgeLabel::Type => (label_kind::TYPE, None),
            EdgeLabel::Unnamed(ordinal) => (label_kind::UNNAMED, Some(ordinal)),
            EdgeLabel::Weak => (label_kind::WEAK, None),
        };
        let kind = kind * 2 + u64::from(counted);
        match number {
            Some(number) => self.with_addr_or_full(tag::HEAP_EDGE, to, &[kind, u64::from(number)]),
            None => self.with_addr_or_full(tag::HEAP_EDGE, to, &[kind]),
        }
    }

    /// A root; its edges follow.
    pub fn heap_root(&mut self, kind: RootKind, name: StringId) -> Result<(), Full> {
        self.event(tag::HEAP_ROOT, &[kind as u64, u64::from(name.0)], &[])
    }

    /// A word in the body of the last object that may lead to a native block.
    pub fn heap_word(&mut self, to: Addr, offset: u32) -> Result<(), Full> {
        self.with_addr_or_full(tag::HEAP_WORD, to, &[u64::from(offset)])
    }

    /// A native block that was not recorded; words of its own follow.
    pub fn heap_chunk(&mut self, addr: Addr, size: u64) -> Result<(), Full> {
        self.with_addr_or_full(tag::HEAP_CHUNK, addr, &[size])
    }

    /// The snapshot is complete.
    pub fn heap_end(&mut self, objects: u64, failed: u64, pause_nanos: u64) -> Result<(), Full> {
        self.event(tag::HEAP_END, &[objects, failed, pause_nanos], &[])
    }

    /// Why the snapshot was taken, and its label.
    pub fn heap_cause(&mut self, cause: Cause, label: &[u8]) -> Result<(), Full> {
        self.event(tag::HEAP_CAUSE, &[cause as u64, label.len() as u64], label)
    }

    #[inline(always)]
    pub(super) fn with_addr_or_full(&mut self, kind: u8, addr: Addr, numbers: &[u64]) -> Result<(), Full> {
        if !self.has_room() {
            return Err(Full);
        }
        store(self.bytes, self.at, &[kind]);
        let mut end = self.put_addr(self.at + 1, addr);
        for &number in numbers {
            end = put(self.bytes, end, number);
        }
        self.commit(end);
        Ok(())
    }
}
