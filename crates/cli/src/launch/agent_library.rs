//! The agent's library: embedded in this program, and written to a file that the dynamic loader can find.
//!
//! The file outlives the run, because worker processes may start at any time. Its name holds a hash of its content:
//! two versions of deadweight never get in each other's way.

use std::env;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::geteuid;

static BYTES: &[u8] = include_bytes!(env!("DEADWEIGHT_AGENT_SO"));

/// The library's file, written if it is not there yet. `DEADWEIGHT_AGENT` names another one.
///
/// # Errors
/// If there is no place for it.
pub fn library() -> Result<PathBuf> {
    if let Some(path) = env::var_os("DEADWEIGHT_AGENT").filter(|path| !path.is_empty()) {
        let path = std::path::absolute(path)?;
        ensure!(
            path.is_file(),
            "DEADWEIGHT_AGENT names {}, which is no file",
            path.display()
        );
        ensure!(
            can_be_listed(&path),
            "DEADWEIGHT_AGENT: LD_PRELOAD takes no path with a space, a colon or a dollar sign"
        );
        return Ok(path);
    }
    let mut refusals = Vec::new();
    for folder in folders() {
        match place(&folder) {
            Ok(path) => return Ok(path),
            Err(why) => refusals.push(format!("{}: {why:#}", folder.display())),
        }
    }
    bail!(
        "no place for the library that is loaded into the program ({}). Set XDG_CACHE_HOME to a folder that you can \
         write and that allows execution",
        refusals.join("; ")
    )
}

/// Whether a file name is one that [`library`] gives.
pub fn is_library_name(name: &[u8]) -> bool {
    name.strip_prefix(b"agent-")
        .and_then(|rest| rest.strip_suffix(b".so"))
        .is_some_and(|hash| hash.len() == 16 && hash.iter().all(u8::is_ascii_hexdigit))
}

/// Where the file may go, the best place first.
fn folders() -> Vec<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    let temporary = format!("deadweight-{}", geteuid());
    let mut folders: Vec<PathBuf> = cache.map(|cache| cache.join("deadweight")).into_iter().collect();
    folders.push(env::temp_dir().join(&temporary));
    folders.push(Path::new("/var/tmp").join(&temporary));
    folders
}

fn place(folder: &Path) -> Result<PathBuf> {
    ensure!(
        can_be_listed(folder),
        "LD_PRELOAD takes no path with a space, a colon or a dollar sign"
    );
    make_private(folder)?;
    let system = statvfs(folder)?;
    ensure!(
        !system.flags().contains(FsFlags::ST_NOEXEC),
        "it does not allow execution (noexec)"
    );
    let path = folder.join(format!("agent-{:016x}.so", fnv1a(BYTES)));
    if fs::read(&path).is_ok_and(|found| found == BYTES) {
        return Ok(path);
    }
    // Another deadweight may be doing the same: each writes its own file, and the last rename wins.
    let part = folder.join(format!("agent-{}.part", std::process::id()));
    let written = write_new(&part).and_then(|()| fs::rename(&part, &path));
    if written.is_err() {
        let _ = fs::remove_file(&part); // it may not even be there
    }
    written.context("the library cannot be written")?;
    Ok(path)
}

fn write_new(part: &Path) -> std::io::Result<()> {
    let _ = fs::remove_file(part); // left by a process of the same id that was killed here
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o500).open(part)?;
    file.write_all(BYTES)
}

/// Makes sure that the folder exists and that only we can write to it: what lies there is loaded into programs.
fn make_private(folder: &Path) -> Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    ensure!(found.is_dir(), "it is no folder");
    ensure!(found.uid() == geteuid().as_raw(), "it belongs to another user");
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// The loader splits `LD_PRELOAD` at spaces and colons, and replaces `$ORIGIN` and its like.
fn can_be_listed(path: &Path) -> bool {
    !path.as_os_str().as_bytes().iter().any(|byte| b" :$\t\n".contains(byte))
}

/// FNV-1a, 64 bits. It only tells versions apart: the content itself is compared before a file is used.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
