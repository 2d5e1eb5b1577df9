//! What is asked of a capture.

use std::fmt;
use std::str::FromStr;

use deadweight_heap::short_type;

use crate::baseline::Baseline;
use crate::model::{Finding, FindingKind};
use crate::words::units;

/// A size that must not be exceeded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limit {
    /// In bytes.
    pub bytes: u64,
    /// As it was typed.
    typed: String,
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Limit, String> {
        let bytes = units::parse_size(text)?;
        Ok(Limit {
            bytes,
            typed: text.trim().to_owned(),
        })
    }
}

impl fmt::Display for Limit {
    /// In the units of all other figures, with what was typed if that is another number: `286 MiB (300MB)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = units::size(self.bytes);
        if units::parse_size(&size) == Ok(self.bytes) {
            f.write_str(&size)
        } else {
            write!(f, "{size} ({})", self.typed)
        }
    }
}

/// A kind of finding that there must not be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Forbidden {
    /// The kind.
    pub kind: FindingKind,
    /// Only of this type; with its module or without.
    pub type_name: Option<String>,
}

impl FromStr for Forbidden {
    type Err = String;

    fn from_str(text: &str) -> Result<Forbidden, String> {
        let (kind, type_name) = match text.split_once(':') {
            Some((kind, type_name)) => (kind, Some(type_name.trim())),
            None => (text, None),
        };
        if type_name == Some("") {
            return Err(format!(
                "there is no type behind the colon: write {kind}, or {kind}:TYPE"
            ));
        }
        Ok(Forbidden {
            kind: kind.parse()?,
            type_name: type_name.map(str::to_owned),
        })
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.type_name {
            Some(type_name) => write!(f, "{}:{type_name}", self.kind.word()),
            None => f.write_str(self.kind.word()),
        }
    }
}

impl Forbidden {
    /// Whether it is this finding. In a cycle, every type of the cycle counts.
    pub(super) fn is(&self, found: &Finding) -> bool {
        let Some(wanted) = &self.type_name else {
            return found.kind == self.kind;
        };
        let is_it = |name: &str| name == wanted || short_type(name) == wanted || is_end(name, wanted);
        let in_cycle = found.cycle == Some(true) && found.chain.iter().any(|link| is_it(&link.type_name));
        found.kind == self.kind && (in_cycle || found.type_name.as_deref().is_some_and(is_it))
    }
}

/// Whether `frame.DataFrame` is asked for and the name is `pandas.core.frame.DataFrame`.
fn is_end(name: &str, wanted: &str) -> bool {
    name.strip_suffix(wanted).is_some_and(|before| before.ends_with('.'))
}

/// What to compare with.
#[derive(Clone, PartialEq, Debug)]
pub struct Compared {
    /// The baseline.
    pub baseline: Baseline,
    /// Its name, as it was given.
    pub name: String,
    /// By which share of itself it may be exceeded: 0.05 for 5 %.
    pub tolerance: f64,
}

/// Everything that is asked of each capture.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Asked {
    /// The most heap at once.
    pub max_peak: Option<Limit>,
    /// The most resident memory.
    pub max_rss: Option<Limit>,
    /// The most growth of the live heap.
    pub max_growth: Option<Limit>,
    /// Findings that there must not be.
    pub forbid: Vec<Forbidden>,
    /// What to compare with.
    pub baseline: Option<Compared>,
}

/// No Python starts with less heap.
const LEAST_PEAK: u64 = 1 << 20;

impl Asked {
    /// Why this cannot be meant, in one sentence.
    pub fn objection(&self) -> Option<String> {
        let nothing = self.max_peak.is_none() && self.max_rss.is_none() && self.max_growth.is_none();
        if nothing && self.forbid.is_empty() && self.baseline.is_none() {
            return Some(
                "there is nothing to check: give a limit (--max-peak, --max-rss, --max-growth), --forbid or --baseline"
                    .to_owned(),
            );
        }
        for (option, limit) in [("--max-peak", &self.max_peak), ("--max-rss", &self.max_rss)] {
            if let Some(limit) = limit.as_ref().filter(|limit| limit.bytes < LEAST_PEAK) {
                return Some(format!(
                    "{option} {limit} is less than any Python needs: is the unit missing, as in {option} 300MiB?"
                ));
            }
        }
        if let (Some(peak), Some(growth)) = (&self.max_peak, &self.max_growth)
            && growth.bytes > peak.bytes
        {
            return Some(format!(
                "--max-growth {growth} contradicts --max-peak {peak}: the heap cannot grow by more than its peak"
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_shown_in_our_units_and_as_it_was_typed() {
        let shown = |text: &str| text.parse::<Limit>().map(|limit| limit.to_string());
        assert_eq!(shown("2GiB"), Ok("2.00 GiB".to_owned()));
        assert_eq!(shown("2 g"), Ok("2.00 GiB".to_owned()));
        assert_eq!(shown("300MB"), Ok("286 MiB (300MB)".to_owned()));
        assert_eq!(shown("0"), Ok("0 B".to_owned()));
        assert!(shown("2 apples").is_err());
    }

    #[test]
    fn what_is_forbidden_is_a_kind_with_or_without_a_type() {
        let read = |text: &str| text.parse::<Forbidden>();
        let garbage = read("cyclic_garbage:pandas.DataFrame").unwrap();
        assert_eq!(garbage.kind, FindingKind::CyclicGarbage);
        assert_eq!(garbage.type_name.as_deref(), Some("pandas.DataFrame"));
        assert_eq!(read("Native-Leak").unwrap().to_string(), "native_leak");
        let error = read("garbage").unwrap_err();
        assert!(
            error.contains("no kind of finding called garbage") && error.contains("cyclic_garbage, "),
            "{error}"
        );
        assert!(
            read("cyclic_garbage:")
                .unwrap_err()
                .contains("no type behind the colon")
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let limit = |text: &str| Some(text.parse().unwrap());
        let objection = |peak: Option<Limit>, growth: Option<Limit>| {
            let asked = Asked {
                max_peak: peak,
                max_growth: growth,
                ..Asked::default()
            };
            asked.objection()
        };
        assert!(objection(None, None).unwrap().contains("nothing to check"));
        assert!(objection(limit("300"), None).unwrap().contains("--max-peak 300MiB?"));
        assert!(objection(limit("1GiB"), limit("2GiB")).unwrap().contains("contradicts"));
        assert_eq!(objection(limit("1GiB"), limit("1GiB")), None);
        assert_eq!(objection(None, limit("0")), None);
    }
}
