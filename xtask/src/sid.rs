//! Python 3.14 and 3.15 from Debian sid, in a folder of their own.
//!
//! The folder is made once by debootstrap, from the mirror that this machine's apt uses, and kept in the user's cache. What
//! runs in it gets a private mount namespace, where the checkout and the build directory have their usual paths.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shell::{self, ArgSelf};
use crate::{Fallible, checkout};

/// The interpreters in the chroot, by their paths there.
pub const PYTHONS: &[&str] = &["/usr/bin/python3.14", "/usr/bin/python3.15"];

/// A chroot that has been seen to run its Pythons.
pub struct Chroot {
    root: PathBuf,
}

/// Why there is no chroot.
#[derive(Debug)]
pub enum Problem {
    /// This machine cannot have one: the reason.
    Impossible(String),
    /// It should have worked: the error.
    Failed(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Impossible(reason) | Self::Failed(reason)) = self;
        formatter.write_str(reason)
    }
}

/// The chroot, made if it is not there yet.
pub fn prepare() -> Result<Chroot, Problem> {
    let impossible = |reason: &str| Err(Problem::Impossible(reason.to_owned()));
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        return impossible("the chroot is for Linux on x86-64");
    }
    if !shell::can_be_root() {
        return impossible("a chroot needs root, or sudo without a password");
    }
    if shell::quiet(shell::as_root("unshare").arg_self("--mount").arg_self("true")).is_err() {
        return impossible("this machine does not allow a mount namespace (unshare --mount)");
    }
    let chroot = Chroot {
        root: cache().join("sid"),
    };
    if chroot.works().is_err() {
        chroot.make()?;
        chroot
            .works()
            .map_err(|error| Problem::Failed(format!("the new chroot does not run its Pythons: {error}")))?;
    }
    Ok(chroot)
}

impl Chroot {
    /// The folder that is the chroot's root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A command that runs `words` in `folder` of the chroot, with `variables` as its environment beside the usual.
    pub fn command<W: AsRef<OsStr>>(&self, folder: &Path, words: &[W], variables: &[(&str, &str)]) -> Command {
        // $1: the chroot, $2: the checkout, $3: the build directory, $4: the folder to run in; then the program.
        const ENTER: &str = r#"set -e
            root=$1 checkout=$2 target=$3 folder=$4
            shift 4
            # A namespace of its own can only be made where the root is a mount.
            mount --bind "$root" "$root"
            mount -t proc proc "$root/proc"
            mount --rbind /dev "$root/dev"
            mount --rbind /sys "$root/sys"
            mkdir -p "$root$checkout"
            mount --bind "$checkout" "$root$checkout"
            mkdir -p "$target" "$root$target"
            mountpoint -q "$root$target" || mount --bind "$target" "$root$target"
            exec chroot "$root" sh -c 'cd "$1" && shift && exec "$@"' sh "$folder" "$@""#;
        let mut command = shell::as_root("env");
        command.args([
            "-i",
            "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LANG=C.UTF-8",
        ]);
        command.arg("PYTHONDONTWRITEBYTECODE=1");
        command.args(variables.iter().map(|(name, value)| format!("{name}={value}")));
        command.args([
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "--",
            "sh",
            "-c",
            ENTER,
            "sid",
        ]);
        command
            .arg(&self.root)
            .arg(checkout::root())
            .arg(checkout::target())
            .arg(folder)
            .args(words);
        command
    }

    /// Whether every Python in it runs.
    fn works(&self) -> Fallible<()> {
        for python in PYTHONS {
            if !self.root.join(&python[1..]).exists() {
                return Err(format!("{python} is not in {}", self.root.display()).into());
            }
            shell::quiet(self.command(
                Path::new("/"),
                &[python, "-c", "import multiprocessing, sqlite3, ssl"],
                &[],
            ))?;
        }
        Ok(())
    }

