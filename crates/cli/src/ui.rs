//! How output reaches people: the terminal, files, and words that a shell takes. A leaf: it imports nothing of this crate.

pub mod output_file;
pub mod quote;
pub mod terminal;
