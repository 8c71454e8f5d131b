//! Sockets that are dead or closed to us, and answers that are none.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use crate::fake::{Fake, palierctl, run};

#[test]
fn a_dead_socket_is_told_with_what_to_look_at() {
    let dir = tempfile::tempdir().unwrap();
    drop(UnixListener::bind(dir.path().join("control-l4.sock")).unwrap());
    for command in ["status", "flows", "reload", "top --once"] {
        let words: Vec<_> = command.split(' ').collect();
        let (code, text, errors) = run(dir.path(), &words);
        assert_eq!((code, text.as_str()), (1, ""), "{command}");
        assert!(errors.contains("is palier-control running?"), "{command}: {errors}");
    }
}

#[test]
fn a_failure_is_an_object_for_programs() {
    let dir = tempfile::tempdir().unwrap();
    let (code, text, _) = run(dir.path(), &["status", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, 1);
    let reason = object["refused"]["reasons"][0].as_str().unwrap();
    assert!(reason.contains("is palier-control running?"), "{reason}");
}

#[test]
fn who_may_not_is_told_who_may() {
    if !nix::unistd::geteuid().is_root() {
        return who_may_not_is_told_by_the_kernel();
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let socket = dir.path().join("control-l4.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o660)).unwrap();
    // The binary may lie where nobody else can look: a copy beside the socket can be run.
    let copy = dir.path().join("palierctl");
    std::fs::copy(env!("CARGO_BIN_EXE_palierctl"), &copy).unwrap();
    let mut command = std::process::Command::new(copy);
    command.arg("--run-dir").arg(dir.path()).arg("status");
    std::os::unix::process::CommandExt::uid(&mut command, 65_534);
    std::os::unix::process::CommandExt::gid(&mut command, 65_534);
    // A child that another test has just forked may still have the copy open for writing.
    let output = loop {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {}
            output => break output.unwrap(),
        }
    };
    let (code, _, errors) = crate::fake::ended(output);
    assert!(code == 1 && errors.contains("membership of group root"), "{errors}");
}

/// Without root, a socket that nobody may write to.
fn who_may_not_is_told_by_the_kernel() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control-l4.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o000)).unwrap();
    let (code, _, errors) = run(dir.path(), &["status"]);
    assert!(code == 1 && errors.contains("membership of group"), "{errors}");
}

#[test]
fn an_answer_that_is_none_is_named() {
    for (answer, named) in [
        ("", "closed the connection without an answer"),
        ("{", "not understood"),
        ("[]", "not understood"),
        (r#"{"done": {"notes": [], "failed": []}}"#, "`done` is no answer to that"),
        (r#"{"error": "too many clients"}"#, "palierctl: too many clients"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let _fake = Fake::lines(&dir.path().join("control-l4.sock"), [answer.to_string()]);
        let (code, text, errors) = run(dir.path(), &["status"]);
        assert_eq!((code, text.as_str()), (1, ""), "{answer}");
        assert!(errors.contains(named), "{answer}: {errors}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    for command in [
        "",
        "stauts",
        "drain",
        "drain l7-1 --timeout 5s",
        "explain 192.0.2.1 198.51.100.1:80",
        "explain 192.0.2.1:1 [2001:db8::1]:80",
        "capture --reason drop_everything",
        "capture -o - --json",
        "capture --source 192.0.2.1/24",
        "flows --limit 0",
        "pki issue l4-1 --dir d --days 0",
        "status --role l9",
    ] {
        let words: Vec<_> = command.split(' ').filter(|word| !word.is_empty()).collect();
        let (code, text, errors) = run(dir.path(), &words);
        assert_eq!((code, text.as_str()), (2, ""), "{command}");
        assert!(!errors.is_empty(), "{command}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    let dir = tempfile::tempdir().unwrap();
    for word in ["--help", "--version"] {
        let output = palierctl(dir.path(), &[word]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty());
    }
}
