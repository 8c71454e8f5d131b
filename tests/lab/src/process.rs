//! A program of ours that runs in a namespace, its output in a log file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Error, wait_until};

/// How many lines of a log a message shows.
const TAIL: usize = 25;

#[derive(Debug)]
pub(crate) struct Process {
    program: &'static str,
    node: String,
    child: Child,
    log: PathBuf,
    /// Where in the log this run begins.
    begin: u64,
}

impl Process {
    /// Starts it by a [`Namespace::command`](crate::Namespace::command); what it prints is added to
    /// `log`.
    pub(crate) fn start(
        program: &'static str,
        node: &str,
        command: &mut Command,
        log: &Path,
    ) -> Result<Self, Error> {
        let open = || -> std::io::Result<(File, File)> {
            let out = File::options().create(true).append(true).open(log)?;
            Ok((out.try_clone()?, out))
        };
        let (out, err) = open().map_err(Error::system(log.display().to_string()))?;
        let begin = out.metadata().map_or(0, |metadata| metadata.len());
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let what = format!("starting {program} of {node}");
        let child = command.spawn().map_err(Error::system(what))?;
        Ok(Self { program, node: node.into(), child, log: log.into(), begin })
    }

    /// Waits until it is `ready`.
    pub(crate) fn wait_ready(
        &mut self,
        deadline: Duration,
        mut ready: impl FnMut(&Self) -> bool,
    ) -> Result<(), Error> {
        let start = Instant::now();
        while !ready(self) {
            if let Some(status) = self.try_wait() {
                return Err(self.failed(format!("ended at its start ({status})")));
            }
            if start.elapsed() > deadline {
                return Err(self.failed(format!("was not ready after {deadline:?}")));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// What it has printed so far, earlier runs apart.
    pub(crate) fn printed(&self) -> String {
        let all = fs::read(&self.log).unwrap_or_default();
        let begin = usize::try_from(self.begin).unwrap_or(usize::MAX).min(all.len());
        String::from_utf8_lossy(&all[begin..]).into_owned()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub(crate) fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// SIGKILL; returns once it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// SIGTERM; returns how it ended.
    ///
    /// # Panics
    /// It does not end within `deadline`.
    pub(crate) fn terminate(self, deadline: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait(deadline)
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self, deadline: Duration) -> ExitStatus {
        let mut status = None;
        wait_until(&format!("{} of {} ends", self.program, self.node), deadline, || {
            status = self.try_wait();
            status.is_some()
        });
        status.expect("the wait ended because it has ended")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a pid is a positive i32");
        kill(Pid::from_raw(pid), signal).expect("a child that was not waited for can be signalled");
    }

    fn failed(&self, reason: String) -> Error {
        let Self { program, node, log, .. } = self;
        let tail = tail(&self.printed());
        Error::Process { program, node: node.clone(), reason, log: log.clone(), tail }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.try_wait().is_none() {
            self.kill();
        }
        if thread::panicking() {
            eprintln!(
                "--- {} of {} said last:\n{}",
                self.program,
                self.node,
                tail(&self.printed())
            );
        }
    }
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
