//! Joins what was measured into a [`Report`](crate::Report): the peak, the ledger, processes, regions, growth, the timeline,
//! warnings. What is wrong with the run, `findings` says of it.

pub(crate) mod calltree;
pub(crate) mod clock;
pub(crate) mod growth;
pub(crate) mod ledger;
pub(crate) mod processes;
pub(crate) mod regions;
pub(crate) mod report;
mod timeline;
pub(crate) mod warnings;
