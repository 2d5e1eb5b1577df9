//! Decodes the payload of a chunk.

use crate::varint::{get, unzigzag};
use crate::wire::{frame_kind, label_kind, tag};
use crate::{
    Addr, Allocator, Cause, CodeId, EdgeLabel, Event, Frame, HeapObject, LineTableKind, MapKind, RegionAmount,
    RootKind, StackId, StackTotals, StringId, TypeId,
};

/// Decodes one chunk. Mirrors the state that `write::SegmentWriter` keeps for differences.
#[derive(Clone, Debug)]
pub(super) struct Decoder<'a> {
    payload: &'a [u8],
    at: usize,
    /// Start of the event being decoded: bytes before it are consumed.
    consumed: usize,
    addr: u64,
    alloc_stack: u32,
    stack: u32,
    code: u32,
    nanos: u64,
    /// The time of the chunk has not been given yet.
    time_is_due: bool,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(payload: &'a [u8], nanos: u64) -> Decoder<'a> {
        Decoder {
            payload,
            at: 0,
            consumed: 0,
            addr: 0,
            alloc_stack: 0,
            stack: 0,
            code: 0,
            nanos,
            time_is_due: true,
        }
    }

    /// This decoder over other bytes, which must begin with those that it has decoded.
    pub(super) fn over<'b>(&self, payload: &'b [u8]) -> Decoder<'b> {
        Decoder { payload, ..*self }
    }

    /// Length of the payload.
    pub(super) fn len(&self) -> usize {
        self.payload.len()
    }

    /// Bytes of the payload that belong to events already yielded.
    pub(super) fn consumed(&self) -> usize {
        self.consumed
    }

    /// The next event; an error is a sentence about what is wrong at [`consumed`](Self::consumed).
    #[inline]
    pub(super) fn next(&mut self) -> Option<Result<Event<'a>, &'static str>> {
        if self.time_is_due {
            self.time_is_due = false;
            return Some(Ok(Event::Clock { nanos: self.nanos }));
        }
        if self.at >= self.payload.len() {
            return None;
        }
        let event = self.event();
        if event.is_ok() {
            self.consumed = self.at;
        }
        Some(event)
    }

    #[inline(always)]
    fn number(&mut self) -> Result<u64, &'static str> {
        get(self.payload, &mut self.at).ok_or("a number is cut off or too large")
    }

    fn small(&mut self) -> Result<u32, &'static str> {
        u32::try_from(self.number()?).map_err(|_| "a number is too large")
    }

    #[inline(always)]
    fn addr(&mut self) -> Result<Addr, &'static str> {
        let number = self.number()?;
        let difference = if number & 1 == 0 {
            unzigzag(number >> 1) << 3
        } else {
            unzigzag(number >> 1)
        };
        self.addr = self.addr.wrapping_add(difference as u64);
        Ok(Addr(self.addr))
    }

    fn text(&mut self) -> Result<&'a [u8], &'static str> {
        let length = usize::try_from(self.number()?).map_err(|_| "a length is too large")?;
        let end = self.at.checked_add(length).ok_or("a length is too large")?;
        let text = self.payload.get(self.at..end).ok_or("a text is cut off")?;
        self.at = end;
        Ok(text)
    }

    #[inline]
    fn event(&mut self) -> Result<Event<'a>, &'static str> {
        let kind = *self.payload.get(self.at).ok_or("an event is cut off")?;
        self.at += 1;
        if kind & tag::ALLOC != 0 {
            return self.alloc(kind);
        }
        if kind == tag::FREE {
            return Ok(Event::Free { addr: self.addr()? });
        }
        self.rare_event(kind)
    }

    #[inline(always)]
    fn alloc(&mut self, kind: u8) -> Result<Event<'a>, &'static str> {
        let allocator = Allocator::from_wire(kind & tag::ALLOC_KIND).ok_or("an unknown allocator")?;
        let addr = self.addr()?;
        let size = self.number()?;
        if kind & tag::ALLOC_SAME_STACK == 0 {
            self.alloc_stack = step(self.alloc_stack, self.number()?)?;
        }
        Ok(Event::Alloc {
            addr,
            size,
            stack: StackId(self.alloc_stack),
            allocator,
        })
    }

    fn rare_event(&mut self, kind: u8) -> Result<Event<'a>, &'static str> {
        Ok(match kind {
            tag::CLOCK => {
                let micros = self.number()?;
                self.nanos = self.nanos.saturating_add(micros.saturating_mul(1000));
                Event::Clock { nanos: self.nanos }
            }
            tag::PROCESS => Event::Process {
                parent: self.small()?,
                python: self.small()?,
                forked: self.number()? & 1 == 1,
                argv: self.text()?,
            },
            tag::STRING => Event::String {
                id: StringId(self.small()?),
                bytes: self.text()?,
            },
            tag::CODE => Event::Code {
                id: CodeId(self.small()?),
                file: StringId(self.small()?),
                name: StringId(self.small()?),
                first_line: self.small()?,
                kind: LineTableKind::from_wire(self.number()?).ok_or("an unknown kind of line table")?,
                line_table: self.text()?,
            },
            tag::STACK_PYTHON => {
                let (id, parent) = self.stack_ids()?;
                self.code = step(self.code, self.number()?)?;
                let offset = i32::try_from(unzigzag(self.number()?)).map_err(|_| "an offset is too large")?;
                Event::Stack {
                    id,
                    parent,
                    frame: Frame::Python {
                        code: CodeId(self.code),
                        offset,
                    },
                }
            }
            tag::STACK_OTHER => {
                let (id, parent) = self.stack_ids()?;
                let kind = self.number()?;
                let name = StringId(self.small()?);
                let frame = match kind {
                    frame_kind::NATIVE_THREAD => Frame::NativeThread { name },
                    frame_kind::START_UP => Frame::StartUp,
                    frame_kind::INTERPRETER => Frame::Interpreter,
                    frame_kind::TRUNCATED => Frame::Truncated,
                    frame_kind::STACKS_OFF => Frame::StacksOff,
                    _ => return Err("an unknown kind of frame"),
                };
                Event::Stack { id, parent, frame }
            }
            tag::MAP => {
                let addr = self.addr()?;
                let len = self.number()?;
                let kind = u8::try_from(self.number()?).ok().and_then(MapKind::from_wire);
                let stack = StackId(self.small()?);
                Event::Map {
                    addr,
                    len,
                    kind: kind.ok_or("an unknown kind of mapping")?,
                    stack,
                }
            }
            tag::UNMAP => Event::Unmap {
                addr: self.addr()?,
                len: self.number()?,
            },
            tag::REMAP => Event::Remap {
                old: self.addr()?,
                old_len: self.number()?,
                new: self.addr()?,
                new_len: self.number()?,
                stack: StackId(self.small()?),
            },
            tag::LOST => Event::Lost { events: self.number()? },
            tag::NOTE => Event::Note { text: self.text()? },
            tag::END => Event::End {
                max_rss_bytes: self.number()?,
            },
            tag::PYTHON_ENDS => Event::PythonEnds {
                nanos: self.number()?,
                over: self.number()? & 1 != 0,
            },
            tag::TOTALS => Event::Totals(StackTotals {
                stack: StackId(self.small()?),
                allocated_bytes: self.number()?,
                allocated_milliblocks: self.number()?,
                allocated_variance: self.number()?,
                peak_bytes: self.number()?,
                peak_milliblocks: self.number()?,
                peak_variance: self.number()?,
            }),
            tag::PROCESS_PEAK => Event::ProcessPeak {
                bytes: self.number()?,
                milliblocks: self.number()?,
                variance: self.number()?,
                nanos: self.number()?,
            },
            tag::TREE_PEAK => Event::TreePeak {
                python_bytes: self.number()?,
                native_bytes: self.number()?,
                mapped_bytes: self.number()?,
                nanos: self.number()?,
                now: self.number()? & 1 == 1,
            },
            tag::POSITION => Event::Position {
                segment: self.small()?,
                chunk: self.number()?,
                consumed: self.small()?,
            },
            tag::LEFT => Event::Left {
                stack: StackId(self.small()?),
                bytes: self.number()?,
                milliblocks: self.number()?,
                variance: self.number()?,
            },
            tag::FOLDED => {
                let (first_nanos, last_nanos, unseen_frees) = (self.number()?, self.number()?, self.number()?);
                let flags = self.number()?;
                Event::Folded {
                    first_nanos,
                    last_nanos,
                    unseen_frees,
                    gone: flags & 1 != 0,
                    tail_open: flags & 2 != 0,
                }
            }
            tag::WARNING => Event::Warning { text: self.text()? },
            tag::SIZES => Event::Sizes {
                stack: StackId(self.small()?),
                largest_bytes: self.number()?,
                native_bytes: self.number()?,
            },
            tag::HISTORY => Event::History {
                origin_nanos: self.number()?,
                width_nanos: self.number()?,
            },
            tag::SAMPLE => Event::Sample { bytes: self.number()? },
            tag::ALLOCATED => Event::Allocated { bytes: self.number()? },
            tag::LEVEL => Event::Level {
                stack: StackId(self.small()?),
                bytes: self.number()?,
            },
            tag::REGION_ENTER | tag::REGION_LEAVE | tag::REGION => self.region(kind)?,
            tag::REGION_TOTALS..=tag::REGION_SPAN | tag::REGION_OWNER | tag::REGION_LEFT => self.folded_region(kind)?,
            tag::SNAPSHOT => Event::Snapshot { number: self.small()? },
            tag::HEAP_TYPE => Event::HeapType {
                id: TypeId(self.small()?),
                name: StringId(self.small()?),
            },
            tag::HEAP_OBJECT => self.heap_object()?,
            tag::HEAP_EDGE => self.heap_edge()?,
            tag::HEAP_ROOT => Event::HeapRoot {
                kind: RootKind::from_wire(self.number()?).ok_or("an unknown kind of root")?,
                name: StringId(self.small()?),
            },
            tag::HEAP_WORD => Event::HeapWord {
                to: self.addr()?,
                offset: self.small()?,
            },
            tag::HEAP_CHUNK => Event::HeapChunk {
                addr: self.addr()?,
                size: self.number()?,
            },
            tag::HEAP_CAUSE => Event::HeapCause {
                cause: Cause::from_wire(self.number()?).ok_or("an unknown cause of a snapshot")?,
                label: self.text()?,
            },
            tag::HEAP_END => Event::HeapEnd {
                objects: self.number()?,
                failed: self.number()?,
                pause_nanos: self.number()?,
            },
            _ => return Err("an unknown event"),
        })
    }

    fn region(&mut self, kind: u8) -> Result<Event<'a>, &'static str> {
        let number = self.small()?;
        Ok(match kind {
            tag::REGION_ENTER => Event::RegionEnter {
                number,
                outer: self.small()?,
                name: StringId(self.small()?),
            },
            tag::REGION_LEAVE => Event::RegionLeave { number },
            _ => Event::Region { number },
        })
    }

    fn folded_region(&mut self, kind: u8) -> Result<Event<'a>, &'static str> {
        Ok(match kind {
            tag::REGION_TOTALS => Event::RegionTotals {
                track: self.small()?,
                name: StringId(self.small()?),
                entries: self.number()?,
                unfinished: self.number()?,
                nanos: self.number()?,
            },
            tag::REGION_OPEN => Event::RegionOpen {
                track: self.small()?,
                number: self.small()?,
                outer: self.small()?,
                name: StringId(self.small()?),
                entered_nanos: self.number()?,
                code: CodeId(self.small()?),
                repeated: self.number()? & 1 == 1,
            },
            tag::REGION_AMOUNT => Event::RegionAmount {
                kind: RegionAmount::from_wire(self.number()?).ok_or("an unknown amount of a region")?,
                bytes: self.number()?,
                milliblocks: self.number()?,
                variance: self.number()?,
            },
            tag::REGION_SPAN => Event::RegionSpan {
                track: self.small()?,
                name: StringId(self.small()?),
                first_nanos: self.number()?,
                last_nanos: self.number()?,
            },
            tag::REGION_OWNER => Event::RegionOwner {
                addr: self.addr()?,
                track: self.small()?,
                number: self.small()?,
                mapping: self.number()? & 1 == 1,
            },
            _ => Event::RegionLeft {
                track: self.small()?,
                number: self.small()?,
                outer: self.small()?,
            },
        })
    }

    fn heap_object(&mut self) -> Result<Event<'a>, &'static str> {
        let (addr, type_id) = (self.addr()?, TypeId(self.small()?));
        let (size, references, prefix) = (self.number()?, self.number()?, self.small()?);
        let (prefix, tracked) = (prefix >> 1, prefix & 1 == 1);
        Ok(Event::HeapObject(HeapObject {
            addr,
            type_id,
            size,
            references,
            tracked,
            prefix,
        }))
    }

    fn heap_edge(&mut self) -> Result<Event<'a>, &'static str> {
        let (to, kind) = (self.addr()?, self.number()?);
        let label = match kind >> 1 {
            label_kind::ATTRIBUTE => EdgeLabel::Attribute(StringId(self.small()?)),
            label_kind::KEY => EdgeLabel::Key(StringId(self.small()?)),
            label_kind::ITEM => EdgeLabel::Item(StringId(self.small()?)),
            label_kind::INDEX => EdgeLabel::Index(self.small()?),
            label_kind::MEMBER => EdgeLabel::Member,
            label_kind::LOCAL => EdgeLabel::Local(StringId(self.small()?)),
            label_kind::CLOSURE => EdgeLabel::Closure(StringId(self.small()?)),
            label_kind::TYPE => EdgeLabel::Type,
            label_kind::UNNAMED => EdgeLabel::Unnamed(self.small()?),
            label_kind::WEAK => EdgeLabel::Weak,
            _ => return Err("an unknown kind of edge"),
        };
        Ok(Event::HeapEdge {
            to,
            label,
            counted: kind & 1 == 1,
        })
    }

    fn stack_ids(&mut self) -> Result<(StackId, StackId), &'static str> {
        self.stack = step(self.stack, self.number()?)?;
        let up = self.small()?;
        if up == 0 {
            return Err("a stack is its own caller");
        }
        let parent = self.stack.checked_sub(up).ok_or("a stack's caller has no id")?;
        Ok((StackId(self.stack), StackId(parent)))
    }
}

/// `last` plus a zigzag difference.
fn step(last: u32, difference: u64) -> Result<u32, &'static str> {
    let next = i64::from(last)
        .checked_add(unzigzag(difference))
        .ok_or("an id is too large")?;
    u32::try_from(next).map_err(|_| "an id is too large")
}
