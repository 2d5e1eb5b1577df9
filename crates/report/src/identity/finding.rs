//! What makes a finding the same in two runs.

use std::fmt;

use super::{Namer, Place};
use crate::model::{Finding, FindingKind, Link};

/// Names a finding in every run of the program: kind, type, chain, and for what is about one line, its place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fingerprint {
    text: String,
}

impl fmt::Display for Fingerprint {
    /// 16 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // FNV-1a: the same in every version of this program and on every machine.
        let hash = self.text.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        write!(f, "{hash:016x}")
    }
}

/// Separates the parts of a text that is hashed: it is in no name.
const GAP: char = '\u{1f}';

impl Namer {
    /// The finding's name in every run.
    pub fn fingerprint(&self, found: &Finding) -> Fingerprint {
        let mut parts = vec![format!("{:?}", found.kind), found.type_name.clone().unwrap_or_default()];
        let steps: Vec<String> = found.chain.iter().map(step).collect();
        parts.extend(match found.cycle {
            Some(true) => smallest_rotation(steps),
            _ => steps,
        });
        if let Some(place) = self.place_of(found) {
            parts.extend([place.file, place.function]);
        }
        Fingerprint {
            text: parts.join(&GAP.to_string()),
        }
    }

    /// The place that a finding without a chain is about.
    fn place_of(&self, found: &Finding) -> Option<Place> {
        let is_about_a_line = matches!(
            found.kind,
            FindingKind::PeakSpike | FindingKind::NativeLeak | FindingKind::GrowingHolder
        );
        if !is_about_a_line || !found.chain.is_empty() {
            return None;
        }
        let site = found.user_sites.first().or(found.sites.first())?;
        Some(self.innermost(&site.at, &site.stack))
    }
}

/// A step without its position in a sequence.
fn step(link: &Link) -> String {
    let edge = link.edge.as_str();
    let position = edge.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_position = position.is_some_and(|inner| !inner.is_empty() && inner.bytes().all(|b| b.is_ascii_digit()));
    format!("{}{GAP}{}", link.type_name, if is_position { "[]" } else { edge })
}

/// The rotation that is first in the order of texts: the same wherever the cycle began.
fn smallest_rotation(steps: Vec<String>) -> Vec<String> {
    let rotated = |by: usize| steps[by..].iter().chain(&steps[..by]);
    let best = (0..steps.len())
        .min_by(|a, b| rotated(*a).cmp(rotated(*b)))
        .unwrap_or(0);
    rotated(best).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Naming, Origin};
    use super::*;
    use crate::model::{Line, Severity, Site};

    fn found(kind: FindingKind, chain: &[(&str, &str)], cycle: bool) -> Finding {
        Finding {
            kind,
            severity: Severity::High,
            title: "differs from run to run".to_owned(),
            bytes: Some(1),
            share_of_peak: None,
            count: None,
            type_name: Some("DataFrame".to_owned()),
            pid: None,
            sites: Vec::new(),
            user_sites: Vec::new(),
            chain: chain
                .iter()
                .map(|(type_name, edge)| Link {
                    type_name: (*type_name).to_owned(),
                    edge: (*edge).to_owned(),
                })
                .collect(),
            cycle: Some(cycle),
            freeable_by_gc: None,
            lingered_seconds: None,
            evidence: Vec::new(),
            suggestion: None,
        }
    }

    fn name(found: &Finding) -> Fingerprint {
        Namer::new(&Origin::default(), Naming::default()).fingerprint(found)
    }

    #[test]
    fn a_cycle_is_the_same_wherever_it_is_begun() {
        let cycle = |chain: &[(&str, &str)]| name(&found(FindingKind::CyclicGarbage, chain, true));
        let whole = cycle(&[("DataFrame", ".ww"), ("Accessor", "._dataframe"), ("list", "[3]")]);
        assert_eq!(
            whole,
            cycle(&[("list", "[77]"), ("DataFrame", ".ww"), ("Accessor", "._dataframe")])
        );
        assert_ne!(
            whole,
            cycle(&[("DataFrame", ".ww"), ("Accessor", "._frame"), ("list", "[3]")])
        );
        assert_ne!(
            whole,
            cycle(&[("DataFrame", ".ww"), ("list", "[3]"), ("Accessor", "._dataframe")])
        );
    }

    #[test]
    fn a_chain_from_a_root_has_a_beginning() {
        let chain = |chain: &[(&str, &str)]| name(&found(FindingKind::GrowingHolder, chain, false));
        assert_ne!(chain(&[("a", ".b"), ("c", ".d")]), chain(&[("c", ".d"), ("a", ".b")]));
        assert_ne!(chain(&[("a", "['x']")]), chain(&[("a", "['y']")]), "keys count");
    }

    #[test]
    fn a_spike_is_its_place_and_a_line_may_move() {
        let spike = |line: u32, function: &str| {
            let mut found = found(FindingKind::PeakSpike, &[], false);
            found.user_sites = vec![Site {
                at: Line {
                    file: "/p/a.py".to_owned(),
                    line: Some(line),
                    function: function.to_owned(),
                },
                bytes: 1,
                error_bytes: 0,
                blocks: 1,
                stack: Vec::new(),
            }];
            name(&found)
        };
        assert_eq!(spike(10, "load"), spike(50, "load"));
        assert_ne!(spike(10, "load"), spike(10, "save"));
    }

    #[test]
    fn a_fingerprint_is_the_same_in_every_version_of_deadweight() {
        let found = found(FindingKind::CyclicGarbage, &[("A", ".b"), ("B", ".a")], true);
        assert_eq!(name(&found).to_string(), "698901080533a31b");
    }
}