    /// Makes it anew.
    fn make(&self) -> Result<(), Problem> {
        let failed = |error: Box<dyn std::error::Error>| Problem::Failed(error.to_string());
        install("debootstrap", "debootstrap")?;
        if !Path::new("/usr/share/keyrings/debian-archive-keyring.gpg").exists() {
            install("", "debian-archive-keyring")?;
        }
        // Made beside its place and moved there when done: what stands there is complete.
        let partial = self.root.with_extension("partial");
        for folder in [&partial, &self.root] {
            shell::run(shell::as_root("rm").arg_self("-rf").arg_self(folder)).map_err(failed)?;
        }
        std::fs::create_dir_all(cache()).map_err(|error| failed(error.into()))?;
        let mut debootstrap = shell::as_root("env");
        for (variable, setting) in [
            ("http_proxy", "Acquire::http::Proxy"),
            ("https_proxy", "Acquire::https::Proxy"),
        ] {
            if let (None, Some(proxy)) = (std::env::var_os(variable), apt_setting(setting)) {
                debootstrap.arg(format!("{variable}={proxy}"));
            }
        }
        debootstrap.args([
            "debootstrap",
            "--variant=minbase",
            "--include=python3.14,python3.15",
            "sid",
        ]);
        debootstrap.arg(&partial).args(mirror());
        if let Err(error) = shell::run(debootstrap) {
            let log = shell::output(shell::as_root("cat").arg_self(partial.join("debootstrap/debootstrap.log")));
            let reason = format!("{error}\n{}", log.unwrap_or_default());
            let unreachable = [
                "Failed getting release file",
                "Couldn't download",
                "Unable to",
                "Couldn't find these debs",
            ];
            let fetch = !partial.join("bin").exists() || unreachable.iter().any(|sign| reason.contains(sign));
            return Err(if fetch {
                Problem::Impossible(format!(
                    "Debian sid could not be fetched: {}",
                    reason.lines().next().unwrap_or_default()
                ))
            } else {
                Problem::Failed(reason)
            });
        }
        shell::run(shell::as_root("mv").arg_self(&partial).arg_self(&self.root)).map_err(failed)
    }
}

/// Where the chroot is kept between runs.
fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    std::env::var_os("XDG_CACHE_HOME")
        .map_or_else(home, PathBuf::from)
        .join("deadweight-tests")
}

/// Installs a Debian package unless its program is there.
fn install(program: &str, package: &str) -> Result<(), Problem> {
    if shell::installed(program) {
        return Ok(());
    }
    if !shell::installed("apt-get") {
        return Err(Problem::Impossible(format!(
            "{package} is not installed, and there is no apt-get to install it with"
        )));
    }
    let apt_get = |arguments: &[&str]| {
        let mut command = shell::as_root("env");
        command
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
            .args(arguments);
        shell::run(command)
    };
    apt_get(&["update"])
        .and_then(|()| apt_get(&["install", "--yes", "--no-install-recommends", package]))
        .map_err(|error| Problem::Impossible(format!("{package} could not be installed: {error}")))
}

/// The Debian mirror that this machine's apt uses. Where it uses none, debootstrap knows the default.
fn mirror() -> Option<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    files.extend(
        std::fs::read_dir("/etc/apt/sources.list.d")
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path()),
    );
    files.sort();
    files
        .iter()
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "list" || extension == "sources")
        })
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .find_map(|text| debian_mirror(&text))
}

/// The first Debian archive (not the security archive, nor another distribution's) in a file of apt sources, in either style.
fn debian_mirror(sources: &str) -> Option<String> {
    sources
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"))
        .flat_map(str::split_whitespace)
        .map(|word| word.trim_end_matches('/'))
        .find(|word| word.starts_with("http") && word.contains("://") && word.ends_with("/debian"))
        .map(str::to_owned)
}

/// A setting of apt's.
fn apt_setting(name: &str) -> Option<String> {
    let line = shell::output(shell::command("apt-config").arg_self("dump").arg_self(name)).ok()?;
    let value = line.lines().next()?.split('"').nth(1)?;
    (!value.is_empty() && value != "DIRECT").then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::debian_mirror;

    #[test]
    fn the_mirror_is_the_archive_and_not_the_security_archive() {
        let one_line = "# deb http://old/debian x main\ndeb http://s/debian-security x main\ndeb [arch=amd64] http://m/debian/ x main";
        assert_eq!(debian_mirror(one_line).as_deref(), Some("http://m/debian"));
        let stanzas = "Types: deb\nURIs: http://s/debian-security\nTypes: deb\nURIs: https://m/debian\nSuites: x";
        assert_eq!(debian_mirror(stanzas).as_deref(), Some("https://m/debian"));
        assert_eq!(debian_mirror("deb http://m/ubuntu noble main"), None);
    }
}
