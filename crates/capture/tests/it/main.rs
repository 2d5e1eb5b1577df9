//! The capture format from outside: what is written comes back, whatever happens to the bytes.

mod damage;
mod format_doc;
mod random;
mod round_trip;
mod timeline;
