//! The one place where sizes, times, names, chains and ends are worded. Imports `model` alone.

pub(crate) mod chain;
pub(crate) mod exit;
pub(crate) mod library_path;
pub(crate) mod names;
pub mod units;
