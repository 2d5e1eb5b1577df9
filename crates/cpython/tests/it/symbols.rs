//! Addresses of exported symbols in another process, from its ELF files and `/proc/PID/maps`.

use std::collections::HashMap;

use object::{Object, ObjectSegment, ObjectSymbol};

pub struct Symbols(HashMap<String, u64>);

impl Symbols {
    /// The dynamic symbols of the file that exports `_PyRuntime`: the executable or libpython.
    pub fn of_python(pid: u32) -> Self {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        for line in maps.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let [range, _, "00000000", _, _, path] = words[..] else {
                continue;
            };
            if !path.contains("python") {
                continue;
            }
            let start = u64::from_str_radix(range.split('-').next().unwrap(), 16).unwrap();
            let Ok(data) = std::fs::read(path) else { continue };
            let Ok(file) = object::File::parse(&*data) else {
                continue;
            };
            let first = file.segments().map(|segment| segment.address() & !0xfff).min().unwrap();
            let symbols: HashMap<String, u64> = file
                .dynamic_symbols()
                .filter(|symbol| symbol.is_definition())
                .filter_map(|symbol| Some((symbol.name().ok()?.to_owned(), symbol.address() - first + start)))
                .collect();
            if symbols.contains_key("_PyRuntime") {
                return Self(symbols);
            }
        }
        panic!("no file of process {pid} exports _PyRuntime:\n{maps}");
    }

    pub fn address(&self, name: &str) -> u64 {
        self.find(name).unwrap_or_else(|| panic!("{name} is not exported"))
    }

    pub fn find(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }
}
