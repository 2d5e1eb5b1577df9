//! The rules about crates and files that no compiler checks.
//!
//! - [`packages`]: which crate may depend on which, and which have no unsafe code.
//! - [`layers`]: which folder of a crate may import which, and no circles of files.
//! - [`files`]: telling names, bounded lengths, nothing unknown at the root of the checkout.
//! - [`documents`]: paths in documents exist.
//!
//! Each is a decision that docs/architecture.md draws; its table here holds it true.

mod documents;
mod files;
mod imports;
mod layers;
mod packages;

use std::path::Path;

use crate::{Fallible, checkout};

/// Checks every rule; the error lists all violations.
pub fn check() -> Fallible<()> {
    let mut violations = Vec::new();
    packages::check(&checkout::metadata()?, &mut violations);
    packages::check_safety(&mut violations);
    layers::check(&mut violations)?;
    files::check(&mut violations)?;
    documents::check(&mut violations);
    if violations.is_empty() {
        println!("architecture: all rules hold");
        return Ok(());
    }
    for violation in &violations {
        println!("architecture: {violation}");
    }
    Err(format!("architecture: {} violations", violations.len()).into())
}

/// Prints which folder of each crate imports which, as it is.
pub fn print() -> Fallible<()> {
    layers::print()
}

/// A path from the root of the checkout.
fn relative(path: &Path) -> String {
    path.strip_prefix(checkout::root())
        .unwrap_or(path)
        .display()
        .to_string()
}
