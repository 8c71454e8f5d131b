//! A program that is run for its word: a check, a hook, an agent's command.
//!
//! It runs as a process group of its own. Whatever it says is read, so that it never waits for room in
//! a pipe, and only the beginning is kept. Whoever stops waiting, at a deadline say, kills the group. (A
//! descendant that left the group by `setsid` is not found; that takes intent, not an accident.)

use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// How much of each of its outputs is kept, in bytes.
pub const MAX_OUTPUT: usize = 4 * 1024;

/// How long the last words of an ended program may take through the pipe. Only a descendant can make
/// it longer.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What becomes of descendants that are left when the program has ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftovers {
    /// They are killed.
    Kill,
    /// They live on.
    Leave,
}

/// A program that runs. It and its descendants are killed when this is dropped.
#[derive(Debug)]
pub struct Program {
    group: Group,
    out: Output<ChildStdout>,
    err: Output<ChildStderr>,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// The beginning of its standard output, if that was piped.
    pub out: Vec<u8>,
    /// The beginning of its standard error, if that was piped.
    pub err: Vec<u8>,
}

impl Program {
    /// Starts it, with nothing to read.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn start(mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        let mut leader = command.spawn()?;
        let out = Output::new(leader.stdout.take());
        let err = Output::new(leader.stderr.take());
        let id = leader.id().expect("it was not waited for yet");
        let group = Group { leader, id: Some(Pid::from_raw(id.cast_signed())) };
        Ok(Self { group, out, err })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn end(self, leftovers: Leftovers) -> io::Result<Ended> {
        let Self { mut group, mut out, mut err } = self;
        let status = {
            // Its own end is what counts: one of its children may keep the pipes open.
            let mut drain = pin!(async { tokio::join!(out.drain(), err.drain()) });
            tokio::select! {
                status = group.leader.wait() => {
                    let status = status?;
                    group.part(leftovers);
                    // Not a failure: what was not heard by then is not shown.
                    let _heard = tokio::time::timeout(LAST_WORDS, drain).await;
                    status
                }
                _closed = &mut drain => {
                    let status = group.leader.wait().await?;
                    group.part(leftovers);
                    status
                }
            }
        };
        Ok(Ended { status, out: out.kept, err: err.kept })
    }
}

/// The first line that is not blank.
pub fn first_line(said: &[u8]) -> Option<&[u8]> {
    said.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty())
}

/// A running program and its descendants.
#[derive(Debug)]
struct Group {
    leader: Child,
    /// Nobody once they were parted from.
    id: Option<Pid>,
}

impl Group {
    /// The leader has ended: this is all that is ever done to the others.
    fn part(&mut self, leftovers: Leftovers) {
        let id = self.id.take();
        match (leftovers, id) {
            // Its number may be anybody's, in theory: a group that still has members keeps it, and an
            // empty one would have to see all other numbers go by first.
            (Leftovers::Kill, Some(id)) => kill(id),
            (Leftovers::Leave, _) | (Leftovers::Kill, None) => {}
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            kill(id);
        }
    }
}

fn kill(group: Pid) {
    // There may be nobody left, which is as well.
    let _gone = killpg(group, Signal::SIGKILL);
}

/// The beginning of what a program says.
#[derive(Debug)]
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
}
