//! What kind of program a file is: whether `LD_PRELOAD` can reach it.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// An executable file, as far as preloading is concerned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Program {
    /// Not an ELF file: most likely a script with a `#!` line, whose interpreter inherits the environment.
    Script,
    /// For another processor or word size than the agent.
    OtherMachine,
    /// Nothing is loaded at its start, so nothing can be preloaded.
    Static,
    /// It has a loader, and this is the loader's path (`PT_INTERP`).
    Dynamic {
        /// For example `/lib64/ld-linux-x86-64.so.2`.
        loader: String,
    },
}

const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const PT_INTERP: u64 = 3;
/// `e_machine` of the processor that this program, and so the agent, was built for.
const MACHINE: Option<u64> = if cfg!(target_arch = "x86_64") {
    Some(62)
} else if cfg!(target_arch = "aarch64") {
    Some(183)
} else {
    None
};

/// Reads the file's ELF headers.
///
/// # Errors
/// If the file cannot be read, or ends in the middle of its headers.
pub fn inspect(path: &Path) -> io::Result<Program> {
    let file = File::open(path)?;
    let mut head = Vec::with_capacity(64);
    file.try_clone()?.take(64).read_to_end(&mut head)?;
    if !head.starts_with(b"\x7fELF") {
        return Ok(Program::Script);
    }
    let machine = number(&head, 18, 2)?;
    if head.get(4) != Some(&CLASS_64)
        || head.get(5) != Some(&LITTLE_ENDIAN)
        || MACHINE.is_some_and(|ours| ours != machine)
    {
        return Ok(Program::OtherMachine);
    }
    let (table, size, count) = (number(&head, 32, 8)?, number(&head, 54, 2)?, number(&head, 56, 2)?);
    let mut entry = [0; 56];
    for index in 0..count {
        file.read_exact_at(&mut entry, table.saturating_add(index * size))?;
        if number(&entry, 0, 4)? == PT_INTERP {
            let (at, length) = (number(&entry, 8, 8)?, number(&entry, 32, 8)?);
            let mut loader = vec![0; length.min(4096) as usize];
            file.read_exact_at(&mut loader, at)?;
            let loader = String::from_utf8_lossy(&loader);
            return Ok(Program::Dynamic {
                loader: loader.trim_end_matches('\0').to_string(),
            });
        }
    }
    Ok(Program::Static)
}

/// The little endian number of `size` bytes at `at`.
fn number(bytes: &[u8], at: usize, size: usize) -> io::Result<u64> {
    let bytes = bytes.get(at..at + size).ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(bytes
        .iter()
        .rev()
        .fold(0, |number, &byte| number << 8 | u64::from(byte)))
}
