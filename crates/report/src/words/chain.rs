//! A chain of references in one line.

use crate::model::Link;

/// Steps of a chain; of a longer one the middle is left out.
const STEPS: usize = 8;

/// `frame main<local titles> → list[0]`.
pub(crate) fn drawn(chain: &[Link]) -> String {
    let step = |link: &Link| format!("{}{}", link.type_name, link.edge);
    let mut steps: Vec<String> = chain.iter().map(step).collect();
    if steps.len() > STEPS {
        let gap = steps.len() - STEPS + 1;
        steps.splice(STEPS / 2..STEPS / 2 + gap, ["…".to_owned()]);
    }
    steps.join(" → ")
}
