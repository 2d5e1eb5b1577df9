//! The wheel and the sdist, built as a release would and installed as a user would.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pythons::{self, Python};
use crate::shell::{self, ArgSelf};
use crate::{Fallible, checkout, sid};

/// Reads a wheel: refuses one that lacks a file, and prints the newest glibc symbol version that its binary, with the agent
/// inside, asks for.
const INSPECT_WHEEL: &str = r#"
import re, sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
names = wheel.namelist()
for wanted in ("deadweight/__main__.py", "deadweight/py.typed", "scripts/deadweight", "LICENSE-MIT", "LICENSE-APACHE"):
    assert any(name.endswith(wanted) for name in names), f"{wanted} is not in the wheel: {names}"
binary = wheel.read(next(name for name in names if name.endswith("scripts/deadweight")))
print(max(int(minor) for minor in re.findall(rb"GLIBC_2\.(\d+)", binary)))
"#;

/// Builds everything into `target/wheel` and tries it on every Python, those of the chroot included if there is one.
pub fn check() -> Fallible<()> {
    let folder = checkout::target().join("wheel");
    let pythons = pythons::find();
    let builder = Builder::set_up(&pythons, &folder)?;
    let distributions = folder.join("dist");
    let _ = std::fs::remove_dir_all(&distributions);

    shell::run(builder.maturin(&["sdist", "--out"]).arg_self(&distributions))?;
    shell::run(
        builder
            .maturin(&["build", "--release", "--locked", "--out"])
            .arg_self(&distributions),
    )?;
    let wheel = only_file(&distributions, ".whl")?;
    let sdist = only_file(&distributions, ".tar.gz")?;
    let promised = promised_glibc(&wheel)
        .ok_or_else(|| format!("{} is not tagged py3-none-manylinux_2_XX_x86_64", wheel.display()))?;
    let needed = builder.inspect(&wheel)?;
    if needed > promised {
        return Err(format!("{} promises glibc 2.{promised} and needs 2.{needed}", wheel.display()).into());
    }

    let from_sdist = folder.join("from-sdist");
    let _ = std::fs::remove_dir_all(&from_sdist);
    let mut rebuild = builder.pip(&["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir"]);
    rebuild
        .arg(&from_sdist)
        .arg(&sdist)
        .env("CARGO_TARGET_DIR", checkout::target());
    shell::run(rebuild)?;
    // This one is for this machine (pip asks for no portable tag), so only its contents count.
    builder.inspect(&only_file(&from_sdist, ".whl")?)?;

    for python in &pythons {
        let how = install(&builder, python, &wheel, &folder.join(python.name()))?;
        println!("{python}: works, installed {how}");
    }
    if let Ok(chroot) = sid::prepare() {
        let target = folder.join("sid");
        let _ = std::fs::remove_dir_all(&target);
        shell::quiet(
            builder
                .pip(&["install", "--no-deps", "--no-index", "--target"])
                .arg_self(&target)
                .arg_self(&wheel),
        )?;
        let packages = target.display().to_string();
        for python in sid::PYTHONS {
            let script = target.join("bin/deadweight").display().to_string();
            try_out(&script, python, &target, |words| {
                chroot.command(&target, words, &[("PYTHONPATH", &packages)])
            })?;
            println!("{python} in the chroot: works, installed by pip --target");
        }
    }
    println!("{} and {} are good", wheel.display(), sdist.display());
    Ok(())
}

/// A virtual environment with maturin and pip.
struct Builder {
    scripts: PathBuf,
}

impl Builder {
    /// Makes the environment with the newest Python that can, or takes the one made before.
    fn set_up(pythons: &[Python], folder: &Path) -> Fallible<Self> {
        let environment = folder.join("build");
        let builder = Self {
            scripts: environment.join("bin"),
        };
        if shell::quiet(shell::command(builder.scripts.join("maturin")).arg_self("--version")).is_ok() {
            return Ok(builder);
        }
        std::fs::create_dir_all(folder)?;
        let made = pythons
            .iter()
            .rev()
            .any(|python| make_environment(python, &environment, true).is_ok());
        if !made {
            return Err(
                "no Python here can make a virtual environment with pip (on Debian: apt-get install python3-venv)"
                    .into(),
            );
        }
        shell::run(builder.pip(&["install", "--quiet", "maturin>=1.8,<2"]))?;
        Ok(builder)
    }

    fn pip(&self, arguments: &[&str]) -> Command {
        let mut command = self.with_path(self.scripts.join("python"));
        command.args(["-m", "pip", "--no-input"]).args(arguments);
        command
    }

    fn maturin(&self, arguments: &[&str]) -> Command {
        let mut command = self.with_path(self.scripts.join("maturin"));
        command.args(arguments);
        command
    }

    /// A command that finds the environment's programs first: pip looks for maturin on the path.
    fn with_path(&self, program: PathBuf) -> Command {
        let mut folders = vec![self.scripts.clone()];
        folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let mut command = shell::command(program);
        if let Ok(path) = std::env::join_paths(folders) {
            command.env("PATH", path);
        }
        command
    }

    /// Checks a wheel's contents and returns the glibc 2.x that it needs.
    fn inspect(&self, wheel: &Path) -> Fallible<u32> {
        let mut inspect = shell::command(self.scripts.join("python"));
        inspect.args(["-c", INSPECT_WHEEL]).arg(wheel);
        let needed = shell::output(inspect)?.parse()?;
        println!("{}: complete, needs glibc 2.{needed}", wheel.display());
        Ok(needed)
    }
}

