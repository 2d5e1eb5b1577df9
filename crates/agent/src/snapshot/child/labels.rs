//! Names of edges; each text is defined once per snapshot.

use deadweight_capture::{Addr, EdgeLabel, StringId};
use deadweight_cpython::heap::{self, Label, NameRef, names};
use deadweight_cpython::unicode;

use super::super::parts::Stopped;
use super::{MAX_NAMES, NAME_BYTES, Walker};

impl Walker<'_> {
    pub(super) fn label(&mut self, label: Label) -> Result<EdgeLabel, Stopped> {
        Ok(match label {
            Label::Attribute(name) => EdgeLabel::Attribute(self.name(name)?),
            Label::Key(name) => EdgeLabel::Key(self.name(NameRef::Str(name))?),
            Label::Item(key) => EdgeLabel::Item(self.key(key)?),
            Label::Index(index) => EdgeLabel::Index(index),
            Label::Member => EdgeLabel::Member,
            Label::Local(name) => EdgeLabel::Local(self.name(NameRef::Str(name))?),
            Label::Stack(index) => EdgeLabel::Unnamed(index),
            Label::MemberName(name) => EdgeLabel::Attribute(self.static_name(name)?),
            Label::Type => EdgeLabel::Type,
            Label::Weak => EdgeLabel::Weak,
        })
    }

    /// Writes the names of a function's closure variables: they are in its code object, not in the cells.
    pub(super) fn closure_names(&mut self, function: u64) -> Result<(), Stopped> {
        let mut outcome = Ok(());
        heap::closure(self.ctx, function, &mut |cell, name| {
            if outcome.is_ok() {
                outcome = self.name(NameRef::Str(name)).and_then(|name| {
                    self.parts
                        .put(|writer| writer.heap_edge(Addr(cell), EdgeLabel::Closure(name), false))
                });
            }
        });
        outcome
    }

    pub(super) fn name(&mut self, name: NameRef) -> Result<StringId, Stopped> {
        let (NameRef::Str(address) | NameRef::CString(address)) = name;
        if let Some(known) = self.names.get(address) {
            return Ok(known);
        }
        let mut text = [0; NAME_BYTES];
        let length = match name {
            NameRef::Str(address) => {
                unicode::utf8(self.ctx.mem, self.ctx.layout, address, &mut text).map_or(0, |text| text.len)
            }
            NameRef::CString(address) => names::c_string(self.ctx.mem, address, &mut text).unwrap_or(0),
        };
        self.define_name_of(address, text.get(..length).unwrap_or_default())
    }

    pub(super) fn static_name(&mut self, name: &'static str) -> Result<StringId, Stopped> {
        let address = name.as_ptr() as u64;
        match self.names.get(address) {
            Some(known) => Ok(known),
            None => self.define_name_of(address, name.as_bytes()),
        }
    }

    /// A dict key that is not a string is represented by its type's name.
    pub(super) fn key(&mut self, key: u64) -> Result<StringId, Stopped> {
        let Some(type_addr) = self.ctx.type_of(key) else {
            return Ok(StringId::EMPTY);
        };
        if let Some(known) = self.names.get(type_addr) {
            return Ok(known);
        }
        let mut text = [0; NAME_BYTES];
        let name = text.get_mut(1..NAME_BYTES - 1).unwrap_or_default();
        let end = names::type_name(self.ctx, type_addr, name) + 1;
        for (index, bracket) in [(0, b'<'), (end, b'>')] {
            if let Some(place) = text.get_mut(index) {
                *place = bracket;
            }
        }
        self.define_name_of(type_addr, text.get(..=end).unwrap_or_default())
    }

    pub(super) fn define_name_of(&mut self, address: u64, text: &[u8]) -> Result<StringId, Stopped> {
        if self.next_name > MAX_NAMES {
            return Ok(StringId::EMPTY);
        }
        let id = self.define_name(text)?;
        self.names.insert(address, id)?;
        Ok(id)
    }

    pub(super) fn define_name(&mut self, text: &[u8]) -> Result<StringId, Stopped> {
        let id = StringId(self.next_name);
        self.next_name += 1;
        self.parts.put(|writer| writer.string(id, text))?;
        Ok(id)
    }
}
