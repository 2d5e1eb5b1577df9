//! What each heap snapshot of a capture answers, in short: `heap_answer CAPTURE`.

use std::time::Instant;

use deadweight_capture::read::Capture;
use deadweight_heap::{Step, analyse_heap};

fn chain(steps: &[Step]) -> String {
    steps
        .iter()
        .map(|step| format!("{}{} ", step.type_name, step.edge))
        .collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("which capture?")?;
    for files in Capture::open(folder.as_ref())?.heaps() {
        let start = Instant::now();
        let answer = analyse_heap(files)?;
        let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
        println!(
            "== {:?} {} complete {} objects {} python {:.1} MiB native {:.1} MiB garbage {:.1} MiB hidden {:.1} MiB ({:.2} s)",
            answer.process,
            answer.number,
            answer.complete,
            answer.all.objects,
            mib(answer.all.python_bytes),
            mib(answer.all.native_bytes),
            mib(answer.garbage.bytes()),
            mib(answer.hidden.bytes()),
            start.elapsed().as_secs_f64()
        );
        for (name, groups) in [("cycle", &answer.cycles), ("hidden", &answer.uncollectable)] {
            for group in groups.iter().take(5) {
                println!(
                    "  {name} {:.2} MiB x {}: {}",
                    mib(group.amount.bytes()),
                    group.instances,
                    chain(&group.cycle)
                );
            }
        }
        for holder in answer.holders.iter().take(8) {
            println!(
                "  holder {:.1} MiB {}{:?}",
                mib(holder.amount.bytes()),
                chain(&holder.path),
                holder.elements
            );
        }
        for part in answer.unexplained.iter().take(5) {
            println!("  unexplained {:.2} MiB {part:?}", mib(part.amount.bytes()));
        }
        for part in answer.unowned.iter().take(5) {
            println!("  unowned {:.2} MiB {part:?}", mib(part.bytes));
        }
        for warning in &answer.warnings {
            println!("  {warning}");
        }
    }
    Ok(())
}
