//! Known answers, end to end: programs that know what memory they use, where and when, are run under `deadweight` with
//! every Python here, and the capture must say the same.
//!
//! `DEADWEIGHT_PYTHONS` names the interpreters (paths, separated by colons); without it there is one, the `python3` on
//! the path. Each test runs all of them, and a failure names the version. Run with `--nocapture` to see what was compared.

mod allocators;
mod amounts;
mod behaviour;
mod behaviour_limits;
mod code_objects;
mod compared;
mod exact;
mod findings;
mod graphs;
mod group;
mod killed;
mod ledger;
mod mappings;
mod on_demand;
mod out_of_memory;
mod packages;
mod processes;
mod pythons;
mod recording;
mod regions;
mod resident;
mod sampled;
mod servers;
mod skips;
mod snapshotted;
mod stacks;
mod started;
mod stated;
