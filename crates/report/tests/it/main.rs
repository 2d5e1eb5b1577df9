//! Reports of small drawn runs, view by view.

mod exports;
mod findings;
mod fixture;
mod heaps;
mod json;
mod sites;
mod text;
