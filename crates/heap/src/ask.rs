//! What an open snapshot is asked for by name: a type, an object, a path, a cycle, the whole of it.

mod cycle_parts;
mod heapsnapshot;
mod held;
mod objects;
mod type_names;

pub use objects::NoObject;
