//! A difference between a layout and the running interpreter.

use core::fmt;

/// The running interpreter and the layout differ.
///
/// Units of `expected` and `found` are those of the field: bytes for sizes and offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What was compared, as in `code.tp_basicsize`.
    pub field: &'static str,
    /// The value in the layout.
    pub expected: u64,
    /// The value in the interpreter, or `None` if it could not be read.
    pub found: Option<u64>,
}

impl Mismatch {
    /// `Ok` if both agree.
    pub(crate) fn compare(field: &'static str, expected: u64, found: Option<u64>) -> Result<(), Self> {
        if found == Some(expected) {
            Ok(())
        } else {
            Err(Self { field, expected, found })
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.found {
            Some(found) => write!(
                f,
                "{} is {found} in this interpreter, expected {}",
                self.field, self.expected
            ),
            None => write!(
                f,
                "{} cannot be read in this interpreter, expected {}",
                self.field, self.expected
            ),
        }
    }
}

impl core::error::Error for Mismatch {}
