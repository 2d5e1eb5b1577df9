//! Joins what an open snapshot answers with what the replay knows of stacks and times.

use deadweight_analysis::manifest::Manifest;
use deadweight_analysis::{Amount, Analysis};
use deadweight_heap::{
    CycleAnswer, Holder, Located, Neighbour, Object, ObjectAnswer, SnapshotAnswer, StackBytes, Standing, Tail,
    TypeAnswer, TypeCensus, short_type,
};

use super::model::{
    CycleRow, HeapReport, Held, HolderRow, Instance, Nearby, ObjectRow, ObjectView, Reference, SCHEMA, SnapshotRow,
    TailRow, TypeRow, TypeView,
};
use crate::attribution::rows::{By, Rows};
use crate::build::clock::{seconds_between, start_nanos};
use crate::findings::heap::{advice, expression};
use crate::model::{Link, Site};

/// Sites of each thing.
const SITES: usize = 5;

/// What is asked, with the answer.
#[derive(Debug)]
pub enum Question {
    /// Types, holders and cycles.
    Overview {
        /// All types.
        types: Vec<TypeCensus>,
        /// The cycles.
        cycles: Vec<CycleAnswer>,
    },
    /// The cycles, each with the ages of its blocks at the snapshot, nanoseconds.
    Cycles(Vec<(CycleAnswer, Vec<u64>)>),
    /// The objects of a type.
    Type(TypeAnswer),
    /// Who holds the objects of a type.
    Holders(TypeAnswer),
    /// One object.
    Object(ObjectAnswer),
}

/// The snapshot that was asked, and its run.
#[derive(Debug)]
pub struct Source<'a> {
    /// What the supervisor saw.
    pub manifest: Option<&'a Manifest>,
    /// What the replay answers.
    pub analysis: &'a Analysis,
    /// What the snapshot answers as a whole.
    pub answer: &'a SnapshotAnswer,
    /// The numbers of all snapshots of its process.
    pub numbers: Vec<u32>,
    /// Other processes with snapshots.
    pub other_pids: Vec<u32>,
    /// Longest list.
    pub top: usize,
}

struct Builder<'a> {
    source: &'a Source<'a>,
    rows: Rows<'a>,
    process: Option<usize>,
}

/// Makes the report.
pub fn build(source: &Source<'_>, question: Question) -> HeapReport {
    let rows = Rows::new(source.analysis, &[]);
    let builder = Builder {
        process: rows.index_of(source.answer.process),
        source,
        rows,
    };
    let mut report = HeapReport {
        schema: SCHEMA,
        snapshot: builder.snapshot(),
        types: None,
        holders: None,
        cycles: None,
        type_view: None,
        object: None,
        warnings: source.answer.warnings.clone(),
        cwd: source.manifest.map(|manifest| manifest.cwd.clone()),
        holders_first: false,
        next_steps: Vec::new(),
    };
    match question {
        Question::Overview { types, cycles } => {
            let types = types.iter().take(source.top).map(|census| type_row(census, None));
            report.types = Some(types.collect());
            let holders = source.answer.holders.iter().take(source.top);
            report.holders = Some(holders.map(|holder| builder.holder(holder)).collect());
            let cycles = cycles.into_iter().map(|cycle| builder.cycle(cycle, &[]));
            report.cycles = Some(cycles.collect());
        }
        Question::Cycles(cycles) => {
            let cycles = cycles.into_iter().map(|(cycle, ages)| builder.cycle(cycle, &ages));
            report.cycles = Some(cycles.collect());
        }
        Question::Type(answer) => report.type_view = Some(builder.of_type(answer)),
        Question::Holders(answer) => {
            report.type_view = Some(builder.of_type(answer));
            report.holders_first = true;
        }
        Question::Object(answer) => report.object = Some(builder.object(answer)),
    }
    report
}

