//! Words out of a program: run without a shell, in a process group of its own, killed at a deadline.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use health::program::{Ended, Leftovers, Program};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, timeout};

use super::line;

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
    let [name, arguments @ ..] = argv else {
        return line::nothing("no program");
    };
    let mut command = Command::new(name);
    command.args(arguments).stdout(Stdio::piped());
    let program = match Program::start(command) {
        Ok(program) => program,
        Err(error) => return line::down(&format!("{name}: {error}")),
    };
    match timeout(limit, program.end(Leftovers::Leave)).await {
        Ok(Ok(Ended { status, out, .. })) => {
            line::first(&out).unwrap_or_else(|| verdict(name, status))
        }
        Ok(Err(error)) => line::down(&format!("{name}: {error}")),
        Err(_) => line::down(&format!("{name}: not done within {}", crate::text::human(limit))),
    }
}

fn verdict(program: &str, status: ExitStatus) -> String {
    match status.code() {
        Some(0) => "up".into(),
        Some(1) => "down".into(),
        Some(_) | None => line::down(&format!("{program}: {status}")),
    }
}

#[cfg(test)]
mod tests;
