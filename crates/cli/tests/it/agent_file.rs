//! The library's file.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use crate::session::{Session, output, refusal, text};

fn preloaded(session: &Session, cache: PathBuf) -> PathBuf {
    let mut command = session.deadweight(["run", "-q", "--", "printenv", "LD_PRELOAD"]);
    let done = output(command.env("XDG_CACHE_HOME", cache).env("TMPDIR", session.path("")));
    assert!(done.status.success(), "{}", text(&done.stderr));
    PathBuf::from(text(&done.stdout).trim())
}

#[test]
fn it_is_written_once_into_a_private_folder() {
    let session = Session::new();
    let file = preloaded(&session, session.cache());
    let folder = file.parent().unwrap();
    assert_eq!(folder, session.cache().join("deadweight"));
    assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
    let inode = fs::metadata(&file).unwrap().ino();
    assert_eq!(preloaded(&session, session.cache()), file);
    assert_eq!(fs::metadata(&file).unwrap().ino(), inode, "the same file is used again");
}

#[test]
fn a_changed_file_is_replaced() {
    let session = Session::new();
    let file = preloaded(&session, session.cache());
    let content = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    fs::write(&file, "cut off").unwrap();
    assert_eq!(preloaded(&session, session.cache()), file);
    assert!(fs::read(&file).unwrap() == content);
}

#[test]
fn an_open_folder_is_closed() {
    let session = Session::new();
    let folder = session.cache().join("deadweight");
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    preloaded(&session, session.cache());
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn an_unusable_cache_is_avoided() {
    let session = Session::new();
    session.write("file", "");
    // A file in the place of the folder; a path that LD_PRELOAD cannot hold.
    for cache in ["file", "with space", "with:colon"] {
        let file = preloaded(&session, session.path(cache));
        assert!(
            file.starts_with(session.path("")) && file.is_file(),
            "{cache}: {}",
            file.display()
        );
        assert!(!file.to_str().unwrap().contains(cache));
    }
}

#[test]
fn the_environment_may_name_another_library() {
    let session = Session::new();
    let mut command = session.deadweight(["run", "-q", "--", "printenv", "LD_PRELOAD"]);
    session.write("agent.so", "");
    // The loader complains about this one, and goes on.
    let done = output(command.env("DEADWEIGHT_AGENT", "agent.so"));
    assert_eq!(
        text(&done.stdout).trim(),
        session.path("agent.so").canonicalize().unwrap().to_str().unwrap()
    );
    assert!(refusal(command.env("DEADWEIGHT_AGENT", "nothing.so")).contains("which is no file"));
}
