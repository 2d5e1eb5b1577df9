//! From capture folders to answers.

mod fixtures;
mod trouble;
