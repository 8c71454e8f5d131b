//! Words out of a program: run without a shell, in a process group of its own, killed at a deadline.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, timeout};

use super::line;

/// Most bytes of its output that are kept: the first line is in them.
const MOST: usize = 4 << 10;
/// How long its output is waited for after it has ended: a process that it left behind may hold it.
const GRACE: Duration = Duration::from_millis(100);

/// Runs the program again and again, never two at a time, until nobody wants to know.
pub(super) async fn repeat(
    argv: Vec<String>,
    interval: Duration,
    limit: Duration,
    answer: watch::Sender<String>,
) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await; // at once: the first run has been
    while !answer.is_closed() {
        ticks.tick().await;
        answer.send_replace(words(&argv, limit).await);
    }
}

/// What the program says: its first line, or what its exit code stands for.
pub(super) async fn words(argv: &[String], limit: Duration) -> String {
    let [program, arguments @ ..] = argv else {
        return line::nothing("no program");
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = match command.process_group(0).spawn() {
        Ok(child) => child,
        Err(error) => return line::down(&format!("{program}: {error}")),
    };
    let mut group = Group::of(&child);
    let ended = timeout(limit, end(&mut child)).await;
    match ended {
        Ok(Ok((status, output))) => {
            group.ended();
            line::first(&output).unwrap_or_else(|| verdict(program, status))
        }
        Ok(Err(error)) => line::down(&format!("{program}: {error}")),
        Err(_) => {
            drop(group);
            // It cannot but end now.
            let _ = child.wait().await;
            line::down(&format!("{program}: not done within {}", crate::text::human(limit)))
        }
    }
}

/// Its status, and the beginning of its output. All of the output is read, lest it waits for us.
async fn end(child: &mut Child) -> std::io::Result<(ExitStatus, Vec<u8>)> {
    let mut stdout = child.stdout.take();
    let mut kept = Vec::new();
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            open = keep(&mut stdout, &mut kept) => if !open { stdout = None },
        }
    };
    while let Ok(true) = timeout(GRACE, keep(&mut stdout, &mut kept)).await {}
    Ok((status, kept))
}

/// Reads some, and says whether there may be more. Without a pipe nothing ever comes.
async fn keep(stdout: &mut Option<ChildStdout>, kept: &mut Vec<u8>) -> bool {
    let Some(pipe) = stdout else { return std::future::pending().await };
    let mut chunk = [0; 4096];
    match pipe.read(&mut chunk).await {
        Ok(0) | Err(_) => false,
        Ok(read) => {
            kept.extend_from_slice(&chunk[..read.min(MOST - kept.len())]);
            true
        }
    }
}

fn verdict(program: &str, status: ExitStatus) -> String {
    match status.code() {
        Some(0) => "up".into(),
        Some(1) => "down".into(),
        Some(_) | None => line::down(&format!("{program}: {status}")),
    }
}

/// A process group that is killed when this goes, unless its leader has ended.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().map(|id| Pid::from_raw(id as i32)))
    }

    /// The leader has been waited for: its number may be another's now.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Whoever is gone already needs no killing.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests;
