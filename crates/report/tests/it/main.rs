//! Reports of small drawn runs, view by view.

mod baseline;
mod check;
mod diffs;
mod exports;
mod findings;
mod fixture;
mod heap_views;
mod heaps;
mod json;
mod over_time;
mod regions;
mod sites;
mod text;
mod thresholds;
