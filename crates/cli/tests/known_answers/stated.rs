//! What a program states about itself: see tests/programs/README.md.

use serde_json::Value;

/// The lines of JSON in a program's output.
pub struct Facts(Vec<Value>);

impl Facts {
    pub fn of(output: &str) -> Facts {
        let lines = output.lines().filter(|line| line.starts_with("{\"expect\""));
        Facts(lines.filter_map(|line| serde_json::from_str(line).ok()).collect())
    }

    /// The facts of one kind.
    pub fn all(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |fact| fact["expect"] == kind)
    }

    /// The one fact of a kind.
    pub fn one(&self, kind: &str) -> Result<&Value, String> {
        self.all(kind)
            .next()
            .ok_or_else(|| format!("the program states no {kind}"))
    }
}

pub fn number(fact: &Value, key: &str) -> u64 {
    fact[key].as_u64().unwrap_or_else(|| panic!("{key} in {fact}"))
}

/// The functions of a fact, with their bytes.
pub fn functions(fact: &Value) -> Vec<(String, u64)> {
    let map = fact["functions"].as_object().into_iter().flatten();
    map.map(|(name, bytes)| (name.clone(), bytes.as_u64().expect("bytes")))
        .collect()
}

/// A stack as `file:line function`, innermost first.
pub fn frames(stack: &Value) -> Vec<String> {
    let frames = stack.as_array().into_iter().flatten();
    let text = |frame: &Value| {
        let (file, function) = (frame[0].as_str(), frame[1].as_str());
        let line = frame[2].as_u64().expect("a line");
        format!("{}:{line} {}", file.expect("a file"), function.expect("a function"))
    };
    frames.map(text).collect()
}
