//! Who it was: the lines that most of the memory came from, and what kept it alive.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{CallNode, Finding, FindingKind, Line, Link, Report, Severity, Site};
use crate::words::{chain, names, units};

/// Lines that are named.
const LINES: usize = 3;
/// A line with less than 20 % of the heaviest one (one part in 5) is left out.
const SMALLEST_PART: u64 = 5;
/// A finding with less than 10 % of what is judged (one part in 10) does not explain it.
const EXPLAINS_PART: u64 = 10;

/// Who made and who holds what was too much.
#[derive(Clone, PartialEq, Debug, Default, JsonSchema, Serialize)]
pub struct Culprit {
    /// The user's own lines, the heaviest first.
    pub lines: Vec<CulpritLine>,
    /// What kept it alive, or made it that much.
    pub finding: Option<CulpritFinding>,
    /// What resident memory was made of, where lines alone do not tell.
    pub resident: Option<String>,
}

/// A line of the user's own.
#[derive(Clone, PartialEq, Eq, Debug, JsonSchema, Serialize)]
pub struct CulpritLine {
    /// The line.
    #[serde(flatten)]
    pub at: Line,
    /// Where it is, from where a person knows it: `bench.py:18`.
    pub place: String,
    /// What came from it.
    pub bytes: u64,
    /// What came from it in the baseline.
    pub before_bytes: Option<u64>,
    /// The innermost line below it that most of this came from, if it is another one: a library's as a rule.
    pub library: Option<Line>,
    /// Where that is.
    pub library_place: Option<String>,
}

/// A finding that explains it.
#[derive(Clone, PartialEq, Debug, JsonSchema, Serialize)]
pub struct CulpritFinding {
    /// Its kind.
    pub kind: FindingKind,
    /// One sentence.
    pub title: String,
    /// Type of the objects.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// From the root to the object, or around the cycle.
    pub chain: Vec<Link>,
    /// Whether the chain is a cycle.
    pub cycle: Option<bool>,
    /// What to do.
    pub suggestion: Option<String>,
}

impl From<&Finding> for CulpritFinding {
    fn from(found: &Finding) -> CulpritFinding {
        CulpritFinding {
            kind: found.kind,
            title: names::clean(&found.title).into_owned(),
            type_name: found.type_name.clone(),
            chain: found.chain.clone(),
            cycle: found.cycle,
            suggestion: found.suggestion.as_deref().map(|text| names::clean(text).into_owned()),
        }
    }
}

/// The innermost line below the user's line that most of its memory came from; null if that is the line itself.
fn library(tree: &[CallNode], at: &Line) -> Option<Line> {
    let mut node = find(tree, at)?;
    while let Some(heaviest) = node.children.first() {
        let below = node
            .children
            .iter()
            .fold(0u64, |sum, child| sum.saturating_add(child.bytes));
        // More of it came from the line itself than from any call.
        if node.bytes.saturating_sub(below) > heaviest.bytes {
            break;
        }
        node = heaviest;
    }
    (node.at != *at).then(|| node.at.clone())
}

/// The heaviest node of this line.
fn find<'a>(level: &'a [CallNode], at: &Line) -> Option<&'a CallNode> {
    let mut best: Option<&CallNode> = None;
    let mut left: Vec<&CallNode> = level.iter().collect();
    while let Some(node) = left.pop() {
        if node.at == *at && best.is_none_or(|best| node.bytes > best.bytes) {
            best = Some(node);
        }
        left.extend(&node.children);
    }
    best
}

impl Culprit {
    /// Of lines with most memory first, and what they had in a baseline.
    pub(super) fn of_sites<'a>(sites: impl IntoIterator<Item = (&'a Site, Option<u64>)>, report: &Report) -> Culprit {
        let cwd = report.run.cwd.as_deref();
        let line = |(site, before_bytes): (&Site, Option<u64>)| {
            let library = library(&report.peak.tree, &site.at);
            CulpritLine {
                at: site.at.clone(),
                place: names::location(&site.at, cwd),
                bytes: site.bytes,
                before_bytes,
                library_place: library.as_ref().map(|at| names::location(at, cwd)),
                library,
            }
        };
        let mut lines: Vec<CulpritLine> = sites.into_iter().take(LINES).map(line).collect();
        let change = |line: &CulpritLine| line.bytes.saturating_sub(line.before_bytes.unwrap_or(0));
        let most = lines.first().map_or(0, change);
        lines.retain(|line| change(line) >= most / SMALLEST_PART);
        Culprit {
            lines,
            ..Culprit::default()
        }
    }

    /// Of a finding itself.
    pub(super) fn of_finding(found: &Finding, report: &Report) -> Culprit {
        let sites = if found.user_sites.is_empty() {
            &found.sites
        } else {
            &found.user_sites
        };
        let mut culprit = Culprit::of_sites(sites.iter().map(|site| (site, None)), report);
        // The peak's call tree need not have it: garbage is told by a snapshot.
        for (line, inner) in culprit.lines.iter_mut().zip(&found.sites) {
            if line.library.is_none() && inner.stack.contains(&line.at) {
                line.library = Some(inner.at.clone());
                line.library_place = Some(names::location(&inner.at, report.run.cwd.as_deref()));
            }
        }
        culprit.finding = Some(found.into());
        culprit
    }

    /// Adds the finding of these kinds that explains most of `bytes`.
    pub(super) fn explained(mut self, report: &Report, kinds: &[FindingKind], bytes: u64) -> Culprit {
        let explains = |found: &&Finding| {
            kinds.contains(&found.kind) && found.bytes.is_some_and(|part| part >= bytes / EXPLAINS_PART)
        };
        // A spike is what made the peak, and at best a guess at what could be less.
        let rank = |found: &&Finding| {
            let is_grave = found.severity != Severity::Low;
            (is_grave, found.kind != FindingKind::PeakSpike, found.bytes)
        };
        self.finding = report.findings.iter().filter(explains).max_by_key(rank).map(Into::into);
        self
    }

    /// All that is to be said, one sentence each; the suggestion comes last.
    pub fn sentences(&self) -> Vec<String> {
        let mut all: Vec<String> = self.lines.iter().map(CulpritLine::sentence).collect();
        all.extend(self.resident.clone());
        if let Some(found) = &self.finding {
            all.push(format!("{} [{}]", found.title, found.kind.word()));
            if found.cycle != Some(true) && !found.chain.is_empty() {
                all.push(format!("Held by: {}.", names::clean(&chain::drawn(&found.chain))));
            }
            all.extend(found.suggestion.clone());
        }
        all
    }
}

impl CulpritLine {
    /// `133 MiB from bench.py:18 in make_trips, most of it allocated in pandas/core/frame.py:12 (copy).`
    pub fn sentence(&self) -> String {
        let size = units::size(self.bytes);
        let amount = match self.before_bytes {
            None => size,
            Some(0) => format!("{size} (0 B in the baseline)"),
            Some(before) => format!("{size} ({} in the baseline)", units::size(before)),
        };
        let function = names::clean(&self.at.function);
        let library = match (&self.library, &self.library_place) {
            (Some(at), Some(place)) => {
                format!(", most of it allocated in {place} ({})", names::clean(&at.function))
            }
            _ => String::new(),
        };
        format!("{amount} came from {} in {function}{library}.", self.place)
    }
}
