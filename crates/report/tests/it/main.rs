//! Reports of small drawn runs, view by view.

mod exports;
mod findings;
mod fixture;
mod json;
mod sites;
mod text;
