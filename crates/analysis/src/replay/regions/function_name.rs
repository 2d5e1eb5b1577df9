//! The name of a function that is treated as a region: `module:function`.

use deadweight_capture::read::Capture;

/// A function that is treated as a region.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FunctionName {
    /// As the user gave it.
    pub text: String,
    /// `/pkg/mod` of `pkg.mod:function`.
    path: String,
    /// Its qualified name.
    qualified: String,
}

impl FunctionName {
    /// Parses `module:function`; `None` if the text has another form.
    pub fn parse(text: &str) -> Option<FunctionName> {
        let (module, function) = text.split_once(':')?;
        let is_name = |name: &str| !name.is_empty() && name.split('.').all(|part| !part.is_empty());
        (is_name(module) && is_name(function)).then(|| FunctionName {
            text: text.to_owned(),
            path: format!("/{}", module.replace('.', "/")),
            qualified: function.to_owned(),
        })
    }

    /// Whether the code with this file and name is the function. `plain`: code objects have plain names only (before Python
    /// 3.11).
    pub fn is(&self, file: &str, name: &str, plain: bool) -> bool {
        let is_named = if plain {
            self.qualified.rsplit('.').next() == Some(name)
        } else {
            // A function inside a function is `outer.<locals>.inner`.
            name == self.qualified || name.replace(".<locals>", "") == self.qualified
        };
        if !is_named {
            return false;
        }
        let Some(stem) = file.strip_suffix(".py") else {
            return false;
        };
        let stem = stem.strip_suffix("/__init__").unwrap_or(stem);
        self.path == "/__main__" || format!("/{stem}").ends_with(&self.path)
    }
}

/// Whether this is `module:function`, as a function that is treated as a region is named.
pub fn is_function_name(text: &str) -> bool {
    FunctionName::parse(text).is_some()
}

/// The functions that are treated as regions: those that the capture's manifest names, and `more`.
pub(crate) fn functions(capture: &Capture, more: &[String]) -> Vec<FunctionName> {
    let mut names = capture.manifest().map(|manifest| manifest.regions).unwrap_or_default();
    for name in more {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names.iter().filter_map(|name| FunctionName::parse(name)).collect()
}
