//! The code objects and strings that are in the capture. Each is copied into it once, when it is first seen, while the frame that
//! runs it keeps it alive.
//!
//! A code object is identified by its address until its memory is freed, which the hooks see. In addition, the fields that
//! identify it are compared whenever its address is looked up.

use deadweight_capture::{CodeId, Frame, LineTableKind, StackId, StringId};
use deadweight_cpython::code::{self, CodeIdentity};
use deadweight_cpython::{Layout, bytes, unicode};

use crate::filter;
use crate::memory::NoMemory;
use crate::output::Output;
use crate::python::OwnMemory;
use crate::stacks::Definitions;
use crate::table::{Table, spread};

/// Longest part of a name that is kept, bytes.
const TEXT_BYTES: usize = 4096;
/// Longest line table that is kept, bytes.
const LINE_TABLE_BYTES: u64 = 100 << 10;

#[derive(Clone, Copy)]
struct KnownCode {
    id: CodeId,
    identity: CodeIdentity,
}

/// The code objects and strings of this process that are in the capture.
pub struct Catalogue {
    codes: Table<u64, KnownCode>,
    next_code: u32,
    strings: Table<u64, StringId>,
    next_string: u32,
    text: [u8; TEXT_BYTES],
}

impl Catalogue {
    /// An empty catalogue, without memory.
    pub const fn new() -> Catalogue {
        Catalogue {
            codes: Table::new(),
            next_code: 1,
            strings: Table::new(),
            next_string: 1,
            text: [0; TEXT_BYTES],
        }
    }

    /// Forgets everything.
    pub fn begin(&mut self) {
        self.codes.clear();
        self.strings.clear();
        (self.next_code, self.next_string) = (1, 1);
    }

    /// Called when the memory at this address is freed: returns whether a known code object was there.
    pub fn forget_code(&mut self, address: u64) -> bool {
        let known = self.codes.remove(address).is_some();
        if known {
            filter::remove(address);
        }
        known
    }

    /// The id of a text; a new text is defined in the capture.
    pub fn string(&mut self, text: &[u8], output: &mut Output) -> StringId {
        if text.is_empty() {
            return StringId::EMPTY;
        }
        let hash = text_hash(text);
        if let Some(known) = self.strings.get(hash) {
            return known;
        }
        let id = StringId(self.next_string);
        if output.define(text.len(), |writer| writer.string(id, text)).is_err() {
            return StringId::EMPTY;
        }
        self.next_string += 1;
        // If there is no memory for the entry, the text is defined again next time.
        let _ = self.strings.insert(hash, id);
        id
    }

    fn python_string(&mut self, layout: &Layout, object: u64, output: &mut Output) -> StringId {
        let mut text = self.text;
        let Some(read) = unicode::utf8(&OwnMemory, layout, object, &mut text) else {
            return StringId::EMPTY;
        };
        self.string(text.get(..read.len).unwrap_or_default(), output)
    }

    #[cold]
    fn define_code(
        &mut self,
        layout: &Layout,
        address: u64,
        identity: CodeIdentity,
        output: &mut Output,
    ) -> Option<CodeId> {
        let metadata = code::metadata(&OwnMemory, layout, address)?;
        let file = self.python_string(layout, metadata.filename, output);
        let name = self.python_string(layout, metadata.qualified_name, output);
        let kind = match layout.minor {
            ..=9 => LineTableKind::Lnotab,
            10 => LineTableKind::Ranges,
            _ => LineTableKind::Locations,
        };
        let table =
            bytes::content(&OwnMemory, layout, metadata.line_table).filter(|table| table.len <= LINE_TABLE_BYTES);
        let lines = match &table {
            // SAFETY: address and length are those of a bytes object, which is immutable, and which the code object of a running
            // frame keeps alive.
            Some(table) => unsafe { core::slice::from_raw_parts(table.addr as *const u8, table.len as usize) },
            None => &[],
        };
        let id = CodeId(self.next_code);
        let first_line = u32::try_from(metadata.first_line).unwrap_or(0);
        output
            .define(lines.len(), |writer| {
                writer.code(id, file, name, first_line, kind, lines)
            })
            .ok()?;
        self.next_code += 1;
        if self.codes.get(address).is_none() {
            filter::add(address);
        }
        let known: Result<(), NoMemory> = self.codes.insert(address, KnownCode { id, identity });
        if known.is_err() {
            filter::remove(address);
        }
        Some(id)
    }
}

/// A 64-bit hash of a text, never 0. Among 1e9 pairs of texts, the probability of a collision is about 1e-10.
fn text_hash(text: &[u8]) -> u64 {
    let mut hash = text.len() as u64;
    for piece in text.chunks(8) {
        let mut word = [0; 8];
        for (place, &byte) in word.iter_mut().zip(piece) {
            *place = byte;
        }
        hash = spread(hash.rotate_left(23) ^ u64::from_le_bytes(word)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    }
    spread(hash) | 1
}

/// The catalogue as the stack tree needs it, with the output for definitions.
pub struct Defining<'a> {
    /// The catalogue.
    pub catalogue: &'a mut Catalogue,
    /// The output for definitions.
    pub output: &'a mut Output,
    /// The layout of this interpreter; `None` if there are no Python frames.
    pub layout: Option<&'static Layout>,
}

impl Definitions for Defining<'_> {
    #[inline]
    fn code(&mut self, address: u64) -> Option<CodeId> {
        let layout = self.layout?;
        let identity = code::identity(&OwnMemory, layout, address)?;
        match self.catalogue.codes.get(address) {
            Some(known) if known.identity == identity => Some(known.id),
            _ => self.catalogue.define_code(layout, address, identity, self.output),
        }
    }

    fn node(&mut self, id: StackId, parent: StackId, frame: Frame) {
        let _ = self.output.define(0, |writer| writer.stack(id, parent, frame));
    }
}
