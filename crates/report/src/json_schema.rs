//! The contracts of the JSON as JSON Schemas (draft 2020-12), made from the types that are serialized: a field's comment is its
//! description. Fields may be added, so a schema allows what it does not name.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::baseline::Baseline;
use crate::check::Check;
use crate::diff::Diff;
use crate::heap::HeapReport;
use crate::model::Report;

/// Every contract by its name (`report` of `deadweight.report/1`), with its schema.
pub fn all() -> [(&'static str, Schema); 5] {
    [
        ("report", of::<Report>()),
        ("heap", of::<HeapReport>()),
        ("diff", of::<Diff>()),
        ("check", of::<Check>()),
        ("baseline", of::<Baseline>()),
    ]
}

/// The schema of what is written, not of what may be read.
fn of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<T>()
}
