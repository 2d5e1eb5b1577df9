//! Wrong command lines end with status 2 and say what to do.

use std::fs;

use crate::session::{DEADWEIGHT, Session, output, python, text};

#[test]
fn help_and_version_are_no_errors() {
    let session = Session::new();
    let version = output(&mut session.deadweight(["--version"]));
    assert!(version.status.success());
    assert_eq!(
        text(&version.stdout),
        format!("deadweight {}\n", env!("CARGO_PKG_VERSION"))
    );
    for arguments in [&["--help"][..], &["run", "--help"], &["report", "--help"]] {
        let help = output(&mut session.deadweight(arguments));
        assert!(
            help.status.success() && text(&help.stdout).contains("Usage"),
            "{arguments:?}"
        );
    }
}

#[test]
fn nothing_to_run_is_an_error() {
    let session = Session::new();
    assert!(
        session
            .refusal(["run"])
            .contains("name a script, -m MODULE, -c CODE, or -- COMMAND")
    );
    assert!(
        session
            .refusal(["run", "--exat", "x.py"])
            .contains("unexpected argument '--exat'")
    );
    assert!(session.refusal(["run", "--max-size", "big", "x.py"]).contains("64MiB"));
}

#[test]
fn a_missing_script_is_named() {
    let session = Session::new();
    let message = session.refusal(["run", "no-such.py"]);
    assert_eq!(
        message,
        "deadweight: there is no script no-such.py in the current folder\n"
    );
    let message = session.refusal(["run", "/no/such.py"]);
    assert_eq!(message, "deadweight: there is no script /no/such.py\n");
    assert_eq!(
        fs::read_dir(session.path("")).unwrap().count(),
        0,
        "no capture was begun"
    );
}

#[test]
fn a_command_in_the_place_of_a_script_is_recognised() {
    let session = Session::new();
    let message = session.refusal(["run", "cat"]);
    assert!(
        message.contains("`deadweight run -m cat ...`") && message.contains("`deadweight run -- cat ...`"),
        "{message}"
    );
    let message = session.refusal(["run", DEADWEIGHT]);
    assert!(message.contains("no Python script but a compiled program"), "{message}");
}

#[test]
fn a_folder_needs_a_main() {
    let session = Session::new();
    fs::create_dir(session.path("app")).unwrap();
    assert!(
        session
            .refusal(["run", "app"])
            .contains("app is a folder without a __main__.py")
    );
    session.write("app/__main__.py", "print('main')");
    let done = output(&mut session.run(["app"]));
    assert_eq!(
        (done.status.code(), text(&done.stdout)),
        (Some(0), "main\n".to_string())
    );
    assert!(session.path("app.dw").is_dir());
}

#[test]
fn a_zip_app_runs() {
    let session = Session::new();
    session.write(
        "make.py",
        "import zipfile; zipfile.ZipFile('a.pyz', 'w').writestr('__main__.py', 'print(\"zip\")')",
    );
    assert!(output(session.command(python()).arg("make.py")).status.success());
    assert_eq!(text(&output(&mut session.run(["a.pyz"])).stdout), "zip\n");
}

#[test]
fn an_unreadable_script_is_an_error() {
    let session = Session::new();
    // Even root cannot read a file through a path with a file in it.
    session.write("file", "");
    assert!(
        session
            .refusal(["run", "file/x.py"])
            .contains("cannot read the script file/x.py")
    );
}

#[test]
fn a_missing_command_is_named() {
    let session = Session::new();
    assert!(
        session
            .refusal(["run", "--", "no-such-command"])
            .contains("no command no-such-command on PATH")
    );
    assert!(session.refusal(["run", "--", "./no-such"]).contains("no such file"));
    session.write("tool.py", "");
    assert!(
        session
            .refusal(["run", "--", "./tool.py"])
            .contains("cannot be executed")
    );
}

#[test]
fn the_programs_arguments_are_its_own() {
    let session = Session::new();
    let show = "import sys; print(sys.argv[1:])";
    session.write("show.py", show);
    let arguments = ["-o", "x", "--exact", "--", "-m", "-q", "--help"];
    let expected = "['-o', 'x', '--exact', '--', '-m', '-q', '--help']\n";
    for program in [&["show.py"][..], &["-m", "show"], &["-mshow"], &["-c", show]] {
        let done = output(&mut session.run(program.iter().chain(&arguments)));
        assert_eq!(text(&done.stdout), expected, "{program:?}");
    }
    let mut command = session.run(["--"]);
    command.arg(python()).arg("show.py").args(arguments);
    assert_eq!(text(&output(&mut command).stdout), expected);
}
