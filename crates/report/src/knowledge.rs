//! What is known about libraries: data in `data/*.toml`, matched by evidence, and what is installed where the program ran.

pub(crate) mod calls;
pub(crate) mod installed;
pub(crate) mod packages;
mod patterns;
