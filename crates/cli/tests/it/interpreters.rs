//! Which Python is taken, and which are refused because nothing can be preloaded into them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::session::{DEADWEIGHT, Session, output, python, refusal, text};

/// An ELF file for this machine that asks for this loader (or for none), and does nothing.
fn elf(loader: Option<&str>) -> Vec<u8> {
    let machine: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    let header = |bytes: &mut Vec<u8>, kind: u32, offset: u64, size: u64| {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(4u32.to_le_bytes()); // readable
        for number in [offset, 0, 0, size, size, 1] {
            bytes.extend(number.to_le_bytes());
        }
    };
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend(2u16.to_le_bytes()); // an executable
    bytes.extend(machine.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    for number in [0x40_0000u64, 64, 0] {
        bytes.extend(number.to_le_bytes()); // entry, program headers, section headers
    }
    bytes.extend(0u32.to_le_bytes());
    for number in [64u16, 56, 2, 64, 0, 0] {
        bytes.extend(number.to_le_bytes()); // two program headers
    }
    assert_eq!(bytes.len(), 64);
    header(&mut bytes, 1, 0, 64 + 2 * 56); // PT_LOAD
    match loader {
        Some(loader) => header(&mut bytes, 3, 64 + 2 * 56, loader.len() as u64 + 1), // PT_INTERP
        None => header(&mut bytes, 0x6474_e551, 0, 0),                               // PT_GNU_STACK
    }
    bytes.extend(loader.unwrap_or_default().as_bytes());
    bytes.push(0);
    bytes
}

#[test]
fn a_static_python_is_refused() {
    let session = Session::new();
    session.write_executable("python", elf(None));
    let message = session.refusal(["run", "--python", "./python", "-c", "pass"]);
    assert!(
        message.contains("is linked statically") && message.contains("--python"),
        "{message}"
    );
}

#[test]
fn a_python_for_musl_is_refused() {
    let session = Session::new();
    session.write_executable("python", elf(Some("/lib/ld-musl-x86_64.so.1")));
    let message = session.refusal(["run", "--python", "./python", "-c", "pass"]);
    assert!(
        message.contains("/lib/ld-musl-x86_64.so.1") && message.contains("glibc"),
        "{message}"
    );
}

#[test]
fn a_python_for_another_machine_is_refused() {
    let session = Session::new();
    let mut bytes = elf(Some("/lib/ld-linux.so.2"));
    bytes[4] = 1; // 32 bits
    session.write_executable("python", bytes);
    assert!(
        session
            .refusal(["run", "--python", "./python", "-c", "pass"])
            .contains("another processor or word size")
    );
}

#[test]
fn a_cut_off_program_is_no_panic() {
    let session = Session::new();
    let whole = elf(Some("/lib64/ld-linux-x86-64.so.2"));
    for length in [4, 5, 20, 63, 64, 70, 130, whole.len() - 4] {
        session.write_executable("python", &whole[..length]);
        let message = session.refusal(["run", "--python", "./python", "-c", "pass"]);
        assert!(message.contains("is damaged"), "{length}: {message}");
    }
}

#[test]
fn what_cannot_be_an_interpreter_is_refused() {
    let session = Session::new();
    session.write("python", "");
    let asked = |python: &str| session.refusal(["run", "--python", python, "-c", "pass"]);
    assert!(asked("./python").contains("not executable"));
    assert!(asked("./nothing").contains("no such file"));
    assert!(asked("python-of-nobody").contains("no such command on PATH"));
    assert!(asked("/").contains("this is a folder"));
}

#[test]
fn a_wrapper_script_is_followed() {
    let session = Session::new();
    let wrapper = format!("#!/bin/sh\nexec {} \"$@\"\n", python().display());
    session.write_executable("python", wrapper);
    let done = output(&mut session.deadweight(["run", "-q", "--python", "./python", "-c", "print(1)"]));
    assert_eq!((done.status.code(), text(&done.stdout)), (Some(0), "1\n".to_string()));
}

/// An interpreter that says which one it is.
fn speaking(session: &Session, name: &str) {
    fs::create_dir_all(session.path(name).parent().unwrap()).unwrap();
    session.write_executable(name, format!("#!/bin/sh\necho {name}\n"));
}

#[test]
fn the_active_environment_comes_first_and_path_last() {
    let session = Session::new();
    speaking(&session, "venv/bin/python");
    speaking(&session, "path/python3");
    let mut command = session.deadweight(["run", "-q", "-c", "pass"]);
    let path = format!("{}:/usr/bin:/bin", session.path("path").display());
    command.env("PATH", &path).env("VIRTUAL_ENV", session.path("venv"));
    assert_eq!(text(&output(&mut command).stdout), "venv/bin/python\n");
    command.env_remove("VIRTUAL_ENV");
    assert_eq!(text(&output(&mut command).stdout), "path/python3\n");
    fs::remove_file(session.path("path/python3")).unwrap();
    speaking(&session, "path/python");
    // The speaker needs no PATH: it calls nothing.
    command.env("PATH", session.path("path"));
    assert_eq!(text(&output(&mut command).stdout), "path/python\n");
}

#[test]
fn the_python_beside_deadweight_comes_before_path() {
    let session = Session::new();
    speaking(&session, "env/bin/python");
    speaking(&session, "path/python3");
    session.install(Path::new(DEADWEIGHT), "env/bin/deadweight");
    symlink("env/bin/deadweight", session.path("deadweight")).unwrap();
    let mut command = session.command(session.path("deadweight"));
    command
        .args(["run", "-q", "-c", "pass"])
        .env("PATH", session.path("path"));
    assert_eq!(text(&output(&mut command).stdout), "env/bin/python\n");
}

#[test]
fn no_python_at_all_is_an_error() {
    let session = Session::new();
    fs::create_dir(session.path("empty")).unwrap();
    session.install(Path::new(DEADWEIGHT), "deadweight");
    let mut command = session.command(session.path("deadweight"));
    command.args(["run", "-c", "pass"]).env("PATH", session.path("empty"));
    assert!(refusal(&mut command).contains("no Python found"));
    assert!(!session.path("code.dw").exists());
}
