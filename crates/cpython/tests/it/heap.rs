//! The heap of real interpreters against what they say of it themselves: which objects there are, their sizes, and
//! every reference of a zoo of objects.

mod objects;
mod references;
mod roots;

use std::collections::{HashMap, HashSet};

use deadweight_cpython::heap::{self, Context, Interpreters, Known, Label, NameRef, TypeFacts};
use deadweight_cpython::{Layout, unicode};

use crate::Subject;
use crate::process::{ProcessMemory, number, text};

/// A process at its stop in the zoo.
struct Heap<'a> {
    name: &'a str,
    ctx: Context<'a, ProcessMemory>,
    interpreters: Interpreters,
    /// The main interpreter.
    interpreter: u64,
    lines: &'a [Vec<String>],
}

impl Heap<'_> {
    /// One for each interpreter.
    fn each(mut check: impl FnMut(&Heap<'_>)) {
        Subject::each_running(crate::ZOO, |subject| {
            subject.process.next_stop().expect("a stop");
            let (mem, layout): (_, &Layout) = (&subject.process.memory, subject.layout);
            let known = Known::resolve(|symbol| subject.symbols.find(symbol.to_str().unwrap()));
            let interpreters = Interpreters::locate(mem, layout, subject.symbols.address("_PyRuntime"))
                .unwrap_or_else(|mismatch| panic!("{}: {mismatch}", subject.name));
            check(&Heap {
                name: &subject.name,
                ctx: Context {
                    mem,
                    layout,
                    known: &known,
                },
                interpreters,
                interpreter: interpreters.main(mem).expect("a main interpreter"),
                lines: &subject.process.heap,
            });
        });
    }

    /// What was said with `word` first, without it.
    fn said(&self, word: &'static str) -> impl Iterator<Item = &[String]> {
        self.lines
            .iter()
            .filter(move |line| line[0] == word)
            .map(|line| &line[1..])
    }

    fn facts(&self, object: u64) -> TypeFacts {
        let ty = self.ctx.type_of(object).expect("a type");
        TypeFacts::read(self.ctx, ty).expect("facts")
    }

    fn string(&self, object: u64) -> String {
        let mut buffer = vec![0; 4096];
        let text = unicode::utf8(self.ctx.mem, self.ctx.layout, object, &mut buffer).expect("a string");
        String::from_utf8(buffer[..text.len].to_vec()).unwrap()
    }

    fn type_name(&self, ty: u64) -> String {
        let mut buffer = [0; 512];
        let len = heap::names::type_name(self.ctx, ty, &mut buffer);
        String::from_utf8(buffer[..len].to_vec()).unwrap()
    }

    /// A label as the zoo writes it.
    fn show(&self, label: Label) -> String {
        match label {
            Label::Attribute(NameRef::Str(name)) => format!(".{}", self.string(name)),
            Label::Attribute(NameRef::CString(name)) => {
                let mut buffer = [0; 256];
                let len = heap::names::c_string(self.ctx.mem, name, &mut buffer).unwrap();
                format!(".{}", std::str::from_utf8(&buffer[..len]).unwrap())
            }
            Label::Key(key) => format!("['{}']", self.string(key)),
            Label::Item(key) => format!("[@{key}]"),
            Label::Index(index) => format!("[{index}]"),
            Label::Member => "member".to_owned(),
            Label::Local(name) => format!("local {}", self.string(name)),
            Label::Stack(_) => "stack".to_owned(),
            Label::MemberName(name) => format!(".{name}"),
            Label::Type => "type".to_owned(),
            Label::Weak => "weak".to_owned(),
        }
    }

    /// All references of one object, weak ones included.
    fn edges(&self, object: u64) -> Vec<(Label, u64)> {
        let mut edges = Vec::new();
        heap::edges::named(self.ctx, &self.facts(object), object, &mut |edge| {
            edges.push((edge.label, edge.to));
        })
        .unwrap_or_else(|| panic!("{}: a {} is not read to its end", self.name, self.kind_of(object)));
        edges
    }

    fn kind_of(&self, object: u64) -> String {
        self.type_name(self.ctx.type_of(object).unwrap())
    }
}
