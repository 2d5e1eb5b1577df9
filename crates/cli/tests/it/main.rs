//! What a user sees of `deadweight`, run as a program. Nothing here depends on what the agent records.

mod agent_file;
mod arguments;
mod interpreters;
mod output;
mod report;
mod session;
mod signals;
mod transparency;
