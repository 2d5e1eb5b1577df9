//! What a user sees of `deadweight`, run as a program. Nothing here depends on what the agent records.

mod agent_file;
mod arguments;
mod check;
mod diff;
mod heap;
mod interpreters;
mod json_schema;
mod live;
mod output;
mod report;
mod session;
mod signals;
mod transparency;
mod watch;
