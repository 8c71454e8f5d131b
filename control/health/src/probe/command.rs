//! A program on this host.
//!
//! It runs without a shell, as a process group of its own: when it ends, at the deadline, and when the
//! probe is given up, whatever is left of the group is killed. (A descendant that left the group by
//! `setsid` is not found; that takes intent, not an accident.)

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, User, geteuid};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command as Process};

use super::Failure;
use crate::{Command, Outcome, Report, Target, reason};

/// How much of each of its outputs is kept.
const MAX_OUTPUT: usize = 4 * 1024;

/// How long the last words of an ended program may take through the pipe. Only a descendant that left
/// the group can make it longer.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Where it finds other programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) async fn run(command: &Command, target: &Target) -> Result<Report, Failure> {
    let user = if geteuid().is_root() { Some(user(&command.user).await?) } else { None };
    let mut group = Group::spawn(process(command, target, user)?)?;
    let mut out = Output::new(group.leader.stdout.take());
    let mut err = Output::new(group.leader.stderr.take());

    let status = {
        // The pipes are kept empty while it runs, or it would wait for room in them. Its own end is
        // what counts: one of its children may keep them open.
        let mut drain = pin!(async { tokio::join!(out.drain(), err.drain()) });
        tokio::select! {
            status = group.leader.wait() => {
                let status = status?;
                drop(group);
                // Not a failure: what was not heard by then is not shown.
                let _heard = tokio::time::timeout(LAST_WORDS, drain).await;
                status
            }
            _closed = &mut drain => group.leader.wait().await?,
        }
    };
    Ok(judge(command, status, out.first_line().or_else(|| err.first_line())))
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
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(user) = user {
        // As root, std gives up the supplementary groups together with the user.
        process.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    Ok(process)
}

/// A running program and its descendants. None of them outlives it.
struct Group {
    leader: Child,
    id: Pid,
}

impl Group {
    fn spawn(mut process: Process) -> Result<Self, Failure> {
        let leader = process
            .spawn()
            .map_err(|e| Failure::Check(format!("cannot be run: {}", reason::of_io(&e))))?;
        let id = leader.id().expect("it was not waited for yet");
        Ok(Self { leader, id: Pid::from_raw(id.cast_signed()) })
    }
}

impl Drop for Group {
    /// After the leader was waited for its number may be anybody's, in theory: a group that still has
    /// members keeps it, and an empty one would have to see all other numbers go by first.
    fn drop(&mut self) {
        // There may be nobody left, which is as well.
        let _gone = killpg(self.id, Signal::SIGKILL);
    }
}

/// The beginning of what a program says.
struct Output<R> {
    pipe: Option<R>,
    kept: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Output<R> {
    const fn new(pipe: Option<R>) -> Self {
        Self { pipe, kept: Vec::new() }
    }

    /// Reads to the end, and drops what is too much.
    async fn drain(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut buffer = [0; MAX_OUTPUT];
        // A pipe that breaks has ended, too.
        while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
            let room = MAX_OUTPUT - self.kept.len();
            self.kept.extend_from_slice(&buffer[..length.min(room)]);
        }
    }

    fn first_line(&self) -> Option<&[u8]> {
        self.kept.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty())
    }
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
    Report { outcome, admin: None, weight, reason }
}
