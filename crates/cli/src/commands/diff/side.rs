//! One side of a comparison.

use std::path::PathBuf;

use anyhow::Result;
use deadweight_report::diff::Input;

use crate::load::capture::RunData;

/// One side: what the user calls it, and its captures.
pub struct Side {
    name: String,
    captures: Vec<RunData>,
}

impl Side {
    /// Reads the captures in these folders.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn open(name: String, folders: &[PathBuf]) -> Result<Side> {
        let captures: Result<Vec<RunData>> = folders.iter().map(|folder| RunData::open(folder)).collect();
        Ok(Side {
            name,
            captures: captures?,
        })
    }

    /// As it is compared.
    pub fn input(&self) -> Input<'_> {
        Input {
            name: self.name.clone(),
            runs: self.captures.iter().map(RunData::recorded).collect(),
        }
    }
}
