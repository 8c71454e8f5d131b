//! Programs that the lab runs: where they are, and their failures as errors.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::Error;

/// Finds a program of this workspace: in `PALIER_BIN_DIR` if that is set, else beside the running
/// executable, in the folders above it, and in the `target` folders of those.
///
/// # Errors
/// It is nowhere there.
pub fn find(program: &str) -> Result<PathBuf, Error> {
    if let Some(dir) = std::env::var_os("PALIER_BIN_DIR") {
        let path = Path::new(&dir).join(program);
        return if path.is_file() {
            Ok(path)
        } else {
            let dir = Path::new(&dir).display();
            let hint =
                format!("PALIER_BIN_DIR is {dir}; `cargo build --workspace --bins` makes it");
            Err(Error::MissingProgram { program: program.into(), hint })
        };
    }
    let own = std::env::current_exe().map_err(Error::system("path of this program"))?;
    for folder in own.ancestors().skip(1) {
        for place in ["", "target/release", "target/debug"] {
            let path = folder.join(place).join(program);
            if path.is_file() {
                return Ok(path);
            }
        }
    }
    let hint = "`cargo build --workspace --bins` makes it; PALIER_BIN_DIR names another folder";
    Err(Error::MissingProgram { program: program.into(), hint: hint.into() })
}

/// Checks that a system program is there.
pub(crate) fn require(program: &str, package: &str) -> Result<(), Error> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = [PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")];
    if std::env::split_paths(&path).chain(sbin).any(|dir| dir.join(program).is_file()) {
        return Ok(());
    }
    let hint = format!("Debian's package {package} has it");
    Err(Error::MissingProgram { program: program.into(), hint })
}

/// Runs a command to its end, `input` on its standard input, and returns its standard output.
pub(crate) fn run(command: &mut Command, input: &str) -> Result<String, Error> {
    let name = format!("{command:?}").replace('"', "");
    let failed = |reason: String| Error::Command { command: name.clone(), reason };
    let Output { status, stdout, stderr } =
        output(command, input).map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        let said = String::from_utf8_lossy(&stderr);
        return Err(failed(format!("{} ({status})\n{input}", said.trim())));
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

fn output(command: &mut Command, input: &str) -> std::io::Result<Output> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that fails early does not read its input: its own words tell more.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output()
}

/// Runs lines of `ip` commands, in the namespace if one is given.
pub(crate) fn ip_batch(namespace: Option<&str>, lines: &str) -> Result<(), Error> {
    let mut command = Command::new("ip");
    if let Some(namespace) = namespace {
        command.args(["-n", namespace]);
    }
    run(command.args(["-batch", "-"]), lines).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_told_with_its_own_words() {
        let error = run(Command::new("sh").args(["-c", "echo why >&2; exit 3"]), "").unwrap_err();
        let text = error.to_string();
        assert!(text.contains("why") && text.contains("exit status: 3"), "{text}");
    }

    #[test]
    fn a_missing_program_is_named_with_what_brings_it() {
        let text = require("no-such-program", "some-package").unwrap_err().to_string();
        assert_eq!(text, "`no-such-program` was not found (Debian's package some-package has it)");
        assert!(find("no-such-program").unwrap_err().to_string().contains("cargo build"));
    }
}
