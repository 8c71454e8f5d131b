//! Man pages and completions.

use clap_complete::Shell;

use crate::fake::run;

#[test]
fn every_command_has_a_page() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    assert_eq!(run(dir.path(), &["man", "--out", out]), (0, String::new(), String::new()));
    for page in ["palierctl.1", "palierctl-status.1", "palierctl-pki-issue.1"] {
        let text = std::fs::read_to_string(dir.path().join(page)).unwrap();
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
    let (code, text, _) = run(dir.path(), &["man"]);
    assert!(code == 0 && text.contains(".TH palierctl 1"));
}

#[test]
fn a_folder_that_does_not_exist_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (code, _, errors) = run(dir.path(), &["man", "--out", "/nonexistent/folder"]);
    assert!(code == 1 && errors.contains("/nonexistent/folder: No such file"), "{errors}");
}

#[test]
fn every_shell_has_completions() {
    let dir = tempfile::tempdir().unwrap();
    for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
        let (code, text, _) = run(dir.path(), &["completions", &shell.to_string()]);
        assert!(code == 0 && text.contains("maintain"), "{shell}");
    }
}
