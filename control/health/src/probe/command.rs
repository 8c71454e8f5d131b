//! A program on this host, without a shell. Nothing that it starts outlives it.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::{User, geteuid};
use tokio::process::Command as Process;

use super::Failure;
use crate::program::{Ended, Leftovers, Program, first_line};
use crate::{Command, Outcome, Report, Target, reason};

/// Where it finds other programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) async fn run(command: &Command, target: &Target) -> Result<Report, Failure> {
    let user = if geteuid().is_root() { Some(user(&command.user).await?) } else { None };
    let program = Program::start(process(command, target, user)?)
        .map_err(|e| Failure::Check(format!("cannot be run: {}", reason::of_io(&e))))?;
    let Ended { status, out, err } = program.end(Leftovers::Kill).await?;
    Ok(judge(command, status, first_line(&out).or_else(|| first_line(&err))))
}

/// Who it runs as. The lookup may ask a server, thus takes a thread.
async fn user(name: &str) -> Result<User, Failure> {
    let owned = name.to_owned();
    match tokio::task::spawn_blocking(move || User::from_name(&owned)).await {
        Ok(Ok(Some(user))) => Ok(user),
        Ok(Ok(None)) => Err(Failure::Check(format!("there is no user {name}"))),
        Ok(Err(errno)) => Err(io::Error::from(errno).into()),
        Err(panic) => Err(Failure::Check(format!("user {name} cannot be looked up: {panic}"))),
    }
}

fn process(command: &Command, target: &Target, user: Option<User>) -> Result<Process, Failure> {
    let (address, port) = (target.address.to_string(), target.port.to_string());
    let mut argv = command.argv.iter().map(|word| {
        word.replace("{node}", &target.node).replace("{address}", &address).replace("{port}", &port)
    });
    let program = argv.next().ok_or_else(|| Failure::Check("no program is named".to_owned()))?;

    let mut process = Process::new(program);
    process
        .args(argv)
        .env_clear()
        .env("PATH", PATH)
        .env("PALIER_NODE", &*target.node)
        .env("PALIER_ADDRESS", &address)
        .env("PALIER_PORT", &port)
        .current_dir("/")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(user) = user {
        // As root, std gives up the supplementary groups together with the user.
        process.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    Ok(process)
}

fn judge(command: &Command, status: ExitStatus, said: Option<&[u8]>) -> Report {
    let ended = match (status.code(), status.signal().map(Signal::try_from)) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(Ok(signal))) => format!("killed by {signal}"),
        (None, Some(Err(_)) | None) => status.to_string(),
    };
    let (outcome, weight) = match status.code() {
        Some(0) if command.weight_by_exit_code => (Outcome::Passed, Some(100)),
        Some(0) => (Outcome::Passed, None),
        Some(code @ 2..=255) if command.weight_by_exit_code => {
            (Outcome::Passed, u16::try_from(code - 2).ok())
        }
        Some(_) | None => (Outcome::Failed, None),
    };
    let reason = match said {
        Some(line) => format!("{ended}: {}", reason::quote(line)),
        None => ended,
    };
    Report { weight, ..Report::new(outcome, reason) }
}