impl Builder<'_> {
    fn snapshot(&self) -> SnapshotRow {
        let (source, answer) = (self.source, self.source.answer);
        let start = start_nanos(source.manifest, source.analysis);
        let since = |nanos: u64| start.map(|start| seconds_between(start, nanos));
        SnapshotRow {
            pid: answer.process.pid,
            number: answer.number,
            numbers: source.numbers.clone(),
            other_pids: source.other_pids.clone(),
            seconds: since(answer.nanos).filter(|_| answer.nanos > 0),
            peak_seconds: since(source.analysis.peak.nanos).filter(|_| source.analysis.peak.nanos > 0),
            complete: answer.complete,
            pause_seconds: answer.pause_nanos.map(|nanos| nanos as f64 / 1e9),
            all: answer.all.into(),
            garbage: answer.garbage.into(),
            uncollectable: answer.hidden.into(),
        }
    }

    fn sites(&self, by: By, stacks: &[StackBytes]) -> Vec<Site> {
        self.rows
            .sites(by, SITES, |row| match Some(row.process) == self.process {
                true => {
                    let parts = stacks.iter().filter(|part| part.stack.0 as usize == row.stack);
                    Amount {
                        bytes: parts.map(|part| part.bytes).fold(0, u64::saturating_add),
                        ..Amount::default()
                    }
                }
                false => Amount::default(),
            })
    }

    fn holder(&self, holder: &Holder) -> HolderRow {
        HolderRow {
            expression: expression(holder),
            type_name: holder.type_name.clone(),
            path: chain(&holder.path),
            retained: holder.amount.into(),
            element_type: holder.elements.as_ref().map(|elements| elements.type_name.clone()),
            elements: holder.elements.as_ref().map(|elements| elements.count),
            user_sites: self.sites(By::User, &holder.stacks),
        }
    }

    fn cycle(&self, answer: CycleAnswer, ages: &[u64]) -> CycleRow {
        let group = &answer.group;
        let seconds = |nanos: &u64| *nanos as f64 / 1e9;
        let whole = self.source.answer.all.bytes().max(1);
        let tails = answer
            .parts
            .iter()
            .enumerate()
            .flat_map(|(step, part)| tails(&part.tails, step));
        let mut tails: Vec<TailRow> = tails.collect();
        tails.sort_by_key(|tail| std::cmp::Reverse(tail.retained.bytes));
        CycleRow {
            fingerprint: format!("{:016x}", group.fingerprint),
            type_name: group.type_name.clone(),
            instances: group.instances,
            cycle: chain(&group.cycle),
            retained: group.amount.into(),
            share_of_heap: group.amount.bytes() as f64 / whole as f64,
            held_by_step: answer.parts.iter().map(|part| part.retained.into()).collect(),
            held_beside: answer.beside.into(),
            tails,
            sites: self.sites(By::Inner, &group.stacks),
            user_sites: self.sites(By::User, &group.stacks),
            freeable_by_gc: answer.freeable,
            tracked_objects: answer.tracked,
            age_seconds: ages
                .iter()
                .max()
                .zip(ages.iter().min())
                .map(|(old, young)| (seconds(old), seconds(young))),
            heaviest: answer
                .instances
                .iter()
                .map(|(address, amount)| Instance {
                    address: address.map(hex),
                    bytes: amount.bytes(),
                })
                .collect(),
            suggestion: match answer.freeable {
                true => advice::for_garbage(group),
                false => advice::for_uncollectable(group),
            },
        }
    }

    fn of_type(&self, answer: TypeAnswer) -> TypeView {
        let name = answer.type_names.join(", ");
        TypeView {
            census: type_row(&answer.census, Some(name)),
            names: answer.type_names,
            paths: answer
                .paths
                .into_iter()
                .map(|held| Held {
                    path: chain(&held.path),
                    standing: standing(held.standing),
                    retained: held.amount.into(),
                })
                .collect(),
            more_paths: answer.more_paths,
            referrers: answer
                .referrers
                .into_iter()
                .map(|referrer| Reference {
                    type_name: referrer.type_name,
                    edge: referrer.edge,
                    count: referrer.references,
                })
                .collect(),
            tails: tails(&answer.tails, 0).collect(),
            heaviest: answer.heaviest.iter().map(located).collect(),
            user_sites: self.sites(By::User, &answer.stacks),
        }
    }

    fn object(&self, answer: ObjectAnswer) -> ObjectView {
        ObjectView {
            object: located(&answer.located),
            referrers: answer.referrers.iter().map(nearby).collect(),
            referrer_count: answer.referrer_count,
            references: answer.references.iter().map(nearby).collect(),
            reference_count: answer.reference_count,
            tails: tails(&answer.tails, 0).collect(),
            user_sites: self.sites(By::User, &answer.stacks),
        }
    }
}

fn hex(address: u64) -> String {
    format!("{address:#x}")
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Live => "live",
        Standing::Garbage => "garbage",
        Standing::Uncollectable => "uncollectable",
        Standing::Unowned => "unowned",
    }
}

/// Steps with types as they are called without their module.
fn chain(steps: &[deadweight_heap::Step]) -> Vec<Link> {
    let link = |step: &deadweight_heap::Step| Link {
        type_name: match step.type_name.starts_with("frame ") || step.type_name.starts_with("sys.") {
            true => step.type_name.clone(),
            false => short_type(&step.type_name).to_owned(),
        },
        edge: step.edge.clone(),
    };
    steps.iter().map(link).collect()
}

fn tails(tails: &[Tail], step: usize) -> impl Iterator<Item = TailRow> + '_ {
    tails.iter().map(move |tail| TailRow {
        step,
        edge: tail.edge.clone(),
        type_name: tail.type_name.clone(),
        retained: tail.amount.into(),
    })
}

fn type_row(census: &TypeCensus, name: Option<String>) -> TypeRow {
    TypeRow {
        type_name: name.unwrap_or_else(|| census.type_name.clone()),
        count: census.retained.objects,
        unreachable: census.unreachable,
        shallow_bytes: census.bytes,
        retained: census.retained.into(),
    }
}

fn object_row(object: &Object) -> ObjectRow {
    ObjectRow {
        address: object.address.map(hex),
        type_name: object.type_name.clone(),
        standing: standing(object.standing),
        shallow_bytes: object.bytes,
        retained: object.retained.into(),
        path: Vec::new(),
    }
}

fn located(located: &Located) -> ObjectRow {
    ObjectRow {
        path: chain(&located.path),
        ..object_row(&located.object)
    }
}

fn nearby(neighbour: &Neighbour) -> Nearby {
    Nearby {
        edge: neighbour.edge.clone(),
        object: object_row(&neighbour.object),
        only_way: neighbour.only_way,
    }
}
