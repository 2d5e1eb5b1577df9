//! What usually fixes it, by the shape of the chain.

use deadweight_heap::{CycleGroup, Holder, Step, short_type};

/// `DataFrame.ww → Accessor._dataframe → DataFrame`.
pub(crate) fn drawn_cycle(cycle: &[Step]) -> String {
    let mut text = String::new();
    for step in cycle {
        text.push_str(&format!("{}{} → ", short_type(&step.type_name), step.edge));
    }
    text.push_str(cycle.first().map_or("", |first| short_type(&first.type_name)));
    text
}

fn any(cycle: &[Step], is: impl Fn(&str, &str) -> bool) -> bool {
    cycle.iter().any(|step| is(&step.type_name, &step.edge))
}

/// How to break the cycle.
fn break_it(cycle: &[Step]) -> String {
    if any(cycle, |kind, edge| {
        matches!(kind, "traceback" | "frame") || edge == ".__traceback__"
    }) {
        "An exception or a frame that is kept in a variable keeps all variables of its functions: `del` it when it is \
         dealt with, or keep only its text."
            .to_owned()
    } else if any(cycle, |kind, edge| kind == "dict" && edge == "['self']") {
        "A copy of the local variables is kept, `self` among them: leave `self` out of the copy.".to_owned()
    } else if any(cycle, |_, edge| edge == ".__self__") {
        "A bound method that an object keeps of itself holds the object: keep the plain function, or look the method up \
         when it is called."
            .to_owned()
    } else if any(cycle, |kind, edge| kind == "cell" || edge.starts_with(".__closure__")) {
        "A function that an object keeps, or that calls itself, holds what it captures: pass that as an argument, or \
         let the function hold it weakly (`weakref.ref`)."
            .to_owned()
    } else {
        let is_attribute = |step: &&Step| step.edge.starts_with('.') && !step.edge.ends_with(" (in C)");
        match cycle.iter().rev().find(is_attribute) {
            Some(back) => format!(
                "Let one of them refer to the next weakly, for example `{}{}` through `weakref.ref`, or do not keep it \
                 at all.",
                short_type(&back.type_name),
                back.edge
            ),
            None => {
                "Let one of them refer to the next weakly (`weakref.ref`), or clear it when it is done with.".to_owned()
            }
        }
    }
}

pub(crate) fn for_garbage(group: &CycleGroup) -> String {
    format!(
        "{} Until then, `gc.collect()` after each round frees it: left alone, Python waits for a number of objects, \
         however large they are.",
        break_it(&group.cycle)
    )
}

pub(crate) fn for_uncollectable(group: &CycleGroup) -> String {
    let first = match any(&group.cycle, |kind, _| kind == "numpy.ndarray") {
        true => {
            "An array of objects hides what it holds from the collector: overwrite its elements before it is dropped, \
             or hold them in a list. "
        }
        false => "",
    };
    format!("{first}{}", break_it(&group.cycle))
}

pub(super) fn for_holder(holder: &Holder) -> String {
    let native = holder.amount.native_bytes / 4 > holder.amount.python_bytes;
    match &holder.elements {
        Some(elements) if native => format!(
            "Most of it is native memory, which Python's own sizes do not show. Take out each {} that is done with \
             (`close`, `del`), or keep a copy of what is needed of it instead.",
            short_type(&elements.type_name)
        ),
        Some(_) => "Take out what is done with (`del`, `close`, a cache with a limit), or work in pieces.".to_owned(),
        None => "If it is not all needed at once, work in pieces, or drop it earlier.".to_owned(),
    }
}
