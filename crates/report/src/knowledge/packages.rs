//! Known bugs and traps of released packages: `data/packages.toml`.

use std::sync::OnceLock;

use pep440_rs::VersionSpecifiers;
use serde::Deserialize;

use super::patterns::{has_words, is_meant};
use crate::knowledge::installed::Lookup;
use crate::model::{Finding, FindingKind, Line};

/// A bug or a trap of one package.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    distribution: String,
    /// Which versions have it; all of them if nothing is said.
    versions: Option<VersionSpecifiers>,
    kinds: Vec<FindingKind>,
    #[serde(default)]
    types: Vec<String>,
    #[serde(default)]
    edges: Vec<String>,
    #[serde(default)]
    frames: Vec<String>,
    #[serde(default)]
    source: Vec<String>,
    /// Only if the cycle goes from the object through an attribute to another one that refers back to it at once.
    #[serde(default)]
    accessor: bool,
    says: String,
    fix: String,
    url: String,
}

#[derive(Deserialize)]
struct Table {
    package: Vec<Package>,
}

fn all() -> &'static [Package] {
    static ALL: OnceLock<Vec<Package>> = OnceLock::new();
    ALL.get_or_init(|| {
        // The tests read it, so it is sound in every build that passed them.
        let table = toml::from_str::<Table>(include_str!("../../data/packages.toml"));
        table.map(|table| table.package).unwrap_or_default()
    })
}

impl Package {
    fn fits(&self, found: &Finding, source: Option<&str>) -> bool {
        let types = || {
            let of_chain = found.chain.iter().map(|link| link.type_name.as_str());
            of_chain.chain(found.type_name.as_deref())
        };
        let frames = || {
            let sites = found.sites.iter().chain(&found.user_sites);
            sites.flat_map(|site| std::iter::once(&site.at).chain(&site.stack))
        };
        let one_of_types = self
            .types
            .iter()
            .any(|part| types().any(|name| name.contains(part.as_str())));
        let edge = |part: &String| found.chain.iter().any(|link| link.edge.contains(part.as_str()));
        let frame = |part: &String| frames().any(|at: &Line| is_meant(part, at));
        let words = |words: &String| source.is_some_and(|source| has_words(source, words));
        self.kinds.contains(&found.kind)
            && (self.types.is_empty() || one_of_types)
            && self.edges.iter().all(edge)
            && (self.frames.is_empty() || self.frames.iter().any(frame))
            && (self.source.is_empty() || self.source.iter().any(words))
            && (!self.accessor || is_accessor(found, &self.types))
    }

    /// What to say, unless the version that is installed is another one.
    fn said(&self, lookup: &Lookup) -> Option<Known> {
        let (name, installed) = (&self.distribution, lookup.version(&self.distribution));
        let says = match (&self.versions, installed) {
            (Some(versions), Some(version)) if !versions.contains(version) => return None,
            (Some(_), Some(version)) => format!("{name} {version} {}.", self.says),
            (Some(versions), None) => {
                let versions = versions.to_string().replace(',', " and");
                format!("If your {name} is {versions}: it {}. {}", self.says, self.fix)
            }
            (None, _) => format!("{name} {}.", self.says),
        };
        Some(Known {
            says,
            fix: (self.versions.is_none() || installed.is_some()).then(|| self.fix.clone()),
            url: self.url.clone(),
        })
    }
}

/// Whether a cycle is of two objects: one of `types`, and another one that keeps it in an attribute.
fn is_accessor(found: &Finding, types: &[String]) -> bool {
    let [a, b] = &found.chain[..] else { return false };
    let is_table = |name: &str| types.iter().any(|part| name == part);
    is_table(&a.type_name) != is_table(&b.type_name) && a.edge.starts_with('.') && b.edge.starts_with('.')
}

/// What is known of the cause of a finding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Known {
    /// A sentence.
    pub(crate) says: String,
    /// What to do, if it is certain that this is the cause.
    pub(crate) fix: Option<String>,
    /// Where that comes from.
    pub(crate) url: String,
}

/// What is known of the cause of this finding. `source` is the text of the user's line.
pub(crate) fn find(found: &Finding, source: Option<&str>, lookup: &Lookup) -> Option<Known> {
    let fitting = all().iter().filter(|package| package.fits(found, source));
    fitting.filter_map(|package| package.said(lookup)).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sound() {
        let table: Table = toml::from_str(include_str!("../../data/packages.toml")).unwrap();
        assert!(table.package.len() > 10);
        for package in table.package {
            let evidence = [&package.types, &package.edges, &package.frames, &package.source];
            let name = &package.distribution;
            assert!(evidence.iter().any(|list| !list.is_empty()), "{name}: no evidence");
            assert!(
                !package.kinds.is_empty() && package.url.starts_with("https://"),
                "{name}"
            );
            assert!(package.fix.ends_with('.') && !package.says.ends_with('.'), "{name}");
        }
    }
}