/// The oldest glibc 2.x that a wheel's name says it works with, if the tag is of the kind we publish.
fn promised_glibc(wheel: &Path) -> Option<u32> {
    let name = wheel.file_name()?.to_str()?;
    let platforms = name.strip_suffix(".whl")?.split_once("-py3-none-")?.1;
    let versions = platforms
        .split('.')
        .filter_map(|tag| tag.strip_prefix("manylinux_2_")?.strip_suffix("_x86_64")?.parse().ok());
    versions.min()
}

/// Installs the wheel for one Python, in the first way that this Python can, and tries it out. Returns the way.
fn install(builder: &Builder, python: &Python, wheel: &Path, environment: &Path) -> Fallible<&'static str> {
    let script = environment.join("bin/deadweight");
    let interpreter = environment.join("bin/python");
    let own_pip = || -> Fallible<()> {
        make_environment(python, environment, true)?;
        let mut pip = shell::command(&interpreter);
        pip.args(["-m", "pip", "--no-input", "install", "--no-deps", "--no-index"])
            .arg(wheel);
        shell::quiet(pip)
    };
    // Debian's Python has no ensurepip unless python3-venv is installed.
    let our_pip = || -> Fallible<()> {
        make_environment(python, environment, false)?;
        let mut pip = builder.pip(&["--python"]);
        pip.arg(&interpreter)
            .args(["install", "--no-deps", "--no-index"])
            .arg(wheel);
        shell::quiet(pip)
    };
    // A pip that no longer knows so old a Python can still unpack a wheel for it.
    let unpacked = || -> Fallible<()> {
        make_environment(python, environment, false)?;
        let (major, minor, _) = python.version;
        let packages = environment.join(format!("lib/python{major}.{minor}/site-packages"));
        shell::quiet(
            builder
                .pip(&["install", "--no-deps", "--no-index", "--target"])
                .arg_self(&packages)
                .arg_self(wheel),
        )?;
        std::fs::rename(packages.join("bin/deadweight"), &script)?;
        Ok(())
    };
    let how = if own_pip().is_ok() {
        "by its own pip"
    } else if our_pip().is_ok() {
        "by another Python's pip"
    } else {
        unpacked()?;
        "by unpacking"
    };
    let (script, interpreter) = (script.display().to_string(), interpreter.display().to_string());
    try_out(&script, &interpreter, environment, |words| {
        let mut command = shell::command(words[0]);
        command
            .args(&words[1..])
            .current_dir(environment)
            .env_remove("PYTHONPATH")
            .env_remove("DEADWEIGHT_BIN");
        command
    })?;
    Ok(how)
}

fn make_environment(python: &Python, environment: &Path, with_pip: bool) -> Fallible<()> {
    let mut venv = shell::command(&python.path);
    venv.args(["-m", "venv", "--clear"])
        .args((!with_pip).then_some("--without-pip"))
        .arg(environment);
    shell::quiet(venv)
}

/// Runs an installed deadweight in every way it can be started; `start` makes commands where it is installed.
fn try_out(script: &str, python: &str, scratch: &Path, start: impl Fn(&[&str]) -> Command) -> Fallible<()> {
    let version = format!("deadweight {}", env!("CARGO_PKG_VERSION"));
    // One for each Python that shares this folder.
    let name = Path::new(python).file_name().unwrap_or_default().to_string_lossy();
    let capture = scratch.join(format!("one-{name}.dw")).display().to_string();
    let by_import = "import deadweight; print('deadweight', deadweight.__version__)";
    let program = "import sys; print(1, sys.version_info[:2])";
    let plain = shell::output(start(&[python, "-c", program]))?;
    let cases: &[(&[&str], &str)] = &[
        (&[script, "--version"], &version),
        (&[python, "-m", "deadweight", "--version"], &version),
        (&[python, "-c", by_import], &version),
        (
            &[script, "run", "-o", &capture, "--python", python, "-c", program],
            &plain,
        ),
        (&[script, "report", &capture, "--format", "json"], ""),
    ];
    for (words, expected) in cases {
        let said = shell::output(start(words))?;
        if !expected.is_empty() && said != *expected {
            return Err(format!("{}: printed {said:?} and not {expected:?}", words.join(" ")).into());
        }
    }
    // Without the binary: an error that says so, and status 2.
    let mut missing = start(&[
        "/usr/bin/env",
        "DEADWEIGHT_BIN=/nowhere/deadweight",
        python,
        "-m",
        "deadweight",
        "--version",
    ]);
    let output = missing.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.code() != Some(2) || !said.contains("/nowhere/deadweight") {
        return Err(format!("a missing binary gave {} and {said:?}", output.status).into());
    }
    Ok(())
}

/// The one file in a folder whose name ends so.
fn only_file(folder: &Path, ending: &str) -> Fallible<PathBuf> {
    let mut files: Vec<PathBuf> = checkout::files(folder);
    files.retain(|path| path.to_string_lossy().ends_with(ending));
    match files.len() {
        1 => Ok(files.remove(0)),
        count => Err(format!("{} has {count} files *{ending}, not one", folder.display()).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::promised_glibc;

    #[test]
    fn only_tags_for_every_python_promise_a_glibc() {
        assert_eq!(
            promised_glibc(Path::new("deadweight-0.1.0-py3-none-manylinux_2_34_x86_64.whl")),
            Some(34)
        );
        assert_eq!(
            promised_glibc(Path::new(
                "deadweight-0.1.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
            )),
            Some(17)
        );
        assert_eq!(
            promised_glibc(Path::new("deadweight-0.1.0-cp311-cp311-manylinux_2_34_x86_64.whl")),
            None
        );
        assert_eq!(
            promised_glibc(Path::new("deadweight-0.1.0-py3-none-linux_x86_64.whl")),
            None
        );
    }
}
