//! Finds types by the names that a user types.

use crate::analyse::Heap;
use crate::graph::names::short_type;

/// Similar names that are offered at most.
const MOST_NEAR: usize = 5;
/// Least similarity of a name that is offered; 1 means equal.
const LEAST_ALIKE: f64 = 0.75;

impl Heap {
    /// Numbers of the types that are meant by `asked`: the type with this full name, or else all types whose names end
    /// with it (`DataFrame`, `frame.DataFrame`).
    ///
    /// # Errors
    /// If there is none: similar names, the most similar one first.
    pub(crate) fn types_named(&self, asked: &str) -> Result<Vec<u32>, Vec<String>> {
        let names = &self.graph.names;
        let mut used = vec![false; names.type_count()];
        for &kind in self.graph.types.iter().take(self.graph.objects) {
            if let Some(used) = used.get_mut(kind as usize) {
                *used = true;
            }
        }
        let used: Vec<u32> = (0..names.type_count() as u32)
            .filter(|&kind| used[kind as usize])
            .collect();
        let of = |is: &dyn Fn(&str) -> bool| -> Vec<u32> {
            let matches = |kind: &u32| is(names.type_name(*kind));
            used.iter().copied().filter(matches).collect()
        };
        let exact = of(&|name| name == asked);
        if !exact.is_empty() {
            return Ok(exact);
        }
        let end = format!(".{asked}");
        let ending = of(&|name| name.ends_with(&end) || short_type(name) == asked);
        if !ending.is_empty() && !asked.is_empty() {
            return Ok(ending);
        }
        let mut all: Vec<&str> = used.iter().map(|&kind| names.type_name(kind)).collect();
        all.sort_unstable();
        all.dedup();
        Err(near(asked, &all))
    }
}

/// Names like the one that was asked for.
fn near(asked: &str, names: &[&str]) -> Vec<String> {
    let asked = asked.to_lowercase();
    let last = short_type(&asked);
    let alike = |name: &str| {
        let name = name.to_lowercase();
        let short = short_type(&name);
        if short == last {
            return 2.0;
        }
        let contains = if last.len() >= 3 && short.contains(last) {
            0.95
        } else {
            0.0
        };
        strsim::jaro_winkler(last, short).max(contains)
    };
    let mut scored: Vec<(f64, &str)> = names.iter().map(|&name| (alike(name), name)).collect();
    scored.retain(|(score, _)| *score >= LEAST_ALIKE);
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let names = scored.into_iter().take(MOST_NEAR);
    names.map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::near;

    #[test]
    fn misspelt_names_find_the_right_ones() {
        let names = [
            "pandas.core.frame.DataFrame",
            "dict",
            "app.Record",
            "app.RecordSet",
            "list",
        ];
        assert_eq!(near("Dataframe", &names), ["pandas.core.frame.DataFrame"]);
        assert_eq!(near("app.Recrod", &names), ["app.Record", "app.RecordSet"]);
        assert_eq!(near("record", &names), ["app.Record", "app.RecordSet"]);
        assert_eq!(near("zzzz", &names), Vec::<String>::new());
    }
}
